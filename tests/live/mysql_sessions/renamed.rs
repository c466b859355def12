//! A logical database whose shards call it otherwise: clients are told its own name wherever a definition of a column has it.

use mysql_async::prelude::Queryable as _;
use protocol::mysql::capability::DEPRECATE_EOF;
use protocol::mysql::column::ColumnDefinition;
use protocol::mysql::command::code;
use protocol::mysql::response::Answer;

use super::wire::Wire;
use crate::bed::{Database, MeshConfig, ServerKind};

const LOGICAL: &str = "the_logical_one";

/// Schema and label of the first column of an answer.
fn told(packet: &[u8]) -> (String, String) {
    let column = ColumnDefinition::decode(packet, 0).expect("a definition");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(column.schema), text(column.name))
}

#[tokio::test]
async fn definitions_and_headings_have_the_logical_name() {
    // It is there to declare the servers.
    let other = Database::new(ServerKind::MariaDb, 2).await;
    for shards in [1, 2] {
        let physical = Database::new(ServerKind::MariaDb, shards).await;
        physical.everywhere("CREATE TABLE t (id INT PRIMARY KEY, n INT)").await;
        let name = &physical.name;
        let mut section = format!("[[database]]\nname = \"{LOGICAL}\"\nprotocol = \"mysql\"\n");
        for (shard, server) in physical.shards.iter().enumerate() {
            section += &format!(
                "[[database.shard]]\nname = \"s{shard}\"\nserver = \"{}\"\ndatabase = \"{name}\"\n",
                server.name
            );
        }
        section += "[[database.table]]\nname = \"t\"\ntype = \"sharded\"\nkey = [\"id\"]\n";
        let mesh = MeshConfig::with(&other).section(&section).start();
        let _log = mesh.show_log_on_failure();
        for deprecate_eof in [true, false] {
            let mut wire = Wire::connect(mesh.addresses.mysql).await;
            if !deprecate_eof {
                wire.without(DEPRECATE_EOF);
            }
            wire.log_in("mysql_native_password", "app", LOGICAL).await.expect("a login");
            let tables = ("information_schema".to_owned(), format!("Tables_in_{LOGICAL}"));
            let own = |label: &str| (LOGICAL.to_owned(), label.to_owned());
            for (sql, expected) in [
                ("SHOW TABLES", tables.clone()),
                ("SHOW FULL TABLES", tables.clone()),
                ("SHOW TABLES LIKE 't%'", (tables.0.clone(), format!("Tables_in_{LOGICAL} (t%)"))),
                ("SELECT id FROM t WHERE id = 1", own("id")),
                ("SELECT t.id AS a, n FROM t ORDER BY id", own("a")),
                ("SELECT 1 AS a", (String::new(), "a".to_owned())),
            ] {
                let answer = wire.whole(code::QUERY, sql.as_bytes(), Answer::Query).await;
                assert_eq!(told(&answer[1]), expected, "{sql}, {shards} shards");
            }
            let sql = b"SELECT id, n FROM t WHERE id = 1";
            let answer = wire.whole(code::STATEMENT_PREPARE, sql, Answer::StatementPrepare).await;
            assert_eq!(told(&answer[1]), own("id"), "prepared");
            let execute = [&answer[0][1..5], &[0, 1, 0, 0, 0]].concat();
            let answer = wire.whole(code::STATEMENT_EXECUTE, &execute, Answer::Execute).await;
            assert_eq!(told(&answer[2]), own("n"), "executed");
            let answer = wire.whole(code::FIELD_LIST, b"t\0", Answer::FieldList).await;
            assert_eq!((told(&answer[0]), told(&answer[1])), (own("id"), own("n")));
        }
        let mut session = mesh.mysql(LOGICAL).await;
        let current: Option<String> = session.query_first("SELECT DATABASE()").await.expect("an answer");
        assert_eq!(current.as_deref(), Some(LOGICAL));
    }
}
