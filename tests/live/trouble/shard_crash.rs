//! One of the servers behind a sharded database is killed under load: sessions that do not need it go on as if nothing had
//! happened, the others get proper errors, and when it is back everything works again without anybody's help.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::server_crash::Client;
use super::wire::Told;
use super::{SOON, is_unharmed};
use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table, bed, eventually_async};

/// Sessions of each kind: of the shard that dies, of the one that lives, of both.
const SESSIONS: usize = 3;

/// What the sessions of one kind share with the test.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    next: AtomicUsize,
    done: AtomicUsize,
    errors: AtomicUsize,
}

/// What one session was told.
#[derive(Default)]
struct Work {
    /// Numbers of rows that are there.
    acknowledged: Vec<usize>,
    /// Numbers of all rows that it tried to add.
    tried: Vec<usize>,
    errors: Vec<Told>,
}

/// A key of each shard.
async fn keys(mesh: &RunningMesh, database: &Database) -> [usize; 2] {
    let mut client = Client::new(mesh, database).await;
    for key in 0..20 {
        client.run(&format!("INSERT INTO kept VALUES ({key}, 0)")).await.expect("a row");
    }
    // What the second shard does not have is on the first.
    database.on_shard(1, "DELETE FROM kept").await;
    let first = client.numbers("SELECT k FROM kept ORDER BY k").await.expect("all rows");
    let second = (0..20).find(|key| !first.contains(key)).expect("a key of the second shard");
    database.everywhere("DELETE FROM kept").await;
    [first[0], second]
}

