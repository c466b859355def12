//! One client's session: login, then one command after the other until it leaves.
//! Out: what the pools, plans and commit protocols decide; each file here has one part of the session's work.

mod bindings;
mod bulk;
mod charset;
mod client;
mod commands;
mod course;
mod cursors;
mod diagnostics;
mod fixed;
pub(super) mod fresh;
mod full_proof;
mod grid;
mod held;
mod home;
mod insert_id;
mod kill;
mod last;
mod local;
mod login;
mod own_names;
mod place;
mod process_list;
mod query;
mod relay;
mod route;
mod scatter;
mod settings;
mod single;
mod spread;
mod state;
mod statements;
mod streams;
mod temporary;
mod transaction;
mod trouble;
mod wait;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use ::transaction::{Dialect, Transaction};
use arc_swap::ArcSwap;
use protocol::mysql::capability::{self, status};
use protocol::mysql::greeting::SCRAMBLE;
use protocol::mysql::packet::{PAYLOAD_MAX, Whole};
use protocol::mysql::reply::OkPacket;
use protocol::mysql::wire::WireError;
use sharding::lexer::MySqlServer;
use tokio::time::Instant;

use crate::config::{Config, Protocol, TransactionType};
use crate::deadline::Deadline;
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::metrics::WorkerMetrics;
use crate::mysql::connect::MySqlConnector;
use crate::pool::{Door, WorkerId};
use crate::sessions::{Activity, Entry, Identity};

use client::{Client, ReadError};
use course::Course;
use held::Held;
use home::Home;
use last::Last;
use login::Admitted;
use place::Place;
use route::Catalogued;
use state::State;
use statements::Statements;
use temporary::Temporary;
use trouble::{Outcome, Trouble};

/// One client's session.
pub(super) struct Session {
    mesh: Arc<Mesh>,
    entry: Entry,
    worker: WorkerId,
    client: Client,
    user: String,
    /// What COM_CHANGE_USER proves its password by.
    challenge: [u8; SCRAMBLE],
    collation: u16,
    server: MySqlServer,
    state: State,
    home: Home,
    /// The configuration in force.
    newest: arc_swap::Cache<Arc<ArcSwap<Config>>, Arc<Config>>,
    transaction: Transaction,
    /// When the current transaction began, among all of the process; 0: it has not asked for a backend yet.
    began: u64,
    held: Vec<Held>,
    /// The ways to the pools that it used last.
    doors: Vec<Door<MySqlConnector>>,
    /// Why a shard could not be begun, where the transaction only says that it could not.
    begin_failed: Option<Trouble>,
    statements: Statements,
    /// How the prepared statement that runs is read, where that differs from how the session is set now.
    reads_as: Option<Box<fixed::Fixed>>,
    /// Sequence number of the first packet that answers the command.
    first: u8,
    /// Sequence number of the next packet to the client; `None`: it has got a part of one.
    next: Option<u8>,
    catalogued: Catalogued,
    temporary: Temporary,
    course: Course,
    silence: Deadline,
    /// Tells that an answer of a server takes too long.
    overdue: Deadline,
    counters: Arc<WorkerMetrics>,
    last: Last,
}

