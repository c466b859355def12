//! Servers, logical databases, shards and tables: names that refer to each other.

use std::collections::HashSet;
use std::path::Path;

use crate::config::error::{Faults, Place};
use crate::config::model::{Database, Server, ServerAddress, Shard, TablePlacement, TableRule};
use crate::config::raw::{At, RawDatabase, RawServer, RawShard, RawTable};
use crate::config::{Protocol, ShardFunction, TableType, TransactionType};

use super::credentials::{Sources, place_of};
use super::{name, once};

pub(super) fn servers(raw: &[At<RawServer>], folder: &Path, faults: &mut Faults<'_>) -> Vec<Server> {
    let mut seen = HashSet::new();
    let mut servers = Vec::new();
    for at in raw {
        let server = at.get_ref();
        let owner = at.span();
        let name_text = name(server.name.as_ref(), "server.name", &owner, faults);
        if let Some(name) = name_text {
            let place = place_of(server.name.as_ref(), &owner);
            let twice = || format!("server `{name}` is there twice");
            once(&mut seen, name, &place, twice, faults);
        }
        let protocol = name(server.protocol.as_ref(), "server.protocol", &owner, faults);
        let address = name(server.address.as_ref(), "server.address", &owner, faults)
            .and_then(|text| address(text, &place_of(server.address.as_ref(), &owner), faults));
        let user = name(server.user.as_ref(), "server.user", &owner, faults);
        let sources = Sources {
            section: "server",
            text: server.password.as_ref(),
            env: server.password_env.as_ref(),
            file: server.password_file.as_ref(),
        };
        let password = sources.read(folder, faults);
        if let (Some(name), Some(protocol), Some(address), Some(user)) =
            (name_text, protocol.and_then(Protocol::from_word), address, user)
        {
            servers.push(Server {
                name: name.to_owned(),
                protocol,
                address,
                user: user.to_owned(),
                password: password.filter(|p| !p.expose().is_empty()),
            });
        }
    }
    servers
}

/// `host:port` or `[v6]:port`.
fn address(text: &str, place: &Place, faults: &mut Faults<'_>) -> Option<ServerAddress> {
    let split = text.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok().filter(|p| *p != 0)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(|_| v6)?,
            None => Some(host).filter(|h| !h.is_empty() && !h.contains([':', '[', ' ', '/']))?,
        };
        Some(ServerAddress { host: host.to_owned(), port })
    });
    if split.is_none() {
        let message = format!("`server.address` must be \"HOST:PORT\", not \"{text}\"");
        faults.add(place, message);
    }
    split
}

pub(super) fn databases(raw: &[At<RawDatabase>], servers: &[At<RawServer>], faults: &mut Faults<'_>) -> Vec<Database> {
    let mut seen = HashSet::new();
    let mut used = HashSet::new();
    let mut databases = Vec::new();
    for at in raw {
        let database = at.get_ref();
        let owner = at.span();
        let name_text = name(database.name.as_ref(), "database.name", &owner, faults);
        let word = name(database.protocol.as_ref(), "database.protocol", &owner, faults);
        let protocol = word.and_then(Protocol::from_word);
        if let (Some(name), Some(protocol)) = (name_text, protocol) {
            let place = place_of(database.name.as_ref(), &owner);
            let twice = || format!("{protocol} database `{name}` is there twice");
            once(&mut seen, (name, protocol), &place, twice, faults);
        }
        let mut scope = Scope { name: name_text.unwrap_or("?"), protocol, shards: &database.shard, servers };
        if database.shard.is_empty() {
            let message = format!("database `{}` has no [[database.shard]]", scope.name);
            faults.add(&owner, message);
        }
        let shards = scope.check_shards(&mut used, faults);
        let default_shard = match &database.default_shard {
            Some(named) => scope.shard_named(named, faults),
            None => Some(0),
        };
        let tables = scope.check_tables(&database.table, default_shard.unwrap_or(0), faults);
        if let (Some(name), Some(protocol), Some(default_shard)) = (name_text, protocol, default_shard) {
            databases.push(Database {
                name: name.to_owned(),
                protocol,
                shards,
                default_shard,
                tables,
                transaction_type: database
                    .transaction_type
                    .as_ref()
                    .and_then(|t| TransactionType::from_word(t.get_ref())),
            });
        }
    }
    databases
}

/// One logical database while it is checked.
struct Scope<'r> {
    name: &'r str,
    protocol: Option<Protocol>,
    shards: &'r [At<RawShard>],
    servers: &'r [At<RawServer>],
}

impl<'r> Scope<'r> {
    fn check_shards(&mut self, used: &mut HashSet<(&'r str, &'r str)>, faults: &mut Faults<'_>) -> Vec<Shard> {
        let mut seen = HashSet::new();
        let mut shards = Vec::new();
        if self.shards.len() > usize::from(u16::MAX) {
            faults.add(&self.shards[0].span(), "more than 65,535 shards");
        }
        for at in self.shards {
            let shard = at.get_ref();
            let owner = at.span();
            let name_text = name(shard.name.as_ref(), "database.shard.name", &owner, faults);
            if let Some(name) = name_text {
                let place = place_of(shard.name.as_ref(), &owner);
                let twice = || format!("shard `{name}` is there twice in `{}`", self.name);
                once(&mut seen, name, &place, twice, faults);
            }
            let server_name = name(shard.server.as_ref(), "database.shard.server", &owner, faults);
            let server_place = place_of(shard.server.as_ref(), &owner);
            let server = server_name.and_then(|s| self.server_named(s, &server_place, faults));
            let physical = match &shard.database {
                Some(_) => name(shard.database.as_ref(), "database.shard.database", &owner, faults),
                None => Some(self.name),
            };
            if let (Some(server), Some(physical)) = (server_name, physical) {
                let place = shard.database.as_ref().map_or(server_place, At::span);
                let twice = || format!("database `{physical}` on server `{server}` is already a shard");
                once(used, (server, physical), &place, twice, faults);
            }
            if let (Some(name), Some(server), Some(physical)) = (name_text, server, physical) {
                shards.push(Shard { name: name.to_owned(), server, database: physical.to_owned() });
            }
        }
        shards
    }

