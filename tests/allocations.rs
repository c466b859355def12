//! Rows that are forwarded cost no allocation: dbmesh runs in this process, whose allocations are counted, and real command
//! lines read few and many rows of real servers through it. Out: every other test (they would be counted too).

#![allow(clippy::expect_used, missing_docs)]

use std::alloc::System;
use std::path::PathBuf;
use std::process::Command;

use dbmesh::config::{Config, Overrides};
use dbmesh::demo::servers::{DEFAULT_PORTS, SERVER_USER, Server, ServerKind, Servers, ServersOptions};
use dbmesh::log::LogControl;
use dbmesh::serve::Running;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FEW: usize = 1_000;
const MANY: usize = 201_000;

#[test]
fn forwarded_rows_cost_no_allocation() {
    let servers = Servers::open(ServersOptions {
        program: Some(PathBuf::from(env!("CARGO_BIN_EXE_dbmesh"))),
        directory: std::env::temp_dir().join(format!("dbmesh-allocations-{}", std::process::id())),
        keep: false,
        ports: DEFAULT_PORTS,
        password: "counted".into(),
        durable: false,
    })
    .expect("the keeper of servers");
    let mysql = servers.start(ServerKind::MariaDb, "m", &[]).expect("a MariaDB server");
    let postgres = servers.start(ServerKind::Postgres, "p", &[]).expect("a PostgreSQL server");
    mariadb(mysql.port, "CREATE DATABASE counted", "mysql");
    psql(postgres.port, "CREATE DATABASE counted", "postgres");

    let config = Config::parse(&configuration(&mysql, &postgres), "counted.toml").expect("a valid configuration");
    let log = LogControl::start(&config.log).expect("logging starts once");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let entered = runtime.enter();
    let running = Running::start(config, Overrides::default(), log).expect("dbmesh starts");
    let addresses = running.addresses();
    let by_mysql = addresses.mysql.expect("MySQL is listened for").port();
    let by_postgres = addresses.postgres.expect("PostgreSQL is listened for").port();

    let mysql_rows = |rows: usize| {
        let text = mariadb(by_mysql, &format!("SELECT seq, REPEAT('x', 100) AS c FROM seq_1_to_{rows}"), "counted");
        assert_eq!(text.lines().count(), rows, "rows by the MySQL protocol");
    };
    let postgres_rows = |rows: usize| {
        let text =
            psql(by_postgres, &format!("SELECT n, repeat('x', 100) FROM generate_series(1, {rows}) n"), "counted");
        assert_eq!(text.lines().count(), rows, "rows by the PostgreSQL protocol");
    };
    compare("MySQL", &mysql_rows);
    compare("PostgreSQL", &postgres_rows);
    runtime.block_on(running.stop());
    drop(entered);
    servers.close();
}

/// Two hundred thousand rows more cost as good as nothing more. This process's own reading of the client's output grows
/// its buffer a few times, and buffers of a connection may grow to their size; a thousandth of the rows is far above that.
fn compare(protocol: &str, run: &dyn Fn(usize)) {
    run(FEW);
    let counted = |rows| {
        let region = Region::new(COUNTED);
        run(rows);
        let change = region.change();
        change.allocations + change.reallocations
    };
    let (few, many) = (counted(FEW), counted(MANY));
    println!("{protocol}: {few} allocations with {FEW} rows, {many} with {MANY}");
    assert!(many < few + (MANY - FEW) / 1_000, "{protocol}: {few} with {FEW} rows, {many} with {MANY}");
}

fn configuration(mysql: &Server, postgres: &Server) -> String {
    let mut text = "[listen]\nmysql = \"127.0.0.1:0\"\npostgres = \"127.0.0.1:0\"\nadmin_mysql = \"off\"\n\
         admin_postgres = \"off\"\nhttp = \"off\"\n[log]\nlevel = \"warn\"\n"
        .to_owned();
    text.push_str(&format!("[[user]]\nname = \"{SERVER_USER}\"\npassword = \"counted\"\n"));
    for (protocol, server) in [("mysql", mysql), ("postgres", postgres)] {
        let (name, address) = (&server.name, server.address());
        text.push_str(&format!(
            "[[server]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\naddress = \"{address}\"\n\
             user = \"{SERVER_USER}\"\npassword = \"counted\"\n\
             [[database]]\nname = \"counted\"\nprotocol = \"{protocol}\"\n\
             [[database.shard]]\nname = \"{name}\"\nserver = \"{name}\"\ndatabase = \"counted\"\n"
        ));
    }
    text
}

fn mariadb(port: u16, sql: &str, database: &str) -> String {
    let mut command = Command::new("mariadb");
    command.args([
        "--no-defaults",
        "--skip-column-names",
        "--quick",
        "-h",
        "127.0.0.1",
        "-u",
        SERVER_USER,
        "-pcounted",
    ]);
    command.args(["-P", &port.to_string(), "-D", database, "-e", sql]);
    output(command)
}

fn psql(port: u16, sql: &str, database: &str) -> String {
    let mut command = Command::new("psql");
    command.env("PGPASSWORD", "counted").args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", SERVER_USER]);
    command.args(["-p", &port.to_string(), "-d", database, "-c", sql]);
    output(command)
}

fn output(mut command: Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("UTF-8")
}
