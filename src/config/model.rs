//! The checked configuration: what is true, with references resolved to indices and units to types.
//! Out: TOML, lines, defaults (`keys.rs`), checks (`check.rs`). Past `check`, nothing re-validates.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{LogFormat, LogLevel, Protocol, Secret, ShardFunction, TransactionType};

/// Everything that a file configures. Cheap to share behind an `Arc`; a reload makes a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it came from, as given.
    pub file: PathBuf,
    /// Threads that serve sessions; at least 1.
    pub workers: usize,
    /// How a transaction that writes on several shards commits, unless its database, user or session says otherwise.
    pub transaction_type: TransactionType,
    /// Addresses to listen on.
    pub listen: Listen,
    /// Certificate of the listeners; `None`: no TLS offered.
    pub tls: Option<Tls>,
    /// The operator's login on the admin addresses.
    pub admin: Admin,
    /// Logins of applications.
    pub users: Vec<User>,
    /// MySQL and PostgreSQL processes behind us.
    pub servers: Vec<Server>,
    /// Logical databases, unique by (protocol, name).
    pub databases: Vec<Database>,
    /// Backend pools.
    pub pool: Pool,
    /// Bounds on what sessions can make the process hold.
    pub limits: Limits,
    /// Bounds on waits.
    pub timeouts: Timeouts,
    /// Logging.
    pub log: Log,
    /// Version strings shown to clients.
    pub versions: Versions,
}

impl Config {
    /// The logical database of this protocol and name, with its index.
    pub fn database(&self, protocol: Protocol, name: &str) -> Option<(usize, &Database)> {
        self.databases.iter().enumerate().find(|(_, d)| d.protocol == protocol && d.name == name)
    }

    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|u| u.name == name)
    }

    /// The server that holds `shard`.
    pub fn server_of(&self, shard: &Shard) -> &Server {
        &self.servers[shard.server]
    }

    /// How a transaction of `user` in `database` commits by default: the user's rule, else the database's, else the process's.
    pub fn transaction_type_of(&self, user: &User, database: &Database) -> TransactionType {
        user.transaction_type.or(database.transaction_type).unwrap_or(self.transaction_type)
    }
}

/// Addresses to listen on; `None` means switched off.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// Applications by the MySQL protocol.
    pub mysql: Option<SocketAddr>,
    /// Applications by the PostgreSQL protocol.
    pub postgres: Option<SocketAddr>,
    /// Admin SQL by the MySQL protocol.
    pub admin_mysql: Option<SocketAddr>,
    /// Admin SQL by the PostgreSQL protocol.
    pub admin_postgres: Option<SocketAddr>,
    /// Metrics and health.
    pub http: Option<SocketAddr>,
}

/// TLS of the listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// Whether a client that does not ask for TLS is refused.
    pub require: bool,
}

/// The operator's login.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// An application's login at our front. What it logs in with behind us belongs to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// User name, unique.
    pub name: String,
    /// What proves the user.
    pub credential: Credential,
    /// Names of logical databases it may use; `None`: all.
    pub databases: Option<Vec<String>>,
    /// Overrides the database's and the process's transaction type.
    pub transaction_type: Option<TransactionType>,
}

impl User {
    /// Whether the user may use the logical database `name`.
    pub fn may_use(&self, name: &str) -> bool {
        self.databases.as_ref().is_none_or(|allowed| allowed.iter().any(|a| a == name))
    }
}

/// What proves a user at our front.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    /// A password: MySQL native and caching_sha2, PostgreSQL SCRAM-SHA-256.
    Password(Secret),
    /// As `Password`, and PostgreSQL asks for the older md5 proof.
    Md5(Secret),
    /// A PostgreSQL verifier `SCRAM-SHA-256$..`; by the MySQL protocol it takes caching_sha2_password in full.
    ScramVerifier(Secret),
    /// No proof at all; only from a loopback peer, and only when the listeners are on loopback.
    Trust,
}

/// A server process and how we log in to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Name, unique.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it listens.
    pub address: ServerAddress,
    /// Backend user.
    pub user: String,
    /// Backend password; `None`: the server asks for none.
    pub password: Option<Secret>,
}

