//! A connection to a PostgreSQL server: opened and logged in, with what we know of its state.
//! Out: whose statements run on it; when it is clean enough for the pool.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Buf, BytesMut};
use hashbrown::HashMap;
use protocol::postgres::backend::{self as messages, AuthenticationRequest};
use protocol::postgres::password::Login;
use protocol::postgres::wire::{self, HELD_BYTES_MAX};
use protocol::postgres::{ErrorFields, Observer, Pipeline, Segment, TransactionStatus, write};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::kept::Texts;
use super::peers::{Peer, Peers};
use super::settings::{self, Settings};
use crate::config::Config;
use crate::pool::{self, ConnectError, PoolKey, ShardId};
use crate::read_room::ReadRoom;

/// How much of a server's answer is read at most in one go.
const READ_MAX: usize = 64 << 10;

/// Buffers of so many bytes are kept while nobody uses the backend.
const KEPT_ROOM_MAX: usize = 4 << 10;

/// The shortest timeout of statements that a server may have by default, where no session set one.
const LONG: Duration = Duration::from_millis(50);

/// What makes PostgreSQL backends exchangeable: only the shard, since everything else is state that can be changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(pub ShardId);

impl PoolKey for Key {
    fn shard(&self) -> ShardId {
        self.0
    }
}

/// Opens backends for the pools.
pub struct Connector {
    config: Arc<ArcSwap<Config>>,
    peers: Arc<Peers>,
}

impl Connector {
    /// Looks servers and passwords up in the configuration in force at each connect.
    #[must_use]
    pub fn new(config: Arc<ArcSwap<Config>>) -> Self {
        Self { config, peers: Arc::default() }
    }

    /// The backends that are open now.
    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }
}

/// Whose statements may have taken values of sequences on a backend, so that `currval` and `lastval` would tell of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sequences {
    /// Nobody's since the backend is as new.
    #[default]
    Untouched,
    /// This session's.
    Of(u32),
    /// Those of several sessions.
    Mixed,
}

/// What a backend has by now, so that only differences are sent.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its settings.
    pub settings: Arc<Settings>,
    /// Prepared statements under names of ours, by number, and when each was used last.
    pub statements: HashMap<u64, u64>,
    /// Texts of parts that it has among them.
    pub texts: Texts,
    /// What the unnamed statement is, if it is one of ours.
    pub unnamed: Option<u64>,
    /// It has a prepared BEGIN.
    pub begin: bool,
    /// Something ran whose effects on the connection cannot be known: `DISCARD ALL` before another session gets it.
    pub untracked: bool,
    /// Settings may have been changed since `settings` was learnt.
    pub unlearnt: bool,
    /// A statement took so long that the server may have cut it short just as it ended. It then says so to what is sent
    /// next, whosever that is: something of ours must come first.
    pub late: bool,
    /// Who may have left sequence values.
    pub sequences: Sequences,
    clock: u64,
}

impl Memory {
    /// It has these settings, as the server says.
    pub fn learn(&mut self, settings: Arc<Settings>) {
        // Timeouts that were set behind our back may have struck already.
        self.late |= settings.cut_statements_after().is_some();
        self.settings = settings;
        self.unlearnt = false;
    }

    /// Notes how long statements took.
    pub fn took(&mut self, time: Duration) {
        self.late |= time >= self.settings.cut_statements_after().map_or(LONG, |cut| cut.min(LONG));
    }

    /// Whether another session could be given it as it is, and would find it when it is wanted.
    #[must_use]
    pub fn is_shareable(&self) -> bool {
        !self.untracked && !self.unlearnt && !self.settings.end_idle_connections()
    }

    /// Notes a use of a statement if the backend has it; true then.
    pub fn uses_again(&mut self, statement: u64) -> bool {
        self.clock += 1;
        self.statements.get_mut(&statement).is_some_and(|used| {
            *used = self.clock;
            true
        })
    }

    /// Notes a use of a statement. True if the backend has it already.
    pub fn uses(&mut self, statement: u64) -> bool {
        self.clock += 1;
        self.statements.insert(statement, self.clock).is_some()
    }

    /// The statement that was not used for longest, if more than `max` are kept.
    pub fn surplus(&mut self, max: usize) -> Option<u64> {
        if self.statements.len() <= max {
            return None;
        }
        let oldest = self.statements.iter().min_by_key(|(_, used)| **used).map(|(number, _)| *number)?;
        self.statements.remove(&oldest);
        Some(oldest)
    }

