//! Pools of backends: hard caps per shard, first come first served, and no session waits for ever.
//!
//! In: who gets which backend, when one is opened or closed, and which waiting transactions are refused because they wait
//! for each other. Out: what a backend speaks, and whether it is clean (the session that used it proves that).
//!
//! ```text
//! let asker = Asker { session, worker, began, holds: &shards_of_my_branches };
//! let mut lease = pools.acquire(&key, &asker, deadline).await?; // or at once: `pools.door(&key)?.idle(..)`
//! lease.send(..).await?;            // `Lease` derefs to the backend
//! lease.give_back();                // only when proven clean; dropping the lease closes the connection
//! ```

mod connector;
mod deadlock;
mod error;
mod lease;
mod open;
mod pause;
mod settings;
mod shard;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod upkeep;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use connector::{Backend, ConnectError, Connector, PoolKey, ShardId, WorkerId};
pub use error::AcquireError;
pub use lease::{Lease, Quarantined, Reserved};
pub use pause::NotPaused;
pub use settings::PoolSettings;
pub use snapshot::{BackendSnapshot, BackendState, CloseReason, KeySnapshot, ShardSnapshot};

use deadlock::Wait;
use shard::{KeyPool, Shard, Taken};
use waiting::Grant;

/// Who asks for a backend.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The session; not 0.
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
    keys: DashMap<C::Key, Arc<KeyPool<C>>>,
    shards: DashMap<ShardId, Arc<Shard<C>>>,
    ids: Arc<AtomicU64>,
    workers: usize,
    closed: AtomicBool,
    /// How many shards are paused.
    paused: AtomicUsize,
    /// A shard was resumed.
    resumed: Notify,
}

/// The way to the backends of one key without a look-up.
pub struct Door<C: Connector>(Arc<KeyPool<C>>);

impl<C: Connector> Door<C> {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &C::Key {
        &self.0.key
    }

    /// An idle backend, if there is one and nobody waits for any; otherwise [`Pools::acquire`] says what is to be had.
    #[must_use]
    pub fn idle(&self, session: u64, worker: WorkerId, now: Instant) -> Option<Lease<C>> {
        loop {
            // A dead one is closed, which frees its place; the next is tried.
            if let Ok(lease) = self.0.shard.take_idle(&self.0, session, worker, now)?.settle(worker) {
                return Some(lease);
            }
        }
    }
}

