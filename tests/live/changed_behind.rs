//! Tables that somebody makes on a shard, past dbmesh: found when a statement of a session betrays them.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use crate::bed::{Database, MeshConfig, ServerKind, eventually_async};

/// Shorter than the time after which everything is read again anyway.
const SOON: Duration = Duration::from_secs(20);

const COUNT: &str = "SELECT COUNT(*) FROM late";
const MAKE: &str = "CREATE TABLE late (id INT)";

#[tokio::test]
async fn by_mysql() {
    let database = Database::new(ServerKind::MariaDb, 2).await;
    let mesh = MeshConfig::with(&database).start();
    let mut client = mesh.mysql(&database.name).await;
    client.query_drop(COUNT).await.expect_err("there is no such table");
    database.on_shard(1, MAKE).await;
    let client = tokio::sync::Mutex::new(client);
    eventually_async("the table is found", SOON, || async { client.lock().await.query_drop(COUNT).await.is_ok() })
        .await;
}

#[tokio::test]
async fn by_postgres() {
    let database = Database::new(ServerKind::Postgres, 2).await;
    let mesh = MeshConfig::with(&database).start();
    let client = mesh.postgres(&database.name).await;
    client.batch_execute(COUNT).await.expect_err("there is no such table");
    database.on_shard(1, MAKE).await;
    eventually_async("the table is found", SOON, || async { client.batch_execute(COUNT).await.is_ok() }).await;
}
