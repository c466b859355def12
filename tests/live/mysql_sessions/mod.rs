//! What a MySQL session owes its client beyond the statements of a shop: waiting, failing, ending, and what drivers seldom do.
//! Out: logins that are wrong and bytes that are no message (`trouble`).

mod bulk;
mod compression;
mod drivers;
mod ending;
mod extended_metadata;
mod full_login;
mod layouts;
mod left;
mod prepared;
mod renamed;
mod seen;
mod state;
mod waiting;
mod wire;

use dbmesh::demo::servers::SERVER_USER;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder};

use crate::bed::{Database, MeshConfig, PASSWORD, RunningMesh, Server, ServerKind, Table};

/// Two shards with a table `t (id, n)` that is split by `id`, ids 1 to 40.
struct Split {
    mesh: RunningMesh,
    database: Database,
    /// An id on the first shard, one on the second.
    ids: [i64; 2],
}

impl Split {
    async fn new(configure: impl FnOnce(MeshConfig) -> MeshConfig) -> Self {
        let database = Database::new(ServerKind::MariaDb, 2).await;
        Self::on(database, configure).await
    }

    async fn on(database: Database, configure: impl FnOnce(MeshConfig) -> MeshConfig) -> Self {
        let database = database.table(Table::Sharded("t", &["id"]));
        database.everywhere("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, s LONGTEXT)").await;
        let mesh = configure(MeshConfig::with(&database)).start();
        let mut session = mesh.mysql(&database.name).await;
        session.query_drop("SET @@dbmesh_transaction_type = LOCAL").await.expect("LOCAL");
        let rows: Vec<String> = (1..=40).map(|id| format!("({id}, {id})")).collect();
        session.query_drop(format!("INSERT INTO t (id, n) VALUES {}", rows.join(", "))).await.expect("rows");
        session.disconnect().await.expect("a good end");
        let mut ids = [0; 2];
        for (shard, id) in ids.iter_mut().enumerate() {
            let mut server = direct(&database.shards[shard], &database.name).await;
            *id = server.query_first("SELECT MIN(id) FROM t").await.expect("an answer").expect("ids on every shard");
        }
        Self { mesh, database, ids }
    }

    async fn session(&self) -> Conn {
        self.mesh.mysql(&self.database.name).await
    }
}

/// A connection to a server, past dbmesh.
async fn direct(server: &Server, database: &str) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port)
        .user(Some(SERVER_USER))
        .pass(Some(PASSWORD))
        .db_name(Some(database))
        .prefer_socket(false);
    Conn::new(options).await.expect("a connection to a private server")
}

/// The code of a server's error.
#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("an error of the server was expected: {other:?}"),
    }
}

/// The text of a server's error.
#[track_caller]
fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Server(error)) => error.message,
        other => panic!("an error of the server was expected: {other:?}"),
    }
}
