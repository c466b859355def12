//! Unique keys that lack the shard key: no shard can enforce them, so writes to them are refused unless the table's rule
//! accepts that. Out: how the planner finds them (golden plans).

use mysql_async::prelude::Queryable as _;

use crate::bed::{Database, MeshConfig, RunningMesh, ServerKind};

const USER: &str = "app";

const TABLES: &str = "CREATE TABLE refusing (id INT PRIMARY KEY, email VARCHAR(20) UNIQUE, note VARCHAR(20))";

/// Two tables alike but for their rule.
async fn serve(kind: ServerKind) -> (RunningMesh, Database) {
    let database = Database::new(kind, 2).await;
    database.everywhere(TABLES).await;
    database.everywhere(&TABLES.replace("refusing", "accepting")).await;
    let rule = |name: &str, more: &str| {
        format!("[[database.table]]\nname = \"{name}\"\ntype = \"sharded\"\nkey = [\"id\"]\n{more}")
    };
    let config = MeshConfig::with(&database)
        .section(&rule("refusing", ""))
        .section(&rule("accepting", "unique_per_shard = true\n"));
    (config.start(), database)
}

/// Refused statements and accepted ones, each on its own.
const REFUSED: [&str; 4] = [
    "INSERT INTO refusing (id, email) VALUES (1, 'a')",
    "INSERT INTO refusing (id, note) VALUES (1, 'a')",
    "UPDATE refusing SET email = 'b' WHERE id = 1",
    "UPDATE refusing SET note = 'x', email = 'b' WHERE id = 1",
];
const ACCEPTED: [&str; 6] = [
    "UPDATE refusing SET note = 'b' WHERE id = 1",
    "DELETE FROM refusing WHERE id = 1",
    "INSERT INTO accepting (id, email) VALUES (1, 'a')",
    "INSERT INTO accepting (id, email) VALUES (2, 'b')",
    "UPDATE accepting SET email = 'c' WHERE id = 2",
    "DELETE FROM accepting WHERE id = 1",
];

#[tokio::test]
async fn mysql() {
    let (mesh, database) = serve(ServerKind::MariaDb).await;
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(mesh.addresses.mysql.port())
        .user(Some(USER))
        .pass(Some(USER))
        .db_name(Some(&database.name))
        .prefer_socket(false);
    let mut client = mysql_async::Conn::new(options).await.expect("a connection");
    for sql in REFUSED {
        match client.query_drop(sql).await {
            Err(mysql_async::Error::Server(error)) => {
                assert_eq!((error.code, error.state.as_str()), (1235, "42000"), "{sql}");
                assert!(error.message.contains("unique key (email) of sharded table refusing"), "{}", error.message);
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    for sql in ACCEPTED {
        client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let left: Vec<(i32, String)> = client.query("SELECT id, email FROM accepting ORDER BY id").await.expect("rows");
    assert_eq!(left, [(2, "c".to_owned())]);
}

#[tokio::test]
async fn postgres() {
    let (mesh, database) = serve(ServerKind::Postgres).await;
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(mesh.addresses.postgres.port()).user(USER).password(USER).dbname(&database.name);
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    for sql in REFUSED {
        let error = client.execute(sql, &[]).await.expect_err(sql);
        let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
        assert_eq!(error.code().code(), "0A000", "{sql}");
        assert!(error.message().contains("unique key (email) of sharded table refusing"), "{}", error.message());
    }
    for sql in ACCEPTED {
        client.execute(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let rows = client.query("SELECT id, email FROM accepting ORDER BY id", &[]).await.expect("rows");
    let left: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(left, [(2, "c".to_owned())]);
}
