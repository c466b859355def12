//! Statements without any wire.
#![allow(clippy::expect_used)]

use super::*;

fn session(protocol: Protocol) -> AdminSession {
    AdminSession::new(fixed(), 3, "admin", protocol)
}

async fn rows(session: &mut AdminSession, sql: &str) -> AdminRows {
    match session.run(sql).await {
        (mut answers, None) => match answers.pop() {
            Some(Answer::Rows(rows)) => rows,
            other => panic!("{sql}: {other:?}"),
        },
        (_, Some(error)) => panic!("{sql}: {error}"),
    }
}

async fn error(sql: &str) -> MeshError {
    let (_, error) = session(Protocol::MySql).run(sql).await;
    error.unwrap_or_else(|| panic!("{sql} is no error"))
}

fn names(rows: &AdminRows) -> Vec<&str> {
    rows.columns.iter().map(|c| c.name.as_str()).collect()
}

#[tokio::test]
async fn every_table_has_the_columns_that_it_describes_in_lower_case() {
    let mut session = session(Protocol::Postgres);
    for (name, _) in grammar::Show::ALL {
        let sql = format!("show {name};");
        let found = rows(&mut session, &sql).await;
        assert_eq!(session.describe(&sql).expect("valid"), Some(found.columns.clone()), "{name}");
        assert!(!found.rows.is_empty() && found.rows.iter().all(|r| r.len() == found.columns.len()), "{name}");
        let lower = |n: &&str| n.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(names(&found).iter().all(lower), "{name}");
        for (row, column) in found.rows.iter().flat_map(|r| r.iter().zip(&found.columns)) {
            let fits = match row {
                Value::Null => true,
                Value::Text(_) => column.kind == ColumnKind::Text,
                Value::Integer(_) => column.kind == ColumnKind::Integer,
            };
            assert!(fits, "{name}.{} holds {row:?}", column.name);
        }
    }
}

#[tokio::test]
async fn column_names_stay_the_same() {
    let mut session = session(Protocol::MySql);
    let expected = [
        ("version", "version uptime_seconds workers config_file"),
        ("config", "name value default_value reload help"),
        ("users", "user auth databases transaction_type"),
        ("databases", "database protocol shards tables default_shard transaction_type"),
        ("shards", "shard database protocol server address server_database is_default state version error"),
        ("tables", "table schema database protocol type key function shards declared"),
        ("sessions", "id protocol user database application client state age_seconds statements pinned pinned_ms"),
        ("backends", "id shard database protocol user state session in_state_ms age_seconds leases"),
        ("plans", "statement database protocol kind hits bytes"),
    ];
    for (table, columns) in expected {
        assert_eq!(names(&rows(&mut session, &format!("SHOW {table}")).await).join(" "), columns);
    }
}

#[tokio::test]
async fn config_shows_every_setting_and_no_secret() {
    let found = rows(&mut session(Protocol::MySql), "SHOW CONFIG").await;
    let shown = format!("{found:?}");
    assert!(!shown.contains("app-secret") && shown.contains("(hidden)"));
    let workers = found.rows.iter().find(|r| r[0] == Value::from("workers")).expect("there");
    assert_eq!(workers[1..4], ["2".into(), "0".into(), "restart".into()]);
}

#[tokio::test]
async fn shards_join_configuration_and_health() {
    let found = rows(&mut session(Protocol::MySql), "SHOW SHARDS").await;
    assert_eq!(
        found.rows[0],
        [
            "s0".into(),
            "shop".into(),
            "mysql".into(),
            "m0".into(),
            "127.0.0.1:3316".into(),
            "shop".into(),
            "yes".into(),
            "down".into(),
            Value::Null,
            "connection refused".into(),
        ]
    );
    assert_eq!(found.rows[1][7], "unknown".into());
}

#[tokio::test]
async fn explain_route_takes_its_database_from_the_statement_or_from_use() {
    let mut session = session(Protocol::MySql);
    let plan = rows(&mut session, "EXPLAIN ROUTE FOR mysql.shop SELECT ';' /* x */ FROM t; ").await;
    assert_eq!(plan.rows, [["mysql.shop: single".into()], ["  SELECT ';' /* x */ FROM t".into()]]);
    let (_, missing) = session.run("explain route select 1").await;
    let text = missing.expect("two databases").to_string();
    assert!(text.ends_with("there are: mysql.shop, postgres.shop"), "{text}");
    let (answers, none) = session.run("USE postgres.shop").await;
    assert_eq!((answers, none), (vec![Answer::Done("USE")], None));
    let plan = rows(&mut session, "explain route select 1").await;
    assert_eq!(plan.rows[0], ["postgres.shop: single".into()]);
    assert_eq!(rows(&mut session, "select database()").await.rows, [["postgres.shop".into()]]);
    let plan = rows(&mut session, "explain route for `mysql.shop` select 1").await;
    assert_eq!(plan.rows[0], ["mysql.shop: single".into()]);
    let (_, none) = session.run("use admin").await;
    assert_eq!(none, None);
    assert!(session.run("explain route select 1").await.1.is_some());
}

