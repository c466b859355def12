//! Waiting for backends: transactions that wait for each other, a full pool, a shard that is down.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use tokio::time::timeout;

use super::{Split, code};
use crate::bed::{Database, ServerKind, bed};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_youngest_of_two_transactions_that_wait_for_each_other_is_rolled_back_at_once() {
    let split = Split::new(|config| config.section("[pool]\nsize_max = 1\nsize_min = 0\nwait_ms_max = 60000")).await;
    let [first, second] = split.ids;
    let (mut old, mut young) = (split.session().await, split.session().await);
    old.query_drop("BEGIN").await.unwrap();
    old.query_drop(format!("UPDATE t SET n = -1 WHERE id = {first}")).await.unwrap();
    young.query_drop("BEGIN").await.unwrap();
    young.query_drop(format!("UPDATE t SET n = -2 WHERE id = {second}")).await.unwrap();

    // The old one waits for the young one's shard; the young one closes the cycle.
    let waiting = tokio::spawn(async move {
        let read: Result<Option<i64>, _> = old.query_first(format!("SELECT n FROM t WHERE id = {second}")).await;
        (old, read)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(code(young.query_drop(format!("SELECT n FROM t WHERE id = {first}")).await), 1213);
    let (mut old, read) = timeout(SOON, waiting).await.expect("the other goes on at once").unwrap();
    assert_eq!(read.unwrap(), Some(second), "what the young one wrote is rolled back");
    old.query_drop("COMMIT").await.unwrap();

    // The young one is outside of any transaction, as after a server's 1213.
    young.query_drop("COMMIT").await.unwrap();
    let n: Option<i64> = young.query_first(format!("SELECT n FROM t WHERE id = {first}")).await.unwrap();
    assert_eq!(n, Some(-1));
    let n: Option<i64> = young.query_first(format!("SELECT n FROM t WHERE id = {second}")).await.unwrap();
    assert_eq!(n, Some(second));
}

#[tokio::test]
async fn a_full_pool_is_told_within_its_time_and_recovers() {
    let split = Split::new(|config| config.section("[pool]\nsize_max = 1\nsize_min = 0\nwait_ms_max = 300")).await;
    let [first, second] = split.ids;
    let (mut holder, mut other) = (split.session().await, split.session().await);
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop(format!("SELECT n FROM t WHERE id = {first}")).await.unwrap();
    assert_eq!(code(other.query_drop(format!("SELECT n FROM t WHERE id = {first}")).await), 1226);
    assert_eq!(code(other.query_drop("SELECT n FROM t ORDER BY id").await), 1226);
    // The other shard is not concerned.
    let n: Option<i64> = other.query_first(format!("SELECT n FROM t WHERE id = {second}")).await.unwrap();
    assert_eq!(n, Some(second));
    holder.query_drop("ROLLBACK").await.unwrap();
    let all: Vec<i64> = other.query("SELECT n FROM t ORDER BY id").await.unwrap();
    assert_eq!(all.len(), 40);
}

#[tokio::test]
async fn a_shard_that_is_down_fails_a_read_of_all_at_once_and_leaves_the_others_clean() {
    let servers = vec![bed().mysql_shard(0).clone(), bed().own_server(ServerKind::MariaDb, &[])];
    let split = Split::on(Database::on(servers).await, |config| config.section("[pool]\nsize_min = 0")).await;
    let [first, second] = split.ids;
    let mut session = split.session().await;
    let mut prepared = split.session().await;
    let all: Vec<i64> = prepared.exec("SELECT n FROM t WHERE n > ? ORDER BY id", (0,)).await.unwrap();
    assert_eq!(all.len(), 40);
    let down = &split.database.shards[1];
    bed().servers().kill(down).unwrap();
    for round in 0..3 {
        let began = Instant::now();
        let error = code(session.query::<i64, _>("SELECT n FROM t ORDER BY id").await);
        assert!(matches!(error, 1429 | 1430), "{error} in round {round}");
        let error = code(prepared.exec::<i64, _, _>("SELECT n FROM t WHERE n > ? ORDER BY id", (0,)).await);
        assert!(matches!(error, 1429 | 1430), "{error} in round {round}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?} in round {round}", began.elapsed());
        let n: Option<i64> = session.query_first(format!("SELECT n FROM t WHERE id = {first}")).await.unwrap();
        assert_eq!(n, Some(first), "the shard that works answers the right statement");
    }
    bed().servers().restart(down).unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        match session.query_first::<i64, _>(format!("SELECT n FROM t WHERE id = {second}")).await {
            Ok(n) => break assert_eq!(n, Some(second)),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
