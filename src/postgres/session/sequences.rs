//! What the session has taken from sequences: `lastval` and `currval` tell of it wherever the next statement runs.
//! In: what is noted when a statement takes values, and how it is learnt from the backend before that goes back.
//! Out: statements that ask (`sequence_asks`). Invariant: no session is told a value that another one took.

use std::sync::Arc;

use protocol::postgres::{Audience, Sent, Target, row, write};
use sharding::lexer::{Dialect, Flags, Literal, StatementKind};
use sharding::plan::{Drawn, Draws, literal};
use sharding::value::Value;
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::fault::{Fault, Stop};
use super::relay::send_ahead;
use super::route::Asked;
use crate::postgres::backend::Sequences;
use crate::postgres::settings;
use crate::postgres::statements::Lexed;

const DISCARD: &[u8] = b"DISCARD SEQUENCES";
/// The name of the statement and of the portal by which it is sent in the middle of a batch.
const NAME: &[u8] = b"dmseq";
/// Most sequences whose values a session remembers; a `currval` of one that was forgotten is the server's error.
const KNOWN_MAX: usize = 1000;

/// A sequence by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// As `regclass` reads it.
    pub name: Arc<str>,
    /// The search_path under which the name stands for it; `None`: any.
    pub path: Option<Arc<str>>,
}

/// What a statement takes from sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    /// From these.
    pub from: Vec<Sequence>,
    /// From others, too, perhaps.
    pub others: bool,
    /// If it succeeds it has taken from each of `from`, and from no other.
    pub surely: bool,
}

impl Sequence {
    /// What two names of one sequence have in common, however they are spelled.
    pub fn last_part(&self) -> String {
        last_part(&self.name)
    }
}

/// The last part of a name, in lower case and without quotes.
pub fn last_part(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.trim().trim_matches('"').to_lowercase()
}

impl Taking {
    /// It may take from any sequence.
    pub fn anything() -> Self {
        Self { from: Vec::new(), others: true, surely: false }
    }

    /// Whether it may take from this sequence, by whatever name.
    pub fn may_touch(&self, sequence: &Sequence) -> bool {
        self.others || self.from.iter().any(|taken| taken.last_part() == sequence.last_part())
    }

    /// What both together take.
    pub fn add(&mut self, other: &Self) {
        for sequence in &other.from {
            if !self.from.contains(sequence) {
                self.from.push(sequence.clone());
            }
        }
        self.others |= other.others;
        self.surely &= other.surely;
    }
}

/// What was taken on a backend that the session has had since, so that the backend itself can tell.
#[derive(Debug)]
struct Fresh {
    shard: ShardIndex,
    process_id: u32,
    taking: Taking,
    /// The backend has no values that others took.
    alone: bool,
}

/// What a session has taken from sequences.
#[derive(Debug, Default)]
pub struct Taken {
    /// The value that was taken last, if it was learnt.
    pub last: Option<i64>,
    /// The value that was taken last of each sequence, as far as learnt, by every name that was used, the newest at the
    /// end.
    pub known: Vec<(Sequence, i64)>,
    /// What was not learnt yet, the backend that took last at the end.
    fresh: Vec<Fresh>,
}

impl Taken {
    /// Whether something must be learnt before backends go back.
    pub fn is_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// The shard on which a value was taken last, and what was taken there, if the backend itself can tell.
    pub fn at(&self) -> Option<(ShardIndex, &Taking)> {
        self.fresh.last().map(|fresh| (fresh.shard, &fresh.taking))
    }

    /// A statement on a shard has failed, or may have: nothing is sure any more about what it took.
    pub fn failed(&mut self, shard: ShardIndex) {
        self.fresh.iter_mut().filter(|fresh| fresh.shard == shard).for_each(|fresh| fresh.taking.surely = false);
    }

    fn note(&mut self, shard: ShardIndex, process_id: u32, taking: &Taking, alone: bool) {
        let before = self.fresh.iter().position(|fresh| fresh.shard == shard && fresh.process_id == process_id);
        let fresh = match before {
            Some(index) => {
                let mut fresh = self.fresh.remove(index);
                fresh.taking.add(taking);
                fresh.alone &= alone;
                fresh
            }
            None => Fresh { shard, process_id, taking: taking.clone(), alone },
        };
        self.fresh.push(fresh);
    }

    fn learn(&mut self, taking: &Taking, values: &[Option<i64>]) {
        if taking.others {
            // Each may have been taken from since.
            self.known.clear();
        }
        if let Some(last) = values.first().copied().flatten() {
            self.last = Some(last);
        }
        for (sequence, value) in taking.from.iter().zip(values.iter().skip(1)) {
            if let Some(value) = *value {
                self.known.retain(|(known, _)| known != sequence);
                self.known.push((sequence.clone(), value));
            }
        }
        let surplus = self.known.len().saturating_sub(KNOWN_MAX);
        self.known.drain(..surplus);
    }