/// Serves one client until it leaves.
pub(super) async fn serve(mesh: Arc<Mesh>, entry: Option<Entry>, stream: ClientStream, worker: WorkerId) {
    let config = mesh.config.load_full();
    let mut client = Client::new(stream, config.timeouts.client_write);
    let Some(entry) = entry else {
        client.put_error(Place { sequence: 0, more: false }, &MeshError::TooManySessions);
        let _ = client.flush().await;
        return;
    };
    let version = mesh.mysql.version(&config).await;
    let server = server_of(&version);
    // Boxed: it is large, and the session lives long after it.
    let work = Box::pin(login::log_in(&mesh, client, entry.id, version));
    let mut silence = Deadline::default();
    silence.begin(Instant::now(), Some(config.timeouts.handshake));
    let (client, admitted) = match entry.interrupt.guard(Reason::Drain, silence.guard(work)).await {
        Ok(Some(Ok(done))) => {
            mesh.metrics.login(Protocol::MySql, true);
            done
        }
        Ok(Some(Err(error))) => {
            if let login::LoginEnd::Refused(refused) = &error {
                mesh.metrics.login(Protocol::MySql, false);
                mesh.metrics.error(Protocol::MySql, refused);
            }
            return tracing::info!(session = entry.id, %error, "a login failed");
        }
        Ok(None) => return tracing::info!(session = entry.id, "a login took too long"),
        Err(_) => return,
    };
    let sequence = admitted.sequence;
    // Boxed, so that it is there once, and not again in what has made it.
    match Session::new(mesh, entry, worker, client, server, admitted).map(Box::new) {
        Ok(mut session) => {
            // The timer of the login goes on as that of its silence.
            session.silence = silence;
            session.run(sequence).await;
        }
        Err(refused) => {
            let (mut client, error) = *refused;
            client.put_error(Place { sequence, more: false }, &error);
            let _ = client.flush().await;
        }
    }
}

/// The server's kind and version, as far as versioned comments depend on it.
fn server_of(version: &[u8]) -> MySqlServer {
    let text = String::from_utf8_lossy(version);
    let text = text.strip_prefix("5.5.5-").unwrap_or(&text);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0).min(999));
    let mut next = || numbers.next().unwrap_or(0);
    let number = next() * 10_000 + next() * 100 + next();
    if text.to_ascii_lowercase().contains("mariadb") {
        MySqlServer::MariaDb(number)
    } else {
        MySqlServer::MySql(number)
    }
}

/// What ended a wait for the client's next command.
enum Heard {
    /// Bytes came, or the connection ended.
    Bytes(std::io::Result<usize>),
    /// Somebody wants the session to end.
    Interrupt(Reason),
    /// The client was silent for too long.
    Nothing,
}

impl Session {
    fn new(
        mesh: Arc<Mesh>,
        entry: Entry,
        worker: WorkerId,
        client: Client,
        server: MySqlServer,
        admitted: Admitted,
    ) -> Result<Self, Box<(Client, MeshError)>> {
        let client = if client.capabilities & capability::COMPRESS == 0 { client } else { client.into_compressed() };
        let state = match mesh.mysql.fresh.settings(admitted.login.collation, server) {
            Ok(settings) => State::new(client.capabilities, settings, server),
            Err(set) => {
                let text = format!("the character set {set}: bytes of its characters can look like quotes");
                return Err(Box::new((client, MeshError::Unsupported(text))));
            }
        };
        let mut session = Self {
            home: Home::new(&mesh.config.load(), None, &admitted.user),
            newest: arc_swap::Cache::new(Arc::clone(&mesh.config)),
            user: admitted.user,
            challenge: admitted.challenge,
            collation: admitted.login.collation,
            transaction: Transaction::new(Dialect::MySql, ::transaction::TransactionType::Atomic),
            statements: Statements::default(),
            reads_as: None,
            first: 1,
            next: Some(1),
            catalogued: Catalogued::default(),
            temporary: Temporary::default(),
            course: Course::new(),
            silence: Deadline::default(),
            overdue: Deadline::default(),
            counters: Arc::clone(mesh.metrics.worker(usize::from(worker.0))),
            last: Last::default(),
            held: Vec::new(),
            doors: Vec::new(),
            begin_failed: None,
            began: 0,
            mesh,
            entry,
            worker,
            client,
            server,
            state,
        };
        let application = admitted
            .login
            .attributes
            .iter()
            .find(|(key, _)| key == b"program_name")
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        session.choose(admitted.database);
        session.show_identity(application);
        Ok(session)
    }

    /// Makes this the session's logical database, and the type of its transactions the one configured for it.
    fn choose(&mut self, database: Option<(usize, String)>) {
        self.set_database(database.as_ref().map(|(number, _)| *number));
        self.state.schema = database.map(|(_, name)| Arc::from(name.into_bytes()));
        self.state.system_schema = false;
        self.follow_transaction_type();
    }

