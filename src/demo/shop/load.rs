//! Creates the shop's database on a server, and sends its rows to whatever answers at an address.
//! The demo creates tables on every shard and then loads the rows through dbmesh itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use super::{DATABASE, Sizes, TABLES, statements};
use crate::demo::servers::ServerKind;

/// How long one connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one statement may take.
const STATEMENT_MAX: Duration = Duration::from_secs(60);
/// Makes dbmesh write on several shards without one atomic decision: nobody else looks at the shop yet.
const LOCAL_TRANSACTIONS: &str = "SET dbmesh.transaction_type = LOCAL";

/// Who logs in where.
#[derive(Debug, Clone)]
pub struct Login {
    /// Address; one that means every address of the machine is reached on loopback.
    pub address: SocketAddr,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl Login {
    fn host(&self) -> IpAddr {
        let ip = self.address.ip();
        if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip }
    }
}

/// Why the shop is not there.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// From a MySQL connection.
    #[error("the shop on {address}: {error}")]
    MySql {
        /// Where.
        address: SocketAddr,
        /// What.
        error: mysql_async::Error,
    },
    /// From a PostgreSQL connection.
    #[error("the shop on {address}: {}", explain(.error))]
    Postgres {
        /// Where.
        address: SocketAddr,
        /// What.
        error: tokio_postgres::Error,
    },
    /// No answer.
    #[error("the shop on {address}: no answer within {} s", .after.as_secs())]
    TooLong {
        /// Where.
        address: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
}

fn explain(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Creates the database, its tables, and a user that owns it, as the all-powerful user `admin`.
///
/// # Errors
/// [`LoadError`] when the server refuses or does not answer.
pub async fn create_database(kind: ServerKind, admin: &Login, owner: &Login) -> Result<(), LoadError> {
    let (user, password) = (&owner.user, &owner.password);
    match kind {
        ServerKind::MariaDb => {
            let mut statements = vec![
                format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
                format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'"),
                format!("GRANT ALL PRIVILEGES ON {DATABASE}.* TO '{user}'@'%'"),
                format!("USE {DATABASE}"),
            ];
            statements.extend(TABLES.iter().map(|table| table.creation(kind).to_owned()));
            send(kind, admin, None, &statements).await
        }
        ServerKind::Postgres => {
            let outside = [
                format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"),
                format!("CREATE DATABASE {DATABASE} OWNER {user}"),
            ];
            send(kind, admin, Some("postgres"), &outside).await?;
            let tables: Vec<String> = TABLES.iter().map(|table| table.creation(kind).to_owned()).collect();
            send(kind, owner, Some(DATABASE), &tables).await
        }
    }
}

/// Sends all rows of the shop to `login`; with `through_dbmesh`, as statements that write on several shards.
///
/// # Errors
/// [`LoadError`] when a statement is refused or not answered.
pub async fn load(kind: ServerKind, login: &Login, sizes: &Sizes, through_dbmesh: bool) -> Result<(), LoadError> {
    let mut all = Vec::new();
    if through_dbmesh {
        all.push(LOCAL_TRANSACTIONS.to_owned());
    }
    all.extend(statements(kind, sizes));
    send(kind, login, Some(DATABASE), &all).await
}

/// Sends statements one after the other over one connection.
async fn send(kind: ServerKind, login: &Login, database: Option<&str>, statements: &[String]) -> Result<(), LoadError> {
    match kind {
        ServerKind::MariaDb => send_mysql(login, database, statements).await,
        ServerKind::Postgres => send_postgres(login, database, statements).await,
    }
}

async fn send_mysql(login: &Login, database: Option<&str>, statements: &[String]) -> Result<(), LoadError> {
    let address = login.address;
    let failed = |error| LoadError::MySql { address, error };
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(login.host().to_string())
        .tcp_port(address.port())
        .user(Some(&login.user))
        .pass(Some(&login.password))
        .db_name(database)
        .prefer_socket(false);
    let mut connection = within(address, CONNECT_MAX, mysql_async::Conn::new(options)).await?.map_err(failed)?;
    for sql in statements {
        within(address, STATEMENT_MAX, connection.query_drop(sql)).await?.map_err(failed)?;
    }
    within(address, CONNECT_MAX, connection.disconnect()).await?.map_err(failed)
}

async fn send_postgres(login: &Login, database: Option<&str>, statements: &[String]) -> Result<(), LoadError> {
    let address = login.address;
    let failed = |error| LoadError::Postgres { address, error };
    let mut options = tokio_postgres::Config::new();
    options.host(login.host().to_string()).port(address.port()).user(&login.user).password(&login.password);
    if let Some(database) = database {
        options.dbname(database);
    }
    let (client, connection) =
        within(address, CONNECT_MAX, options.connect(tokio_postgres::NoTls)).await?.map_err(failed)?;
    let work = async {
        for sql in statements {
            within(address, STATEMENT_MAX, client.batch_execute(sql)).await?.map_err(failed)?;
        }
        drop(client);
        Ok(())
    };
    // The connection ends by itself when the client is dropped.
    let (done, _) = futures_util::future::join(work, connection).await;
    done
}

async fn within<F: Future>(address: SocketAddr, most: Duration, work: F) -> Result<F::Output, LoadError> {
    tokio::time::timeout(most, work).await.map_err(|_| LoadError::TooLong { address, after: most })
}
