//! Prepared statements of the binary protocol: they belong to the session, and are prepared on whatever backend runs them.
//! Out: the backends' memory of them (`memory`).

use std::collections::HashMap;
use std::sync::Arc;

use protocol::mysql::capability::status;
use protocol::mysql::command::code;
use protocol::mysql::execute::Execute;
use protocol::mysql::packet::{put_packet, put_packet_with};
use protocol::mysql::response::{Answer, Event, PreparedHead};
use sharding::lexer::verbs;
use sharding::lexer::{ScannedStatement, StatementKind};
use transaction::ShardIndex;

use super::client::Place;
use super::commands::command_packet;
use super::query::access;
use super::relay::{Passing, Report};
use super::single::{Facts, Outgoing, internal};
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};
use crate::mysql::memory::{StatementKey, UserVariables};

const CURSOR: &str = "open cursor";

/// The prepared statements of a session.
#[derive(Debug, Default)]
pub(super) struct Statements {
    last_id: u32,
    open: HashMap<u32, Prepared>,
}

/// One prepared statement.
#[derive(Debug)]
struct Prepared {
    key: StatementKey,
    scanned: ScannedStatement,
    parameters: usize,
    /// Types of the parameters as the client sent them last, two bytes each.
    types: Vec<u8>,
    /// What came by COM_STMT_SEND_LONG_DATA, by parameter.
    long_data: Vec<(u16, Vec<u8>)>,
    /// More long data came than a packet may have.
    too_long: bool,
    /// The shard on which its cursor is open.
    cursor: Option<ShardIndex>,
}

impl Prepared {
    fn long_data(&self, parameter: usize) -> Option<&[u8]> {
        let found = self.long_data.iter().find(|(number, _)| usize::from(*number) == parameter);
        found.map(|(_, bytes)| &**bytes)
    }

    fn forget_long_data(&mut self) {
        self.long_data = Vec::new();
        self.too_long = false;
    }
}

impl Session {
    pub(super) async fn statement_prepare(&mut self, sql: &[u8], wire: &[u8]) -> Outcome<()> {
        let most = self.mesh.config.load().limits.session_statements_max;
        if self.statements.open.len() >= most {
            return Err(
                MeshError::Limit(format!("too many prepared statements in one session (at most {most})")).into()
            );
        }
        let Some(scanned) = self.scan_one(sql)? else {
            return Err(MeshError::Syntax("a prepared statement is exactly one statement".to_owned()).into());
        };
        let id = loop {
            self.statements.last_id = self.statements.last_id.wrapping_add(1);
            // All ones means "the last one" to MariaDB.
            let id = self.statements.last_id;
            if id != 0 && id != u32::MAX && !self.statements.open.contains_key(&id) {
                break id;
            }
        };
        let key = StatementKey { sql: Arc::from(sql), fixed: Arc::from(self.state.fixed_at_prepare()) };
        let shard = self.any_shard();
        let passing = Passing { answer: Answer::StatementPrepare, place: Place::FIRST, statement: Some(id) };
        let report = self.run_single(shard, None, Outgoing::Wire(wire), passing, &Facts::NOTHING).await?;
        let Some(head) = report.prepared else { return Ok(()) };
        self.remember(shard, key.clone(), head.statement);
        let prepared = Prepared {
            key,
            scanned,
            parameters: usize::from(head.parameters),
            types: Vec::new(),
            long_data: Vec::new(),
            too_long: false,
            cursor: None,
        };
        self.statements.open.insert(id, prepared);
        Ok(())
    }

    /// Notes that a backend has a statement, and has it close what it should not keep.
    fn remember(&mut self, shard: ShardIndex, key: StatementKey, id: u32) {
        let most = self.mesh.config.load().limits.backend_statements_max;
        let Some(held) = self.held.iter_mut().find(|held| held.shard == shard) else { return };
        for old in held.lease.memory.remember_statement(key, id, most) {
            let mut payload = vec![code::STATEMENT_CLOSE];
            payload.extend_from_slice(&old.to_le_bytes());
            put_packet(&mut held.lease.output, 0, &payload);
        }
    }

