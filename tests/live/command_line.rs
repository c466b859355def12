//! The command line against real servers, and how it fails.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dbmesh::demo::servers::SERVER_USER;

use crate::bed::{Database, PASSWORD, ServerKind, Tool, bed, program};

/// A file that ends with the test.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(text: &str) -> File {
    let path = std::env::temp_dir().join(format!("dbmesh-{}-{}.toml", std::process::id(), bed().number()));
    std::fs::write(&path, text).expect("a file can be written");
    File(path)
}

/// A configuration of one database; `tables` goes behind its shards.
fn configuration(database: &Database, tables: &str) -> File {
    let protocol = match database.kind {
        ServerKind::MariaDb => "mysql",
        ServerKind::Postgres => "postgres",
    };
    let mut text = String::new();
    for server in &database.shards {
        let _ = write!(
            text,
            "[[server]]\nname = \"{}\"\nprotocol = \"{protocol}\"\naddress = \"{}\"\nuser = \"{SERVER_USER}\"\npassword = \"{PASSWORD}\"\n",
            server.name,
            server.address()
        );
    }
    let _ = write!(text, "[[database]]\nname = \"{}\"\nprotocol = \"{protocol}\"\n", database.name);
    for (number, server) in database.shards.iter().enumerate() {
        let _ = write!(text, "[[database.shard]]\nname = \"s{number}\"\nserver = \"{}\"\n", server.name);
    }
    file(&format!("{text}{tables}"))
}

fn dbmesh(arguments: &[&str]) -> Tool {
    Tool::new(program()).args(arguments)
}

fn path(file: &File) -> String {
    file.0.display().to_string()
}

async fn setup_is_idempotent_and_names_shards(kind: ServerKind, protocol: &str) {
    let database = Database::new(kind, 2).await;
    let one = configuration(&database, "");
    let name = &database.name;
    let expected = format!(
        "{protocol} {name} shard s0: record tables are there\n{protocol} {name} shard s1: record tables are there\n"
    );
    for _ in 0..2 {
        let said = dbmesh(&["setup", "-c", &path(&one)]).run();
        assert!(said.success, "{}", said.errors);
        assert_eq!(said.out, expected);
    }
    database.everywhere("SELECT gtrid, state, participants, created FROM dbmesh.dbmesh_txn").await;
    database.everywhere("SELECT gtrid, shard, participants, created FROM dbmesh.dbmesh_branch").await;
    database.everywhere("SELECT gtrid, branch, operation, created FROM dbmesh.dbmesh_barrier").await;
    let text = std::fs::read_to_string(&one.0).expect("written above").replace("name = \"s1\"", "name = \"s2\"");
    let other = file(&text);
    let said = dbmesh(&["setup", "-c", &path(&other)]).run();
    assert!(!said.success);
    let fault = format!("dbmesh: {protocol} {name} shard s2: database {name} is already the shard {name}.s1\n");
    assert_eq!(said.errors, fault);
}

#[tokio::test]
async fn setup_of_mysql_shards() {
    setup_is_idempotent_and_names_shards(ServerKind::MariaDb, "mysql").await;
}

#[tokio::test]
async fn setup_of_postgres_shards() {
    setup_is_idempotent_and_names_shards(ServerKind::Postgres, "postgres").await;
}

#[tokio::test]
async fn check_says_what_is_missing() {
    for (kind, protocol) in [(ServerKind::MariaDb, "mysql"), (ServerKind::Postgres, "postgres")] {
        let database = Database::new(kind, 2).await;
        database.on_shard(0, "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL)").await;
        let good = configuration(&database, "");
        let said = dbmesh(&["check", "-c", &path(&good)]).run();
        assert!(said.success, "{}{}", said.out, said.errors);
        assert!(said.out.contains("the configuration is valid"), "{}", said.out);
        let bad = configuration(
            &database,
            "[[database.table]]\nname = \"orders\"\ntype = \"sharded\"\nkey = [\"customer_id\"]\n",
        );
        let said = dbmesh(&["check", "-c", &path(&bad)]).run();
        assert!(!said.success, "{}", said.out);
        let prefix = format!("{protocol} {}: error: shard s1: ", database.name);
        assert!(said.out.lines().any(|line| line.starts_with(&prefix) && line.contains("orders")), "{}", said.out);
    }
}