    /// What was taken cannot be learnt: the server will say that nothing was taken.
    fn forget(&mut self, taking: &Taking) {
        self.last = None;
        self.known.retain(|(known, _)| !taking.may_touch(known));
    }
}

/// Whether a statement may take values at all, as far as its words show.
pub fn may_take(lexed: &Lexed) -> bool {
    use StatementKind as Kind;
    lexed.flags.any(Flags::SEQUENCE_NEXT.with(Flags::UNKNOWN_FUNCTION))
        || match lexed.kind {
            Kind::Insert | Kind::Copy | Kind::Merge | Kind::Call | Kind::Do | Kind::Execute | Kind::Other => true,
            Kind::Select | Kind::Update | Kind::Delete => false,
            _ => lexed.flags.any(Flags::WRITES),
        }
}

impl Session {
    /// What a statement takes, by its plan's draws.
    pub(super) fn taking(&self, asked: Asked<'_>, draws: &Draws) -> Option<Taking> {
        let lexed = asked.lexed;
        if !may_take(lexed) {
            return None;
        }
        use StatementKind as Kind;
        let opaque = lexed.flags.any(Flags::UNKNOWN_FUNCTION)
            || matches!(lexed.kind, Kind::Merge | Kind::Call | Kind::Do | Kind::Execute | Kind::Other);
        if draws.is_nothing() && !opaque {
            return None;
        }
        let mut taking = Taking { from: Vec::new(), others: draws.others || opaque, surely: draws.surely && !opaque };
        for drawn in &draws.from {
            match drawn {
                Drawn::Sequence(name) => taking.from.push(Sequence { name: Arc::clone(name), path: None }),
                Drawn::Literal(index) => match self.named(asked, *index) {
                    Some(sequence) => taking.from.push(sequence),
                    None => (taking.others, taking.surely) = (true, false),
                },
            }
        }
        Some(taking)
    }

    /// The sequence that a literal names.
    fn named(&self, asked: Asked<'_>, index: usize) -> Option<Sequence> {
        let &Literal { start, end, class } = asked.lexed.literals.get(index)?;
        let bytes = asked.sql.get(start as usize..end as usize)?;
        let Value::Text(name) = literal(bytes, class, Dialect::Postgres(self.modes)) else { return None };
        if self.unlearnt || !(self.speaks_utf8() || name.is_ascii()) {
            return None;
        }
        let name = std::str::from_utf8(&name).ok()?;
        Some(Sequence { name: name.into(), path: Some(self.settings.get("search_path").unwrap_or_default().into()) })
    }

    /// What a statement takes in a database whose statements are not planned.
    pub(super) async fn taking_of_relay(&mut self, asked: Asked<'_>) -> Result<Option<Taking>, Fault> {
        // Boxed: it is large, and most statements take nothing.
        if may_take(asked.lexed) { Box::pin(self.taking_unplanned(asked)).await } else { Ok(None) }
    }

    async fn taking_unplanned(&mut self, asked: Asked<'_>) -> Result<Option<Taking>, Fault> {
        let hidden = self.pin == Some(super::effects::TEMPORARY);
        // Not worth waiting for a catalog that was never read, nor asking for the search_path.
        let read = self.catalog().is_some_and(|catalog| catalog.loaded().is_some());
        if !asked.lexed.known || self.unlearnt || hidden || !read {
            return Ok(Some(Taking::anything()));
        }
        match self.planned(asked).await {
            Ok((plan, _)) => Ok(self.taking(asked, &plan.draws)),
            Err(Fault::Stop(stop)) => Err(stop.into()),
            Err(_) => Ok(Some(Taking::anything())),
        }
    }

