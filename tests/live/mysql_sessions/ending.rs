//! Ends before their time: clients that leave, KILL, limits of time, clients that take nothing, the end of dbmesh itself.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use protocol::mysql::capability;
use protocol::mysql::command::code;

use super::wire::{Wire, error};
use super::{Split, code as code_of, direct};
use crate::bed::{eventually, eventually_async};

const SOON: Duration = Duration::from_secs(10);

/// How many statements with this text run on the shards.
async fn running(split: &Split, text: &str) -> i64 {
    let mut sum = 0;
    for server in &split.database.shards {
        let mut connection = direct(server, "information_schema").await;
        let sql = format!("SELECT COUNT(*) FROM PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()");
        sum += connection.query_first::<i64, _>(sql).await.unwrap().unwrap();
    }
    sum
}

#[tokio::test]
async fn what_a_client_that_left_had_running_is_killed() {
    let split = Split::new(|config| config).await;
    let id = split.ids[0];
    let texts = [
        format!("SELECT SLEEP(61.5) FROM t WHERE id = {id}"),
        format!("UPDATE t SET n = SLEEP(61.5) WHERE id = {id}"),
        // SLEEP over several shards is refused; a join that takes for ever is not.
        "SELECT COUNT(*) FROM t AS a JOIN t AS b ON a.id = b.id WHERE BENCHMARK(2000000000, 61.5) = 0".to_owned(),
    ];
    for sql in texts {
        let mut wire = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
        wire.command(code::QUERY, sql.as_bytes()).await;
        let began = Instant::now();
        let mut ran = false;
        while began.elapsed() < Duration::from_secs(3) && !ran {
            ran = running(&split, "61.5").await > 0;
        }
        if !ran {
            // Refused: there is nothing to kill.
            assert!(error(&wire.packet().await.unwrap()).is_some(), "{sql}");
            continue;
        }
        drop(wire);
        eventually_async("no statement of the client", SOON, || async { running(&split, "61.5").await == 0 }).await;
    }
}

