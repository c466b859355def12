//! What the admin interface needs of the process. The process implements it; tests do with fixed values.
//! Out: how anything is counted or done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{Changes, Config, Protocol};
use crate::error_code::MeshError;

/// The process as operators see it. Everything but `explain_route`, `reload` and `pause_shard` answers at once, from memory.
#[async_trait]
pub trait AdminSource: Send + Sync + 'static {
    /// The configuration in force.
    fn config(&self) -> Arc<Config>;

    /// How long the process has run.
    fn uptime(&self) -> Duration;

    /// Every shard of every logical database, in the order of the configuration.
    fn shards(&self) -> Vec<ShardRow>;

    /// Tables that are known: the declared ones and, once they were looked up, others.
    fn tables(&self) -> Vec<TableRow> {
        super::tables::declared(&self.config())
    }

    /// Pools of backends, one row per shard.
    fn pools(&self) -> Vec<PoolRow>;

    /// Open sessions of applications.
    fn sessions(&self) -> Vec<SessionRow>;

    /// Open backends.
    fn backends(&self) -> Vec<BackendRow>;

    /// Cached plans, at most so many, the most used first.
    fn plans(&self, rows_max: usize) -> Vec<PlanRow>;

    /// Entries and bytes of the plan cache.
    fn plan_cache(&self) -> (usize, usize);

    /// Why the process does not take sessions now; `None` when it does.
    fn not_ready(&self) -> Option<String>;

    /// Plans a statement without running it; the lines that `dbmesh plan` prints. May ask shards for table definitions.
    async fn explain_route(&self, protocol: Protocol, database: &str, sql: &str) -> Result<Vec<String>, MeshError>;

    /// Reads the configuration again and applies what can change live. An error says why nothing was changed.
    async fn reload(&self) -> Result<Changes, String>;

    /// Ends a session; false if there is none of this id.
    fn kill_session(&self, id: u32) -> bool;

    /// Lets sessions that want the shard wait, and returns once no connection to it is open. An error says how many were
    /// in use for too long; nothing is paused then.
    async fn pause_shard(&self, shard: &ShardPlace) -> Result<(), MeshError>;

    /// Ends a pause, if there is one.
    fn resume_shard(&self, shard: &ShardPlace);

    /// Starts an orderly stop, as SIGTERM does. Returns at once.
    fn shutdown(&self);
}

/// A shard that an admin statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlace {
    /// Protocol of the logical database.
    pub protocol: Protocol,
    /// Logical database.
    pub database: String,
    /// Name of the shard.
    pub name: String,
    /// Number of the logical database in the configuration.
    pub database_index: usize,
    /// Number of the shard in its database.
    pub index: usize,
}

/// A shard and its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Protocol of the logical database.
    pub protocol: Protocol,
    /// Logical database.
    pub database: String,
    /// Name of the shard.
    pub shard: String,
    /// `up`, `down`, `unknown` before the first contact; `pausing` and `paused` since PAUSE SHARD.
    pub state: &'static str,
    /// Version that the server reported.
    pub version: Option<String>,
    /// Last error, while down.
    pub error: Option<String>,
}

/// A table and where its rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Protocol of the logical database.
    pub protocol: Protocol,
    /// Logical database.
    pub database: String,
    /// Schema (PostgreSQL).
    pub schema: Option<String>,
    /// Table.
    pub table: String,
    /// `sharded`, `reference` or `single`.
    pub kind: &'static str,
    /// Key columns, joined by a comma.
    pub key: Option<String>,
    /// Function from key to shard.
    pub function: Option<String>,
    /// Names of the shards that hold rows, joined by a comma.
    pub shards: String,
    /// Whether the configuration names it.
    pub declared: bool,
}

/// The pool of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolRow {
    /// `mysql` or `postgres`.
    pub protocol: &'static str,
    /// Logical database.
    pub database: String,
    /// Name of the shard.
    pub shard: String,
    /// The cap.
    pub size_max: usize,
    /// Backends that count to the cap.
    pub size: usize,
    /// Backends nobody uses.
    pub idle: usize,
    /// Backends that sessions hold.
    pub leased: usize,
    /// Connections being opened.
    pub opening: usize,
    /// Backends kept aside until a kill is resolved.
    pub quarantined: usize,
    /// Sessions waiting.
    pub waiting: usize,
    /// Connections outside the cap.
    pub reserved: usize,
    /// Leases given out, ever.
    pub leases_total: u64,
    /// Acquires that had to wait, ever.
    pub waits_total: u64,
    /// How long they waited together, in ms.
    pub wait_ms_total: u64,
    /// Waits that ended at their deadline, ever.
    pub wait_timeouts_total: u64,
    /// Waits refused because they would deadlock, ever.
    pub deadlocks_total: u64,
    /// Backends opened, ever.
    pub opened_total: u64,
    /// Backends closed, ever.
    pub closed_total: u64,
    /// Attempts to connect that failed, ever.
    pub connect_errors_total: u64,
    /// Whether PAUSE SHARD stopped it from lending backends.
    pub paused: bool,
}

impl PoolRow {
    /// `open`, or what PAUSE SHARD made of it: `pausing` while backends are open, then `paused`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.paused, self.size + self.reserved) {
            (false, _) => "open",
            (true, 0) => "paused",
            (true, _) => "pausing",
        }
    }
}

/// A session of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id, which KILL SESSION takes.
    pub id: u32,
    /// Protocol.
    pub protocol: Protocol,
    /// User; empty before authentication.
    pub user: String,
    /// Logical database; empty when none is chosen.
    pub database: String,
    /// The client's program, as it names itself.
    pub application: String,
    /// The client's address.
    pub client: String,
    /// What it is doing.
    pub state: &'static str,
    /// How long it has been open.
    pub age: Duration,
    /// Statements run.
    pub statements: u64,
    /// Why it keeps a backend outside a transaction, and for how long.
    pub pinned: Option<(String, Duration)>,
}

/// A connection to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendRow {
    /// Our number of it.
    pub id: u64,
    /// Protocol.
    pub protocol: Protocol,
    /// Logical database.
    pub database: String,
    /// Name of the shard.
    pub shard: String,
    /// User on the server.
    pub user: String,
    /// What it is doing.
    pub state: &'static str,
    /// The session that holds it.
    pub session: Option<u64>,
    /// For how long it has been in this state.
    pub in_state: Duration,
    /// How long ago it was opened.
    pub age: Duration,
    /// Leases so far.
    pub leases: u64,
}

/// A cached plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Protocol.
    pub protocol: Protocol,
    /// Logical database.
    pub database: String,
    /// What it does: `single`, `merge`...
    pub kind: String,
    /// Statements that used it.
    pub hits: u64,
    /// Its size in the cache.
    pub bytes: usize,
    /// The statement without its literals.
    pub statement: String,
}
