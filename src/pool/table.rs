//! The places of one shard's backends: each is in exactly one state, and only this file moves it.
//! In: places, idle lists, counters, all plain data. Out: locks, waiting, sockets, deciding who gets what.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::connector::{ConnectError, Connector, WorkerId};
use super::settings::PoolSettings;
use super::snapshot::{BackendState, CloseReason};
use super::waiting::Waiter;

/// What the lock of a shard protects.
pub(super) struct Table<C: Connector> {
    places: Vec<Place>,
    free: Vec<usize>,
    /// Places that are not free: what the cap limits.
    pub(super) used: usize,
    pub(super) keys: Vec<KeyTable<C>>,
    /// The key that was asked for last: what upkeep keeps warm.
    pub(super) latest_key: usize,
    /// By number of arrival.
    pub(super) waiters: BTreeMap<u64, Waiter<C>>,
    next_waiter: u64,
    /// Backends opened under an earlier number are closed when they come back.
    pub(super) generation: u32,
    pub(super) closed: bool,
    /// Nothing is lent or opened until an operator says so; what comes back is closed.
    pub(super) paused: bool,
    pub(super) reserved: usize,
    pub(super) outage: Option<Outage>,
    pub(super) totals: Totals,
    /// Idle lists per key: one per worker, and one for other threads.
    lists: usize,
}

/// One backend's place.
pub(super) struct Place {
    pub(super) id: u64,
    /// `None`: free.
    pub(super) state: Option<BackendState>,
    pub(super) key: usize,
    pub(super) session: u64,
    pub(super) worker: WorkerId,
    pub(super) since: Instant,
    pub(super) opened: Instant,
    pub(super) leases: u64,
    generation: u32,
    /// In thousandths of the jitter that the settings allow.
    jitter: u16,
}

/// The server is held to be down.
pub(super) struct Outage {
    pub(super) last: ConnectError,
    /// The probe task that is at work; then sessions fail at once.
    pub(super) probe: Option<u64>,
    /// When a session last wanted the shard.
    pub(super) wanted: Instant,
}

/// Counters since the start.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) waits: u64,
    pub(super) wait_time: Duration,
    pub(super) wait_timeouts: u64,
    pub(super) deadlocks: u64,
    pub(super) connect_errors: u64,
}

/// One key's idle backends and counters.
pub(super) struct KeyTable<C: Connector> {
    pub(super) key: C::Key,
    /// The most recently used at the back.
    idle: Vec<VecDeque<Idle<C>>>,
    pub(super) leases: u64,
    pub(super) opened: u64,
    pub(super) closed: [u64; CloseReason::ALL.len()],
}

/// An idle backend and its place.
pub(super) struct Idle<C: Connector> {
    pub(super) place: usize,
    pub(super) backend: Box<C::Backend>,
}