    /// The backend was reset: it is as new.
    pub fn forget(&mut self) {
        *self = Self { late: self.late, ..Self::default() };
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Backend {
    stream: TcpStream,
    /// Bytes that came and were not consumed.
    pub input: BytesMut,
    /// Bytes to be sent.
    pub output: BytesMut,
    /// Which answers are owed.
    pub pipeline: Pipeline,
    /// What it has.
    pub memory: Memory,
    /// What the server reported when the connection was opened.
    pub parameters: Arc<Vec<(String, String)>>,
    room: ReadRoom,
    /// Bytes read that were not counted yet.
    pub read: usize,
    /// Bytes written that were not counted yet.
    pub written: usize,
    cancel: CancelToken,
    /// Its place among all backends, once it is logged in.
    peer: Option<Peer>,
    /// Cancel requests that were begun and not proven to have arrived.
    cancels: usize,
}

/// What a cancel request needs.
#[derive(Debug, Clone)]
struct CancelToken {
    address: SocketAddr,
    process_id: u32,
    key: Vec<u8>,
}

/// A cancel request on its way. Its backend cannot go back to a pool before [`Backend::cancel_arrived`] has the proof that
/// this gives in the end: who drops it, or gets an error from it, has a backend that is closed after use.
pub type Cancel = Pin<Box<dyn Future<Output = io::Result<Arrived>> + Send>>;

/// Proof that a server has acted on a cancel request: it signals the backend before it closes the request's connection,
/// and a signal that comes between two statements hits none.
#[derive(Debug)]
pub struct Arrived {
    process_id: u32,
}

async fn cancel(token: CancelToken, patience: Duration) -> io::Result<Arrived> {
    let work = async {
        let mut stream = TcpStream::connect(token.address).await?;
        let mut request = Vec::with_capacity(16);
        write::cancel_request(&mut request, token.process_id, &token.key);
        stream.write_all(&request).await?;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        Ok(Arrived { process_id: token.process_id })
    };
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Backend {
    /// The server's number of it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.cancel.process_id
    }

    /// Where its server is.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.cancel.address
    }

    /// What it sends other sessions from now on comes from this one.
    pub fn speaks_for(&self, session: u32) {
        if let Some(peer) = &self.peer {
            peer.speaks_for(session);
        }
    }

    /// Asks the server to stop the statement that runs now. An error of it means that it is unknown whether and when the
    /// request will hit: the server could not be reached, or not in time.
    #[must_use]
    pub fn start_cancel(&mut self, patience: Duration) -> Cancel {
        self.cancels += 1;
        Box::pin(cancel(self.cancel.clone(), patience))
    }

    /// A cancel request of this backend can hit nothing any more.
    pub fn cancel_arrived(&mut self, proof: &Arrived) {
        if proof.process_id == self.cancel.process_id {
            self.cancels = self.cancels.saturating_sub(1);
        }
    }

    /// Reads what is there. Ready with 0 at the end of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let count = ready!(self.room.poll_read(&mut self.stream, &mut self.input, cx))?;
        self.read += count;
        Poll::Ready(Ok(count))
    }

