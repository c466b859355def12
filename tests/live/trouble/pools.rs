//! Pools with too few places: waiters are served in order, a wait has an end, and a cycle of waits is broken at once.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;

use super::{Place, SOON, admin, is_unharmed, told_by_mysql, told_by_postgres};
use crate::bed::{Database, MeshConfig, ServerKind, Table, eventually_async};

/// Waits until so many sessions wait for a backend of the database.
async fn until_waiting(place: &Place, database: &str, count: usize) {
    eventually_async(&format!("{count} sessions wait"), SOON, || async {
        let pools = admin(&place.mesh, "SHOW POOLS").await;
        let waiting: usize = pools
            .iter()
            .filter(|pool| pool["database"] == database)
            .map(|pool| pool["waiting"].parse::<usize>().expect("a number"))
            .sum();
        waiting == count
    })
    .await;
}

#[tokio::test]
async fn a_wait_has_an_end_by_mysql() {
    let place = Place::new("[pool]\nsize_max = 1\nwait_ms_max = 500").await;
    let name = &place.mysql.name;
    let (mut holder, mut waiter) = (place.mesh.mysql(name).await, place.mesh.mysql(name).await);
    holder.query_drop("BEGIN").await.expect("a transaction");
    holder.query_drop("INSERT INTO kept VALUES (1, 'held')").await.expect("a row");
    let begun = Instant::now();
    let told = told_by_mysql(&waiter.query_drop("SELECT * FROM kept").await.expect_err("no backend is free"));
    assert_eq!((told.code, told.state.as_str()), (1226, "42000"), "{told:?}");
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
    // The session is not over, and the other protocol has pools of its own.
    let told = told_by_mysql(&waiter.query_drop("SELECT * FROM kept").await.expect_err("no backend is free"));
    assert_eq!(told.code, 1226);
    place.mesh.postgres(&place.postgres.name).await.batch_execute("SELECT * FROM kept").await.expect("a free pool");
    holder.query_drop("COMMIT").await.expect("the transaction ends");
    let word: Option<String> = waiter.query_first("SELECT word FROM kept").await.expect("a free backend");
    assert_eq!(word.as_deref(), Some("held"));
    is_unharmed(&place.mesh);
}

#[tokio::test]
async fn a_wait_has_an_end_by_postgres() {
    let place = Place::new("[pool]\nsize_max = 1\nwait_ms_max = 500").await;
    let name = &place.postgres.name;
    let waiter = place.mesh.postgres(name).await;
    let inside = place.mesh.postgres(name).await;
    let holder = place.mesh.postgres(name).await;
    holder.batch_execute("BEGIN; INSERT INTO kept VALUES (1, 'held')").await.expect("a transaction");
    let begun = Instant::now();
    let told = told_by_postgres(&waiter.batch_execute("SELECT * FROM kept").await.expect_err("no backend is free"));
    assert_eq!(told.state, "53300", "{told:?}");
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
    // Inside a transaction, also one that no server knows of yet, the error fails it.
    inside.batch_execute("BEGIN").await.expect("a transaction");
    for state in ["53300", "25P02"] {
        let told = told_by_postgres(&inside.batch_execute("SELECT 1 FROM kept").await.expect_err("no backend"));
        assert_eq!(told.state, state, "{told:?}");
    }
    inside.batch_execute("ROLLBACK").await.expect("the way out of a failed transaction");
    holder.batch_execute("COMMIT").await.expect("the transaction ends");
    for client in [&waiter, &inside] {
        let row = client.query_one("SELECT word FROM kept", &[]).await.expect("a free backend");
        assert_eq!(row.get::<_, &str>(0), "held");
    }
    is_unharmed(&place.mesh);
}

