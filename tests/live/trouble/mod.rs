//! Trouble: bad input, dying clients and servers, full pools, faulty starts. Each test asks for a proper error, an
//! unharmed process, undisturbed sessions beside it, and recovery without help.

mod clients_gone;
mod down_at_start;
mod faulty_start;
mod json_log;
mod late_cancels;
mod login;
mod malformed_admin;
mod malformed_mysql;
mod malformed_postgres;
mod pausing;
mod pools;
mod server_crash;
mod shard_crash;
mod sizes;
mod stopping;
mod tls;
mod wire;

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use tokio::sync::OnceCell;

use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, bed};
use wire::{RAW_USER, Told};

/// Longest wait for something that comes by itself.
const SOON: Duration = Duration::from_secs(30);

/// A dbmesh with one database per protocol, each on one server, with a table `kept`.
struct Place {
    mesh: RunningMesh,
    mysql: Database,
    postgres: Database,
    /// By the MySQL protocol too, and the only one for the user `nobody`.
    others: Database,
    config: MeshConfig,
}

/// The one that tests share which harm nothing but their own sessions.
async fn place() -> &'static Place {
    static PLACE: OnceCell<Place> = OnceCell::const_new();
    PLACE.get_or_init(|| Place::new("[timeouts]\nhandshake_ms = 2000")).await
}

impl Place {
    /// One of a test's own, with further sections.
    async fn new(sections: &str) -> Self {
        Self::and(sections, &[]).await
    }

    /// And with further databases.
    async fn and(sections: &str, more: &[&Database]) -> Self {
        let mysql = Database::new(ServerKind::MariaDb, 1).await;
        let postgres = Database::new(ServerKind::Postgres, 1).await;
        for database in [&mysql, &postgres] {
            database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
        }
        let others = Database::new(ServerKind::MariaDb, 1).await;
        let all = [&mysql, &postgres, &others].into_iter().chain(more.iter().copied());
        let config = all.fold(MeshConfig::default(), MeshConfig::and);
        // Beside `app`: a user without a password, and one who may use only what others have.
        let users = format!(
            "[[user]]\nname = \"{RAW_USER}\"\nauth = \"trust\"\n\n\
             [[user]]\nname = \"nobody\"\npassword = \"nobody\"\ndatabases = [\"{}\"]\n",
            others.name
        );
        let config = config.section(&users).section(sections);
        Self { mesh: config.clone().start(), mysql, postgres, others, config }
    }

    /// The same configuration again, for another process.
    fn config(&self) -> MeshConfig {
        self.config.clone()
    }

    /// Neither a panic nor a defect that dbmesh noticed itself.
    fn is_unharmed(&self) {
        is_unharmed(&self.mesh);
    }
}

/// Neither a panic nor a defect that dbmesh noticed itself.
fn is_unharmed(mesh: &RunningMesh) {
    assert!(mesh.is_alive(), "dbmesh is gone");
    let log = mesh.log();
    assert!(!log.contains("panicked") && !log.contains("internal error"), "a defect in the log");
}

/// The most memory that dbmesh ever held, in KiB.
fn peak_kib(mesh: &RunningMesh) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", mesh.pid)).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line VmHWM");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Sessions of other clients in the middle of a transaction; what happens beside them must not touch them.
struct Witness {
    mysql: mysql_async::Conn,
    postgres: tokio_postgres::Client,
    row: i64,
}

impl Witness {
    async fn new(place: &Place) -> Self {
        let row = 1_000_000 + i64::from(bed().number());
        let mut mysql = place.mesh.mysql(&place.mysql.name).await;
        let postgres = place.mesh.postgres(&place.postgres.name).await;
        mysql.query_drop("SET @witness = 42").await.expect("a user variable");
        mysql.query_drop("BEGIN").await.expect("a transaction");
        let insert = format!("INSERT INTO kept VALUES ({row}, 'witness')");
        mysql.query_drop(&insert).await.expect("a row");
        postgres.batch_execute("SET application_name = 'witness'; BEGIN").await.expect("a transaction");
        postgres.batch_execute(&insert).await.expect("a row");
        Self { mysql, postgres, row }
    }

    async fn stays_undisturbed(mut self) {
        let select = format!("SELECT word FROM kept WHERE id = {}", self.row);
        let word: Option<String> = self.mysql.query_first(&select).await.expect("the session goes on");
        assert_eq!(word.as_deref(), Some("witness"));
        let variable: Option<i64> = self.mysql.query_first("SELECT @witness").await.expect("the session goes on");
        assert_eq!(variable, Some(42));
        self.mysql.query_drop("ROLLBACK").await.expect("the transaction ends");
        let word: Option<String> = self.mysql.query_first(&select).await.expect("the session goes on");
        assert_eq!(word, None);
        self.mysql.disconnect().await.expect("a good end");

        let row = self.postgres.query_one(&select, &[]).await.expect("the session goes on");
        assert_eq!(row.get::<_, &str>(0), "witness");
        let name = self.postgres.query_one("SHOW application_name", &[]).await.expect("the session goes on");
        assert_eq!(name.get::<_, &str>(0), "witness");
        self.postgres.batch_execute("ROLLBACK").await.expect("the transaction ends");
        assert!(self.postgres.query_opt(&select, &[]).await.expect("the session goes on").is_none());
    }
}

/// What a server or dbmesh said, by mysql_async.
fn told_by_mysql(error: &mysql_async::Error) -> Told {
    match error {
        mysql_async::Error::Server(error) => {
            Told { code: error.code, state: error.state.clone(), text: error.message.clone() }
        }
        other => panic!("not an error of the server: {other}"),
    }
}

/// What a server or dbmesh said, by tokio-postgres.
fn told_by_postgres(error: &tokio_postgres::Error) -> Told {
    let told = error.as_db_error().unwrap_or_else(|| panic!("not an error of the server: {error}"));
    Told { code: 0, state: told.code().code().to_owned(), text: told.message().to_owned() }
}

/// The rows of an admin statement, by the PostgreSQL protocol: a map from column to text for each.
async fn admin(mesh: &RunningMesh, sql: &str) -> Vec<std::collections::HashMap<String, String>> {
    let mut options = tokio_postgres::Config::new();
    let port = mesh.addresses.admin_postgres.port();
    options.host("127.0.0.1").port(port).user("admin").password("admin").dbname("admin");
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("the admin address serves");
    let connection = tokio::spawn(connection);
    let rows = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    drop(client);
    connection.await.expect("no panic").expect("a good end");
    let rows = rows.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| {
        let names = row.columns().iter().map(|column| column.name().to_owned());
        names.enumerate().map(|(number, name)| (name, row.get(number).unwrap_or_default().to_owned())).collect()
    })
    .collect()
}