#[tokio::test]
async fn databases_that_are_not_there_or_not_clear_are_errors() {
    assert_eq!(error("USE nowhere").await, MeshError::UnknownDatabase("Unknown database 'nowhere'".to_owned()));
    assert_eq!(
        error("USE mysql.nowhere").await,
        MeshError::UnknownDatabase("Unknown database 'mysql.nowhere'".to_owned())
    );
    let both = error("USE shop").await.to_string();
    assert_eq!(both, "'shop' is served by both protocols: expected mysql.shop or postgres.shop");
}

#[tokio::test]
async fn a_wrong_statement_says_what_was_expected() {
    let cases = [
        (
            "FROB",
            "expected SHOW, EXPLAIN ROUTE, USE, RELOAD, KILL SESSION, PAUSE SHARD, RESUME SHARD, SHUTDOWN or HELP, found 'FROB'; HELP lists the statements",
        ),
        (
            "SHOW",
            "expected one of VERSION, CONFIG, USERS, DATABASES, SHARDS, TABLES, POOLS, SESSIONS, BACKENDS, PLANS after SHOW, found the end; HELP lists the statements",
        ),
        (
            "SHOW POOL",
            "expected one of VERSION, CONFIG, USERS, DATABASES, SHARDS, TABLES, POOLS, SESSIONS, BACKENDS, PLANS after SHOW, found 'POOL'; HELP lists the statements",
        ),
        ("SHOW POOLS now", "expected the end of the statement, found 'now'; HELP lists the statements"),
        (
            "EXPLAIN select 1",
            "expected ROUTE after EXPLAIN (EXPLAIN ROUTE [FOR mysql.<database> | FOR postgres.<database>] <sql>), found 'select'; HELP lists the statements",
        ),
        ("EXPLAIN ROUTE FOR mysql.shop ;", "expected the SQL to explain, found ';'; HELP lists the statements"),
        ("USE oracle.shop", "expected mysql or postgres before the dot, found 'oracle'"),
        (
            "KILL 7",
            "expected SESSION and its id (KILL SESSION 7; ids: SHOW SESSIONS), found '7'; HELP lists the statements",
        ),
        ("KILL SESSION x", "expected the id of a session (ids: SHOW SESSIONS), found 'x'; HELP lists the statements"),
        (
            "KILL SESSION 99999999999",
            "expected the id of a session (ids: SHOW SESSIONS), found '99999999999'; HELP lists the statements",
        ),
        ("select * from orders", "the admin interface evaluates no expressions; use SHOW, see HELP for the statements"),
        (
            "select version() from orders",
            "the admin interface has no tables to SELECT from; use SHOW, see HELP for the statements",
        ),
        ("select sleep(1)", "the admin interface evaluates no expressions; use SHOW, see HELP for the statements"),
        ("RELOAD; RELOAD", "expected the end of the statement, found another one behind ';'"),
    ];
    for (sql, expected) in cases {
        let found = error(sql).await;
        assert_eq!(found.to_string(), expected, "{sql}");
        assert_eq!((found.code().errno, found.code().postgres_state), (1064, "42601"), "{sql}");
    }
}