#[tokio::test]
async fn kill_takes_our_ids() {
    let split = Split::new(|config| config).await;
    let (mut killer, mut victim) = (split.session().await, split.session().await);
    let id = victim.id();
    for prepared in [false, true] {
        let sql = format!("SELECT SLEEP(60) FROM t WHERE id = {}", split.ids[1]);
        let task = tokio::spawn(async move {
            let result =
                if prepared { victim.exec::<i64, _, _>(sql, ()).await } else { victim.query::<i64, _>(sql).await };
            (victim, result)
        });
        eventually_async("the statement runs", SOON, || async { running(&split, "SLEEP(60)").await == 1 }).await;
        killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
        let (back, result) = tokio::time::timeout(SOON, task).await.expect("it ends").unwrap();
        victim = back;
        assert_eq!(code_of(result), 1317);
        // The session goes on, with an answer of its own.
        assert_eq!(victim.query_first::<i64, _>("SELECT 7").await.unwrap(), Some(7));
    }
    assert_eq!(code_of(killer.query_drop("KILL 4000000000").await), 1094);
    killer.query_drop(format!("KILL {id}")).await.unwrap();
    victim.query_drop("SELECT 1").await.expect_err("closed");
    killer.query_drop("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn limits_of_time_end_statements_and_sessions() {
    let split = Split::new(|config| {
        config.section("[timeouts]\nstatement_ms = 700\nsession_idle_ms = 2500\ntransaction_idle_ms = 1200")
    })
    .await;
    let mut session = split.session().await;
    let began = Instant::now();
    let sql = format!("SELECT SLEEP(60) FROM t WHERE id = {}", split.ids[0]);
    assert_eq!(code_of(session.query_drop(sql).await), 1317);
    assert!(began.elapsed() < SOON);
    assert_eq!(session.query_first::<i64, _>("SELECT 7").await.unwrap(), Some(7));

    let mut wire = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
    wire.ask(code::QUERY, b"BEGIN").await;
    wire.ask(code::QUERY, format!("UPDATE t SET n = 0 WHERE id = {}", split.ids[0]).as_bytes()).await;
    let mut idle = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
    assert_eq!(error(&wire.packet().await.expect("a word")).unwrap().0, 4031);
    assert!(wire.packet().await.is_none());
    // Its transaction is rolled back: nobody waits for the row.
    session.query_drop(format!("UPDATE t SET n = 1 WHERE id = {}", split.ids[0])).await.unwrap();
    assert_eq!(error(&idle.packet().await.expect("a word")).unwrap().0, 4031);
    assert!(idle.packet().await.is_none());
}

#[tokio::test]
async fn a_farewell_is_numbered_on_from_the_results_before_it() {
    let split = Split::new(|config| config).await;
    let [first, second] = split.ids;
    let mut killer = split.session().await;
    let mut wire = Wire::connect(split.mesh.addresses.mysql).await;
    wire.offer(capability::MULTI_STATEMENTS);
    wire.log_in("mysql_native_password", "app", &split.database.name).await.unwrap();
    let sql = format!(
        "SELECT n FROM t WHERE id = {first}; SELECT n FROM t WHERE id IN ({first}, {second}); SELECT SLEEP(61) FROM t WHERE id = {second}"
    );
    wire.command(code::QUERY, sql.as_bytes()).await;
    // Columns, definition, rows, end, twice: one row, then two.
    for _ in 0..9 {
        let packet = wire.packet().await.expect("two results");
        assert_eq!(error(&packet), None);
    }
    let before = wire.sequence;
    eventually_async("the third statement runs", SOON, || async { running(&split, "SLEEP(61)").await == 1 }).await;
    killer.query_drop(format!("KILL {}", wire.greeting.connection_id)).await.unwrap();
    assert_eq!(error(&wire.packet().await.expect("a word")).unwrap().0, 1927);
    assert_eq!(wire.sequence, before + 1);
    assert!(wire.packet().await.is_none());
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_up_nobody_else() {
    let split = Split::new(|config| config.key("workers = 1").section("[timeouts]\nclient_write_ms = 1500")).await;
    let mut filler = split.session().await;
    filler.query_drop("SET @@dbmesh_transaction_type = LOCAL").await.unwrap();
    for id in split.ids {
        filler.query_drop(format!("UPDATE t SET s = REPEAT('x', 15000000) WHERE id = {id}")).await.unwrap();
    }
    let before = split.mesh.resident_kib();
    let texts =
        [format!("SELECT s, s, s, s FROM t WHERE id = {}", split.ids[0]), "SELECT id, s FROM t ORDER BY id".to_owned()];
    for sql in texts {
        let mut lazy = Vec::new();
        for _ in 0..4 {
            let mut wire = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
            wire.command(code::QUERY, sql.as_bytes()).await;
            lazy.push(wire);
        }
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            let n: Option<i64> = filler.query_first("SELECT n FROM t WHERE id = 1").await.unwrap();
            assert_eq!(n, Some(1));
        }
        let grown = split.mesh.resident_kib().saturating_sub(before);
        assert!(grown < 400 * 1024, "{grown} KiB for clients that take nothing: {sql}");
        eventually_async("their statements are gone", SOON, || async { running(&split, "s FROM t").await == 0 }).await;
    }
}

#[tokio::test]
async fn at_the_end_transactions_may_finish_and_idle_sessions_are_told() {
    let split = Split::new(|config| config.section("[timeouts]\nshutdown_ms = 8000")).await;
    let mut idle = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
    let mut busy = split.session().await;
    busy.query_drop("BEGIN").await.unwrap();
    busy.query_drop(format!("UPDATE t SET n = 77 WHERE id = {}", split.ids[0])).await.unwrap();
    let pid = split.mesh.pid.to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(error(&idle.packet().await.expect("a word")).unwrap().0, 1053);
    assert!(idle.packet().await.is_none());
    busy.query_drop(format!("UPDATE t SET n = 78 WHERE id = {}", split.ids[0])).await.unwrap();
    busy.query_drop("COMMIT").await.unwrap();
    let mut server = direct(&split.database.shards[0], &split.database.name).await;
    let n: Option<i64> = server.query_first(format!("SELECT n FROM t WHERE id = {}", split.ids[0])).await.unwrap();
    assert_eq!(n, Some(78));
    eventually("dbmesh ends", SOON, || !split.mesh.is_alive());
}
