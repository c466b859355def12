//! PAUSE SHARD and RESUME SHARD: a server is restarted under load and no client sees an error; what cannot be paused is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::server_crash::Client;
use super::wire::Told;
use super::{SOON, admin, is_unharmed};
use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table, bed, eventually_async};

/// What the sessions of a load share with the test.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Load {
    async fn until(&self, more: usize) {
        let target = self.done.load(Ordering::Relaxed) + more;
        eventually_async("the load goes on", 2 * SOON, || async { self.done.load(Ordering::Relaxed) >= target }).await;
    }
}

/// Writes by key, transactions on one shard, and reads of one shard and of both, until told to stop or an error is told.
async fn session(mut client: Client, load: Arc<Load>) -> Result<Vec<usize>, Told> {
    let mut rows = Vec::new();
    while !load.stop.load(Ordering::Relaxed) {
        let row = load.next.fetch_add(1, Ordering::Relaxed);
        if row.is_multiple_of(3) {
            client.run("BEGIN").await?;
        }
        client.run(&format!("INSERT INTO kept VALUES ({row}, 'w{row}')")).await?;
        let found = client.numbers(&format!("SELECT id FROM kept WHERE id = {row}")).await?;
        assert_eq!(found, [row], "its own row is there");
        if row.is_multiple_of(3) {
            client.run("COMMIT").await?;
        }
        if row.is_multiple_of(5) {
            client.numbers("SELECT id FROM kept ORDER BY id LIMIT 3").await?;
        }
        rows.push(row);
        load.done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(rows)
}

/// A database on two servers of its own.
async fn restartable(kind: ServerKind) -> Database {
    let database = Database::on(vec![bed().own_server(kind, &[]), bed().own_server(kind, &[])]).await;
    database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
    database.table(Table::Sharded("kept", &["id"]))
}

/// What a table of the admin interface says of a shard.
async fn state(mesh: &RunningMesh, table: &str, shard: &str) -> String {
    let rows = admin(mesh, table).await;
    let row = rows.iter().find(|row| row["shard"] == shard).unwrap_or_else(|| panic!("{table} has no {shard}"));
    row["state"].clone()
}

/// The error of an admin statement.
async fn refused(mesh: &RunningMesh, sql: &str) -> Told {
    let mut options = tokio_postgres::Config::new();
    let port = mesh.addresses.admin_postgres.port();
    options.host("127.0.0.1").port(port).user("admin").password("admin").dbname("admin");
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("the admin address serves");
    tokio::spawn(connection);
    super::told_by_postgres(&client.batch_execute(sql).await.expect_err("it is refused"))
}

async fn a_restart_under_load(kind: ServerKind) {
    let database = restartable(kind).await;
    // Half of this is what a PAUSE may take.
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 4\nwait_ms_max = 120000").start();
    let load = Arc::new(Load::default());
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(tokio::spawn(session(Client::new(&mesh, &database).await, Arc::clone(&load))));
    }
    load.until(200).await;
    for server in &database.shards {
        let shard = &server.name;
        assert_eq!(state(&mesh, "SHOW SHARDS", shard).await, "up");
        admin(&mesh, &format!("PAUSE SHARD {shard}")).await;
        for table in ["SHOW SHARDS", "SHOW POOLS"] {
            assert_eq!(state(&mesh, table, shard).await, "paused");
        }
        assert_eq!(admin(&mesh, "SHOW BACKENDS").await.iter().filter(|row| row["shard"] == *shard).count(), 0);
        admin(&mesh, "RELOAD").await;
        assert_eq!(state(&mesh, "SHOW POOLS", shard).await, "paused", "a reload keeps the pause");
        let (status, page) = mesh.page("/readyz");
        assert!(status == 200 && page.contains(&format!("shard {shard} is paused")), "{status} {page}");
        eventually_async("every session waits", SOON, || async {
            let rows = admin(&mesh, "SHOW SESSIONS").await;
            rows.iter().filter(|row| row["state"].contains("wait")).count() == 8
        })
        .await;
        let restarted = server.clone();
        tokio::task::spawn_blocking(move || {
            bed().servers().stop(&restarted).expect("it ran");
            bed().servers().restart(&restarted).expect("it starts");
        })
        .await
        .expect("no panic");
        assert_eq!(mesh.page("/readyz").0, 200, "a paused shard is no reason to take nobody in");
        // Again is no error, and changes nothing.
        admin(&mesh, &format!("PAUSE SHARD {shard}")).await;
        admin(&mesh, &format!("RESUME SHARD {shard}")).await;
        assert_eq!(state(&mesh, "SHOW POOLS", shard).await, "open");
        assert_eq!(mesh.page("/readyz"), (200, "ready\n".to_owned()));
        load.until(200).await;
    }
    load.stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for session in sessions {
        written.extend(session.await.expect("no panic").expect("no session is told of an error"));
    }
    written.sort_unstable();
    let mut client = Client::new(&mesh, &database).await;
    assert_eq!(client.numbers("SELECT id FROM kept ORDER BY id").await.expect("rows"), written);
    is_unharmed(&mesh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_while_a_paused_mariadb_is_restarted() {
    a_restart_under_load(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_while_a_paused_postgres_is_restarted() {
    a_restart_under_load(ServerKind::Postgres).await;
}

#[tokio::test]
async fn a_shard_in_use_is_not_paused_and_a_wait_for_a_paused_one_has_an_end() {
    let databases = [Database::new(ServerKind::MariaDb, 1).await, Database::new(ServerKind::Postgres, 1).await];
    for database in &databases {
        database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
    }
    let [mysql, postgres] = &databases;
    let mesh = MeshConfig::with(mysql).and(postgres).section("[pool]\nwait_ms_max = 600").start();
    for (database, code, state_code) in [(mysql, 1226, "42000"), (postgres, 0, "53300")] {
        let shard = &database.shards[0].name;
        let (mut inside, mut other) = (Client::new(&mesh, database).await, Client::new(&mesh, database).await);
        inside.run("BEGIN").await.expect("a transaction");
        inside.run("INSERT INTO kept VALUES (1, 'one')").await.expect("a row");
        let told = refused(&mesh, &format!("PAUSE SHARD {shard}")).await;
        assert!(told.state == "55006" && told.text.contains("1 of its connections were still in use"), "{told:?}");
        other.run("INSERT INTO kept VALUES (2, 'two')").await.expect("nothing is paused");
        inside.run("COMMIT").await.expect("the transaction goes on to its end");

        admin(&mesh, &format!("PAUSE SHARD {shard}")).await;
        for _ in 0..2 {
            let told = other.run("INSERT INTO kept VALUES (3, 'three')").await.expect_err("a wait has an end");
            assert!(told.text.contains("is paused (PAUSE SHARD)"), "{told:?}");
            assert_eq!((told.code, told.state.as_str()), (code, state_code), "{told:?}");
        }
        let page = mesh.page("/metrics").1;
        assert!(page.lines().any(|line| line.starts_with("dbmesh_pool_paused{") && line.ends_with(" 1")), "{page}");
        admin(&mesh, &format!("RESUME SHARD {shard}")).await;
        assert_eq!(other.numbers("SELECT id FROM kept ORDER BY id").await.expect("rows"), [1, 2]);
    }
    let told = refused(&mesh, "PAUSE SHARD s99").await;
    assert!(told.state == "42704" && told.text.starts_with("Unknown shard 's99'"), "{told:?}");
    is_unharmed(&mesh);
}
