//! Opens connections to servers for the pools: which server a shard is on, login, the settings every backend starts with.
//! Out: pooling, sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use protocol::mysql::authentication::{LoginStep, ServerLogin};
use protocol::mysql::capability::{self, Capabilities};
use protocol::mysql::greeting::Greeting;
use protocol::mysql::login::Login;
use protocol::mysql::packet::{Header, Whole, put_packet_with};
use protocol::mysql::reply::ErrPacket;
use protocol::mysql::response::{Answer, Event};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::backend::{MySqlBackend, PACKET_MAX};
use super::memory::Memory;
use crate::config::{Config, Protocol, Secret, ServerAddress};
use crate::pool::{ConnectError, Connector, PoolKey, Pools, ShardId};

/// Collation id of a backend's login: utf8mb4_general_ci, which every server has.
const LOGIN_COLLATION: u16 = 45;
/// Error code of a server that shuts down.
const SHUTTING_DOWN: u16 = 1053;
/// The server is also asked how long a packet it takes. A backend learns what statements did to its session by this; the rest of the state comes from statements' texts.
const TRACKING: &str = "SET session_track_system_variables='*', session_track_schema=ON, session_track_state_change=ON; SELECT @@max_allowed_packet";

/// All pools of MySQL servers.
pub type MySqlPools = Pools<MySqlConnector>;

/// What makes MySQL backends exchangeable. The backend's user belongs to the shard's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackendKey {
    /// The shard.
    pub shard: ShardId,
    /// The client's flags that change meaning or layout ([`capability::MEANINGFUL`]).
    pub capabilities: Capabilities,
    /// Whether a schema is selected: a server never goes back to none.
    pub in_schema: bool,
}

impl PoolKey for BackendKey {
    fn shard(&self) -> ShardId {
        self.shard
    }
}

/// Where a shard is and how to log in.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Address of the server.
    pub address: ServerAddress,
    /// Backend user.
    pub user: String,
    /// Backend password.
    pub password: Option<Secret>,
    /// Physical database.
    pub database: String,
}

/// Opens connections to the shards of the configuration in force.
#[derive(Debug)]
pub struct MySqlConnector {
    config: Arc<ArcSwap<Config>>,
    version: ArcSwapOption<Vec<u8>>,
    /// Flags of MariaDB's that every server had which was reached.
    common: AtomicU64,
}

impl MySqlConnector {
    /// For the MySQL databases of this configuration, as it is at each connect.
    #[must_use]
    pub fn new(config: Arc<ArcSwap<Config>>) -> Self {
        Self { config, version: ArcSwapOption::empty(), common: AtomicU64::new(capability::MARIADB_OFFERED) }
    }

    /// The version of the server that was reached first.
    #[must_use]
    pub fn version(&self) -> Option<Vec<u8>> {
        self.version.load().as_deref().cloned()
    }

    /// The flags of MariaDB's that clients may be offered: those that every server had which was reached.
    #[must_use]
    pub fn mariadb_capabilities(&self) -> Capabilities {
        if self.version.load().is_some() { self.common.load(Ordering::Relaxed) } else { 0 }
    }

    /// Where a shard is.
    #[must_use]
    pub fn target(&self, id: ShardId) -> Option<Target> {
        let config = self.config.load();
        let database = config.databases.get(usize::from(id.database()))?;
        let shard = database.shards.get(usize::from(id.shard()))?;
        let server = config.server_of(shard);
        (database.protocol == Protocol::MySql).then(|| Target {
            address: server.address.clone(),
            user: server.user.clone(),
            password: server.password.clone(),
            database: shard.database.clone(),
        })
    }
}

impl Connector for MySqlConnector {
    type Key = BackendKey;
    type Backend = MySqlBackend;

    async fn connect(&self, key: &BackendKey, deadline: Instant) -> Result<MySqlBackend, ConnectError> {
        let target = self
            .target(key.shard)
            .ok_or_else(|| ConnectError::Unusable("the shard is not in the configuration any more".to_owned()))?;
        let login = log_in(&target, key);
        let (backend, greeting) = timeout_at(deadline, login).await.map_err(|_| ConnectError::TimedOut)??;
        self.common.fetch_and(greeting.capabilities, Ordering::Relaxed);
        if self.version.load().is_none() {
            self.version.store(Some(Arc::new(greeting.server_version)));
        }
        Ok(backend)
    }
}

