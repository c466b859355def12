//! The configuration file that the demo writes for itself: the shop on every private server.

use std::fmt::Write as _;

use super::servers::{Server, ServerKind};
use super::shop::{DATABASE, ShopPlacement, TABLES};

/// The user that dbmesh logs in to the demo's servers with.
pub(super) const BACKEND_USER: &str = "shop";

/// The file's text.
#[must_use]
pub(super) fn text(servers: &[Server], password: &str) -> String {
    let mut out = String::from(
        "# Written by `dbmesh demo`. Addresses are the defaults; flags of the demo stand above them.\n\n\
         [[user]]\nname = \"app\"\npassword = \"app\"\n\n\
         [admin]\nuser = \"admin\"\npassword = \"admin\"\n",
    );
    for server in servers {
        let (name, protocol, address) = (&server.name, protocol(server.kind), server.address());
        add(
            &mut out,
            format_args!("\n[[server]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\naddress = \"{address}\"\n"),
        );
        add(&mut out, format_args!("user = \"{BACKEND_USER}\"\npassword = \"{password}\"\n"));
    }
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let shards: Vec<&Server> = servers.iter().filter(|server| server.kind == kind).collect();
        let Some(first) = shards.first() else { continue };
        add(&mut out, format_args!("\n[[database]]\nname = \"{DATABASE}\"\nprotocol = \"{}\"\n", protocol(kind)));
        add(&mut out, format_args!("default_shard = \"{}\"\n", first.name));
        for server in &shards {
            let name = &server.name;
            add(
                &mut out,
                format_args!(
                    "\n[[database.shard]]\nname = \"{name}\"\nserver = \"{name}\"\ndatabase = \"{DATABASE}\"\n"
                ),
            );
        }
        for table in TABLES {
            add(&mut out, format_args!("\n[[database.table]]\nname = \"{}\"\n", table.name));
            match table.placement {
                ShopPlacement::Sharded(key) => add(&mut out, format_args!("type = \"sharded\"\nkey = [\"{key}\"]\n")),
                ShopPlacement::Reference => add(&mut out, format_args!("type = \"reference\"\n")),
                ShopPlacement::Single => {
                    add(&mut out, format_args!("type = \"single\"\nshard = \"{}\"\n", first.name));
                }
            }
        }
    }
    out
}

fn protocol(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::MariaDb => "mysql",
        ServerKind::Postgres => "postgres",
    }
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;
    use crate::config::{Config, Protocol};

    #[test]
    fn the_demos_configuration_is_a_good_one() {
        let server = |name: &str, kind, port| Server { name: name.to_owned(), kind, port, settings: Vec::new() };
        let servers = [
            server("m0", ServerKind::MariaDb, 1001),
            server("m1", ServerKind::MariaDb, 1002),
            server("p0", ServerKind::Postgres, 1003),
        ];
        let config = Config::parse(&text(&servers, "secret"), "demo.toml").expect("no fault");
        assert_eq!(config.servers.len(), 3);
        let (_, mysql) = config.database(Protocol::MySql, DATABASE).expect("the shop by the MySQL protocol");
        let (_, postgres) = config.database(Protocol::Postgres, DATABASE).expect("the shop by the PostgreSQL protocol");
        assert_eq!((mysql.shards.len(), postgres.shards.len()), (2, 1));
        assert_eq!((mysql.tables.len(), postgres.tables.len()), (TABLES.len(), TABLES.len()));
    }
}
