//! A server is killed under load and started again: errors are proper, sessions elsewhere do not notice, and all goes on
//! without help; nothing that was acknowledged is lost, nothing runs twice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mysql_async::prelude::Queryable as _;

use super::wire::Told;
use super::{SOON, is_unharmed, told_by_mysql, told_by_postgres};
use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, bed, eventually_async};

/// Sessions on each of the two databases.
const SESSIONS: usize = 6;

/// What one session did.
#[derive(Default)]
struct Work {
    /// Numbers of rows that it was told are there.
    acknowledged: Vec<usize>,
    /// Numbers of all rows that it tried to add.
    tried: Vec<usize>,
    /// The errors it was told.
    errors: Vec<Told>,
}

/// What the sessions of one database share with the test.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    next: AtomicUsize,
    done: AtomicUsize,
    errors: AtomicUsize,
}

/// A session of either protocol. One that ends instead of giving an error is a failure of the test, unless the server has
/// said that the connection ends: then it is opened again.
pub enum Client {
    MySql(mysql_async::Conn),
    Postgres(Box<tokio_postgres::Client>, SocketAddr, String),
}

/// By the PostgreSQL protocol.
async fn postgres(address: SocketAddr, database: &str) -> tokio_postgres::Client {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(address.port()).user("app").password("app").dbname(database);
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

impl Client {
    pub async fn new(mesh: &RunningMesh, database: &Database) -> Self {
        match database.kind {
            ServerKind::MariaDb => Self::MySql(mesh.mysql(&database.name).await),
            ServerKind::Postgres => {
                let (address, name) = (mesh.addresses.postgres, database.name.clone());
                Self::Postgres(Box::new(postgres(address, &name).await), address, name)
            }
        }
    }

    /// Runs a statement whose rows do not matter.
    pub async fn run(&mut self, sql: &str) -> Result<(), Told> {
        match self {
            Self::MySql(connection) => connection.query_drop(sql).await.map_err(|error| told_by_mysql(&error)),
            Self::Postgres(client, address, name) => {
                let told = client.batch_execute(sql).await.map_err(|error| told_by_postgres(&error));
                if told.as_ref().is_err_and(|told| ["57P01", "57P02"].contains(&told.state.as_str())) {
                    **client = postgres(*address, name).await;
                }
                told
            }
        }
    }

    /// The numbers in the first column.
    pub async fn numbers(&mut self, sql: &str) -> Result<Vec<usize>, Told> {
        let numbers: Vec<i64> = match self {
            Self::MySql(connection) => connection.query(sql).await.map_err(|error| told_by_mysql(&error))?,
            Self::Postgres(client, ..) => {
                let rows = client.query(sql, &[]).await.map_err(|error| told_by_postgres(&error))?;
                rows.iter().map(|row| row.get(0)).collect()
            }
        };
        Ok(numbers.into_iter().map(|number| usize::try_from(number).expect("a number of ours")).collect())
    }
}

async fn session(mut client: Client, load: Arc<Load>) -> Work {
    let mut work = Work::default();
    while !load.stop.load(Ordering::Relaxed) {
        let row = load.next.fetch_add(1, Ordering::Relaxed);
        work.tried.push(row);
        match client.run(&format!("INSERT INTO kept VALUES ({row}, 'w{row}')")).await {
            Ok(()) => {
                work.acknowledged.push(row);
                load.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(told) => {
                work.errors.push(told);
                load.errors.fetch_add(1, Ordering::Relaxed);
                // An application would wait before it tries again.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }
    work
}

async fn until_done(what: &str, load: &Load, more: usize) {
    let target = load.done.load(Ordering::Relaxed) + more;
    eventually_async(what, 2 * SOON, || async { load.done.load(Ordering::Relaxed) >= target }).await;
}

async fn a_server_dies_under_load(kind: ServerKind, proper: &[(u16, &str)]) {
    let settings: &[&str] = if kind == ServerKind::MariaDb { &["--innodb-flush-log-at-trx-commit=1"] } else { &[] };
    let server = bed().own_server(kind, settings);
    let shaky = Database::on(vec![server.clone()]).await;
    let steady = Database::new(kind, 1).await;
    for database in [&shaky, &steady] {
        database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
    }
    let mesh = MeshConfig::with(&shaky).and(&steady).section("[pool]\nsize_max = 4").start();
    let mut loads = Vec::new();
    for database in [&shaky, &steady] {
        let load = Arc::new(Load::default());
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(tokio::spawn(session(Client::new(&mesh, database).await, Arc::clone(&load))));
        }
        loads.push((load, sessions));
    }
    until_done("the load runs on the one", &loads[0].0, 200).await;
    until_done("the load runs on the other", &loads[1].0, 50).await;

    // The keeper's answer is waited for on a thread: the load must go on meanwhile.
    let killed = server.clone();
    tokio::task::spawn_blocking(move || bed().servers().kill(&killed).expect("it ran")).await.expect("no panic");
    let failing = &loads[0].0;
    eventually_async("every session is told", SOON, || async {
        failing.errors.load(Ordering::Relaxed) >= 3 * SESSIONS
    })
    .await;
    until_done("the other server's sessions go on", &loads[1].0, 200).await;
    let restarted = server.clone();
    tokio::task::spawn_blocking(move || bed().servers().restart(&restarted).expect("it starts"))
        .await
        .expect("no panic");
    until_done("the sessions go on by themselves", &loads[0].0, 200).await;

    for (number, (load, sessions)) in loads.into_iter().enumerate() {
        load.stop.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut tried, mut errors) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for session in sessions {
            let work = session.await.expect("every session lived on");
            acknowledged.extend(work.acknowledged);
            tried.extend(work.tried);
            errors.extend(work.errors);
        }
        let database = if number == 0 { &shaky } else { &steady };
        let rows = Client::new(&mesh, database).await.numbers("SELECT id FROM kept ORDER BY id").await;
        let rows: BTreeSet<usize> = rows.expect("all rows").into_iter().collect();
        assert!(acknowledged.is_subset(&rows), "lost: {:?}", acknowledged.difference(&rows).collect::<Vec<_>>());
        assert!(rows.is_subset(&tried), "from nowhere: {:?}", rows.difference(&tried).collect::<Vec<_>>());
        if number == 1 {
            assert!(errors.is_empty(), "the other server's sessions were disturbed: {errors:?}");
        }
        for told in errors {
            assert!(proper.contains(&(told.code, told.state.as_str())), "{told:?}");
        }
    }
    is_unharmed(&mesh);
}

#[tokio::test]
async fn a_mariadb_server_dies_under_load() {
    // Lost in the middle of the statement; not reachable; its own words while it stops or starts.
    let proper = [(1430, "HY000"), (1429, "HY000"), (1053, "08S01"), (1040, "08004"), (1226, "42000")];
    a_server_dies_under_load(ServerKind::MariaDb, &proper).await;
}

#[tokio::test]
async fn a_postgres_server_dies_under_load() {
    let proper = [(0, "58030"), (0, "58000"), (0, "57P01"), (0, "57P02"), (0, "57P03"), (0, "53300")];
    a_server_dies_under_load(ServerKind::Postgres, &proper).await;
}

/// What was done in a transaction is lost while its client thinks: whatever the client does next says so.
#[tokio::test]
async fn a_backend_ends_between_two_statements() {
    let database = Database::new(ServerKind::Postgres, 1).await;
    database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY)").await;
    let mesh = MeshConfig::with(&database).start();
    let closed = || {
        let (_, page) = mesh.page("/metrics");
        let of_shard = |line: &&str| line.starts_with("dbmesh_pool_closed_total{") && line.contains(&database.name);
        let counts = page.lines().filter(of_shard).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        counts.sum::<f64>()
    };
    for (next, state) in [("COMMIT", "40000"), ("SELECT id FROM kept", "40000"), ("SAVEPOINT a", "40000")] {
        let mut client = Client::new(&mesh, &database).await;
        client.run("BEGIN").await.expect("it begins");
        client.run("INSERT INTO kept VALUES (1)").await.expect("a row");
        let before = closed();
        let end =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = ";
        database.everywhere(&format!("{end}current_database()")).await;
        eventually_async("the end is seen", SOON, || async { closed() > before }).await;
        let told = client.run(next).await.expect_err("the client is told");
        assert_eq!(told.state, state, "{told:?}");
        client.run("ROLLBACK").await.expect("it is over");
        assert!(client.numbers("SELECT id FROM kept").await.expect("the session goes on").is_empty());
    }
    is_unharmed(&mesh);
}