    pub(super) async fn statement_execute(&mut self, id: u32, body: &[u8]) -> Outcome<()> {
        let prepared = self.statements.open.get_mut(&id).ok_or_else(|| unknown(id, "mysqld_stmt_execute"))?;
        let malformed = |error: &dyn std::fmt::Display| Trouble::Told(MeshError::Protocol(error.to_string()));
        let execute = Execute::decode(body, prepared.parameters).map_err(|error| malformed(&error))?;
        if let Some(types) = execute.types {
            prepared.types.clear();
            prepared.types.extend_from_slice(types);
        }
        if prepared.types.len() != prepared.parameters * 2 {
            return Err(malformed(&"types of the parameters were never sent"));
        }
        if prepared.too_long {
            prepared.forget_long_data();
            return Err(MeshError::Limit("long data of a parameter exceeds limits.sql_bytes_max".to_owned()).into());
        }
        execute.check(&prepared.types, |n| prepared.long_data(n).is_some()).map_err(|error| malformed(&error))?;
        let (key, scanned) = (prepared.key.clone(), prepared.scanned);
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.execute_verb(&key.sql, &scanned).await? {
            return Ok(());
        }
        self.transaction.admits().map_err(|r| super::trouble::refusal(&r))?;
        let access = (scanned.kind != StatementKind::Set).then(|| access(&scanned));
        let facts = Facts { kind: scanned.kind, flags: scanned.flags, user_variables: UserVariables::new() };
        let shard = self.any_shard();
        self.close_cursor(id).await?;
        let backend_id = self.statement_on(shard, &key).await?;
        let Some(prepared) = self.statements.open.get_mut(&id) else { return Err(internal("a statement vanished")) };
        let mut packets = Vec::with_capacity(body.len() + prepared.types.len() + 16);
        for (parameter, bytes) in &prepared.long_data {
            put_packet_with(&mut packets, 0, |out| {
                out.push(code::STATEMENT_LONG_DATA);
                out.extend_from_slice(&backend_id.to_le_bytes());
                out.extend_from_slice(&parameter.to_le_bytes());
                out.extend_from_slice(bytes);
            });
        }
        put_packet_with(&mut packets, 0, |out| execute.encode(out, backend_id, &prepared.types));
        prepared.forget_long_data();
        let passing = Passing::of(Answer::Execute);
        let report = self.run_single(shard, access, Outgoing::Built(packets), passing, &facts).await?;
        self.note_cursor(id, shard, &report);
        Ok(())
    }

    /// Statements that the session obeys itself, also when they come prepared.
    async fn execute_verb(&mut self, sql: &[u8], scanned: &ScannedStatement) -> Outcome<bool> {
        let is_set = matches!(scanned.kind, StatementKind::Set | StatementKind::SetTransaction);
        if scanned.placeholders > 0 || !super::query::has_verb(scanned.kind) {
            return Ok(false);
        }
        let said = verbs::verb(sql, scanned.span, self.state.dialect())
            .map_err(|error| MeshError::Syntax(error.to_string()))?;
        if is_set {
            self.set(said, scanned, sql, None, Place::FIRST).await?;
            return Ok(true);
        }
        match said {
            Some(said) => self.obey_verb(&said, Place::FIRST).await,
            None => Ok(false),
        }
    }

    /// The id of a statement on the backend of a shard, prepared there if it is not yet.
    async fn statement_on(&mut self, shard: ShardIndex, key: &StatementKey) -> Outcome<u32> {
        let index = self.backend(shard).await?;
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        if let Some(id) = held.lease.memory.statement(key) {
            return Ok(id);
        }
        if *key.fixed != *self.state.fixed_at_prepare() {
            let text = "running a statement that was prepared under another schema, sql_mode or character set";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
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
            self.ask_status(index).await?;
            return Err(Trouble::Server(payload));
        }
        let Some(head) = head else { return Err(internal("no answer to a PREPARE")) };
        if let Some(held) = self.held.get_mut(index) {
            // A PREPARE has no status flags and opens nothing.
            held.status = held.status.or(Some(0));
        }
        self.remember(shard, key.clone(), head.statement);
        Ok(head.statement)
    }

