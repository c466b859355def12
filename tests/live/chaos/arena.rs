//! One run of chaos: its database, its dbmesh, its sessions; servers that die in a storm. Out: what sessions do.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

use super::dice::Dice;
use super::tally::Tally;
use super::{PATIENCE, RAW_USER, drivers, mysql, postgres, settled};
use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table, bed};

/// Small rows of each tag.
pub const ROWS: u64 = 40;
/// Wide rows of each tag: more than all buffers between a server and a client hold.
pub const PADS: u64 = 1500;
/// Tags of rude clients start here.
const RUDE: u64 = 900_000;

/// The word in a small row.
pub fn word(tag: u64, n: u64) -> String {
    format!("word {tag} {n}")
}

/// The text in a wide row.
pub fn pad(tag: u64, n: u64) -> String {
    format!("{:.<250}", format!("pad {tag} {n} "))
}

/// How many sessions share how few backends.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Shards of the database.
    pub shards: usize,
    /// Most backends of each shard.
    pub pool: u32,
    /// Well-behaved sessions.
    pub honest: u64,
    /// Rude clients.
    pub rude: u64,
}

/// The place of one run.
pub struct Arena {
    /// The dbmesh under test.
    pub mesh: RunningMesh,
    /// Its only database.
    pub database: Database,
    /// What is found.
    pub tally: Tally,
    /// Servers die: sessions may lose what they were doing.
    pub storm: bool,
    /// Well-behaved sessions have the tags from 1 to this.
    pub tags: u64,
    shape: Shape,
    seed: u64,
    time: Duration,
    end: Instant,
}

impl Arena {
    /// A new database with rows for every tag, and dbmesh before it.
    pub async fn open(kind: ServerKind, shape: Shape, storm: bool, time: Duration, seed: u64) -> Self {
        let database = if storm {
            Database::on((0..shape.shards).map(|_| bed().own_server(kind, &[])).collect()).await
        } else {
            Database::new(kind, shape.shards).await
        };
        let id = if kind == ServerKind::MariaDb { "BIGINT AUTO_INCREMENT" } else { "BIGSERIAL" };
        for creation in [
            "CREATE TABLE tagged (tag BIGINT, n BIGINT, word VARCHAR(40), PRIMARY KEY (tag, n))",
            "CREATE TABLE bulky (tag BIGINT, n BIGINT, pad VARCHAR(300), PRIMARY KEY (tag, n))",
            "CREATE TABLE work (tag BIGINT, n BIGINT, word VARCHAR(40), PRIMARY KEY (tag, n))",
            &format!("CREATE TABLE owned (id {id}, tag BIGINT, word VARCHAR(40), PRIMARY KEY (id, tag))"),
            "CREATE TABLE hot (tag BIGINT PRIMARY KEY, word VARCHAR(40))",
        ] {
            database.everywhere(creation).await;
        }
        if kind == ServerKind::Postgres {
            database.everywhere("CREATE SCHEMA s0; CREATE SCHEMA s1; CREATE SCHEMA s2").await;
        }
        let database = if shape.shards == 1 {
            database
        } else {
            ["tagged", "bulky", "work", "owned", "hot"]
                .into_iter()
                .fold(database, |database, table| database.table(Table::Sharded(table, &["tag"])))
        };
        let sections = format!(
            "[pool]\nsize_max = {}\nwait_ms_max = 40000\n[[user]]\nname = \"{RAW_USER}\"\nauth = \"trust\"\n",
            shape.pool
        );
        let mesh = MeshConfig::with(&database).section(&sections).start();
        // One session by a driver, beside those that speak for themselves.
        let tags = shape.honest + 1;
        let tally = Tally::default();
        let arena = Self { mesh, database, tally, storm, tags, shape, seed, time, end: Instant::now() + time };
        arena.fill().await;
        arena
    }