#[tokio::test]
async fn orders_are_carried_out() {
    let source = fixed();
    let mut session = AdminSession::new(Arc::clone(&source) as _, 3, "admin", Protocol::MySql);
    assert_eq!(session.run("KILL SESSION 7").await.0, [Answer::Done("KILL SESSION")]);
    assert_eq!(session.run("KILL SESSION 8").await.1, Some(MeshError::UnknownSession(8)));
    let applied = rows(&mut session, "reload").await.rows;
    assert_eq!(applied, [["pool.size_max".into(), "now".into()], ["workers".into(), "after a restart".into()]]);
    assert!(!source.stopped.load(Ordering::SeqCst));
    assert_eq!(session.run("shutdown;").await.0, [Answer::Done("SHUTDOWN")]);
    assert!(source.stopped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn what_clients_send_by_themselves_is_answered() {
    let mut session = session(Protocol::MySql);
    for sql in [
        "SET NAMES utf8mb4",
        "set autocommit=0",
        "BEGIN",
        "START TRANSACTION READ ONLY",
        "COMMIT",
        "ROLLBACK",
        "DISCARD ALL",
        "RESET ALL",
        "UNLISTEN *",
        "CLOSE ALL",
        "DEALLOCATE ALL",
    ] {
        let (answers, error) = session.run(sql).await;
        assert!(matches!(answers.as_slice(), [Answer::Done(_)]) && error.is_none(), "{sql} {error:?}");
    }
    let comment = rows(&mut session, "select @@version_comment limit 1").await;
    assert_eq!(names(&comment), ["@@version_comment"]);
    assert_eq!(comment.rows, [["dbmesh admin SQL; HELP lists the statements".into()]]);
    let several =
        rows(&mut session, "SELECT DATABASE(), user() AS who, 1, 'a''b', @@session.autocommit, connection_id()").await;
    assert_eq!(names(&several), ["DATABASE()", "who", "1", "'a''b'", "@@session.autocommit", "connection_id()"]);
    let values =
        ["admin".into(), "admin".into(), Value::Integer(1), "a'b".into(), Value::Integer(1), Value::Integer(3)];
    assert_eq!(several.rows, [values]);
    assert!(rows(&mut session, "SHOW VARIABLES LIKE 'lower_case_%'").await.rows.is_empty());
    assert_eq!(rows(&mut session, "show standard_conforming_strings").await.rows, [["on".into()]]);
    assert_eq!(rows(&mut session, "SHOW TRANSACTION ISOLATION LEVEL").await.rows, [["read committed".into()]]);
    assert_eq!(rows(&mut session, "select pg_catalog.current_schema()").await.rows, [["public".into()]]);
}

#[tokio::test]
async fn several_statements_and_none() {
    let mut session = session(Protocol::Postgres);
    let (answers, error) = session.run("RELOAD; ; SHOW USERS; FROB").await;
    // The whole text is read before anything is done.
    assert!(answers.is_empty() && error.is_some());
    let (answers, error) = session.run("SHOW USERS; KILL SESSION 1; SHOW USERS").await;
    assert_eq!((answers.len(), error), (1, Some(MeshError::UnknownSession(1))));
    for nothing in ["", ";", " ; -- nothing\n;", "/* */"] {
        assert_eq!(session.run(nothing).await, (vec![], None));
    }
}

#[tokio::test]
async fn odd_text_never_panics() {
    let words = [
        "SHOW",
        "EXPLAIN",
        "ROUTE",
        "FOR",
        "mysql",
        ".",
        "shop",
        "KILL",
        "SESSION",
        "7",
        "SELECT",
        "@@",
        "(",
        ")",
        ",",
        "AS",
        "LIMIT",
        ";",
        "'",
        "\"",
        "`",
        "-",
        "\u{e9}",
        "\0",
        "/*",
        "pg_catalog",
        "USE",
        "version",
    ];
    let mut session = session(Protocol::Postgres);
    let mut seed = 42_u64;
    for _ in 0..5000 {
        let mut text = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[(seed >> 33) as usize % words.len()]);
            if seed & 0x1_0000 == 0 {
                text.push(' ');
            }
        }
        let described = session.describe(&text);
        let (answers, error) = session.run(&text).await;
        assert!(described.is_ok() || error.is_some() || answers.len() > 1, "{text}");
    }
}

#[tokio::test]
async fn a_shard_is_found_by_its_name_alone_where_only_one_database_has_it() {
    let mut operator = session(Protocol::Postgres);
    let told = error("PAUSE SHARD s0").await.to_string();
    assert_eq!(told, "several databases have a shard 's0': expected FOR mysql.shop or FOR postgres.shop");
    for sql in
        ["pause shard s0 for mysql.shop;", "RESUME SHARD \"s0\" FOR mysql.shop", "USE mysql.shop; PAUSE SHARD s0"]
    {
        let (answers, error) = operator.run(sql).await;
        assert!(error.is_none() && matches!(answers.last(), Some(Answer::Done(_))), "{sql}: {error:?}");
    }
    assert_eq!(error("RESUME SHARD s1").await.to_string(), "Unknown shard 's1' (names: SHOW SHARDS)");
    let told = error("PAUSE SHARD s0 FOR postgres.shop").await;
    assert!(matches!(told, MeshError::ShardInUse { in_use: 2, .. }), "{told}");
    for sql in ["PAUSE", "PAUSE POOL", "RESUME SHARD", "PAUSE SHARD s0 now"] {
        assert!(matches!(error(sql).await, MeshError::Syntax(_)), "{sql}");
    }
}
