//! sysbench's oltp_read_write with 16 threads, by text and by prepared statements.

use std::fmt::Write as _;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use super::{Spread, work_time};
use crate::bed::{Database, MeshConfig, ServerKind, Table, Tool};

/// Rows of its table: many, so that threads seldom meet on one.
const ROWS: u32 = 50_000;

async fn work(spread: Spread, statements: &'static str) {
    let sharded = spread == Spread::Sharded;
    let mut database = Database::new(ServerKind::MariaDb, if sharded { 2 } else { 1 }).await;
    if sharded {
        // Its transactions change rows of several shards.
        database = database.local().table(Table::Sharded("sbtest1", &["id"]));
    }
    database
        .everywhere(
            "CREATE TABLE sbtest1 (id INTEGER NOT NULL, k INTEGER DEFAULT '0' NOT NULL, c CHAR(120) DEFAULT '' NOT NULL, \
             pad CHAR(60) DEFAULT '' NOT NULL, PRIMARY KEY (id), KEY k_1 (k))",
        )
        .await;
    let mesh = MeshConfig::with(&database).start();

    let mut connection = mesh.mysql(&database.name).await;
    for start in (1..=ROWS).step_by(1000) {
        let mut sql = String::from("INSERT INTO sbtest1 (id, k, c, pad) VALUES ");
        for id in start..start + 1000 {
            let comma = if id == start { "" } else { "," };
            let k = id.wrapping_mul(7919) % ROWS;
            write!(sql, "{comma}({id}, {k}, '{id:0>119}', '{k:0>59}')").expect("writing to a string");
        }
        connection.query_drop(sql).await.expect("rows are added");
    }

    let port = mesh.addresses.mysql.port();
    let name = database.name.clone();
    let said = tokio::task::spawn_blocking(move || {
        let mut tool = Tool::new("sysbench").args(["oltp_read_write", "--db-driver=mysql", "--mysql-host=127.0.0.1"]);
        tool = tool.args([
            format!("--mysql-port={port}"),
            format!("--mysql-db={name}"),
            "--mysql-user=app".to_owned(),
            "--mysql-password=app".to_owned(),
            "--tables=1".to_owned(),
            format!("--table-size={ROWS}"),
            "--rand-type=uniform".to_owned(),
            "--threads=16".to_owned(),
            format!("--time={}", work_time().as_secs()),
            format!("--db-ps-mode={statements}"),
        ]);
        if sharded {
            // Text is not ordered over several shards yet.
            tool = tool.args(["--order-ranges=0", "--distinct-ranges=0"]);
        }
        tool.args(["run"]).within(work_time() * 2 + Duration::from_secs(90)).ok()
    })
    .await
    .expect("sysbench ends without an error");
    assert!(said.contains("transactions:"), "{said}");
    let number = |title: &str| -> u64 {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(title)).unwrap_or_else(|| panic!("{said}"));
        line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    assert!(number("transactions:") > 100, "{said}");
    // Deadlocks of its own making, which it tries again, are not counted as errors by sysbench either.
    assert_eq!(number("reconnects:"), 0, "{said}");

    let row: Option<(u64, u64)> =
        connection.query_first("SELECT COUNT(*), COUNT(*) FROM sbtest1").await.expect("it still answers");
    assert_eq!(row, Some((u64::from(ROWS), u64::from(ROWS))), "every row that was taken out was put back");
}

#[tokio::test]
async fn sysbench_by_text_on_one_shard() {
    work(Spread::Plain, "disable").await;
}

#[tokio::test]
async fn sysbench_by_text_on_two_shards() {
    work(Spread::Sharded, "disable").await;
}

#[tokio::test]
async fn sysbench_by_prepared_statements_on_one_shard() {
    work(Spread::Plain, "auto").await;
}

#[tokio::test]
async fn sysbench_by_prepared_statements_on_two_shards() {
    work(Spread::Sharded, "auto").await;
}
