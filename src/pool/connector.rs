//! What the pool asks of the two protocols: a key, a way to connect, and a backend it may keep.
//! In: the traits and the ways a connection attempt fails. Out: sockets, wire formats, and any state of the pool itself.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::io;

use tokio::time::Instant;

/// A shard, as the pools see it: a number that is unique in the process and stays the same over reloads.
///
/// The order of these numbers is the order in which one statement takes its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

impl ShardId {
    /// The id of shard number `shard` of the logical database number `database`.
    #[must_use]
    pub const fn new(database: u16, shard: u16) -> Self {
        Self(((database as u32) << 16) | shard as u32)
    }

    /// The number of the logical database.
    #[must_use]
    pub const fn database(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The number of the shard in its logical database (a `sharding::ShardIndex`).
    #[must_use]
    pub const fn shard(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

/// The worker thread that a session lives on, and with whose reactor a backend's socket is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// A thread that is not one of the workers (upkeep, admin work): what it opened is re-registered by whoever takes it.
    pub const NONE: Self = Self(u16::MAX);
}

/// What makes two backends exchangeable: shard, role, backend user, and the capabilities that change meaning or layout.
///
/// Keys must be few (bounded by the configuration, never by what a client sends), and cheap to clone and hash.
pub trait PoolKey: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// The shard whose cap this key counts to.
    fn shard(&self) -> ShardId;
}

/// A connection to a server that the pool may keep while nobody uses it.
pub trait Backend: Send + Sized + 'static {
    /// Whether an idle connection still looks usable: no EOF, no error, no byte that nobody asked for.
    ///
    /// Must not wait. `TcpStream::try_read` costs no system call while the reactor has not seen the socket readable. Asked
    /// before [`Self::rehome`], since a reactor that a socket was just registered with has not seen anything yet.
    fn looks_alive(&mut self) -> bool;

    /// Registers the socket with the reactor of the calling thread (`into_std`, then `from_std`).
    ///
    /// # Errors
    /// Whatever the registration says; the connection is then closed and another one is taken.
    fn rehome(self) -> io::Result<Self>;

    /// Whether nothing that was sent by another way (a cancel, a kill) may still hit it. One that may be hit is never kept,
    /// whoever gives it back.
    fn is_out_of_reach(&self) -> bool {
        true
    }

    /// Says goodbye (COM_QUIT, Terminate) without waiting, before a clean connection is dropped.
    fn farewell(&mut self) {}
}

/// Opens connections for the pool.
pub trait Connector: Send + Sync + 'static {
    /// What the pools are keyed by.
    type Key: PoolKey;
    /// What it opens.
    type Backend: Backend;

    /// Opens a connection on the calling thread's reactor, logged in and ready for a first statement.
    ///
    /// The pool drops the future when `deadline` has passed; `deadline` is for steps that want less than all of it.
    fn connect(
        &self,
        key: &Self::Key,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Backend, ConnectError>> + Send;
}

/// Why no connection could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there, the network says no, or the connection broke while logging in.
    #[error("cannot reach the server: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The server is there but starting up or shutting down.
    #[error("the server is not ready: {0}")]
    NotReady(String),
    /// The server answered with an error of its own: wrong password, unknown database, too many connections.
    #[error("the server refused the connection: {message}")]
    Rejected {
        /// MySQL errno; 0 where there is none (PostgreSQL).
        code: u16,
        /// SQLSTATE, five characters.
        sqlstate: String,
        /// The server's text.
        message: String,
    },
    /// The server speaks in a way that we do not understand or must not accept (a protocol fault, a missing capability).
    #[error("the server cannot be used: {0}")]
    Unusable(String),
}

impl ConnectError {
    /// Whether the whole server is to be left alone for a moment, rather than only this attempt failed.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::NotReady(_) => true,
            Self::Rejected { .. } | Self::Unusable(_) => false,
        }
    }
}
