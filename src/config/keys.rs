//! The one table of configuration keys: name, kind, default, whether a reload applies it, help.
//! It feeds the check for unknown keys, defaults, `SHOW CONFIG`, `RELOAD` and the manual. Out: what a value means.

use super::words::{AuthMethod, LogFormat, LogLevel, Protocol, ShardFunction, TableType, TransactionType};

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Full name; the part before the last dot is the section.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// Value as written when the key is absent; `""`: no value.
    pub default: &'static str,
    /// Whether RELOAD applies a change.
    pub reload: Reload,
    /// One sentence.
    pub help: &'static str,
}

/// What may stand at a key.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer within both bounds.
    Integer(u64, u64),
    /// Any text.
    Text,
    /// A list of texts.
    TextList,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `"IP:PORT"` or `"off"`.
    Listen,
    /// A file, relative to the configuration file.
    Path,
    /// A text that is never shown.
    Secret,
}

/// Whether a changed key needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// RELOAD and SIGHUP apply it.
    Live,
    /// Applied at the next start.
    Restart,
}

impl Reload {
    /// The word in `SHOW CONFIG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restart => "restart",
        }
    }
}

/// One section.
#[derive(Debug)]
pub struct Section {
    /// Full name; `""` is the top of the file.
    pub name: &'static str,
    /// Written `[[name]]`, once per thing.
    pub repeated: bool,
}

/// Every section.
pub const SECTIONS: &[Section] = &[
    one(""),
    one("listen"),
    one("tls"),
    one("admin"),
    many("user"),
    many("server"),
    many("database"),
    many("database.shard"),
    many("database.table"),
    one("pool"),
    one("limits"),
    one("timeouts"),
    one("log"),
    one("versions"),
];

const fn one(name: &'static str) -> Section {
    Section { name, repeated: false }
}

const fn many(name: &'static str) -> Section {
    Section { name, repeated: true }
}

const fn live(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    let reload = Reload::Live;
    Key { name, kind, default, reload, help }
}

const fn restart(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    let reload = Reload::Restart;
    Key { name, kind, default, reload, help }
}

const DAY_MS: u64 = 86_400_000;
const COUNT: Kind = Kind::Integer(1, 10_000_000);
const BYTES: Kind = Kind::Integer(1024, 1 << 40);
const WAIT: Kind = Kind::Integer(1, DAY_MS);
const WAIT_OR_NONE: Kind = Kind::Integer(0, 30 * DAY_MS);

use Kind::{Bool, Choice, Integer, Path, Secret, Text, TextList};

