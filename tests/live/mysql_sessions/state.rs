//! State of a session that is more than settings: temporary tables, no database, ids, variables, names of ours.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};

use super::{Split, code, message};

async fn without_database(split: &Split) -> Conn {
    let options: OptsBuilder = split.mesh.mysql_options(&split.database.name).db_name(None::<String>);
    Conn::new(options).await.expect("a session without a database")
}

#[tokio::test]
async fn a_temporary_table_stays_with_its_session_and_its_backend() {
    let split = Split::new(|config| config).await;
    let (mut session, mut other) = (split.session().await, split.session().await);
    session.query_drop("CREATE TEMPORARY TABLE mine (id INT)").await.unwrap();
    session.query_drop("INSERT INTO mine VALUES (1), (2)").await.unwrap();
    for id in split.ids {
        // Statements about other shards run beside it.
        let n: Option<i64> = session.query_first(format!("SELECT n FROM t WHERE id = {id}")).await.unwrap();
        assert_eq!(n, Some(id));
    }
    let count: Option<i64> = session.query_first("SELECT COUNT(*) FROM mine").await.unwrap();
    assert_eq!(count, Some(2));
    let count: Option<i64> = session.exec_first("SELECT COUNT(*) FROM mine WHERE id > ?", (1,)).await.unwrap();
    assert_eq!(count, Some(1));
    let name = &split.database.name;
    let count: Option<i64> = session.query_first(format!("SELECT COUNT(*) FROM {name}.mine")).await.unwrap();
    assert_eq!(count, Some(2));
    assert_eq!(code(other.query_drop("SELECT * FROM mine").await), 1146);
    // One that would hide a sharded table is refused, in every form.
    for sql in ["CREATE TEMPORARY TABLE t (id INT)", "CREATE TEMPORARY TABLE mine2 LIKE t"] {
        assert_eq!(code(session.query_drop(sql).await), 1235, "{sql}");
    }
    let count: Option<i64> = session.query_first("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(count, Some(40));
    session.query_drop("DROP TEMPORARY TABLE mine").await.unwrap();
    assert_eq!(code(session.query_drop("SELECT * FROM mine").await), 1146);
}

#[tokio::test]
async fn a_session_without_a_database_needs_names_with_one() {
    let split = Split::new(|config| config).await;
    let name = &split.database.name;
    let mut session = without_database(&split).await;
    let [first, second] = split.ids;
    for sql in [
        "SELECT * FROM t WHERE id = 1".to_owned(),
        "SELECT COUNT(*) FROM t".to_owned(),
        "INSERT INTO t VALUES (100, 1, '')".to_owned(),
        "DELETE FROM t WHERE id = 1".to_owned(),
    ] {
        assert_eq!(code(session.query_drop(&sql).await), 1046, "{sql}");
    }
    for id in [first, second] {
        let n: Option<i64> = session.query_first(format!("SELECT n FROM {name}.t WHERE id = {id}")).await.unwrap();
        assert_eq!(n, Some(id));
        let n: Option<i64> = session.exec_first(format!("SELECT n FROM `{name}`.t WHERE id = ?"), (id,)).await.unwrap();
        assert_eq!(n, Some(id));
    }
    let all: Vec<i64> = session.query(format!("SELECT n FROM {name}.t ORDER BY n")).await.unwrap();
    assert_eq!(all, (1..=40).collect::<Vec<_>>());
    session.query_drop(format!("USE {name}")).await.unwrap();
    let count: Option<i64> = session.query_first("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(count, Some(40));
    // A schema of the server's own hides the tables of the database.
    session.query_drop("USE information_schema").await.unwrap();
    assert_eq!(code(session.query_drop("SELECT * FROM t").await), 1109);
    let count: Option<i64> = session.query_first(format!("SELECT COUNT(*) FROM {name}.t")).await.unwrap();
    assert_eq!(count, Some(40));
}

#[tokio::test]
async fn a_computed_variable_is_not_read_where_it_is_not() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let [first, second] = split.ids;
    session.query_drop("SET @plain = 7").await.unwrap();
    for id in split.ids {
        let n: Option<i64> = session.query_first(format!("SELECT n + @plain FROM t WHERE id = {id}")).await.unwrap();
        assert_eq!(n, Some(id + 7), "a literal goes along to every shard");
    }
    session.query_drop(format!("SELECT n INTO @x FROM t WHERE id = {first}")).await.unwrap();
    let x: Option<i64> = session.query_first("SELECT @x").await.unwrap();
    assert_eq!(x, Some(first));
    for sql in [
        "SELECT n FROM t WHERE n <= @x ORDER BY n".to_owned(),
        format!("SELECT n FROM t WHERE id = {second} AND n <> @x"),
        "SELECT COUNT(*) FROM t WHERE n = @x".to_owned(),
    ] {
        assert_eq!(code(session.query_drop(&sql).await), 1235, "{sql}");
    }
}

#[tokio::test]
async fn what_is_set_for_one_statement_is_not_the_sessions() {
    let split = Split::new(|config| config.section("[pool]\nsize_max = 1\nsize_min = 0")).await;
    let [one, other] = split.ids;
    let mut session = split.session().await;
    session.query_drop("SET max_statement_time = 7").await.unwrap();
    let modes: Option<String> = session.query_first("SELECT @@sql_mode").await.unwrap();
    let for_one = "SET STATEMENT sql_mode = 'ANSI_QUOTES', max_statement_time = 4 FOR";
    // The answers of these tell the server's variables as they are while the statement runs.
    for sql in ["SELECT @@max_statement_time", "SELECT \"x\"", "UPDATE undeclared_nowhere SET a = 1"] {
        session.query_drop(format!("{for_one} {sql}")).await.ok();
        assert_eq!(session.query_first::<String, _>("SELECT \"x\"").await.unwrap().as_deref(), Some("x"));
        for id in [one, other] {
            let sql = format!("SELECT @@max_statement_time, @@sql_mode FROM t WHERE id = {id}");
            let found: Option<(String, String)> = session.query_first(sql).await.unwrap();
            assert_eq!(found, Some(("7.000000".to_owned(), modes.clone().unwrap())));
        }
    }
    let refused = session.query_drop(format!("{for_one} SELECT COUNT(*) FROM t")).await;
    assert_eq!(code(refused), 1235, "over several shards");
    let mut later = split.session().await;
    let found: Option<String> = later.query_first("SELECT @@max_statement_time").await.unwrap();
    assert_eq!(found.as_deref(), Some("0.000000"), "another session on the same backend");
}

#[tokio::test]
async fn last_insert_id_is_that_of_one_server() {
    let split = Split::new(|config| config).await;
    split
        .database
        .on_shard(0, "CREATE TABLE auto (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 500")
        .await;
    let mut session = split.session().await;
    let last = "SELECT LAST_INSERT_ID()";
    session.query_drop("INSERT INTO auto (v) VALUES (1)").await.unwrap();
    assert_eq!(session.query_first::<u64, _>(last).await.unwrap(), Some(500));
    session.query_drop("INSERT INTO auto (id, v) VALUES (700, 1)").await.unwrap();
    assert_eq!(session.query_first::<u64, _>(last).await.unwrap(), Some(500), "700 was given, not made");
    session.exec_drop("INSERT INTO auto (id, v) VALUES (?, 1)", (800,)).await.unwrap();
    assert_eq!(session.query_first::<u64, _>(last).await.unwrap(), Some(500));
    session.exec_drop("INSERT INTO auto (v) VALUES (?)", (9,)).await.unwrap();
    assert_eq!(session.query_first::<u64, _>(last).await.unwrap(), Some(801));
    session.query_drop("UPDATE auto SET id = LAST_INSERT_ID(id + 100) WHERE id = 801").await.unwrap();
    assert_eq!(session.query_first::<u64, _>(last).await.unwrap(), Some(901));
    let mut other = split.session().await;
    assert_eq!(other.query_first::<u64, _>(last).await.unwrap(), Some(0), "nobody else's");
}

#[tokio::test]
async fn the_id_of_the_session_is_ours_wherever_it_stands() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let id = u64::from(session.id());
    for sql in ["SELECT CONNECTION_ID()", "SELECT connection_id() + 0", "SELECT * FROM (SELECT CONNECTION_ID()) AS x"] {
        assert_eq!(session.query_first::<u64, _>(sql).await.unwrap(), Some(id), "{sql}");
        assert_eq!(session.exec_first::<u64, _, _>(sql, ()).await.unwrap(), Some(id), "{sql}");
    }
    let both: Option<(u64, String)> = session.query_first("SELECT Connection_ID(), 'x'").await.unwrap();
    assert_eq!(both, Some((id, "x".to_owned())));
    let result = session.query_iter("SELECT 1, Connection_ID() FROM t WHERE id = 1").await.unwrap();
    let labels: Vec<String> = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    drop(result);
    assert_eq!(labels, ["1", "Connection_ID()"]);
    assert_eq!(
        session.query_first::<i64, _>("SELECT COUNT(*) FROM t WHERE CONNECTION_ID() > 0").await.unwrap(),
        Some(40)
    );
}

