//! The tables of the plan tests, on four shards. Out: statements.

use std::fs;
use std::path::{Path, PathBuf};

use sharding::schema::{Function, Protocol, Reaches, RowsWhere, Schema, ShardInfo, Table, TableName, TableRule};

const SHARDS: usize = 4;

fn sharded(name: &str, key: &[&str]) -> TableRule {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    TableRule {
        schema: None,
        name: name.to_owned(),
        rows: RowsWhere::Sharded { key, function: Function::Hash, unique_per_shard: name == "accounts" },
    }
}

fn rule(name: &str, rows: RowsWhere) -> TableRule {
    TableRule { schema: None, name: name.to_owned(), rows }
}

/// The schema that golden cases and fuzz targets are planned against.
pub fn schema(protocol: Protocol, renamed: bool) -> Schema {
    let file = if protocol == Protocol::MySql { "mysql.sql" } else { "postgres.sql" };
    let sql = fs::read_to_string(root().join("schema").join(file)).expect("the schema is there");
    let database = |n: usize| if renamed { format!("shop_{n}") } else { "shop".to_owned() };
    let shards = (0..SHARDS).map(|n| ShardInfo { name: format!("s{n}"), database: database(n) }).collect();
    let mut rules = vec![
        sharded("customers", &["id"]),
        sharded("orders", &["customer_id"]),
        sharded("order_items", &["customer_id"]),
        sharded("events", &["id"]),
        sharded("tenants", &["code", "region"]),
        sharded("accounts", &["name"]),
        sharded("days", &["d"]),
        sharded("moments", &["m"]),
        sharded("hashes", &["h"]),
        sharded("prices", &["p"]),
        sharded("members", &["id"]),
        rule("products", RowsWhere::Reference),
        rule("stamps", RowsWhere::Reference),
        rule("counters", RowsWhere::Reference),
        rule("settings", RowsWhere::Single(1)),
        rule("archive", RowsWhere::Single(2)),
    ];
    if protocol == Protocol::Postgres {
        rules.push(sharded("Mixed", &["Id"]));
    }
    let mut schema = Schema::from_sql(protocol, "shop", shards, &sql, &rules).expect("the schema is right");
    let view = |name: &str, reaches: Reaches| {
        Table {
            is_view: true,
            reaches,
            columns: Vec::new(),
            unique_keys: Vec::new(),
            ..(**schema.table(&TableName::plain(protocol, "audit")).expect("audit is there")).clone()
        }
        .named(protocol, name)
    };
    let over = |name: &str| Reaches::Tables(vec![TableName::plain(protocol, name)]);
    let views = [
        view("order_totals", over("orders")),
        view("order_totals_again", over("order_totals")),
        view("audit_view", over("audit")),
        view("dark_view", Reaches::Unknown),
    ];
    views.into_iter().for_each(|view| schema.insert(view));
    let mut triggered = (**schema.table(&TableName::plain(protocol, "archive")).expect("archive is there")).clone();
    triggered.name = TableName::plain(protocol, "triggered");
    triggered.reaches = over("orders");
    schema.insert(triggered);
    let mut twice = (**schema.table(&TableName::plain(protocol, "audit")).expect("audit is there")).clone();
    twice.name = TableName::plain(protocol, "twice");
    twice.placement = sharding::schema::Placement::Ambiguous(vec![0, 2]);
    schema.insert(twice);
    schema.routines.insert("my_func".to_owned());
    schema
}

trait Named {
    fn named(self, protocol: Protocol, name: &str) -> Self;
}

impl Named for Table {
    fn named(mut self, protocol: Protocol, name: &str) -> Self {
        self.name = TableName::plain(protocol, name);
        self
    }
}

/// Where the test data is.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}
