//! A control connection to one shard, and one deadline for all it does.
//! Out: what is asked over it. Invariant: every wait ends at the deadline; dropping the connection closes it.

use std::future::Future;

use mysql_async::prelude::Queryable;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::source::ShardSource;

/// Why a shard could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No connection, or the login failed.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server did not answer in time.
    #[error("no answer in time while {0}")]
    TimedOut(&'static str),
    /// A query of the catalog failed.
    #[error("{doing}: {cause}")]
    Query {
        /// What was asked.
        doing: &'static str,
        /// What the server said.
        cause: String,
    },
}

/// Runs one step, at most until the deadline.
pub(super) async fn step<T, E: ToString>(
    doing: &'static str,
    deadline: Instant,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, LoadError> {
    match timeout_at(deadline, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(LoadError::Query { doing, cause: error.to_string() }),
        Err(_) => Err(LoadError::TimedOut(doing)),
    }
}

/// A connection to a MySQL or MariaDB shard.
pub(super) struct MySqlControl {
    connection: mysql_async::Conn,
    deadline: Instant,
}

/// One row of text values; `None` is NULL.
pub(super) type TextRow = Vec<Option<String>>;

impl MySqlControl {
    pub(super) async fn connect(shard: &ShardSource, connected: Instant, deadline: Instant) -> Result<Self, LoadError> {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname(shard.host.clone())
            .tcp_port(shard.port)
            .user(Some(shard.user.clone()))
            .pass(shard.password.as_ref().map(|password| password.expose().to_owned()))
            .db_name(Some(shard.database.clone()))
            .prefer_socket(Some(false))
            .stmt_cache_size(Some(0));
        let connection = timeout_at(connected, mysql_async::Conn::new(options))
            .await
            .map_err(|_| LoadError::TimedOut("connecting"))?
            .map_err(|error| LoadError::Connect(error.to_string()))?;
        Ok(Self { connection, deadline })
    }

    /// Asks a query by the text protocol. Values that are not UTF-8 are shown as they can be.
    pub(super) async fn rows(&mut self, doing: &'static str, sql: String) -> Result<Vec<TextRow>, LoadError> {
        let rows: Vec<mysql_async::Row> = step(doing, self.deadline, self.connection.query(sql)).await?;
        Ok(rows
            .into_iter()
            .map(|row| row.unwrap_raw().into_iter().map(|value| text(value.as_ref())).collect())
            .collect())
    }

    /// Closes the connection politely, if the server listens.
    pub(super) async fn close(self) {
        let _ = timeout_at(self.deadline, self.connection.disconnect()).await;
    }
}

fn text(value: Option<&mysql_async::Value>) -> Option<String> {
    match value? {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        mysql_async::Value::Int(value) => Some(value.to_string()),
        mysql_async::Value::UInt(value) => Some(value.to_string()),
        other => Some(other.as_sql(true)),
    }
}

/// A connection to a PostgreSQL shard.
pub(super) struct PostgresControl {
    pub(super) client: tokio_postgres::Client,
    pub(super) deadline: Instant,
    driver: AbortHandle,
}

impl PostgresControl {
    pub(super) async fn connect(shard: &ShardSource, connected: Instant, deadline: Instant) -> Result<Self, LoadError> {
        let mut config = tokio_postgres::Config::new();
        config.host(&shard.host).port(shard.port).user(&shard.user).dbname(&shard.database).application_name("dbmesh");
        if let Some(password) = &shard.password {
            config.password(password.expose());
        }
        let (client, connection) = timeout_at(connected, config.connect(tokio_postgres::NoTls))
            .await
            .map_err(|_| LoadError::TimedOut("connecting"))?
            .map_err(|error| LoadError::Connect(postgres_cause(&error)))?;
        let driver = tokio::spawn(async move {
            // An error of the connection is seen by the query that waits on it.
            let _ = connection.await;
        })
        .abort_handle();
        Ok(Self { client, deadline, driver })
    }

    pub(super) async fn rows(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, LoadError> {
        let work = async { self.client.query(sql, parameters).await.map_err(|error| postgres_cause(&error)) };
        step(doing, self.deadline, work).await
    }

    pub(super) async fn run(&self, doing: &'static str, sql: &str) -> Result<(), LoadError> {
        let work = async { self.client.batch_execute(sql).await.map_err(|error| postgres_cause(&error)) };
        step(doing, self.deadline, work).await
    }
}

impl Drop for PostgresControl {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The server's own words where there are any: the driver's error says only "db error".
fn postgres_cause(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(server), _) => server.to_string(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
