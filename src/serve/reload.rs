//! Puts a changed configuration file in force while sessions run.
//! Out: reading and checking it.

use std::sync::Arc;

use crate::config::{Changes, Config, ConfigError};
use crate::listen::tls::{self, TlsError};
use crate::mesh::Mesh;

/// Why nothing was reloaded; the configuration in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file has faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Mesh {
    /// Reads the file again and applies what can change while sessions run; says what did and what waits for a restart.
    ///
    /// # Errors
    /// See [`ReloadError`].
    pub fn reload(&self) -> Result<Changes, ReloadError> {
        let old = self.config.load_full();
        let new = Config::load_with(&old.file, &self.overrides).map_err(ReloadError::Config)?;
        let changes = old.changes(&new);
        let config = old.reloaded(&new);
        // The files are read again even where their names stay: that is how a renewed certificate is put in force.
        let acceptor = config.tls.as_ref().map(|tls| tls::acceptor(&tls.certificate, &tls.key)).transpose()?;
        self.tls.store(acceptor.map(Arc::new));
        self.plans.set_limits(config.limits.plan_entries_max, config.limits.plan_bytes_max);
        self.log.set_level(config.log.level);
        self.mysql.pools.set_settings(super::pool_settings(&config));
        self.postgres.pools.set_settings(super::pool_settings(&config));
        self.config.store(Arc::new(config));
        self.postgres.forget_welcomes();
        Ok(changes)
    }

    /// As [`Self::reload`], for a signal: the answer goes to the log.
    pub(super) fn reload_and_log(&self) {
        match self.reload() {
            Ok(changes) if changes.is_empty() => tracing::info!("configuration reloaded: nothing differs"),
            Ok(changes) => tracing::info!(
                applied = changes.live.join(", "),
                at_restart = changes.restart.join(", "),
                "configuration reloaded"
            ),
            Err(error) => tracing::error!(%error, "configuration not reloaded, the old one stays"),
        }
    }
}
