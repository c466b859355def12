//! The catalog on real servers: what it reads of them, how it follows their changes, what it does without them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dbmesh::catalog::{Catalog, CatalogError, DatabaseCatalog, ShardSource, Source, inspect};
use dbmesh::config::{Config, Protocol, Secret, ShardFunction, TablePlacement, TableRule};
use dbmesh::demo::servers::SERVER_USER;
use sharding::schema::{
    ColumnKind, DefaultKind, Placement, Protocol as Dialect, Reaches, Schema, Table, TableName, Takes, UniqueKey,
};

use crate::bed::{Database, PASSWORD, ServerKind, bed, eventually_async};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + PATIENCE
}

fn source(database: &Database, rules: Vec<TableRule>) -> Source {
    let shard = |server: &crate::bed::Server| ShardSource {
        name: server.name.clone(),
        host: "127.0.0.1".into(),
        port: server.port,
        user: SERVER_USER.into(),
        password: Some(Secret::new(PASSWORD)),
        database: database.name.clone(),
    };
    Source {
        protocol: protocol(database.kind),
        name: database.name.clone(),
        shards: database.shards.iter().map(shard).collect(),
        default_shard: 0,
        rules,
        connect_wait: Duration::from_secs(10),
        retry_pause: Duration::from_millis(200),
    }
}

fn protocol(kind: ServerKind) -> Protocol {
    match kind {
        ServerKind::MariaDb => Protocol::MySql,
        ServerKind::Postgres => Protocol::Postgres,
    }
}

fn rule(name: &str, placement: TablePlacement) -> TableRule {
    TableRule { schema: None, name: name.into(), placement }
}

fn sharded(name: &str, key: &str) -> TableRule {
    rule(
        name,
        TablePlacement::Sharded { key: vec![key.into()], function: ShardFunction::Hash, unique_per_shard: false },
    )
}

/// The catalog of a database declared by a configuration file, which is how the process gets one.
fn catalog(database: &Database, tables: &str, more: &str) -> (Catalog, std::sync::Arc<DatabaseCatalog>) {
    let config = configuration(database, tables, more);
    let catalog = Catalog::start(&config);
    let own = catalog.database(protocol(database.kind), &database.name).expect("the declared database");
    (catalog, own)
}

fn configuration(database: &Database, tables: &str, more: &str) -> Config {
    use std::fmt::Write as _;
    let mut text = format!("{more}\n[[user]]\nname = \"app\"\npassword = \"app\"\n");
    let kind = protocol(database.kind);
    for server in &database.shards {
        let (name, port) = (&server.name, server.port);
        writeln!(
            text,
            "[[server]]\nname = \"{name}\"\nprotocol = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n\
             user = \"{SERVER_USER}\"\npassword = \"{PASSWORD}\""
        )
        .expect("text");
    }
    let (name, first) = (&database.name, &database.shards[0].name);
    writeln!(text, "[[database]]\nname = \"{name}\"\nprotocol = \"{kind}\"\ndefault_shard = \"{first}\"")
        .expect("text");
    for server in &database.shards {
        let shard = &server.name;
        writeln!(text, "[[database.shard]]\nname = \"{shard}\"\nserver = \"{shard}\"\ndatabase = \"{name}\"")
            .expect("text");
    }
    text.push_str(tables);
    Config::parse(&text, "catalog-test.toml").unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

fn table<'a>(schema: &'a Schema, name: &str) -> &'a Table {
    schema.table(&TableName::plain(schema.protocol, name)).unwrap_or_else(|| panic!("no table {name}"))
}

fn kinds(table: &Table) -> BTreeMap<&str, ColumnKind> {
    table.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect()
}

fn defaults(table: &Table) -> BTreeMap<&str, DefaultKind> {
    let told = table.columns.iter().filter(|column| column.default != DefaultKind::None);
    told.map(|column| (column.name.as_str(), column.default)).collect()
}