#[tokio::test]
async fn what_is_read_one_way_is_not_run_another() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    // Two statements under the old sql_mode are three under the new one.
    let sql = r"SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT ''; DELETE FROM t -- '";
    let error = session.query_iter(sql).await.expect("the SET").drop_result().await;
    assert_eq!(code(error), 1235);
    assert_eq!(session.query_first::<i64, _>("SELECT COUNT(*) FROM t").await.unwrap(), Some(40));
}

#[tokio::test]
async fn a_refusal_says_how_to_accept_it() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let text = message(session.query_drop("INSERT INTO t (id) VALUES (101), (102), (103), (104), (105), (106)").await);
    assert!(text.contains("SET @@dbmesh_transaction_type = LOCAL"), "{text}");
}

#[tokio::test]
async fn variables_that_change_what_is_read_stay_on_one_shard() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let [first, _] = split.ids;
    session.query_drop("SET sql_select_limit = 3").await.unwrap();
    assert_eq!(code(session.query_drop("SELECT id FROM t").await), 1235);
    let found: Vec<i64> = session.query(format!("SELECT n FROM t WHERE id = {first}")).await.unwrap();
    assert_eq!(found, [first]);
    session.query_drop("SET sql_select_limit = DEFAULT").await.unwrap();
    let all: Vec<i64> = session.query("SELECT id FROM t").await.unwrap();
    assert_eq!(all.len(), 40);
    session.query_drop("SET sql_auto_is_null = 1").await.unwrap();
    assert_eq!(code(session.query_drop("SELECT id FROM t WHERE id IS NULL").await), 1235);
}