    /// Transactions get the type that is configured for this user and database.
    fn follow_transaction_type(&mut self) {
        let config = self.config();
        let kind = match (config.user(&self.user), config.databases.get(self.database())) {
            (Some(user), Some(database)) => config.transaction_type_of(user, database),
            _ => config.transaction_type,
        };
        let kind = match kind {
            TransactionType::Atomic => ::transaction::TransactionType::Atomic,
            TransactionType::Local => ::transaction::TransactionType::Local,
        };
        // Refused only once a shard was touched: then the transaction keeps its type.
        let _ = self.transaction.set_transaction_type(kind);
    }

    fn show_identity(&self, application: Option<String>) {
        let database = self.state.schema.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        let application = application.unwrap_or_else(|| self.entry.identity().application);
        self.entry.set_identity(Identity { user: self.user.clone(), database, application });
    }

    async fn run(&mut self, sequence: u8) {
        self.put_ok(Place { sequence, more: false });
        let end = match self.client.flush().await {
            Ok(()) => {
                self.client.begin_compression();
                self.commands().await
            }
            Err(error) => Trouble::Client(error),
        };
        match end {
            Trouble::Client(error) => tracing::debug!(session = self.entry.id, %error, "the client is gone"),
            Trouble::Told(error) | Trouble::Broken(error) => {
                tracing::info!(session = self.entry.id, %error, "the session was closed");
            }
            Trouble::Server(_) | Trouble::Interrupted(_) => {}
        }
        self.leave().await;
    }

