//! Tests of the admin interface: statements against a fixed source, then both front ends with real clients.
#![allow(clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::session::{AdminSession, Answer};
use super::*;
use crate::config::{Changes, Config, Protocol};
use crate::error_code::MeshError;

mod by_mysql;
mod by_postgres;
mod statements;

const CONFIG: &str = r#"
workers = 2
[timeouts]
handshake_ms = 2000
[[user]]
name = "app"
password = "app-secret"
[[server]]
name = "m0"
protocol = "mysql"
address = "127.0.0.1:3316"
user = "root"
[[server]]
name = "p0"
protocol = "postgres"
address = "127.0.0.1:5442"
user = "root"
[[database]]
name = "shop"
protocol = "mysql"
[[database.shard]]
name = "s0"
server = "m0"
[[database.table]]
name = "orders"
type = "sharded"
key = ["customer_id"]
[[database]]
name = "shop"
protocol = "postgres"
[[database.shard]]
name = "s0"
server = "p0"
"#;

/// A process that holds still.
pub(crate) struct Fixed {
    config: Arc<Config>,
    stopped: AtomicBool,
    /// Whether serving a connection ever panicked.
    panicked: AtomicBool,
}

pub(crate) fn fixed() -> Arc<Fixed> {
    let config = Config::parse(CONFIG, "test.toml").expect("valid");
    Arc::new(Fixed { config: Arc::new(config), stopped: AtomicBool::new(false), panicked: AtomicBool::new(false) })
}

#[async_trait]
impl AdminSource for Fixed {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn shards(&self) -> Vec<ShardRow> {
        vec![ShardRow {
            protocol: Protocol::MySql,
            database: "shop".to_owned(),
            shard: "s0".to_owned(),
            state: "down",
            version: None,
            error: Some("connection refused".to_owned()),
        }]
    }

    fn pools(&self) -> Vec<PoolRow> {
        vec![PoolRow {
            protocol: "mysql",
            database: "shop".to_owned(),
            shard: "s0".to_owned(),
            size_max: 100,
            leases_total: u64::MAX,
            ..PoolRow::default()
        }]
    }

    fn sessions(&self) -> Vec<SessionRow> {
        vec![SessionRow {
            id: 7,
            protocol: Protocol::MySql,
            user: "app".to_owned(),
            database: "shop".to_owned(),
            application: "test".to_owned(),
            client: "127.0.0.1:1".to_owned(),
            state: "idle",
            age: Duration::from_secs(3),
            statements: 12,
            pinned: Some(("temporary table".to_owned(), Duration::from_millis(1500))),
        }]
    }

    fn backends(&self) -> Vec<BackendRow> {
        vec![BackendRow {
            id: 1,
            protocol: Protocol::MySql,
            database: "shop".to_owned(),
            shard: "s0".to_owned(),
            user: "root".to_owned(),
            state: "idle",
            session: None,
            in_state: Duration::from_millis(20),
            age: Duration::from_secs(9),
            leases: 4,
        }]
    }

    fn plans(&self, rows_max: usize) -> Vec<PlanRow> {
        let row = |n: usize| PlanRow {
            protocol: Protocol::MySql,
            database: "shop".to_owned(),
            kind: "single".to_owned(),
            hits: n as u64,
            bytes: 300,
            statement: format!("select {n} from orders where customer_id = ?"),
        };
        (0..500).map(row).take(rows_max).collect()
    }

    fn plan_cache(&self) -> (usize, usize) {
        (500, 150_000)
    }

    fn not_ready(&self) -> Option<String> {
        self.stopped.load(Ordering::SeqCst).then(|| "stopping".to_owned())
    }

    async fn explain_route(&self, protocol: Protocol, database: &str, sql: &str) -> Result<Vec<String>, MeshError> {
        if sql.contains("broken") {
            return Err(MeshError::Syntax("unterminated literal".to_owned()));
        }
        Ok(vec![format!("{protocol}.{database}: single"), format!("  {sql}")])
    }

    async fn reload(&self) -> Result<Changes, String> {
        Ok(Changes { live: vec!["pool.size_max".to_owned()], restart: vec!["workers".to_owned()] })
    }

    fn kill_session(&self, id: u32) -> bool {
        id == 7
    }

    async fn pause_shard(&self, shard: &ShardPlace) -> Result<(), MeshError> {
        match shard.protocol {
            Protocol::MySql => Ok(()),
            Protocol::Postgres => Err(MeshError::ShardInUse { shard: shard.name.clone(), in_use: 2, waited_ms: 30 }),
        }
    }

    fn resume_shard(&self, _shard: &ShardPlace) {}

    fn shutdown(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// Serves one protocol on a port of its own until the test ends.
async fn listening(protocol: Protocol, source: Arc<Fixed>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        let mut id = 0;
        while let Ok((stream, peer)) = listener.accept().await {
            id += 1;
            let source = Arc::clone(&source);
            tokio::spawn(async move {
                let shared: Arc<dyn AdminSource> = Arc::clone(&source) as _;
                let served = match protocol {
                    Protocol::MySql => tokio::spawn(mysql::serve(stream, peer, id, shared)),
                    Protocol::Postgres => tokio::spawn(postgres::serve(stream, peer, id, shared)),
                };
                if served.await.is_err() {
                    source.panicked.store(true, Ordering::SeqCst);
                }
            });
        }
    });
    port
}

/// Runs a command line and gives its two outputs.
async fn command(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await.expect("in time").expect("installed");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr))
}
