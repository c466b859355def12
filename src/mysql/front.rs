//! What all MySQL sessions share: the pools of backends, the version shown to clients, the order of transactions.
//! Out: what one session does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use protocol::mysql::capability::{self, Capabilities};
use tokio::time::Instant;

use super::connect::{BackendKey, MySqlConnector, MySqlPools};
use super::passwords::Passwords;
use super::session::fresh::Fresh;
use crate::config::{Config, Protocol};
use crate::pool::{PoolSettings, Pools, ShardId};

/// Shown while no server could be asked for its own.
const VERSION_UNKNOWN: &str = "8.0.36";
/// Tells people, and drivers that print it, what they talk to.
const VERSION_SUFFIX: &str = "-dbmesh";
/// How long the first client may wait for a server to tell its version.
const VERSION_WAIT: Duration = Duration::from_secs(2);

/// What all MySQL sessions share.
pub struct Front {
    /// Backends.
    pub pools: Arc<MySqlPools>,
    /// Passwords of users of whom only a verifier is known.
    pub passwords: Arc<Passwords>,
    /// Settings of sessions right after their logins.
    pub fresh: Fresh,
    began: AtomicU64,
}

impl Front {
    /// Pools for the MySQL shards of this configuration; nothing is connected yet.
    #[must_use]
    pub fn new(config: Arc<ArcSwap<Config>>, settings: PoolSettings, workers: usize) -> Self {
        let pools = Pools::new(MySqlConnector::new(config), settings, workers);
        Self { pools, passwords: Arc::default(), fresh: Fresh::default(), began: AtomicU64::new(0) }
    }

    /// A number that is greater for each transaction that begins later.
    pub fn next_transaction(&self) -> u64 {
        self.began.fetch_add(1, Ordering::Relaxed)
    }

    /// The version for the greeting: as configured, else that of the servers with a suffix.
    pub async fn version(&self, config: &Config) -> Vec<u8> {
        if let Some(version) = &config.versions.mysql {
            return version.clone().into_bytes();
        }
        if self.pools.connector().version().is_none() {
            self.ask_version(config).await;
        }
        let mut version = self.pools.connector().version().unwrap_or_else(|| VERSION_UNKNOWN.as_bytes().to_vec());
        version.extend_from_slice(VERSION_SUFFIX.as_bytes());
        version
    }

    /// The flags for the greeting, TLS apart; the version was asked for before.
    pub fn offered(&self, version: &[u8]) -> Capabilities {
        let is_mariadb = version.to_ascii_lowercase().windows(7).any(|part| part == b"mariadb");
        match self.pools.connector().mariadb_capabilities() {
            extended if is_mariadb && extended != 0 => capability::OFFERED & !capability::LONG_PASSWORD | extended,
            _ => capability::OFFERED,
        }
    }

    async fn ask_version(&self, config: &Config) {
        let Some((number, database)) =
            config.databases.iter().enumerate().find(|(_, database)| database.protocol == Protocol::MySql)
        else {
            return;
        };
        let (Ok(number), Ok(shard)) = (u16::try_from(number), u16::try_from(database.default_shard)) else { return };
        let key = BackendKey { shard: ShardId::new(number, shard), capabilities: 0, in_schema: true };
        // The connector notes the version; the connection itself is not needed.
        if let Err(error) = self.pools.reserved(&key, Instant::now() + VERSION_WAIT).await {
            tracing::warn!(%error, "no server could be asked for its version");
        }
    }
}
