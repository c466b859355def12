//! What a catalog needs of the configuration: one logical database, its shards with how to reach them, its table rules.
//! Out: everything a reload can change without the schema changing.

use std::time::Duration;

use sharding::schema::{self, ShardIndex};

use crate::config::{Config, Database, Protocol, Secret, TableRule};

/// One logical database, as the configuration declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Which SQL it speaks.
    pub protocol: Protocol,
    /// Its name.
    pub name: String,
    /// Its shards, in order.
    pub shards: Vec<ShardSource>,
    /// The shard that holds what is nowhere declared or found.
    pub default_shard: ShardIndex,
    /// Declared tables.
    pub rules: Vec<TableRule>,
    /// Longest wait for a connection to a shard.
    pub connect_wait: Duration,
    /// Pause before a shard that could not be read is tried again.
    pub retry_pause: Duration,
}

/// One shard and how to log in to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardSource {
    /// Name within the logical database.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Backend user.
    pub user: String,
    /// Backend password.
    pub password: Option<Secret>,
    /// Physical database.
    pub database: String,
}

impl Source {
    /// The part of `config` that concerns `database`.
    #[must_use]
    pub fn of(config: &Config, database: &Database) -> Self {
        let shards = database.shards.iter().map(|shard| {
            let server = config.server_of(shard);
            ShardSource {
                name: shard.name.clone(),
                host: server.address.host.clone(),
                port: server.address.port,
                user: server.user.clone(),
                password: server.password.clone(),
                database: shard.database.clone(),
            }
        });
        Self {
            protocol: database.protocol,
            name: database.name.clone(),
            shards: shards.collect(),
            default_shard: ShardIndex::try_from(database.default_shard).unwrap_or(0),
            rules: database.tables.clone(),
            connect_wait: config.timeouts.connect,
            retry_pause: config.timeouts.probe_interval,
        }
    }

    /// Which SQL it speaks, in the words of the planner.
    #[must_use]
    pub fn dialect(&self) -> schema::Protocol {
        match self.protocol {
            Protocol::MySql => schema::Protocol::MySql,
            Protocol::Postgres => schema::Protocol::Postgres,
        }
    }

    /// The name of a shard.
    #[must_use]
    pub fn shard_name(&self, shard: usize) -> &str {
        self.shards.get(shard).map_or("?", |shard| shard.name.as_str())
    }

    /// The declared name of a rule's table.
    #[must_use]
    pub fn rule_name(&self, rule: &TableRule) -> schema::TableName {
        let mut name = schema::TableName::plain(self.dialect(), &rule.name);
        if self.protocol == Protocol::Postgres && rule.schema.is_some() {
            name.schema.clone_from(&rule.schema);
        }
        name
    }
}