async fn log_in(target: &Target, key: &BackendKey) -> Result<(MySqlBackend, Greeting), ConnectError> {
    let unreachable = |error: std::io::Error| ConnectError::Unreachable(error.to_string());
    let address = (target.address.host.as_str(), target.address.port);
    let stream = TcpStream::connect(address).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let mut backend = MySqlBackend::new(stream, 0, Memory::default());
    let (payload, _) = read_packet(&mut backend).await?;
    if payload.first() == Some(&0xff) {
        return Err(rejected(&payload));
    }
    let greeting = Greeting::decode(&payload).map_err(|error| ConnectError::Unusable(error.to_string()))?;
    backend.connection_id = greeting.connection_id;
    backend.capabilities = agree(&greeting, key)?;
    let password = target.password.as_ref().map(Secret::expose).unwrap_or_default();
    let mut exchange = ServerLogin::new(password.as_bytes(), &greeting.plugin, greeting.scramble, false);
    let (plugin, proof) = exchange.first_proof();
    let login = Login {
        capabilities: backend.capabilities,
        packet_max: 1 << 30,
        collation: LOGIN_COLLATION,
        user: target.user.clone().into_bytes(),
        proof,
        database: key.in_schema.then(|| target.database.clone().into_bytes()),
        plugin,
        attributes: vec![(b"program_name".to_vec(), b"dbmesh".to_vec())],
    };
    put_packet_with(&mut backend.output, 1, |out| login.encode(out));
    backend.flush().await.map_err(unreachable)?;
    loop {
        let (payload, sequence) = read_packet(&mut backend).await?;
        let step = exchange.on_packet(&payload).map_err(|error| ConnectError::Unusable(error.to_string()))?;
        match step {
            LoginStep::Done => break,
            LoginStep::Wait => {}
            LoginStep::Refused => return Err(rejected(&payload)),
            LoginStep::Send(bytes) => {
                put_packet_with(&mut backend.output, sequence.wrapping_add(1), |out| out.extend_from_slice(&bytes));
                backend.flush().await.map_err(unreachable)?;
            }
        }
    }
    backend.memory = Memory::fresh(login.database);
    start_tracking(&mut backend).await?;
    Ok((backend, greeting))
}

/// Sets what every backend is set to; also needed after COM_RESET_CONNECTION.
///
/// # Errors
/// The server refused, or the connection broke.
pub async fn start_tracking(backend: &mut MySqlBackend) -> Result<(), ConnectError> {
    backend.put_query(TRACKING.as_bytes());
    backend.flush().await.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let (mut refusal, mut packet_limit) = (None, None);
    backend
        .read_answer(Answer::Query, |event, payload| match event {
            Event::Err => refusal = Some(rejected(payload)),
            Event::Row => {
                packet_limit = payload.get(1..).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            }
            _ => {}
        })
        .await
        .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    backend.packet_limit = packet_limit.unwrap_or(u64::MAX);
    refusal.map_or(Ok(()), Err)
}

fn agree(greeting: &Greeting, key: &BackendKey) -> Result<Capabilities, ConnectError> {
    if greeting.capabilities & capability::SESSION_TRACK == 0 {
        let version = String::from_utf8_lossy(&greeting.server_version).into_owned();
        return Err(ConnectError::Unusable(format!(
            "server {version} does not report session state (MariaDB 10.2 or MySQL 5.7 is needed)"
        )));
    }
    let offered = greeting.capabilities | capability::LONG_PASSWORD;
    // A feature that the client believes to have changes what its bytes mean: it must be there.
    let missing = key.capabilities & !offered;
    if missing != 0 {
        return Err(ConnectError::Unusable(format!("the server lacks capabilities {missing:#x} that the client uses")));
    }
    let mut asked = (capability::ASKED & offered) | key.capabilities;
    if greeting.capabilities & capability::LONG_PASSWORD == 0 {
        // MariaDB: the flag means "no flags of MariaDB's own".
        asked &= !capability::LONG_PASSWORD;
    }
    if key.in_schema {
        asked |= capability::CONNECT_WITH_DB;
    }
    Ok(asked)
}

async fn read_packet(backend: &mut MySqlBackend) -> Result<(Vec<u8>, u8), ConnectError> {
    loop {
        if let Some(header) = Header::read(&backend.input) {
            let found = Whole::find(&backend.input, header.sequence, PACKET_MAX)
                .map_err(|error| ConnectError::Unusable(error.to_string()))?;
            if let Some(whole) = found {
                let payload = whole.payload(&backend.input).into_owned();
                backend.consume(whole.wire_length);
                return Ok((payload, whole.last_sequence));
            }
        }
        backend.read_more().await.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    }
}

fn rejected(payload: &[u8]) -> ConnectError {
    match ErrPacket::decode(payload) {
        Ok(err) if err.code == SHUTTING_DOWN => {
            ConnectError::NotReady(String::from_utf8_lossy(err.message).into_owned())
        }
        Ok(err) => ConnectError::Rejected {
            code: err.code,
            sqlstate: String::from_utf8_lossy(&err.sqlstate).into_owned(),
            message: String::from_utf8_lossy(err.message).into_owned(),
        },
        Err(error) => ConnectError::Unusable(error.to_string()),
    }
}
