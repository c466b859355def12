//! A backend in the hands of one session, and what may become of it.
//! In: the ends of a lease (given back clean, closed, kept aside). Out: deciding whether a backend is clean.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::connector::{Connector, ShardId};
use super::snapshot::CloseReason;

/// A backend that one session holds. Dropping it closes the connection and frees its place.
pub struct Lease<C: Connector> {
    backend: C::Backend,
    key: C::Key,
}

impl<C: Connector> Lease<C> {
    pub(super) fn new(backend: C::Backend, key: C::Key) -> Self {
        Self { backend, key }
    }

    /// Returns the backend to the pool. Only for a backend that is proven clean.
    pub fn give_back(self) {}

    /// Closes the connection and frees its place; dropping the lease does the same as [`CloseReason::NotClean`].
    pub fn close(self, _reason: CloseReason) {}

    /// Sets the backend aside while something (a kill in flight) may still hit it; it counts to the cap until resolved.
    #[must_use]
    pub fn quarantine(self) -> Quarantined<C> {
        Quarantined { lease: self }
    }

    /// The pool it belongs to.
    #[must_use]
    pub fn key(&self) -> &C::Key {
        &self.key
    }

    /// The shard it belongs to.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        use super::connector::PoolKey;
        self.key.shard()
    }

    /// The number of the backend, never used again in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        0
    }

    /// Whether the connection was opened for this lease, so nothing can have happened to it while it was idle.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        true
    }

    /// How long the session waited in the queue for it, opening a connection not counted.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::ZERO
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
        self.lease
    }

    /// Closes the connection and frees its place.
    pub fn close(self, reason: CloseReason) {
        self.lease.close(reason);
    }
}

/// A connection outside the cap, for kill, cancel and probes. Dropping it closes it.
pub struct Reserved<C: Connector> {
    backend: C::Backend,
}

impl<C: Connector> Reserved<C> {
    pub(super) fn new(backend: C::Backend) -> Self {
        Self { backend }
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
