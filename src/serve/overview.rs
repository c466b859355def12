//! The process as the admin interface, the metrics and the health pages see it.
//! Out: how anything is shown; anything that waits, except a reload and the planning of a statement to explain.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::admin::{AdminSource, BackendRow, PlanRow, PoolRow, SessionRow, ShardPlace, ShardRow};
use crate::config::{Changes, Config, Protocol};
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::mesh::Mesh;
use crate::pool::{BackendSnapshot, NotPaused, PoolKey, ShardId, ShardSnapshot};

/// The logical database and the shard of a number that pools use.
struct Place {
    database: String,
    shard: String,
    user: String,
}

fn place(config: &Config, id: ShardId) -> Option<Place> {
    let database = config.databases.get(usize::from(id.database()))?;
    let shard = database.shards.get(usize::from(id.shard()))?;
    let user = config.server_of(shard).user.clone();
    Some(Place { database: database.name.clone(), shard: shard.name.clone(), user })
}

fn pool_row<K>(config: &Config, protocol: Protocol, shard: &ShardSnapshot<K>) -> Option<PoolRow> {
    let Place { database, shard: name, .. } = place(config, shard.shard)?;
    let mut row = PoolRow {
        protocol: protocol.as_str(),
        database,
        shard: name,
        size_max: shard.size_max,
        size: shard.size,
        waiting: shard.waiting,
        reserved: shard.reserved,
        paused: shard.paused,
        waits_total: shard.waits_total,
        wait_ms_total: u64::try_from(shard.wait_time_total.as_millis()).unwrap_or(u64::MAX),
        wait_timeouts_total: shard.wait_timeouts_total,
        deadlocks_total: shard.deadlocks_total,
        connect_errors_total: shard.connect_errors_total,
        ..PoolRow::default()
    };
    for key in &shard.keys {
        row.idle += key.idle;
        row.leased += key.leased;
        row.opening += key.opening;
        row.quarantined += key.quarantined;
        row.leases_total += key.leases_total;
        row.opened_total += key.opened_total;
        row.closed_total += key.closed.iter().sum::<u64>();
    }
    Some(row)
}

fn backend_row<K: PoolKey>(config: &Config, protocol: Protocol, backend: BackendSnapshot<K>) -> Option<BackendRow> {
    let Place { database, shard, user } = place(config, backend.key.shard())?;
    Some(BackendRow {
        id: backend.id,
        protocol,
        database,
        shard,
        user,
        state: backend.state.word(),
        session: backend.session,
        in_state: backend.in_state,
        age: backend.age,
        leases: backend.leases,
    })
}

fn shard_id(shard: &ShardPlace) -> Result<ShardId, MeshError> {
    match (u16::try_from(shard.database_index), u16::try_from(shard.index)) {
        (Ok(database), Ok(index)) => Ok(ShardId::new(database, index)),
        _ => Err(MeshError::Internal("too many shards".to_owned())),
    }
}

impl Mesh {
    fn is_paused(&self, protocol: Protocol, database: &str, shard: &str) -> bool {
        let found = |pool: &PoolRow| {
            pool.protocol == protocol.as_str() && pool.database == database && pool.shard == shard && pool.paused
        };
        (self.mysql.pools.any_paused() || self.postgres.pools.any_paused()) && self.pools().iter().any(found)
    }
}

#[async_trait]
impl AdminSource for Mesh {
    fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    fn uptime(&self) -> Duration {
        self.started_at.elapsed()
    }

    fn shards(&self) -> Vec<ShardRow> {
        let databases = self.catalog.databases();
        let pools = self.pools();
        let pools = &pools;
        let rows = databases.iter().flat_map(|database| {
            let loaded = database.loaded();
            let source = Arc::clone(database.source());
            (0..source.shards.len()).map(move |number| {
                let state = loaded.as_ref().and_then(|loaded| loaded.shards.get(number));
                let error = state.and_then(|state| state.error.as_ref());
                let pool = pools.iter().find(|pool| {
                    pool.protocol == source.protocol.as_str()
                        && pool.database == source.name
                        && pool.shard == source.shard_name(number)
                });
                ShardRow {
                    protocol: source.protocol,
                    database: source.name.clone(),
                    shard: source.shard_name(number).to_owned(),
                    state: match (state, error) {
                        _ if pool.is_some_and(|pool| pool.paused) => pool.map_or("paused", PoolRow::state),
                        (None, _) => "unknown",
                        (Some(_), Some(_)) => "down",
                        (Some(_), None) => "up",
                    },
                    version: state.and_then(|state| state.version.clone()),
                    error: error.map(ToString::to_string),
                }
            })
        });
        rows.collect()
    }

