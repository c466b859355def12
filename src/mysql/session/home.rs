//! What the configuration says of the session's logical database: looked up when either changes, not with every statement.
//! A command runs to its end with the configuration that it began with. Out: the schema (`route`).

use std::sync::Arc;

use transaction::ShardIndex;

use super::Session;
use crate::config::{Config, Protocol};

/// The logical database of a session, in the configuration in force.
#[derive(Debug)]
pub(super) struct Home {
    config: Arc<Config>,
    /// Its number; beyond all if the user may use none.
    database: usize,
    /// It has one shard, which has its name: statements go there as they came.
    relay: bool,
    default_shard: ShardIndex,
    /// What it is called.
    name: Arc<[u8]>,
    /// What its shards call it.
    schemas: Box<[Arc<[u8]>]>,
}

impl Home {
    /// The database that was chosen, else the first that the user may use.
    pub(super) fn new(config: &Arc<Config>, chosen: Option<usize>, user: &str) -> Self {
        let user = config.user(user);
        let usable = |name: &str| user.is_none_or(|user| user.may_use(name));
        let first = || config.databases.iter().position(|d| d.protocol == Protocol::MySql && usable(&d.name));
        let number = chosen.or_else(first).unwrap_or(usize::MAX);
        let database = config.databases.get(number);
        let shards = database.map(|database| &*database.shards).unwrap_or_default();
        let default_shard = database.and_then(|database| ShardIndex::try_from(database.default_shard).ok());
        Self {
            database: number,
            relay: database.is_none_or(|d| d.shards.len() == 1 && d.shards.iter().all(|s| s.database == d.name)),
            default_shard: default_shard.unwrap_or(0),
            name: Arc::from(database.map(|database| database.name.as_bytes()).unwrap_or_default()),
            schemas: shards.iter().map(|shard| Arc::from(shard.database.as_bytes())).collect(),
            config: Arc::clone(config),
        }
    }
}

impl Session {
    /// The configuration that the command runs with.
    pub(super) fn config(&self) -> &Arc<Config> {
        &self.home.config
    }

    /// Takes a configuration that was put in force since the last command.
    pub(super) fn follow_config(&mut self) {
        // Looked at, not taken: all workers would meet at its count of owners.
        if !Arc::ptr_eq(self.newest.load(), &self.home.config) {
            self.home = Home::new(self.newest.load(), self.state.database, &self.user);
        }
    }

    /// Makes this the session's logical database; `None`: the first that the user may use.
    pub(super) fn set_database(&mut self, chosen: Option<usize>) {
        self.state.database = chosen;
        self.home = Home::new(&self.home.config, chosen, &self.user);
    }

    /// The number of the logical database whose shards are used.
    pub(super) fn database(&self) -> usize {
        self.home.database
    }

    /// Whether every statement goes to the one shard there is, as it came.
    pub(super) fn is_relay(&self) -> bool {
        self.home.relay
    }

    /// The shard for what is nowhere declared.
    pub(super) fn default_shard(&self) -> ShardIndex {
        self.home.default_shard
    }

    /// What a shard calls the logical database and what it is called here, if these differ.
    pub(super) fn renaming(&self, shard: ShardIndex) -> Option<[Arc<[u8]>; 2]> {
        let physical = self.schema_on(shard).filter(|physical| **physical != self.home.name)?;
        Some([Arc::clone(physical), Arc::clone(&self.home.name)])
    }

    /// What a shard calls the logical database.
    pub(super) fn schema_on(&self, shard: ShardIndex) -> Option<&Arc<[u8]>> {
        self.home.schemas.get(usize::from(shard))
    }
}
