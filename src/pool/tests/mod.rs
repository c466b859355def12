//! Pools under a simulated connector: no sockets, and a clock that jumps.
#![allow(clippy::unwrap_used)]

mod faults;
mod pausing;
mod queue;
mod stress;
mod upkeep;

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;

/// Shard and user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub u32, pub u8);

impl PoolKey for Key {
    fn shard(&self) -> ShardId {
        ShardId(self.0)
    }
}

/// What a simulated server does with a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Refuses,
    Hangs,
    WrongPassword,
}

#[derive(Default)]
pub(super) struct Server {
    mood: Mutex<Option<Mood>>,
    pub attempts: AtomicUsize,
    pub open: AtomicUsize,
    pub open_most: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Servers {
    servers: Mutex<HashMap<u32, Arc<Server>>>,
    pub delay: Mutex<Duration>,
}

impl Servers {
    pub fn server(&self, shard: u32) -> Arc<Server> {
        Arc::clone(self.servers.lock().unwrap().entry(shard).or_default())
    }

    pub fn set(&self, shard: u32, mood: Mood) {
        *self.server(shard).mood.lock().unwrap() = Some(mood);
    }
}

pub(super) struct Fake(pub Arc<Servers>);

pub(super) struct FakeBackend {
    pub number: usize,
    pub alive: Arc<AtomicBool>,
    pub moves: usize,
    pub moves_fail: AtomicBool,
    /// Something sent by another way may still hit it.
    pub aimed_at: AtomicBool,
    /// Nobody else may use it at the same time.
    pub in_use: Arc<AtomicBool>,
    server: Arc<Server>,
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.server.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend for FakeBackend {
    fn looks_alive(&mut self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    fn rehome(mut self) -> io::Result<Self> {
        if self.moves_fail.load(Ordering::SeqCst) {
            assert!(self.looks_alive(), "a dead backend was moved");
            return Err(io::ErrorKind::Other.into());
        }
        self.moves += 1;
        Ok(self)
    }

    fn is_out_of_reach(&self) -> bool {
        !self.aimed_at.load(Ordering::SeqCst)
    }
}

impl Connector for Fake {
    type Key = Key;
    type Backend = FakeBackend;

    async fn connect(&self, key: &Key, _deadline: Instant) -> Result<FakeBackend, ConnectError> {
        let server = self.0.server(key.0);
        let number = server.attempts.fetch_add(1, Ordering::SeqCst);
        let mood = server.mood.lock().unwrap().unwrap_or(Mood::Well);
        let delay = *self.0.delay.lock().unwrap();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match mood {
            Mood::Well => {
                let open = server.open.fetch_add(1, Ordering::SeqCst) + 1;
                server.open_most.fetch_max(open, Ordering::SeqCst);
                let (alive, in_use) = (Arc::new(AtomicBool::new(true)), Arc::default());
                let [moves_fail, aimed_at] = [(); 2].map(|()| AtomicBool::new(false));
                Ok(FakeBackend { number, alive, moves: 0, moves_fail, aimed_at, in_use, server })
            }
            Mood::Refuses => Err(ConnectError::Unreachable("refused".into())),
            Mood::Hangs => std::future::pending().await,
            Mood::WrongPassword => {
                Err(ConnectError::Rejected { code: 1045, sqlstate: "28000".into(), message: "no".into() })
            }
        }
    }
}

pub(super) fn pools(size_max: usize) -> (Arc<Pools<Fake>>, Arc<Servers>) {
    let servers = Arc::new(Servers::default());
    let settings = PoolSettings { size_max, ..PoolSettings::default() };
    (Pools::new(Fake(Arc::clone(&servers)), settings, 2), servers)
}

pub(super) fn asker(session: u64) -> Asker<'static> {
    Asker { session, worker: WorkerId(0), began: session, holds: &[] }
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Polls a future once, by hand.
pub(super) fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets every other task run until it waits.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn only(pools: &Pools<Fake>) -> ShardSnapshot<Key> {
    let mut shards = pools.shards();
    assert_eq!(shards.len(), 1);
    shards.remove(0)
}
