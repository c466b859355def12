//! The pinned placement: a key's canonical bytes, their slot, and the shard that holds the slot.
//! Out: SQL; where a value comes from. Invariant: nothing here may ever change for a key that is in use: the vectors
//! in `testdata/placement.txt` are frozen, and rows would be looked for on the wrong shard.
//!
//! `slot = XXH3-64(seed 0, canonical bytes) >> 50`, 16,384 slots. NULL alone is slot 0.

mod canonical;
mod key_type;

pub(crate) use canonical::uuid_of_text as uuid;
pub use canonical::{Canonical, KeyBytes, Use};
pub use key_type::{KeyKind, KeyType, TextRule};

use crate::schema::ShardIndex;

/// Number of slots.
pub const SLOTS: u16 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 14;

/// A slot, below [`SLOTS`].
pub type Slot = u16;

/// The slot of a key, from the canonical bytes of its parts (`None` is NULL).
///
/// A key of one part hashes its bytes as they are; a composite one hashes each part behind its length as u32
/// little-endian, a NULL part being the length 0xFFFF_FFFF and nothing else.
#[must_use]
pub fn slot_of(parts: &[Option<&[u8]>]) -> Slot {
    match parts {
        [] | [None] => 0,
        [Some(bytes)] => slot_of_bytes(bytes),
        parts => {
            let mut joined =
                Vec::with_capacity(parts.iter().flatten().map(|part| part.len()).sum::<usize>() + 4 * parts.len());
            for part in parts {
                match part {
                    Some(bytes) => {
                        joined.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1).to_le_bytes());
                        joined.extend_from_slice(bytes);
                    }
                    None => joined.extend_from_slice(&u32::MAX.to_le_bytes()),
                }
            }
            slot_of_bytes(&joined)
        }
    }
}

fn slot_of_bytes(bytes: &[u8]) -> Slot {
    (xxhash_rust::xxh3::xxh3_64(bytes) >> (64 - SLOT_BITS)) as Slot
}

/// Which shard holds which slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap {
    /// First slot of each run, ascending from 0, and the shard that holds the run.
    runs: Vec<(Slot, ShardIndex)>,
}

impl SlotMap {
    /// The default: contiguous runs of equal length; shard `i` of `n` starts at slot `i * 16384 / n`.
    #[must_use]
    pub fn even(shards: ShardIndex) -> Self {
        let count = u32::from(shards.max(1));
        let runs = (0..count)
            .map(|shard| ((shard * u32::from(SLOTS) / count) as Slot, shard as ShardIndex))
            .collect::<Vec<_>>();
        Self { runs }
    }

    /// The shard that holds this slot.
    #[must_use]
    pub fn shard(&self, slot: Slot) -> ShardIndex {
        let after = self.runs.partition_point(|(first, _)| *first <= slot);
        after.checked_sub(1).and_then(|run| self.runs.get(run)).map_or(0, |(_, shard)| *shard)
    }

    /// The runs: first slot, last slot, shard.
    pub fn runs(&self) -> impl Iterator<Item = (Slot, Slot, ShardIndex)> + '_ {
        self.runs.iter().enumerate().map(|(i, (first, shard))| {
            let last = self.runs.get(i + 1).map_or(SLOTS - 1, |(next, _)| next.saturating_sub(1));
            (*first, last, *shard)
        })
    }
}

#[cfg(test)]
mod tests;
