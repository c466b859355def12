//! What each command of the protocol does, but for the SQL in it.
//! Out: statements (`query`), prepared statements (`statements`).

use std::sync::Arc;

use protocol::mysql::capability;
use protocol::mysql::command::{Command, code};
use protocol::mysql::login::Login;
use protocol::mysql::packet::{HEADER, Whole, put_packet, put_packet_with};
use protocol::mysql::reply::OkPacket;
use protocol::mysql::response::Answer;

use super::login;
use super::place::Place;
use super::relay::Passing;
use super::single::Outgoing;
use super::state::State;
use super::trouble::{Outcome, Trouble};
use super::{Last, Session, Statements, Temporary};
use crate::error_code::MeshError;
use crate::interrupt::Reason;

impl Session {
    /// Runs one command; false when the client has said goodbye.
    pub(super) async fn command(&mut self, packet: &[u8], whole: Whole) -> Outcome<bool> {
        let payload = whole.payload(packet);
        self.answers_from(whole.last_sequence.wrapping_add(1));
        let wire = packet.get(..whole.wire_length).unwrap_or_default();
        let done = match Command::decode(&payload) {
            Ok(Command::Quit) => return Ok(false),
            Ok(command) => self.run_command(command, wire).await,
            Err(error) => Err(Trouble::Broken(MeshError::Protocol(error.to_string()))),
        };
        match done {
            Ok(()) => Ok(true),
            Err(Trouble::Told(error)) => {
                self.tell_error(self.after_what_was_told(), &error);
                Ok(true)
            }
            Err(Trouble::Server(payload)) => {
                self.tell_server_error(self.after_what_was_told(), &payload);
                Ok(true)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn run_command(&mut self, command: Command<'_>, wire: &[u8]) -> Outcome<()> {
        match command {
            Command::Query(sql) => self.query(sql, wire).await,
            Command::Quit => Ok(()),
            Command::Ping => {
                self.put_ok(self.first());
                Ok(())
            }
            Command::InitDb(name) => {
                self.use_schema(name)?;
                self.put_ok_with_schema(self.first());
                Ok(())
            }
            Command::Statistics => {
                let text = format!(
                    "Uptime: {}  Threads: {}  Questions: {}",
                    self.entry.opened_at.elapsed().as_secs(),
                    self.mesh.sessions.count(),
                    self.entry.statements.load(std::sync::atomic::Ordering::Relaxed),
                );
                put_packet(&mut self.client.output, self.first, text.as_bytes());
                Ok(())
            }
            Command::ProcessKill(id) => self.kill_session(u64::from(id), false, self.first()),
            Command::FieldList { .. } => {
                self.run_plain(Outgoing::Wire(wire), Passing::of(Answer::FieldList, self.first())).await
            }
            Command::SetOption(option) => {
                match option {
                    0 => self.state.capabilities |= capability::MULTI_STATEMENTS,
                    1 => self.state.capabilities &= !capability::MULTI_STATEMENTS,
                    _ => return Err(MeshError::UnknownCommand.into()),
                }
                let ok = OkPacket { status: self.status(), ..OkPacket::default() };
                self.client.put_end_of_rows(self.first(), &ok);
                Ok(())
            }
            Command::ResetConnection => {
                self.reset().await?;
                self.put_ok(self.first());
                Ok(())
            }
            Command::ChangeUser(body) => self.change_user(body).await,
            Command::StatementPrepare(sql) => self.statement_prepare(sql, wire).await,
            Command::StatementExecute { statement, body } => self.statement_execute(statement, body).await,
            Command::StatementLongData { statement, parameter, data } => {
                self.statement_long_data(statement, parameter, data);
                Ok(())
            }
            Command::StatementClose(statement) => {
                self.statement_close(statement).await;
                Ok(())
            }
            Command::StatementReset(statement) => self.statement_reset(statement).await,
            Command::StatementFetch { statement, rows } => self.statement_fetch(statement, rows).await,
            Command::StatementBulkExecute { statement, body } => self.statement_bulk_execute(statement, body).await,
            Command::Unknown(_) => Err(MeshError::UnknownCommand.into()),
        }
    }

    /// As a new connection of the same user: no transaction, no statements, no settings; the schema stays.
    pub(super) async fn reset(&mut self) -> Outcome<()> {
        self.roll_back_all().await;
        self.drop_pins();
        self.statements = Statements::default();
        self.temporary = Temporary::default();
        self.last = Last::default();
        let settings = self.mesh.mysql.fresh.settings(self.collation, self.server);
        let settings = settings.map_err(|set| MeshError::Unsupported(format!("the character set {set}")))?;
        let fresh = State::new(self.state.capabilities, settings, self.server);
        let old = std::mem::replace(&mut self.state, fresh);
        self.state.schema = old.schema;
        self.state.system_schema = old.system_schema;
        self.set_database(old.database);
        Ok(())
    }

    async fn change_user(&mut self, body: &[u8]) -> Outcome<()> {
        let broken = |error: &dyn std::fmt::Display| Trouble::Broken(MeshError::Protocol(error.to_string()));
        let login = Login::decode_change_user(body, self.client.capabilities).map_err(|error| broken(&error))?;
        let collation = if login.collation == 0 { self.collation } else { login.collation };
        let config = self.mesh.config.load_full();
        let passwords = Arc::clone(&self.mesh.mysql.passwords);
        // libmariadb and libmysqlclient answer the challenge of their login, and no other. Whoever does not is asked for a
        // proof of a new one.
        let (login, challenge) = if login::is_proven(&config, &passwords, &login, &self.challenge) {
            (login, self.challenge)
        } else {
            (Login { proof: vec![0; 3], ..login }, login::scramble().map_err(Trouble::Client)?)
        };
        let limit = config.timeouts.handshake;
        let proof = login::prove(&config, &passwords, &mut self.client, login, &challenge, 1);
        let admitted = match tokio::time::timeout(limit, proof).await {
            Ok(Ok(Ok(admitted))) => admitted,
            Ok(Ok(Err((sequence, error)))) => {
                // As servers do: a client that fails here is closed.
                self.client.put_error(Place { sequence, more: false }, &error);
                let _ = self.client.flush().await;
                return Err(Trouble::Client(std::io::ErrorKind::PermissionDenied.into()));
            }
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => return Err(Trouble::Client(std::io::ErrorKind::TimedOut.into())),
        };
        self.collation = collation;
        self.user = admitted.user;
        // The one that the user was admitted by.
        self.follow_config();
        self.challenge = admitted.challenge;
        self.reset().await?;
        self.choose(admitted.database);
        self.show_identity(None);
        self.put_ok(Place { sequence: admitted.sequence, more: false });
        Ok(())
    }

    /// KILL with one of our ids: a session of the same user, or its statement.
    pub(super) fn kill_session(&mut self, id: u64, query: bool, place: Place) -> Outcome<()> {
        let target = u32::try_from(id).ok().and_then(|id| self.mesh.sessions.get(id));
        let Some(target) = target.filter(|target| target.protocol == self.entry.protocol) else {
            return Err(MeshError::UnknownSession(id).into());
        };
        if target.identity().user != self.user {
            return Err(MeshError::AccessDenied(format!("You are not owner of thread {id}")).into());
        }
        if target.id == self.entry.id {
            return if query {
                Err(MeshError::QueryCancelled("Query execution was interrupted".to_owned()).into())
            } else {
                Err(Trouble::Interrupted(Reason::Session))
            };
        }
        target.interrupt.raise(if query { Reason::Query } else { Reason::Session });
        self.put_ok(place);
        Ok(())
    }

    /// COM_INIT_DB and USE: a logical database of the user's, or a schema that every server has.
    pub(super) fn use_schema(&mut self, name: &[u8]) -> Outcome<()> {
        const OF_SERVERS: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];
        let text = String::from_utf8_lossy(name);
        let config = Arc::clone(self.config());
        let own = OF_SERVERS.iter().any(|schema| schema.eq_ignore_ascii_case(&text));
        let known = config.database(crate::config::Protocol::MySql, &text).is_some();
        if own && !known {
            self.set_database(Some(self.database()));
            self.state.schema = Some(Arc::from(name));
            self.state.system_schema = true;
            self.show_identity(None);
            return Ok(());
        }
        let chosen = login::choose_database(&config, &self.user, name)?;
        let other = self.state.database.is_some_and(|number| number != chosen.0);
        if other && !self.held.is_empty() {
            return Err(MeshError::Unsupported(
                "changing the database while the session holds connections to shards of another".to_owned(),
            )
            .into());
        }
        self.choose(Some(chosen));
        self.show_identity(None);
        Ok(())
    }

    /// OK that tells a client which tracks sessions the new schema.
    pub(super) fn put_ok_with_schema(&mut self, place: Place) {
        let mut block = Vec::new();
        protocol::mysql::session_state::put_schema(&mut block, self.state.schema.as_deref().unwrap_or_default());
        self.last.affected(0);
        let ok = OkPacket { status: self.status(), state: &block, ..OkPacket::default() };
        self.client.put_ok(place, &ok);
    }
}

/// A command packet of ours: one payload behind a header.
pub(super) fn command_packet(command: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + 1 + body.len());
    put_packet_with(&mut out, 0, |out| {
        out.push(command);
        out.extend_from_slice(body);
    });
    out
}

/// A COM_QUERY packet.
pub(super) fn query_packet(sql: &[u8]) -> Vec<u8> {
    command_packet(code::QUERY, sql)
}