impl<C: Connector> Pools<C> {
    /// Empty pools for `workers` worker threads; nothing is opened before it is asked for.
    #[must_use]
    pub fn new(connector: C, settings: PoolSettings, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            connector: Arc::new(connector),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            keys: DashMap::new(),
            shards: DashMap::new(),
            ids: Arc::new(AtomicU64::new(1)),
            workers,
            closed: AtomicBool::new(false),
            paused: AtomicUsize::new(0),
            resumed: Notify::new(),
        })
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
        for shard in self.all_shards() {
            shard.pump();
            shard.reap(Instant::now());
        }
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
    pub async fn acquire(&self, key: &C::Key, asker: &Asker<'_>, deadline: Instant) -> Result<Lease<C>, AcquireError> {
        let pool = self.pool(key)?;
        loop {
            match pool.shard.take(&pool, asker, Instant::now())? {
                // A dead one is closed, which frees its place; the next idle one is tried.
                Taken::Idle(lease) => {
                    if let Ok(lease) = lease.settle(asker.worker) {
                        return Ok(lease);
                    }
                }
                Taken::Place(ticket) => return ticket.open(deadline).await,
                Taken::Queue(waiting) => {
                    if asker.holds.iter().any(|shard| self.is_waited_for(*shard)) {
                        self.break_deadlocks();
                    }
                    return match waiting.turn(deadline).await? {
                        Grant::Ready(lease) => match lease.settle(asker.worker) {
                            Ok(lease) => Ok(lease),
                            Err(ticket) => ticket.open(deadline).await,
                        },
                        Grant::Place(ticket) => ticket.open(deadline).await,
                    };
                }
            }
        }
    }

    /// The way to the backends of `key`, for one who comes again and again.
    ///
    /// # Errors
    /// The pools shut down.
    pub fn door(&self, key: &C::Key) -> Result<Door<C>, AcquireError> {
        self.pool(key).map(Door)
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
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&index| keys.get(index).map(PoolKey::shard));
        let mut holds = asker.holds.to_vec();
        let mut leases: Vec<(usize, Lease<C>)> = Vec::with_capacity(keys.len());
        for index in order {
            let Some(key) = keys.get(index) else { continue };
            match self.acquire(key, &Asker { holds: &holds, ..*asker }, deadline).await {
                Ok(lease) => {
                    holds.push(key.shard());
                    leases.push((index, lease));
                }
                Err(error) => {
                    leases.into_iter().for_each(|(_, lease)| lease.give_back());
                    return Err(error);
                }
            }
        }
        leases.sort_by_key(|(index, _)| *index);
        Ok(leases.into_iter().map(|(_, lease)| lease).collect())
    }

    /// A new connection outside the cap: for kill, cancel, probes and recovery, which must work when the pool is full.
    ///
    /// # Errors
    /// As [`Self::acquire`]; the number of such connections per shard is limited too.
    pub async fn reserved(&self, key: &C::Key, deadline: Instant) -> Result<Reserved<C>, AcquireError> {
        let pool = self.pool(key)?;
        let place = pool.shard.reserve()?;
        let until = deadline.min(Instant::now() + self.settings.load().connect_timeout);
        match timeout_at(until, self.connector.connect(key, until)).await.unwrap_or(Err(ConnectError::TimedOut)) {
            Ok(backend) => Ok(Reserved { backend, _place: place }),
            Err(source) => Err(AcquireError::Connect { shard: pool.shard.id, source }),
        }
    }

    /// Refuses every acquire from now on, also those that wait, and closes what is idle.
    pub fn shut_down(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.all_shards().iter().for_each(|shard| shard.close());
    }

    pub(self) fn is_shut_down(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The pool of `key`, made if it is new.
    fn pool(&self, key: &C::Key) -> Result<Arc<KeyPool<C>>, AcquireError> {
        if let Some(pool) = self.keys.get(key) {
            return Ok(Arc::clone(&pool));
        }
        let shard = self.shard_or_new(key.shard());
        // A shard that is new while the pools shut down may have been missed there.
        if self.is_shut_down() {
            return Err(AcquireError::ShuttingDown);
        }
        let pool = self.keys.entry(key.clone()).or_insert_with(|| shard.add_key(key.clone()));
        Ok(Arc::clone(&pool))
    }

    fn shard_or_new(&self, id: ShardId) -> Arc<Shard<C>> {
        Arc::clone(&self.shards.entry(id).or_insert_with(|| {
            let (connector, settings) = (Arc::clone(&self.connector), Arc::clone(&self.settings));
            Arc::new(Shard::new(id, connector, settings, Arc::clone(&self.ids), self.workers))
        }))
    }

    fn shard(&self, id: ShardId) -> Option<Arc<Shard<C>>> {
        self.shards.get(&id).map(|shard| Arc::clone(&shard))
    }

    /// All shards, in the order of their ids.
    fn all_shards(&self) -> Vec<Arc<Shard<C>>> {
        let mut list: Vec<Arc<Shard<C>>> = self.shards.iter().map(|shard| Arc::clone(&shard)).collect();
        list.sort_by_key(|shard| shard.id);
        list
    }

    fn is_waited_for(&self, shard: ShardId) -> bool {
        self.shard(shard).is_some_and(|shard| !shard.lock().waiters.is_empty())
    }

    /// Refuses the youngest of sessions that wait for each other. Only who waits while holding a backend can close such a
    /// circle, so only they call this. All shards are locked at once, in their order: the picture is exact.
    fn break_deadlocks(&self) {
        let shards = self.all_shards();
        let mut tables: Vec<_> = shards.iter().map(|shard| shard.lock()).collect();
        let mut holders = Vec::with_capacity(tables.len());
        let mut waits = Vec::new();
        let mut numbers = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            // Who waits for the end of a pause does not wait for another session.
            holders.push(if table.waiters.is_empty() || table.paused { None } else { table.holders() });
            for (number, waiter) in &table.waiters {
                waits.push(Wait { session: waiter.session, began: waiter.began, shard: index });
                numbers.push(*number);
            }
        }
        let mut refused = Vec::new();
        for victim in deadlock::victims(&holders, &waits) {
            let (Some(wait), Some(number)) = (waits.get(victim), numbers.get(victim)) else { continue };
            if let (Some(table), Some(shard)) = (tables.get_mut(wait.shard), shards.get(wait.shard))
                && let Some(waiter) = table.waiters.remove(number)
            {
                table.totals.deadlocks += 1;
                refused.push((shard.id, waiter));
            }
        }
        drop(tables);
        for (shard, waiter) in refused {
            shard::refuse_all(std::iter::once(waiter), &AcquireError::Deadlock { shard });
        }
    }
}
