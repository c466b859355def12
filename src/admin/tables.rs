//! The tables of SHOW and HELP: columns and how rows are made. Column names never change; new columns go to the end.

use std::time::Duration;

use crate::config::{Config, Credential, Database, KEYS, Protocol, TablePlacement};

use super::grammar::Show;
use super::rows::{AdminRows, Column, Value};
use super::source::{AdminSource, TableRow};

/// Most rows of SHOW PLANS.
const PLAN_ROWS_MAX: usize = 1000;

/// Columns of a table: `#` in front of a name marks integers.
fn names(table: Show) -> &'static [&'static str] {
    match table {
        Show::Version => &["version", "#uptime_seconds", "#workers", "config_file"],
        Show::Config => &["name", "value", "default_value", "reload", "help"],
        Show::Users => &["user", "auth", "databases", "transaction_type"],
        Show::Databases => &["database", "protocol", "#shards", "#tables", "default_shard", "transaction_type"],
        Show::Shards => &[
            "shard",
            "database",
            "protocol",
            "server",
            "address",
            "server_database",
            "is_default",
            "state",
            "version",
            "error",
        ],
        Show::Tables => &["table", "schema", "database", "protocol", "type", "key", "function", "shards", "declared"],
        Show::Pools => &[
            "shard",
            "database",
            "protocol",
            "#size_max",
            "#size",
            "#idle",
            "#leased",
            "#opening",
            "#quarantined",
            "#waiting",
            "#reserved",
            "#leases_total",
            "#waits_total",
            "#wait_ms_total",
            "#wait_timeouts_total",
            "#deadlocks_total",
            "#opened_total",
            "#closed_total",
            "#connect_errors_total",
            "state",
        ],
        Show::Sessions => &[
            "#id",
            "protocol",
            "user",
            "database",
            "application",
            "client",
            "state",
            "#age_seconds",
            "#statements",
            "pinned",
            "#pinned_ms",
        ],
        Show::Backends => &[
            "#id",
            "shard",
            "database",
            "protocol",
            "user",
            "state",
            "#session",
            "#in_state_ms",
            "#age_seconds",
            "#leases",
        ],
        Show::Plans => &["statement", "database", "protocol", "kind", "#hits", "#bytes"],
    }
}

/// The columns of a table.
pub(super) fn columns(table: Show) -> Vec<Column> {
    let column = |name: &&str| match name.strip_prefix('#') {
        Some(name) => Column::integer(name),
        None => Column::text(name),
    };
    names(table).iter().map(column).collect()
}

/// A table with its rows.
pub(super) fn show(table: Show, source: &dyn AdminSource) -> AdminRows {
    let mut rows = AdminRows::new(columns(table));
    let config = source.config();
    match table {
        Show::Version => rows.push([
            format!("dbmesh {}", env!("CARGO_PKG_VERSION")).into(),
            source.uptime().as_secs().into(),
            config.workers.into(),
            config.file.display().to_string().into(),
        ]),
        Show::Config => settings(&config, &mut rows),
        Show::Users => users(&config, &mut rows),
        Show::Databases => databases(&config, &mut rows),
        Show::Shards => shards(&config, source, &mut rows),
        Show::Tables => tables(source, &mut rows),
        Show::Pools => pools(source, &mut rows),
        Show::Sessions => sessions(source, &mut rows),
        Show::Backends => backends(source, &mut rows),
        Show::Plans => plans(source, &mut rows),
    }
    rows
}

fn settings(config: &Config, rows: &mut AdminRows) {
    for (name, value) in config.settings() {
        if let Some(key) = KEYS.iter().find(|k| k.name == name) {
            let default = if name == "admin.password" { "(hidden)" } else { key.default };
            rows.push([name.into(), value.into(), default.into(), key.reload.as_str().into(), key.help.into()]);
        }
    }
}

fn users(config: &Config, rows: &mut AdminRows) {
    for user in &config.users {
        let auth = match user.credential {
            Credential::Password(_) => "password",
            Credential::Md5(_) => "md5",
            Credential::ScramVerifier(_) => "scram",
            Credential::Trust => "trust",
        };
        rows.push([
            user.name.as_str().into(),
            auth.into(),
            user.databases.as_ref().map_or_else(|| "(all)".to_owned(), |list| list.join(",")).into(),
            user.transaction_type.map(|t| t.as_str().to_owned()).into(),
        ]);
    }
}

fn databases(config: &Config, rows: &mut AdminRows) {
    for database in &config.databases {
        rows.push([
            database.name.as_str().into(),
            database.protocol.as_str().into(),
            database.shards.len().into(),
            database.tables.len().into(),
            database.shards[database.default_shard].name.as_str().into(),
            database.transaction_type.unwrap_or(config.transaction_type).as_str().into(),
        ]);
    }
}

fn shards(config: &Config, source: &dyn AdminSource, rows: &mut AdminRows) {
    let health = source.shards();
    for database in &config.databases {
        for (index, shard) in database.shards.iter().enumerate() {
            let server = config.server_of(shard);
            let known = health
                .iter()
                .find(|h| h.protocol == database.protocol && h.database == database.name && h.shard == shard.name);
            rows.push([
                shard.name.as_str().into(),
                database.name.as_str().into(),
                database.protocol.as_str().into(),
                server.name.as_str().into(),
                server.address.to_string().into(),
                shard.database.as_str().into(),
                yes(index == database.default_shard),
                known.map_or("unknown", |h| h.state).into(),
                known.and_then(|h| h.version.clone()).into(),
                known.and_then(|h| h.error.clone()).into(),
            ]);
        }
    }
}

