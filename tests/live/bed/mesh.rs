//! A dbmesh process for one test: its configuration, its start on free ports, its end.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dbmesh::demo::keeper::{Process, StopSignal};
use dbmesh::demo::servers::SERVER_USER;

use super::{Database, PASSWORD, ServerKind, Table, bed};

/// How long dbmesh may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// A configuration in the making: user `app` with password `app`, and the databases that are added.
#[derive(Debug, Clone, Default)]
pub struct MeshConfig {
    top: String,
    rest: String,
    servers: Vec<String>,
}

impl MeshConfig {
    /// With this database.
    pub fn with(database: &Database) -> Self {
        Self::default().and(database)
    }

    /// And this one too.
    pub fn and(mut self, database: &Database) -> Self {
        let protocol = match database.kind {
            ServerKind::MariaDb => "mysql",
            ServerKind::Postgres => "postgres",
        };
        for server in &database.shards {
            if self.servers.contains(&server.name) {
                continue;
            }
            self.servers.push(server.name.clone());
            self.add(format_args!(
                "\n[[server]]\nname = \"{}\"\nprotocol = \"{protocol}\"\naddress = \"{}\"\n\
                 user = \"{SERVER_USER}\"\npassword = \"{PASSWORD}\"\n",
                server.name,
                server.address()
            ));
        }
        let (name, first) = (&database.name, &database.shards[0].name);
        self.add(format_args!(
            "\n[[database]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\ndefault_shard = \"{first}\"\n"
        ));
        if database.local {
            self.add(format_args!("transaction_type = \"local\"\n"));
        }
        for server in &database.shards {
            let shard = &server.name;
            self.add(format_args!(
                "\n[[database.shard]]\nname = \"{shard}\"\nserver = \"{shard}\"\ndatabase = \"{name}\"\n"
            ));
        }
        for table in &database.tables {
            match table {
                Table::Sharded(table, key) => self
                    .add(format_args!("\n[[database.table]]\nname = \"{table}\"\ntype = \"sharded\"\nkey = {key:?}\n")),
                Table::Reference(table) => {
                    self.add(format_args!("\n[[database.table]]\nname = \"{table}\"\ntype = \"reference\"\n"));
                }
                Table::Single(table) => self.add(format_args!(
                    "\n[[database.table]]\nname = \"{table}\"\ntype = \"single\"\nshard = \"{first}\"\n"
                )),
            }
        }
        self
    }

    /// Any further lines of the file: a section of its own, such as `[pool]`.
    pub fn section(mut self, text: &str) -> Self {
        self.add(format_args!("\n{text}\n"));
        self
    }

    /// A key above all sections, such as `workers = 1`.
    pub fn key(mut self, line: &str) -> Self {
        self.top.push_str(line);
        self.top.push('\n');
        self
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.rest.write_fmt(text).expect("writing to a string");
    }

    /// The whole file.
    fn text(&self, addresses: &Addresses) -> String {
        let Addresses { mysql, postgres, admin_mysql, admin_postgres, http } = addresses;
        format!(
            "{}[listen]\nmysql = \"{mysql}\"\npostgres = \"{postgres}\"\nadmin_mysql = \"{admin_mysql}\"\n\
             admin_postgres = \"{admin_postgres}\"\nhttp = \"{http}\"\n\n\
             [[user]]\nname = \"app\"\npassword = \"app\"\n{}",
            self.top, self.rest
        )
    }

    /// Starts dbmesh and waits until it listens everywhere.
    #[track_caller]
    pub fn start(self) -> RunningMesh {
        RunningMesh::start(self).unwrap_or_else(|reason| panic!("dbmesh does not start: {reason}"))
    }

    /// Starts dbmesh, which is expected to end by itself; returns what it logged.
    #[track_caller]
    pub fn fails(self) -> String {
        match RunningMesh::start(self) {
            Ok(_) => panic!("dbmesh started, which it should not"),
            Err(log) => log,
        }
    }
}

/// Where a dbmesh of a test listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Applications by the MySQL protocol.
    pub mysql: SocketAddr,
    /// Applications by the PostgreSQL protocol.
    pub postgres: SocketAddr,
    /// Admin SQL by the MySQL protocol.
    pub admin_mysql: SocketAddr,
    /// Admin SQL by the PostgreSQL protocol.
    pub admin_postgres: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// A dbmesh that listens; it ends with this value, and its log is shown when the test fails.
#[derive(Debug)]
pub struct RunningMesh {
    /// Where it listens.
    pub addresses: Addresses,
    /// Its process number.
    pub pid: u32,
    /// Its configuration file, which a test may change and reload.
    pub file: PathBuf,
    name: String,
    log: PathBuf,
    ended: AtomicBool,
}

