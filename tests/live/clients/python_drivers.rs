//! PyMySQL, psycopg 3 and asyncpg do a shop's work; the scripts beside this file check every answer.

use super::{Spread, shops, work_time};
use crate::bed::{ServerKind, Tool, bed, python};

async fn work(script: &str, kind: ServerKind, spread: Spread) {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    let port = match kind {
        ServerKind::MariaDb => shops.mesh.addresses.mysql.port(),
        ServerKind::Postgres => shops.mesh.addresses.postgres.port(),
    };
    let script = format!("{}/tests/live/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let database = shops.name(kind, spread);
    let first_order = 1_000_000 * (10 + bed().number());
    let arguments =
        [script, port.to_string(), database.to_owned(), work_time().as_secs().to_string(), first_order.to_string()];
    let said = tokio::task::spawn_blocking(move || {
        Tool::new(python()).args(arguments).within(work_time() * 2 + std::time::Duration::from_secs(60)).ok()
    })
    .await
    .expect("the driver works without an error");
    assert!(said.trim_end().ends_with("rounds"), "{said}");
}

#[tokio::test]
async fn pymysql_on_one_shard() {
    work("pymysql_shop.py", ServerKind::MariaDb, Spread::Plain).await;
}

#[tokio::test]
async fn pymysql_on_two_shards() {
    work("pymysql_shop.py", ServerKind::MariaDb, Spread::Sharded).await;
}

#[tokio::test]
async fn psycopg_on_one_shard() {
    work("psycopg_shop.py", ServerKind::Postgres, Spread::Plain).await;
}

#[tokio::test]
async fn psycopg_on_two_shards() {
    work("psycopg_shop.py", ServerKind::Postgres, Spread::Sharded).await;
}

#[tokio::test]
async fn asyncpg_on_one_shard() {
    work("asyncpg_shop.py", ServerKind::Postgres, Spread::Plain).await;
}

#[tokio::test]
async fn asyncpg_on_two_shards() {
    work("asyncpg_shop.py", ServerKind::Postgres, Spread::Sharded).await;
}