    /// The index of a server, which must speak this database's protocol.
    fn server_named(&self, named: &str, place: &Place, faults: &mut Faults<'_>) -> Option<usize> {
        let found = self.servers.iter().position(|s| {
            let name = s.get_ref().name.as_ref();
            name.is_some_and(|n| n.get_ref() == named)
        });
        let Some(index) = found else {
            faults.add(place, format!("there is no [[server]] `{named}`"));
            return None;
        };
        let spoken = self.servers[index].get_ref().protocol.as_ref();
        let spoken = spoken.and_then(|p| Protocol::from_word(p.get_ref()));
        if let (Some(spoken), Some(protocol)) = (spoken, self.protocol)
            && spoken != protocol
        {
            let message = format!("server `{named}` speaks {spoken}, database `{}` is {protocol}", self.name);
            faults.add(place, message);
        }
        Some(index)
    }

    fn shard_named(&self, named: &At<String>, faults: &mut Faults<'_>) -> Option<usize> {
        let found = self.shards.iter().position(|s| {
            let name = s.get_ref().name.as_ref();
            name.is_some_and(|n| n.get_ref() == named.get_ref())
        });
        if found.is_none() {
            let message = format!("there is no [[database.shard]] `{}` in `{}`", named.get_ref(), self.name);
            faults.add(&named.span(), message);
        }
        found
    }

    fn check_tables(&self, raw: &'r [At<RawTable>], default_shard: usize, faults: &mut Faults<'_>) -> Vec<TableRule> {
        let mut seen = HashSet::new();
        let mut tables = Vec::new();
        for at in raw {
            let table = at.get_ref();
            let owner = at.span();
            let name_text = name(table.name.as_ref(), "database.table.name", &owner, faults);
            let schema = table.schema.as_ref().map(|s| s.get_ref().as_str());
            let in_schema = match self.protocol {
                Some(Protocol::Postgres) => schema.unwrap_or("public"),
                _ => "",
            };
            if let Some(place) = table.schema.as_ref().filter(|_| self.protocol == Some(Protocol::MySql)) {
                let message = "`database.table.schema` is for PostgreSQL: a MySQL table has none";
                faults.add(&place.span(), message);
            }
            if let Some(name) = name_text {
                let place = place_of(table.name.as_ref(), &owner);
                let twice = || format!("table `{name}` is there twice in `{}`", self.name);
                once(&mut seen, (in_schema, name), &place, twice, faults);
            }
            let placement = self.placement(table, &owner, default_shard, faults);
            if let (Some(name), Some(placement)) = (name_text, placement) {
                tables.push(TableRule { schema: schema.map(str::to_owned), name: name.to_owned(), placement });
            }
        }
        tables
    }

    fn placement(
        &self,
        table: &RawTable,
        owner: &Place,
        default_shard: usize,
        faults: &mut Faults<'_>,
    ) -> Option<TablePlacement> {
        let word = name(table.r#type.as_ref(), "database.table.type", owner, faults)?;
        let kind = TableType::from_word(word)?;
        if kind != TableType::Sharded {
            let (function, unique) = (&table.function, &table.unique_per_shard);
            let written = [
                ("key", table.key.as_ref().map(At::span)),
                ("function", Some(function.span()).filter(|p| *p != crate::config::error::NOWHERE)),
                ("unique_per_shard", Some(unique.span()).filter(|p| *p != crate::config::error::NOWHERE)),
            ];
            for (what, place) in written {
                if let Some(place) = place {
                    let message = format!("a {kind} table has no `database.table.{what}`");
                    faults.add(&place, message);
                }
            }
        }
        if kind != TableType::Single
            && let Some(shard) = &table.shard
        {
            let message = format!("a {kind} table has no `database.table.shard`");
            faults.add(&shard.span(), message);
        }
        match kind {
            TableType::Reference => Some(TablePlacement::Reference),
            TableType::Single => Some(TablePlacement::Single {
                shard: match &table.shard {
                    Some(named) => self.shard_named(named, faults)?,
                    None => default_shard,
                },
            }),
            TableType::Sharded => Some(TablePlacement::Sharded {
                key: key_columns(table, owner, faults)?,
                function: ShardFunction::from_word(table.function.get_ref())?,
                unique_per_shard: *table.unique_per_shard.get_ref(),
            }),
        }
    }
}

fn key_columns(table: &RawTable, owner: &Place, faults: &mut Faults<'_>) -> Option<Vec<String>> {
    let Some(key) = table.key.as_ref().filter(|k| !k.get_ref().is_empty()) else {
        let place = table.key.as_ref().map_or_else(|| owner.clone(), At::span);
        if !faults.was_taken_out("database.table.key", owner) {
            faults.add(&place, "a sharded table needs `database.table.key`");
        }
        return None;
    };
    let mut seen = HashSet::new();
    for column in key.get_ref() {
        let lower = column.get_ref().to_lowercase();
        if lower.is_empty() {
            faults.add(&column.span(), "a key column has no name");
        }
        let twice = || format!("key column `{}` is there twice", column.get_ref());
        once(&mut seen, lower, &column.span(), twice, faults);
    }
    Some(key.get_ref().iter().map(|c| c.get_ref().clone()).collect())
}
