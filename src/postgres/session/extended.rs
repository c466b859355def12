//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush and Sync in any order, pipelined at will.
//! Messages are passed on as they come; answers are awaited at Flush, at Sync, and where a statement changes the shard.
//! Out: simple queries; how bytes are moved.

use std::sync::{Arc, Mutex};

use protocol::postgres::frontend::{Bind, Parse};
use protocol::postgres::pipeline::CopyState;
use protocol::postgres::{Audience, Sent, Target, write};
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::answer;
use super::batch::{Deferred, Parked, Portal};
use super::fault::{self, Fault, Stop};
use super::pieces::{self, Pieces};
use super::relay::Goal;
use super::route::Way;
use super::simple::access_of;
use super::{effects::Effects, verbs};
use crate::error_code::MeshError;
use crate::postgres::statements::{Lexed, Statement, name_of};

/// How a `Sync` went.
enum Synced {
    /// A server has said `ReadyForQuery` to the client.
    Told,
    /// We have to say it.
    Here,
    /// The server waits for COPY data and has ignored the `Sync`.
    Copying,
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn is_own(statement: &Statement) -> bool {
    statement.lexed.verb.as_ref().is_some_and(verbs::is_own)
}

impl Session {
    pub(super) async fn on_parse(&mut self, _frame: &[u8], parse: &Parse<'_>) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = self.parse(parse).await;
        self.or_fail(done).await
    }

    pub(super) async fn on_bind(&mut self, frame: &[u8], bind: &Bind<'_>) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = self.bind(frame, bind).await;
        self.or_fail(done).await
    }

    pub(super) async fn on_describe(&mut self, target: Target, name: &[u8]) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = match target {
            Target::Statement => self.describe_statement(name).await,
            Target::Portal => self.describe_portal(name).await,
        };
        self.or_fail(done).await
    }