/// Adds rows of one key, every other one in a transaction.
async fn writer(mut client: Client, key: usize, load: Arc<Load>) -> Work {
    let mut work = Work::default();
    while !load.stop.load(Ordering::Relaxed) {
        let row = load.next.fetch_add(1, Ordering::Relaxed);
        let insert = format!("INSERT INTO kept VALUES ({key}, {row})");
        let select = format!("SELECT n FROM kept WHERE k = {key} AND n = {row}");
        let statements = match row % 2 {
            0 => vec![insert.as_str(), &select],
            _ => vec!["BEGIN", &insert, &select, "COMMIT"],
        };
        work.tried.push(row);
        match all(&mut client, &statements).await {
            Ok(()) => {
                work.acknowledged.push(row);
                load.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(told) => fail(&mut client, &mut work, &load, told).await,
        }
    }
    work
}

/// Reads from both shards, by one statement and by one after the other in a transaction.
async fn reader(mut client: Client, keys: [usize; 2], load: Arc<Load>) -> Work {
    let mut work = Work::default();
    let [first, second] = keys.map(|key| format!("SELECT COUNT(*) FROM kept WHERE k = {key}"));
    while !load.stop.load(Ordering::Relaxed) {
        match all(&mut client, &["SELECT COUNT(*) FROM kept", "BEGIN", &first, &second, "COMMIT"]).await {
            Ok(()) => drop(load.done.fetch_add(1, Ordering::Relaxed)),
            Err(told) => fail(&mut client, &mut work, &load, told).await,
        }
    }
    work
}

async fn all(client: &mut Client, statements: &[&str]) -> Result<(), Told> {
    for sql in statements {
        client.run(sql).await?;
    }
    Ok(())
}

/// Notes an error, and leaves the transaction that it may have come in.
async fn fail(client: &mut Client, work: &mut Work, load: &Load, told: Told) {
    work.errors.push(told);
    load.errors.fetch_add(1, Ordering::Relaxed);
    if let Err(told) = client.run("ROLLBACK").await {
        work.errors.push(told);
    }
    // An application would wait before it tries again.
    tokio::time::sleep(Duration::from_millis(5)).await;
}

async fn until_done(what: &str, load: &Load, more: usize) {
    let target = load.done.load(Ordering::Relaxed) + more;
    eventually_async(what, 2 * SOON, || async { load.done.load(Ordering::Relaxed) >= target }).await;
}

async fn a_shard_dies_under_load(kind: ServerKind, proper: &[(u16, &str)]) {
    let settings: &[&str] = if kind == ServerKind::MariaDb { &["--innodb-flush-log-at-trx-commit=1"] } else { &[] };
    let server = bed().own_server(kind, settings);
    let steady = match kind {
        ServerKind::MariaDb => bed().mysql_shard(0),
        ServerKind::Postgres => bed().postgres_shard(0),
    };
    // The one that dies is not the default one, which also answers what any shard could.
    let database = Database::on(vec![steady.clone(), server.clone()]).await;
    database.everywhere("CREATE TABLE kept (k BIGINT, n BIGINT, PRIMARY KEY (k, n))").await;
    let database = database.table(Table::Sharded("kept", &["k"]));
    // So few backends that sessions would wait for each other if one of them kept what it cannot use.
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 3").start();
    let [living_key, dying_key] = keys(&mesh, &database).await;
    let [dying, living, both] = [(); 3].map(|()| Arc::new(Load::default()));
    let (mut of_dying, mut of_living, mut of_both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SESSIONS {
        of_dying.push(tokio::spawn(writer(Client::new(&mesh, &database).await, dying_key, Arc::clone(&dying))));
        of_living.push(tokio::spawn(writer(Client::new(&mesh, &database).await, living_key, Arc::clone(&living))));
        let keys = [living_key, dying_key];
        of_both.push(tokio::spawn(reader(Client::new(&mesh, &database).await, keys, Arc::clone(&both))));
    }
    until_done("the load runs on the one shard", &dying, 50).await;
    until_done("the load runs on the other shard", &living, 50).await;
    until_done("the load runs on both", &both, 20).await;

    // The keeper's answer is waited for on a thread: the load must go on meanwhile.
    let killed = server.clone();
    tokio::task::spawn_blocking(move || bed().servers().kill(&killed).expect("it ran")).await.expect("no panic");
    for load in [&dying, &both] {
        eventually_async("every session is told", SOON, || async {
            load.errors.load(Ordering::Relaxed) >= 3 * SESSIONS
        })
        .await;
    }
    until_done("the sessions of the other shard go on", &living, 100).await;
    assert_eq!(living.errors.load(Ordering::Relaxed), 0, "the sessions of the other shard were disturbed");
    let mut new = Client::new(&mesh, &database).await;
    let select = format!("SELECT n FROM kept WHERE k = {living_key}");
    assert!(!new.numbers(&select).await.expect("a new session can use the other shard").is_empty());
    let restarted = server.clone();
    tokio::task::spawn_blocking(move || bed().servers().restart(&restarted).expect("it starts"))
        .await
        .expect("no panic");
    until_done("the sessions of the shard go on by themselves", &dying, 100).await;
    until_done("the sessions of both go on by themselves", &both, 50).await;

    for load in [&dying, &living, &both] {
        load.stop.store(true, Ordering::Relaxed);
    }
    let mut client = Client::new(&mesh, &database).await;
    for (key, sessions) in [(dying_key, of_dying), (living_key, of_living)] {
        let (mut acknowledged, mut tried, mut errors) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for session in sessions {
            let work = session.await.expect("every session lived on");
            acknowledged.extend(work.acknowledged);
            tried.extend(work.tried);
            errors.extend(work.errors);
        }
        let rows = client.numbers(&format!("SELECT n FROM kept WHERE k = {key} ORDER BY n")).await.expect("all rows");
        let rows: BTreeSet<usize> = rows.into_iter().collect();
        assert!(acknowledged.is_subset(&rows), "lost: {:?}", acknowledged.difference(&rows).collect::<Vec<_>>());
        assert!(rows.is_subset(&tried), "from nowhere: {:?}", rows.difference(&tried).collect::<Vec<_>>());
        assert!(key == dying_key || errors.is_empty(), "the sessions of the other shard were disturbed: {errors:?}");
        errors.iter().for_each(|told| assert!(proper.contains(&(told.code, told.state.as_str())), "{told:?}"));
    }
    for session in of_both {
        let errors = session.await.expect("every session lived on").errors;
        errors.iter().for_each(|told| assert!(proper.contains(&(told.code, told.state.as_str())), "{told:?}"));
    }
    is_unharmed(&mesh);
}

#[tokio::test]
async fn a_mariadb_shard_dies_under_load() {
    // Lost in the middle of a statement; not reachable; the transaction or the answer to its COMMIT lost; the server's own
    // words while it stops or starts.
    let lost = [(1430, "HY000"), (1429, "HY000"), (1402, "XA100"), (1401, "XAE03")];
    let own = [(1053, "08S01"), (1040, "08004"), (1226, "42000")];
    a_shard_dies_under_load(ServerKind::MariaDb, &[&lost[..], &own].concat()).await;
}

#[tokio::test]
async fn a_postgres_shard_dies_under_load() {
    let lost = [(0, "58030"), (0, "58000"), (0, "40000"), (0, "08007"), (0, "25P02")];
    let own = [(0, "57P01"), (0, "57P02"), (0, "57P03"), (0, "53300")];
    a_shard_dies_under_load(ServerKind::Postgres, &[&lost[..], &own].concat()).await;
}
