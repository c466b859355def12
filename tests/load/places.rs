//! The servers of the bench and their data: of each kind one that holds all the rows (`plain`, `tpcb`), and a second
//! for the table that is sharded over two (`sharded`). Out: proxies.

use std::path::PathBuf;
use std::process::Command;

use dbmesh::demo::servers::{DEFAULT_PORTS, SERVER_USER, Server, ServerKind, Servers, ServersOptions, free_port};

use crate::arguments::Arguments;
use crate::load::{ROWS, TABLES, output, pgbench, sysbench};

/// Rows of the table that is read in one statement; 100 bytes each.
pub const LARGE_ROWS: u64 = 1_000_000;
/// Accounts of the sharded table of PostgreSQL: as many as pgbench draws keys from at its smallest scale.
pub const ACCOUNTS: u32 = 100_000;
/// Connections that the servers take: those of the largest number of clients, and the pools.
const CONNECTIONS: usize = 1_200;

/// The servers, two of each kind; the first of each holds all.
pub struct Places {
    servers: Servers,
    taken: std::cell::RefCell<Vec<u16>>,
    /// MariaDB.
    pub mysql: [Server; 2],
    /// PostgreSQL.
    pub postgres: [Server; 2],
}

impl Places {
    /// Starts them and fills what the arguments need; `sharded` gets its empty tables.
    pub fn make(arguments: &Arguments) -> Self {
        let servers = Servers::open(ServersOptions {
            program: Some(PathBuf::from(env!("CARGO_BIN_EXE_dbmesh"))),
            directory: std::env::temp_dir().join(format!("dbmesh-bench-{}", std::process::id())),
            keep: false,
            ports: DEFAULT_PORTS,
            password: "bench".into(),
            durable: false,
        })
        .expect("the servers' keeper");
        let start = |kind, name, settings: &[String]| servers.start(kind, name, settings).expect("a server");
        let mysql = [format!("--max-connections={CONNECTIONS}"), "--innodb-buffer-pool-size=512M".to_owned()];
        let postgres = [format!("max_connections={CONNECTIONS}"), "shared_buffers=512MB".to_owned()];
        let places = Self {
            mysql: ["m0", "m1"].map(|name| start(ServerKind::MariaDb, name, &mysql)),
            postgres: ["p0", "p1"].map(|name| start(ServerKind::Postgres, name, &postgres)),
            servers,
            taken: Vec::new().into(),
        };
        places.fill_mysql(arguments);
        places.fill_postgres(arguments);
        places
    }

    /// The servers of a protocol.
    pub fn servers(&self, protocol: &str) -> &[Server; 2] {
        if protocol == "mysql" { &self.mysql } else { &self.postgres }
    }

    /// The directory, for files of the bench.
    pub fn directory(&self) -> PathBuf {
        self.servers.directory().to_owned()
    }

    /// A port for a proxy; none is given twice.
    pub fn port(&self) -> u16 {
        let mut taken = self.taken.borrow_mut();
        loop {
            let port = free_port(&DEFAULT_PORTS).expect("a free port");
            if !taken.contains(&port) {
                taken.push(port);
                return port;
            }
        }
    }

    /// Stops the servers.
    pub fn close(&self) {
        self.servers.close();
    }

    /// What PostgreSQL keeps instead of the password of `bench`.
    pub fn scram_verifier(&self) -> String {
        let sql = "SELECT rolpassword FROM pg_authid WHERE rolname = 'bench'";
        output(psql(self.postgres[0].port, "postgres", SERVER_USER).args(["-At", "-c", sql])).trim().to_owned()
    }