    /// Reads and runs commands until the session ends; says why it did.
    async fn commands(&mut self) -> Trouble {
        loop {
            let whole = match self.next_command().await {
                Ok(Some(whole)) => whole,
                Ok(None) => return Trouble::Client(std::io::ErrorKind::UnexpectedEof.into()),
                Err(trouble) => return trouble,
            };
            self.entry.set_activity(Activity::Active);
            self.course.look();
            // The packet stays in this buffer while the command runs; what the client sends meanwhile goes to another.
            let mut packet = std::mem::take(&mut self.client.input);
            let result = self.command(&packet, whole).await;
            bytes::Buf::advance(&mut packet, whole.wire_length);
            if !packet.is_empty() {
                packet.extend_from_slice(&self.client.input);
                self.client.input = packet;
            }
            self.note_lost().await;
            self.release_free();
            if self.transaction.branches().is_empty() {
                // The next transaction has an age of its own.
                self.began = 0;
            }
            let result = match result {
                Ok(true) => self.client.flush().await.map_err(Trouble::Client),
                Ok(false) => return Trouble::Client(std::io::ErrorKind::UnexpectedEof.into()),
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = result {
                return self.say_farewell(trouble).await;
            }
        }
    }

    /// The next command; `None` when the client has left.
    async fn next_command(&mut self) -> Outcome<Option<Whole>> {
        // A word that it did not ask for is read as the answer to the next command.
        self.told_up_to(1);
        self.client.expect_command();
        loop {
            self.follow_config();
            let limit = self.config().limits.sql_bytes_max;
            match Whole::find(&self.client.input, 0, limit) {
                Ok(Some(whole)) => return Ok(Some(whole)),
                Ok(None) => {}
                Err(error) => {
                    let (error, packets) = match error {
                        WireError::TooLarge { size, limit } => {
                            (MeshError::PacketTooLarge(limit as u64), size.saturating_sub(1) / PAYLOAD_MAX + 1)
                        }
                        WireError::OutOfOrder { .. } => (MeshError::OutOfOrder, 1),
                        other => (MeshError::Protocol(other.to_string()), 1),
                    };
                    // The answer is numbered on from the packet that was one too many.
                    self.told_up_to(u8::try_from(packets % 256).unwrap_or_default());
                    return Err(self.say_farewell(Trouble::Broken(error)).await);
                }
            }
            let inside = !self.transaction.branches().is_empty();
            let timeouts = &self.config().timeouts;
            let idle = if inside { timeouts.transaction_idle } else { timeouts.session_idle };
            let own = self.state.wait_timeout.filter(|own| idle.is_none_or(|idle| *own < idle));
            let idle = own.or(idle);
            self.entry.set_activity(if inside { Activity::IdleInTransaction } else { Activity::Idle });
            self.silence.begin(self.course.latest(), idle);
            let heard = self.listen(if inside { Reason::Session } else { Reason::Drain }).await;
            // A KILL QUERY that came while nothing ran is for nothing.
            self.entry.interrupt.clear_query();
            match heard {
                Heard::Bytes(Ok(0)) => return Ok(None),
                Heard::Bytes(Ok(_)) => {}
                Heard::Bytes(Err(error)) => return Err(Trouble::Client(error)),
                Heard::Interrupt(reason) => return Err(self.say_farewell(Trouble::Interrupted(reason)).await),
                // MariaDB ends such a connection without a word.
                Heard::Nothing if own.is_some() && matches!(self.server, MySqlServer::MariaDb(_)) => {
                    return Err(Trouble::Client(std::io::ErrorKind::TimedOut.into()));
                }
                Heard::Nothing => {
                    let which = match (own, inside) {
                        (Some(_), _) => "wait_timeout",
                        (None, true) => "timeouts.transaction_idle_ms",
                        (None, false) => "timeouts.session_idle_ms",
                    };
                    let text = format!(
                        "The client was disconnected by the server because of inactivity: it was silent for longer than \
                         {which} allows"
                    );
                    return Err(self.say_farewell(Trouble::Broken(MeshError::SessionIdle(text))).await);
                }
            }
        }
    }

    /// Waits for bytes of the client, for who wants the session to end (with at least this reason), for the end of its
    /// patience.
    async fn listen(&mut self, least: Reason) -> Heard {
        let Self { client, entry, silence, .. } = self;
        poll_fn(|cx| {
            if let Poll::Ready(read) = client.poll_read(cx) {
                return Poll::Ready(Heard::Bytes(read));
            }
            if let Poll::Ready(reason) = entry.interrupt.poll(least, cx) {
                return Poll::Ready(Heard::Interrupt(reason));
            }
            silence.poll(cx).map(|()| Heard::Nothing)
        })
        .await
    }

    /// Rolls back and gives back what is held.
    async fn leave(&mut self) {
        self.roll_back_all().await;
        self.drop_pins();
    }

    /// Status flags as this session's client expects them in an answer of ours.
    fn status(&self) -> u16 {
        let mut flags = if self.transaction.autocommit() { status::AUTOCOMMIT } else { 0 };
        if self.transaction.status() != ::transaction::Status::Idle {
            flags |= status::IN_TRANSACTION;
            if self.transaction.is_read_only() {
                flags |= status::IN_TRANSACTION_READ_ONLY;
            }
        }
        if let sharding::lexer::Dialect::MySql(modes) = self.state.dialect() {
            if modes.no_backslash_escapes {
                flags |= status::NO_BACKSLASH_ESCAPES;
            }
            if modes.ansi_quotes && matches!(self.server, MySqlServer::MariaDb(_)) {
                flags |= status::ANSI_QUOTES;
            }
        }
        flags
    }

    fn put_ok(&mut self, place: Place) {
        self.last.affected(0);
        let ok = OkPacket { status: self.status(), ..OkPacket::default() };
        self.client.put_ok(place, &ok);
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Client(error),
            ReadError::Wire(WireError::OutOfOrder { .. }) => Self::Broken(MeshError::OutOfOrder),
            ReadError::Wire(error) => Self::Broken(MeshError::Protocol(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_comments_write_them() {
        assert_eq!(server_of(b"5.5.5-10.11.6-MariaDB-0+deb12u1"), MySqlServer::MariaDb(101_106));
        assert_eq!(server_of(b"8.0.36-dbmesh"), MySqlServer::MySql(80_036));
        assert_eq!(server_of(b"nonsense"), MySqlServer::MySql(0));
    }
}
