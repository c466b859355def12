//! What a configuration file says, in the shape of the file, each value with its place in the text.
//! Keys with a default are always here: `document` fills them in from the key table. Out: what values mean.

use serde::Deserialize;
use toml::Spanned;

/// A value and where it stands.
pub(super) type At<T> = Spanned<T>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub workers: At<u64>,
    pub transaction_type: At<String>,
    pub listen: RawListen,
    pub tls: RawTls,
    pub admin: RawAdmin,
    #[serde(default)]
    pub user: Vec<At<RawUser>>,
    #[serde(default)]
    pub server: Vec<At<RawServer>>,
    #[serde(default)]
    pub database: Vec<At<RawDatabase>>,
    pub pool: RawPool,
    pub limits: RawLimits,
    pub timeouts: RawTimeouts,
    pub log: RawLog,
    pub versions: RawVersions,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    pub mysql: At<String>,
    pub postgres: At<String>,
    pub admin_mysql: At<String>,
    pub admin_postgres: At<String>,
    pub http: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub certificate: Option<At<String>>,
    pub key: Option<At<String>>,
    pub require: At<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    pub user: At<String>,
    pub password: At<String>,
    pub password_env: Option<At<String>>,
    pub password_file: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    pub name: Option<At<String>>,
    pub password: Option<At<String>>,
    pub password_env: Option<At<String>>,
    pub password_file: Option<At<String>>,
    pub scram: Option<At<String>>,
    pub auth: At<String>,
    pub databases: Option<At<Vec<At<String>>>>,
    pub transaction_type: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub name: Option<At<String>>,
    pub protocol: Option<At<String>>,
    pub address: Option<At<String>>,
    pub user: Option<At<String>>,
    pub password: Option<At<String>>,
    pub password_env: Option<At<String>>,
    pub password_file: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub name: Option<At<String>>,
    pub protocol: Option<At<String>>,
    pub default_shard: Option<At<String>>,
    pub transaction_type: Option<At<String>>,
    #[serde(default)]
    pub shard: Vec<At<RawShard>>,
    #[serde(default)]
    pub table: Vec<At<RawTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShard {
    pub name: Option<At<String>>,
    pub server: Option<At<String>>,
    pub database: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    pub name: Option<At<String>>,
    pub schema: Option<At<String>>,
    pub r#type: Option<At<String>>,
    pub key: Option<At<Vec<At<String>>>>,
    pub function: At<String>,
    pub unique_per_shard: At<bool>,
    pub shard: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub size_max: At<u64>,
    pub size_min: At<u64>,
    pub waiters_max: At<u64>,
    pub wait_ms_max: At<u64>,
    pub age_ms_max: At<u64>,
    pub idle_ms_max: At<u64>,
    pub reserved: At<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub sessions_max: At<u64>,
    pub admin_sessions_max: At<u64>,
    pub sql_bytes_max: At<u64>,
    pub operators_max: At<u64>,
    pub merge_rows_max: At<u64>,
    pub merge_bytes_max: At<u64>,
    pub plan_entries_max: At<u64>,
    pub plan_bytes_max: At<u64>,
    pub session_statements_max: At<u64>,
    pub backend_statements_max: At<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimeouts {
    pub connect_ms: At<u64>,
    pub handshake_ms: At<u64>,
    pub statement_ms: At<u64>,
    pub session_idle_ms: At<u64>,
    pub transaction_idle_ms: At<u64>,
    pub client_write_ms: At<u64>,
    pub cancel_ms: At<u64>,
    pub probe_interval_ms: At<u64>,
    pub shutdown_ms: At<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub level: At<String>,
    pub format: At<String>,
    pub slow_ms: At<u64>,
    pub literals: At<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVersions {
    pub mysql: Option<At<String>>,
    pub postgres: Option<At<String>>,
}
