//! What all sessions share, built once by `serve` and handed down: no process-global state exists beside it.
//! Out: what belongs to one session; how any of its parts works.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use sharding::lexer::FingerprintKey;
use sharding::plan::Plan;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::catalog::Catalog;
use crate::config::{Config, Overrides};
use crate::log::LogControl;
use crate::metrics::Metrics;
use crate::plans::Plans;
use crate::scans::Scans;
use crate::sessions::Sessions;
use crate::{mysql, postgres};

/// What all sessions share.
pub struct Mesh {
    /// The configuration in force; a session loads it once per statement at most.
    pub config: Arc<ArcSwap<Config>>,
    /// What the command line put above the file; a reload needs it again.
    pub overrides: Overrides,
    /// Turned to true, the process stops as at SIGTERM.
    pub stop: watch::Sender<bool>,
    /// Open sessions of applications.
    pub sessions: Arc<Sessions>,
    /// What upgrades clients to TLS; `None`: no TLS offered.
    pub tls: ArcSwapOption<TlsAcceptor>,
    /// What the sessions of the MySQL protocol share.
    pub mysql: Arc<mysql::Front>,
    /// What the sessions of the PostgreSQL protocol share.
    pub postgres: Arc<postgres::Front>,
    /// Schemas of the logical databases, read from their shards.
    pub catalog: Catalog,
    /// Plans of statements seen before.
    pub plans: Plans<Plan>,
    /// Buffers of the lexer.
    pub scans: Scans,
    /// Changes what is logged.
    pub log: LogControl,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When the process began to serve.
    pub started_at: std::time::Instant,
    /// The key of statement fingerprints, random per process, so that nobody can aim at another's cached plan.
    pub fingerprint_key: FingerprintKey,
}