    pub(super) fn statement_long_data(&mut self, id: u32, parameter: u16, data: &[u8]) {
        let limit = self.mesh.config.load().limits.sql_bytes_max;
        // There is no answer to this command: what is wrong shows at EXECUTE.
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
        // The backends keep theirs for other sessions. There is no answer to this command.
        let _ = self.close_cursor(id).await;
        self.statements.open.remove(&id);
    }

    pub(super) async fn statement_reset(&mut self, id: u32) -> Outcome<()> {
        let prepared = self.statements.open.get_mut(&id).ok_or_else(|| unknown(id, "mysqld_stmt_reset"))?;
        prepared.forget_long_data();
        self.close_cursor(id).await?;
        self.put_ok(Place::FIRST);
        Ok(())
    }

    pub(super) async fn statement_fetch(&mut self, id: u32, rows: u32) -> Outcome<()> {
        let prepared = self.statements.open.get(&id).ok_or_else(|| unknown(id, "mysqld_stmt_fetch"))?;
        let (shard, key) = (prepared.cursor, prepared.key.clone());
        let held = shard.and_then(|shard| self.held.iter_mut().find(|held| held.shard == shard));
        let Some((shard, backend_id)) = shard.zip(held.and_then(|held| held.lease.memory.statement(&key))) else {
            self.client.put_err(1, 1421, *b"HY000", b"The statement has no open cursor");
            return Ok(());
        };
        let body = [backend_id.to_le_bytes(), rows.to_le_bytes()].concat();
        let packet = Outgoing::Built(command_packet(code::STATEMENT_FETCH, &body));
        let report = self.run_single(shard, None, packet, Passing::of(Answer::Fetch), &Facts::NOTHING).await?;
        if report.failed.is_some() || report.status.is_some_and(|flags| flags & status::LAST_ROW_SENT != 0) {
            self.cursor_closed(id);
        }
        Ok(())
    }

    fn note_cursor(&mut self, id: u32, shard: ShardIndex, report: &Report) {
        if report.status.is_some_and(|flags| flags & status::CURSOR_EXISTS != 0) {
            if let Some(prepared) = self.statements.open.get_mut(&id) {
                prepared.cursor = Some(shard);
            }
            if let Some(index) = self.held.iter().position(|held| held.shard == shard) {
                self.pin(index, CURSOR);
            }
        }
    }

    /// Closes the statement's cursor on its backend, if it has one.
    async fn close_cursor(&mut self, id: u32) -> Outcome<()> {
        let Some(prepared) = self.statements.open.get(&id) else { return Ok(()) };
        let Some(shard) = prepared.cursor else { return Ok(()) };
        let key = prepared.key.clone();
        let found = self.held.iter().position(|held| held.shard == shard);
        if let Some(index) = found
            && let Some(held) = self.held.get_mut(index)
            && let Some(backend_id) = held.lease.memory.statement(&key)
        {
            let packet = command_packet(code::STATEMENT_RESET, &backend_id.to_le_bytes());
            held.lease.output.extend_from_slice(&packet);
            self.own_answer(index, Answer::Simple).await?;
        }
        self.cursor_closed(id);
        Ok(())
    }

    fn cursor_closed(&mut self, id: u32) {
        let Some(prepared) = self.statements.open.get_mut(&id) else { return };
        let Some(shard) = prepared.cursor.take() else { return };
        let others = self.statements.open.values().any(|other| other.cursor == Some(shard));
        if !others && let Some(index) = self.held.iter().position(|held| held.shard == shard) {
            self.unpin(index, CURSOR);
        }
    }
}

fn unknown(id: u32, function: &str) -> MeshError {
    MeshError::UnknownStatement(format!("Unknown prepared statement handler ({id}) given to {function}"))
}