    pub(super) async fn on_execute(&mut self, portal: &[u8], rows_max: i32) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = self.execute(portal, rows_max).await;
        self.or_fail(done).await
    }

    pub(super) async fn on_close(&mut self, target: Target, name: &[u8]) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = self.close(target, name).await;
        self.or_fail(done).await
    }

    pub(super) async fn on_flush(&mut self) -> Result<(), Stop> {
        if self.begin_message() {
            return Ok(());
        }
        let done = self.flush().await;
        self.or_fail(done).await?;
        self.drain_client().await
    }

    /// Notes that a batch is under way. True if the message is to be ignored.
    fn begin_message(&mut self) -> bool {
        if self.batch.failed {
            return true;
        }
        if !self.batch.begun {
            self.batch.begun = true;
            self.notes.clear();
        }
        false
    }

    async fn or_fail(&mut self, done: Result<(), Fault>) -> Result<(), Stop> {
        match done {
            Ok(()) => Ok(()),
            Err(fault) => self.fail_batch(fault).await,
        }
    }

    async fn parse(&mut self, parse: &Parse<'_>) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        if !parse.name.is_empty() && self.names.get(parse.name).is_some() {
            return Err(MeshError::DuplicateStatement(lossy(parse.name)).into());
        }
        if self.names.len() >= self.config.limits.session_statements_max {
            let max = self.config.limits.session_statements_max;
            return Err(MeshError::Limit(format!(
                "more than {max} prepared statements (limits.session_statements_max)"
            ))
            .into());
        }
        let lexed = match pieces::cut(&self.mesh, parse.sql, self.modes) {
            Ok(Pieces::One(lexed)) => lexed,
            // Empty texts are statements too; for the rest the server says best what is wrong.
            Ok(Pieces::Empty | Pieces::Several(_)) | Err(_) => Lexed::unknown(parse.sql),
        };
        if !verbs::ends_failure(lexed.verb.as_ref()) {
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        }
        let types: Box<[u32]> = parse.types.iter().collect();
        let statement = self.front.statements.intern(parse.sql, types, lexed);
        self.batch.deferred = Some(Deferred { name: parse.name.to_vec(), statement });
        Ok(())
    }

    /// The statement of this name, and whether its `Parse` is still to be answered.
    fn lookup(&self, name: &[u8]) -> Result<(Arc<Statement>, bool), Fault> {
        if let Some(deferred) = self.batch.deferred.as_ref().filter(|deferred| deferred.name == name) {
            return Ok((Arc::clone(&deferred.statement), true));
        }
        match self.names.get(name) {
            Some(statement) => Ok((Arc::clone(statement), false)),
            None if name.is_empty() => Err(unknown("unnamed prepared statement does not exist".to_owned())),
            None => Err(unknown(format!("prepared statement \"{}\" does not exist", lossy(name)))),
        }
    }

    /// Answers a `Parse` that was held back: by the backend of `shard`, or of wherever the session is now.
    pub(super) async fn resolve_deferred(&mut self, shard: Option<ShardIndex>) -> Result<(), Fault> {
        let Some(Deferred { name, statement }) = self.batch.deferred.take() else { return Ok(()) };
        if is_own(&statement) {
            let place = self.place();
            self.names.change(&name, Some(statement), place);
            self.say(answer::PARSE_COMPLETE);
            return Ok(());
        }
        let shard = shard.unwrap_or_else(|| self.current_shard());
        let index = self.target(shard, Access::Read).await?;
        let place = self.held[index].lease.pipeline.place();
        self.names.change(&name, Some(Arc::clone(&statement)), Some(place));
        self.supply(index, &name, &statement, Audience::Client).await
    }

    /// Makes sure that a backend has a statement. `Audience::Client`: a `Parse` of the client is answered by this.
    pub(super) async fn supply(
        &mut self,
        index: usize,
        name: &[u8],
        statement: &Statement,
        audience: Audience,
    ) -> Result<(), Fault> {
        let max = self.config.limits.backend_statements_max.max(1);
        let backend = &mut *self.held[index].lease;
        let for_client = audience == Audience::Client;
        if name.is_empty() {
            if for_client || backend.memory.unnamed != Some(statement.number) {
                backend.memory.unnamed = Some(statement.number);
                write::parse(&mut backend.output, b"", &statement.sql, statement.types.iter().copied());
                backend.pipeline.sent(Sent::Parse, audience);
                self.batch.parses.push(0);
            }
            return self.relieve(index).await;
        }
        if backend.memory.uses(statement.number) {
            if for_client {
                backend.pipeline.insert(answer::PARSE_COMPLETE);
            }
            return Ok(());
        }
        write::parse(&mut backend.output, &statement.name(), &statement.sql, statement.types.iter().copied());
        backend.pipeline.sent(Sent::Parse, audience);
        self.batch.parses.push(statement.number);
        let surplus = backend.memory.surplus(max);
        if let Some(number) = surplus.filter(|number| *number != statement.number) {
            write::close(&mut backend.output, Target::Statement, &name_of(number));
            backend.pipeline.sent(Sent::Close, Audience::Mesh(0));
        }
        self.relieve(index).await
    }

    async fn bind(&mut self, frame: &[u8], bind: &Bind<'_>) -> Result<(), Fault> {
        let (statement, deferred) = self.lookup(bind.statement)?;
        if !verbs::ends_failure(statement.lexed.verb.as_ref()) {
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        }
        if is_own(&statement) {
            self.resolve_deferred(None).await?;
            self.say(answer::BIND_COMPLETE);
            return self.set_portal(bind.portal, Portal::Session(statement));
        }
        let way = if self.is_relay() {
            Way::One(self.home_shard(), access_of(statement.lexed.kind, statement.lexed.flags))
        } else {
            self.bound_way(&statement, bind).await?
        };
        let (shard, access) = match way {
            Way::One(shard, access) => (shard, access),
            Way::Several(routed) => {
                self.resolve_deferred(None).await?;
                self.say(answer::BIND_COMPLETE);
                let parked =
                    Parked { statement, frame: frame.to_vec(), routed: Arc::from(routed), rest: Mutex::default() };
                return self.set_portal(bind.portal, Portal::Several(Arc::new(parked)));
            }
        };
        if deferred {
            self.resolve_deferred(Some(shard)).await?;
        } else {
            self.resolve_deferred(None).await?;
        }
        let index = self.target(shard, access).await?;
        self.supply(index, bind.statement, &statement, Audience::ClientErrors).await?;
        let backend = &mut *self.held[index].lease;
        if bind.statement.is_empty() {
            backend.output.extend_from_slice(frame);
        } else {
            write::bind_as(&mut backend.output, bind.portal, &statement.name(), bind.tail);
        }
        backend.pipeline.sent(Sent::Bind, Audience::Client);
        self.batch.bound = Some(statement.number);
        let effects = Effects::of(statement.lexed.kind, statement.lexed.flags);
        self.batch.wrote |= access == Access::Write;
        self.set_portal(bind.portal, Portal::Backend { shard, effects })?;
        self.relieve(index).await
    }

    fn set_portal(&mut self, name: &[u8], portal: Portal) -> Result<(), Fault> {
        if self.portals.set(name, portal) {
            Ok(())
        } else {
            Err(MeshError::Limit(format!("more than {} portals", super::batch::PORTALS_MAX)).into())
        }
    }

    async fn describe_statement(&mut self, name: &[u8]) -> Result<(), Fault> {
        let (statement, _) = self.lookup(name)?;
        self.resolve_deferred(None).await?;
        if is_own(&statement) {
            let mut description = Vec::with_capacity(16);
            write::parameter_description(&mut description, &[]);
            description.extend_from_slice(answer::NO_DATA);
            self.say(description);
            return Ok(());
        }
        let shard = self.current_shard();
        let index = self.target(shard, Access::Read).await?;
        self.supply(index, name, &statement, Audience::ClientErrors).await?;
        let own_name = if name.is_empty() { Vec::new() } else { statement.name() };
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Statement, &own_name);
        backend.pipeline.sent(Sent::DescribeStatement, Audience::Client);
        self.relieve(index).await
    }

    async fn describe_portal(&mut self, name: &[u8]) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        let shard = match self.portals.get(name) {
            Some(Portal::Session(_)) => {
                self.say(answer::NO_DATA);
                return Ok(());
            }
            Some(Portal::Several(parked)) => {
                let parked = Arc::clone(parked);
                return self.describe_several(&parked).await;
            }
            Some(Portal::Backend { shard, .. }) => *shard,
            // A cursor that SQL declared is a portal too: the server knows.
            None => self.current_shard(),
        };
        let index = self.target(shard, Access::Read).await?;
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Portal, name);
        backend.pipeline.sent(Sent::DescribePortal, Audience::Client);
        self.relieve(index).await
    }

    async fn execute(&mut self, name: &[u8], rows_max: i32) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (shard, effects) = match self.portals.get(name) {
            Some(Portal::Session(statement)) => {
                let statement = Arc::clone(statement);
                return self.execute_own(&statement).await;
            }
            Some(Portal::Several(parked)) => {
                let parked = Arc::clone(parked);
                return self.execute_several(&parked, rows_max).await;
            }
            Some(Portal::Backend { shard, effects }) => (*shard, *effects),
            None => (self.current_shard(), Effects::default()),
        };
        let index = self.target(shard, Access::Read).await?;
        let backend = &mut *self.held[index].lease;
        write::execute(&mut backend.output, name, rows_max);
        backend.pipeline.sent(Sent::Execute, Audience::Client);
        self.batch.effects = self.batch.effects.and(effects);
        self.batch.executed = true;
        self.relieve(index).await
    }

    /// A statement that the session obeys itself: what was sent before must have been answered.
    async fn execute_own(&mut self, statement: &Statement) -> Result<(), Fault> {
        self.flush().await?;
        if self.batch.failed {
            return Ok(());
        }
        let Some(verb) = &statement.lexed.verb else { return Ok(()) };
        self.obey(verb, statement.lexed.span.of(&statement.sql)).await
    }

    async fn close(&mut self, target: Target, name: &[u8]) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        if target == Target::Statement {
            let place = self.place();
            self.names.change(name, None, place);
            self.say(answer::CLOSE_COMPLETE);
            return Ok(());
        }
        let shard = match self.portals.get(name) {
            Some(Portal::Backend { shard, .. }) => Some(*shard),
            Some(Portal::Session(_) | Portal::Several(_)) | None => None,
        };
        self.portals.remove(name);
        let Some(shard) = shard else {
            self.say(answer::CLOSE_COMPLETE);
            return Ok(());
        };
        let index = self.target(shard, Access::Read).await?;
        let backend = &mut *self.held[index].lease;
        write::close(&mut backend.output, Target::Portal, name);
        backend.pipeline.sent(Sent::Close, Audience::Client);
        self.relieve(index).await
    }

    /// Where messages go that could go anywhere.
    pub(super) fn current_shard(&self) -> ShardIndex {
        self.batch.target.unwrap_or_else(|| self.home_shard())
    }

    /// Turns the batch to a shard; what was sent to another one must have been answered first.
    pub(super) async fn target(&mut self, shard: ShardIndex, access: Access) -> Result<usize, Fault> {
        if self.batch.target != Some(shard) {
            if self.batch.target.is_some() {
                self.flush_target().await?;
                if self.batch.failed {
                    return Err(Fault::Told);
                }
                self.adopt(access)?;
            }
            self.batch.parses.clear();
            self.notes.parsed = 0;
        }
        let index = self.enter(shard, access).await?;
        self.batch.target = Some(shard);
        if !self.batch.unsynced.contains(&shard) {
            self.batch.unsynced.push(shard);
        }
        Ok(index)
    }

    /// What was written in this batch so far becomes part of a transaction, because a write on another shard follows:
    /// a BEGIN in an open batch adopts what ran before it.
    fn adopt(&mut self, access: Access) -> Result<(), Fault> {
        if access != Access::Write || !self.batch.wrote || self.transaction.status() != Status::Idle {
            return Ok(());
        }
        let (Some(shard), Some(index)) = (self.batch.target, self.target_index()) else { return Ok(()) };
        if !self.batch.piped {
            self.batch.piped = true;
            self.transaction.open_pipeline();
            self.transaction.touch(&[shard], Access::Write).map_err(|refusal| fault::of_refusal(&refusal))?;
            let backend = &mut *self.held[index].lease;
            write::query(&mut backend.output, b"BEGIN");
            backend.pipeline.sent(Sent::Query, Audience::Mesh(0));
        }
        Ok(())
    }

    /// Index of the backend that the batch goes to now.
    fn target_index(&self) -> Option<usize> {
        let shard = self.batch.target?;
        self.held.iter().position(|held| held.shard == shard)
    }

    /// The place of the next answer.
    fn place(&self) -> Option<u64> {
        self.target_index().map(|index| self.held[index].lease.pipeline.place())
    }

    /// Bytes of ours for the client, behind all answers that are owed.
    pub(super) fn say(&mut self, bytes: impl Into<std::borrow::Cow<'static, [u8]>>) {
        match self.target_index() {
            Some(index) => self.held[index].lease.pipeline.insert(bytes),
            None => self.client.output.extend_from_slice(&bytes.into()),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        self.flush_target().await
    }

    /// Waits for every answer that is owed; sets `failed` if one of them is an error.
    pub(super) async fn flush_target(&mut self) -> Result<(), Fault> {
        let Some(index) = self.target_index() else { return Ok(()) };
        let backend = &mut *self.held[index].lease;
        if !backend.pipeline.is_settled() {
            write::flush(&mut backend.output);
            self.relay(index, Goal::Settled, false).await?;
        }
        self.conclude(index);
        if self.held[index].lease.pipeline.copy() == CopyState::In {
            self.batch.copy = self.batch.target;
        }
        Ok(())
    }

    /// Everything was answered: which statements exist now.
    fn conclude(&mut self, index: usize) {
        let backend = &mut *self.held[index].lease;
        let failed = backend.pipeline.is_skipping() || self.notes.client_error.is_some();
        let error_at = if failed { backend.pipeline.error_at() } else { None };
        if failed {
            self.batch.failed = true;
            for number in self.batch.parses.iter().skip(self.notes.parsed) {
                backend.memory.statements.remove(number);
            }
            backend.memory.unnamed = None;
        }
        if self.notes.stale_statement {
            // DDL changed what it returns; it must be parsed anew, here and under a new number.
            backend.memory.untracked = true;
            self.front.statements.schema_changed();
        }
        self.batch.parses.clear();
        self.notes.parsed = 0;
        self.names.settle(error_at);
    }

    pub(super) async fn on_sync(&mut self) -> Result<(), Stop> {
        if self.batch.copy.is_some() {
            // A server ignores it while it takes COPY data.
            return Ok(());
        }
        if !self.batch.failed {
            let done = self.resolve_deferred(None).await;
            self.or_fail(done).await?;
        }
        match self.sync(false).await {
            Ok(Synced::Copying) => return Ok(()),
            Ok(Synced::Told) => self.batch.clear(),
            Ok(Synced::Here) => {
                self.batch.clear();
                self.ready();
            }
            Err(fault) => {
                self.batch.clear();
                self.tell_fault(fault)?;
                self.fail_transaction();
                self.names.settle(Some(0));
                self.ready();
            }
        }
        Ok(())
    }

    /// Ends the batch on every backend; `quiet`: no server says `ReadyForQuery` to the client.
    async fn sync(&mut self, quiet: bool) -> Result<Synced, Fault> {
        let target = self.batch.target;
        for shard in std::mem::take(&mut self.batch.unsynced) {
            let Some(index) = self.held.iter().position(|held| held.shard == shard) else { continue };
            let last = Some(shard) == target && !self.batch.failed_here && !self.batch.piped && !quiet;
            let undo = self.batch.failed_here
                && self.batch.executed
                && !self.batch.piped
                && self.transaction.status() == Status::Idle;
            let backend = &mut *self.held[index].lease;
            if undo {
                // The server knows nothing of our error and would keep what was done before it.
                write::query(&mut backend.output, b"ROLLBACK");
                backend.pipeline.sent(Sent::Query, Audience::Mesh(0));
            }
            write::sync(&mut backend.output);
            backend.pipeline.sent(Sent::Sync, if last { Audience::Client } else { Audience::Mesh(0) });
            self.relay(index, Goal::Settled, false).await?;
            if self.held[index].lease.pipeline.copy() == CopyState::In {
                // COPY by Execute and Sync in one go: the server has swallowed the Sync and waits for data.
                self.batch.copy = Some(shard);
                self.batch.unsynced.push(shard);
                return Ok(Synced::Copying);
            }
            self.conclude(index);
            self.after(index);
            if last {
                return Ok(Synced::Told);
            }
        }
        if target.is_none() {
            self.names.settle(None);
        }
        if self.batch.piped {
            if self.batch.failed {
                self.fail_pipeline();
            }
            let flow = self.transaction.close_pipeline();
            let closed = self.follow(flow).await?;
            self.tell_reply(closed)?;
        }
        if self.transaction.status() == Status::Idle {
            self.portals.clear();
        }
        Ok(Synced::Here)
    }

    /// An error of ours in the middle of a batch: told behind the answers that are owed, then everything up to `Sync` is
    /// ignored.
    pub(super) async fn fail_batch(&mut self, fault: Fault) -> Result<(), Stop> {
        if let Fault::Stop(stop) = fault {
            return Err(stop);
        }
        self.batch.begun = true;
        self.batch.deferred = None;
        if let Err(Fault::Stop(stop)) = self.flush_target().await {
            return Err(stop);
        }
        if self.batch.failed && self.notes.client_error.is_some() {
            // A server's error came first; the client has it.
            return Ok(());
        }
        self.batch.failed = true;
        self.batch.failed_here = true;
        self.tell_fault(fault)?;
        self.fail_transaction();
        Ok(())
    }

    /// A Query came without a `Sync` before it: what is owed is answered first, and the batch ends there.
    pub(super) async fn settle_batch(&mut self) -> Result<(), Stop> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let done = self.flush().await;
        self.or_fail(done).await?;
        if self.batch.failed || self.batch.copy.is_some() {
            return Ok(());
        }
        match self.sync(true).await {
            Ok(_) => {
                self.batch.clear();
                Ok(())
            }
            Err(fault) => self.fail_batch(fault).await,
        }
    }
}

fn unknown(text: String) -> Fault {
    MeshError::UnknownStatement(text).into()
}