impl<C: Connector> Table<C> {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            used: 0,
            keys: Vec::new(),
            latest_key: 0,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            generation: 0,
            closed: false,
            paused: false,
            reserved: 0,
            outage: None,
            totals: Totals::default(),
            lists: workers + 1,
        }
    }

    pub(super) fn add_key(&mut self, key: C::Key) {
        let idle = (0..self.lists).map(|_| VecDeque::new()).collect();
        self.keys.push(KeyTable { key, idle, leases: 0, opened: 0, closed: [0; CloseReason::ALL.len()] });
    }

    pub(super) fn places(&self) -> impl Iterator<Item = (&Place, BackendState)> {
        self.places.iter().filter_map(|place| place.state.map(|state| (place, state)))
    }

    /// The sessions that hold all places; `None` if one place is in other hands, and so will come free.
    pub(super) fn holders(&self) -> Option<Vec<u64>> {
        self.places().map(|(place, state)| (state == BackendState::Leased).then_some(place.session)).collect()
    }

    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    /// A free place becomes one where a connection is being opened.
    pub(super) fn open_place(&mut self, id: u64, key: usize, session: u64, worker: WorkerId, now: Instant) -> usize {
        let place = Place {
            id,
            state: Some(BackendState::Opening),
            key,
            session,
            worker,
            since: now,
            opened: now,
            leases: 0,
            generation: self.generation,
            jitter: jitter(id),
        };
        self.used += 1;
        match self.free.pop() {
            Some(index) => {
                if let Some(free) = self.places.get_mut(index) {
                    *free = place;
                }
                index
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        }
    }

    /// The connection of an opening place is there, in the hands of its session.
    pub(super) fn opened(&mut self, index: usize, now: Instant) {
        if let Some(place) = self.places.get_mut(index) {
            place.opened = now;
            if let Some(key) = self.keys.get_mut(place.key) {
                key.opened += 1;
            }
            let session = place.session;
            self.lease(index, session, now);
        }
    }

    /// The backend is `session`'s now.
    pub(super) fn lease(&mut self, index: usize, session: u64, now: Instant) {
        if let Some(place) = self.places.get_mut(index) {
            place.state = Some(BackendState::Leased);
            place.session = session;
            place.since = now;
            place.leases += 1;
            if let Some(key) = self.keys.get_mut(place.key) {
                key.leases += 1;
            }
        }
    }

    /// The socket of the backend is registered with another worker's reactor now.
    pub(super) fn set_worker(&mut self, index: usize, worker: WorkerId) {
        if let Some(place) = self.places.get_mut(index) {
            place.worker = worker;
        }
    }

    pub(super) fn set_state(&mut self, index: usize, state: BackendState, now: Instant) {
        if let Some(place) = self.places.get_mut(index) {
            place.state = Some(state);
            place.since = now;
        }
    }

    /// The place is free; `reason` if a connection was closed there.
    pub(super) fn free(&mut self, index: usize, reason: Option<CloseReason>) {
        let Some(place) = self.places.get_mut(index) else { return };
        if place.state.take().is_none() {
            return;
        }
        if let (Some(reason), Some(key)) = (reason, self.keys.get_mut(place.key))
            && let Some(count) = key.closed.get_mut(reason as usize)
        {
            *count += 1;
        }
        self.used -= 1;
        self.free.push(index);
    }

    /// Why a backend that comes back is not kept, if so.
    pub(super) fn unwanted(&self, index: usize, settings: &PoolSettings, now: Instant) -> Option<CloseReason> {
        let place = self.places.get(index)?;
        if !self.is_current(place) || self.used > settings.size_max.max(1) {
            return Some(CloseReason::Drained);
        }
        self.aged(place, settings, now).then_some(CloseReason::Age)
    }

    fn aged(&self, place: &Place, settings: &PoolSettings, now: Instant) -> bool {
        // In hundred-thousandths of the greatest age; with whole numbers, since this is asked with every statement.
        let early = u128::from(settings.age_jitter_percent.min(100)) * u128::from(place.jitter);
        let age = now.saturating_duration_since(place.opened).as_nanos();
        age.saturating_mul(100_000) >= settings.age_max.as_nanos().saturating_mul(100_000 - early)
    }

    /// Puts a clean backend into the idle list of its worker.
    pub(super) fn park(&mut self, index: usize, backend: Box<C::Backend>, now: Instant) -> Option<Box<C::Backend>> {
        let Some(place) = self.places.get_mut(index) else { return Some(backend) };
        place.state = Some(BackendState::Idle);
        place.since = now;
        let list = usize::from(place.worker.0).min(self.lists - 1);
        match self.keys.get_mut(place.key).and_then(|key| key.idle.get_mut(list)) {
            Some(list) => {
                list.push_back(Idle { place: index, backend });
                None
            }
            None => Some(backend),
        }
    }

    /// An idle backend of `key`: the one used last on this worker, else the oldest of the worker that has most.
    pub(super) fn unpark(&mut self, key: usize, worker: WorkerId) -> Option<Idle<C>> {
        let own = usize::from(worker.0).min(self.lists - 1);
        let idle = &mut self.keys.get_mut(key)?.idle;
        if let Some(found) = idle.get_mut(own).and_then(VecDeque::pop_back) {
            return Some(found);
        }
        idle.iter_mut().max_by_key(|list| list.len()).and_then(VecDeque::pop_front)
    }

    /// The backend that has been idle for longest, of any key; it leaves its list, its place is not yet free.
    pub(super) fn unpark_oldest(&mut self) -> Option<Idle<C>> {
        let places = &self.places;
        let list = self
            .keys
            .iter_mut()
            .flat_map(|key| key.idle.iter_mut())
            .filter(|list| !list.is_empty())
            .min_by_key(|list| list.front().and_then(|idle| places.get(idle.place)).map(|place| place.since))?;
        list.pop_front()
    }

    /// Takes out all idle backends that are too old, idle for too long, or of an earlier generation. Their places are
    /// still in use, until the connections are closed.
    pub(super) fn reap(&mut self, settings: &PoolSettings, now: Instant) -> Vec<(Idle<C>, CloseReason)> {
        let mut gone: Vec<(Idle<C>, CloseReason)> = Vec::new();
        let mut keys = std::mem::take(&mut self.keys);
        for list in keys.iter_mut().flat_map(|key| key.idle.iter_mut()) {
            for _ in 0..list.len() {
                let Some(idle) = list.pop_front() else { break };
                match self.reap_reason(idle.place, settings, now, gone.len()) {
                    None => list.push_back(idle),
                    Some(reason) => gone.push((idle, reason)),
                }
            }
        }
        self.keys = keys;
        gone
    }

    fn reap_reason(&self, index: usize, settings: &PoolSettings, now: Instant, gone: usize) -> Option<CloseReason> {
        let left = self.used.saturating_sub(gone);
        let place = self.places.get(index)?;
        let long = now.saturating_duration_since(place.since) >= settings.idle_max;
        match self.unwanted(index, settings, now) {
            Some(CloseReason::Drained) if self.is_current(place) && left <= settings.size_max.max(1) => None,
            Some(reason) => Some(reason),
            None => (long && left > settings.size_min).then_some(CloseReason::Idle),
        }
    }

    fn is_current(&self, place: &Place) -> bool {
        !self.closed && !self.paused && place.generation == self.generation
    }

    /// Appends a waiter; its number.
    pub(super) fn enqueue(&mut self, waiter: Waiter<C>) -> u64 {
        let number = self.next_waiter;
        self.next_waiter += 1;
        self.waiters.insert(number, waiter);
        number
    }
}

/// Spreads numbers over 0..1000 (the finaliser of splitmix64).
fn jitter(id: u64) -> u16 {
    let mut mixed = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u16::try_from((mixed ^ (mixed >> 31)) % 1000).unwrap_or(0)
}
