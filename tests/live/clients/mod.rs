//! Drivers, command lines and load tools that people use, each at work through dbmesh for some time without an error,
//! on one shard (`Plain`) and on two (`Sharded`).

mod command_lines;
mod dumps;
mod pgbench;
mod python_drivers;
mod rust_drivers;
mod sysbench;

use std::time::Duration;

use dbmesh::demo::shop::{self, ShopPlacement, Sizes, TABLES};
use mysql_async::prelude::Queryable as _;
use tokio::sync::OnceCell;

use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind, Table};

/// How the rows of a test lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// All on one shard; no table is declared.
    Plain,
    /// By key on two shards.
    Sharded,
}

/// How long each client works: 20 s, or what `DBMESH_TEST_SECONDS` says.
pub fn work_time() -> Duration {
    let seconds = std::env::var("DBMESH_TEST_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(20))
}

/// A dbmesh that serves four shops: by each protocol a plain and a sharded one.
pub struct Shops {
    /// The process.
    pub mesh: RunningMesh,
    databases: Vec<(ServerKind, Spread, String)>,
}

impl Shops {
    /// The shop's database name.
    pub fn name(&self, kind: ServerKind, spread: Spread) -> &str {
        let found = self.databases.iter().find(|(k, s, _)| (*k, *s) == (kind, spread));
        &found.expect("every combination is there").2
    }
}

/// The shops, filled through dbmesh when the first test asks. Tests write orders with numbers of their own.
pub async fn shops() -> &'static Shops {
    static SHOPS: OnceCell<Shops> = OnceCell::const_new();
    SHOPS.get_or_init(open_shops).await
}

async fn open_shops() -> Shops {
    let mut config = MeshConfig::default();
    let mut databases = Vec::new();
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        for spread in [Spread::Plain, Spread::Sharded] {
            let mut database = Database::new(kind, if spread == Spread::Plain { 1 } else { 2 }).await;
            for table in TABLES {
                database.everywhere(table.creation(kind)).await;
                if spread == Spread::Sharded {
                    database = database.table(match table.placement {
                        ShopPlacement::Sharded("id") => Table::Sharded(table.name, &["id"]),
                        ShopPlacement::Sharded(_) => Table::Sharded(table.name, &["customer_id"]),
                        ShopPlacement::Reference => Table::Reference(table.name),
                        ShopPlacement::Single => Table::Single(table.name),
                    });
                }
            }
            config = config.and(&database);
            databases.push((kind, spread, database.name));
        }
    }
    let shops = Shops { mesh: config.start(), databases };
    for (kind, spread, name) in &shops.databases {
        fill(&shops.mesh, *kind, *spread, name).await;
    }
    shops
}

async fn fill(mesh: &RunningMesh, kind: ServerKind, spread: Spread, database: &str) {
    let mut statements = shop::statements(kind, &Sizes::default());
    if spread == Spread::Sharded {
        statements.insert(0, "SET dbmesh.transaction_type = LOCAL".to_owned());
    }
    match kind {
        ServerKind::MariaDb => {
            let mut connection = mesh.mysql(database).await;
            for sql in statements {
                connection.query_drop(&sql).await.unwrap_or_else(|error| panic!("{error}: {:.200}", sql));
            }
            connection.disconnect().await.expect("a good end");
        }
        ServerKind::Postgres => {
            let client = mesh.postgres(database).await;
            for sql in statements {
                client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}: {:.200}", sql));
            }
        }
    }
}
