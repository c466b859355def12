//! What is on the shards: loads the schema of each logical database over control connections, keeps it fresh, and
//! reports where shards differ. Out: planning with it, backends of sessions.
//! Invariant: a schema that was published is never changed; a newer one with a higher version takes its place. Every
//! wait on a server has a deadline, and a shard that is down delays nobody who does not need it.
//!
//! Order of a load: `source` (what the configuration says) -> `mysql` / `postgres` (facts of each shard) ->
//! `assemble` (facts and rules to a [`Schema`](sharding::schema::Schema) and findings) -> [`Loaded`], published.

mod assemble;
mod compare;
mod control;
mod database;
mod facts;
mod finding;
mod keeper;
mod load;
mod mentions;
mod mysql;
mod mysql_types;
mod postgres;
mod postgres_types;
mod source;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::config::{Config, Protocol};

pub use control::LoadError;
pub use database::{CatalogError, DatabaseCatalog, Loaded, ShardState};
pub use finding::{Finding, Problem, Severity};
pub use load::inspect;
pub use source::{ShardSource, Source};

/// Protocol and name of a logical database.
type Name = (Protocol, String);

/// The catalogs of all logical databases.
#[derive(Debug)]
pub struct Catalog {
    databases: ArcSwap<HashMap<Name, Arc<DatabaseCatalog>>>,
    versions: Arc<AtomicU64>,
    runtime: Handle,
}

impl Catalog {
    /// Begins to load every logical database of `config` in the background of the current runtime, which must live as
    /// long as the catalog is used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(config: &Config) -> Self {
        let catalog =
            Self { databases: ArcSwap::default(), versions: Arc::new(AtomicU64::new(1)), runtime: Handle::current() };
        catalog.reconfigure(config);
        catalog
    }

    /// Takes over a new configuration: databases whose declaration did not change keep what they have loaded.
    pub fn reconfigure(&self, config: &Config) {
        let before = self.databases.load();
        let databases = config.databases.iter().map(|database| {
            let source = Source::of(config, database);
            let name = (source.protocol, source.name.clone());
            let kept = before.get(&name).filter(|old| **old.source() == source).cloned();
            let catalog =
                kept.unwrap_or_else(|| DatabaseCatalog::start(source, Arc::clone(&self.versions), &self.runtime));
            (name, catalog)
        });
        let databases: HashMap<Name, Arc<DatabaseCatalog>> = databases.collect();
        let gone = before.iter().filter(|(name, old)| databases.get(*name).is_none_or(|new| !Arc::ptr_eq(old, new)));
        gone.for_each(|(_, old)| old.retire());
        self.databases.store(Arc::new(databases));
    }

    /// The catalog of one logical database. A session keeps it until it changes its database; after a reload that
    /// removed or replaced the database it stays as it was, without being refreshed ([`DatabaseCatalog::is_retired`]).
    #[must_use]
    pub fn database(&self, protocol: Protocol, name: &str) -> Option<Arc<DatabaseCatalog>> {
        self.databases.load().get(&(protocol, name.to_owned())).cloned()
    }

    /// Every logical database, ordered by protocol and name.
    #[must_use]
    pub fn databases(&self) -> Vec<Arc<DatabaseCatalog>> {
        let mut all: Vec<_> = self.databases.load().values().cloned().collect();
        all.sort_by(|a, b| (a.source().protocol, &a.source().name).cmp(&(b.source().protocol, &b.source().name)));
        all
    }
}
