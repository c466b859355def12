//! pgbench's TPC-B like transactions with 16 clients, by each of its three ways to send a statement.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Spread, work_time};
use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table, Tool};

/// Branches, its scale. Accounts would be 100,000 each; the rows that are not there are updated in vain.
const BRANCHES: u32 = 8;
const TELLERS: u32 = 10 * BRANCHES;
const ACCOUNTS: u32 = 100_000;

const CREATION: &str = "
    CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))";

async fn work(spread: Spread, way: &'static str) {
    let sharded = spread == Spread::Sharded;
    let mut database = Database::new(ServerKind::Postgres, if sharded { 2 } else { 1 }).await;
    if sharded {
        // A transaction changes an account, a teller and a branch, each on a shard of its own.
        database = database
            .local()
            .table(Table::Sharded("pgbench_branches", &["bid"]))
            .table(Table::Sharded("pgbench_tellers", &["tid"]))
            .table(Table::Sharded("pgbench_accounts", &["aid"]))
            .table(Table::Sharded("pgbench_history", &["tid"]));
    }
    database.everywhere(CREATION).await;
    let mesh = MeshConfig::with(&database).start();
    fill(&mesh, &database.name).await;

    let port = mesh.addresses.postgres.port().to_string();
    let name = database.name.clone();
    let said = tokio::task::spawn_blocking(move || {
        let seconds = work_time().as_secs().to_string();
        Tool::new("pgbench")
            .env("PGPASSWORD", "app")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-n", "-M", way, "-c", "16", "-j", "2", "-T", &seconds])
            .args([name])
            .within(work_time() * 2 + Duration::from_secs(90))
            .run()
    })
    .await
    .expect("pgbench ends");
    assert!(said.success && !said.errors.contains("ERROR") && !said.errors.contains("aborted"), "{}", said.errors);
    assert!(said.out.contains("number of failed transactions: 0 (0.000%)"), "{}\n{}", said.out, said.errors);

    // What every transaction adds, it adds everywhere.
    let client = mesh.postgres(&database.name).await;
    let mut sums = Vec::new();
    for (column, table) in
        [("delta", "pgbench_history"), ("tbalance", "pgbench_tellers"), ("bbalance", "pgbench_branches")]
    {
        let row = client.query_one(&format!("SELECT SUM({column}), COUNT(*) FROM {table}"), &[]).await.expect("a row");
        sums.push((row.get::<_, Option<i64>>(0), row.get::<_, i64>(1)));
    }
    assert!(sums[0].1 > 50, "transactions were made: {sums:?}");
    assert_eq!((sums[0].0, sums[1].1, sums[2].1), (sums[1].0, i64::from(TELLERS), i64::from(BRANCHES)), "{sums:?}");
    assert_eq!(sums[1].0, sums[2].0, "{sums:?}");
}

async fn fill(mesh: &RunningMesh, database: &str) {
    let client = mesh.postgres(database).await;
    let tables = [("pgbench_branches", BRANCHES), ("pgbench_tellers", TELLERS), ("pgbench_accounts", ACCOUNTS)];
    for (table, rows) in tables {
        for start in (1..=rows).step_by(1000) {
            let end = rows.min(start + 999);
            let mut sql = match table {
                "pgbench_branches" => format!("INSERT INTO {table} (bid, bbalance) VALUES "),
                "pgbench_tellers" => format!("INSERT INTO {table} (tid, bid, tbalance) VALUES "),
                _ => format!("INSERT INTO {table} (aid, bid, abalance, filler) VALUES "),
            };
            for id in start..=end {
                let comma = if id == start { "" } else { "," };
                let row = match table {
                    "pgbench_branches" => format!("({id}, 0)"),
                    "pgbench_tellers" => format!("({id}, {}, 0)", (id - 1) / 10 + 1),
                    _ => format!("({id}, 1, 0, '')"),
                };
                write!(sql, "{comma}{row}").expect("writing to a string");
            }
            client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
        }
    }
}

#[tokio::test]
async fn pgbench_simple_on_one_shard() {
    work(Spread::Plain, "simple").await;
}

#[tokio::test]
async fn pgbench_simple_on_two_shards() {
    work(Spread::Sharded, "simple").await;
}

#[tokio::test]
async fn pgbench_extended_on_one_shard() {
    work(Spread::Plain, "extended").await;
}

#[tokio::test]
async fn pgbench_extended_on_two_shards() {
    work(Spread::Sharded, "extended").await;
}

#[tokio::test]
async fn pgbench_prepared_on_one_shard() {
    work(Spread::Plain, "prepared").await;
}

#[tokio::test]
async fn pgbench_prepared_on_two_shards() {
    work(Spread::Sharded, "prepared").await;
}
