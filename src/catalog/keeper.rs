//! The task that keeps one logical database's catalog fresh: at the start, when asked, when a shard was down, and now
//! and then. Out: how shards are read.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sharding::schema::Schema;
use tokio::time::{Instant, sleep, sleep_until};

use super::assemble::assemble;
use super::control::LoadError;
use super::database::{DatabaseCatalog, Loaded, ShardState};
use super::facts::{Setting, ShardFacts};
use super::finding::{Finding, Severity};
use super::load;
use super::source::Source;

/// How often everything is read again without being asked: changes made behind our back show after this long.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// ... but reading takes at most this part of the time: 5 %.
const READ_SHARE: u32 = 20;

/// Least time between two reads, however often they are asked for.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// At the start, how long shards that answer wait for those that do not.
const STRAGGLER_WAIT: Duration = Duration::from_secs(1);

/// What the task remembers of each shard.
#[derive(Debug, Default)]
struct Memory {
    facts: Vec<Option<Arc<ShardFacts>>>,
    errors: Vec<Option<LoadError>>,
    read_at: Vec<Option<Instant>>,
    published: Option<Published>,
    /// How long after a read everything is read again.
    refresh_pause: Duration,
}

/// The published schema, what was found wrong with it, and the facts that it was made from.
#[derive(Debug)]
struct Published {
    facts: Vec<Option<Arc<ShardFacts>>>,
    schema: Arc<Schema>,
    findings: Vec<Finding>,
}

