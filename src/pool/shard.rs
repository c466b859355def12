//! One shard's backends under one lock: who gets which, and who is next.
//! In: the hard cap, first come first served, handing over. Out: opening connections (`open`), the data itself (`table`).
//!
//! Invariants, whenever the lock is free: places in use never exceed the cap (unless it was lowered); while anybody waits,
//! nothing is idle and no place under the cap is free, unless the shard is paused. Nothing is dropped, sent or awaited under the lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Asker;
use super::connector::{Backend, Connector, ShardId, WorkerId};
use super::error::AcquireError;
use super::lease::{Lease, ReservedPlace, Ticket};
use super::settings::PoolSettings;
use super::snapshot::{BackendState, CloseReason};
use super::table::Table;
use super::waiting::{Grant, Waiter, Waiting};

/// How often a waiter may be passed over by a later one whose key fits the backend that came back, which saves opening a connection.
const PASSES_MAX: u8 = 8;

/// One key of a shard.
pub(super) struct KeyPool<C: Connector> {
    pub(super) key: C::Key,
    pub(super) index: usize,
    pub(super) shard: Arc<Shard<C>>,
}

/// One shard.
pub(super) struct Shard<C: Connector> {
    pub(super) id: ShardId,
    pub(super) connector: Arc<C>,
    pub(super) settings: Arc<ArcSwap<PoolSettings>>,
    /// Numbers backends, over all shards.
    pub(super) ids: Arc<AtomicU64>,
    table: Mutex<Table<C>>,
}

/// What an asker gets at once.
pub(super) enum Taken<C: Connector> {
    /// An idle backend, not yet checked, perhaps registered with another worker's reactor.
    Idle(Lease<C>),
    /// A place to open a connection in.
    Place(Ticket<C>),
    /// A place in the queue.
    Queue(Waiting<C>),
}

type Handover<C> = (oneshot::Sender<Result<Grant<C>, AcquireError>>, Grant<C>);

impl<C: Connector> Shard<C> {
    pub(super) fn new(
        id: ShardId,
        connector: Arc<C>,
        settings: Arc<ArcSwap<PoolSettings>>,
        ids: Arc<AtomicU64>,
        workers: usize,
    ) -> Self {
        Self { id, connector, settings, ids, table: Mutex::new(Table::new(workers)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table<C>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool of `key`, new.
    pub(super) fn add_key(self: &Arc<Self>, key: C::Key) -> Arc<KeyPool<C>> {
        let mut table = self.lock();
        let pool = Arc::new(KeyPool { key: key.clone(), index: table.keys.len(), shard: Arc::clone(self) });
        table.add_key(key);
        pool
    }

    /// An idle backend, not yet checked, if there is one and nobody waits.
    pub(super) fn take_idle(
        &self,
        pool: &Arc<KeyPool<C>>,
        session: u64,
        worker: WorkerId,
        now: Instant,
    ) -> Option<Lease<C>> {
        let mut table = self.lock();
        table.latest_key = pool.index;
        if table.closed || table.paused || !table.waiters.is_empty() {
            return None;
        }
        self.lend(table, pool, session, worker, now).ok()
    }

    /// Lends an idle backend, if there is one; else the table stays locked.
    fn lend<'a>(
        &self,
        mut table: MutexGuard<'a, Table<C>>,
        pool: &Arc<KeyPool<C>>,
        session: u64,
        worker: WorkerId,
        now: Instant,
    ) -> Result<Lease<C>, MutexGuard<'a, Table<C>>> {
        let Some(idle) = table.unpark(pool.index, worker) else { return Err(table) };
        let (id, home) = table.place(idle.place).map_or((0, WorkerId::NONE), |place| (place.id, place.worker));
        table.lease(idle.place, session, now);
        drop(table);
        let ticket = pool.ticket(idle.place, id, home, Some(CloseReason::NotClean));
        Ok(Lease { backend: idle.backend, ticket })
    }

    /// An idle backend, a place, or a place in the queue.
    pub(super) fn take(
        self: &Arc<Self>,
        pool: &Arc<KeyPool<C>>,
        asker: &Asker<'_>,
        now: Instant,
    ) -> Result<Taken<C>, AcquireError> {
        let settings = self.settings.load();
        let evicted;
        let mut table = self.lock();
        if table.closed {
            return Err(AcquireError::ShuttingDown);
        }
        table.latest_key = pool.index;
        if table.waiters.is_empty() && !table.paused {
            table = match self.lend(table, pool, asker.session, asker.worker, now) {
                Ok(lease) => return Ok(Taken::Idle(lease)),
                Err(table) => table,
            };
            if let Some(outage) = &mut table.outage
                && outage.probe.is_some()
            {
                outage.wanted = now;
                return Err(AcquireError::Down { shard: self.id, last: outage.last.clone() });
            }
            evicted = if table.used < settings.size_max.max(1) { Some(None) } else { self.make_room(&mut table) };
            if evicted.is_some() {
                let (place, id) = self.open_place(&mut table, pool, asker.session, asker.worker, now);
                drop(table);
                farewell::<C>(evicted.flatten());
                return Ok(Taken::Place(pool.ticket(place, id, asker.worker, None)));
            }
        }
        if table.waiters.len() >= settings.waiters_max {
            return Err(match table.paused {
                true => AcquireError::Paused { shard: self.id, waited: Duration::ZERO },
                false => AcquireError::QueueFull { shard: self.id },
            });
        }
        let (sender, turn) = oneshot::channel();
        let number = table.enqueue(Waiter {
            session: asker.session,
            began: asker.began,
            worker: asker.worker,
            pool: Arc::clone(pool),
            since: now,
            passed_over: 0,
            turn: sender,
        });
        drop(table);
        Ok(Taken::Queue(Waiting { shard: Arc::clone(self), number, since: now, turn }))
    }

    /// Closes the oldest idle backend of another key, if the cap is reached exactly.
    fn make_room(&self, table: &mut Table<C>) -> Option<Option<Box<C::Backend>>> {
        if table.used > self.settings.load().size_max.max(1) {
            return None;
        }
        let idle = table.unpark_oldest()?;
        table.free(idle.place, Some(CloseReason::MakeRoom));
        Some(Some(idle.backend))
    }

    fn open_place(
        &self,
        table: &mut Table<C>,
        pool: &KeyPool<C>,
        session: u64,
        worker: WorkerId,
        now: Instant,
    ) -> (usize, u64) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        (table.open_place(id, pool.index, session, worker, now), id)
    }

