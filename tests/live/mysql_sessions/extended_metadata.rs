//! MariaDB tells clients that ask for it what a column is beyond its type code: JSON, UUID, INET6, geometries.

use dbmesh::demo::servers::SERVER_USER;
use protocol::mysql::capability::EXTENDED_METADATA;
use protocol::mysql::column::ColumnDefinition;
use protocol::mysql::command::code;

use super::wire::Wire;
use crate::bed::{Database, MeshConfig, PASSWORD, ServerKind, Table};

const KINDS: &str = "SELECT id, a, u, i, p, g FROM j WHERE id > 0";

/// The definitions in an answer of six columns; of a PREPARE, those behind its head and parameters.
fn definitions(answer: &[Vec<u8>]) -> Vec<Vec<u8>> {
    answer.iter().skip(1).take(6).cloned().collect()
}

#[tokio::test]
async fn columns_are_told_as_the_server_tells_them() {
    let database = Database::new(ServerKind::MariaDb, 2).await.table(Table::Sharded("j", &["id"]));
    let table = "CREATE TABLE j (id INT PRIMARY KEY, a JSON, u UUID, i INET6, p POINT, g VARCHAR(3))";
    database.everywhere(table).await;
    let mesh = MeshConfig::with(&database).start();
    let _log = mesh.show_log_on_failure();
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], database.shards[0].port));
    let mut direct = Wire::connect(server).await.into_mariadb();
    let login = direct.log_in_as(SERVER_USER, "mysql_native_password", PASSWORD, &database.name).await;
    login.expect("a login at the server");
    let mut through = Wire::connect(mesh.addresses.mysql).await.into_mariadb();
    through.log_in("mysql_native_password", "app", &database.name).await.expect("a login");
    let one = format!("{KINDS} AND id = 1");
    for sql in [KINDS, &one] {
        let expected = definitions(&direct.ask(code::QUERY, sql.as_bytes()).await);
        assert!(expected[1].windows(4).any(|part| part == b"json"), "the server tells: {expected:?}");
        assert_eq!(definitions(&through.ask(code::QUERY, sql.as_bytes()).await), expected, "{sql}");
        for wire in [&mut direct, &mut through] {
            wire.command(code::STATEMENT_PREPARE, sql.as_bytes()).await;
            let head = wire.packet().await.unwrap();
            let mut told = Vec::new();
            for _ in 0..6 {
                told.push(wire.packet().await.unwrap());
            }
            assert_eq!(told, expected, "prepared: {sql}");
            let body = [&head[1..5], &[0, 1, 0, 0, 0]].concat();
            assert_eq!(definitions(&wire.ask(code::STATEMENT_EXECUTE, &body).await), expected, "executed: {sql}");
        }
    }
    // What is answered here has the same layout.
    for sql in ["SELECT DATABASE()", "SHOW DATABASES", "SHOW PROCESSLIST", "SHOW WARNINGS", "SELECT @@version"] {
        let answer = through.ask(code::QUERY, sql.as_bytes()).await;
        let column = ColumnDefinition::decode(&answer[1], EXTENDED_METADATA);
        column.unwrap_or_else(|error| panic!("{sql}: {error} {answer:?}"));
    }

    // A client that does not ask for it beside it gets what it had before, from other backends.
    let mut plain = Wire::session(mesh.addresses.mysql, &database.name).await;
    for sql in [KINDS, &one] {
        let answer = definitions(&plain.ask(code::QUERY, sql.as_bytes()).await);
        assert!(!answer[1].windows(4).any(|part| part == b"json"), "{answer:?}");
        assert_eq!(ColumnDefinition::decode(&answer[2], 0).expect("a definition").name, b"u");
    }
}
