//! `mariadb-dump` and `pg_dump` through dbmesh say what they say directly, and what they say can be loaded through dbmesh.

use dbmesh::demo::servers::SERVER_USER;
use mysql_async::prelude::Queryable as _;

use crate::bed::{Database, MeshConfig, PASSWORD, RunningMesh, ServerKind, Table, Tool};

/// Where to dump from: a port, and who logs in there.
struct Way {
    port: u16,
    user: &'static str,
    password: &'static str,
}

fn directly(database: &Database, shard: usize) -> Way {
    Way { port: database.shards[shard].port, user: SERVER_USER, password: PASSWORD }
}

fn through(mesh: &RunningMesh, kind: ServerKind) -> Way {
    let port = match kind {
        ServerKind::MariaDb => mesh.addresses.mysql.port(),
        ServerKind::Postgres => mesh.addresses.postgres.port(),
    };
    Way { port, user: "app", password: "app" }
}

fn mysql_tool(program: &str, way: &Way) -> Tool {
    let (port, user, password) = (way.port, way.user, way.password);
    Tool::new(program).args([
        "--no-defaults".to_owned(),
        "--protocol=tcp".to_owned(),
        "-h127.0.0.1".to_owned(),
        format!("-P{port}"),
        format!("-u{user}"),
        format!("-p{password}"),
    ])
}

fn mariadb_dump(way: &Way, arguments: &[&str], database: &str) -> String {
    mysql_tool("mariadb-dump", way).args(arguments).args(["--skip-dump-date", database]).ok()
}

