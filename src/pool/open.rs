//! Opening connections, and what happens when that fails: the shard is left alone, and one task probes it.
//! In: time limits of attempts, outages. Out: queues and caps (`shard`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connector::{ConnectError, Connector, WorkerId};
use super::error::AcquireError;
use super::lease::{Lease, Ticket};
use super::shard::{KeyPool, refuse_all};
use super::snapshot::CloseReason;
use super::table::Outage;

/// The first pause of the probe; it doubles up to [`PAUSE_MAX`], so a server that is back is found within that.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// An attempt may hang (packets that vanish) while the next ones are made; so most of them are given this time only,
/// and every [`PATIENT`]th all the time that the settings allow, for a server that is slow to log in.
const IMPATIENCE: Duration = Duration::from_millis(1600);
const PATIENT: usize = 8;
const ATTEMPTS_MAX: usize = 16;
/// A shard that nobody asked for in this time is not probed any more; the next who asks tries by itself.
const WANTED: Duration = Duration::from_secs(60);
/// An attempt that had less time than this says nothing about the server.
const FAIR_TIME: Duration = Duration::from_secs(1);

impl<C: Connector> Ticket<C> {
    /// Opens a connection in this place.
    pub(super) async fn open(mut self, deadline: Instant) -> Result<Lease<C>, AcquireError> {
        let pool = Arc::clone(&self.pool);
        let Some(place) = self.place else { return Err(AcquireError::ShuttingDown) };
        if let Some(reason) = self.reason.take() {
            pool.shard.reopen(place, reason);
        }
        self.fresh = true;
        let now = Instant::now();
        let limit = pool.shard.settings.load().connect_timeout;
        let until = deadline.min(now + limit);
        match timeout_at(until, pool.shard.connector.connect(&pool.key, until)).await {
            Ok(Ok(backend)) => {
                pool.shard.opened(place);
                self.reason = Some(CloseReason::NotClean);
                Ok(Lease { backend: Box::new(backend), ticket: self })
            }
            Ok(Err(source)) => {
                pool.connect_failed(&source, self.home);
                Err(AcquireError::Connect { shard: pool.shard.id, source })
            }
            Err(_) => {
                let source = ConnectError::TimedOut;
                if until - now >= FAIR_TIME.min(limit) {
                    pool.connect_failed(&source, self.home);
                }
                Err(AcquireError::Connect { shard: pool.shard.id, source })
            }
        }
    }
}

impl<C: Connector> KeyPool<C> {
    /// An attempt failed. If that is about the server, all who wait are refused and a probe starts.
    pub(super) fn connect_failed(self: &Arc<Self>, error: &ConnectError, worker: WorkerId) {
        let mut table = self.shard.lock();
        table.totals.connect_errors += 1;
        // Who waits for the end of a pause waits for the server that is there then.
        if !error.is_outage() || table.closed || table.paused {
            return;
        }
        let probing = table.outage.as_ref().and_then(|outage| outage.probe);
        let number = probing.unwrap_or_else(|| self.shard.ids.fetch_add(1, Ordering::Relaxed));
        table.outage = Some(Outage { last: error.clone(), probe: Some(number), wanted: Instant::now() });
        let waiters = std::mem::take(&mut table.waiters);
        drop(table);
        refuse_all(waiters.into_values(), &AcquireError::Down { shard: self.shard.id, last: error.clone() });
        if probing.is_none() {
            tracing::warn!(shard = ?self.shard.id, %error, "the shard is down");
            let probe = Probe { pool: Arc::clone(self), number };
            match tokio::runtime::Handle::try_current() {
                Ok(handle) => drop(handle.spawn(probe.run(worker))),
                Err(_) => drop(probe),
            }
        }
    }
}

/// The one task that tries a shard that is down. When it ends, for whatever reason, sessions may try again.
struct Probe<C: Connector> {
    pool: Arc<KeyPool<C>>,
    number: u64,
}

impl<C: Connector> Drop for Probe<C> {
    fn drop(&mut self) {
        if let Some(outage) = &mut self.pool.shard.lock().outage
            && outage.probe == Some(self.number)
        {
            outage.probe = None;
        }
    }
}

impl<C: Connector> Probe<C> {
    /// Whether this outage still lasts, and somebody asked for the shard lately.
    fn is_wanted(&self) -> bool {
        let table = self.pool.shard.lock();
        let outage = table.outage.as_ref().filter(|outage| outage.probe == Some(self.number));
        !table.closed && outage.is_some_and(|outage| outage.wanted.elapsed() < WANTED)
    }

    async fn run(self, worker: WorkerId) {
        let shard = Arc::clone(&self.pool.shard);
        let began = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut next = began + pause;
        let mut attempts = FuturesUnordered::new();
        let mut made = 0_usize;
        while self.is_wanted() {
            tokio::select! {
                () = sleep_until(next) => {
                    if attempts.len() < ATTEMPTS_MAX {
                        let limit = shard.settings.load().connect_timeout;
                        made += 1;
                        let until = Instant::now() + if made.is_multiple_of(PATIENT) { limit } else { limit.min(IMPATIENCE) };
                        let pool = Arc::clone(&self.pool);
                        attempts.push(async move {
                            let attempt = timeout_at(until, pool.shard.connector.connect(&pool.key, until)).await;
                            attempt.unwrap_or(Err(ConnectError::TimedOut))
                        });
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                    next = Instant::now() + pause;
                }
                Some(result) = attempts.next() => match result {
                    Ok(backend) => {
                        tracing::info!(shard = ?shard.id, down_ms = began.elapsed().as_millis(), "the shard is back");
                        self.pool.adopt(backend, worker);
                        return;
                    }
                    Err(error) if error.is_outage() => {
                        if let Some(outage) = &mut shard.lock().outage {
                            outage.last = error;
                        }
                    }
                    Err(error) => {
                        tracing::info!(shard = ?shard.id, %error, "the shard answers again");
                        shard.lock().outage = None;
                        return;
                    }
                },
            }
        }
    }
}

impl<C: Connector> KeyPool<C> {
    /// The probe got through: its connection becomes an idle backend, if there is room.
    fn adopt(self: &Arc<Self>, backend: C::Backend, worker: WorkerId) {
        self.shard.lock().outage = None;
        if let Some(mut ticket) = self.spare_place(usize::MAX, worker)
            && let Some(place) = ticket.place
        {
            self.shard.opened(place);
            ticket.reason = Some(CloseReason::NotClean);
            Lease { backend: Box::new(backend), ticket }.give_back();
        }
    }
}