impl RunningMesh {
    fn start(config: MeshConfig) -> Result<Self, String> {
        let name = format!("mesh{}", bed().number());
        let servers = bed().servers();
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, bed().port()));
        let addresses = Addresses {
            mysql: address(),
            postgres: address(),
            admin_mysql: address(),
            admin_postgres: address(),
            http: address(),
        };
        let file = servers.directory().join(format!("{name}.toml"));
        std::fs::write(&file, config.text(&addresses)).expect("a configuration can be written");
        // The keeper, and with it dbmesh, may be another user than the test.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("permissions can be set");
        let log = servers.log(&name);
        let pid = servers
            .keeper()
            .spawn(Process {
                name: name.clone(),
                // The stage that starts it is dbmesh already, whatever folder its file lies in.
                program: "/proc/self/exe".into(),
                arguments: vec!["serve".to_owned(), "-c".to_owned(), file.display().to_string()],
                log: log.clone(),
                orderly: StopSignal::Terminate,
                sudden: StopSignal::Kill,
            })
            .unwrap_or_else(|error| panic!("{error}"));
        let mesh = Self { addresses, pid, file, name, log, ended: AtomicBool::new(false) };
        let deadline = Instant::now() + START_MAX;
        let all = [
            mesh.addresses.mysql,
            mesh.addresses.postgres,
            mesh.addresses.admin_mysql,
            mesh.addresses.admin_postgres,
            mesh.addresses.http,
        ];
        while !all.iter().all(|address| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok()) {
            if !mesh.is_alive() {
                mesh.ended.store(true, Ordering::Relaxed);
                return Err(mesh.log());
            }
            assert!(Instant::now() < deadline, "dbmesh does not listen within {START_MAX:?}\n{}", mesh.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(mesh)
    }

    /// Whether the process runs.
    pub fn is_alive(&self) -> bool {
        Path::new(&format!("/proc/{}", self.pid)).exists()
    }

    /// The status and text of a page that it serves by HTTP, like `/metrics`. What a session did is counted there at the
    /// latest when the session has its next answer.
    pub fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addresses.http).expect("pages are served");
        stream.set_read_timeout(Some(START_MAX)).expect("a timeout can be set");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let status = text.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = text.split_once("\r\n\r\n").expect("a body").1.to_owned();
        (status, body)
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Shows the end of its log when the test fails while this is held; for a dbmesh that tests share.
    pub fn show_log_on_failure(&self) -> ShowLog<'_> {
        ShowLog(self)
    }

    /// Sends it a signal; one that ends it returns when it is gone.
    pub fn signal(&self, signal: StopSignal) {
        bed().servers().keeper().signal(&self.name, signal).unwrap_or_else(|error| panic!("{error}"));
        if signal.ends() {
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    /// Memory that it holds for data, in KiB: pages of the program itself, which come as code is first run, do not count.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("a line RssAnon");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Options of a mysql_async connection as `app`.
    pub fn mysql_options(&self, database: &str) -> mysql_async::OptsBuilder {
        mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.addresses.mysql.port())
            .user(Some("app"))
            .pass(Some("app"))
            .db_name(Some(database))
            .prefer_socket(false)
    }

    /// A mysql_async connection as `app`.
    pub async fn mysql(&self, database: &str) -> mysql_async::Conn {
        mysql_async::Conn::new(self.mysql_options(database)).await.expect("a connection by the MySQL protocol")
    }

    /// A tokio-postgres connection as `app`.
    pub async fn postgres(&self, database: &str) -> tokio_postgres::Client {
        let mut options = tokio_postgres::Config::new();
        options.host("127.0.0.1").port(self.addresses.postgres.port()).user("app").password("app").dbname(database);
        let (client, connection) =
            options.connect(tokio_postgres::NoTls).await.expect("a connection by the PostgreSQL protocol");
        tokio::spawn(connection);
        client
    }
}

impl Drop for RunningMesh {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of dbmesh {}\n{}---", self.name, self.log());
        }
        if !self.ended.load(Ordering::Relaxed) {
            // It may have ended by itself, which is the test's affair.
            let _ = bed().servers().keeper().signal(&self.name, StopSignal::Kill);
        }
    }
}

/// See [`RunningMesh::show_log_on_failure`].
pub struct ShowLog<'a>(&'a RunningMesh);

impl Drop for ShowLog<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.0.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- end of the log of dbmesh {}\n{end}\n---", self.0.name);
        }
    }
}