    fn fill_mysql(&self, arguments: &Arguments) {
        for server in &self.mysql {
            let sql =
                "CREATE USER bench@'%' IDENTIFIED BY 'bench'; GRANT ALL ON *.* TO bench@'%'; CREATE DATABASE plain;
                 CREATE DATABASE sharded; USE sharded; CREATE TABLE sbtest1 (id INT NOT NULL PRIMARY KEY,
                 k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '');";
            feed(mariadb(server.port, SERVER_USER), sql);
        }
        let port = self.mysql[0].port;
        output(sysbench("oltp_read_write", port, "plain").arg(format!("--tables={TABLES}")).arg("prepare"));
        if arguments.wants(&["large"]) {
            let digits = (0..10).map(|n| format!("SELECT {n} AS n")).collect::<Vec<_>>().join(" UNION ALL ");
            let sql = format!(
                "CREATE TABLE plain.large (id INT NOT NULL PRIMARY KEY, c CHAR(100) CHARACTER SET latin1 NOT NULL);
                 INSERT INTO plain.large WITH d AS ({digits})
                 SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n, REPEAT('x', 100)
                 FROM d AS a, d AS b, d AS c, d AS d, d AS e, d AS f;"
            );
            feed(mariadb(port, "bench"), &sql);
        }
    }

    fn fill_postgres(&self, arguments: &Arguments) {
        for server in &self.postgres {
            let sql = "CREATE USER bench SUPERUSER PASSWORD 'bench'; SET password_encryption = md5;
                 CREATE USER bench_md5 SUPERUSER PASSWORD 'bench';
                 CREATE DATABASE plain;\nCREATE DATABASE tpcb;\nCREATE DATABASE sharded;";
            feed(psql(server.port, "postgres", SERVER_USER), sql);
            // pgbench counts the rows of branches to learn the scale.
            let sql = "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
                 CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));";
            feed(psql(server.port, "sharded", SERVER_USER), sql);
        }
        let port = self.postgres[0].port;
        self.let_md5_in();
        output(pgbench("bench", port).args(["-i", "-q", "-s", "1", "plain"]));
        if arguments.wants_protocol("postgres")
            && arguments.wants(&["writes", "tpcb-simple", "tpcb-extended", "tpcb-prepared"])
        {
            output(pgbench("bench", port).args(["-i", "-q", "-s", &arguments.scale.to_string(), "tpcb"]));
        }
        if arguments.wants(&["large"]) {
            let sql = format!(
                "CREATE TABLE large AS SELECT id, repeat('x', 100) AS c FROM generate_series(1, {LARGE_ROWS}) AS id;
                 VACUUM ANALYZE large;"
            );
            feed(psql(port, "plain", "bench"), &sql);
        }
    }

    /// The first PostgreSQL server asks the user `bench_md5` for the older proof.
    fn let_md5_in(&self) {
        let server = &self.postgres[0];
        let file = self.directory().join(&server.name).join("pg_hba.conf");
        let rules = std::fs::read_to_string(&file).expect("pg_hba.conf");
        std::fs::write(&file, format!("host all bench_md5 127.0.0.1/32 md5\n{rules}")).expect("pg_hba.conf");
        feed(psql(server.port, "postgres", SERVER_USER), "SELECT pg_reload_conf();");
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
    let mut command = mariadb(mysql_port, "bench");
    command.args(["-D", "sharded"]);
    feed(command, &sql);
    let mut sql = "SET dbmesh.transaction_type = LOCAL;\nINSERT INTO pgbench_branches (bid, bbalance) VALUES (1, 0);\n"
        .to_owned();
    for from in (1..=ACCOUNTS).step_by(500) {
        let values = rows(from, &|id| format!("({id}, 1, {}, '')", id % 1000));
        sql.push_str(&format!("INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES {values};\n"));
    }
    feed(psql(postgres_port, "sharded", "bench"), &sql);
}

fn mariadb(port: u16, user: &str) -> Command {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port.to_string(), "-u", user, "-pbench"]);
    command
}

fn psql(port: u16, database: &str, user: &str) -> Command {
    let mut command = Command::new("psql");
    command.env("PGPASSWORD", "bench").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-U", user, "-d", database]);
    command
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
