//! Starts the process's parts in order, reloads their configuration, and stops them.
//! Out: what sessions do; the command line.

mod overview;
mod reload;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use sharding::lexer::FingerprintKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::config::{Config, Overrides, Protocol};
use crate::interrupt::Reason;
use crate::listen::tls::{self, TlsError};
use crate::listen::workers::Workers;
use crate::log::LogControl;
use crate::mesh::Mesh;
use crate::metrics::Metrics;
use crate::mysql;
use crate::plans::Plans;
use crate::pool::PoolSettings;
use crate::postgres;
use crate::scans::Scans;
use crate::sessions::Sessions;

pub use reload::ReloadError;
use sockets::Sockets;

/// How often a stop looks whether the last session has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long sessions that are cut may take to stop their statements and tell their clients.
const CUT_MAX: Duration = Duration::from_secs(3);

/// Why the process cannot start. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(io::Error),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Threads, event queues, signals.
    #[error("the system refused {what}: {cause}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        cause: io::Error,
    },
}

/// The process while it serves.
pub struct Running {
    mesh: Arc<Mesh>,
    workers: Arc<Workers>,
    stop: watch::Sender<bool>,
    addresses: Addresses,
}

/// Where it really listens: differs from the configuration where that says port 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses {
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

impl Running {
    /// Binds every address, then starts to serve. Nothing is served unless all could be bound. Must be called inside a
    /// tokio runtime, which then accepts clients and runs what belongs to no session.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Config, overrides: Overrides, log: LogControl) -> Result<Self, StartError> {
        let system = |what| move |cause| StartError::System { what, cause };
        let sockets = Sockets::bind(&config.listen).map_err(StartError::Listen)?;
        let addresses = sockets.addresses();
        let tls = config.tls.as_ref().map(|tls| tls::acceptor(&tls.certificate, &tls.key)).transpose()?;
        let mut key = [0; 16];
        let random = |error: getrandom::Error| StartError::System {
            what: "random numbers",
            cause: io::Error::other(error.to_string()),
        };
        getrandom::fill(&mut key).map_err(random)?;
        let workers = Arc::new(Workers::start(config.workers).map_err(system("worker threads"))?);
        let metrics = Metrics::new(workers.count())
            .map_err(|error| StartError::System { what: "metrics", cause: io::Error::other(error.to_string()) })?;
        let catalog = Catalog::start(&config);
        let (entries, bytes) = (config.limits.plan_entries_max, config.limits.plan_bytes_max);
        let plans = Plans::new(workers.count(), entries, bytes);
        let (stop, stopped) = watch::channel(false);
        let pool = pool_settings(&config);
        let config = Arc::new(ArcSwap::from_pointee(config));
        let mysql = mysql::Front::new(Arc::clone(&config), pool.clone(), workers.count());
        let postgres = postgres::Front::new(Arc::clone(&config), pool.clone(), workers.count()).map_err(random)?;
        let mesh = Arc::new(Mesh {
            catalog,
            plans,
            scans: Scans::new(workers.count()),
            log,
            metrics: Arc::new(metrics),
            started_at: std::time::Instant::now(),
            overrides,
            mysql: Arc::new(mysql),
            postgres: Arc::new(postgres),
            sessions: Arc::new(Sessions::default()),
            tls: ArcSwapOption::from_pointee(tls),
            fingerprint_key: FingerprintKey::from_bytes(key),
            stop: stop.clone(),
            config,
        });
        tokio::spawn(Arc::clone(&mesh.mysql.pools).upkeep());
        tokio::spawn(Arc::clone(&mesh.postgres.pools).upkeep());
        sockets.serve(&mesh, &workers, &stopped);
        Ok(Self { mesh, workers, stop, addresses })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What sessions share.
    #[must_use]
    pub fn mesh(&self) -> &Arc<Mesh> {
        &self.mesh
    }

    /// Waits for SIGINT, SIGTERM or the admin statement SHUTDOWN; reloads the configuration at every SIGHUP meanwhile.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub async fn until_told_to_stop(&self) -> Result<(), StartError> {
        let system = |cause| StartError::System { what: "signals", cause };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(system)?;
        let mut stopped = self.stop.subscribe();
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                _ = hangup.recv() => self.mesh.reload_and_log(),
            }
        }
    }

    /// Stops: no new sessions; open ones end at their next transaction boundary, or when `timeouts.shutdown` has passed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + self.mesh.config.load().timeouts.shutdown;
        self.mesh.sessions.interrupt_all(Reason::Drain);
        let left = self.drained(deadline).await;
        if left > 0 {
            tracing::warn!(sessions = left, "sessions are cut: they did not end in time");
            self.mesh.sessions.interrupt_all(Reason::Session);
            self.drained(Instant::now() + CUT_MAX).await;
        }
        self.mesh.mysql.pools.shut_down();
        self.mesh.postgres.pools.shut_down();
        if let Some(workers) = Arc::into_inner(self.workers) {
            workers.stop();
        }
    }

    /// Waits until no session is open, at most until `deadline`; says how many are. Whoever has not logged in has
    /// nothing to lose.
    async fn drained(&self, deadline: Instant) -> usize {
        loop {
            let left = self.mesh.sessions.count_logged_in();
            if left == 0 || Instant::now() >= deadline {
                return left;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }
}

/// The knobs of the pools, as configured.
fn pool_settings(config: &Config) -> PoolSettings {
    let pool = &config.pool;
    PoolSettings {
        size_max: pool.size_max,
        size_min: pool.size_min,
        reserved_max: pool.reserved,
        waiters_max: pool.waiters_max,
        wait_max: pool.wait_max,
        age_max: pool.age_max,
        idle_max: pool.idle_max,
        connect_timeout: config.timeouts.connect,
        ..PoolSettings::default()
    }
}

/// The protocols whose sessions are an application's.
const FRONTS: [Protocol; 2] = [Protocol::MySql, Protocol::Postgres];
