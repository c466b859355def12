//! A logical database of one test: a physical database of the same new name on each of some servers.

use super::{PASSWORD, Server, ServerKind, bed};
use dbmesh::demo::servers::SERVER_USER;

/// How a table of it is placed, as the configuration says it.
#[derive(Debug, Clone)]
pub enum Table {
    /// By these columns.
    Sharded(&'static str, &'static [&'static str]),
    /// A copy on every shard.
    Reference(&'static str),
    /// On the first shard.
    Single(&'static str),
}

/// A logical database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name, also of the physical databases.
    pub name: String,
    /// What it speaks.
    pub kind: ServerKind,
    /// The servers of its shards, in order.
    pub shards: Vec<Server>,
    /// Its declared tables.
    pub tables: Vec<Table>,
    /// Transactions that write on several shards commit one after the other instead of atomically.
    pub local: bool,
}

impl Database {
    /// A new database on the first `shards` servers that tests share.
    pub async fn new(kind: ServerKind, shards: usize) -> Self {
        let servers = (0..shards).map(|index| match kind {
            ServerKind::MariaDb => bed().mysql_shard(index).clone(),
            ServerKind::Postgres => bed().postgres_shard(index).clone(),
        });
        Self::on(servers.collect()).await
    }

    /// A new database on these servers, all of one kind.
    pub async fn on(shards: Vec<Server>) -> Self {
        let kind = shards.first().expect("at least one server").kind;
        let database = Self { name: format!("t{}", bed().number()), kind, shards, tables: Vec::new(), local: false };
        for server in &database.shards {
            match kind {
                ServerKind::MariaDb => {
                    execute(server, None, &format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database.name)).await;
                }
                ServerKind::Postgres => {
                    execute(server, Some("postgres"), &format!("CREATE DATABASE {}", database.name)).await;
                }
            }
        }
        database
    }

    /// Declares a table; it is created by [`Database::everywhere`] or by the test itself.
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// Lets its transactions that write on several shards commit one after the other.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Sends a statement to every shard directly.
    pub async fn everywhere(&self, sql: &str) {
        for server in &self.shards {
            execute(server, Some(&self.name), sql).await;
        }
    }

    /// Sends a statement to one shard directly.
    pub async fn on_shard(&self, index: usize, sql: &str) {
        execute(&self.shards[index], Some(&self.name), sql).await;
    }
}

/// Runs SQL as the all-powerful user of a private server.
pub async fn execute(server: &Server, database: Option<&str>, sql: &str) {
    match server.kind {
        ServerKind::MariaDb => {
            use mysql_async::prelude::Queryable as _;
            let options = mysql_async::OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(server.port)
                .user(Some(SERVER_USER))
                .pass(Some(PASSWORD))
                .db_name(database)
                .prefer_socket(false);
            let mut connection = mysql_async::Conn::new(options).await.expect("a connection to a private server");
            connection.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            connection.disconnect().await.expect("a good end");
        }
        ServerKind::Postgres => {
            let mut options = tokio_postgres::Config::new();
            options.host("127.0.0.1").port(server.port).user(SERVER_USER).password(PASSWORD);
            options.dbname(database.unwrap_or("postgres"));
            let (client, connection) =
                options.connect(tokio_postgres::NoTls).await.expect("a connection to a private server");
            let connection = tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            drop(client);
            connection.await.expect("no panic").expect("a good end");
        }
    }
}
