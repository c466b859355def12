//! `dbmesh setup`: the record tables of transactions, in a schema (PostgreSQL) or database (MySQL) `dbmesh` on every shard.
//! Idempotent; names each shard, and refuses one that already belongs to another shard's name. Out: reading these tables.

use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use super::{Failure, runtime};
use crate::config::{Config, Database, Protocol, Server, Shard};

/// Longest a shard may take, beyond `timeouts.connect`.
const WORK: Duration = Duration::from_secs(60);

/// Statements of MySQL and MariaDB.
const MYSQL: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS dbmesh",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_shard (
        physical VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
        id VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_txn (
        gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        participants TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        KEY dbmesh_txn_created (created)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_branch (
        gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        shard VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        participants TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        PRIMARY KEY (gtrid, shard), KEY dbmesh_branch_created (created)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_barrier (
        gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        branch VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        operation VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        created TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        PRIMARY KEY (gtrid, branch, operation), KEY dbmesh_barrier_created (created)) ENGINE=InnoDB",
];

/// Statements of PostgreSQL.
const POSTGRES: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS dbmesh",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_shard (
        physical text NOT NULL PRIMARY KEY,
        id text NOT NULL,
        created timestamptz NOT NULL DEFAULT clock_timestamp())",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_txn (
        gtrid varchar(64) COLLATE \"C\" NOT NULL PRIMARY KEY,
        state varchar(16) NOT NULL,
        participants text NOT NULL,
        created timestamptz NOT NULL DEFAULT clock_timestamp())",
    "CREATE INDEX IF NOT EXISTS dbmesh_txn_created ON dbmesh.dbmesh_txn (created)",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_branch (
        gtrid varchar(64) COLLATE \"C\" NOT NULL,
        shard text NOT NULL,
        participants text NOT NULL,
        created timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (gtrid, shard))",
    "CREATE INDEX IF NOT EXISTS dbmesh_branch_created ON dbmesh.dbmesh_branch (created)",
    "CREATE TABLE IF NOT EXISTS dbmesh.dbmesh_barrier (
        gtrid varchar(64) COLLATE \"C\" NOT NULL,
        branch text NOT NULL,
        operation varchar(16) NOT NULL,
        created timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (gtrid, branch, operation))",
    "CREATE INDEX IF NOT EXISTS dbmesh_barrier_created ON dbmesh.dbmesh_barrier (created)",
];

/// Prints a line per shard to stdout; goes on after a shard that fails, and fails at the end.
pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let mut failures = Vec::new();
    runtime(false)?.block_on(async {
        for database in &config.databases {
            for shard in &database.shards {
                let name = format!("{} {} shard {}", database.protocol, database.name, shard.name);
                let work = on_shard(database, shard, config.server_of(shard));
                let done = timeout(config.timeouts.connect + WORK, work).await;
                match done.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                    Ok(()) => println!("{name}: record tables are there"),
                    Err(why) => failures.extend(Failure::line(format!("{name}: {why}")).0),
                }
            }
        }
    });
    if failures.is_empty() { Ok(()) } else { Err(Failure(failures)) }
}

async fn on_shard(database: &Database, shard: &Shard, server: &Server) -> Result<(), String> {
    let id = format!("{}.{}", database.name, shard.name);
    let known = match database.protocol {
        Protocol::MySql => mysql(shard, server, &id).await.map_err(|error| error.to_string())?,
        Protocol::Postgres => postgres(shard, server, &id).await?,
    };
    match known {
        Some(known) if known != id => Err(format!("database {} is already the shard {known}", shard.database)),
        _ => Ok(()),
    }
}

/// Creates everything and gives the shard's name as the server knows it.
async fn mysql(shard: &Shard, server: &Server, id: &str) -> Result<Option<String>, mysql_async::Error> {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(server.address.host.clone())
        .tcp_port(server.address.port)
        .user(Some(server.user.clone()))
        .pass(server.password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(Some(shard.database.clone()))
        .prefer_socket(Some(false));
    let mut connection = mysql_async::Conn::new(options).await?;
    for statement in MYSQL {
        connection.query_drop(*statement).await?;
    }
    let insert = "INSERT IGNORE INTO dbmesh.dbmesh_shard (physical, id) VALUES (?, ?)";
    connection.exec_drop(insert, (&shard.database, id)).await?;
    let select = "SELECT id FROM dbmesh.dbmesh_shard WHERE physical = ?";
    let known = connection.exec_first(select, (&shard.database,)).await?;
    connection.disconnect().await?;
    Ok(known)
}

async fn postgres(shard: &Shard, server: &Server, id: &str) -> Result<Option<String>, String> {
    let mut options = tokio_postgres::Config::new();
    options.host(&server.address.host).port(server.address.port).user(&server.user).dbname(&shard.database);
    if let Some(password) = &server.password {
        options.password(password.expose());
    }
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.map_err(|error| said(&error))?;
    let driver = tokio::spawn(connection);
    let work = async {
        for statement in POSTGRES {
            client.batch_execute(statement).await?;
        }
        let insert = "INSERT INTO dbmesh.dbmesh_shard (physical, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&shard.database, &id]).await?;
        let select = "SELECT id FROM dbmesh.dbmesh_shard WHERE physical = $1";
        client.query_opt(select, &[&shard.database]).await
    };
    let row = work.await.map_err(|error| said(&error));
    driver.abort();
    Ok(row?.map(|row| row.get(0)))
}

/// What the server said, or else the driver.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => server.message().to_owned(),
        None => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }
    }
}