    async fn fill(&self) {
        let mut statements = Vec::new();
        let mut insert =
            |table: &str, columns: &str, tag: u64, numbers: std::ops::Range<u64>, text: fn(u64, u64) -> String| {
                let mut sql = format!("INSERT INTO {table} ({columns}) VALUES ");
                for n in numbers.clone() {
                    let comma = if n == numbers.start { "" } else { ", " };
                    write!(sql, "{comma}({tag}, {n}, '{}')", text(tag, n)).expect("writing to a string");
                }
                statements.push(sql);
            };
        for tag in 1..=self.tags {
            insert("tagged", "tag, n, word", tag, 0..ROWS, word);
            for first in (0..PADS).step_by(500) {
                insert("bulky", "tag, n, pad", tag, first..first + 500, pad);
            }
        }
        statements.extend((1..=4).map(|tag| format!("INSERT INTO hot (tag, word) VALUES ({tag}, 'calm')")));
        match self.database.kind {
            ServerKind::MariaDb => {
                let mut connection = self.mesh.mysql(&self.database.name).await;
                for sql in statements {
                    connection.query_drop(&sql).await.unwrap_or_else(|error| panic!("{error}: {sql:.100}"));
                }
                connection.disconnect().await.expect("a good end");
            }
            ServerKind::Postgres => {
                let client = self.mesh.postgres(&self.database.name).await;
                for sql in statements {
                    client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql:.100}"));
                }
            }
        }
    }

    /// Whether sessions go on.
    pub fn is_open(&self) -> bool {
        Instant::now() < self.end
    }

    /// Whether rows lie on several shards.
    pub fn is_sharded(&self) -> bool {
        self.shape.shards > 1
    }

    /// Most backends of a shard.
    pub fn pool(&self) -> u32 {
        self.shape.pool
    }

    /// Lets everybody in, waits until all are gone, and looks at what is left.
    pub async fn run(mut self) {
        self.end = Instant::now() + self.time;
        let kind = self.database.kind;
        let about = format!("{kind:?} {:?}{} seed {}", self.shape, if self.storm { " storm" } else { "" }, self.seed);
        let arena = Arc::new(self);
        let mut tasks = JoinSet::new();
        for number in 1..arena.tags {
            let (arena, dice) = (Arc::clone(&arena), Dice::new(arena.seed, number));
            match kind {
                ServerKind::MariaDb => tasks.spawn(mysql::honest(arena, number, dice)),
                ServerKind::Postgres => tasks.spawn(postgres::honest(arena, number, dice)),
            };
        }
        tasks.spawn(drivers::session(Arc::clone(&arena), arena.tags, Dice::new(arena.seed, arena.tags)));
        for number in 0..arena.shape.rude {
            let tag = RUDE + number;
            let (arena, dice) = (Arc::clone(&arena), Dice::new(arena.seed, tag));
            match kind {
                ServerKind::MariaDb => tasks.spawn(mysql::rude(arena, tag, dice)),
                ServerKind::Postgres => tasks.spawn(postgres::rude(arena, tag, dice)),
            };
        }
        if arena.storm {
            tasks.spawn(storm(Arc::clone(&arena), Dice::new(arena.seed, 0)));
        }
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("a session does not panic");
            }
        };
        if tokio::time::timeout(arena.time + 2 * PATIENCE, all).await.is_err() {
            arena.tally.judge(&about);
            panic!("{about}: sessions are stuck");
        }
        arena.tally.judge(&about);
        settled::check(&arena, &about).await;
        if arena.storm {
            arena.database.shards.iter().for_each(|server| bed().servers().stop(server).expect("stopped"));
        }
    }
}

/// Kills one server after the other; all are back at the end.
async fn storm(arena: Arc<Arena>, mut dice: Dice) {
    loop {
        tokio::time::sleep(Duration::from_secs(3) + dice.pause(4000)).await;
        if !arena.is_open() {
            return;
        }
        let count = arena.database.shards.len() as u64;
        let server = arena.database.shards[usize::try_from(dice.below(count)).expect("an index")].clone();
        let down = dice.pause(1500);
        let work = move || {
            bed().servers().kill(&server).expect("killed");
            std::thread::sleep(down);
            bed().servers().restart(&server).expect("restarted");
        };
        tokio::task::spawn_blocking(work).await.expect("no panic");
    }
}