    /// Before a statement is sent to a backend that takes values or asks for them: makes the backend forget those that
    /// others took there, where they could be mistaken for the session's own. True if it has no others.
    pub(super) fn guard_sequences(
        &mut self,
        index: usize,
        taking: Option<&Taking>,
        asks: bool,
        access: Access,
        batched: bool,
    ) -> bool {
        if taking.is_none() && !asks && access == Access::Read {
            return false;
        }
        let me = Sequences::Of(self.entry.id);
        // The backend stays: what it will be asked for is what it has.
        let stays = self.pin.is_some()
            || self.transaction.status() != Status::Idle
            || !self.transaction.branches().is_empty()
            || batched && (self.batch.executed || !self.batch.last_bind);
        let held = &mut self.held[index];
        let here = (held.shard, held.lease.process_id());
        let backend = &mut *held.lease;
        // Also a value of our own is forgotten, if we have taken another one elsewhere since.
        let own = backend.memory.sequences == me && self.sequences_at == Some(here);
        let mut alone = own || backend.memory.sequences == Sequences::Untouched;
        if !alone && (asks || taking.is_some_and(|taking| stays || !taking.surely)) {
            if batched {
                let out = &mut backend.output;
                write::parse(out, NAME, DISCARD, std::iter::empty());
                write::bind(out, NAME, NAME, &[], std::iter::empty(), &[]);
                write::execute(out, NAME, 0);
                write::close(out, Target::Portal, NAME);
                write::close(out, Target::Statement, NAME);
                for sent in [Sent::Parse, Sent::Bind, Sent::Execute, Sent::Close, Sent::Close] {
                    backend.pipeline.sent(sent, Audience::ClientErrors);
                }
                self.batch.parses.push(0);
            } else {
                send_ahead(backend, DISCARD);
            }
            backend.memory.sequences = Sequences::Untouched;
            alone = true;
        }
        if access == Access::Write || taking.is_some() {
            let memory = &mut backend.memory;
            memory.sequences = if alone { me } else { Sequences::Mixed };
            if taking.is_some() {
                self.sequences_at = Some(here);
            }
        }
        alone
    }

    /// A statement that takes values is on its way to a backend; `alone`: as [`Self::guard_sequences`] found.
    pub(super) fn note_taken(&mut self, index: usize, taking: &Taking, alone: bool) {
        let held = &self.held[index];
        self.taken.note(held.shard, held.lease.process_id(), taking, alone);
    }

    /// Before another message of the same burst: what the last statement took is learnt, unless its backend stays.
    pub(super) async fn learn_between(&mut self) -> Result<(), Stop> {
        let stays = self.pin.is_some()
            || self.transaction.status() != Status::Idle
            || !self.transaction.branches().is_empty()
            || !self.batch.is_empty();
        if stays { Ok(()) } else { self.learn_taken().await }
    }

    /// Learns what was taken, from backends that may go back now.
    pub(super) async fn learn_taken(&mut self) -> Result<(), Stop> {
        for fresh in std::mem::take(&mut self.taken.fresh) {
            let found = self.held.iter().position(|held| {
                held.shard == fresh.shard
                    && held.lease.process_id() == fresh.process_id
                    && held.lease.pipeline.is_clean()
            });
            let (Some(index), true) = (found, fresh.taking.surely || fresh.alone) else {
                self.taken.forget(&fresh.taking);
                continue;
            };
            // A client that leaves now need not cost the backend.
            match self.ask(index, &question(&fresh.taking), true).await {
                Ok(()) => {
                    let values = answer(self.notes.mesh_rows.last().map_or(&[][..], Vec::as_slice));
                    self.taken.learn(&fresh.taking, &values);
                }
                Err(Fault::Stop(stop)) => return Err(stop),
                Err(_) => self.taken.forget(&fresh.taking),
            }
        }
        Ok(())
    }

    /// DISCARD SEQUENCES or DISCARD ALL has run on a backend.
    pub(super) fn discarded_sequences(&mut self, index: usize) {
        self.taken = Taken::default();
        self.held[index].lease.memory.sequences = Sequences::Untouched;
    }
}

/// Asks a backend for `lastval` and for `currval` of each sequence. Where it is not sure that there is one, the server's
/// error is caught there: it would end up in its log.
fn question(taking: &Taking) -> Vec<u8> {
    let names = taking.from.iter().map(|sequence| settings::literal(&sequence.name));
    if taking.surely {
        let values: String = names.map(|name| format!(",pg_catalog.currval({name})")).collect();
        return format!("SELECT pg_catalog.lastval(){values}").into_bytes();
    }
    let names: Vec<String> = names.collect();
    format!(
        "DO $dbmesh$DECLARE v text:='';n text;BEGIN \
         BEGIN v:=pg_catalog.lastval();EXCEPTION WHEN OTHERS THEN NULL;END;\
         FOREACH n IN ARRAY ARRAY[{}]::text[] LOOP v:=v||',';\
         BEGIN v:=v||pg_catalog.currval(n::pg_catalog.regclass);EXCEPTION WHEN OTHERS THEN NULL;END;END LOOP;\
         PERFORM pg_catalog.set_config('dbmesh.taken',v,true);END$dbmesh$;\
         SELECT pg_catalog.current_setting('dbmesh.taken')",
        names.join(",")
    )
    .into_bytes()
}

/// The values in the row that answers a [`question`].
fn answer(body: &[u8]) -> Vec<Option<i64>> {
    let mut fields = Vec::new();
    if row::fields(body, &mut fields).is_err() {
        return Vec::new();
    }
    let text = |field| row::field(body, field).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let number = |text: &str| text.parse().ok();
    match fields.as_slice() {
        [one] => text(*one).unwrap_or_default().split(',').map(number).collect(),
        several => several.iter().map(|field| text(*field).and_then(number)).collect(),
    }
}
