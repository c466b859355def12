//! What is seen of PostgreSQL statements from outside: counters, plans, the slow log; and errors of statements on several
//! shards, told as of the text that the client sent.

use std::time::{Duration, Instant};

use tokio_postgres::error::{ErrorPosition, SqlState};

use super::sharded;
use crate::bed::MeshConfig;

/// The value of the one line that has all these parts.
fn value(page: &str, parts: &[&str]) -> f64 {
    let line = page.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    let line = line.unwrap_or_else(|| panic!("no line with {parts:?} in\n{page}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[tokio::test]
async fn statements_are_counted_and_slow_ones_logged_without_literals() {
    let database = sharded().await;
    let mesh = MeshConfig::with(&database).section("[log]\nslow_ms = 150").start();
    let client = mesh.postgres(&database.name).await;
    for customer in 0..10_i64 {
        let insert = "INSERT INTO orders (id, customer_id, note) VALUES ($1, $1, 'x')";
        client.execute(insert, &[&customer]).await.expect("an order");
        client.simple_query(&format!("SELECT note FROM orders WHERE customer_id = {customer}")).await.expect("a row");
    }
    client.query("SELECT count(*) FROM orders", &[]).await.expect("a number");
    client.simple_query("SELECT count(*) FROM orders GROUP BY note HAVING count(*) > 1").await.expect_err("refused");
    client.simple_query("SELECT 1 / 0").await.expect_err("divides by zero");
    client.simple_query("SELECT 'secret', pg_sleep(0.3)").await.expect("slow");
    let prepared = client.query("SELECT $1::text, 'secret', pg_sleep(0.3)", &[&"hidden"]).await;
    assert_eq!(prepared.expect("slow").len(), 1);

    // A statement is counted behind its answer, so the next answer says that it is.
    client.simple_query("SELECT 1").await.expect("a row");
    let (_, page) = mesh.page("/metrics");
    let statements = |kind: &str, tier: &str| {
        let (kind, tier) = (format!("kind=\"{kind}\""), format!("tier=\"{tier}\""));
        value(&page, &["dbmesh_statements_total{", "protocol=\"postgres\"", &kind, &tier])
    };
    assert!((statements("insert", "single") - 10.0).abs() < 0.5, "{page}");
    assert!(statements("select", "single") >= 12.0, "{page}");
    assert!((statements("select", "scatter") - 1.0).abs() < 0.5 && statements("select", "refuse") >= 1.0, "{page}");
    assert!(value(&page, &["dbmesh_server_errors_total", "postgres"]) >= 1.0);
    assert!(value(&page, &["dbmesh_errors_total", "postgres", "0A000"]) >= 1.0);
    assert!(value(&page, &["dbmesh_logins_total", "postgres", "accepted"]) >= 1.0);
    assert!(value(&page, &["dbmesh_plan_cache_hits_total", "postgres"]) >= 9.0);
    for direction in ["from_client", "to_client", "from_server", "to_server"] {
        assert!(value(&page, &["dbmesh_bytes_total", "postgres", direction]) > 100.0);
    }
    let log = mesh.log();
    // On a busy machine others may be slow too.
    let slow = log.lines().filter(|line| line.contains("slow statement") && line.contains("pg_sleep"));
    assert_eq!(slow.count(), 2, "{log}");
    assert!(!log.contains("secret") && !log.contains("hidden"), "{log}");
}

#[tokio::test]
async fn errors_of_several_shards_point_into_the_text_of_the_client() {
    let database = sharded().await;
    let mesh = MeshConfig::with(&database).section("[timeouts]\nstatement_ms = 1000").start();
    let client = mesh.postgres(&database.name).await;
    // A hidden column is put behind `note`, so that the shards' positions are others.
    let sql = "  SELECT note FROM orders WHERE note + 1 = 2 ORDER BY id LIMIT 3";
    let error = client.simple_query(sql).await.expect_err("no such operator");
    let error = error.as_db_error().expect("an error of the server");
    let place = u32::try_from(sql.find("+ 1").expect("there") + 1).expect("small");
    assert_eq!(error.position(), Some(&ErrorPosition::Original(place)), "{error:?}");

    // A statement on several shards has its time, too.
    let mut options = tokio_postgres::Config::new();
    let last = database.shards.last().expect("shards");
    options.host("127.0.0.1").port(last.port).user(super::SERVER_USER).password(super::PASSWORD);
    let (direct, connection) =
        options.dbname(&database.name).connect(tokio_postgres::NoTls).await.expect("the shard serves");
    tokio::spawn(connection);
    direct.batch_execute("BEGIN; LOCK TABLE orders").await.expect("locked");
    let started = Instant::now();
    let error = client.query("SELECT count(*) FROM orders", &[]).await.expect_err("too long");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    direct.batch_execute("ROLLBACK").await.expect("unlocked");
    client.query("SELECT count(*) FROM orders", &[]).await.expect("works again");
}
