//! Texts that shards keep prepared once a SELECT on all of them came again: their rows stay those of the moment.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::sharded;
use crate::bed::MeshConfig;

/// The rows of a text, column by column.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let answer = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()),
        _ => None,
    };
    answer.iter().filter_map(row).collect()
}

fn row(cells: &[&str]) -> Vec<Option<String>> {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}

#[tokio::test]
async fn what_shards_keep_follows_ddl_settings_and_deallocate() {
    const FIRST: &str = "SELECT id, note FROM orders ORDER BY id LIMIT 2";
    const SUM: &str = "SELECT sum(id) FROM orders";
    let database = sharded().await;
    // One backend for each shard, so that sessions meet on it.
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 1").key("workers = 1").start();
    let (one, other) = (mesh.postgres(&database.name).await, mesh.postgres(&database.name).await);
    for id in 0..9_i64 {
        one.execute("INSERT INTO orders (id, customer_id, note) VALUES ($1, $1, 'x')", &[&id]).await.expect("an order");
    }
    let expected = [row(&["0", "x"]), row(&["1", "x"])];
    for _ in 0..4 {
        assert_eq!(rows(&one, FIRST).await, expected);
        assert_eq!(rows(&other, FIRST).await, expected);
        assert_eq!(rows(&one, SUM).await, [row(&["36"])]);
    }
    // Behind dbmesh, so that only the servers know of it: what they keep returns another type now.
    database.everywhere("ALTER TABLE orders ALTER note TYPE char(3)").await;
    let padded = [row(&["0", "x  "]), row(&["1", "x  "])];
    assert_eq!(rows(&other, FIRST).await, padded);
    assert_eq!(rows(&one, FIRST).await, padded);
    // The server forgets what it keeps.
    one.simple_query("DEALLOCATE ALL").await.expect("done");
    other.simple_query("DISCARD ALL").await.expect("done");
    for _ in 0..3 {
        assert_eq!(rows(&one, SUM).await, [row(&["36"])]);
        assert_eq!(rows(&other, SUM).await, [row(&["36"])]);
    }
    // In a transaction with rows of its own, and behind it.
    one.batch_execute("BEGIN; INSERT INTO orders (id, customer_id, note) VALUES (100, 3, 'y')").await.expect("open");
    assert_eq!(rows(&one, SUM).await, [row(&["136"])]);
    one.batch_execute("ROLLBACK").await.expect("undone");
    assert_eq!(rows(&one, SUM).await, [row(&["36"])]);
    // By the extended protocol, with values; a plan for none of them in particular gives the same rows.
    let prepared = one.prepare("SELECT id FROM orders WHERE id > $1 ORDER BY id LIMIT $2").await.expect("prepared");
    for turn in 0..12_i64 {
        let found = one.query(&prepared, &[&(turn % 7), &2_i64]).await.expect("rows");
        let ids: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [turn % 7 + 1, turn % 7 + 2]);
    }
    let log = mesh.log();
    assert!(!log.contains("panicked") && !log.contains("internal error"), "{log}");
}
