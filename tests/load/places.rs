//! The servers of the bench and their data: one MariaDB and one PostgreSQL that hold all the rows (`plain`), and a second
//! of each for the table that is sharded over two (`sharded`). Out: proxies.

use std::path::PathBuf;
use std::process::Command;

use dbmesh::demo::servers::{DEFAULT_PORTS, SERVER_USER, Server, ServerKind, Servers, ServersOptions};

use crate::load::{ROWS, output};

/// The servers, two of each kind; the first of each holds `plain`.
pub struct Places {
    servers: Servers,
    /// MariaDB.
    pub mysql: [Server; 2],
    /// PostgreSQL.
    pub postgres: [Server; 2],
}

impl Places {
    /// Starts them and fills `plain`; `sharded` gets its empty tables.
    pub fn make() -> Self {
        let servers = Servers::open(ServersOptions {
            program: Some(PathBuf::from(env!("CARGO_BIN_EXE_dbmesh"))),
            directory: std::env::temp_dir().join(format!("dbmesh-bench-{}", std::process::id())),
            keep: false,
            ports: DEFAULT_PORTS,
            password: "bench".into(),
            durable: false,
        })
        .expect("the servers' keeper");
        let start = |kind, name| servers.start(kind, name, &[]).expect("a server");
        let places = Self {
            mysql: [start(ServerKind::MariaDb, "m0"), start(ServerKind::MariaDb, "m1")],
            postgres: [start(ServerKind::Postgres, "p0"), start(ServerKind::Postgres, "p1")],
            servers,
        };
        places.fill();
        places
    }

    /// The directory, for files of the bench.
    pub fn directory(&self) -> PathBuf {
        self.servers.directory().to_owned()
    }

    /// Stops the servers.
    pub fn close(&self) {
        self.servers.close();
    }

    fn fill(&self) {
        for server in &self.mysql {
            mariadb(
                server.port,
                "",
                "CREATE USER bench@'%' IDENTIFIED BY 'bench'; GRANT ALL ON *.* TO bench@'%'; CREATE DATABASE sharded;
                 CREATE DATABASE plain; USE sharded; CREATE TABLE sbtest1 (id INT NOT NULL PRIMARY KEY,
                 k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '');",
            );
        }
        output(
            Command::new("sysbench")
                .args(["oltp_point_select", "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-db=plain"])
                .args(["--mysql-user=bench", "--mysql-password=bench", "--tables=1"])
                .arg(format!("--mysql-port={}", self.mysql[0].port))
                .arg(format!("--table-size={ROWS}"))
                .arg("prepare"),
        );
        for server in &self.postgres {
            psql(
                server.port,
                "postgres",
                SERVER_USER,
                &["CREATE USER bench SUPERUSER PASSWORD 'bench'", "CREATE DATABASE plain", "CREATE DATABASE sharded"],
            );
            psql(
                server.port,
                "sharded",
                SERVER_USER,
                &[
                    "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
                    // pgbench counts its rows to learn the scale.
                    "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))",
                ],
            );
        }
        output(
            Command::new("pgbench")
                .env("PGPASSWORD", "bench")
                .args(["-h", "127.0.0.1", "-U", "bench", "-p", &self.postgres[0].port.to_string()])
                .args(["-i", "-q", "-s", "1", "plain"]),
        );
    }
}

/// Fills the sharded tables through dbmesh, as an application would.
pub fn fill_sharded(mysql_port: u16, postgres_port: u16) {
    let rows = |from: u32, row: &dyn Fn(u32) -> String| (from..from + 500).map(row).collect::<Vec<_>>().join(",");
    let mut sql = String::from("SET @@dbmesh_transaction_type = LOCAL; ");
    for from in (1..=ROWS).step_by(500) {
        let values = rows(from, &|id| format!("({id}, {}, 'c{id}', 'pad')", id % 100));
        sql.push_str(&format!("INSERT INTO sbtest1 (id, k, c, pad) VALUES {values};\n"));
    }
    mariadb(mysql_port, "sharded", &sql);
    // pgbench draws keys up to 100,000 at its smallest scale.
    let mut statements = vec![
        "SET dbmesh.transaction_type = LOCAL".to_owned(),
        "INSERT INTO pgbench_branches (bid, bbalance) VALUES (1, 0)".to_owned(),
    ];
    for from in (1..=100_000).step_by(500) {
        let values = rows(from, &|id| format!("({id}, 1, 0, '')"));
        statements.push(format!("INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES {values}"));
    }
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    psql(postgres_port, "sharded", "bench", &statements);
}

fn mariadb(port: u16, database: &str, sql: &str) {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port.to_string()]);
    command.args(["-u", if database.is_empty() { SERVER_USER } else { "bench" }, "-pbench"]);
    if !database.is_empty() {
        command.args(["-D", database]);
    }
    feed(command, sql);
}

fn psql(port: u16, database: &str, user: &str, statements: &[&str]) {
    let mut command = Command::new("psql");
    command.env("PGPASSWORD", "bench").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-U", user, "-d", database]);
    feed(command, &format!("{};\n", statements.join(";\n")));
}

/// Runs a client with `text` as its input.
fn feed(mut command: Command, text: &str) {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("the client reads its input");
    drop(input);
    let done = child.wait_with_output().expect("the client ends");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