#[tokio::test]
async fn waiters_are_served_in_order() {
    let place = Place::new("[pool]\nsize_max = 1\nwait_ms_max = 60000").await;
    place.mysql.everywhere("CREATE TABLE turns (turn BIGINT AUTO_INCREMENT PRIMARY KEY, who BIGINT)").await;
    place.postgres.everywhere("CREATE TABLE turns (turn BIGSERIAL PRIMARY KEY, who BIGINT)").await;
    let mut holder = place.mesh.mysql(&place.mysql.name).await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(place.mesh.mysql(&place.mysql.name).await);
    }
    holder.query_drop("BEGIN").await.expect("a transaction");
    holder.query_drop("SELECT * FROM kept").await.expect("a backend");
    let mut waiters = Vec::new();
    for (who, mut session) in sessions.into_iter().enumerate() {
        let insert = format!("INSERT INTO turns (who) VALUES ({who})");
        waiters.push(tokio::spawn(async move { session.query_drop(insert).await }));
        until_waiting(&place, &place.mysql.name, who + 1).await;
    }
    holder.query_drop("COMMIT").await.expect("the transaction ends");
    for waiter in waiters {
        waiter.await.expect("no panic").expect("its turn");
    }
    let order: Vec<i64> = holder.query("SELECT who FROM turns ORDER BY turn").await.expect("an answer");
    assert_eq!(order, [0, 1, 2, 3, 4]);

    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(place.mesh.postgres(&place.postgres.name).await);
    }
    let holder = place.mesh.postgres(&place.postgres.name).await;
    holder.batch_execute("BEGIN; SELECT * FROM kept").await.expect("a backend");
    let mut waiters = Vec::new();
    for (who, session) in sessions.into_iter().enumerate() {
        let insert = format!("INSERT INTO turns (who) VALUES ({who})");
        waiters.push(tokio::spawn(async move { session.batch_execute(&insert).await }));
        until_waiting(&place, &place.postgres.name, who + 1).await;
    }
    holder.batch_execute("COMMIT").await.expect("the transaction ends");
    for waiter in waiters {
        waiter.await.expect("no panic").expect("its turn");
    }
    let rows = holder.query("SELECT who FROM turns ORDER BY turn", &[]).await.expect("an answer");
    let order: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    is_unharmed(&place.mesh);
}

/// A number whose row is on that shard, found by asking each server.
async fn key_on(database: &Database, mesh: &crate::bed::RunningMesh, shard: usize) -> i64 {
    let protocol = if database.kind == ServerKind::MariaDb { "mysql" } else { "postgres" };
    let wanted = &database.shards[shard].name;
    for key in 1..100 {
        let sql = format!("EXPLAIN ROUTE FOR {protocol}.{} SELECT word FROM kept WHERE id = {key}", database.name);
        let rows = admin(mesh, &sql).await;
        if rows.iter().any(|row| {
            row.values().any(|text| text.split_whitespace().any(|word| word.trim_matches([':', ',']) == wanted))
        }) {
            return key;
        }
    }
    panic!("no key of the first 100 is on {wanted}");
}

#[tokio::test]
async fn a_cycle_of_waits_is_broken_at_once() {
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let database = Database::new(kind, 2).await.table(Table::Sharded("kept", &["id"]));
        database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
        let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 1\nwait_ms_max = 60000").start();
        let (first, second) = (key_on(&database, &mesh, 0).await, key_on(&database, &mesh, 1).await);
        let select = |key: i64| format!("SELECT word FROM kept WHERE id = {key}");
        let begun = Instant::now();
        let failed = match kind {
            ServerKind::MariaDb => {
                let (mut one, mut other) = (mesh.mysql(&database.name).await, mesh.mysql(&database.name).await);
                one.query_drop("BEGIN").await.expect("a transaction");
                one.query_drop(select(first)).await.expect("the first shard");
                other.query_drop("BEGIN").await.expect("a transaction");
                other.query_drop(select(second)).await.expect("the second shard");
                let (one_ran, other_ran) = tokio::join!(one.query_drop(select(second)), async {
                    let ran = other.query_drop(select(first)).await;
                    if ran.is_err() {
                        other.query_drop("ROLLBACK").await.expect("the way out");
                    }
                    ran
                });
                one_ran.expect("the older one goes on");
                one.query_drop("COMMIT").await.expect("the transaction ends");
                let told = told_by_mysql(&other_ran.expect_err("the younger one gives way"));
                other.query_drop(select(first)).await.expect("the session goes on");
                (told.code, told.state)
            }
            ServerKind::Postgres => {
                let (one, other) = (mesh.postgres(&database.name).await, mesh.postgres(&database.name).await);
                one.batch_execute(&format!("BEGIN; {}", select(first))).await.expect("the first shard");
                other.batch_execute(&format!("BEGIN; {}", select(second))).await.expect("the second shard");
                let (one_asks, other_asks) = (select(second), select(first));
                let (one_ran, other_ran) = tokio::join!(one.batch_execute(&one_asks), async {
                    let ran = other.batch_execute(&other_asks).await;
                    if ran.is_err() {
                        other.batch_execute("ROLLBACK").await.expect("the way out");
                    }
                    ran
                });
                one_ran.expect("the older one goes on");
                one.batch_execute("COMMIT").await.expect("the transaction ends");
                let told = told_by_postgres(&other_ran.expect_err("the younger one gives way"));
                other.batch_execute(&select(first)).await.expect("the session goes on");
                (0, told.state)
            }
        };
        let expected = if kind == ServerKind::MariaDb { (1213, "40001") } else { (0, "40P01") };
        assert_eq!((failed.0, failed.1.as_str()), expected);
        // Far below the longest wait: nobody waited for a deadline.
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        is_unharmed(&mesh);
    }
}