/// Every key.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    restart("workers", Integer(0, 1024), "0", "Threads that serve sessions; 0 means one per core."),
    live("transaction_type", Choice(TransactionType::WORDS), "atomic", "How a transaction that writes on several shards commits by default."),

    restart("listen.mysql", Kind::Listen, "127.0.0.1:3307", "Address for applications by the MySQL protocol; \"off\" for none."),
    restart("listen.postgres", Kind::Listen, "127.0.0.1:6432", "Address for applications by the PostgreSQL protocol; \"off\" for none."),
    restart("listen.admin_mysql", Kind::Listen, "127.0.0.1:6032", "Address of admin SQL by the MySQL protocol; \"off\" for none."),
    restart("listen.admin_postgres", Kind::Listen, "127.0.0.1:6033", "Address of admin SQL by the PostgreSQL protocol; \"off\" for none."),
    restart("listen.http", Kind::Listen, "127.0.0.1:9307", "Address of /metrics, /healthz and /readyz; \"off\" for none."),

    restart("tls.certificate", Path, "", "PEM file with the certificate chain of the listeners."),
    restart("tls.key", Path, "", "PEM file with the private key of the certificate."),
    restart("tls.require", Bool, "false", "Refuse clients that do not use TLS."),

    live("admin.user", Text, "admin", "User of the admin addresses."),
    live("admin.password", Secret, "admin", "Its password; the default is accepted on loopback addresses only."),
    live("admin.password_env", Text, "", "Environment variable that holds the password instead."),
    live("admin.password_file", Path, "", "File that holds the password instead."),

    live("user.name", Text, "", "User name that applications log in with."),
    live("user.password", Secret, "", "Its password."),
    live("user.password_env", Text, "", "Environment variable that holds the password instead."),
    live("user.password_file", Path, "", "File that holds the password instead."),
    live("user.scram", Secret, "", "PostgreSQL verifier SCRAM-SHA-256$... instead of a password; by the MySQL protocol only caching_sha2_password proves it."),
    live("user.auth", Choice(AuthMethod::WORDS), "password", "How the user proves itself; md5 is for old PostgreSQL clients, trust asks for nothing and works on loopback only."),
    live("user.databases", TextList, "", "Logical databases the user may use; all when absent."),
    live("user.transaction_type", Choice(TransactionType::WORDS), "", "Overrides the database's transaction_type."),

    restart("server.name", Text, "", "Name of the server in this file and in admin tables."),
    restart("server.protocol", Choice(Protocol::WORDS), "", "What the server speaks."),
    restart("server.address", Text, "", "Host and port of the server."),
    restart("server.user", Text, "", "User that dbmesh logs in with."),
    restart("server.password", Secret, "", "Its password."),
    restart("server.password_env", Text, "", "Environment variable that holds the password instead."),
    restart("server.password_file", Path, "", "File that holds the password instead."),

    restart("database.name", Text, "", "Name that applications connect to."),
    restart("database.protocol", Choice(Protocol::WORDS), "", "Protocol it is served by; its servers speak the same."),
    restart("database.default_shard", Text, "", "Shard of everything that is not declared; the first one when absent."),
    restart("database.transaction_type", Choice(TransactionType::WORDS), "", "Overrides transaction_type."),
    restart("database.shard.name", Text, "", "Name of the shard."),
    restart("database.shard.server", Text, "", "Server that holds it."),
    restart("database.shard.database", Text, "", "Database on that server; the logical name when absent."),
    restart("database.table.name", Text, "", "Table name."),
    restart("database.table.schema", Text, "", "Schema of the table (PostgreSQL); public when absent."),
    restart("database.table.type", Choice(TableType::WORDS), "", "Where the rows are: spread by key, a copy on every shard, or on one shard."),
    restart("database.table.key", TextList, "", "Key columns of a sharded table, in order."),
    restart("database.table.function", Choice(ShardFunction::WORDS), "hash", "Function from key to shard of a sharded table."),
    restart("database.table.unique_per_shard", Bool, "false", "Accept writes to unique keys that lack the shard key, although no shard sees the others' duplicates: the application vouches."),
    restart("database.table.shard", Text, "", "Shard of a single table; the default shard when absent."),

    live("pool.size_max", Integer(1, 100_000), "100", "Most backends to one shard."),
    live("pool.size_min", Integer(0, 100_000), "0", "Backends to one shard that are kept open when idle."),
    live("pool.waiters_max", COUNT, "10000", "Sessions that may wait for a backend of one shard."),
    live("pool.wait_ms_max", WAIT, "5000", "Longest wait for a backend, in ms."),
    live("pool.age_ms_max", Integer(1000, 30 * DAY_MS), "3600000", "Age at which an idle backend is replaced, in ms."),
    live("pool.idle_ms_max", Integer(100, 30 * DAY_MS), "600000", "Time after which an idle backend above pool.size_min is closed, in ms."),
    live("pool.reserved", Integer(1, 1000), "4", "Connections to one shard outside the cap, for cancel, kill, probes and recovery."),

    live("limits.sessions_max", COUNT, "10000", "Sessions of applications."),
    live("limits.admin_sessions_max", Integer(1, 10_000), "64", "Sessions on the admin addresses."),
    live("limits.sql_bytes_max", BYTES, "67108864", "Bytes of one message of a client."),
    live("limits.operators_max", Integer(10, 20_000), "10000", "Operators in one statement that has to be parsed."),
    live("limits.merge_rows_max", COUNT, "1000000", "Rows or groups held in memory while merging one result."),
    live("limits.merge_bytes_max", BYTES, "268435456", "Bytes held in memory while merging one result."),
    live("limits.plan_entries_max", COUNT, "10000", "Plans kept in the cache."),
    live("limits.plan_bytes_max", BYTES, "67108864", "Bytes of plans kept in the cache."),
    live("limits.session_statements_max", COUNT, "16382", "Prepared statements of one session."),
    live("limits.backend_statements_max", COUNT, "1000", "Prepared statements kept on one backend."),

    live("timeouts.connect_ms", WAIT, "5000", "Connecting and logging in to a server, in ms."),
    live("timeouts.handshake_ms", WAIT, "10000", "From accept until the client is logged in, in ms."),
    live("timeouts.statement_ms", WAIT_OR_NONE, "0", "Longest a statement may run, in ms; 0 leaves it to the server."),
    live("timeouts.session_idle_ms", WAIT_OR_NONE, "28800000", "Longest silence of a session outside a transaction, in ms; 0 for no limit."),
    live("timeouts.transaction_idle_ms", WAIT_OR_NONE, "28800000", "Longest silence of a session inside a transaction, in ms; 0 for no limit."),
    live("timeouts.client_write_ms", WAIT, "60000", "Longest a write to a client may make no progress, in ms."),
    live("timeouts.cancel_ms", WAIT, "5000", "Killing or cancelling a statement on a server, in ms."),
    live("timeouts.probe_interval_ms", WAIT, "2000", "Time between two health probes of a shard, in ms."),
    live("timeouts.shutdown_ms", WAIT, "10000", "From the order to stop until open transactions are cut, in ms."),

    live("log.level", Choice(LogLevel::WORDS), "info", "Least severe level shown."),
    restart("log.format", Choice(LogFormat::WORDS), "text", "Form of a line: text for people, json for collectors."),
    live("log.slow_ms", WAIT_OR_NONE, "1000", "Statements at least this slow get a line, in ms; 0 for none."),
    live("log.literals", Bool, "false", "Show literals in that line; without it they print as ?."),

    restart("versions.mysql", Text, "", "Version shown to MySQL clients; the shards' own with a suffix when absent."),
    restart("versions.postgres", Text, "", "Version shown to PostgreSQL clients; the shards' own with a suffix when absent."),
];

/// The key of this full name.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The section of this full name.
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|s| s.name == name)
}

/// Names that may stand directly in a section, in table order: keys first, then sections below it.
pub fn names_in(section: &str) -> Vec<&'static str> {
    let inside = |name: &'static str| match section {
        "" => (!name.is_empty() && !name.contains('.')).then_some(name),
        _ => name.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')).filter(|rest| !rest.contains('.')),
    };
    let keys = KEYS.iter().filter_map(|k| inside(k.name));
    keys.chain(SECTIONS.iter().filter_map(|s| inside(s.name))).collect()
}
