//! What a statement leaves to be asked for: ROW_COUNT(), FOUND_ROWS(), warnings, errors. Scripts run on a server directly,
//! on one shard, and on two, where other sessions use the same backends in between; all must give the same answers.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};

use super::{Split, direct};
use crate::bed::{Database, MeshConfig, ServerKind};

/// What follows a statement: questions about it, each on its own.
const QUESTIONS: [&str; 9] = [
    "SELECT ROW_COUNT()",
    "SHOW WARNINGS",
    "SELECT FOUND_ROWS(), @@warning_count + 0, @@session.error_count + 0",
    "SHOW ERRORS",
    "SHOW COUNT(*) WARNINGS",
    "SELECT @@error_count + 0 AS e, 'x' AS x",
    "SHOW WARNINGS LIMIT 1, 5",
    "GET DIAGNOSTICS @n = NUMBER; GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT, @e = MYSQL_ERRNO, @s = RETURNED_SQLSTATE; SELECT @n, @m, @e, @s",
    "SET @r = ROW_COUNT(), @f = FOUND_ROWS(); SELECT @r, @f",
];

const STATEMENTS: [&str; 27] = [
    "SELECT id FROM t WHERE id = 1",
    "SELECT id FROM t ORDER BY id",
    "SELECT id FROM t ORDER BY id LIMIT 3",
    "SELECT id FROM t WHERE id = 1 AND n > 1000",
    "UPDATE t SET n = n + 1 WHERE id = 1",
    "UPDATE t SET n = n WHERE id = 1",
    "SELECT nothing FROM t WHERE id = 1",
    "SELEC 1",
    "SELECT 1 / 0 FROM t WHERE id = 1",
    "SELECT 1 / 0",
    "UPDATE t SET n = 'abc' WHERE id = 2",
    "UPDATE t SET n = '7x' WHERE id = 2; COMMIT",
    "UPDATE t SET n = '7x' WHERE id = 2; SELECT 1",
    "UPDATE t SET n = '7x' WHERE id = 2; SELECT n FROM t WHERE id = 1",
    "UPDATE t SET n = '7x' WHERE id = 2; SET @a = 1",
    "BEGIN; UPDATE t SET n = '7x' WHERE id = 2",
    "UPDATE t SET n = '7x' WHERE id = 3; COMMIT",
    "BEGIN; UPDATE t SET n = 5 WHERE id = 2; UPDATE t SET n = nothing WHERE id = 3",
    "ROLLBACK",
    "INSERT INTO t (id, n) VALUES (1, 1)",
    "INSERT IGNORE INTO t (id, n) VALUES (1, 1)",
    "SET @x = 5",
    "SET nothing = 5",
    "SELECT n INTO @x FROM t WHERE id = 5",
    "DROP TABLE IF EXISTS nothing",
    "CREATE TEMPORARY TABLE IF NOT EXISTS tmp (a INT)",
    "DO 1",
];

/// Rows, or the error, of the last statement of a text.
async fn answer(session: &mut Conn, sql: &str) -> String {
    let mut answer = Ok(Vec::new());
    for part in sql.split("; ") {
        answer = session.query::<Row, _>(part).await;
    }
    match answer {
        Ok(rows) => format!("{:?}", rows.into_iter().map(Row::unwrap).collect::<Vec<_>>()),
        Err(error) => format!("{error}"),
    }
}

async fn prepared(session: &mut Conn, sql: &str) -> String {
    let rows: Result<Vec<Row>, _> = session.exec(sql, ()).await;
    format!("{:?}", rows.map(|rows| rows.into_iter().map(Row::unwrap).collect::<Vec<_>>()))
}

