//! The short way of statements that ask for nothing special: from the client's bytes to a backend in one step, without waiting.
//! In: finding out that this is possible. What is not recognised here takes the usual way (`simple`, `extended`), and comes to
//! the same. Out: anything that has to ask, to wait or to fail.

use std::sync::Arc;

use protocol::postgres::frontend::{self, Bind, Parse};
use protocol::postgres::{Audience, FrontendMessage, Sent, wire, write};
use sharding::lexer::{Dialect, Flags, StatementKind};
use sharding::plan::Bound;
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::batch::Portal;
use super::effects::Effects;
use super::fault::Stop;
use super::held::{Held, OUTPUT_ROOM};
use super::route::Asked;
use super::sequences::may_take;
use super::simple::access_of;
use crate::config::Protocol;
use crate::metrics::Tier;
use crate::pool::Backend as _;
use crate::postgres::execution::parameters;
use crate::postgres::statements::{Lexed, Statement};

/// `Describe` of the unnamed portal.
const DESCRIBE: &[u8] = b"D\0\0\0\x06P\0";
/// `Execute` of the unnamed portal, for all rows.
const EXECUTE: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";
/// `Sync`.
const SYNC: &[u8] = b"S\0\0\0\x04";

/// What a statement may have in it and still be like any other: rows are all that it touches.
const ORDINARY: Flags = Flags::WRITES
    .with(Flags::RETURNING)
    .with(Flags::LOCKS_ROWS)
    .with(Flags::LOCKS_ROWS_SHARED)
    .with(Flags::VOLATILE)
    .with(Flags::STABLE);

/// A statement that can run on a backend that the session has.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtOnce {
    /// Its backend, among those held.
    pub index: usize,
    /// The backend's shard.
    pub shard: ShardIndex,
    /// What it does there.
    pub access: Access,
}

impl Lexed {
    /// Whether it reads or writes rows and does nothing else.
    fn is_ordinary(&self) -> bool {
        use StatementKind as Kind;
        self.known
            && self.verb.is_none()
            && matches!(self.kind, Kind::Select | Kind::Insert | Kind::Update | Kind::Delete)
            && ORDINARY.has(self.flags)
    }
}

/// A batch of one statement and nothing else, as drivers send it for a query with parameters.
struct Alone<'a> {
    parse: Option<(&'a [u8], Parse<'a>)>,
    /// The whole message.
    frame: &'a [u8],
    bind: Bind<'a>,
    described: bool,
    /// Everything behind the `Bind`.
    rest: &'a [u8],
    /// Bytes of all of it.
    total: usize,
}

impl<'a> Alone<'a> {
    /// Reads `[Parse] Bind [Describe] Execute Sync` for unnamed portals; nothing of it may be longer than `max`.
    fn read(bytes: &'a [u8], max: usize) -> Option<Self> {
        let (mut frame, mut message) = take(bytes, max)?;
        let mut at = frame.len();
        let parse = match message {
            FrontendMessage::Parse(parse) => {
                let parsed = (frame, parse);
                (frame, message) = take(bytes.get(at..)?, max)?;
                at += frame.len();
                Some(parsed)
            }
            _ => None,
        };
        let FrontendMessage::Bind(bind) = message else { return None };
        let behind = bytes.get(at..)?;
        let described = behind.strip_prefix(DESCRIBE);
        let end = described.unwrap_or(behind).strip_prefix(EXECUTE)?.strip_prefix(SYNC)?;
        let rest = &behind[..behind.len() - end.len()];
        let same = parse.as_ref().is_none_or(|(_, parse)| parse.name == bind.statement);
        let total = at + rest.len();
        (same && bind.portal.is_empty()).then_some(Self {
            parse,
            frame,
            bind,
            described: described.is_some(),
            rest,
            total,
        })
    }
}