/// Runs until the catalog is dropped or retired.
pub(super) async fn keep(catalog: Weak<DatabaseCatalog>) {
    let mut memory = Memory::default();
    let mut answered = 0;
    loop {
        let Some(alive) = catalog.upgrade().filter(|catalog| !catalog.is_retired()) else { return };
        let asked = alive.asked();
        memory.resize(alive.source().shards.len());
        let begun = Instant::now();
        let down = memory.errors.iter().enumerate().filter(|(_, error)| error.is_some()).map(|(shard, _)| shard);
        let due = memory.read_at.iter().flatten().min().is_none_or(|oldest| oldest.elapsed() >= memory.refresh_pause);
        let all = asked > answered || due;
        let shards: Vec<usize> = if all { (0..alive.source().shards.len()).collect() } else { down.collect() };
        round(&alive, &mut memory, shards, asked).await;
        if all {
            // Somebody is likely to put it right, and waits for that.
            let pause = if memory.troubled() { alive.source().retry_pause.min(REFRESH_PAUSE) } else { REFRESH_PAUSE };
            memory.refresh_pause = pause.max(begun.elapsed() * READ_SHARE);
        }
        answered = asked;
        let (wake, source) = (Arc::clone(&alive.wake), Arc::clone(alive.source()));
        drop(alive);
        let pause = memory.pause(&source);
        sleep(PAUSE_MIN).await;
        tokio::select! {
            () = wake.notified() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Reads shards and publishes: once all that were up before have answered, and again for each that comes later.
async fn round(catalog: &Arc<DatabaseCatalog>, memory: &mut Memory, shards: Vec<usize>, asked: u64) {
    let source = catalog.source();
    let mut awaited: HashSet<usize> = shards.iter().copied().filter(|shard| memory.was_up(*shard)).collect();
    let mut reads = load::begin(source, shards);
    let stragglers_until = Instant::now() + STRAGGLER_WAIT;
    let mut published = false;
    while !reads.is_empty() {
        let waits = !published && !awaited.is_empty();
        tokio::select! {
            outcome = reads.join_next() => match outcome {
                Some(Ok((shard, outcome))) => {
                    awaited.remove(&shard);
                    memory.note(source, shard, outcome);
                }
                Some(Err(error)) => tracing::error!(%error, "reading a shard failed"),
                None => break,
            },
            // Whoever asks again does not wait for shards that are down.
            () = catalog.wake.notified(), if published => {
                catalog.wake.notify_one();
                return;
            }
            () = sleep_until(stragglers_until), if waits && memory.knows_any() => awaited.clear(),
        }
        if awaited.is_empty() && !reads.is_empty() && memory.knows_any() {
            memory.publish(catalog, asked);
            published = true;
        }
    }
    memory.publish(catalog, asked);
}

impl Memory {
    fn resize(&mut self, shards: usize) {
        self.facts.resize(shards, None);
        self.errors.resize(shards, None);
        self.read_at.resize(shards, None);
    }

    /// True unless the last attempt failed.
    fn was_up(&self, shard: usize) -> bool {
        self.errors.get(shard).is_none_or(Option::is_none)
    }

    fn knows_any(&self) -> bool {
        self.facts.iter().any(Option::is_some)
    }

    /// Something that was published cannot be used: a declared table is missing or differs, shards do not agree.
    fn troubled(&self) -> bool {
        let findings = self.published.iter().flat_map(|published| &published.findings);
        findings.into_iter().any(|finding| finding.severity == Severity::Error)
    }

    fn pause(&self, source: &Source) -> Duration {
        if self.errors.iter().any(Option::is_some) {
            source.retry_pause.min(self.refresh_pause)
        } else {
            self.refresh_pause
        }
    }

    /// Remembers what came of reading a shard. A shard that is down keeps the tables it had.
    fn note(&mut self, source: &Source, shard: usize, outcome: Result<ShardFacts, LoadError>) {
        let (Some(facts), Some(error), Some(read_at)) =
            (self.facts.get_mut(shard), self.errors.get_mut(shard), self.read_at.get_mut(shard))
        else {
            return;
        };
        let name = source.shard_name(shard);
        match outcome {
            Ok(read) => {
                if error.is_some() {
                    tracing::info!(database = source.name, shard = name, "the shard can be read again");
                }
                *error = None;
                *read_at = Some(Instant::now());
                // The same facts keep their place in memory, which makes comparing cheap.
                if facts.as_deref() != Some(&read) {
                    *facts = Some(Arc::new(read));
                }
            }
            Err(cause) => {
                if error.is_none() {
                    tracing::warn!(database = source.name, shard = name, %cause, "the tables of a shard cannot be read");
                }
                *error = Some(cause);
            }
        }
    }

    fn publish(&mut self, catalog: &DatabaseCatalog, asked: u64) {
        let source = catalog.source();
        let same = |published: &[Option<Arc<ShardFacts>>]| {
            published.len() == self.facts.len()
                && published.iter().zip(&self.facts).all(|(a, b)| match (a, b) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, None) => true,
                    _ => false,
                })
        };
        let kept = self.published.as_ref().filter(|published| same(&published.facts));
        let (schema, mut findings) = match kept {
            Some(kept) => (Arc::clone(&kept.schema), kept.findings.clone()),
            None => {
                let version = catalog.versions.fetch_add(1, Ordering::Relaxed);
                let assembled = assemble(source, &self.facts, version);
                let schema = Arc::new(assembled.schema);
                tracing::info!(
                    database = source.name, protocol = %source.protocol, version,
                    tables = schema.tables().count(), findings = assembled.findings.len(), "schema loaded"
                );
                for finding in &assembled.findings {
                    tracing::warn!(database = source.name, "{finding}");
                }
                let findings = assembled.findings;
                let published =
                    Published { facts: self.facts.clone(), schema: Arc::clone(&schema), findings: findings.clone() };
                self.published = Some(published);
                (schema, findings)
            }
        };
        let failed = self.errors.iter().enumerate().filter_map(|(shard, error)| Some((shard, error.as_ref()?)));
        findings.extend(failed.map(|(shard, error)| load::not_read(source, shard, error)));
        let known = self.read_at.iter().zip(&self.errors).zip(&self.facts);
        let shards = source.shards.iter().zip(known).map(|(shard, ((read_at, error), facts))| {
            let version = facts.as_ref().map(|facts| facts.setting(Setting::Version)).filter(|said| !said.is_empty());
            let (name, version) = (shard.name.clone(), version.map(str::to_owned));
            ShardState { name, read_at: *read_at, version, error: error.clone() }
        });
        catalog.publish(Loaded { schema, findings, shards: shards.collect() }, asked);
    }
}