/// Host name or IP address, and port; names are resolved at each connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A logical database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Name, unique within the protocol.
    pub name: String,
    /// The protocol it is served by, and that its servers speak.
    pub protocol: Protocol,
    /// Its shards, at least one, in the order of the file; this order is the numbering of placement.
    pub shards: Vec<Shard>,
    /// Index in `shards` of the one that holds what is nowhere declared.
    pub default_shard: usize,
    /// Declared tables.
    pub tables: Vec<TableRule>,
    /// Overrides the process's transaction type.
    pub transaction_type: Option<TransactionType>,
}

/// One database on one server, holding a part of the rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Name, unique within the logical database.
    pub name: String,
    /// Index in [`Config::servers`].
    pub server: usize,
    /// Physical database on that server.
    pub database: String,
}

/// Where the rows of a declared table are.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRule {
    /// Schema (PostgreSQL only); `None`: `public`.
    pub schema: Option<String>,
    /// Table name.
    pub name: String,
    /// Where its rows are.
    pub placement: TablePlacement,
}

/// Placement of a declared table.
#[derive(Debug, Clone, PartialEq)]
pub enum TablePlacement {
    /// Rows are spread by the values of the key columns.
    Sharded {
        /// Key columns, at least one, in order.
        key: Vec<String>,
        /// Key to shard.
        function: ShardFunction,
        /// Unique keys that lack the shard key may be written, though each shard checks only its own rows.
        unique_per_shard: bool,
    },
    /// A full copy on every shard.
    Reference,
    /// All rows on one shard.
    Single {
        /// Index in [`Database::shards`].
        shard: usize,
    },
}

/// Backend pools.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Most backends to one shard.
    pub size_max: usize,
    /// Idle backends kept open to one shard.
    pub size_min: usize,
    /// Sessions that may wait for a backend of one shard.
    pub waiters_max: usize,
    /// Longest wait for a backend.
    pub wait_max: Duration,
    /// Age at which an idle backend is replaced (with jitter).
    pub age_max: Duration,
    /// Time after which an idle backend above `size_min` is closed.
    pub idle_max: Duration,
    /// Connections to one shard outside the cap, for cancel, kill, probes and recovery.
    pub reserved: usize,
}

/// Bounds on memory and work.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Sessions of applications.
    pub sessions_max: usize,
    /// Sessions on the admin addresses.
    pub admin_sessions_max: usize,
    /// Bytes of one client message.
    pub sql_bytes_max: usize,
    /// Operators in one statement that is parsed.
    pub operators_max: usize,
    /// Rows (groups) held while merging one result.
    pub merge_rows_max: usize,
    /// Bytes held while merging one result.
    pub merge_bytes_max: usize,
    /// Cached plans.
    pub plan_entries_max: usize,
    /// Bytes of cached plans.
    pub plan_bytes_max: usize,
    /// Prepared statements of one session.
    pub session_statements_max: usize,
    /// Prepared statements kept on one backend.
    pub backend_statements_max: usize,
}

/// Bounds on waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeouts {
    /// TCP connect and login to a server.
    pub connect: Duration,
    /// From accept until the client is logged in.
    pub handshake: Duration,
    /// Longest a statement may run; `None`: the server decides.
    pub statement: Option<Duration>,
    /// Longest silence of a session outside a transaction; `None`: no limit.
    pub session_idle: Option<Duration>,
    /// Longest silence of a session inside a transaction; `None`: no limit.
    pub transaction_idle: Option<Duration>,
    /// Longest a write to a client may make no progress.
    pub client_write: Duration,
    /// Killing or cancelling a statement on a server.
    pub cancel: Duration,
    /// Between two health probes of a shard.
    pub probe_interval: Duration,
    /// From the order to stop until open transactions are cut.
    pub shutdown: Duration,
}

/// Logging.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Least severe level shown.
    pub level: LogLevel,
    /// Form of a line.
    pub format: LogFormat,
    /// Statements at least this slow get a line; `None`: none do.
    pub slow: Option<Duration>,
    /// Whether that line shows literals.
    pub literals: bool,
}

/// Version strings shown to clients; `None`: the shards' own with a suffix.
#[derive(Debug, Clone, PartialEq)]
pub struct Versions {
    /// In the MySQL greeting and `SELECT VERSION()`.
    pub mysql: Option<String>,
    /// In `server_version`.
    pub postgres: Option<String>,
}
