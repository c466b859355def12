//! Answers to what drivers and command lines send by themselves: settings and functions of the server they believe to talk to.
//! Out: statements of operators.

use crate::config::Protocol;

use super::grammar::Expression;
use super::rows::{AdminRows, Column, ColumnKind, Value};
use super::session::AdminSession;

/// Settings that clients read by SHOW, by the name they use; both protocols know all of them.
const SETTINGS: &[(&str, &str)] = &[
    ("server_version", POSTGRES_VERSION),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("datestyle", "ISO, MDY"),
    ("timezone", "UTC"),
    ("search_path", "public"),
    ("transaction_isolation", "read committed"),
    ("transaction isolation level", "read committed"),
    ("default_transaction_read_only", "off"),
    ("transaction_read_only", "off"),
];

/// MySQL lists that clients read by themselves; they are empty here.
const LISTS: &[(&str, [&str; 2])] = &[
    ("warnings", ["Level", "Message"]),
    ("variables", ["Variable_name", "Value"]),
    ("session variables", ["Variable_name", "Value"]),
    ("global variables", ["Variable_name", "Value"]),
    ("status", ["Variable_name", "Value"]),
    ("session status", ["Variable_name", "Value"]),
    ("collation", ["Collation", "Charset"]),
    ("engines", ["Engine", "Support"]),
];

const FUNCTIONS: &[&str] = &[
    "version",
    "database",
    "schema",
    "current_database",
    "current_schema",
    "current_catalog",
    "user",
    "current_user",
    "session_user",
    "system_user",
    "connection_id",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "txid_current_if_assigned",
];

/// Shown to PostgreSQL clients, which take the number in front as the version.
pub(super) const POSTGRES_VERSION: &str = concat!("15.0 (dbmesh ", env!("CARGO_PKG_VERSION"), " admin)");
/// Shown to MySQL clients.
pub(super) const MYSQL_VERSION: &str = concat!("8.0.30-dbmesh-", env!("CARGO_PKG_VERSION"), "-admin");

/// Whether `SHOW <name>` is something a client asks by itself. `name` is lower case.
pub(super) fn knows_setting(name: &str) -> bool {
    SETTINGS.iter().any(|(known, _)| *known == name) || list(name).is_some()
}

/// Whether a function can be selected. `name` is lower case.
pub(super) fn knows_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// The answer to `SHOW <name>`.
pub(super) fn setting(name: &str) -> AdminRows {
    if let Some(columns) = list(name) {
        return AdminRows::new(columns.map(Column::text).into());
    }
    let value = SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    AdminRows::lines(&name.replace(' ', "_"), value)
}

/// The list that `SHOW <name> [LIKE ...]` asks for.
fn list(name: &str) -> Option<[&'static str; 2]> {
    let starts = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    LISTS.iter().find(|(known, _)| starts(known)).map(|(_, columns)| *columns)
}

/// The value of one item of a SELECT list.
pub(super) fn value(expression: &Expression, session: &AdminSession) -> (ColumnKind, Value) {
    let text = |text: &str| (ColumnKind::Text, Value::from(text));
    match expression {
        Expression::Number(number) => (ColumnKind::Integer, Value::Integer(*number)),
        Expression::Literal(literal) => text(literal),
        Expression::System(name) => system(name),
        Expression::Function(name) => match name.as_str() {
            "version" => match session.protocol() {
                Protocol::MySql => text(MYSQL_VERSION),
                Protocol::Postgres => (ColumnKind::Text, Value::from(format!("PostgreSQL {POSTGRES_VERSION}"))),
            },
            "current_schema" => text("public"),
            "user" | "current_user" | "session_user" | "system_user" => text(session.user()),
            "connection_id" | "pg_backend_pid" => (ColumnKind::Integer, Value::from(session.id())),
            "pg_is_in_recovery" => text("f"),
            "txid_current_if_assigned" => (ColumnKind::Text, Value::Null),
            _ => (ColumnKind::Text, Value::from(session.database())),
        },
    }
}

/// The value of `@@name`; NULL for one that only a real server has.
fn system(name: &str) -> (ColumnKind, Value) {
    let text = |text: &str| (ColumnKind::Text, Value::from(text));
    let integer = |number: i64| (ColumnKind::Integer, Value::Integer(number));
    match name {
        "version" => text(MYSQL_VERSION),
        "version_comment" => text("dbmesh admin SQL; HELP lists the statements"),
        "max_allowed_packet" => integer(67_108_864),
        "wait_timeout" | "interactive_timeout" => integer(28_800),
        "net_write_timeout" => integer(60),
        "auto_increment_increment" | "autocommit" => integer(1),
        "lower_case_table_names" => integer(0),
        "sql_mode" => text("STRICT_TRANS_TABLES"),
        "time_zone" | "system_time_zone" => text("UTC"),
        "tx_isolation" | "transaction_isolation" => text("READ-COMMITTED"),
        "tx_read_only" | "transaction_read_only" => integer(0),
        "character_set_client" | "character_set_connection" | "character_set_results" | "character_set_server" => {
            text("utf8mb4")
        }
        "collation_connection" | "collation_server" => text("utf8mb4_general_ci"),
        "license" => text("Apache-2.0"),
        _ => (ColumnKind::Text, Value::Null),
    }
}
