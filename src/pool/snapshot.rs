//! What the admin tables and the metrics see of the pools: plain values, copied out under the lock.
//! In: numbers and names. Out: anything that can change a pool.

use std::time::Duration;

use super::connector::{ShardId, WorkerId};

/// Why a backend was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseReason {
    /// The session dropped its lease without having proven the backend clean.
    NotClean,
    /// The server closed it, or it sent bytes that nobody asked for, while it was idle.
    Dead,
    /// It broke while a session used it.
    Broken,
    /// Older than `age_max`.
    Age,
    /// Idle for longer than `idle_max`.
    Idle,
    /// Closed to make room for a backend of another key of the same shard.
    MakeRoom,
    /// The cap was lowered, the shard was drained or changed, or the process shuts down.
    Drained,
}

impl CloseReason {
    /// All of them, in the order of the counters of [`KeySnapshot::closed`].
    pub const ALL: [Self; 7] =
        [Self::NotClean, Self::Dead, Self::Broken, Self::Age, Self::Idle, Self::MakeRoom, Self::Drained];

    /// The word that tables and metrics use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotClean => "not_clean",
            Self::Dead => "dead",
            Self::Broken => "broken",
            Self::Age => "age",
            Self::Idle => "idle",
            Self::MakeRoom => "make_room",
            Self::Drained => "drained",
        }
    }
}

/// One shard, for `SHOW POOLS` and metrics.
#[derive(Clone, Debug)]
pub struct ShardSnapshot<K> {
    /// Which shard.
    pub shard: ShardId,
    /// The cap.
    pub size_max: usize,
    /// Backends that count to the cap now, in whatever state.
    pub size: usize,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Sessions waiting now.
    pub waiting: usize,
    /// Connections outside the cap now.
    pub reserved: usize,
    /// The last error, while the server is held to be down.
    pub down: Option<String>,
    /// How many acquires had to wait, ever.
    pub waits_total: u64,
    /// How long they waited together.
    pub wait_time_total: Duration,
    /// How many gave up at their deadline, ever.
    pub wait_timeouts_total: u64,
    /// How many were refused as the youngest of a deadlock, ever.
    pub deadlocks_total: u64,
    /// Connection attempts that failed, ever.
    pub connect_errors_total: u64,
    /// The keys of this shard.
    pub keys: Vec<KeySnapshot<K>>,
}

/// One pool: one key of a shard.
#[derive(Clone, Debug)]
pub struct KeySnapshot<K> {
    /// The key.
    pub key: K,
    /// Backends nobody uses.
    pub idle: usize,
    /// Backends that sessions hold.
    pub leased: usize,
    /// Connections being opened.
    pub opening: usize,
    /// Backends kept aside until a kill is resolved.
    pub quarantined: usize,
    /// Leases given out, ever.
    pub leases_total: u64,
    /// Connections opened, ever.
    pub opened_total: u64,
    /// Connections closed, ever, by [`CloseReason::ALL`].
    pub closed: [u64; CloseReason::ALL.len()],
}

/// What a backend is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// Being opened.
    Opening,
    /// In the pool.
    Idle,
    /// Held by a session.
    Leased,
    /// Kept aside until a kill is resolved.
    Quarantined,
}

impl BackendState {
    /// The word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Idle => "idle",
            Self::Leased => "leased",
            Self::Quarantined => "quarantined",
        }
    }
}

/// One backend, for `SHOW BACKENDS`.
#[derive(Clone, Debug)]
pub struct BackendSnapshot<K> {
    /// A number that is never used again in this process.
    pub id: u64,
    /// Its key.
    pub key: K,
    /// What it is doing.
    pub state: BackendState,
    /// The session that holds it or opens it.
    pub session: Option<u64>,
    /// For how long it has been in this state.
    pub in_state: Duration,
    /// How long ago it was opened.
    pub age: Duration,
    /// Leases so far.
    pub leases: u64,
    /// The worker that its socket is registered with.
    pub worker: WorkerId,
}
