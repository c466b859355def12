//! A backend in the hands of one session, and what may become of it.
//! In: the ends of a lease (given back clean, closed, kept aside). Out: deciding whether a backend is clean.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connector::{Backend, Connector, ShardId, WorkerId};
use super::error::AcquireError;
use super::shard::{KeyPool, Shard};
use super::snapshot::{BackendState, CloseReason};

/// The right to one place of a shard. Dropping it frees the place.
pub(super) struct Ticket<C: Connector> {
    pub(super) pool: Arc<KeyPool<C>>,
    /// `None` once the place was passed on.
    pub(super) place: Option<usize>,
    pub(super) id: u64,
    /// The worker that the socket is registered with.
    pub(super) home: WorkerId,
    pub(super) waited: Duration,
    pub(super) fresh: bool,
    /// Why the connection is closed, if it is dropped; `None` while there is none.
    pub(super) reason: Option<CloseReason>,
}

impl<C: Connector> Drop for Ticket<C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.pool.shard.freed(place, self.reason);
        }
    }
}

/// A backend that one session holds. Dropping it closes the connection and frees its place.
pub struct Lease<C: Connector> {
    // Declared first, so that the connection is closed before its place is free.
    /// Boxed: it goes from hand to hand with every statement.
    pub(super) backend: Box<C::Backend>,
    pub(super) ticket: Ticket<C>,
}

impl<C: Connector> Lease<C> {
    /// Returns the backend to the pool. Only for a backend that is proven clean; one that a cancel or a kill may still hit
    /// is closed instead.
    pub fn give_back(self) {
        self.give_back_at(Instant::now());
    }

    /// As [`Self::give_back`], by one who knows the time.
    pub fn give_back_at(self, now: Instant) {
        if !self.backend.is_out_of_reach() {
            return self.close(CloseReason::NotClean);
        }
        let Self { backend, mut ticket } = self;
        if let Some(place) = ticket.place.take() {
            ticket.pool.shard.give_back(place, backend, now);
        }
    }

    /// Closes the connection and frees its place; dropping the lease does the same as [`CloseReason::NotClean`].
    pub fn close(mut self, reason: CloseReason) {
        self.ticket.reason = Some(reason);
    }

    /// Closes the connection and opens another one in its place: whatever was left on it cannot be on the new one.
    ///
    /// # Errors
    /// The connection could not be opened; the place is free then.
    pub async fn renew(self, deadline: Instant) -> Result<Self, AcquireError> {
        let Self { backend, mut ticket } = self;
        ticket.reason = Some(CloseReason::NotClean);
        // Closed before another one is opened, so that the server never sees more than the cap.
        drop(backend);
        ticket.open(deadline).await
    }

    /// Sets the backend aside while something (a kill in flight) may still hit it; it counts to the cap until resolved.
    #[must_use]
    pub fn quarantine(self) -> Quarantined<C> {
        self.set_state(BackendState::Quarantined);
        Quarantined { lease: self }
    }

    /// The pool it belongs to.
    #[must_use]
    pub fn key(&self) -> &C::Key {
        &self.ticket.pool.key
    }

    /// The shard it belongs to.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.ticket.pool.shard.id
    }

    /// The number of the backend, never used again in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.ticket.id
    }

    /// Whether the connection was opened for this lease, so nothing can have happened to it while it was idle.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.ticket.fresh
    }

    /// How long the session waited in the queue for it, opening a connection not counted.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.ticket.waited
    }

    fn set_state(&self, state: BackendState) {
        if let Some(place) = self.ticket.place {
            self.ticket.pool.shard.set_state(place, state);
        }
    }

    /// Checks it, and makes it `worker`'s: a backend that was idle may be dead. Then only its place is left.
    pub(super) fn settle(self, worker: WorkerId) -> Result<Self, Ticket<C>> {
        let Self { mut backend, mut ticket } = self;
        ticket.reason = Some(CloseReason::Dead);
        // Before it moves: the reactor that knows the socket has seen its end, another one has to look first.
        if !backend.looks_alive() {
            drop(backend);
            return Err(ticket);
        }
        if ticket.home != worker || worker == WorkerId::NONE {
            backend = match backend.rehome() {
                Ok(backend) => Box::new(backend),
                Err(error) => {
                    tracing::debug!(%error, backend = ticket.id, "an idle backend could not move to another worker");
                    return Err(ticket);
                }
            };
            ticket.home = worker;
            if let Some(place) = ticket.place {
                ticket.pool.shard.set_worker(place, worker);
            }
        }
        ticket.reason = Some(CloseReason::NotClean);
        Ok(Self { backend, ticket })
    }
}

impl<C: Connector> Deref for Lease<C> {
    type Target = C::Backend;
    fn deref(&self) -> &C::Backend {
        &self.backend
    }
}

impl<C: Connector> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C::Backend {
        &mut self.backend
    }
}

/// A backend set aside: it counts to the cap, nobody is given it. Dropping it closes the connection.
pub struct Quarantined<C: Connector> {
    lease: Lease<C>,
}

impl<C: Connector> Quarantined<C> {
    /// Nothing can hit it any more, and it still has to be read or cleaned: a lease again.
    #[must_use]
    pub fn release(self) -> Lease<C> {
        self.lease.set_state(BackendState::Leased);
        self.lease
    }

    /// Closes the connection and frees its place.
    pub fn close(self, reason: CloseReason) {
        self.lease.close(reason);
    }
}

/// A connection outside the cap, for kill, cancel and probes. Dropping it closes it.
pub struct Reserved<C: Connector> {
    pub(super) backend: C::Backend,
    pub(super) _place: ReservedPlace<C>,
}

/// One of the few connections outside the cap.
pub(super) struct ReservedPlace<C: Connector> {
    pub(super) shard: Arc<Shard<C>>,
}

impl<C: Connector> Drop for ReservedPlace<C> {
    fn drop(&mut self) {
        self.shard.reserved_freed();
    }
}

impl<C: Connector> Deref for Reserved<C> {
    type Target = C::Backend;
    fn deref(&self) -> &C::Backend {
        &self.backend
    }
}

impl<C: Connector> DerefMut for Reserved<C> {
    fn deref_mut(&mut self) -> &mut C::Backend {
        &mut self.backend
    }
}
