//! Why a session did not get a backend.
//! In: the refusals of the pool. Out: codes and SQLSTATEs (the error table of the process has them).

use std::time::Duration;

use super::connector::{ConnectError, ShardId};

/// Why a session did not get a backend. None of these touched the session's own transaction on a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// All backends of the shard were busy until the deadline.
    #[error("no backend of the shard became free within {} ms", waited.as_millis())]
    WaitedTooLong {
        /// Which shard.
        shard: ShardId,
        /// How long the session waited.
        waited: Duration,
    },
    /// An operator paused the shard, and did not resume it until the deadline.
    #[error("the shard is paused, and was not resumed within {} ms", waited.as_millis())]
    Paused {
        /// Which shard.
        shard: ShardId,
        /// How long the session waited.
        waited: Duration,
    },
    /// Too many sessions wait for this shard already.
    #[error("too many sessions wait for a backend of the shard")]
    QueueFull {
        /// Which shard.
        shard: ShardId,
    },
    /// This session and others wait for each other's backends, and this one began last. Its transaction must be rolled back
    /// at once (`transaction::Transaction::give_way`), or the others go on waiting.
    #[error("deadlock: transactions wait for each other's backends; this one began last and must be rolled back")]
    Deadlock {
        /// Which shard the session waited for.
        shard: ShardId,
    },
    /// Opening a connection for this session failed.
    #[error("{source}")]
    Connect {
        /// Which shard.
        shard: ShardId,
        /// What went wrong.
        source: ConnectError,
    },
    /// The server failed a moment ago and is being probed; nothing was tried for this session.
    #[error("the shard is down ({last})")]
    Down {
        /// Which shard.
        shard: ShardId,
        /// The last attempt's error.
        last: ConnectError,
    },
    /// The pools are shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

impl AcquireError {
    /// The shard it is about, if one.
    #[must_use]
    pub fn shard(&self) -> Option<ShardId> {
        match self {
            Self::WaitedTooLong { shard, .. }
            | Self::Paused { shard, .. }
            | Self::QueueFull { shard }
            | Self::Deadlock { shard }
            | Self::Connect { shard, .. }
            | Self::Down { shard, .. } => Some(*shard),
            Self::ShuttingDown => None,
        }
    }
}
