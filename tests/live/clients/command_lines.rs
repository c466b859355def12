//! The `mariadb` and `psql` command lines: what they ask when they start, their own commands, and what people type.

use std::time::{Duration, Instant};

use super::{Shops, Spread, shops, work_time};
use crate::bed::{ServerKind, Tool};

/// Answers of the shop that are the same however its rows lie.
const ORDERS_TOTAL: &str = "4047532.62";

fn mariadb(shops: &Shops, spread: Spread) -> Tool {
    let port = shops.mesh.addresses.mysql.port().to_string();
    Tool::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P", &port, "-uapp", "-papp"])
        .args([shops.name(ServerKind::MariaDb, spread)])
}

fn psql(shops: &Shops, spread: Spread) -> Tool {
    let address = shops.mesh.addresses.postgres;
    let name = shops.name(ServerKind::Postgres, spread);
    Tool::new("psql").args(["-X", "--set=ON_ERROR_STOP=1", "-d", &format!("postgresql://app:app@{address}/{name}")])
}

/// Again and again, each time a session of its own.
async fn for_some_time(work: impl Fn() + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        let end = Instant::now() + work_time();
        let mut rounds = 0;
        while Instant::now() < end || rounds < 2 {
            work();
            rounds += 1;
        }
    })
    .await
    .expect("no session fails");
}

fn use_mariadb(shops: &Shops, spread: Spread) {
    let tables = mariadb(shops, spread).args(["-N", "-e", "SHOW TABLES"]).ok();
    let mut tables: Vec<&str> = tables.lines().collect();
    tables.sort_unstable();
    assert_eq!(tables, ["customers", "order_items", "orders", "products", "settings"]);

    // A terminal's session: table and column names for completion are asked for first.
    let typed = "status\nSELECT COUNT(*), SUM(total) FROM orders WHERE id < 100000;\nDESCRIBE customers;\n\
                 SHOW CREATE TABLE products\\G\nuse mysql_no_such\nexit\n";
    let said = mariadb(shops, spread).args(["--force", "--auto-rehash", "-t"]).input(typed).run();
    assert!(said.out.contains(ORDERS_TOTAL), "{}\n{}", said.out, said.errors);
    assert!(said.out.contains("Uptime") || said.out.contains("Server version"), "{}", said.out);
    assert!(said.out.contains("varchar(120)") && said.out.contains("CREATE TABLE `products`"), "{}", said.out);
    assert!(said.errors.contains("ERROR"), "a database that does not exist: {}", said.errors);

    let sql = "SET @shown = 3; SELECT name FROM customers WHERE id = 42; SELECT @shown + 1; SHOW WARNINGS";
    let said = mariadb(shops, spread).args(["-N", "-e", sql]).ok();
    assert_eq!(said.lines().nth(1), Some("4"), "{said}");

    let said = mariadb(shops, spread).args(["-e", "SELECT nothing FROM customers WHERE id = 1"]).run();
    assert!(!said.success && said.errors.contains("ERROR 1054 (42S22)"), "{}", said.errors);
}

fn use_psql(shops: &Shops, spread: Spread) {
    let name = shops.name(ServerKind::Postgres, spread);
    let said = psql(shops, spread).args(["-c", "\\d", "-c", "\\d orders", "-c", "\\dt+", "-c", "\\conninfo"]).ok();
    for expected in ["customers", "order_items", "orders_pkey", "numeric(12,2)", "settings", name] {
        assert!(said.contains(expected), "no {expected} in\n{said}");
    }
    let said = psql(shops, spread).args(["-c", "\\l", "-c", "\\du", "-c", "\\dn", "-c", "\\df"]).ok();
    assert!(said.contains("public"), "{said}");

    let typed = "\\timing off\nBEGIN;\nSELECT COUNT(*), SUM(total) FROM orders WHERE id < 100000;\nCOMMIT;\n\
                 \\set id 42\nSELECT name FROM customers WHERE id = :id \\gdesc\n\
                 SELECT id FROM customers WHERE id = 42 \\gset got_\n\\echo got :got_id\n";
    let said = psql(shops, spread).input(typed).ok();
    assert!(said.contains(ORDERS_TOTAL) && said.contains("character varying") && said.contains("got 42"), "{said}");

    let said = psql(shops, spread).args(["-c", "SELECT nothing FROM customers WHERE id = 1"]).run();
    assert!(!said.success && said.errors.contains("\"nothing\" does not exist"), "{}", said.errors);
}

#[tokio::test]
async fn mariadb_on_one_shard() {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    for_some_time(move || use_mariadb(shops, Spread::Plain)).await;
}

#[tokio::test]
async fn mariadb_on_two_shards() {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    for_some_time(move || use_mariadb(shops, Spread::Sharded)).await;
}

#[tokio::test]
async fn psql_on_one_shard() {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    for_some_time(move || use_psql(shops, Spread::Plain)).await;
}

#[tokio::test]
async fn psql_on_two_shards() {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    for_some_time(move || use_psql(shops, Spread::Sharded)).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_the_servers_tell_it() {
    let shops = shops().await;
    let _log = shops.mesh.show_log_on_failure();
    let said = tokio::task::spawn_blocking(move || {
        let port = shops.mesh.addresses.mysql.port().to_string();
        let mysql = Tool::new("mariadb")
            .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P", &port, "-uapp", "-pwrong", "-e", "SELECT 1"])
            .within(Duration::from_secs(20))
            .run();
        let address = shops.mesh.addresses.postgres;
        let name = shops.name(ServerKind::Postgres, Spread::Plain);
        let postgres = Tool::new("psql")
            .args(["-X", "-d", &format!("postgresql://app:wrong@{address}/{name}"), "-c", "SELECT 1"])
            .within(Duration::from_secs(20))
            .run();
        (mysql, postgres)
    })
    .await
    .expect("both end");
    assert!(!said.0.success && said.0.errors.contains("ERROR 1045 (28000)"), "{}", said.0.errors);
    assert!(!said.1.success && said.1.errors.contains("password authentication failed"), "{}", said.1.errors);
}
