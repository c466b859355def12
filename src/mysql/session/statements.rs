//! Prepared statements of the binary protocol: they belong to the session, and are prepared on whatever backend runs them.
//! Out: the backends' memory of them (`memory`).

use std::sync::Arc;

use hashbrown::HashMap;
use protocol::mysql::command::code;
use protocol::mysql::execute::Execute;
use protocol::mysql::packet::{put_packet, put_packet_with};
use protocol::mysql::response::{Answer, Event, PreparedHead};
use sharding::lexer::verbs;
use sharding::lexer::{Flags, Literal, MySqlServer, ScannedStatement, StatementKind};
use sharding::plan::Bound;
use transaction::{Access, ShardIndex};

use super::bindings::Bindings;
use super::commands::command_packet;
use super::cursors::CURSOR;
use super::fixed::Fixed;
use super::query::{ASKS_BACK, access, access_of};
use super::relay::Passing;
use super::route::Seen;
use super::single::{Facts, Outgoing, internal};
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};
use crate::mysql::memory::StatementKey;

/// Long data goes to a server in pieces of this size, which every server takes.
const LONG_DATA_PIECE: usize = 512 * 1024;

/// Does nothing, as a comment does.
const NOTHING: &[u8] = b"DO 0";

/// Means the statement that was prepared last, to MariaDB.
const NEWEST: u32 = u32::MAX;

/// The prepared statements of a session.
#[derive(Debug, Default)]
pub(super) struct Statements {
    last_id: u32,
    /// What was prepared last, if that went well and it is open.
    newest: Option<u32>,
    /// Boxed: each is taken out while it runs.
    pub open: HashMap<u32, Box<Prepared>>,
}

/// One prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub key: StatementKey,
    pub scanned: ScannedStatement,
    pub literals: Box<[Literal]>,
    pub fixed: Fixed,
    pub parameters: usize,
    /// Types of the parameters as the client sent them last, two bytes each.
    pub types: Vec<u8>,
    /// What came by COM_STMT_SEND_LONG_DATA, by parameter.
    long_data: Vec<(u16, Vec<u8>)>,
    /// More long data came than a packet may have.
    too_long: bool,
    /// The shard on which its cursor is open, and the statement there.
    pub cursor: Option<(ShardIndex, StatementKey)>,
}

impl Prepared {
    fn long_data(&self, parameter: usize) -> Option<&[u8]> {
        let found = self.long_data.iter().find(|(number, _)| usize::from(*number) == parameter);
        found.map(|(_, bytes)| &**bytes)
    }

    pub fn forget_long_data(&mut self) {
        self.long_data = Vec::new();
        self.too_long = false;
    }
}

impl Session {
    pub(super) async fn statement_prepare(&mut self, sql: &[u8], wire: &[u8]) -> Outcome<()> {
        let most = self.config().limits.session_statements_max;
        if self.statements.open.len() >= most {
            return Err(
                MeshError::Limit(format!("too many prepared statements in one session (at most {most})")).into()
            );
        }
        let (scanned, literals) = match self.read_one(sql) {
            // As servers do: a comment is something, if only to be ignored.
            Err(MeshError::EmptyStatement) if is_comment(sql) => {
                let wire = command_packet(code::STATEMENT_PREPARE, NOTHING);
                return Box::pin(self.statement_prepare(NOTHING, &wire)).await;
            }
            read => read?,
        };
        if scanned.flags.has(Flags::SESSION_FUNCTION)
            && let Some(text) = self.with_own_names(sql, scanned.kind, false)?
        {
            let wire = command_packet(code::STATEMENT_PREPARE, &text);
            // What is ours in it is a literal now, so that this ends.
            return Box::pin(self.statement_prepare(&text, &wire)).await;
        }
        self.statements.newest = None;
        self.settle_database(sql)?;
        let id = loop {
            self.statements.last_id = self.statements.last_id.wrapping_add(1);
            let id = self.statements.last_id;
            if id != 0 && id != NEWEST && !self.statements.open.contains_key(&id) {
                break id;
            }
        };
        let key = StatementKey { sql: Arc::from(sql), fixed: Arc::from(self.state.fixed_at_prepare()) };
        let shard = self.any_shard();
        let passing = Passing { statement: Some(id), ..Passing::of(Answer::StatementPrepare, self.first()) };
        let report = self.run_single(shard, None, Outgoing::Wire(wire), passing, &Facts::NOTHING).await?;
        if let Some(failure) = &report.failed {
            self.last.failed(failure.code, failure.sqlstate, &failure.message);
        }
        let Some(head) = report.prepared else { return Ok(()) };
        self.remember(shard, key.clone(), head.statement);
        let prepared = Prepared {
            key,
            scanned,
            literals,
            fixed: self.fixed_now(),
            parameters: usize::from(head.parameters),
            types: Vec::new(),
            long_data: Vec::new(),
            too_long: false,
            cursor: None,
        };
        self.statements.open.insert(id, Box::new(prepared));
        self.statements.newest = Some(id);
        Ok(())
    }