/// The tables that the configuration declares.
pub(super) fn declared(config: &Config) -> Vec<TableRow> {
    let mut rows = Vec::new();
    for database in &config.databases {
        for table in &database.tables {
            let (kind, key, function, shards) = match &table.placement {
                TablePlacement::Sharded { key, function, .. } => {
                    ("sharded", Some(key.join(",")), Some(function.to_string()), all_shards(database))
                }
                TablePlacement::Reference => ("reference", None, None, all_shards(database)),
                TablePlacement::Single { shard } => ("single", None, None, database.shards[*shard].name.clone()),
            };
            let schema = match database.protocol {
                Protocol::MySql => None,
                Protocol::Postgres => Some(table.schema.clone().unwrap_or_else(|| "public".to_owned())),
            };
            rows.push(TableRow {
                protocol: database.protocol,
                database: database.name.clone(),
                schema,
                table: table.name.clone(),
                kind,
                key,
                function,
                shards,
                declared: true,
            });
        }
    }
    rows
}

fn all_shards(database: &Database) -> String {
    database.shards.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(",")
}

fn tables(source: &dyn AdminSource, rows: &mut AdminRows) {
    for table in source.tables() {
        rows.push([
            table.table.into(),
            table.schema.into(),
            table.database.into(),
            table.protocol.as_str().into(),
            table.kind.into(),
            table.key.into(),
            table.function.into(),
            table.shards.into(),
            yes(table.declared),
        ]);
    }
}

fn pools(source: &dyn AdminSource, rows: &mut AdminRows) {
    for pool in source.pools() {
        let state = pool.state();
        rows.push([
            pool.shard.into(),
            pool.database.into(),
            pool.protocol.into(),
            pool.size_max.into(),
            pool.size.into(),
            pool.idle.into(),
            pool.leased.into(),
            pool.opening.into(),
            pool.quarantined.into(),
            pool.waiting.into(),
            pool.reserved.into(),
            pool.leases_total.into(),
            pool.waits_total.into(),
            pool.wait_ms_total.into(),
            pool.wait_timeouts_total.into(),
            pool.deadlocks_total.into(),
            pool.opened_total.into(),
            pool.closed_total.into(),
            pool.connect_errors_total.into(),
            state.into(),
        ]);
    }
}

fn sessions(source: &dyn AdminSource, rows: &mut AdminRows) {
    for session in source.sessions() {
        let (reason, pinned_for) = match session.pinned {
            Some((reason, duration)) => (Value::from(reason), ms(duration)),
            None => (Value::Null, Value::Null),
        };
        rows.push([
            session.id.into(),
            session.protocol.as_str().into(),
            session.user.into(),
            session.database.into(),
            session.application.into(),
            session.client.into(),
            session.state.into(),
            session.age.as_secs().into(),
            session.statements.into(),
            reason,
            pinned_for,
        ]);
    }
}

fn backends(source: &dyn AdminSource, rows: &mut AdminRows) {
    for backend in source.backends() {
        rows.push([
            backend.id.into(),
            backend.shard.into(),
            backend.database.into(),
            backend.protocol.as_str().into(),
            backend.user.into(),
            backend.state.into(),
            backend.session.map_or(Value::Null, Value::from),
            ms(backend.in_state),
            backend.age.as_secs().into(),
            backend.leases.into(),
        ]);
    }
}

fn plans(source: &dyn AdminSource, rows: &mut AdminRows) {
    for plan in source.plans(PLAN_ROWS_MAX) {
        rows.push([
            plan.statement.into(),
            plan.database.into(),
            plan.protocol.as_str().into(),
            plan.kind.into(),
            plan.hits.into(),
            plan.bytes.into(),
        ]);
    }
}

/// HELP.
pub(super) fn help() -> AdminRows {
    const HELP: &[(&str, &str)] = &[
        ("SHOW VERSION", "version, uptime, threads, configuration file"),
        ("SHOW CONFIG", "every setting, its default, whether RELOAD applies it, and what it means"),
        ("SHOW USERS", "users of applications"),
        ("SHOW DATABASES", "logical databases"),
        ("SHOW SHARDS", "shards, the servers that hold them, and their health"),
        ("SHOW TABLES", "tables and where their rows are"),
        ("SHOW POOLS", "backend pools, one row per shard"),
        ("SHOW SESSIONS", "open sessions of applications, and why one is pinned to its backend"),
        ("SHOW BACKENDS", "open connections to servers"),
        ("SHOW PLANS", "cached plans, the most used first"),
        ("USE mysql.<database> | postgres.<database> | admin", "chooses the database that EXPLAIN ROUTE plans for"),
        (
            "EXPLAIN ROUTE [FOR mysql.<database> | FOR postgres.<database>] <sql>",
            "how a statement would run; it is not run",
        ),
        ("RELOAD", "reads the configuration file again; says what applies now and what needs a restart"),
        ("KILL SESSION <id>", "ends a session of an application"),
        (
            "PAUSE SHARD <name> [FOR mysql.<database> | FOR postgres.<database>]",
            "lets sessions that want the shard wait; returns once no connection to it is open, or takes the pause back",
        ),
        ("RESUME SHARD <name> [FOR mysql.<database> | FOR postgres.<database>]", "ends the pause of a shard"),
        ("SHUTDOWN", "stops in order: no new sessions, open transactions may end"),
        ("HELP", "this list"),
    ];
    let mut rows = AdminRows::new(vec![Column::text("statement"), Column::text("meaning")]);
    for (statement, meaning) in HELP {
        rows.push([(*statement).into(), (*meaning).into()]);
    }
    rows
}

fn yes(condition: bool) -> Value {
    if condition { "yes".into() } else { "no".into() }
}

fn ms(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}