#[tokio::test]
async fn mariadb_tables_are_read_as_they_are() {
    let database = Database::new(ServerKind::MariaDb, 2).await;
    for statement in [
        "CREATE TABLE customers (Id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_bin \
         NOT NULL DEFAULT 'x', code CHAR(3), price DECIMAL(10,2) DEFAULT 1.50, small TINYINT, big BIGINT, real8 DOUBLE, \
         day DATE, at DATETIME(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), seen TIMESTAMP NULL, \
         took TIME, born YEAR, raw VARBINARY(16), notes TEXT, mood ENUM('a','b'), bits BIT(3), twice BIGINT AS (big * 2), \
         UNIQUE KEY by_name (name, code), UNIQUE KEY by_prefix (name(3)), KEY plain (code))",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id BIGINT UNSIGNED, FOREIGN KEY (customer_id) \
         REFERENCES customers (id) ON DELETE CASCADE)",
        "CREATE TABLE audit (id BIGINT)",
        "CREATE VIEW rich AS SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id",
        "CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW INSERT INTO audit VALUES (new.id)",
        "CREATE FUNCTION Spy() RETURNS INT READS SQL DATA RETURN (SELECT count(*) FROM audit)",
        "CREATE VIEW called AS SELECT spy() AS n",
    ] {
        database.everywhere(statement).await;
    }
    database.on_shard(1, "CREATE TABLE second (id INT)").await;
    let tables = "[[database.table]]\nname = \"customers\"\ntype = \"sharded\"\nkey = [\"id\"]\n\
                  [[database.table]]\nname = \"orders\"\ntype = \"sharded\"\nkey = [\"customer_id\"]\n";
    let (_catalog, own) = catalog(&database, tables, "");
    let schema = own.ready(deadline()).await.expect("a schema");
    assert_eq!(own.version(), schema.version);
    let customers = table(&schema, "customers");
    let text = |fixed, length| ColumnKind::Text { fixed, length };
    let int = |bytes, unsigned| ColumnKind::Int { bytes, unsigned };
    let expected = [
        ("id", int(8, true)),
        ("name", text(false, Some(40))),
        ("code", text(true, Some(3))),
        ("price", ColumnKind::Decimal { precision: 10, scale: Some(2) }),
        ("small", int(1, false)),
        ("big", int(8, false)),
        ("real8", ColumnKind::Float { bytes: 8 }),
        ("day", ColumnKind::Date),
        ("at", ColumnKind::DateTime { fraction: 6 }),
        ("seen", ColumnKind::Timestamp),
        ("took", ColumnKind::Time),
        ("born", ColumnKind::Year),
        ("raw", ColumnKind::Bytes { fixed: false, length: Some(16) }),
        ("notes", text(false, None)),
        ("mood", ColumnKind::Other),
        ("bits", ColumnKind::Other),
        ("twice", int(8, false)),
    ];
    assert_eq!(kinds(customers), BTreeMap::from(expected));
    let expected = [
        ("id", DefaultKind::Counter),
        ("name", DefaultKind::Constant),
        ("price", DefaultKind::Constant),
        ("at", DefaultKind::Expression),
        ("twice", DefaultKind::Generated),
    ];
    assert_eq!(defaults(customers), BTreeMap::from(expected));
    let column = |name: &str| &customers.columns[customers.column(name).expect("a column")];
    assert_eq!(column("name").collation.as_deref(), Some("utf8mb4_bin"));
    assert!(!column("name").nullable && column("code").nullable && column("at").on_update);
    assert_eq!(
        customers.unique_keys,
        [UniqueKey { columns: vec![0] }, UniqueKey { columns: vec![1, 2] }, UniqueKey { columns: vec![] }]
    );
    let named = |name: &str| TableName { schema: None, name: name.into() };
    assert_eq!(customers.reaches, Reaches::Tables(vec![named("orders")]));
    assert_eq!(table(&schema, "orders").reaches, Reaches::Tables(vec![named("orders"), named("audit")]));
    assert_eq!(table(&schema, "rich").reaches, Reaches::Tables(vec![named("customers"), named("orders")]));
    assert!(table(&schema, "rich").is_view && !customers.is_view);
    assert_eq!(table(&schema, "called").reaches, Reaches::Unknown);
    assert!(schema.routines.contains("spy"));
    assert_eq!(table(&schema, "second").placement, Placement::Single(1));
    assert_eq!(table(&schema, "audit").placement, Placement::Ambiguous(vec![0, 1]));
    let Placement::Sharded(sharding) = &table(&schema, "orders").placement else { panic!("orders is sharded") };
    assert_eq!(sharding.key, [1]);
}