fn postgres_tool(program: &str, way: &Way, database: &str) -> Tool {
    let (port, user, password) = (way.port, way.user, way.password);
    Tool::new(program).args(["-d".to_owned(), format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}")])
}

fn pg_dump(way: &Way, database: &str) -> String {
    let dump = postgres_tool("pg_dump", way, database).args(["--no-owner"]).ok();
    // Newer ones put a word of chance around everything; the version says that dbmesh is there.
    dump.lines()
        .filter(|line| !["\\restrict", "\\unrestrict", "-- Dumped from"].iter().any(|start| line.starts_with(start)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The dump of one database, as if it were another's: it is named in comments only.
fn renamed(dump: &str, from: &Database, to: &Database) -> String {
    let line = |line: &str| if line.starts_with("--") { line.replace(&from.name, &to.name) } else { line.to_owned() };
    dump.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn mariadb_dump_and_back_on_one_shard() {
    let (database, copy) = (Database::new(ServerKind::MariaDb, 1).await, Database::new(ServerKind::MariaDb, 1).await);
    database
        .everywhere(
            "CREATE TABLE things (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), raw VARBINARY(20), at DATETIME(6),
             price DECIMAL(10,2), doc LONGTEXT, UNIQUE (name)) CHARACTER SET utf8mb4",
        )
        .await;
    database
        .everywhere(
            "INSERT INTO things (name, raw, at, price, doc) SELECT CONCAT('n\\'é\\n', seq), UNHEX(HEX(seq)), '2024-02-29 12:00:00.5',
             seq / 3, IF(seq % 5 = 0, NULL, REPEAT('x', seq)) FROM seq_1_to_3000",
        )
        .await;
    database.everywhere("CREATE VIEW dear AS SELECT * FROM things WHERE price > 500").await;
    database
        .everywhere("CREATE TRIGGER upper BEFORE INSERT ON things FOR EACH ROW SET NEW.price = ABS(NEW.price)")
        .await;
    let mesh = MeshConfig::with(&database).and(&copy).start();
    let app = through(&mesh, ServerKind::MariaDb);
    for arguments in [&[][..], &["--routines"], &["--single-transaction", "--hex-blob"], &["--skip-opt"]] {
        let direct = mariadb_dump(&directly(&database, 0), arguments, &database.name);
        assert!(direct.contains("INSERT INTO `things`"), "{arguments:?}");
        let passed = mariadb_dump(&app, arguments, &database.name);
        same_lines(&passed, &direct);
    }
    // In hexadecimal, since a test reads what programs say as UTF-8.
    let dump = mariadb_dump(&app, &["--hex-blob"], &database.name);
    mysql_tool("mariadb", &app).args([&copy.name]).input(&dump).ok();
    let again = mariadb_dump(&directly(&copy, 0), &["--hex-blob"], &copy.name);
    same_lines(&renamed(&again, &copy, &database), &dump);
}

/// Two dumps are alike, but for the host that was asked and the server's version in the head.
#[track_caller]
fn same_lines(one: &str, other: &str) {
    let lines = |dump: &str| {
        let head = |line: &&str| line.starts_with("-- Host:") || line.starts_with("-- Server version");
        dump.trim_end().lines().filter(|line| !head(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (lines(one), lines(other));
    for (a, b) in one.iter().zip(&other) {
        let place = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(20);
        let shown =
            |line: &str| String::from_utf8_lossy(&line.as_bytes()[place..]).chars().take(200).collect::<String>();
        assert!(a == b, "{}\n{}", shown(a), shown(b));
    }
    assert_eq!(one.len(), other.len());
}

#[tokio::test]
async fn mariadb_dump_of_two_shards_has_the_rows_of_both() {
    let database = Database::new(ServerKind::MariaDb, 2)
        .await
        .table(Table::Sharded("items", &["id"]))
        .table(Table::Reference("codes"))
        .local();
    database.everywhere("CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR(20))").await;
    database.everywhere("CREATE TABLE codes (id BIGINT PRIMARY KEY, name VARCHAR(20))").await;
    let mesh = MeshConfig::with(&database).start();
    let mut app = mesh.mysql(&database.name).await;
    let values: Vec<String> = (1..=500).map(|id| format!("({id}, 'n{id}')")).collect();
    app.query_drop(format!("INSERT INTO items VALUES {}", values.join(","))).await.expect("items");
    app.query_drop("INSERT INTO codes VALUES (1, 'a'), (2, 'b')").await.expect("codes");
    app.disconnect().await.expect("a good end");
    let arguments = ["--single-transaction", "--no-create-info", "--skip-extended-insert", "--compact"];
    let rows = |way: &Way| {
        let dump = mariadb_dump(way, &arguments, &database.name);
        dump.lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut passed = rows(&through(&mesh, ServerKind::MariaDb));
    let mut direct = rows(&directly(&database, 0));
    assert!(direct.len() > 100 && direct.len() < 400, "{}", direct.len());
    direct.extend(rows(&directly(&database, 1)));
    direct.sort();
    // Each shard has a copy of these.
    direct.dedup();
    passed.sort();
    assert_eq!(passed, direct);
    assert_eq!(passed.len(), 502);
}

#[tokio::test]
async fn pg_dump_and_back_on_one_shard() {
    let (database, copy) = (Database::new(ServerKind::Postgres, 1).await, Database::new(ServerKind::Postgres, 1).await);
    database
        .everywhere(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE things (id bigserial PRIMARY KEY, name text UNIQUE, raw bytea,
             at timestamptz, price numeric(10,2), tags text[], doc jsonb, feels mood);
             INSERT INTO things (name, raw, at, price, tags, doc, feels) SELECT E'n''é\\n\\t' || n, decode(to_hex(n + 4096), 'hex'),
             '2024-02-29 12:00:00.5+02', n / 3.0, ARRAY['a', n::text], jsonb_build_object('n', n), 'ok' FROM generate_series(1, 3000) n;
             CREATE VIEW dear AS SELECT * FROM things WHERE price > 500; CREATE INDEX ON things (price)",
        )
        .await;
    let mesh = MeshConfig::with(&database).and(&copy).start();
    let app = through(&mesh, ServerKind::Postgres);
    let direct = pg_dump(&directly(&database, 0), &database.name);
    assert!(direct.contains("COPY public.things"), "{direct:.300}");
    let passed = pg_dump(&app, &database.name);
    same_lines(&passed, &direct);
    postgres_tool("psql", &app, &copy.name).args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).input(&passed).ok();
    let again = pg_dump(&directly(&copy, 0), &copy.name);
    same_lines(&renamed(&again, &copy, &database), &passed);
}

#[tokio::test]
async fn pg_dump_of_two_shards_is_told_what_is_unsupported() {
    let database = Database::new(ServerKind::Postgres, 2).await.table(Table::Sharded("items", &["id"]));
    database.everywhere("CREATE TABLE items (id bigint PRIMARY KEY)").await;
    let mesh = MeshConfig::with(&database).start();
    let said = postgres_tool("pg_dump", &through(&mesh, ServerKind::Postgres), &database.name).run();
    assert!(!said.success && said.errors.contains("dbmesh does not support LOCK"), "{}", said.errors);
}
