//! The proxies that are compared, each with as many threads as the machine has cores; their processor time.
//! Out: load.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dbmesh::demo::servers::{DEFAULT_PORTS, Server, free_port};

use crate::load::Load;
use crate::places::{Places, fill_sharded};

/// One way from the load generator to the rows.
pub struct Way {
    /// For the report.
    pub name: &'static str,
    /// Where the generator connects.
    pub port: u16,
    /// The proxy's process; `None` for direct.
    pub pid: Option<u32>,
    /// Whether to read the table that is sharded.
    pub sharded: bool,
}

/// Running proxies.
pub struct Proxies {
    haproxy: Proxy,
    haproxy_ports: [u16; 2],
    dbmesh: Proxy,
    dbmesh_ports: [u16; 2],
    direct_ports: [u16; 2],
}

impl Proxies {
    /// Starts them, waits until they serve, and fills the sharded tables through dbmesh.
    pub fn start(places: &Places) -> Self {
        let direct_ports = [places.mysql[0].port, places.postgres[0].port];
        let mut taken = Vec::new();
        let mut port = || loop {
            let port = free_port(&DEFAULT_PORTS).expect("a free port");
            if !taken.contains(&port) {
                taken.push(port);
                return port;
            }
        };
        let (haproxy_ports, dbmesh_ports) = ([port(), port()], [port(), port()]);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let directory = places.directory();

        let haproxy_file = directory.join("haproxy.cfg");
        let mut text = format!(
            "global\n nbthread {threads}\n maxconn 4000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n"
        );
        for (name, front, back) in [("m", haproxy_ports[0], direct_ports[0]), ("p", haproxy_ports[1], direct_ports[1])]
        {
            let _ = writeln!(text, "listen {name}\n bind 127.0.0.1:{front}\n server s 127.0.0.1:{back}");
        }
        std::fs::write(&haproxy_file, text).expect("haproxy.cfg");
        let haproxy = child(Command::new("haproxy").arg("-db").arg("-f").arg(haproxy_file));

        let dbmesh_file = directory.join("dbmesh.toml");
        std::fs::write(&dbmesh_file, configuration(places, dbmesh_ports)).expect("dbmesh.toml");
        let dbmesh = child(Command::new(env!("CARGO_BIN_EXE_dbmesh")).arg("serve").arg("-c").arg(dbmesh_file));

        for port in haproxy_ports.iter().chain(&dbmesh_ports) {
            until_reachable(*port);
        }
        fill_sharded(dbmesh_ports[0], dbmesh_ports[1]);
        Self { haproxy, haproxy_ports, dbmesh, dbmesh_ports, direct_ports }
    }

    /// The ways that `load` is run, in turn.
    pub fn ways(&self, load: Load) -> Vec<Way> {
        let at = usize::from(load.protocol() != "mysql");
        let (haproxy, dbmesh) = (Some(self.haproxy.0.id()), Some(self.dbmesh.0.id()));
        let mut ways = vec![
            Way { name: "direct", port: self.direct_ports[at], pid: None, sharded: false },
            Way { name: "haproxy", port: self.haproxy_ports[at], pid: haproxy, sharded: false },
            Way { name: "dbmesh", port: self.dbmesh_ports[at], pid: dbmesh, sharded: false },
        ];
        if load.routes_by_key() {
            ways.push(Way { name: "dbmesh 2 shards", port: self.dbmesh_ports[at], pid: dbmesh, sharded: true });
        }
        ways
    }
}

/// A proxy that ends with the bench, also when that fails.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of a process so far.
#[derive(Clone, Copy)]
pub struct Cpu {
    ms: Option<f64>,
}

impl Cpu {
    /// User and system time of `pid` and its threads.
    pub fn of(pid: Option<u32>) -> Self {
        let ms = pid.map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the proxy lives");
            // After the name in brackets: state is field 3, utime 14, stime 15, in ticks of 10 ms.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks = |at: usize| fields.get(at - 3).and_then(|n| n.parse::<f64>().ok()).expect("a number of ticks");
            (ticks(14) + ticks(15)) * 10.0
        });
        Self { ms }
    }

    /// Milliseconds between `before` and this.
    pub fn since(self, before: Self) -> Option<f64> {
        Some(self.ms? - before.ms?)
    }
}

fn child(command: &mut Command) -> Proxy {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Proxy(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

fn until_reachable(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn configuration(places: &Places, ports: [u16; 2]) -> String {
    let mut text = format!(
        "[listen]\nmysql = \"127.0.0.1:{}\"\npostgres = \"127.0.0.1:{}\"\nadmin_mysql = \"off\"\nadmin_postgres = \"off\"\nhttp = \"off\"\n\
         [admin]\nuser = \"admin\"\npassword = \"admin\"\n[[user]]\nname = \"bench\"\npassword = \"bench\"\n[log]\nlevel = \"warn\"\n",
        ports[0], ports[1]
    );
    let kinds: [(&str, &[Server; 2], &str, &str); 2] =
        [("mysql", &places.mysql, "sbtest1", "id"), ("postgres", &places.postgres, "pgbench_accounts", "aid")];
    for (protocol, servers, table, key) in kinds {
        for server in servers {
            let _ = writeln!(
                text,
                "[[server]]\nname = \"{}\"\nprotocol = \"{protocol}\"\naddress = \"{}\"\nuser = \"bench\"\npassword = \"bench\"",
                server.name,
                server.address()
            );
        }
        let plain = &servers[0].name;
        let _ = writeln!(
            text,
            "[[database]]\nname = \"plain\"\nprotocol = \"{protocol}\"\ndefault_shard = \"{plain}\"\n\
             [[database.shard]]\nname = \"{plain}\"\nserver = \"{plain}\"\ndatabase = \"plain\"\n\
             [[database]]\nname = \"sharded\"\nprotocol = \"{protocol}\"\ndefault_shard = \"{plain}\""
        );
        for server in servers {
            let _ = writeln!(
                text,
                "[[database.shard]]\nname = \"{0}\"\nserver = \"{0}\"\ndatabase = \"sharded\"",
                server.name
            );
        }
        let _ = writeln!(text, "[[database.table]]\nname = \"{table}\"\ntype = \"sharded\"\nkey = [\"{key}\"]");
        if protocol == "postgres" {
            text.push_str("[[database.table]]\nname = \"pgbench_branches\"\ntype = \"reference\"\n");
        }
    }
    text
}
