//! Pausing a shard: nothing is lent or opened, what is in use comes to its end, so that its server can be restarted.
//! In: the state of a shard and who waits for its end. Out: what an operator says, and in which words.
//!
//! A pause is complete or it is taken back: one that stays half done would only make sessions fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Pools;
use super::connector::{Connector, ShardId};
use super::shard::Shard;

/// How often a pause looks whether all backends are gone.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A pause that was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPaused {
    /// Connections that were in use to the end.
    pub in_use: usize,
    /// How long it was waited for them.
    pub waited: Duration,
}

/// A pause that is being made; dropped before it is complete, it is taken back.
struct Begun<'a, C: Connector>(&'a Pools<C>, &'a Arc<Shard<C>>);

impl<C: Connector> Drop for Begun<'_, C> {
    fn drop(&mut self) {
        self.0.resume_shard(self.1);
    }
}

impl<C: Connector> Pools<C> {
    /// Lets sessions that want the shard wait, closes its idle backends, and returns once none is open; a shard that is paused stays so.
    ///
    /// # Errors
    /// Backends were still in use at `deadline`, or the shard was resumed meanwhile: it is not paused then.
    pub async fn pause(&self, shard: ShardId, deadline: Instant) -> Result<(), NotPaused> {
        let begun_at = Instant::now();
        let shard = self.shard_or_new(shard);
        let begun = {
            let mut table = shard.lock();
            let before = std::mem::replace(&mut table.paused, true);
            // A server that was down may be the one that is to be restarted: the pause ends the talk about it.
            table.outage = None;
            (!before).then(|| {
                self.paused.fetch_add(1, Ordering::SeqCst);
                Begun(self, &shard)
            })
        };
        shard.reap(Instant::now());
        loop {
            let (paused, in_use) = {
                let table = shard.lock();
                (table.paused, table.used + table.reserved)
            };
            if paused && in_use == 0 {
                std::mem::forget(begun);
                return Ok(());
            }
            if !paused || Instant::now() >= deadline {
                return Err(NotPaused { in_use, waited: begun_at.elapsed() });
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Ends a pause: sessions that wait get backends. Says whether there was one.
    pub fn resume(&self, shard: ShardId) -> bool {
        self.shard(shard).is_some_and(|shard| self.resume_shard(&shard))
    }

    fn resume_shard(&self, shard: &Arc<Shard<C>>) -> bool {
        let paused = {
            let mut table = shard.lock();
            table.outage = None;
            std::mem::replace(&mut table.paused, false)
        };
        if paused {
            self.paused.fetch_sub(1, Ordering::SeqCst);
            shard.pump();
            self.resumed.notify_waiters();
        }
        paused
    }

    /// Whether any shard is paused.
    #[must_use]
    pub fn any_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst) > 0
    }

    /// Waits until none of `shards` is paused, or `deadline`: who needs several shards must not hold one of them while it
    /// waits for the operator of another.
    pub async fn until_resumed(&self, shards: impl Iterator<Item = ShardId> + Clone, deadline: Instant) {
        while self.any_paused() {
            let mut resumed = std::pin::pin!(self.resumed.notified());
            resumed.as_mut().enable();
            let paused = |id| self.shard(id).is_some_and(|shard| shard.lock().paused);
            if !shards.clone().any(paused) || timeout_at(deadline, resumed).await.is_err() {
                return;
            }
        }
    }
}