    /// The id that a client means: MariaDB's connectors send EXECUTE behind PREPARE before they have its answer.
    pub(super) fn meant(&self, id: u32) -> u32 {
        let newest = matches!(self.server, MySqlServer::MariaDb(_)) && id == NEWEST;
        self.statements.newest.filter(|_| newest).unwrap_or(id)
    }

    fn read_one(&self, sql: &[u8]) -> Result<(ScannedStatement, Box<[Literal]>), MeshError> {
        let mut scan = self.mesh.scans.take(self.worker);
        let read = self.read_text(&mut scan, sql).and_then(|()| match scan.statements() {
            [scanned] => Ok((*scanned, scan.literals(scanned).into())),
            [] => Err(MeshError::EmptyStatement),
            [_, second, ..] => Err(self.unexpected(sql, second.span.start as usize)),
        });
        self.mesh.scans.put(self.worker, scan);
        read
    }

    /// Notes that a backend has a statement, and has it close what it should not keep.
    fn remember(&mut self, shard: ShardIndex, key: StatementKey, id: u32) {
        let most = self.config().limits.backend_statements_max;
        let Some(held) = self.held.iter_mut().find(|held| held.shard == shard) else { return };
        for old in held.lease.memory.remember_statement(key, id, most) {
            let mut payload = vec![code::STATEMENT_CLOSE];
            payload.extend_from_slice(&old.to_le_bytes());
            put_packet(&mut held.lease.output, 0, &payload);
        }
    }

    pub(super) async fn statement_execute(&mut self, asked: u32, body: &[u8]) -> Outcome<()> {
        let id = self.meant(asked);
        let mut prepared = self.statements.open.remove(&id).ok_or_else(|| unknown(asked, "mysqld_stmt_execute"))?;
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.begin();
        let result = match self.read_as_then(&mut prepared.fixed, &prepared.key.fixed) {
            Ok(()) => self.execute(&mut prepared, body).await,
            Err(error) => Err(error.into()),
        };
        self.read_as_now();
        self.count(&prepared.key.sql, prepared.scanned.kind, &result);
        prepared.forget_long_data();
        self.statements.open.insert(id, prepared);
        result
    }

    async fn execute(&mut self, prepared: &mut Prepared, body: &[u8]) -> Outcome<()> {
        let execute = Execute::decode(body, prepared.parameters).map_err(wrong_arguments)?;
        if let Some(types) = execute.types {
            prepared.types.clear();
            prepared.types.extend_from_slice(types);
        }
        if prepared.types.len() != prepared.parameters * 2 {
            return Err(wrong_arguments("types of the parameters were never sent"));
        }
        if prepared.too_long {
            return Err(MeshError::Limit("long data of a parameter exceeds limits.sql_bytes_max".to_owned()).into());
        }
        let scanned = prepared.scanned;
        if !scanned.flags.any(ASKS_BACK) {
            self.begin_diagnostics(&Arc::clone(&prepared.key.sql), &scanned).await?;
            return self.execute_as_written(prepared, &execute).await;
        }
        self.fetch_left().await?;
        let Some(mut now) = self.as_it_asks_now(prepared)? else {
            return self.execute_as_written(prepared, &execute).await;
        };
        let result = self.execute_as_written(&mut now, &execute).await;
        prepared.cursor = now.cursor.take();
        result
    }

    /// A statement that asks what the one before it left, with what that was; `None`: it runs as it is.
    fn as_it_asks_now(&self, prepared: &mut Prepared) -> Result<Option<Prepared>, MeshError> {
        let Some(text) = self.with_own_names(&prepared.key.sql, prepared.scanned.kind, true)? else { return Ok(None) };
        let (scanned, literals) = self.read_one(&text)?;
        Ok(Some(Prepared {
            key: StatementKey { sql: Arc::from(text), fixed: Arc::clone(&prepared.key.fixed) },
            scanned,
            literals,
            fixed: prepared.fixed.clone(),
            parameters: prepared.parameters,
            types: prepared.types.clone(),
            long_data: std::mem::take(&mut prepared.long_data),
            too_long: false,
            cursor: prepared.cursor.take(),
        }))
    }

