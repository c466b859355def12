//! What one session leaves on a backend is no concern of the next one, also where it stands in the way of cleaning it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table};

/// A database with so few backends of each shard for all sessions.
async fn narrow(shards: usize, backends: usize) -> (RunningMesh, Database) {
    let database = Database::new(ServerKind::Postgres, shards).await;
    database.everywhere("CREATE TABLE rows (k BIGINT PRIMARY KEY, n BIGINT)").await;
    let database = if shards > 1 { database.table(Table::Sharded("rows", &["k"])) } else { database };
    let config = MeshConfig::with(&database).section(&format!("[pool]\nsize_max = {backends}\nwait_ms_max = 60000"));
    (config.key("workers = 1").start(), database)
}

async fn setting(client: &Client, name: &str) -> String {
    client.query_one(&format!("SELECT current_setting('{name}')"), &[]).await.expect("a setting").get(0)
}

#[tokio::test]
async fn settings_that_the_next_session_may_not_reset() {
    let (mesh, database) = narrow(1, 1).await;
    let role = format!("limited_{}", database.name);
    database.everywhere(&format!("CREATE ROLE {role}")).await;
    let set_role = format!("SET ROLE {role}");
    let (client, other) = (mesh.postgres(&database.name).await, mesh.postgres(&database.name).await);
    client.batch_execute(&set_role).await.expect("a role");
    for _ in 0..3 {
        // Only a superuser may set this, and only one may reset it.
        other.batch_execute("RESET ROLE").await.expect("the superuser again");
        other.batch_execute("SET log_min_duration_statement = '1h'").await.expect("a setting of superusers");
        other.batch_execute(&set_role).await.expect("a role");
        assert_eq!(setting(&client, "log_min_duration_statement").await, "-1");
        assert_eq!(setting(&client, "role").await, role);
        assert_eq!(setting(&other, "log_min_duration_statement").await, "1h");
    }
    // The role goes before what it may not do.
    let plain = mesh.postgres(&database.name).await;
    assert_eq!(setting(&plain, "log_min_duration_statement").await, "-1");
    assert_eq!(setting(&plain, "role").await, "none");
}

/// A timeout can strike when its statement has just ended, and then hits what is sent next. Its length goes round, so that
/// some strike just there.
#[tokio::test]
async fn timeouts_of_statements_strike_nobody_else() {
    // Transactions over both shards need two of each, or they would wait for each other.
    let (mesh, database) = narrow(2, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut honest = Vec::new();
    for number in 0..2_i64 {
        let (client, stop) = (mesh.postgres(&database.name).await, Arc::clone(&stop));
        client.batch_execute(&format!("SET application_name = 'honest {number}'")).await.expect("a name");
        honest.push(tokio::spawn(async move {
            let select = client.prepare("SELECT count(*) FROM rows WHERE k = $1").await.expect("a statement");
            while !stop.load(Ordering::Relaxed) {
                client.query_one(&select, &[&number]).await.expect("alone");
                client.batch_execute("BEGIN").await.expect("begins");
                client.query_one(&select, &[&number]).await.expect("in a transaction");
                client.query_one("SELECT count(*) FROM rows", &[]).await.expect("from both shards");
                client.batch_execute("COMMIT").await.expect("ends");
                assert_eq!(setting(&client, "statement_timeout").await, "0");
                assert_eq!(setting(&client, "application_name").await, format!("honest {number}"));
            }
        }));
    }
    for round in 0..300 {
        let client = mesh.postgres(&database.name).await;
        // The more there is to learn and to reset, the longer that takes.
        let mut sql: String = (0..round % 25).map(|number| format!("SET app.x{number} = '1';")).collect();
        sql.push_str(&format!("SET statement_timeout = {}", 1 + round % 3));
        client.batch_execute(&sql).await.or_else(is_timeout).expect("nothing else");
        client.batch_execute("SELECT count(*) FROM rows WHERE k = 1").await.or_else(is_timeout).expect("nothing else");
    }
    stop.store(true, Ordering::Relaxed);
    for session in honest {
        session.await.expect("nothing foreign");
    }
}

/// A session with such a timeout may be told of it at any time.
fn is_timeout(error: tokio_postgres::Error) -> Result<(), tokio_postgres::Error> {
    if error.code() == Some(&SqlState::QUERY_CANCELED) { Ok(()) } else { Err(error) }
}

#[tokio::test]
async fn what_a_session_sets_is_kept_however_short_its_timeout() {
    let (mesh, database) = narrow(1, 1).await;
    let client = mesh.postgres(&database.name).await;
    client.batch_execute("SET statement_timeout = 1").await.or_else(is_timeout).expect("nothing else");
    let mut set = 0;
    for number in 0..50 {
        let done = client.batch_execute(&format!("SET application_name = 'n{number}'")).await;
        if done.is_ok() {
            set = number;
        }
        done.or_else(is_timeout).expect("nothing else");
    }
    // What was acknowledged last is what is set, even if nobody could be asked in that millisecond.
    let name = loop {
        match client.query_one("SHOW application_name", &[]).await {
            Ok(row) => break row.get::<_, String>(0),
            Err(error) => is_timeout(error).expect("nothing else"),
        }
    };
    assert_eq!(name, format!("n{set}"));
}