    /// A clean backend comes back: to the next waiter, into the idle list, or closed.
    pub(super) fn give_back(self: &Arc<Self>, place: usize, backend: Box<C::Backend>, now: Instant) {
        let settings = self.settings.load();
        let mut table = self.lock();
        let unwanted = table.unwanted(place, &settings, now);
        if unwanted.is_none() && table.waiters.is_empty() {
            let rejected = table.park(place, backend, now);
            drop(table);
            return drop(rejected);
        }
        let key = table.place(place).map(|place| place.key);
        let next = if unwanted.is_none() { key.and_then(|key| next_of_key(&mut table, key)) } else { None };
        if let Some(waiter) = next {
            let (id, home) = table.place(place).map_or((0, WorkerId::NONE), |place| (place.id, place.worker));
            table.lease(place, waiter.session, now);
            drop(table);
            let mut ticket = waiter.pool.ticket(place, id, home, Some(CloseReason::NotClean));
            ticket.waited = now.saturating_duration_since(waiter.since);
            return hand_over((waiter.turn, Grant::Ready(Lease { backend, ticket })));
        }
        drop(table);
        // Closed before its place is free, so that the server never sees more than the cap.
        farewell::<C>(Some(backend));
        self.freed(place, Some(unwanted.unwrap_or(CloseReason::MakeRoom)));
    }

    /// A place is free again: the next waiter may open a connection in it.
    pub(super) fn freed(self: &Arc<Self>, place: usize, reason: Option<CloseReason>) {
        let settings = self.settings.load();
        let mut table = self.lock();
        table.free(place, reason);
        let handover = self.next_place(&mut table, &settings, Instant::now());
        drop(table);
        if let Some(handover) = handover {
            hand_over(handover);
        }
    }

    /// Gives free places to waiters, after the cap was raised.
    pub(super) fn pump(self: &Arc<Self>) {
        loop {
            let settings = self.settings.load();
            let mut table = self.lock();
            let handover = self.next_place(&mut table, &settings, Instant::now());
            drop(table);
            match handover {
                Some(handover) => hand_over(handover),
                None => return,
            }
        }
    }

    fn next_place(&self, table: &mut Table<C>, settings: &PoolSettings, now: Instant) -> Option<Handover<C>> {
        if table.paused || table.used >= settings.size_max.max(1) {
            return None;
        }
        let (_, waiter) = table.waiters.pop_first()?;
        let (place, id) = self.open_place(table, &waiter.pool, waiter.session, waiter.worker, now);
        let mut ticket = waiter.pool.ticket(place, id, waiter.worker, None);
        ticket.waited = now.saturating_duration_since(waiter.since);
        Some((waiter.turn, Grant::Place(ticket)))
    }

    /// The connection for this place is open.
    pub(super) fn opened(&self, place: usize) {
        let mut table = self.lock();
        table.opened(place, Instant::now());
        table.outage = None;
    }

    /// The place's connection was closed, and another one is opened in it.
    pub(super) fn reopen(&self, place: usize, reason: CloseReason) {
        let mut table = self.lock();
        if let Some(key) = table.place(place).map(|place| place.key)
            && let Some(count) = table.keys.get_mut(key).and_then(|key| key.closed.get_mut(reason as usize))
        {
            *count += 1;
        }
        table.set_state(place, BackendState::Opening, Instant::now());
    }

