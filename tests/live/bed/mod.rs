//! The test bed: private servers shared by all tests of a run, databases of their own for each, and dbmesh processes.
//!
//! Servers start when the first test asks for them. A test that kills or reconfigures a server starts one of its own
//! (`Bed::own_server`). Nothing outlives the run, however it ends: a keeper holds all processes.

mod database;
mod eventually;
mod mesh;
mod tool;

// Each is the bed's offer to tests; not every one is taken up at every time.
#[allow(unused_imports)]
pub use database::{Database, Table, execute};
#[allow(unused_imports)]
pub use eventually::{eventually, eventually_async};
#[allow(unused_imports)]
pub use mesh::{MeshConfig, RunningMesh};
#[allow(unused_imports)]
pub use tool::{Said, Tool, installed, python};

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

pub use dbmesh::demo::servers::{Server, ServerKind};
use dbmesh::demo::servers::{Servers, ServersOptions, free_port};

/// Shards of each kind that tests may share, beside one server that stands for "one database with all the rows".
pub const SHARDS: usize = 3;
/// Password of every user of the bed's servers.
pub const PASSWORD: &str = "bed";
/// Ports of the bed, below those the system gives to clients and apart from the demo's.
const PORTS: std::ops::RangeInclusive<u16> = 16_000..=23_999;

/// What tests share.
pub struct Bed {
    servers: Servers,
    shards: [[OnceLock<Server>; SHARDS + 1]; 2],
    ports: Mutex<HashSet<u16>>,
    number: AtomicU32,
}

/// The bed of this run.
pub fn bed() -> &'static Bed {
    static BED: OnceLock<Bed> = OnceLock::new();
    BED.get_or_init(|| Bed {
        servers: open_servers("test"),
        shards: Default::default(),
        ports: Mutex::default(),
        number: AtomicU32::new(0),
    })
}

/// The dbmesh program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_dbmesh"))
}

/// A set of servers apart from the bed, in a folder of its own that goes with it.
pub fn open_servers(purpose: &str) -> Servers {
    Servers::open(ServersOptions {
        program: Some(program().to_owned()),
        directory: new_folder(purpose),
        keep: false,
        ports: PORTS,
        password: PASSWORD.to_owned(),
        durable: false,
    })
    .expect("the keeper starts")
}

/// The path of a folder that does not exist yet.
pub fn new_folder(purpose: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("dbmesh-{purpose}-{}-{number}", std::process::id()))
}

impl Bed {
    /// The `index`-th MariaDB server that tests share.
    pub fn mysql_shard(&self, index: usize) -> &Server {
        assert!(index < SHARDS, "the bed has {SHARDS} shards of each kind");
        self.shared(ServerKind::MariaDb, index)
    }

    /// The `index`-th PostgreSQL server that tests share.
    pub fn postgres_shard(&self, index: usize) -> &Server {
        assert!(index < SHARDS, "the bed has {SHARDS} shards of each kind");
        self.shared(ServerKind::Postgres, index)
    }

    /// A server of that kind that is no shard: it holds all the rows when answers are compared.
    pub fn reference(&self, kind: ServerKind) -> &Server {
        self.shared(kind, SHARDS)
    }

    /// The servers that tests share, to start dbmesh beside them.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// A new server for one test, which may kill and restart it through [`Bed::servers`].
    pub fn own_server(&self, kind: ServerKind, settings: &[&str]) -> Server {
        let name = format!("{}{}", if kind == ServerKind::MariaDb { "own-m" } else { "own-p" }, self.number());
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        self.servers.start(kind, &name, &settings).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A free port that no other test of this run gets.
    pub fn port(&self) -> u16 {
        loop {
            let port = free_port(&PORTS).expect("a free port");
            if self.ports.lock().expect("ports").insert(port) {
                return port;
            }
        }
    }

    /// A number that no other caller gets.
    pub fn number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    fn shared(&self, kind: ServerKind, index: usize) -> &Server {
        let (row, letter, settings): (_, _, &[String]) = match kind {
            // Nothing here has to survive the machine.
            ServerKind::MariaDb => (0, 'm', &["--innodb-flush-log-at-trx-commit=0".to_owned()]),
            ServerKind::Postgres => (1, 'p', &["synchronous_commit=off".to_owned()]),
        };
        self.shards[row][index].get_or_init(|| {
            let name = format!("{letter}{index}");
            self.servers.start(kind, &name, settings).unwrap_or_else(|error| panic!("{error}"))
        })
    }
}
