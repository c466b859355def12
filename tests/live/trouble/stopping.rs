//! SIGTERM while sessions are open, and SIGHUP.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use rustix::process::{Pid, Signal, kill_process};

use super::wire::{MySqlRaw, PostgresRaw, last_mysql_error, last_postgres_error, message};
use super::{Place, SOON, Witness, admin, is_unharmed, told_by_mysql};
use crate::bed::{RunningMesh, eventually_async};

fn signal(mesh: &RunningMesh, signal: Signal) {
    let pid = i32::try_from(mesh.pid).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, signal).expect("the process runs");
}

#[tokio::test]
async fn idle_sessions_are_told_and_transactions_may_end() {
    let mut place = Place::new("[timeouts]\nshutdown_ms = 60000\nhandshake_ms = 60000").await;
    let (mysql, postgres) = (place.mesh.addresses.mysql, place.mesh.addresses.postgres);
    let mut idle_mysql = MySqlRaw::logged_in(mysql, &place.mysql.name);
    let mut idle_postgres = PostgresRaw::logged_in(postgres, &place.postgres.name);
    // Half a login must not delay the stop.
    let _half = [MySqlRaw::greeted(mysql).raw, super::wire::Raw::connect(postgres)];
    let mut inside = place.mesh.mysql(&place.mysql.name).await;
    inside.query_drop("BEGIN").await.expect("a transaction");
    inside.query_drop("INSERT INTO kept VALUES (1, 'kept')").await.expect("a row");
    let client = place.mesh.postgres(&place.postgres.name).await;
    client.batch_execute("BEGIN; INSERT INTO kept VALUES (1, 'kept')").await.expect("a transaction");
    assert!(idle_mysql.lives() && idle_postgres.lives());

    let begun = Instant::now();
    signal(&place.mesh, Signal::TERM);
    let told = last_mysql_error(&idle_mysql.raw.rest()).expect("an error");
    assert_eq!((told.code, told.state.as_str()), (1053, "08S01"), "{told:?}");
    let told = last_postgres_error(&idle_postgres.raw.rest()).expect("an error");
    assert_eq!(told.state, "57P01", "{told:?}");
    // Nobody new is let in.
    eventually_async("the address is closed", SOON, || async { std::net::TcpStream::connect(mysql).is_err() }).await;
    // The transactions go on to their end, and their sessions end with them.
    inside.query_drop("INSERT INTO kept VALUES (2, 'kept')").await.expect("the transaction goes on");
    client.batch_execute("INSERT INTO kept VALUES (2, 'kept')").await.expect("the transaction goes on");
    assert!(place.mesh.is_alive());
    inside.query_drop("COMMIT").await.expect("the transaction ends");
    client.batch_execute("COMMIT").await.expect("the transaction ends");
    eventually_async("the process ends", SOON, || async { !place.mesh.is_alive() }).await;
    assert!(begun.elapsed() < Duration::from_secs(40), "it ended by its deadline: {:?}", begun.elapsed());
    assert!(!place.mesh.log().contains("panicked"), "{}", place.mesh.log());

    // What was committed is there for the next process.
    place.mesh = place.config().start();
    let ids: Vec<i64> =
        place.mesh.mysql(&place.mysql.name).await.query("SELECT id FROM kept").await.expect("an answer");
    assert_eq!(ids, [1, 2]);
    let rows = place.mesh.postgres(&place.postgres.name).await.query("SELECT id FROM kept", &[]).await.expect("rows");
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn transactions_that_do_not_end_are_cut() {
    let place = Place::new("[timeouts]\nshutdown_ms = 500").await;
    let mut inside_mysql = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    inside_mysql.packet(0, b"\x03BEGIN; INSERT INTO kept VALUES (1, 'cut')");
    assert!(inside_mysql.answer().is_some() && inside_mysql.answer().is_some());
    let mut inside_postgres = PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
    inside_postgres.raw.send(&message(b'Q', b"BEGIN; INSERT INTO kept VALUES (1, 'cut')\0"));
    assert!(inside_postgres.until_ready().is_some());
    // Those that run a statement which does not end by itself.
    let mut busy_mysql = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    busy_mysql.packet(0, b"\x03SELECT SLEEP(600)");
    let mut busy = PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
    busy.raw.send(&message(b'Q', b"SELECT pg_sleep(600)\0"));
    eventually_async("they run", SOON, || async {
        let sessions = admin(&place.mesh, "SHOW SESSIONS").await;
        sessions.iter().filter(|session| session["state"] == "active").count() == 2
    })
    .await;
    signal(&place.mesh, Signal::TERM);
    for (what, client) in [("idle", &mut inside_mysql), ("busy", &mut busy_mysql)] {
        let told = last_mysql_error(&client.raw.rest()).unwrap_or_else(|| panic!("{what}: not told"));
        assert_eq!((told.code, told.state.as_str()), (1927, "70100"), "{what}: {told:?}");
    }
    for (what, client) in [("idle", &mut inside_postgres), ("busy", &mut busy)] {
        let said = client.raw.rest();
        let told = last_postgres_error(&said).unwrap_or_else(|| panic!("{what}: {:?}", String::from_utf8_lossy(&said)));
        assert_eq!(told.state, "57P01", "{what}: {told:?}");
    }
    eventually_async("the process ends", SOON, || async { !place.mesh.is_alive() }).await;
    let mesh = place.config().start();
    let ids: Vec<i64> = mesh.mysql(&place.mysql.name).await.query("SELECT id FROM kept").await.expect("an answer");
    assert!(ids.is_empty(), "{ids:?}");
    let rows = mesh.postgres(&place.postgres.name).await.query("SELECT id FROM kept", &[]).await.expect("rows");
    assert!(rows.is_empty());
}

#[tokio::test]
async fn a_reload_applies_what_is_live_and_a_faulty_file_changes_nothing() {
    let place = Place::new("[pool]\nsize_max = 1\nwait_ms_max = 60000").await;
    let witness = Witness::new(&place).await;
    let value = |rows: Vec<std::collections::HashMap<String, String>>, name: &str| {
        let row = rows.into_iter().find(|row| row.values().any(|text| text == name));
        row.unwrap_or_else(|| panic!("no row for {name}"))["value"].clone()
    };
    assert_eq!(value(admin(&place.mesh, "SHOW CONFIG").await, "pool.wait_ms_max"), "60000");
    let text = std::fs::read_to_string(&place.mesh.file).expect("the configuration");
    let changed =
        text.replace("wait_ms_max = 60000", "wait_ms_max = 300").replace("name = \"nobody\"", "name = \"somebody\"");
    std::fs::write(&place.mesh.file, &changed).expect("the configuration can be written");
    signal(&place.mesh, Signal::HUP);
    eventually_async("the log tells of the reload", SOON, || async {
        place.mesh.log().contains("configuration reloaded")
    })
    .await;
    assert_eq!(value(admin(&place.mesh, "SHOW CONFIG").await, "pool.wait_ms_max"), "300");
    // The one backend is the witness's: others wait as long as is configured now.
    let mut client = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    client.packet(0, b"\x03SELECT COUNT(*) FROM kept");
    let told = super::wire::mysql_error(&client.answer().expect("an answer").1).expect("no backend is free");
    assert_eq!(told.code, 1226, "{told:?}");
    let options = place.mesh.mysql_options(&place.others.name).user(Some("nobody")).pass(Some("nobody"));
    assert_eq!(told_by_mysql(&mysql_async::Conn::new(options).await.expect_err("gone")).code, 1045);

    // Faults, one of them in what would be live: all of the old one stays.
    std::fs::write(&place.mesh.file, changed.replace("wait_ms_max = 300", "wait_ms_max = 77\nsize_mix = 3"))
        .expect("written");
    signal(&place.mesh, Signal::HUP);
    eventually_async("the log tells of the fault", SOON, || async { place.mesh.log().contains("size_mix") }).await;
    assert_eq!(value(admin(&place.mesh, "SHOW CONFIG").await, "pool.wait_ms_max"), "300");
    std::fs::remove_file(&place.mesh.file).expect("it was there");
    signal(&place.mesh, Signal::HUP);
    eventually_async("the log tells of the missing file", SOON, || async {
        place.mesh.log().contains("cannot read the file")
    })
    .await;
    witness.stays_undisturbed().await;
    is_unharmed(&place.mesh);
}