#[tokio::test]
async fn postgresql_tables_are_read_as_they_are() {
    let database = Database::new(ServerKind::Postgres, 2).await;
    for statement in [
        "CREATE DOMAIN cents AS numeric(12,2)",
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE TABLE gone_soon (a int)",
        "CREATE TABLE customers (dropped int, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \"Name\" varchar(40) \
         NOT NULL DEFAULT 'x', code char(3), price numeric(10,2) DEFAULT 1.50, any_price numeric, worth cents, \
         small smallint, number serial, real4 real, yes boolean DEFAULT true, day date, at timestamp(3) DEFAULT now(), \
         seen timestamptz, raw bytea, doc jsonb, feeling mood, tags text[], uid uuid, sorted text COLLATE \"C\", \
         twice bigint GENERATED ALWAYS AS (small * 2) STORED, UNIQUE (\"Name\", code))",
        "ALTER TABLE customers DROP COLUMN dropped",
        "CREATE UNIQUE INDEX ON customers (lower(\"Name\"))",
        "CREATE TABLE orders (id bigint, customer_id bigint REFERENCES customers ON DELETE CASCADE, \
         PRIMARY KEY (id, customer_id)) PARTITION BY HASH (customer_id)",
        "CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE SCHEMA other",
        "CREATE TABLE other.audit (id bigint)",
        "CREATE VIEW rich AS SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id",
        "CREATE FUNCTION spy() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM other.audit'",
        "CREATE VIEW called AS SELECT spy() AS n",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
        "CREATE TABLE watched (id int)",
        "CREATE TRIGGER noted AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note()",
    ] {
        database.everywhere(statement).await;
    }
    database.on_shard(1, "DROP TABLE gone_soon").await;
    let tables = "[[database.table]]\nname = \"customers\"\ntype = \"sharded\"\nkey = [\"id\"]\n\
                  [[database.table]]\nname = \"orders\"\ntype = \"sharded\"\nkey = [\"customer_id\"]\n";
    let (_catalog, own) = catalog(&database, tables, "");
    let schema = own.ready(deadline()).await.expect("a schema");
    let customers = table(&schema, "customers");
    let text = |fixed, length| ColumnKind::Text { fixed, length };
    let int = |bytes| ColumnKind::Int { bytes, unsigned: false };
    let expected = [
        ("id", int(8)),
        ("Name", text(false, Some(40))),
        ("code", text(true, Some(3))),
        ("price", ColumnKind::Decimal { precision: 10, scale: Some(2) }),
        ("any_price", ColumnKind::Decimal { precision: 0, scale: None }),
        ("worth", ColumnKind::Decimal { precision: 12, scale: Some(2) }),
        ("small", int(2)),
        ("number", int(4)),
        ("real4", ColumnKind::Float { bytes: 4 }),
        ("yes", ColumnKind::Bool),
        ("day", ColumnKind::Date),
        ("at", ColumnKind::DateTime { fraction: 3 }),
        ("seen", ColumnKind::Timestamp),
        ("raw", ColumnKind::Bytes { fixed: false, length: None }),
        ("doc", ColumnKind::Other),
        ("feeling", ColumnKind::Other),
        ("tags", ColumnKind::Other),
        ("uid", ColumnKind::Uuid),
        ("sorted", text(false, None)),
        ("twice", int(8)),
    ];
    assert_eq!(kinds(customers), BTreeMap::from(expected));
    let takes: Vec<_> = (customers.columns.iter())
        .filter(|column| column.takes != Takes::Nothing)
        .map(|column| (column.name.as_str(), column.takes.clone()))
        .collect();
    let from = |name: &str| Takes::From(format!("public.customers_{name}_seq").into());
    assert_eq!(takes, [("id", from("id")), ("number", from("number"))]);
    let expected = [
        ("id", DefaultKind::Counter),
        ("Name", DefaultKind::Constant),
        ("price", DefaultKind::Constant),
        ("number", DefaultKind::Counter),
        ("yes", DefaultKind::Constant),
        ("at", DefaultKind::Expression),
        ("twice", DefaultKind::Generated),
    ];
    assert_eq!(defaults(customers), BTreeMap::from(expected));
    let column = |name: &str| &customers.columns[customers.column(name).expect("a column")];
    assert_eq!(column("sorted").collation.as_deref(), Some("c"));
    assert_eq!(column("feeling").type_text, "public.mood");
    assert!(!column("Name").nullable && column("code").nullable);
    assert_eq!(
        customers.unique_keys,
        [UniqueKey { columns: vec![0] }, UniqueKey { columns: vec![1, 2] }, UniqueKey { columns: vec![] }]
    );
    assert_eq!(table(&schema, "orders").unique_keys, [UniqueKey { columns: vec![0, 1] }]);
    let named = |name: &str| TableName::plain(Dialect::Postgres, name);
    let Reaches::Tables(cascades) = &customers.reaches else { panic!("{:?}", customers.reaches) };
    assert!(cascades.contains(&named("orders")), "{cascades:?}");
    let Reaches::Tables(mut read) = table(&schema, "rich").reaches.clone() else { panic!("a view reads tables") };
    read.sort();
    assert_eq!(read, [named("customers"), named("orders")]);
    assert_eq!(table(&schema, "called").reaches, Reaches::Unknown);
    assert_eq!(table(&schema, "watched").reaches, Reaches::Unknown);
    assert!(schema.routines.contains("spy") && !schema.routines.contains("count"));
    assert_eq!(table(&schema, "gone_soon").placement, Placement::Single(0));
    assert!(matches!(table(&schema, "orders_0").placement, Placement::Sharded(_)), "as its parent");
    let audit = TableName { schema: Some("other".into()), name: "audit".into() };
    assert_eq!(schema.table(&audit).expect("other.audit").placement, Placement::Ambiguous(vec![0, 1]));
}

