//! The parts of a transaction, one per shard, in the order in which the shards were touched.
//! In: roles and who wrote. Out: connections; a branch does not know its backend.

/// Number of a shard in its logical database (the sharding room uses the same numbers).
pub type ShardIndex = u16;

/// What a branch is to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The first shard touched (the metadata participant): begun plainly, never made ready for a two-phase commit.
    Primary,
    /// A shard that joined later.
    Branch,
}

/// A transaction's part on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Which shard.
    pub shard: ShardIndex,
    /// What it is to the transaction.
    pub role: Role,
    /// The transaction's own clock at the first write that is still standing; `None` if it only read.
    pub(crate) wrote_at: Option<u64>,
}

impl Branch {
    /// Whether a statement that writes was sent to it, and was not rolled back since.
    #[must_use]
    pub fn wrote(&self) -> bool {
        self.wrote_at.is_some()
    }
}
