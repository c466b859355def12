//! The proxies that are compared, and the ways from a load generator to the rows.
//! Out: what the proxies are told, load.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dbmesh::demo::unprivileged::Unprivileged;

use crate::arguments::Arguments;
use crate::configurations::{self, Addresses};
use crate::load::output;
use crate::places::{Places, fill_sharded};
use crate::process::Process;

/// One way from the load generator to the rows.
pub struct Way {
    /// For the report and the arguments.
    pub id: &'static str,
    /// Where the generator connects.
    pub port: u16,
    /// The proxy's process; `None` for direct.
    pub pid: Option<u32>,
    /// Whether to read the table that is sharded.
    pub sharded: bool,
}

/// A proxy and where it listens: by the MySQL protocol and by that of PostgreSQL.
struct Proxy {
    id: &'static str,
    process: Option<Process>,
    mysql: Option<u16>,
    postgres: Option<u16>,
}

/// Running proxies, direct included.
pub struct Proxies {
    all: Vec<Proxy>,
    /// Whether PgBouncer follows prepared statements when it pools transactions.
    pgbouncer_prepares: bool,
}

/// Certificate and key.
pub type TlsFiles<'a> = (&'a Path, &'a Path);

impl Proxies {
    /// Starts them, waits until they serve, and fills the sharded tables through dbmesh.
    pub fn start(places: &Places, arguments: &Arguments) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (mysql, postgres) = (places.mysql[0].port, places.postgres[0].port);
        let mut all = vec![Proxy { id: "direct", process: None, mysql: Some(mysql), postgres: Some(postgres) }];
        for (id, threads) in [("haproxy", threads), ("haproxy-1", 1)] {
            let (m, p) = (places.port(), places.port());
            let process = start_haproxy(places, id, threads, &[(m, mysql), (p, postgres)], 4_000);
            all.push(Proxy { id, process: Some(process), mysql: Some(m), postgres: Some(p) });
        }
        let (process, port) = start_pgbouncer(places, "pgbouncer", None);
        all.push(Proxy { id: "pgbouncer", process: Some(process), mysql: None, postgres: Some(port) });
        let (process, at) = start_dbmesh(places, arguments, "dbmesh", None);
        fill_sharded(at.mysql, at.postgres);
        all.push(Proxy { id: "dbmesh", process: Some(process), mysql: Some(at.mysql), postgres: Some(at.postgres) });
        Self { all, pgbouncer_prepares: pgbouncer_prepares() }
    }

    /// The ways to unsharded rows by a protocol, in turn. `prepares`: prepared statements are used.
    pub fn ways(&self, protocol: &str, prepares: bool, arguments: &Arguments) -> Vec<Way> {
        let of = |proxy: &Proxy| {
            let port = if protocol == "mysql" { proxy.mysql } else { proxy.postgres }?;
            Some(Way { id: proxy.id, port, pid: proxy.process.as_ref().map(Process::pid), sharded: false })
        };
        let able = |way: &Way| way.id != "pgbouncer" || !prepares || self.pgbouncer_prepares;
        self.all.iter().filter_map(of).filter(|way| able(way) && arguments.wants_way(way.id)).collect()
    }

    /// The way to the rows that are sharded by key.
    pub fn sharded(&self, protocol: &str, arguments: &Arguments) -> Option<Way> {
        let dbmesh = self.all.last()?;
        let port = if protocol == "mysql" { dbmesh.mysql } else { dbmesh.postgres }?;
        let way = Way { id: "dbmesh-2", port, pid: dbmesh.process.as_ref().map(Process::pid), sharded: true };
        Some(way).filter(|way| arguments.wants_way(way.id))
    }
}

/// Starts HAProxy; `id` names its files.
pub fn start_haproxy(places: &Places, id: &str, threads: usize, relays: &[(u16, u16)], connections: usize) -> Process {
    let file = write(places, &format!("{id}.cfg"), &configurations::haproxy(threads, relays, connections));
    let log = places.directory().join(format!("{id}.log"));
    let process = Process::start(&program("haproxy"), &["-db", "-f", &file.to_string_lossy()], &log, true);
    for (front, _) in relays {
        until_reachable(*front);
    }
    process
}

/// Starts PgBouncer; `id` names its files.
pub fn start_pgbouncer(places: &Places, id: &str, tls: Option<TlsFiles<'_>>) -> (Process, u16) {
    let port = places.port();
    let users = format!("\"bench\" \"{}\"\n\"bench_md5\" \"bench\"\n", places.scram_verifier());
    let users = write(places, &format!("{id}-users.txt"), &users);
    let text = configurations::pgbouncer(places, port, &users, tls, pgbouncer_prepares());
    let file = write(places, &format!("{id}.ini"), &text);
    let log = places.directory().join(format!("{id}.log"));
    let process = Process::start(&program("pgbouncer"), &[&file.to_string_lossy()], &log, false);
    until_reachable(port);
    (process, port)
}

/// Starts dbmesh; `id` names its files.
pub fn start_dbmesh(
    places: &Places,
    arguments: &Arguments,
    id: &str,
    tls: Option<TlsFiles<'_>>,
) -> (Process, Addresses) {
    let others = [places.port(), places.port(), places.port()];
    let at = Addresses { mysql: places.port(), postgres: places.port(), others };
    let file = write(places, &format!("{id}.toml"), &configurations::dbmesh(places, &at, tls));
    let log = places.directory().join(format!("{id}.log"));
    let process = Process::start(&arguments.dbmesh, &["serve", "-c", &file.to_string_lossy()], &log, true);
    until_reachable(at.mysql);
    until_reachable(at.postgres);
    (process, at)
}

/// PgBouncer 1.21 began to follow prepared statements of pooled transactions.
fn pgbouncer_prepares() -> bool {
    let said = output(Command::new(program("pgbouncer")).arg("--version"));
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').filter_map(|word| word.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (1, 21)
}

/// Server programs live where the PATH of an ordinary user often does not lead.
pub fn program(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    folders.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

/// A file of the bench that the servers' user may read.
pub fn write(places: &Places, name: &str, text: &str) -> PathBuf {
    let path = places.directory().join(name);
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Unprivileged::find().and_then(|user| user.give(&path)).expect("the file's owner changes");
    path
}

fn until_reachable(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
