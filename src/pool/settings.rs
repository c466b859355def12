//! The knobs of the pools. All can change while sessions run.
//! In: numbers that `Config` has already checked. Out: parsing, defaults of the configuration file.

use std::time::Duration;

/// Limits and times of every pool. The caps are per shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Most backends of a shard at any time, over all keys, reserved ones not counted. 0 is taken as 1.
    pub size_max: usize,
    /// Backends of a shard that upkeep keeps open, once the shard was used.
    pub size_min: usize,
    /// Connections outside the cap (kill, cancel, probes) that a shard may have at once.
    pub reserved_max: usize,
    /// Sessions that may wait for one shard; one more is refused at once.
    pub waiters_max: usize,
    /// Longest wait for a backend; the deadline that a session passes in is computed from it.
    pub wait_max: Duration,
    /// A backend older than this is closed when it comes back or while it is idle.
    pub age_max: Duration,
    /// How much earlier, at most, in per cent of `age_max`, so that backends opened together are not closed together.
    pub age_jitter_percent: u8,
    /// A backend idle for longer than this is closed, unless `size_min` keeps it.
    pub idle_max: Duration,
    /// Longest time for opening a connection, logged in.
    pub connect_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size_max: 32,
            size_min: 0,
            reserved_max: 8,
            waiters_max: 10_000,
            wait_max: Duration::from_secs(5),
            age_max: Duration::from_secs(3600),
            age_jitter_percent: 20,
            idle_max: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(5),
        }
    }
}