#[tokio::test]
async fn changes_are_followed_when_they_are_noted_and_otherwise_keep_the_version() {
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let database = Database::new(kind, 2).await;
        database.on_shard(1, "CREATE TABLE a (id INT PRIMARY KEY)").await;
        let (_catalog, own) = catalog(&database, "", "");
        let before = own.ready(deadline()).await.expect("a schema");
        assert!(!before.is_split());
        let again = own.refresh(deadline()).await.expect("a schema");
        assert_eq!(again.version, before.version, "nothing changed");
        database.on_shard(1, "CREATE TABLE b (id INT PRIMARY KEY)").await;
        own.note_ddl();
        assert_eq!(own.version(), 0, "nobody plans with what is known to be old");
        assert!(own.current().is_none());
        let after = own.ready(deadline()).await.expect("a schema");
        assert!(after.version > before.version);
        assert_eq!(table(&after, "b").placement, Placement::Single(1));
        assert_eq!(own.current().expect("current again").version, after.version);
        database.on_shard(1, "DROP TABLE a").await;
        own.note_ddl();
        let after = own.ready(deadline()).await.expect("a schema");
        assert!(after.table(&TableName::plain(after.protocol, "a")).is_none());
    }
}

#[tokio::test]
async fn a_declared_table_that_is_created_later_is_found_by_itself() {
    let database = Database::new(ServerKind::Postgres, 2).await;
    let tables = "[[database.table]]\nname = \"late\"\ntype = \"sharded\"\nkey = [\"id\"]\n";
    let (_catalog, own) = catalog(&database, tables, "[timeouts]\nprobe_interval_ms = 100\n");
    let before = own.ready(deadline()).await.expect("a schema");
    assert!(matches!(table(&before, "late").placement, Placement::Unusable(_)));
    database.everywhere("CREATE TABLE late (id bigint PRIMARY KEY)").await;
    eventually_async("the table can be used", PATIENCE, || async {
        let schema = own.current();
        schema.is_some_and(|schema| matches!(table(&schema, "late").placement, Placement::Sharded(_)))
    })
    .await;
}

#[tokio::test]
async fn many_requests_share_a_read() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let (_catalog, own) = catalog(&database, "", "");
    own.ready(deadline()).await.expect("a schema");
    let requests = (0..200).map(|_| {
        let own = own.clone();
        tokio::spawn(async move {
            own.refresh(deadline()).await.expect("a schema");
            own.loaded().expect("loaded").shards[0].read_at.expect("it was read")
        })
    });
    let mut reads = std::collections::HashSet::new();
    for request in requests.collect::<Vec<_>>() {
        reads.insert(request.await.expect("no panic"));
    }
    assert!(reads.len() < 20, "{} reads", reads.len());
}

#[tokio::test]
async fn a_shard_that_is_down_at_the_start_delays_only_itself() {
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let late = bed().own_server(kind, &[]);
        let up = if kind == ServerKind::MariaDb { bed().mysql_shard(0) } else { bed().postgres_shard(0) };
        let database = Database::on(vec![up.clone(), late.clone()]).await;
        database.everywhere("CREATE TABLE split (id INT PRIMARY KEY)").await;
        database.on_shard(0, "CREATE TABLE here (id INT)").await;
        database.on_shard(1, "CREATE TABLE there (id INT)").await;
        bed().servers().kill(&late).expect("killed");
        let tables = "[[database.table]]\nname = \"split\"\ntype = \"sharded\"\nkey = [\"id\"]\n";
        let (_catalog, own) = catalog(&database, tables, "[timeouts]\nprobe_interval_ms = 100\n");
        let schema = own.ready(deadline()).await.expect("what the first shard has");
        assert!(matches!(table(&schema, "split").placement, Placement::Sharded(_)));
        assert_eq!(table(&schema, "here").placement, Placement::Single(0));
        let loaded = own.loaded().expect("loaded");
        assert!(loaded.shards[0].error.is_none() && loaded.shards[1].error.is_some());
        assert!(loaded.findings.iter().any(|finding| finding.shard.as_ref() == Some(&late.name)));
        bed().servers().restart(&late).expect("restarted");
        eventually_async("the late shard's tables appear by themselves", PATIENCE, || async {
            let schema = own.current();
            schema.is_some_and(|schema| schema.table(&TableName::plain(schema.protocol, "there")).is_some())
        })
        .await;
        assert!(own.loaded().expect("loaded").shards[1].error.is_none());
        // Down again: what is known of it stays.
        bed().servers().kill(&late).expect("killed");
        let schema = own.refresh(deadline()).await.expect("a schema");
        assert_eq!(table(&schema, "there").placement, Placement::Single(1));
    }
}

