//! What happens to pools while nobody asks: old and idle backends are closed, the minimum is kept open, tables are filled.
//! In: the upkeep task, shutting down, snapshots. Out: handing out backends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Pools;
use super::connector::{Connector, ShardId, WorkerId};
use super::error::AcquireError;
use super::shard::{KeyPool, Shard};
use super::snapshot::{BackendSnapshot, BackendState, KeySnapshot, ShardSnapshot};

const TICK: Duration = Duration::from_secs(1);

impl<C: Connector> Pools<C> {
    /// Reaps and warms until [`Self::shut_down`]; one task runs it.
    pub async fn upkeep(self: Arc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_shut_down() {
            ticks.tick().await;
            let shards = self.all_shards();
            for shard in &shards {
                shard.reap(Instant::now());
            }
            join_all(shards.iter().map(|shard| keep_warm(shard))).await;
        }
    }

    /// Opens up to `size_min` backends of `key`, for a start that is warm.
    ///
    /// # Errors
    /// The first attempt that fails.
    pub async fn warm(&self, key: &C::Key, worker: WorkerId) -> Result<(), AcquireError> {
        fill(&self.pool(key)?, worker).await
    }

    /// Lets no backend that is open now be used again: idle ones are closed at once, the others when they come back.
    pub fn retire(&self, shard: ShardId) {
        if let Some(shard) = self.shard(shard) {
            shard.retire();
        }
    }

    /// As [`Self::retire`], for all shards.
    pub fn retire_all(&self) {
        self.all_shards().iter().for_each(|shard| shard.retire());
    }

    /// Waits until no backend is held, or `deadline`; says how many still are.
    pub async fn drained(&self, deadline: Instant) -> usize {
        loop {
            let held = self.all_shards().iter().map(|shard| shard.lock().used).sum();
            if held == 0 || Instant::now() >= deadline {
                return held;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// For `SHOW POOLS` and metrics, by shard.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardSnapshot<C::Key>> {
        let size_max = self.settings().size_max.max(1);
        self.all_shards().iter().map(|shard| shard.snapshot(size_max)).collect()
    }

    /// For `SHOW BACKENDS`, by number.
    #[must_use]
    pub fn backends(&self) -> Vec<BackendSnapshot<C::Key>> {
        let mut list: Vec<_> = self.all_shards().iter().flat_map(|shard| shard.backends()).collect();
        list.sort_by_key(|backend| backend.id);
        list
    }
}

async fn keep_warm<C: Connector>(shard: &Arc<Shard<C>>) {
    let pool = {
        let table = shard.lock();
        if table.outage.is_some() {
            return;
        }
        let Some(latest) = table.keys.get(table.latest_key) else { return };
        Arc::new(KeyPool { key: latest.key.clone(), index: table.latest_key, shard: Arc::clone(shard) })
    };
    if let Err(error) = fill(&pool, WorkerId::NONE).await {
        tracing::debug!(%error, shard = ?shard.id, "the minimum of backends could not be opened");
    }
}

async fn fill<C: Connector>(pool: &Arc<KeyPool<C>>, worker: WorkerId) -> Result<(), AcquireError> {
    let settings = pool.shard.settings.load_full();
    for _ in 0..settings.size_min {
        let Some(ticket) = pool.spare_place(settings.size_min, worker) else { return Ok(()) };
        ticket.open(Instant::now() + settings.connect_timeout).await?.give_back();
    }
    Ok(())
}

impl<C: Connector> Shard<C> {
    fn snapshot(&self, size_max: usize) -> ShardSnapshot<C::Key> {
        let table = self.lock();
        let mut keys: Vec<KeySnapshot<C::Key>> = (table.keys.iter())
            .map(|key| KeySnapshot {
                key: key.key.clone(),
                idle: 0,
                leased: 0,
                opening: 0,
                quarantined: 0,
                leases_total: key.leases,
                opened_total: key.opened,
                closed: key.closed,
            })
            .collect();
        for (place, state) in table.places() {
            let Some(key) = keys.get_mut(place.key) else { continue };
            match state {
                BackendState::Idle => key.idle += 1,
                BackendState::Leased => key.leased += 1,
                BackendState::Opening => key.opening += 1,
                BackendState::Quarantined => key.quarantined += 1,
            }
        }
        ShardSnapshot {
            shard: self.id,
            size_max,
            size: table.used,
            paused: table.paused,
            waiting: table.waiters.len(),
            reserved: table.reserved,
            down: table.outage.as_ref().map(|outage| outage.last.to_string()),
            waits_total: table.totals.waits,
            wait_time_total: table.totals.wait_time,
            wait_timeouts_total: table.totals.wait_timeouts,
            deadlocks_total: table.totals.deadlocks,
            connect_errors_total: table.totals.connect_errors,
            keys,
        }
    }

    fn backends(&self) -> Vec<BackendSnapshot<C::Key>> {
        let now = Instant::now();
        let table = self.lock();
        (table.places())
            .filter_map(|(place, state)| {
                Some(BackendSnapshot {
                    id: place.id,
                    key: table.keys.get(place.key)?.key.clone(),
                    state,
                    session: (state != BackendState::Idle && place.session != 0).then_some(place.session),
                    in_state: now.saturating_duration_since(place.since),
                    age: now.saturating_duration_since(place.opened),
                    leases: place.leases,
                    worker: place.worker,
                })
            })
            .collect()
    }
}