/// Asks every question after every statement. `disturb` runs in between.
async fn script(session: &mut Conn, mut disturb: Option<&mut Conn>) -> Vec<String> {
    let mut seen = Vec::new();
    for mode in ["STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO", "ERROR_FOR_DIVISION_BY_ZERO"] {
        for statement in STATEMENTS {
            session.reset().await.unwrap();
            session.query_drop(format!("SET sql_mode = '{mode}'")).await.unwrap();
            for question in QUESTIONS {
                // What is found before does not depend on the question before.
                session.query_drop("SELECT id FROM t WHERE id IN (1, 2, 3) AND id < 3").await.unwrap();
                let done = answer(session, statement).await;
                if let Some(other) = &mut disturb {
                    other.query_drop("SELECT id FROM t WHERE id = 9").await.unwrap();
                    answer(other, "UPDATE t SET n = 'zzz' WHERE id = 9").await;
                }
                seen.push(format!("{mode}: {statement}: {done}: {question}: {}", answer(session, question).await));
            }
            answer(session, statement).await;
            for question in ["SELECT ROW_COUNT(), FOUND_ROWS()", "SHOW WARNINGS", "SELECT @@warning_count + 0"] {
                seen.push(format!("{mode}: {statement}: {question}: {}", prepared(session, question).await));
            }
        }
    }
    seen
}

#[tokio::test]
async fn what_a_statement_left_is_the_sessions_wherever_the_backend_went() {
    let reference = Database::new(ServerKind::MariaDb, 1).await;
    reference.everywhere("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, s LONGTEXT)").await;
    let rows: Vec<String> = (1..=40).map(|id| format!("({id}, {id})")).collect();
    let rows = format!("INSERT INTO t (id, n) VALUES {}", rows.join(", "));
    reference.everywhere(&rows).await;
    let mut server = direct(&reference.shards[0], &reference.name).await;
    let expected = script(&mut server, None).await;

    let whole = Database::new(ServerKind::MariaDb, 1).await;
    whole.everywhere("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, s LONGTEXT)").await;
    whole.everywhere(&rows).await;
    let mesh = MeshConfig::with(&whole).section("[pool]\nsize_max = 2\nsize_min = 0").start();
    let (mut session, mut other) = (mesh.mysql(&whole.name).await, mesh.mysql(&whole.name).await);
    same(&script(&mut session, Some(&mut other)).await, &expected, &whole.name, &reference.name);

    let split = Split::new(|config| config.section("[pool]\nsize_max = 2\nsize_min = 0")).await;
    let (mut session, mut other) = (split.session().await, split.session().await);
    session.query_drop("SET @@dbmesh_transaction_type = LOCAL").await.unwrap();
    same(&script(&mut session, Some(&mut other)).await, &expected, &split.database.name, &reference.name);
}

#[track_caller]
fn same(found: &[String], expected: &[String], name: &str, reference: &str) {
    for (found, expected) in found.iter().zip(expected) {
        let found = found
            .replace(&format!("`{name}`"), &format!("`{reference}`"))
            .replace(&format!("{name}."), &format!("{reference}."));
        assert_eq!(found, *expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn all_rows_are_counted_on_request() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE t (id INT PRIMARY KEY)").await;
    database.everywhere("INSERT INTO t VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9)").await;
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 1\nsize_min = 0").start();
    let (mut session, mut other) = (mesh.mysql(&database.name).await, mesh.mysql(&database.name).await);
    for sql in ["SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 3", "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 2, 3"] {
        let rows: Vec<i64> = session.query(sql).await.unwrap();
        assert_eq!(rows.len(), 3);
        other.query_drop("SELECT id FROM t LIMIT 1").await.unwrap();
        assert_eq!(session.query_first::<u64, _>("SELECT FOUND_ROWS()").await.unwrap(), Some(9), "{sql}");
        assert_eq!(session.query_first::<u64, _>("SELECT FOUND_ROWS()").await.unwrap(), Some(1), "{sql}");
        let rows: Vec<i64> = session.exec(sql, ()).await.unwrap();
        assert_eq!(rows.len(), 3);
        other.query_drop("SELECT id FROM t LIMIT 1").await.unwrap();
        let found: Option<(u64, String)> = session.exec_first("SELECT FOUND_ROWS(), 'x'", ()).await.unwrap();
        assert_eq!(found, Some((9, "x".to_owned())), "{sql}");
    }
}