    /// Sends all of `output`.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(pin!(&mut self.stream).poll_write(cx, &self.output))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(sent);
            self.written += sent;
        }
        Poll::Ready(Ok(()))
    }

    /// Says what to do with the front of `input`.
    ///
    /// # Errors
    /// The server sent what it may not.
    pub fn pipeline_step(&mut self, observer: &mut impl Observer) -> Result<Segment, wire::WireError> {
        self.pipeline.advance(&self.input, observer)
    }

    /// Gives back the memory of large buffers that hold nothing. Small ones stay: backends are few, and used all the time.
    pub fn shrink(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > KEPT_ROOM_MAX {
                *buffer = BytesMut::new();
            }
        }
    }

    async fn message(&mut self) -> Result<BytesMut, ConnectError> {
        loop {
            let found = wire::message(&self.input, HELD_BYTES_MAX).map_err(unusable)?.map(|message| message.total);
            if let Some(total) = found {
                return Ok(self.input.split_to(total));
            }
            self.input.reserve(4096);
            if self.stream.read_buf(&mut self.input).await.map_err(unreachable)? == 0 {
                return Err(ConnectError::Unreachable("the server closed the connection".to_owned()));
            }
        }
    }

    async fn send(&mut self) -> Result<(), ConnectError> {
        self.stream.write_all(&self.output).await.map_err(unreachable)?;
        self.output.clear();
        Ok(())
    }

    async fn log_in(&mut self, user: &str, password: &[u8], database: &str) -> Result<(), ConnectError> {
        write::startup(&mut self.output, &[("user", user), ("database", database)]);
        self.send().await?;
        let mut login = Login::new(user, password);
        let mut parameters = Vec::new();
        loop {
            let frame = self.message().await?;
            let body = &frame[wire::HEADER_BYTES..];
            match frame[0] {
                b'R' => {
                    let request = AuthenticationRequest::decode(body).map_err(unusable)?;
                    login.on(request, &mut self.output).map_err(unusable)?;
                    self.send().await?;
                }
                b'E' => return Err(rejected(body)),
                b'S' => {
                    let (name, value) = messages::parameter_status(body).map_err(unusable)?;
                    parameters.push((lossy(name), lossy(value)));
                }
                b'K' => {
                    let (process_id, key) = messages::key_data(body).map_err(unusable)?;
                    self.cancel.process_id = process_id;
                    self.cancel.key = key.to_vec();
                }
                b'Z' => {
                    self.pipeline = Pipeline::new(TransactionStatus::decode(body).map_err(unusable)?);
                    self.parameters = Arc::new(parameters);
                    return Ok(());
                }
                b'N' | b'v' => {}
                tag => return Err(ConnectError::Unusable(format!("unexpected message 0x{tag:02x} at login"))),
            }
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unusable(error: impl std::fmt::Display) -> ConnectError {
    ConnectError::Unusable(error.to_string())
}

#[allow(clippy::needless_pass_by_value)]
fn unreachable(error: io::Error) -> ConnectError {
    ConnectError::Unreachable(error.to_string())
}

fn rejected(body: &[u8]) -> ConnectError {
    let Ok(fields) = ErrorFields::decode(body) else {
        return ConnectError::Unusable("malformed error at login".to_owned());
    };
    let sqlstate = String::from_utf8_lossy(&fields.sqlstate()).into_owned();
    // cannot_connect_now: starting up, shutting down, in recovery.
    if sqlstate == "57P03" {
        return ConnectError::NotReady(fields.text());
    }
    ConnectError::Rejected { code: 0, sqlstate, message: fields.text() }
}

impl pool::Connector for Connector {
    type Key = Key;
    type Backend = Backend;

    async fn connect(&self, key: &Key, _deadline: Instant) -> Result<Backend, ConnectError> {
        let config = self.config.load_full();
        let gone = || ConnectError::Unusable("the shard is no longer configured".to_owned());
        let database = config.databases.get(usize::from(key.0.database())).ok_or_else(gone)?;
        let shard = database.shards.get(usize::from(key.0.shard())).ok_or_else(gone)?;
        let server = config.server_of(shard);
        let stream =
            TcpStream::connect((server.address.host.as_str(), server.address.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let address = stream.peer_addr().map_err(unreachable)?;
        let mut backend = Backend {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            pipeline: Pipeline::default(),
            memory: Memory { settings: settings::none(), ..Memory::default() },
            parameters: Arc::default(),
            room: ReadRoom::new(READ_MAX),
            read: 0,
            written: 0,
            cancel: CancelToken { address, process_id: 0, key: Vec::new() },
            peer: None,
            cancels: 0,
        };
        let password = server.password.as_ref().map_or("", |password| password.expose());
        backend.log_in(&server.user, password.as_bytes(), &shard.database).await?;
        backend.peer = Some(self.peers.enter(address, backend.cancel.process_id));
        backend.shrink();
        Ok(backend)
    }
}

impl pool::Backend for Backend {
    fn looks_alive(&mut self) -> bool {
        let mut byte = [0; 1];
        self.input.is_empty()
            && matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn rehome(self) -> io::Result<Self> {
        let stream = TcpStream::from_std(self.stream.into_std()?)?;
        Ok(Self { stream, ..self })
    }

    fn is_out_of_reach(&self) -> bool {
        self.cancels == 0
    }

    fn farewell(&mut self) {
        let mut bye = Vec::with_capacity(5);
        write::terminate(&mut bye);
        // Nobody waits for it: a server that does not get it sees the connection end all the same.
        let _ = self.stream.try_write(&bye);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::pool::Backend as _;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A backend of a server that this test plays.
    async fn backend(server: &TcpListener) -> Backend {
        let address = server.local_addr().expect("an address");
        let (stream, _accepted) = tokio::join!(TcpStream::connect(address), server.accept());
        Backend {
            stream: stream.expect("a connection"),
            input: BytesMut::new(),
            output: BytesMut::new(),
            pipeline: Pipeline::default(),
            memory: Memory::default(),
            parameters: Arc::default(),
            room: ReadRoom::new(READ_MAX),
            read: 0,
            written: 0,
            cancel: CancelToken { address, process_id: 7, key: vec![1, 2, 3, 4] },
            peer: None,
            cancels: 0,
        }
    }

    #[tokio::test]
    async fn a_cancel_is_over_when_the_server_has_closed_its_connection() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut backend = backend(&server).await;
        assert!(backend.is_out_of_reach());
        let cancel = backend.start_cancel(PATIENCE);
        assert!(!backend.is_out_of_reach(), "it may hit from now on");
        let running = tokio::spawn(cancel);
        let (mut heard, _) = server.accept().await.expect("a request");
        let mut request = [0; 16];
        heard.read_exact(&mut request).await.expect("a whole request");
        assert_eq!(request[8..], [0, 0, 0, 7, 1, 2, 3, 4]);
        tokio::task::yield_now().await;
        assert!(!running.is_finished(), "the server has not acted yet");
        drop(heard);
        let arrived = running.await.expect("no panic").expect("it arrived");
        backend.cancel_arrived(&arrived);
        assert!(backend.is_out_of_reach());
    }

    #[tokio::test]
    async fn a_cancel_that_nobody_waited_for_leaves_the_backend_unusable() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut backend = backend(&server).await;
        drop(backend.start_cancel(PATIENCE));
        assert!(!backend.is_out_of_reach());
        // Nor does a later one make good for it.
        let acts = async {
            let (mut heard, _) = server.accept().await.expect("a request");
            heard.read_exact(&mut [0; 16]).await.expect("a whole request");
        };
        let (arrived, ()) = tokio::join!(backend.start_cancel(PATIENCE), acts);
        backend.cancel_arrived(&arrived.expect("it arrived"));
        assert!(!backend.is_out_of_reach());
    }
}
