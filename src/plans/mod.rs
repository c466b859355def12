//! The plan cache: fingerprint and scope of a statement to its plan, shared by all sessions.
//! A look-up takes a lock that only its own worker takes; the shared part, in segments, is asked on a miss there.
//! Bounded in entries and bytes; what is not used goes first (second chance). Out: what a plan is, and how it is made.

mod front;
mod key;
mod segment;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Protocol;
use front::Front;
pub use key::{PlanKey, PlanScope};
use segment::Segment;

/// Parts of the shared cache; a writer locks one of them.
const SEGMENTS: usize = 16;
/// Longest text that is kept to show a plan.
const TEXT_BYTES_MAX: usize = 1024;
/// What an entry takes besides its plan and text: keys, counters, places in the tables.
const ENTRY_BYTES: usize = 256;

/// Plans by fingerprint and scope.
pub struct Plans<V> {
    fronts: Box<[Mutex<Front<V>>]>,
    segments: Box<[Mutex<Segment<V>>]>,
    limits: Limits,
    counters: Counters,
}

/// The most that is kept; changes live.
#[derive(Debug)]
struct Limits {
    entries_max: AtomicUsize,
    bytes_max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

/// What SHOW PLANS tells about a plan besides its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLabel {
    /// Protocol of the logical database.
    pub protocol: Protocol,
    /// Logical database.
    pub database: Arc<str>,
    /// What it does: `single`, `merge`...
    pub kind: &'static str,
    /// The statement without its literals.
    pub statement: String,
}

/// One cached plan, as SHOW PLANS prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSummary {
    /// What it is.
    pub label: PlanLabel,
    /// Its fingerprint.
    pub fingerprint: u128,
    /// Statements that used it.
    pub hits: u64,
    /// Its size in the cache.
    pub bytes: usize,
}

/// Numbers of the whole cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Plans that are kept.
    pub entries: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Look-ups that found a plan.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Plans that had to go to make room.
    pub evictions: u64,
}

/// One cached plan. Fronts hold it too: `gone` tells them to let go.
struct Entry<V> {
    plan: Arc<V>,
    label: PlanLabel,
    bytes: usize,
    hits: AtomicU64,
    used: AtomicBool,
    gone: AtomicBool,
}

impl<V> Plans<V> {
    /// An empty cache for so many workers. `entries_max` is rounded up to a multiple of 16; 0 keeps nothing.
    #[must_use]
    pub fn new(workers: usize, entries_max: usize, bytes_max: usize) -> Self {
        Self {
            fronts: (0..workers.max(1)).map(|_| Mutex::new(Front::new())).collect(),
            segments: (0..SEGMENTS).map(|_| Mutex::new(Segment::new())).collect(),
            limits: Limits { entries_max: entries_max.into(), bytes_max: bytes_max.into() },
            counters: Counters::default(),
        }
    }

    /// The plan of `key`, looked up on this worker.
    pub fn get(&self, worker: u16, key: &PlanKey) -> Option<Arc<V>> {
        let mut front = self.front(worker);
        if let Some(plan) = front.get(key) {
            return Some(plan);
        }
        let found = lock(self.segment(key)).get(key);
        match found {
            Some(entry) => {
                let plan = Arc::clone(&entry.plan);
                let evicted_hits = front.put(*key, entry);
                self.counters.hits.fetch_add(evicted_hits, Relaxed);
                Some(plan)
            }
            None => {
                self.counters.misses.fetch_add(1, Relaxed);
                None
            }
        }
    }

    /// Keeps `plan`, which takes about `bytes`, unless it alone would fill its segment. An equal key is replaced.
    /// Statements with [`sharding::lexer::Flags::MIXED_ROWS`] and sessions with temporary tables do not belong here.
    pub fn insert(&self, key: PlanKey, plan: Arc<V>, bytes: usize, mut label: PlanLabel) {
        let entries_max = self.limits.entries_max.load(Relaxed).div_ceil(SEGMENTS);
        let bytes_max = self.limits.bytes_max.load(Relaxed) / SEGMENTS;
        shorten(&mut label.statement);
        let bytes = bytes.saturating_add(label.statement.len()).saturating_add(ENTRY_BYTES);
        if entries_max == 0 || bytes > bytes_max {
            return;
        }
        let entry = Entry {
            plan,
            label,
            bytes,
            hits: AtomicU64::new(0),
            used: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        };
        let evicted = lock(self.segment(&key)).insert(key, Arc::new(entry), entries_max, bytes_max);
        self.counters.evictions.fetch_add(evicted, Relaxed);
    }

    /// New limits, which hold from the next insertion on.
    pub fn set_limits(&self, entries_max: usize, bytes_max: usize) {
        self.limits.entries_max.store(entries_max, Relaxed);
        self.limits.bytes_max.store(bytes_max, Relaxed);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for segment in &self.segments {
            lock(segment).clear();
        }
        self.flush();
    }

    /// Numbers of the whole cache.
    pub fn counts(&self) -> PlanCounts {
        self.flush();
        let mut counts = PlanCounts {
            hits: self.counters.hits.load(Relaxed),
            misses: self.counters.misses.load(Relaxed),
            evictions: self.counters.evictions.load(Relaxed),
            ..PlanCounts::default()
        };
        for segment in &self.segments {
            let segment = lock(segment);
            counts.entries += segment.len();
            counts.bytes += segment.bytes();
        }
        counts
    }

    /// At most so many plans, the most used first.
    pub fn summaries(&self, rows_max: usize) -> Vec<PlanSummary> {
        self.flush();
        let mut rows = Vec::new();
        for segment in &self.segments {
            lock(segment).for_each(|key, entry| {
                rows.push(PlanSummary {
                    label: entry.label.clone(),
                    fingerprint: key.fingerprint(),
                    hits: entry.hits.load(Relaxed),
                    bytes: entry.bytes,
                });
            });
        }
        rows.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.label.statement.cmp(&b.label.statement)));
        rows.truncate(rows_max);
        rows
    }

    /// Brings the counts that workers keep for themselves into the entries, and makes them let go of what is gone.
    fn flush(&self) {
        for front in &self.fronts {
            let hits = lock(front).flush();
            self.counters.hits.fetch_add(hits, Relaxed);
        }
    }

    fn front(&self, worker: u16) -> MutexGuard<'_, Front<V>> {
        let number = usize::from(worker) % self.fronts.len();
        lock(&self.fronts[number])
    }

    fn segment(&self, key: &PlanKey) -> &Mutex<Segment<V>> {
        &self.segments[key.spread() as usize % SEGMENTS]
    }
}

/// A panic elsewhere cannot leave these tables half-changed in a way that matters: at worst a plan is missed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shorten(text: &mut String) {
    if text.len() <= TEXT_BYTES_MAX {
        return;
    }
    let mut end = TEXT_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str("...");
    text.shrink_to_fit();
}
