//! One worker's own look at the cache: a small table without buckets, so that workers do not meet at a lock or a counter.
//! Invariant: at most [`SLOTS`] plans; a plan that the shared part let go is not given out.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Entry, PlanKey};

/// Plans a worker has at hand.
const SLOTS: usize = 1024;

pub(super) struct Front<V> {
    /// Made at the first use.
    slots: Box<[Option<Slot<V>>]>,
}

struct Slot<V> {
    key: PlanKey,
    entry: Arc<Entry<V>>,
    /// Not yet in the entry's own counter.
    hits: u64,
}

impl<V> Slot<V> {
    fn flush(&mut self) -> u64 {
        let hits = std::mem::take(&mut self.hits);
        if hits > 0 {
            self.entry.hits.fetch_add(hits, Relaxed);
        }
        hits
    }
}

impl<V> Front<V> {
    pub(super) fn new() -> Self {
        Self { slots: Box::default() }
    }

    fn place(key: &PlanKey) -> usize {
        (key.spread() >> 32) as usize % SLOTS
    }

    pub(super) fn get(&mut self, key: &PlanKey) -> Option<Arc<V>> {
        let slot = self.slots.get_mut(Self::place(key))?.as_mut().filter(|slot| slot.key == *key)?;
        if slot.entry.gone.load(Relaxed) {
            return None;
        }
        if !slot.entry.used.load(Relaxed) {
            slot.entry.used.store(true, Relaxed);
        }
        slot.hits += 1;
        Some(Arc::clone(&slot.entry.plan))
    }

    /// Remembers an entry that was just used. Gives the hits of the one whose place it takes.
    pub(super) fn put(&mut self, key: PlanKey, entry: Arc<Entry<V>>) -> u64 {
        if self.slots.is_empty() {
            self.slots = (0..SLOTS).map(|_| None).collect();
        }
        let Some(place) = self.slots.get_mut(Self::place(&key)) else { return 0 };
        let hits = place.as_mut().map_or(0, Slot::flush);
        *place = Some(Slot { key, entry, hits: 1 });
        hits
    }

    /// Writes the hits into the entries and lets go of what is gone. Gives their sum.
    pub(super) fn flush(&mut self) -> u64 {
        let mut hits = 0;
        for place in &mut self.slots {
            if let Some(slot) = place {
                hits += slot.flush();
                if slot.entry.gone.load(Relaxed) {
                    *place = None;
                }
            }
        }
        hits
    }
}
