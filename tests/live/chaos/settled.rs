//! After chaos: nothing is held, nothing is locked, nothing uncommitted is seen, and new sessions find all as new.

use std::time::{Duration, Instant};

use dbmesh::demo::servers::SERVER_USER;
use mysql_async::prelude::Queryable as _;

use super::arena::Arena;
use crate::bed::{PASSWORD, Server, ServerKind, eventually_async};

/// Longest wait until the pools are at rest: cancels, kills and cleanings have shorter deadlines.
const REST: Duration = Duration::from_secs(30);
/// Longest until a server has seen that a connection is closed.
const NOTICE: Duration = Duration::from_secs(10);
/// Memory of the process afterwards, in KiB: two dozen sessions that are gone.
const RESIDENT_MAX: u64 = 160 << 10;

/// Looks at everything; panics when something is left.
pub async fn check(arena: &Arena, about: &str) {
    let mesh = &arena.mesh;
    let _log = mesh.show_log_on_failure();
    assert!(mesh.is_alive(), "{about}: dbmesh is gone");
    pools_rest(arena, about).await;
    for server in &arena.database.shards {
        match server.kind {
            ServerKind::MariaDb => mysql_server(server, &arena.database.name, about).await,
            ServerKind::Postgres => postgres_server(server, &arena.database.name, about).await,
        }
    }
    match arena.database.kind {
        ServerKind::MariaDb => mysql_sessions(arena, about).await,
        ServerKind::Postgres => postgres_sessions(arena, about).await,
    }
    pools_rest(arena, about).await;
    let log = mesh.log();
    for sign in ["panicked", "internal error"] {
        let line = log.lines().find(|line| line.contains(sign));
        assert_eq!(line, None, "{about}: a defect in the log");
    }
    let resident = mesh.resident_kib();
    eprintln!("{about}: {} MiB resident", resident >> 10);
    assert!(resident < RESIDENT_MAX, "{about}: {resident} KiB of memory");
}

/// No session is left, and every pool has all its backends back.
async fn pools_rest(arena: &Arena, about: &str) {
    let busy = ["leased", "opening", "quarantined", "waiting", "reserved"];
    let last = std::sync::Mutex::new(String::new());
    let look = || async {
        let pools = admin(arena, "SHOW POOLS").await;
        let sessions = admin(arena, "SHOW SESSIONS").await;
        let rest = pools.iter().all(|(name, value)| !busy.contains(&name.as_str()) || value == "0");
        *last.lock().expect("text") = format!("{pools:?}\n{sessions:?}");
        rest && !pools.is_empty() && sessions.is_empty()
    };
    let wait = eventually_async("pools at rest", REST, look);
    if tokio::time::timeout(REST - Duration::from_secs(1), wait).await.is_err() {
        panic!("{about}: pools or sessions do not come to rest: {}", last.lock().expect("text"));
    }
}

/// The fields of all rows of an admin statement.
async fn admin(arena: &Arena, sql: &str) -> Vec<(String, String)> {
    let mut options = tokio_postgres::Config::new();
    let port = arena.mesh.addresses.admin_postgres.port();
    options.host("127.0.0.1").port(port).user("admin").password("admin").dbname("admin");
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("the admin address serves");
    tokio::spawn(connection);
    let mut fields = Vec::new();
    for message in client.simple_query(sql).await.expect("an answer") {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            for (at, column) in row.columns().iter().enumerate() {
                fields.push((column.name().to_owned(), row.get(at).unwrap_or_default().to_owned()));
            }
        }
    }
    fields
}

