//! What is counted, and the page that shows it in the format of Prometheus.
//!
//! Counters belong to workers: a session adds to its own worker's atomics and nobody else's, and the page adds them up. What
//! can be read off the process (pools, sessions) is read when the page is asked for. Out: HTTP; process-global state.

mod counters;
mod families;
mod gauges;
#[cfg(test)]
mod tests;

pub use counters::{Direction, StatementClass, Tier, Times, WorkerMetrics};

use std::sync::Arc;

use prometheus::{Encoder, IntCounterVec, Opts, Registry, TextEncoder};

use crate::admin::AdminSource;
use crate::config::Protocol;
use crate::error_code::MeshError;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    workers: Vec<Arc<WorkerMetrics>>,
    errors: IntCounterVec,
    logins: IntCounterVec,
}

impl Metrics {
    /// Counters for so many workers, all zero.
    ///
    /// # Errors
    /// Two metrics have one name: a defect of this module.
    pub fn new(workers: usize) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let errors = IntCounterVec::new(
            Opts::new("dbmesh_errors_total", "Errors that dbmesh itself answered, by SQLSTATE and who has to act."),
            &["protocol", "sqlstate", "blame"],
        )?;
        let logins = IntCounterVec::new(
            Opts::new("dbmesh_logins_total", "Logins of applications by outcome."),
            &["protocol", "outcome"],
        )?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(logins.clone()))?;
        let workers = (0..workers.max(1)).map(|_| Arc::new(WorkerMetrics::default())).collect();
        Ok(Self { registry, workers, errors, logins })
    }

    /// The counters of one worker; a session takes them once, when it starts.
    pub fn worker(&self, worker: usize) -> &Arc<WorkerMetrics> {
        &self.workers[worker % self.workers.len()]
    }

    /// Counts an error of ours. Not for the hot path.
    pub fn error(&self, protocol: Protocol, error: &MeshError) {
        let code = error.code();
        let state = match protocol {
            Protocol::MySql => code.mysql_state,
            Protocol::Postgres => code.postgres_state,
        };
        let blame = match code.blame {
            crate::error_code::Blame::Client => "client",
            crate::error_code::Blame::Mesh => "mesh",
            crate::error_code::Blame::Shard => "shard",
        };
        self.errors.with_label_values(&[protocol.as_str(), state, blame]).inc();
    }

    /// Counts a login.
    pub fn login(&self, protocol: Protocol, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "denied" };
        self.logins.with_label_values(&[protocol.as_str(), outcome]).inc();
    }

    /// The page.
    pub fn page(&self, source: &dyn AdminSource) -> String {
        let mut families = self.registry.gather();
        families.extend(counters::families(&self.workers));
        families.extend(gauges::families(source));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut page = Vec::new();
        // Writing to memory does not fail; families without a metric are left out by the encoder's own rule.
        families.retain(|family| !family.get_metric().is_empty());
        if let Err(error) = TextEncoder::new().encode(&families, &mut page) {
            tracing::error!(%error, "the metrics page could not be written");
        }
        String::from_utf8_lossy(&page).into_owned()
    }
}