#[tokio::test]
async fn a_database_without_any_shard_says_why_and_in_time() {
    let mut database = Database::new(ServerKind::MariaDb, 1).await;
    let good = database.shards[0].port;
    // Nobody accepts, nobody refuses.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    database.shards[0].port = silent.local_addr().expect("an address").port();
    let limits = "[timeouts]\nconnect_ms = 300\nprobe_interval_ms = 100\n";
    let (catalog, own) = catalog(&database, "", limits);
    let asked = Instant::now();
    match own.ready(deadline()).await {
        Err(CatalogError::NoShard { cause, .. }) => assert!(cause.contains("in time"), "{cause}"),
        other => panic!("{other:?}"),
    }
    assert!(asked.elapsed() < Duration::from_secs(10));
    let soon = tokio::time::Instant::now() + Duration::from_millis(50);
    assert!(own.ready(soon).await.is_err());
    // A reload that puts it right retires the old declaration; the new one loads.
    database.shards[0].port = good;
    catalog.reconfigure(&configuration(&database, "", limits));
    assert!(own.is_retired());
    assert!(matches!(own.ready(deadline()).await, Err(CatalogError::Retired { .. })));
    let fresh = catalog.database(Protocol::MySql, &database.name).expect("declared");
    fresh.ready(deadline()).await.expect("a schema");
    // One that changes nothing of it keeps it.
    catalog.reconfigure(&configuration(&database, "", limits));
    let same = catalog.database(Protocol::MySql, &database.name).expect("declared");
    assert!(std::sync::Arc::ptr_eq(&fresh, &same));
}

#[tokio::test]
async fn inspection_tells_what_is_wrong() {
    let odd = bed().own_server(ServerKind::MariaDb, &["--sql-mode=ANSI_QUOTES"]);
    let database = Database::on(vec![bed().mysql_shard(0).clone(), odd.clone()]).await;
    database.on_shard(0, "CREATE TABLE split (id INT PRIMARY KEY, a INT)").await;
    database.on_shard(1, "CREATE TABLE split (id INT PRIMARY KEY, b INT)").await;
    database.on_shard(0, "CREATE TABLE half (id INT PRIMARY KEY)").await;
    let rules = vec![sharded("split", "id"), sharded("half", "id"), sharded("nowhere", "id")];
    let mut source = source(&database, rules);
    let found: Vec<String> = inspect(source.clone()).await.iter().map(ToString::to_string).collect();
    let expect = |part: &str| assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:#?}");
    expect("sql_mode is 'ANSI_QUOTES' here but");
    expect("table split differs from the one on shard");
    expect("column 2 is b instead of a");
    expect("declared table half does not exist here");
    expect("declared table nowhere does not exist on any shard");
    assert!(found[0].starts_with("error"), "errors first: {found:#?}");
    source.shards[1].port = 1;
    source.shards[0].database = "no_such_database".into();
    let found: Vec<String> = inspect(source).await.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|line| line.contains("no_such_database")), "{found:#?}");
    assert_eq!(found.iter().filter(|line| line.contains("cannot be read")).count(), 2, "{found:#?}");
    bed().servers().stop(&odd).expect("stopped");
}

#[tokio::test]
async fn inspection_of_postgresql_names_what_transactions_will_need() {
    let database = Database::new(ServerKind::Postgres, 2).await;
    let found: Vec<String> = inspect(source(&database, Vec::new())).await.iter().map(ToString::to_string).collect();
    let off = found.iter().filter(|line| line.contains("max_prepared_transactions is 0")).count();
    assert!(off == 0 || off == 2, "the servers of the bed are alike: {found:#?}");
    assert_eq!(found.len(), off, "nothing else: {found:#?}");
}