async fn mysql_server(server: &Server, database: &str, about: &str) {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port)
        .user(Some(SERVER_USER))
        .pass(Some(PASSWORD))
        .db_name(Some(database))
        .prefer_socket(false);
    let mut direct = mysql_async::Conn::new(options).await.expect("a connection to the server");
    for (what, sql) in [
        (
            "open transactions",
            "SELECT CONCAT(t.trx_started, ' ', p.command) FROM information_schema.innodb_trx t \
             JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE()",
        ),
        (
            "running statements",
            // A KILL QUERY that comes too late shows as `Killed` without a text until the next command, which it spares.
            "SELECT CONCAT_WS(' ', id, command, state, info) FROM information_schema.processlist \
             WHERE db = DATABASE() AND command <> 'Sleep' AND id <> CONNECTION_ID() \
             AND NOT (command = 'Killed' AND info IS NULL)",
        ),
        ("named locks", "SELECT 'chaos' FROM DUAL WHERE NOT IS_FREE_LOCK('chaos')"),
        ("uncommitted rows", "SELECT CONCAT(tag, ' ', n) FROM work WHERE word = 'uncommitted'"),
        ("uncommitted changes", "SELECT CONCAT(tag) FROM hot WHERE word = 'uncommitted'"),
    ] {
        // A server takes its time to notice that a connection was closed or killed.
        let deadline = Instant::now() + NOTICE;
        loop {
            let left: Vec<String> = direct.query(sql).await.expect("an answer");
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "{about}: {what} are left on a server: {left:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    direct.query_drop("SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1").await.expect("set");
    direct.query_drop("UPDATE hot SET word = 'free'").await.expect("no row is locked");
    direct.query_drop("ALTER TABLE hot COMMENT = 'free'").await.expect("no table is locked");
    direct.disconnect().await.expect("a good end");
}

async fn postgres_server(server: &Server, database: &str, about: &str) {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(server.port).user(SERVER_USER).password(PASSWORD).dbname(database);
    let (direct, connection) = options.connect(tokio_postgres::NoTls).await.expect("a connection to the server");
    tokio::spawn(connection);
    for (what, sql) in [
        (
            "open transactions or statements",
            "SELECT CONCAT(state, ' ', query) FROM pg_stat_activity WHERE datname = current_database() \
             AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'",
        ),
        (
            "advisory locks",
            "SELECT CONCAT(pid, ' ', objid) FROM pg_locks WHERE locktype = 'advisory' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ),
        ("uncommitted rows", "SELECT CONCAT(tag, ' ', n) FROM work WHERE word = 'uncommitted'"),
        ("uncommitted changes", "SELECT CONCAT(tag) FROM hot WHERE word = 'uncommitted'"),
    ] {
        // A server takes its time to notice that a connection was closed.
        let deadline = Instant::now() + NOTICE;
        loop {
            let left = direct.query(sql, &[]).await.expect("an answer");
            if left.is_empty() {
                break;
            }
            let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
            assert!(Instant::now() < deadline, "{about}: {what} are left on a server: {left:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let lock = "SET lock_timeout = '1s'; UPDATE hot SET word = 'free'; BEGIN; LOCK TABLE hot; COMMIT";
    direct.batch_execute(lock).await.expect("nothing is locked");
}

/// As many sessions as a pool has backends, all at the same time: each sees what a server gives to a new session.
async fn mysql_sessions(arena: &Arena, about: &str) {
    let mut sessions = Vec::new();
    for _ in 0..arena.pool() {
        let mut session = arena.mesh.mysql(&arena.database.name).await;
        session.query_drop("BEGIN").await.expect("a transaction");
        let rows: Vec<i64> = session.query("SELECT n FROM tagged WHERE tag = 1").await.expect("rows");
        assert_eq!(rows.len(), 40, "{about}: a new session");
        sessions.push(session);
    }
    for session in &mut sessions {
        let own = "SELECT CONCAT_WS('|', @@group_concat_max_len, @@time_zone, @@sql_mode, @@autocommit, \
                   @@tx_isolation, @@tx_read_only, @@sql_select_limit, @@sql_safe_updates, @@max_statement_time, \
                   @@character_set_client), CONCAT_WS('|', @@global.group_concat_max_len, @@global.time_zone, \
                   @@global.sql_mode, @@global.autocommit, @@global.tx_isolation, @@global.tx_read_only, \
                   @@global.sql_select_limit, @@global.sql_safe_updates, @@global.max_statement_time, 'utf8mb4')";
        let both: Option<(String, String)> = session.query_first(own).await.expect("settings");
        let (is, was) = both.expect("a row");
        assert_eq!(is, was, "{about}: settings of a new session");
        let rest: Option<(Option<String>, Option<String>, u64)> =
            session.query_first("SELECT @mark, @tag, LAST_INSERT_ID()").await.expect("variables");
        assert_eq!(rest, Some((None, None, 0)), "{about}: variables of a new session");
        if !arena.is_sharded() {
            let error = session.query_drop("EXECUTE foreign_statement").await.expect_err("no such statement");
            assert!(error.to_string().contains("foreign_statement"), "{about}: {error}");
        }
    }
    for session in sessions {
        session.disconnect().await.expect("a good end");
    }
}

async fn postgres_sessions(arena: &Arena, about: &str) {
    let mut sessions = Vec::new();
    for _ in 0..arena.pool() {
        let session = arena.mesh.postgres(&arena.database.name).await;
        session.batch_execute("BEGIN").await.expect("a transaction");
        let rows = session.query("SELECT n FROM tagged WHERE tag = 1", &[]).await.expect("rows");
        assert_eq!(rows.len(), 40, "{about}: a new session");
        sessions.push(session);
    }
    for session in &sessions {
        let set = "SELECT COALESCE(string_agg(name || '=' || setting, ','), '') FROM pg_settings \
                   WHERE setting IS DISTINCT FROM reset_val AND source = 'session' AND name <> 'client_encoding' \
                   AND name NOT LIKE 'transaction\\_%'";
        let set: String = session.query_one(set, &[]).await.expect("settings").get(0);
        assert_eq!(set, "", "{about}: settings of a new session");
        let left = "SELECT (SELECT COUNT(*) FROM pg_listening_channels()) + (SELECT COUNT(*) FROM pg_cursors \
                    WHERE is_holdable) + (SELECT COUNT(*) FROM pg_prepared_statements WHERE from_sql) + \
                    (SELECT COUNT(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())";
        let left: i64 = session.query_one(left, &[]).await.expect("a count").get(0);
        assert_eq!(left, 0, "{about}: things left on a backend");
    }
    for session in sessions {
        session.batch_execute("ROLLBACK").await.expect("the end");
    }
}
