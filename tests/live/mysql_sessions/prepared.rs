//! Prepared statements and the settings of the session: what MySQL fixes at PREPARE stays so on whatever backend runs the
//! statement, everything else is as the session is set when it runs. Each script runs on a server directly as well.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row, Statement, Value};

use super::{Split, code as code_of, direct};
use crate::bed::{Database, MeshConfig, ServerKind};

/// Rows of an execution, or the code of its error.
async fn run(session: &mut Conn, statement: &Statement, parameters: Vec<Value>) -> String {
    let rows: Result<Vec<Row>, _> = session.exec(statement, parameters).await;
    match rows {
        Ok(rows) => format!("{:?}", rows.into_iter().map(Row::unwrap).collect::<Vec<_>>()),
        Err(error) => format!("error {}", code_of::<()>(Err(error))),
    }
}

/// Runs statements under other settings than they were prepared under.
async fn script(session: &mut Conn, elsewhere: &str, busy: Option<&mut Conn>) -> Vec<String> {
    let escapes = session.prep("SELECT 'a\\nb', LENGTH('a\\\\'), \"x\", ?").await.unwrap();
    let names = session.prep("SELECT v, DATABASE() FROM p WHERE id = ?").await.unwrap();
    let strict = session.prep("UPDATE p SET id = ? WHERE id = 99 OR v = 'strict'").await.unwrap();
    let pipes = session.prep("SELECT 1 || ?").await.unwrap();
    session.query_drop("SET NAMES latin1").await.unwrap();
    let latin = session.prep(&b"SELECT HEX('\xe9'), HEX(CONCAT(?, ''))"[..]).await.unwrap();
    session.query_drop("SET NAMES utf8mb4").await.unwrap();
    if let Some(busy) = busy {
        busy.query_drop("BEGIN").await.unwrap();
        busy.query_drop("SELECT COUNT(*) FROM p").await.unwrap();
    }
    let mut seen = Vec::new();
    let settings = [
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'".to_owned(),
        format!("USE {elsewhere}"),
        "SET sql_mode = 'STRICT_ALL_TABLES'".to_owned(),
        "SET NAMES latin1".to_owned(),
        "SET sql_mode = DEFAULT".to_owned(),
    ];
    for setting in settings {
        session.query_drop(setting).await.unwrap();
        seen.push(run(session, &escapes, vec![Value::from(7)]).await);
        seen.push(run(session, &names, vec![Value::from(1)]).await);
        seen.push(run(session, &strict, vec![Value::from("abc")]).await);
        seen.push(run(session, &pipes, vec![Value::from(0)]).await);
        seen.push(run(session, &latin, vec![Value::Bytes(b"\xe9".to_vec())]).await);
        // The session itself is as it was set.
        seen.push(format!(
            "{:?}",
            session.query_first::<Row, _>("SELECT @@sql_mode, @@character_set_client, DATABASE()").await
        ));
    }
    seen
}

#[tokio::test]
async fn a_statement_keeps_what_it_was_prepared_under_wherever_it_runs() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let other = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE p (id INT, v TEXT)").await;
    database.everywhere("INSERT INTO p VALUES (1, 'here'), (2, 'strict')").await;
    other.everywhere("CREATE TABLE p (id INT, v TEXT)").await;
    other.everywhere("INSERT INTO p VALUES (1, 'elsewhere')").await;
    let mesh = MeshConfig::with(&database).and(&other).section("[pool]\nsize_max = 2\nsize_min = 0").start();
    for elsewhere in [&other.name, "information_schema"] {
        let mut server = direct(&database.shards[0], &database.name).await;
        let expected = script(&mut server, elsewhere, None).await;
        assert!(expected[0].contains("Int(2)") && expected[7].contains("here"), "{expected:?}");
        let mut session = mesh.mysql(&database.name).await;
        assert_eq!(script(&mut session, elsewhere, None).await, expected, "where it was prepared");
        // Once more, on a backend that has none of the statements: another session keeps the first one busy.
        let (mut session, mut busy) = (mesh.mysql(&database.name).await, mesh.mysql(&database.name).await);
        assert_eq!(script(&mut session, elsewhere, Some(&mut busy)).await, expected, "on another backend");
        busy.query_drop("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn a_sharded_statement_is_planned_as_it_was_prepared() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let count = session.prep("SELECT COUNT(*) FROM t WHERE s = 'a\\'b' OR id > ?").await.unwrap();
    let point = session.prep("SELECT n, \"x\" FROM t WHERE id = ?").await.unwrap();
    let write = session.prep("UPDATE t SET s = 'a\\nb' WHERE id = ?").await.unwrap();
    let name = &split.database.name;
    for setting in [
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "SET NAMES latin1",
        "USE information_schema",
        "SET sql_mode = DEFAULT",
        &format!("USE {name}"),
    ] {
        session.query_drop(setting).await.unwrap();
        let counted: Option<i64> = session.exec_first(&count, (0,)).await.unwrap();
        assert_eq!(counted, Some(40), "{setting}");
        for id in split.ids {
            let row: Option<(i64, String)> = session.exec_first(&point, (id,)).await.unwrap();
            assert_eq!(row, Some((id, "x".to_owned())), "{setting}");
            session.query_drop(format!("UPDATE {name}.t SET s = '' WHERE id = {id}")).await.unwrap();
            session.exec_drop(&write, (id,)).await.unwrap();
            let length = format!("SELECT LENGTH(s) FROM {name}.t WHERE id = {id}");
            assert_eq!(session.query_first::<i64, _>(length).await.unwrap(), Some(3), "{setting}");
        }
        // In a transaction as well, on whatever it holds.
        session.query_drop("BEGIN").await.unwrap();
        let row: Option<(i64, String)> = session.exec_first(&point, (split.ids[1],)).await.unwrap();
        assert_eq!(row, Some((split.ids[1], "x".to_owned())), "{setting}");
        session.query_drop("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_of_another_sharded_database_is_refused() {
    let split = Split::new(|config| config).await;
    let other = Database::new(ServerKind::MariaDb, 1).await;
    let mesh = MeshConfig::with(&split.database).and(&other).start();
    let mut session = mesh.mysql(&split.database.name).await;
    let point = session.prep("SELECT n FROM t WHERE id = ?").await.unwrap();
    session.query_drop(format!("USE {}", other.name)).await.unwrap();
    assert_eq!(code_of(session.exec_drop(&point, (1,)).await), 1235);
    session.query_drop(format!("USE {}", split.database.name)).await.unwrap();
    let row: Option<i64> = session.exec_first(&point, (split.ids[0],)).await.unwrap();
    assert_eq!(row, Some(split.ids[0]));
}