    async fn execute_as_written(&mut self, prepared: &mut Prepared, execute: &Execute<'_>) -> Outcome<()> {
        let scanned = prepared.scanned;
        let sql = Arc::clone(&prepared.key.sql);
        if self.execute_verb(&sql, &scanned).await? {
            return Ok(());
        }
        self.transaction.admits().map_err(|r| super::trouble::refusal(&r))?;
        if self.diagnose(&sql, &scanned, self.first(), true).await?.is_some() {
            return Ok(());
        }
        self.close_cursor(prepared).await?;
        let facts = Facts::of(&scanned, &sql, execute.values);
        if scanned.kind == StatementKind::Set {
            execute.check(&prepared.types, |n| prepared.long_data(n).is_some()).map_err(wrong_arguments)?;
            let shard = self.any_shard();
            return self.execute_single(prepared, execute, shard, None, &sql, &facts).await;
        }
        let base = access(&scanned);
        self.settle_database(&sql)?;
        if self.is_relay() {
            execute.check(&prepared.types, |n| prepared.long_data(n).is_some()).map_err(wrong_arguments)?;
            let shard = self.any_shard();
            return self.execute_single(prepared, execute, shard, Some(base), &sql, &facts).await;
        }
        let bindings = Bindings {
            values: execute.parameters(&prepared.types, |n| prepared.long_data(n)).map_err(wrong_arguments)?,
            key: &prepared.key,
            types: &prepared.types,
            utf8: self.client_speaks_utf8(),
        };
        let seen = Seen { sql: &sql, scanned: &scanned, literals: &prepared.literals, whole: &sql };
        let routed = self.route(&seen, &bindings.route_values()).await?;
        let access = access_of(base, &routed.plan.effects, scanned.kind);
        match &routed.bound {
            // No cursor is opened, as servers open none where they cannot: all rows come at once.
            Bound::Merge { .. } => {
                Box::pin(self.scatter(&routed, &sql, Some(&bindings), access, &facts, self.first())).await.map(|_| ())
            }
            Bound::Spread { .. } => {
                Box::pin(self.spread(&routed, &sql, Some(&bindings), &facts, self.first())).await.map(|_| ())
            }
            Bound::Single { .. } | Bound::Local => {
                let shard = self.single_shard(&routed, &facts)?;
                let text = self.text_for(&routed, &sql, shard)?;
                drop(bindings);
                let text = text.map_or_else(|| Arc::clone(&sql), Arc::from);
                self.execute_single(prepared, execute, shard, Some(access), &text, &facts).await?;
                self.note_ddl(&routed);
                Ok(())
            }
        }
    }

    /// Runs the statement on one shard, where its text is `sql`.
    async fn execute_single(
        &mut self,
        prepared: &mut Prepared,
        execute: &Execute<'_>,
        shard: ShardIndex,
        access: Option<Access>,
        sql: &Arc<[u8]>,
        facts: &Facts<'_>,
    ) -> Outcome<()> {
        let key = StatementKey { sql: Arc::clone(sql), fixed: Arc::clone(&prepared.key.fixed) };
        let backend_id = self.statement_on(shard, &key).await?;
        let mut packets = Vec::with_capacity(execute.values.len() + prepared.types.len() + 32);
        let pieces = prepared.long_data.iter().flat_map(|(parameter, bytes)| {
            // An empty piece makes the parameter an empty text.
            let empty = bytes.is_empty().then_some(&bytes[..]);
            empty.into_iter().chain(bytes.chunks(LONG_DATA_PIECE)).map(move |piece| (parameter, piece))
        });
        for (parameter, bytes) in pieces {
            put_packet_with(&mut packets, 0, |out| {
                out.push(code::STATEMENT_LONG_DATA);
                out.extend_from_slice(&backend_id.to_le_bytes());
                out.extend_from_slice(&parameter.to_le_bytes());
                out.extend_from_slice(bytes);
            });
        }
        put_packet_with(&mut packets, 0, |out| execute.encode(out, backend_id, &prepared.types));
        let passing = Passing::of(Answer::Execute, self.first());
        let report = self.run_single(shard, access, Outgoing::Built(packets), passing, facts).await?;
        if report.has_cursor() {
            prepared.cursor = Some((shard, key));
            if let Some(index) = self.held.iter().position(|held| held.shard == shard) {
                self.pin(index, CURSOR);
            }
        }
        Ok(())
    }