/// The first message, if it is whole and small.
fn take(bytes: &[u8], max: usize) -> Option<(&[u8], FrontendMessage<'_>)> {
    let header = wire::header(bytes, wire::MESSAGE_BYTES_MAX).ok().flatten()?;
    let frame = bytes.get(..header.total).filter(|_| header.total <= max && matches!(header.tag, b'P' | b'B'))?;
    let message = wire::Message { tag: header.tag, body: &frame[wire::HEADER_BYTES..], total: header.total };
    Some((frame, frontend::decode(&message).ok()?))
}

impl Session {
    /// Whether nothing of what was before stands between a statement and its backend.
    fn is_plain(&self) -> bool {
        let odd = self.unlearnt || self.meaning.doubt || self.pin.is_some() || self.taken.is_fresh();
        !odd && self.batch.is_empty() && self.unproven.is_empty()
    }

    /// A backend for a statement, if it needs but one, which can be had without waiting and is as the session wants it.
    pub(super) fn at_once(&mut self, asked: Asked<'_>) -> Option<AtOnce> {
        if !asked.lexed.is_ordinary() || !self.is_plain() {
            return None;
        }
        let (shard, access) = self.way_at_once(asked)?;
        let index = self.enter_at_once(shard, access)?;
        Some(AtOnce { index, shard, access })
    }

    /// The one shard that a statement needs, if its plan is known.
    fn way_at_once(&mut self, asked: Asked<'_>) -> Option<(ShardIndex, Access)> {
        let (access, relay) = (access_of(asked.lexed.kind, asked.lexed.flags), self.is_relay());
        let takes = may_take(asked.lexed);
        if relay && !takes {
            return Some((self.home_shard(), access));
        }
        let dialect = Dialect::Postgres(self.modes);
        if asked.lexed.flags.has(Flags::MIXED_ROWS) || self.settings.reading().null_equals {
            return None;
        }
        let schema = self.catalog()?.current()?;
        // Mostly the usual one, which costs nothing to copy.
        let path = self.settings.reading().path.clone();
        let key = self.scope(&schema, dialect, &path).key(asked.lexed.fingerprint);
        let plan = self.mesh.plans.get(self.worker.0, &key)?;
        if takes && !plan.draws.is_nothing() {
            return None;
        }
        if relay {
            self.counters.plan(Protocol::Postgres, true);
            return Some((self.home_shard(), access));
        }
        let effects = plan.effects;
        if !plan.edits.is_empty() || effects.unknown || effects.changes_schema {
            return None;
        }
        let utf8 = self.speaks_utf8();
        let Asked { sql, lexed, parameters } = asked;
        match plan.bind(&schema, &parameters::Bound { sql, lexed, dialect, parameters, utf8 }) {
            Ok(Bound::Single { shard, anywhere: false }) => {
                self.counters.plan(Protocol::Postgres, true);
                let access = if effects.writes || effects.locks { Access::Write } else { access };
                Some((shard, access))
            }
            _ => None,
        }
    }

    /// As [`Self::enter`], if nothing has to be sent or awaited first.
    fn enter_at_once(&mut self, shard: ShardIndex, access: Access) -> Option<usize> {
        if !self.transaction.has_joined(shard) {
            return None;
        }
        let index = match self.held.iter().position(|held| held.shard == shard) {
            Some(index) if self.held[index].lease.is_out_of_reach() => index,
            Some(_) => return None,
            None => {
                let mut lease = self.take_idle(shard)?;
                if lease.memory.late || !self.has_settings(&mut lease.memory) {
                    lease.give_back_at(self.course.latest());
                    return None;
                }
                lease.output.reserve(OUTPUT_ROOM);
                self.held.push(Held { shard, lease, fresh: false, untried: true, aligned: 0 });
                self.held.len() - 1
            }
        };
        // With one branch at most there is no other writer, and a branch that is there needs no BEGIN.
        let sends = self.transaction.touch(&[shard], access).ok()?;
        debug_assert!(sends.is_empty());
        if access == Access::Write {
            self.held[index].lease.speaks_for(self.entry.id);
        }
        Some(index)
    }

