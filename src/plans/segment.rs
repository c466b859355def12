//! A part of the shared cache: a map, and a ring that a hand goes round to find what was not used since it last came by.
//! Invariant: map and ring hold the same keys; entries and bytes stay within the limits given at each insertion.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Entry, PlanKey};

/// Keys are keyed hashes: mixing them again would only cost.
#[derive(Default)]
pub(super) struct KeyBits(u64);

impl Hasher for KeyBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 = self.0.rotate_left(7) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, part: u128) {
        self.0 = self.0.rotate_left(7) ^ (part >> 64) as u64 ^ part as u64;
    }
}

pub(super) struct Segment<V> {
    map: HashMap<PlanKey, Place<V>, BuildHasherDefault<KeyBits>>,
    ring: Vec<PlanKey>,
    hand: usize,
    bytes: usize,
}

struct Place<V> {
    entry: Arc<Entry<V>>,
    at: usize,
}

impl<V> Segment<V> {
    pub(super) fn new() -> Self {
        Self { map: HashMap::default(), ring: Vec::new(), hand: 0, bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, key: &PlanKey) -> Option<Arc<Entry<V>>> {
        let place = self.map.get(key)?;
        place.entry.used.store(true, Relaxed);
        Some(Arc::clone(&place.entry))
    }

    /// Gives how many entries had to go.
    pub(super) fn insert(&mut self, key: PlanKey, entry: Arc<Entry<V>>, entries_max: usize, bytes_max: usize) -> u64 {
        self.remove(&key);
        let mut evicted = 0;
        while !self.ring.is_empty() && (self.len() >= entries_max || self.bytes + entry.bytes > bytes_max) {
            self.evict();
            evicted += 1;
        }
        self.bytes += entry.bytes;
        self.map.insert(key, Place { entry, at: self.ring.len() });
        self.ring.push(key);
        evicted
    }

    /// Moves the hand to an entry that was not used since it last came by, and removes that.
    fn evict(&mut self) {
        let rounds = self.ring.len() * 2;
        for _ in 0..rounds {
            if self.hand >= self.ring.len() {
                self.hand = 0;
            }
            let Some(key) = self.ring.get(self.hand).copied() else { return };
            let used = self.map.get(&key).is_some_and(|place| place.entry.used.swap(false, Relaxed));
            if !used {
                self.remove(&key);
                return;
            }
            self.hand += 1;
        }
        // Every entry is used again as fast as the hand moves: any of them may go.
        if let Some(key) = self.ring.first().copied() {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &PlanKey) {
        let Some(place) = self.map.remove(key) else { return };
        place.entry.gone.store(true, Relaxed);
        self.bytes -= place.entry.bytes;
        self.ring.swap_remove(place.at);
        if let Some(moved) = self.ring.get(place.at).copied()
            && let Some(other) = self.map.get_mut(&moved)
        {
            other.at = place.at;
        }
    }

    pub(super) fn clear(&mut self) {
        for place in self.map.values() {
            place.entry.gone.store(true, Relaxed);
        }
        *self = Self::new();
    }

    pub(super) fn for_each(&self, mut see: impl FnMut(&PlanKey, &Entry<V>)) {
        for (key, place) in &self.map {
            see(key, &place.entry);
        }
    }
}