    /// Statements that the session obeys itself, also when they come prepared.
    async fn execute_verb(&mut self, sql: &[u8], scanned: &ScannedStatement) -> Outcome<bool> {
        let is_set = matches!(scanned.kind, StatementKind::Set | StatementKind::SetTransaction);
        if scanned.placeholders > 0 || !super::query::has_verb(scanned.kind) {
            return Ok(false);
        }
        let said =
            verbs::verb(sql, scanned.span, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        if is_set {
            Box::pin(self.set(said, scanned, sql, None, self.first())).await?;
            return Ok(true);
        }
        match said {
            Some(said) => self.obey_verb(&said, self.first()).await,
            None => Ok(false),
        }
    }

    /// The id of a statement on the backend of a shard, prepared there if it is not yet.
    pub(super) async fn statement_on(&mut self, shard: ShardIndex, key: &StatementKey) -> Outcome<u32> {
        let index = self.backend(shard).await?;
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        if let Some(id) = held.lease.memory.statement(key) {
            return Ok(id);
        }
        self.refuse_large(index, key.sql.len() + 1)?;
        let brought = self.bring_to_prepare(index).await?;
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        let packet = command_packet(code::STATEMENT_PREPARE, &key.sql);
        held.lease.output.extend_from_slice(&packet);
        let mut head: Option<PreparedHead> = None;
        let mut refused = None;
        let read = self
            .own_packets(index, Answer::StatementPrepare, |event, payload| match event {
                Event::Prepared(found) => head = Some(found),
                Event::Err => refused = Some(payload.to_vec()),
                _ => {}
            })
            .await;
        if let Err(error) = read {
            return Err(self.lose(index, &error));
        }
        if let Some(payload) = refused {
            if brought {
                self.bring_to_state(index).await?;
            }
            self.ask_status(index).await?;
            return Err(Trouble::Server(payload));
        }
        let Some(head) = head else { return Err(internal("no answer to a PREPARE")) };
        if let Some(held) = self.held.get_mut(index) {
            // A PREPARE has no status flags and opens nothing.
            held.status = held.status.or(Some(0));
        }
        self.remember(shard, key.clone(), head.statement);
        if brought {
            self.bring_to_state(index).await?;
        }
        Ok(head.statement)
    }

    pub(super) fn statement_long_data(&mut self, id: u32, parameter: u16, data: &[u8]) {
        let limit = self.config().limits.sql_bytes_max;
        // There is no answer to this command: what is wrong shows at EXECUTE.
        let id = self.meant(id);
        let Some(prepared) = self.statements.open.get_mut(&id) else { return };
        let held: usize = prepared.long_data.iter().map(|(_, bytes)| bytes.len()).sum();
        if usize::from(parameter) >= prepared.parameters || held + data.len() > limit {
            prepared.too_long = true;
            return;
        }
        match prepared.long_data.iter_mut().find(|(number, _)| *number == parameter) {
            Some((_, bytes)) => bytes.extend_from_slice(data),
            None => prepared.long_data.push((parameter, data.to_vec())),
        }
    }

    pub(super) async fn statement_close(&mut self, id: u32) {
        let id = self.meant(id);
        self.statements.newest = self.statements.newest.filter(|newest| *newest != id);
        // The backends keep theirs for other sessions. There is no answer to this command.
        if let Some(mut prepared) = self.statements.open.remove(&id) {
            let _ = self.close_cursor(&mut prepared).await;
        }
    }

    pub(super) async fn statement_reset(&mut self, asked: u32) -> Outcome<()> {
        let id = self.meant(asked);
        let mut prepared = self.statements.open.remove(&id).ok_or_else(|| unknown(asked, "mysqld_stmt_reset"))?;
        prepared.forget_long_data();
        let result = self.close_cursor(&mut prepared).await;
        self.statements.open.insert(id, prepared);
        result?;
        self.put_ok(self.first());
        Ok(())
    }
}

/// Whether a text in which no statement was found has something in it all the same.
pub(super) fn is_comment(sql: &[u8]) -> bool {
    sql.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != b';')
}

/// What servers say to an EXECUTE that does not fit its statement; the reason is for the log.
fn wrong_arguments(reason: impl std::fmt::Display) -> Trouble {
    tracing::debug!(%reason, "an EXECUTE does not fit its statement");
    Trouble::Told(MeshError::WrongArguments)
}

pub(super) fn unknown(id: u32, function: &str) -> MeshError {
    MeshError::UnknownStatement(format!("Unknown prepared statement handler ({id}) given to {function}"))
}
