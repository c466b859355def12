//! Transactions that wait for each other's backends.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::{bed, sharded};
use crate::bed::MeshConfig;

/// A customer of each shard.
async fn customers(client: &tokio_postgres::Client, database: &crate::bed::Database) -> [i64; 2] {
    for customer in 0..20_i64 {
        let insert = format!("INSERT INTO orders VALUES ({customer}, {customer}, 'old')");
        client.batch_execute(&insert).await.expect("an order");
    }
    let mut options = tokio_postgres::Config::new();
    let first = &database.shards[0];
    options.host("127.0.0.1").port(first.port).user(super::SERVER_USER).password(super::PASSWORD);
    let (direct, connection) =
        options.dbname(&database.name).connect(tokio_postgres::NoTls).await.expect("the shard serves");
    tokio::spawn(connection);
    let rows = direct.query("SELECT customer_id FROM orders ORDER BY 1", &[]).await.expect("rows");
    let there: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let here = (0..20).find(|customer| !there.contains(customer)).expect("an order on the second shard");
    [there[0], here]
}

#[tokio::test]
async fn the_youngest_of_a_deadlock_lets_go_at_once() {
    let _ = bed();
    let database = sharded().await;
    let config = MeshConfig::with(&database).section("[pool]\nsize_max = 1\nwait_ms_max = 20000");
    let mesh = config.key("workers = 1").start();
    let [first, second] = customers(&mesh.postgres(&database.name).await, &database).await;
    let (old, young) = (mesh.postgres(&database.name).await, mesh.postgres(&database.name).await);
    old.batch_execute("BEGIN").await.expect("begins");
    old.batch_execute(&format!("SELECT FROM orders WHERE customer_id = {first}")).await.expect("reads");
    young.batch_execute("BEGIN").await.expect("begins");
    young.batch_execute(&format!("UPDATE orders SET note = 'new' WHERE customer_id = {second}")).await.expect("writes");
    let started = Instant::now();
    let read_second = format!("SELECT FROM orders WHERE customer_id = {second}");
    let waits = tokio::spawn(async move { old.batch_execute(&read_second).await.map(|()| old) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = young.batch_execute(&format!("SELECT FROM orders WHERE customer_id = {first}")).await;
    assert_eq!(refused.expect_err("a deadlock").code(), Some(&SqlState::T_R_DEADLOCK_DETECTED));
    let old = waits.await.expect("no panic").expect("the older one gets the backend");
    assert!(started.elapsed() < Duration::from_secs(15), "it waited for the end of the younger one");
    old.batch_execute("COMMIT").await.expect("commits");
    // What the younger one did is gone, and it knows.
    let failed = young.batch_execute("SELECT 1").await.expect_err("the transaction has failed");
    assert_eq!(failed.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    young.batch_execute("ROLLBACK").await.expect("ends");
    let row = young.query_one("SELECT count(*) FROM orders WHERE note = 'new'", &[]).await.expect("works again");
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn serializable_stays_on_one_shard() {
    let _ = bed();
    let database = sharded().await;
    let mesh = MeshConfig::with(&database).start();
    let client = mesh.postgres(&database.name).await;
    let [first, second] = customers(&client, &database).await;
    let of = |customer: i64| format!("SELECT FROM orders WHERE customer_id = {customer}");
    let refused = async |sql: &str| {
        let error = client.batch_execute(sql).await.expect_err("two shards");
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{sql}");
    };
    client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await.expect("begins");
    client.batch_execute(&of(first)).await.expect("one shard");
    client.batch_execute(&of(first)).await.expect("the same shard again");
    refused(&of(second)).await;
    client.batch_execute("ROLLBACK").await.expect("ends");
    client.batch_execute("SET default_transaction_isolation = 'serializable'").await.expect("a setting");
    client.batch_execute(&of(second)).await.expect("one shard");
    refused("SELECT count(*) FROM orders").await;
    client.batch_execute("RESET default_transaction_isolation").await.expect("a setting");
    client.batch_execute("SELECT count(*) FROM orders").await.expect("all shards");
}

#[tokio::test]
async fn a_deallocate_by_the_extended_protocol_leaves_other_statements_usable() {
    let _ = bed();
    let database = sharded().await;
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 1").key("workers = 1").start();
    let (client, other) = (mesh.postgres(&database.name).await, mesh.postgres(&database.name).await);
    let sql = "SELECT count(*) FROM orders WHERE customer_id = $1";
    let kept = other.prepare(sql).await.expect("a statement");
    for _ in 0..3 {
        let mine = client.prepare(sql).await.expect("a statement");
        client.query_one(&mine, &[&1_i64]).await.expect("runs");
        client.execute("DEALLOCATE ALL", &[]).await.expect("by the extended protocol");
        other.query_one(&kept, &[&1_i64]).await.expect("another session's statement is still there");
        // The same by a session that keeps its backend.
        client.batch_execute("CREATE TEMPORARY TABLE mine (a int)").await.expect("a pin");
        client.execute("DEALLOCATE ALL", &[]).await.expect("on the server");
        client.query_one("SELECT count(*) FROM mine", &[]).await.expect("parsed anew");
        client.batch_execute("DROP TABLE mine").await.expect("no pin");
    }
}