#[tokio::test]
async fn plan_reads_the_tables_of_the_shards() {
    let database = Database::new(ServerKind::MariaDb, 2).await;
    database.everywhere("CREATE TABLE orders (id BIGINT, customer_id BIGINT, PRIMARY KEY (id, customer_id))").await;
    let tables = "[[database.table]]\nname = \"orders\"\ntype = \"sharded\"\nkey = [\"customer_id\"]\n";
    let good = configuration(&database, tables);
    let arguments = ["plan", "-c", &path(&good), "--database", &database.name, "--protocol", "mysql"];
    let said = dbmesh(&arguments).args(["SELECT id FROM orders WHERE customer_id = 7"]).run();
    assert!(said.success, "{}", said.errors);
    assert!(!said.out.is_empty());
    let said = dbmesh(&arguments).args(["SELECT 'unfinished"]).run();
    assert!(!said.success && said.errors.lines().count() == 1, "{}", said.errors);
    let said = dbmesh(&["plan", "-c", &path(&good), "--database", "nowhere", "--protocol", "mysql", "SELECT 1"]).run();
    assert_eq!(said.errors, "dbmesh: there is no mysql database nowhere\n");
}

#[test]
fn plan_without_servers() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mysql-sharded.toml").display().to_string();
    let mut sql = String::new();
    for (table, key) in [("customers", "id"), ("orders", "customer_id"), ("order_items", "customer_id")] {
        let _ = writeln!(sql, "CREATE TABLE {table} ({key} BIGINT NOT NULL, n INT, total DECIMAL(12,2));");
    }
    sql.push_str("CREATE TABLE products (id BIGINT PRIMARY KEY); CREATE TABLE settings (name VARCHAR(80));");
    let schema = file(&sql);
    let plan = |sql: &str| {
        let arguments =
            ["plan", "--schema", &path(&schema), "--rules", &rules, "--database", "shop", "--protocol", "mysql"];
        dbmesh(&arguments).args([sql]).ok()
    };
    let one = plan("SELECT n FROM orders WHERE customer_id = 7");
    let all = plan("SELECT n FROM orders ORDER BY n LIMIT 5");
    assert!(!one.is_empty() && !all.is_empty() && one != all, "{one}{all}");
    let lonely = dbmesh(&["plan", "--schema", &path(&schema), "--database", "shop", "--protocol", "mysql", "SELECT 1"]);
    assert!(lonely.run().errors.contains("--rules"));
    let empty = file("");
    let arguments = ["plan", "--schema", &path(&empty), "--rules", &rules, "--database", "shop", "--protocol", "mysql"];
    let said = dbmesh(&arguments).args(["SELECT 1"]).run();
    assert!(
        !said.success && said.errors.contains("orders has a rule, but the schema does not create it"),
        "{}",
        said.errors
    );
}

#[test]
fn a_start_that_fails_says_why_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let off = "[listen]\nmysql = \"off\"\npostgres = \"off\"\nadmin_mysql = \"off\"\nadmin_postgres = \"off\"\n";
    let busy = file(&format!("{off}http = \"{address}\"\n"));
    let said = dbmesh(&["serve", "-c", &path(&busy)]).run();
    assert!(!said.success);
    assert!(said.errors.starts_with(&format!("dbmesh: cannot listen on {address}: ")), "{}", said.errors);
    assert_eq!(said.errors.lines().count(), 1);

    let missing =
        file(&format!("{off}http = \"off\"\n[tls]\ncertificate = \"/nowhere/c.pem\"\nkey = \"/nowhere/k.pem\"\n"));
    let said = dbmesh(&["serve", "-c", &path(&missing)]).run();
    assert!(!said.success && said.errors.contains("/nowhere/c.pem"), "{}", said.errors);
    assert_eq!(said.errors.lines().count(), 1);

    let said = dbmesh(&["serve", "-c", "/nowhere.toml"]).run();
    assert!(!said.success);
    assert!(said.errors.starts_with("dbmesh: /nowhere.toml: cannot read the file: "), "{}", said.errors);

    let said = dbmesh(&["serve", "-c", &path(&busy), "--http", "nonsense"]).run();
    let fault = format!("dbmesh: {}: `listen.http` must be \"IP:PORT\" or \"off\", not \"nonsense\"\n", path(&busy));
    assert_eq!(said.errors, fault);
}

#[test]
fn faults_of_a_file_are_all_there_one_a_line() {
    let bad = file("wrokers = 1\n[pool]\nsize_max = 0\n");
    let said = dbmesh(&["check", "-c", &path(&bad)]).run();
    assert!(!said.success);
    let lines: Vec<&str> = said.errors.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!("dbmesh: {}:1: unknown key `wrokers`", path(&bad))), "{}", said.errors);
}

#[test]
fn version_and_help() {
    let said = dbmesh(&["--version"]).run();
    assert!(said.success);
    assert_eq!(said.out, format!("dbmesh {}\n", env!("CARGO_PKG_VERSION")));
    let said = dbmesh(&["--help"]).run();
    assert!(said.success);
    for command in ["serve", "check", "setup", "demo", "plan"] {
        assert!(said.out.contains(&format!("\n  {command} ")), "{}", said.out);
    }
    assert!(!dbmesh(&["frob"]).run().success);
}
