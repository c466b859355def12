//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush and Sync in any order, pipelined at will.
//! Messages are passed on as they come; answers are awaited at Flush, at Sync, and where a statement changes the shard.
//! Out: simple queries; how bytes are moved.

use std::sync::{Arc, Mutex};

use protocol::postgres::frontend::{Bind, Parse};
use protocol::postgres::{Audience, Sent, Target, write};
use sharding::lexer::verbs::{Verb, Which};
use sharding::lexer::{Flags, StatementKind};
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::answer;
use super::batch::{Deferred, Parked, Portal};
use super::fault::{self, Fault, Stop};
use super::pieces::Pieces;
use super::route::{Asked, Way};
use super::simple::access_of;
use super::{effects::Effects, verbs};
use crate::error_code::MeshError;
use crate::metrics::Tier;
use crate::postgres::statements::{Lexed, Statement, name_of};

/// Most statements that are remembered as not run since their Parse.
const UNPROVEN_MAX: usize = 256;

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl Session {
    /// Whether the session obeys the statement itself: verbs, and DEALLOCATE of what no server has under that name.
    fn is_own(&self, statement: &Statement) -> bool {
        match &statement.lexed.verb {
            Some(Verb::Deallocate(Which::All)) => self.pin.is_none(),
            Some(Verb::Deallocate(Which::One(name))) => self.names.has(&name.text),
            Some(verb) => verbs::is_own(verb),
            None => false,
        }
    }

    pub(super) async fn on_parse(&mut self, parse: &Parse<'_>) -> Result<(), Stop> {
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
        // Where nothing is owed it begins nothing.
        if !self.batch.begun || self.begin_message() {
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
            self.course.begin();
        }
        false
    }

    pub(super) async fn or_fail(&mut self, done: Result<(), Fault>) -> Result<(), Stop> {
        match done {
            Ok(()) => Ok(()),
            // Boxed: it is seldom, and large.
            Err(fault) => Box::pin(self.fail_batch(fault)).await,
        }
    }

    async fn parse(&mut self, parse: &Parse<'_>) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        if self.names.len() >= self.config.limits.session_statements_max {
            let max = self.config.limits.session_statements_max;
            return Err(MeshError::Limit(format!(
                "more than {max} prepared statements (limits.session_statements_max)"
            ))
            .into());
        }
        let statement = self.statement_of(parse);
        if !verbs::ends_failure(statement.lexed.verb.as_ref())
            && let Err(refusal) = self.transaction.admits()
        {
            if parse.name.is_empty() {
                self.names.remove(b"");
            }
            return Err(fault::of_refusal(&refusal).into());
        }
        if !parse.name.is_empty() && self.names.get(parse.name).is_some() {
            return Err(self.taken_name(parse.name, &statement).await);
        }
        self.batch.deferred = Some(Deferred { name: parse.name.to_vec(), statement });
        Ok(())
    }

    /// The statement that a `Parse` makes.
    pub(super) fn statement_of(&mut self, parse: &Parse<'_>) -> Arc<Statement> {
        let read = (self.scope_number(), self.schema_version());
        if let Some(known) = self.texts.find(parse, read, self.front.statements.epoch()) {
            return self.course.again(known);
        }
        let lexed = match self.cut(parse.sql) {
            Ok(Pieces::One(lexed)) => lexed,
            // Empty texts are statements too; for the rest the server says best what is wrong.
            Ok(Pieces::Empty) => Lexed::nothing(),
            Ok(Pieces::Several(_)) | Err(_) => Lexed::unknown(parse.sql),
        };
        let statement = self.front.statements.intern(parse.sql, parse.types.iter().collect(), lexed, read);
        self.texts.keep(&statement);
        statement
    }

    /// What is wrong with a statement whose name is taken: its text, as the server says, before its name.
    async fn taken_name(&mut self, name: &[u8], statement: &Arc<Statement>) -> Fault {
        if !self.is_own(statement) {
            let shard = self.current_shard();
            let judged = async {
                let index = self.target(shard, Access::Read).await?;
                self.supply(index, name, statement, Audience::ClientErrors).await?;
                self.flush_target().await
            };
            if let Err(fault) = judged.await {
                return fault;
            }
            if self.batch.failed {
                return Fault::Told;
            }
        }
        MeshError::DuplicateStatement(lossy(name)).into()
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
        if self.is_own(&statement) {
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

    /// Whether a backend has a statement that is used now, under the name that it gets for one of the client's.
    fn has(&mut self, index: usize, name: &[u8], statement: &Statement) -> bool {
        let memory = &mut self.held[index].lease.memory;
        if name.is_empty() { memory.unnamed == Some(statement.number) } else { memory.uses_again(statement.number) }
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
                if self.unproven.len() < UNPROVEN_MAX {
                    self.unproven.push(statement.number);
                }
            }
            return Ok(());
        }
        write::parse(&mut backend.output, statement.name(), &statement.sql, statement.types.iter().copied());
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
        if self.is_by_sql(bind.statement) {
            return self.bind_by_sql(frame, bind).await;
        }
        let (statement, deferred) = self.lookup(bind.statement)?;
        if !verbs::ends_failure(statement.lexed.verb.as_ref()) {
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        }
        if self.is_own(&statement) {
            self.resolve_deferred(None).await?;
            if !bind.values.is_empty() {
                return Err(wrong_count(bind, 0));
            }
            self.admit_portal(bind.portal, None)?;
            self.say(answer::BIND_COMPLETE);
            return self.set_portal(bind.portal, Portal::Session { statement, ran: false });
        }
        let statement =
            if statement.is_stale() && !deferred { self.renewed(bind.statement, &statement)? } else { statement };
        // By other settings it may mean something else, unless it was read before.
        let rescoped = if bind.statement.is_empty() { None } else { self.rescoped(&statement) };
        let (original, statement) = match rescoped {
            Some(rescoped) => (Some(statement), rescoped),
            None => (None, statement),
        };
        let wanted = statement.lexed.placeholders.max(statement.types.len());
        if statement.lexed.known && bind.values.len() != wanted {
            // The server would say so with the name that the statement has there.
            self.resolve_deferred(None).await?;
            return Err(wrong_count(bind, wanted));
        }
        self.note_custom(&statement.lexed, &statement.sql, Some(bind));
        let signal = if statement.lexed.flags.any(Flags::SESSION_NUMBER) {
            let types = self.known_types(&statement);
            self.signal(&statement.sql, &statement.lexed, Some((bind, &types)))?
        } else {
            None
        };
        let way = if signal.is_some() {
            Way::One(self.home_shard(), Access::Read, None)
        } else if self.is_relay() {
            let asked = Asked { sql: &statement.sql, lexed: &statement.lexed, parameters: &[] };
            let taking = self.taking_of_relay(asked).await?.map(Box::new);
            Way::One(self.home_shard(), access_of(statement.lexed.kind, statement.lexed.flags), taking)
        } else {
            match self.bound_way(&statement, bind).await {
                Err(Fault::Mesh(refusal)) => return Err(self.opinion_in_batch(refusal, &statement).await),
                way => way?,
            }
        };
        let (shard, access, taking) = match way {
            Way::One(shard, access, taking) => (shard, access, taking),
            Way::Several(routed) => {
                self.resolve_deferred(None).await?;
                self.admit_portal(bind.portal, None)?;
                self.say(answer::BIND_COMPLETE);
                let parked =
                    Parked { statement, frame: frame.to_vec(), routed: Arc::from(routed), rest: Mutex::default() };
                return self.set_portal(bind.portal, Portal::Several(Arc::new(parked)));
            }
        };
        if self.batch.deferred.is_some() {
            Box::pin(self.resolve_deferred(deferred.then_some(shard))).await?;
        }
        self.admit_portal(bind.portal, Some(shard))?;
        let (kind, effects) = (statement.lexed.kind, self.effects_of(&statement.lexed, &statement.sql, Some(bind)));
        let (mut effects, mut asks, mut instead) = (effects, effects.asks_values, None);
        let naming = self.naming(&statement.sql, &[&statement.lexed])?;
        if let Some(naming) = &naming {
            effects = naming.effects;
            instead = Some(self.statement_like(&statement, &naming.spliced.text));
        } else if let Some(signal) = &signal {
            effects = Effects::default();
            instead = Some(self.statement_like(&statement, &signal.spliced.text));
        } else if asks || statement.lexed.flags.any(Flags::SESSION_NUMBER) {
            let of = (kind, statement.lexed.flags);
            let question = self.question(&statement.sql, of, taking.as_deref(), shard)?;
            asks = question.open;
            instead = question.spliced.map(|spliced| self.statement_like(&statement, &spliced.text));
        }
        let index = self.target(shard, access).await?;
        let alone = self.guard_sequences(index, taking.as_deref(), asks, access, true);
        let there = |original: &Arc<Statement>| self.held[index].lease.memory.statements.contains_key(&original.number);
        let mut statement = original.filter(there).unwrap_or(statement);
        // With an error in it, it fails as the client wrote it.
        if !self.has(index, bind.statement, &statement) {
            Box::pin(self.supply(index, bind.statement, &statement, Audience::ClientErrors)).await?;
        }
        if !self.unproven.is_empty() && instead.is_none() {
            statement = Box::pin(self.prove(index, statement, bind)).await?;
        }
        for named in naming.iter().flat_map(|naming| &naming.statements) {
            self.supply(index, b"i", named, Audience::ClientErrors).await?;
        }
        if let Some(instead) = &instead {
            self.supply(index, b"i", instead, Audience::ClientErrors).await?;
        }
        let backend = &mut *self.held[index].lease;
        if let Some(instead) = &instead {
            write::bind_as(&mut backend.output, bind.portal, instead.name(), bind.tail);
        } else if bind.statement.is_empty() {
            backend.output.extend_from_slice(frame);
        } else {
            write::bind_as(&mut backend.output, bind.portal, statement.name(), bind.tail);
        }
        backend.pipeline.sent(Sent::Bind, Audience::Client);
        self.batch.mixed |= self.batch.bound.is_some_and(|before| before != statement.number);
        self.batch.bound = Some(statement.number);
        self.course.prepared_is(Arc::clone(&statement));
        if access == Access::Write && !self.batch.wrote.contains(&shard) {
            self.batch.wrote.push(shard);
        }
        let taking = taking.map(|taking| (Arc::from(taking), alone));
        let aim = signal.map(|signal| signal.aim);
        let restoring = self.restoring(statement.lexed.verb.as_ref()).map(Arc::from);
        self.set_portal(bind.portal, Portal::Backend { shard, kind, effects, taking, aim, restoring })?;
        self.relieve_if_much(index).await
    }

    /// A portal of this name stands in the way, unless it is where the new one goes: then the server says so.
    fn admit_portal(&self, name: &[u8], new: Option<ShardIndex>) -> Result<(), Fault> {
        if name.is_empty() {
            return Ok(());
        }
        match self.portals.get(name) {
            None => Ok(()),
            Some(Portal::Backend { shard, .. }) if new == Some(*shard) => Ok(()),
            Some(_) => Err(MeshError::DuplicatePortal(lossy(name)).into()),
        }
    }

    pub(super) fn set_portal(&mut self, name: &[u8], portal: Portal) -> Result<(), Fault> {
        if self.portals.set(name, portal) {
            Ok(())
        } else {
            Err(MeshError::Limit(format!("more than {} portals", super::batch::PORTALS_MAX)).into())
        }
    }

    async fn describe_statement(&mut self, name: &[u8]) -> Result<(), Fault> {
        if self.is_by_sql(name) {
            return self.pass_by_sql(name, Sent::DescribeStatement).await;
        }
        let (statement, _) = self.lookup(name)?;
        self.resolve_deferred(None).await?;
        if self.is_own(&statement) {
            let mut description = Vec::with_capacity(16);
            write::parameter_description(&mut description, &[]);
            description.extend_from_slice(answer::NO_DATA);
            self.say(description);
            return Ok(());
        }
        let shard = self.current_shard();
        let index = self.target_also_failed(shard).await?;
        let statement = if name.is_empty() { statement } else { self.as_read(index, &statement) };
        self.supply(index, name, &statement, Audience::ClientErrors).await?;
        let naming = self.naming(&statement.sql, &[&statement.lexed])?;
        for named in naming.iter().flat_map(|naming| &naming.statements) {
            self.supply(index, b"i", named, Audience::ClientErrors).await?;
        }
        let instead = naming.map(|naming| self.statement_like(&statement, &naming.spliced.text));
        if let Some(instead) = &instead {
            self.supply(index, b"i", instead, Audience::ClientErrors).await?;
        }
        let own_name = match &instead {
            Some(instead) => instead.name(),
            None if name.is_empty() => b"",
            None => statement.name(),
        };
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Statement, own_name);
        backend.pipeline.sent(Sent::DescribeStatement, Audience::Client);
        self.relieve(index).await
    }

    async fn describe_portal(&mut self, name: &[u8]) -> Result<(), Fault> {
        if self.batch.deferred.is_some() {
            Box::pin(self.resolve_deferred(None)).await?;
        }
        let shard = match self.portals.get(name) {
            Some(Portal::Session { .. }) => {
                self.say(answer::NO_DATA);
                return Ok(());
            }
            Some(Portal::Several(parked)) => {
                let parked = Arc::clone(parked);
                return self.describe_several(&parked).await;
            }
            Some(Portal::Backend { shard, .. }) => *shard,
            None => self.shard_of_cursor(name)?,
        };
        let index = match self.ready_target(shard) {
            Some(index) => index,
            None => Box::pin(self.target_also_failed(shard)).await?,
        };
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Portal, name);
        backend.pipeline.sent(Sent::DescribePortal, Audience::Client);
        self.relieve_if_much(index).await
    }

    /// Where a portal is that no Bind has made: a cursor that SQL declared is a portal too, and the server knows it.
    fn shard_of_cursor(&self, name: &[u8]) -> Result<ShardIndex, Fault> {
        let ended = self.batch.without_portals && self.pin.is_none() && self.transaction.status() == Status::Idle;
        if name.is_empty() || ended {
            return Err(MeshError::UnknownPortal(lossy(name)).into());
        }
        Ok(self.current_shard())
    }

    async fn execute(&mut self, name: &[u8], rows_max: i32) -> Result<(), Fault> {
        if self.batch.deferred.is_some() {
            Box::pin(self.resolve_deferred(None)).await?;
        }
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (shard, kind, effects, taking, aim, restoring) = match self.portals.get(name) {
            Some(Portal::Session { ran: true, .. }) => return Err(MeshError::SpentPortal(lossy(name)).into()),
            Some(Portal::Session { statement, .. }) => {
                let statement = Arc::clone(statement);
                self.course.statement(statement.lexed.kind);
                self.portals.set(name, Portal::Session { statement: Arc::clone(&statement), ran: true });
                return self.execute_own(&statement).await;
            }
            Some(Portal::Several(parked)) => {
                let parked = Arc::clone(parked);
                self.course.statement(parked.statement.lexed.kind);
                return self.execute_several(&parked, rows_max).await;
            }
            Some(Portal::Backend { shard, kind, effects, taking, aim, restoring }) => {
                (*shard, *kind, *effects, taking.clone(), *aim, restoring.clone())
            }
            None => (self.shard_of_cursor(name)?, StatementKind::Fetch, Effects::default(), None, None, None),
        };
        if let Some(aim) = aim {
            Box::pin(self.strike(aim)).await?;
        }
        let index = match self.ready_target(shard) {
            Some(index) => index,
            None => self.target(shard, Access::Read).await?,
        };
        if let Some((taking, alone)) = &taking {
            self.note_taken(index, taking, *alone);
        }
        let backend = &mut *self.held[index].lease;
        write::execute(&mut backend.output, name, rows_max);
        backend.pipeline.sent(Sent::Execute, Audience::Client);
        backend.memory.untracked |= effects.untracked;
        if let Some(sql) = restoring {
            self.restore_in_batch(index, &sql);
        }
        self.course.statement(kind);
        self.course.runs(Tier::Single, 1);
        self.batch.effects = self.batch.effects.and(effects);
        self.batch.executed = true;
        if matches!(kind, StatementKind::Deallocate | StatementKind::Discard) {
            // What comes next must know which statements the server still has.
            return self.flush_target().await;
        }
        self.relieve_if_much(index).await
    }

    /// A statement that the session obeys itself: what was sent before must have been answered.
    async fn execute_own(&mut self, statement: &Statement) -> Result<(), Fault> {
        self.flush().await?;
        if self.batch.failed {
            return Ok(());
        }
        let Some(verb) = &statement.lexed.verb else { return Ok(()) };
        if matches!(verb, Verb::Begin(_) | Verb::Commit(_) | Verb::Rollback(_)) {
            // It is about what was done before it in this batch, too.
            self.adopt()?;
        }
        if let Verb::Deallocate(_) = verb {
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
            return match self.forget_names(verb) {
                true => Ok(()),
                false => Err(unknown("the prepared statement does not exist any more".to_owned())),
            };
        }
        let ended = matches!(verb, Verb::Commit(_) | Verb::Rollback(_));
        let obeyed = self.obey(verb, statement.lexed.span.of(&statement.sql)).await;
        if ended && self.transaction.status() == Status::Idle {
            self.batch.piped = false;
            self.batch.executed = false;
            self.portals.clear();
            self.batch.without_portals = true;
        }
        obeyed
    }

    async fn close(&mut self, target: Target, name: &[u8]) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        if target == Target::Statement && self.is_by_sql(name) {
            return self.pass_by_sql(name, Sent::Close).await;
        }
        if target == Target::Statement {
            let place = self.place();
            self.names.change(name, None, place);
            self.say(answer::CLOSE_COMPLETE);
            return Ok(());
        }
        let shard = match self.portals.get(name) {
            Some(Portal::Backend { shard, .. }) => Some(*shard),
            Some(Portal::Session { .. } | Portal::Several(_)) | None => None,
        };
        self.portals.remove(name);
        let Some(shard) = shard else {
            self.say(answer::CLOSE_COMPLETE);
            return Ok(());
        };
        let index = self.target_also_failed(shard).await?;
        let backend = &mut *self.held[index].lease;
        write::close(&mut backend.output, Target::Portal, name);
        backend.pipeline.sent(Sent::Close, Audience::Client);
        self.relieve(index).await
    }
}

fn wrong_count(bind: &Bind<'_>, wanted: usize) -> Fault {
    let (given, name) = (bind.values.len(), lossy(bind.statement));
    let text = format!("bind message supplies {given} parameters, but prepared statement \"{name}\" requires {wanted}");
    MeshError::ParameterCount(text).into()
}

fn unknown(text: String) -> Fault {
    MeshError::UnknownStatement(text).into()
}
