//! A session's place in the queue of a shard, and what it is handed when its turn comes.
//! In: leaving the queue without a trace. Out: who is next (`shard`), who must give way (`deadlock`).

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::connector::{Connector, WorkerId};
use super::error::AcquireError;
use super::lease::{Lease, Ticket};
use super::shard::{KeyPool, Shard};

/// What a waiter is handed.
pub(super) enum Grant<C: Connector> {
    /// A clean backend.
    Ready(Lease<C>),
    /// A place to open a connection in.
    Place(Ticket<C>),
}

/// A session in the queue.
pub(super) struct Waiter<C: Connector> {
    pub(super) session: u64,
    pub(super) began: u64,
    pub(super) worker: WorkerId,
    pub(super) pool: Arc<KeyPool<C>>,
    pub(super) since: Instant,
    /// How often a backend of another key went to a later waiter.
    pub(super) passed_over: u8,
    pub(super) turn: oneshot::Sender<Result<Grant<C>, AcquireError>>,
}

/// The waiting side. Dropping it leaves the queue, and passes on what was just handed over.
pub(super) struct Waiting<C: Connector> {
    pub(super) shard: Arc<Shard<C>>,
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) turn: oneshot::Receiver<Result<Grant<C>, AcquireError>>,
}

impl<C: Connector> Waiting<C> {
    /// Waits for the turn, until `deadline`.
    pub(super) async fn turn(mut self, deadline: Instant) -> Result<Grant<C>, AcquireError> {
        let answer = timeout_at(deadline, &mut self.turn).await;
        let waited = self.since.elapsed();
        match answer {
            Ok(Ok(answer)) => {
                self.shard.waited(waited, false);
                answer
            }
            Ok(Err(_)) => Err(AcquireError::ShuttingDown),
            Err(_) => {
                self.shard.leave(self.number);
                self.turn.close();
                // The turn may have come between the deadline and now: then it is used.
                if let Ok(answer) = self.turn.try_recv() {
                    self.shard.waited(waited, false);
                    return answer;
                }
                self.shard.waited(waited, true);
                Err(match self.shard.lock().paused {
                    true => AcquireError::Paused { shard: self.shard.id, waited },
                    false => AcquireError::WaitedTooLong { shard: self.shard.id, waited },
                })
            }
        }
    }
}

impl<C: Connector> Drop for Waiting<C> {
    fn drop(&mut self) {
        self.shard.leave(self.number);
        self.turn.close();
        if let Ok(Ok(Grant::Ready(lease))) = self.turn.try_recv() {
            lease.give_back();
        }
    }
}