    pub(super) fn set_worker(&self, place: usize, worker: WorkerId) {
        self.lock().set_worker(place, worker);
    }

    pub(super) fn set_state(&self, place: usize, state: BackendState) {
        self.lock().set_state(place, state, Instant::now());
    }

    /// Leaves the queue; nothing happens if the turn had come.
    pub(super) fn leave(&self, number: u64) {
        let left = self.lock().waiters.remove(&number);
        drop(left);
    }

    pub(super) fn waited(&self, time: Duration, in_vain: bool) {
        let totals = &mut self.lock().totals;
        totals.waits += 1;
        totals.wait_time += time;
        totals.wait_timeouts += u64::from(in_vain);
    }

    /// Closes idle backends that are too old, idle for too long or retired.
    pub(super) fn reap(self: &Arc<Self>, now: Instant) {
        let settings = self.settings.load();
        let gone = self.lock().reap(&settings, now);
        for (idle, reason) in gone {
            farewell::<C>(Some(idle.backend));
            self.freed(idle.place, Some(reason));
        }
    }

    /// No backend that is open now is used again.
    pub(super) fn retire(self: &Arc<Self>) {
        let mut table = self.lock();
        table.generation = table.generation.wrapping_add(1);
        drop(table);
        self.reap(Instant::now());
    }

    /// Refuses everybody from now on.
    pub(super) fn close(self: &Arc<Self>) {
        let waiters = {
            let mut table = self.lock();
            table.closed = true;
            std::mem::take(&mut table.waiters)
        };
        refuse_all(waiters.into_values(), &AcquireError::ShuttingDown);
        self.reap(Instant::now());
    }

    /// A connection outside the cap.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<ReservedPlace<C>, AcquireError> {
        let mut table = self.lock();
        if table.closed {
            return Err(AcquireError::ShuttingDown);
        }
        if table.reserved >= self.settings.load().reserved_max.max(1) {
            return Err(AcquireError::QueueFull { shard: self.id });
        }
        table.reserved += 1;
        drop(table);
        Ok(ReservedPlace { shard: Arc::clone(self) })
    }

    pub(super) fn reserved_freed(&self) {
        let mut table = self.lock();
        table.reserved = table.reserved.saturating_sub(1);
    }
}

impl<C: Connector> KeyPool<C> {
    pub(super) fn ticket(
        self: &Arc<Self>,
        place: usize,
        id: u64,
        home: WorkerId,
        reason: Option<CloseReason>,
    ) -> Ticket<C> {
        let fresh = reason.is_none();
        Ticket { pool: Arc::clone(self), place: Some(place), id, home, waited: Duration::ZERO, fresh, reason }
    }

    /// A place for upkeep to open a connection in, if there is room under `limit` and nobody waits.
    pub(super) fn spare_place(self: &Arc<Self>, limit: usize, worker: WorkerId) -> Option<Ticket<C>> {
        let shard = &self.shard;
        let limit = limit.min(shard.settings.load().size_max.max(1));
        let mut table = shard.lock();
        if table.closed || table.paused || table.used >= limit || !table.waiters.is_empty() {
            return None;
        }
        let (place, id) = shard.open_place(&mut table, self, 0, worker, Instant::now());
        drop(table);
        Some(self.ticket(place, id, worker, None))
    }
}

/// The waiter that a backend of `key` goes to: the first one that it fits, unless the very first was passed over too often.
fn next_of_key<C: Connector>(table: &mut Table<C>, key: usize) -> Option<Waiter<C>> {
    let number = table.waiters.iter().find(|(_, waiter)| waiter.pool.index == key).map(|(number, _)| *number)?;
    let mut first = table.waiters.first_entry()?;
    if *first.key() != number {
        let waiter = first.get_mut();
        if waiter.passed_over >= PASSES_MAX {
            return None;
        }
        waiter.passed_over += 1;
    }
    table.waiters.remove(&number)
}

/// Wakes a waiter. One that has just left gives what it was handed to the next.
fn hand_over<C: Connector>((turn, grant): Handover<C>) {
    match turn.send(Ok(grant)) {
        Ok(()) => {}
        Err(Ok(Grant::Ready(lease))) => lease.give_back(),
        Err(Ok(Grant::Place(ticket))) => drop(ticket),
        Err(Err(_)) => {}
    }
}

/// Refuses waiters that have been taken out of the queue.
pub(super) fn refuse_all<C: Connector>(waiters: impl Iterator<Item = Waiter<C>>, error: &AcquireError) {
    for waiter in waiters {
        // One that has just left needs no answer.
        let _left = waiter.turn.send(Err(error.clone()));
    }
}

fn farewell<C: Connector>(backend: Option<Box<C::Backend>>) {
    if let Some(mut backend) = backend {
        backend.farewell();
    }
}
