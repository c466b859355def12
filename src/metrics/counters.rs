//! The counters of one worker. Adding is an ordinary addition in memory that no other thread writes; others may read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use sharding::lexer::StatementKind;

use super::families::{Family, precise};
use crate::config::Protocol;

macro_rules! classes {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$case_doc])* $case,)+
        }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$case),+];

            /// The word in labels and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)+
                }
            }
        }
    };
}

classes! {
    /// What a statement does, in the few classes that are counted.
    StatementClass {
        /// SELECT and what only reads.
        Select = "select",
        /// INSERT, REPLACE.
        Insert = "insert",
        /// UPDATE.
        Update = "update",
        /// DELETE.
        Delete = "delete",
        /// BEGIN, COMMIT, SAVEPOINT...
        Transaction = "transaction",
        /// SET, RESET, USE.
        Set = "set",
        /// SHOW, EXPLAIN.
        Show = "show",
        /// CREATE, ALTER, DROP, TRUNCATE...
        Ddl = "ddl",
        /// COPY, LOAD DATA.
        Copy = "copy",
        /// Everything else.
        Other = "other",
    }
}

impl From<StatementKind> for StatementClass {
    fn from(kind: StatementKind) -> Self {
        use StatementKind as Kind;
        match kind {
            Kind::Select | Kind::With | Kind::Values | Kind::Table => Self::Select,
            Kind::Insert | Kind::Replace => Self::Insert,
            Kind::Update => Self::Update,
            Kind::Delete => Self::Delete,
            Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::RollbackTo
            | Kind::Release
            | Kind::SetTransaction => Self::Transaction,
            Kind::Set | Kind::Reset | Kind::Use | Kind::Discard => Self::Set,
            Kind::Show | Kind::Explain => Self::Show,
            Kind::Ddl | Kind::Truncate | Kind::Grant => Self::Ddl,
            Kind::Copy | Kind::LoadData => Self::Copy,
            _ => Self::Other,
        }
    }
}

classes! {
    /// How a statement ran.
    Tier {
        /// Answered here.
        Local = "local",
        /// On one shard.
        Single = "single",
        /// Read on several shards and merged.
        Scatter = "scatter",
        /// Written on several shards.
        Spread = "spread",
        /// Refused.
        Refuse = "refuse",
    }
}

classes! {
    /// Whose bytes, and which way.
    Direction {
        /// From clients.
        FromClient = "from_client",
        /// To clients.
        ToClient = "to_client",
        /// From servers.
        FromServer = "from_server",
        /// To servers.
        ToServer = "to_server",
    }
}

/// Where the time of a statement went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Waiting for backends.
    pub wait: Duration,
    /// Waiting for servers; zero if none was asked.
    pub server: Duration,
    /// From its arrival to the last byte of its answer.
    pub total: Duration,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::MySql, Protocol::Postgres];
const STAGES: [&str; 3] = ["wait", "server", "total"];
const CLASSES: usize = StatementClass::ALL.len();
const TIERS: usize = Tier::ALL.len();
const DIRECTIONS: usize = Direction::ALL.len();

/// Upper bounds of the latency buckets, in nanoseconds: 50 us to 10 s.
const BOUNDS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

#[derive(Debug, Default)]
struct Latency {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        add(&self.counts[bucket], 1);
        add(&self.nanos, nanos);
    }
}

#[derive(Debug, Default)]
struct OfProtocol {
    statements: [[AtomicU64; TIERS]; CLASSES],
    latency: [Latency; STAGES.len()],
    bytes: [AtomicU64; DIRECTIONS],
    server_errors: AtomicU64,
    plan_hits: AtomicU64,
    plan_misses: AtomicU64,
}

/// The counters of one worker.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    of: [OfProtocol; 2],
}

impl WorkerMetrics {
    fn of(&self, protocol: Protocol) -> &OfProtocol {
        match protocol {
            Protocol::MySql => &self.of[0],
            Protocol::Postgres => &self.of[1],
        }
    }

    /// Counts a statement that ended, however it ended.
    pub fn statement(&self, protocol: Protocol, class: StatementClass, tier: Tier, times: &Times) {
        let of = self.of(protocol);
        add(&of.statements[class as usize][tier as usize], 1);
        let [wait, server, total] = &of.latency;
        total.observe(times.total);
        if tier != Tier::Local && tier != Tier::Refuse {
            wait.observe(times.wait);
            server.observe(times.server);
        }
    }

    /// Counts bytes that were read or written.
    pub fn bytes(&self, protocol: Protocol, direction: Direction, bytes: usize) {
        add(&self.of(protocol).bytes[direction as usize], u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Counts an error that a server sent and a client got.
    pub fn server_error(&self, protocol: Protocol) {
        add(&self.of(protocol).server_errors, 1);
    }

    /// Counts a look into the plan cache.
    pub fn plan(&self, protocol: Protocol, found: bool) {
        let of = self.of(protocol);
        add(if found { &of.plan_hits } else { &of.plan_misses }, 1);
    }
}

/// Only the worker itself writes its counters, so nothing is lost between reading and writing, and no bus is locked.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// The sums over all workers.
pub(super) fn families(workers: &[Arc<WorkerMetrics>]) -> Vec<MetricFamily> {
    let mut statements = Family::counter("dbmesh_statements_total", "Statements by what they do and how they ran.");
    let mut latency = Family::histogram(
        "dbmesh_statement_seconds",
        "Time of statements by stage: waiting for backends, for servers, and in all.",
    );
    let mut bytes = Family::counter("dbmesh_bytes_total", "Bytes read and written.");
    let mut server_errors =
        Family::counter("dbmesh_server_errors_total", "Errors that servers sent and that were passed on.");
    let mut hits = Family::counter("dbmesh_plan_cache_hits_total", "Statements whose plan was cached.");
    let mut misses = Family::counter("dbmesh_plan_cache_misses_total", "Statements that were planned.");
    for protocol in PROTOCOLS {
        let name = ("protocol", protocol.as_str());
        let sum = |pick: &dyn Fn(&OfProtocol) -> &AtomicU64| -> u64 {
            workers.iter().map(|worker| pick(worker.of(protocol)).load(Ordering::Relaxed)).sum()
        };
        for class in StatementClass::ALL {
            for tier in Tier::ALL {
                let count = sum(&|of| &of.statements[*class as usize][*tier as usize]);
                // 50 series per protocol of which most stay zero: only those that happened are shown.
                if count > 0 {
                    statements.count(&[name, ("kind", class.as_str()), ("tier", tier.as_str())], count);
                }
            }
        }
        for (at, stage) in STAGES.iter().enumerate() {
            let counts: Vec<u64> = (0..=BOUNDS.len()).map(|bucket| sum(&|of| &of.latency[at].counts[bucket])).collect();
            let bounds = BOUNDS.map(seconds);
            let total = seconds(sum(&|of| &of.latency[at].nanos));
            latency.distribution(&[name, ("stage", stage)], &bounds, &counts, total);
        }
        for direction in Direction::ALL {
            let count = sum(&|of| &of.bytes[*direction as usize]);
            bytes.count(&[name, ("direction", direction.as_str())], count);
        }
        server_errors.count(&[name], sum(&|of| &of.server_errors));
        hits.count(&[name], sum(&|of| &of.plan_hits));
        misses.count(&[name], sum(&|of| &of.plan_misses));
    }
    [statements, latency, bytes, server_errors, hits, misses].map(Family::done).into()
}

fn seconds(nanos: u64) -> f64 {
    precise(nanos) / 1e9
}
