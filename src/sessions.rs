//! The sessions that are open now: who, since when, doing what; how to interrupt one.
//! Out: what a session does with a signal; anything per statement beyond a few atomics.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dashmap::DashMap;

use crate::config::Protocol;
use crate::interrupt::{Interrupt, Reason};

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Not yet authenticated.
    Starting = 0,
    /// Waits for the client, outside a transaction.
    Idle = 1,
    /// Waits for the client, inside a transaction.
    IdleInTransaction = 2,
    /// Waits for a backend from a pool.
    WaitingForBackend = 3,
    /// Runs a statement.
    Active = 4,
}

impl Activity {
    /// As shown in admin tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::IdleInTransaction => "idle in transaction",
            Self::WaitingForBackend => "waiting for backend",
            Self::Active => "active",
        }
    }
}

/// Who is logged in, to what.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The front user; empty before authentication.
    pub user: String,
    /// The logical database; empty when none is chosen.
    pub database: String,
    /// The client's program, as it names itself.
    pub application: String,
}

/// Why a session keeps a backend outside a transaction.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The construct that pins, e.g. "temporary table".
    pub reason: String,
    /// Since when.
    pub since: Instant,
}

/// One open session as others see it.
#[derive(Debug)]
pub struct Session {
    /// Our id of it: what CONNECTION_ID() and pg_backend_pid() name, and KILL takes.
    pub id: u32,
    /// The protocol.
    pub protocol: Protocol,
    /// The client's address.
    pub peer: SocketAddr,
    /// When it connected.
    pub opened_at: Instant,
    /// The secret of PostgreSQL's CancelRequest; random.
    pub cancel_key: u32,
    /// The signal to its task.
    pub interrupt: Interrupt,
    /// Statements run.
    pub statements: AtomicU64,
    activity: AtomicU8,
    identity: Mutex<Identity>,
    pin: Mutex<Option<Pin>>,
}

impl Session {
    /// What it is doing.
    #[must_use]
    pub fn activity(&self) -> Activity {
        match self.activity.load(Ordering::Relaxed) {
            1 => Activity::Idle,
            2 => Activity::IdleInTransaction,
            3 => Activity::WaitingForBackend,
            4 => Activity::Active,
            _ => Activity::Starting,
        }
    }

    /// Notes what it is doing.
    pub fn set_activity(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes who it is: after authentication, COM_INIT_DB, COM_CHANGE_USER.
    pub fn set_identity(&self, identity: Identity) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Why it is pinned, if it is.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that it is pinned for this reason (or no longer). The time of the first reason stays.
    pub fn set_pin(&self, reason: Option<&str>) {
        let mut pin = self.pin.lock().unwrap_or_else(PoisonError::into_inner);
        match (reason, pin.as_mut()) {
            (None, _) => *pin = None,
            (Some(reason), Some(old)) if old.reason == reason => {}
            (Some(reason), Some(old)) => old.reason = reason.to_owned(),
            (Some(reason), None) => *pin = Some(Pin { reason: reason.to_owned(), since: Instant::now() }),
        }
    }
}

/// The ids of PostgreSQL's sessions lie above the numbers of processes of Linux: clients can give either to functions such as
/// `pg_terminate_backend`, and neither may be taken for the other.
pub const POSTGRES_IDS_FROM: u32 = 1 << 23;

/// All open sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    open: DashMap<u32, Arc<Session>>,
    count: AtomicUsize,
    last_id: AtomicU32,
}

/// Takes the session out of the table when the session's task ends, however it ends.
#[derive(Debug)]
pub struct Entry {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
}

impl std::ops::Deref for Entry {
    type Target = Arc<Session>;
    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.open.remove(&self.session.id);
        self.sessions.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sessions {
    /// Adds a session; `None` when `limit` sessions are open already.
    #[must_use]
    pub fn open(self: &Arc<Self>, protocol: Protocol, peer: SocketAddr, limit: usize) -> Option<Entry> {
        // A guessable key would let others cancel its statements: no random numbers, no session.
        let cancel_key = getrandom::u32().ok()?;
        if self.count.fetch_add(1, Ordering::Relaxed) >= limit {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        loop {
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            // 0 is no id, and PostgreSQL's clients read the id as a signed number.
            if id == 0 || id > i32::MAX as u32 - POSTGRES_IDS_FROM {
                self.last_id.store(0, Ordering::Relaxed);
                continue;
            }
            let id = if protocol == Protocol::Postgres { POSTGRES_IDS_FROM + id } else { id };
            let dashmap::Entry::Vacant(place) = self.open.entry(id) else { continue };
            let session = Arc::new(Session {
                id,
                protocol,
                peer,
                opened_at: Instant::now(),
                cancel_key,
                interrupt: Interrupt::default(),
                statements: AtomicU64::new(0),
                activity: AtomicU8::new(Activity::Starting as u8),
                identity: Mutex::default(),
                pin: Mutex::default(),
            });
            place.insert(Arc::clone(&session));
            return Some(Entry { sessions: Arc::clone(self), session });
        }
    }

    /// The session of this id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<Arc<Session>> {
        self.open.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// All sessions, in the order of their ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Session>> {
        let mut list: Vec<_> = self.open.iter().map(|entry| Arc::clone(&entry)).collect();
        list.sort_unstable_by_key(|session| session.id);
        list
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many of them have logged in.
    #[must_use]
    pub fn count_logged_in(&self) -> usize {
        self.open.iter().filter(|session| session.activity() != Activity::Starting).count()
    }

    /// Raises `reason` in every session.
    pub fn interrupt_all(&self, reason: Reason) {
        for session in &self.open {
            session.interrupt.raise(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_the_limit_holds_and_a_dropped_entry_is_gone() {
        let sessions = Arc::new(Sessions::default());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let first = sessions.open(Protocol::MySql, peer, 2).expect("below the limit");
        let second = sessions.open(Protocol::Postgres, peer, 2).expect("below the limit");
        assert_ne!(first.id, second.id);
        assert!(sessions.open(Protocol::MySql, peer, 2).is_none());
        let id = first.id;
        drop(first);
        assert!(sessions.get(id).is_none());
        assert_eq!(sessions.count(), 1);
        assert!(sessions.open(Protocol::MySql, peer, 2).is_some());
    }
}