    fn pools(&self) -> Vec<PoolRow> {
        let config = self.config();
        let mysql = self.mysql.pools.shards();
        let postgres = self.postgres.pools.shards();
        let mysql = mysql.iter().filter_map(|shard| pool_row(&config, Protocol::MySql, shard));
        let postgres = postgres.iter().filter_map(|shard| pool_row(&config, Protocol::Postgres, shard));
        mysql.chain(postgres).collect()
    }

    fn sessions(&self) -> Vec<SessionRow> {
        let row = |session: &Arc<crate::sessions::Session>| {
            let who = session.identity();
            SessionRow {
                id: session.id,
                protocol: session.protocol,
                user: who.user,
                database: who.database,
                application: who.application,
                client: session.peer.to_string(),
                state: session.activity().name(),
                age: session.opened_at.elapsed(),
                statements: session.statements.load(std::sync::atomic::Ordering::Relaxed),
                pinned: session.pin().map(|pin| (pin.reason, pin.since.elapsed())),
            }
        };
        self.sessions.list().iter().map(row).collect()
    }

    fn backends(&self) -> Vec<BackendRow> {
        let config = self.config();
        let mysql = self.mysql.pools.backends().into_iter();
        let postgres = self.postgres.pools.backends().into_iter();
        let mysql = mysql.filter_map(|backend| backend_row(&config, Protocol::MySql, backend));
        let postgres = postgres.filter_map(|backend| backend_row(&config, Protocol::Postgres, backend));
        mysql.chain(postgres).collect()
    }

    fn plans(&self, rows_max: usize) -> Vec<PlanRow> {
        let row = |plan: crate::plans::PlanSummary| PlanRow {
            protocol: plan.label.protocol,
            database: plan.label.database.to_string(),
            kind: plan.label.kind.to_owned(),
            hits: plan.hits,
            bytes: plan.bytes,
            statement: plan.label.statement,
        };
        self.plans.summaries(rows_max).into_iter().map(row).collect()
    }

    fn plan_cache(&self) -> (usize, usize) {
        let counts = self.plans.counts();
        (counts.entries, counts.bytes)
    }

    /// Ready once every logical database has a schema and its default shard answered.
    fn not_ready(&self) -> Option<String> {
        if *self.stop.borrow() {
            return Some("dbmesh is stopping".to_owned());
        }
        self.catalog.databases().iter().find_map(|database| {
            let source = database.source();
            let name = format!("{} {}", source.protocol, source.name);
            let Some(loaded) = database.loaded() else { return Some(format!("{name}: its tables are not read yet")) };
            let state = loaded.shards.get(usize::from(source.default_shard))?;
            if self.is_paused(source.protocol, &source.name, &state.name) {
                return None;
            }
            state.error.as_ref().map(|error| format!("{name}: shard {}: {error}", state.name))
        })
    }

    async fn explain_route(&self, protocol: Protocol, database: &str, sql: &str) -> Result<Vec<String>, MeshError> {
        let unknown = || MeshError::unknown_database(protocol, database);
        let catalog = self.catalog.database(protocol, database).ok_or_else(unknown)?;
        let deadline = tokio::time::Instant::now() + self.config.load().timeouts.connect;
        let schema = catalog
            .ready(deadline)
            .await
            .map_err(|error| MeshError::ShardDown { shard: database.to_owned(), cause: error.to_string() })?;
        crate::explain::explain(&schema, sql)
    }

    async fn reload(&self) -> Result<Changes, String> {
        Self::reload(self).map_err(|error| error.to_string())
    }

    fn kill_session(&self, id: u32) -> bool {
        let session = self.sessions.get(id);
        session.inspect(|session| session.interrupt.raise(Reason::Session)).is_some()
    }

    async fn pause_shard(&self, shard: &ShardPlace) -> Result<(), MeshError> {
        let id = shard_id(shard)?;
        // Half of the time that sessions wait: who waits when a pause is taken back must still get a backend.
        let deadline = tokio::time::Instant::now() + self.config.load().pool.wait_max / 2;
        let paused = match shard.protocol {
            Protocol::MySql => self.mysql.pools.pause(id, deadline).await,
            Protocol::Postgres => self.postgres.pools.pause(id, deadline).await,
        };
        paused.map_err(|NotPaused { in_use, waited }| MeshError::ShardInUse {
            shard: shard.name.clone(),
            in_use,
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn resume_shard(&self, shard: &ShardPlace) {
        let Ok(id) = shard_id(shard) else { return };
        let _was_paused = match shard.protocol {
            Protocol::MySql => self.mysql.pools.resume(id),
            Protocol::Postgres => self.postgres.pools.resume(id),
        };
        // The server may be another version now, with other tables.
        if let Some(catalog) = self.catalog.database(shard.protocol, &shard.database) {
            catalog.suspect();
        }
    }

    fn shutdown(&self) {
        self.stop.send_replace(true);
    }
}