    /// Sends the batch at the front of `bytes` if it is one statement that can go at once. How many bytes it has, and where
    /// it went.
    pub(super) fn batch_at_once(&mut self, bytes: &[u8]) -> Option<(usize, AtOnce)> {
        if !self.is_plain() {
            return None;
        }
        let alone = Alone::read(bytes, self.config.limits.sql_bytes_max)?;
        let bind = &alone.bind;
        let statement = match &alone.parse {
            Some((_, parse))
                if parse.name.is_empty() && self.names.len() < self.config.limits.session_statements_max =>
            {
                self.statement_of(parse)
            }
            Some(_) => return None,
            None => self.course.again(self.names.get(bind.statement)?),
        };
        let wanted = statement.lexed.placeholders.max(statement.types.len());
        let named = !bind.statement.is_empty();
        let usual = bind.values.len() == wanted
            && statement.lexed.is_ordinary()
            && (alone.parse.is_some() || !statement.is_stale())
            && (!named || statement.scope() == self.scope_number());
        let went = if usual { self.send_batch(&alone, &statement) } else { None };
        match went {
            Some(_) => self.course.prepared_is(statement),
            None => self.course.keep(statement),
        }
        went.map(|went| (alone.total, went))
    }

    fn send_batch(&mut self, alone: &Alone<'_>, statement: &Arc<Statement>) -> Option<AtOnce> {
        let types = self.known_types(statement);
        // Without parameters nothing has to be known of them.
        let relay = self.is_relay() && !may_take(&statement.lexed);
        if !relay && types.contains(&0) {
            return None;
        }
        let parameters = match relay {
            true => Vec::new(),
            false => parameters::decode(&alone.bind, &types, self.speaks_utf8()),
        };
        let (bind, lexed) = (&alone.bind, &statement.lexed);
        let AtOnce { index, shard, access } =
            self.at_once(Asked { sql: &statement.sql, lexed, parameters: &parameters })?;
        let named = !bind.statement.is_empty();
        let memory = &mut self.held[index].lease.memory;
        let there = if named { memory.uses_again(statement.number) } else { memory.unnamed == Some(statement.number) };
        if alone.parse.is_none() && !there {
            // It stays held, and the usual way finds it so.
            return None;
        }
        self.batch.begun = true;
        self.notes.clear();
        self.course.begin();
        self.guard_sequences(index, None, false, access, true);
        let backend = &mut *self.held[index].lease;
        let (out, pipeline) = (&mut backend.output, &mut backend.pipeline);
        if let Some((frame, _)) = alone.parse {
            self.names.change(b"", Some(Arc::clone(statement)), Some(pipeline.place()));
            backend.memory.unnamed = Some(statement.number);
            self.batch.parses.push(0);
            out.extend_from_slice(frame);
            pipeline.sent(Sent::Parse, Audience::Client);
        }
        match named {
            true => write::bind_as(out, b"", statement.name(), bind.tail),
            false => out.extend_from_slice(alone.frame),
        }
        out.extend_from_slice(alone.rest);
        pipeline.sent(Sent::Bind, Audience::Client);
        if alone.described {
            pipeline.sent(Sent::DescribePortal, Audience::Client);
        }
        pipeline.sent(Sent::Execute, Audience::Client);
        pipeline.sent(Sent::Sync, Audience::Client);
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.statement(lexed.kind);
        self.course.runs(Tier::Single, 1);
        self.batch.target = Some(shard);
        self.batch.bound = Some(statement.number);
        self.batch.executed = true;
        if self.transaction.status() == Status::Open {
            // It lives as long as the transaction does.
            let (kind, effects) = (lexed.kind, Effects::default());
            let portal = Portal::Backend { shard, kind, effects, taking: None, aim: None, restoring: None };
            self.portals.set(b"", portal);
        }
        Some(AtOnce { index, shard, access })
    }

    /// The answer of a batch that was sent by [`Self::batch_at_once`].
    pub(super) async fn end_at_once(&mut self, sent: AtOnce) -> Result<(), Stop> {
        let synced = self.synced(sent.index, sent.shard).await;
        self.conclude_batch(synced)
    }
}
