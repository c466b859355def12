//! Verbs of both dialects.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::lexer::tests::scanned;

fn read(sql: &str, dialect: Dialect) -> Option<Verb> {
    let scan = scanned(sql.as_bytes(), dialect);
    verb(sql.as_bytes(), scan.statements()[0].span, dialect).unwrap()
}

fn my(sql: &str) -> Option<Verb> {
    read(sql, Dialect::MYSQL)
}

fn pg(sql: &str) -> Option<Verb> {
    read(sql, Dialect::POSTGRES)
}

fn assignments(verb: Option<Verb>) -> Vec<(Scope, Target, ValueShape, String)> {
    let Some(Verb::Set(list)) = verb else { panic!("no SET: {verb:?}") };
    let plain = |a: &Assignment| String::from_utf8_lossy(&a.plain).into_owned();
    list.iter().map(|a| (a.scope, a.target.clone(), a.shape, plain(a))).collect()
}

fn setting(name: &str) -> Target {
    Target::Setting(name.as_bytes().to_vec())
}

#[test]
fn beginnings() {
    let plain = Verb::Begin(TransactionModes::default());
    for sql in ["BEGIN", "begin work", "START TRANSACTION", "/* x */ begin;"] {
        assert_eq!(my(sql).as_ref(), Some(&plain), "{sql}");
        assert_eq!(pg(sql).as_ref(), Some(&plain), "{sql}");
    }
    assert_eq!(pg("begin transaction"), Some(plain));
    assert_eq!(my("begin transaction"), None);
    let snapshot = TransactionModes { consistent_snapshot: true, read_only: Some(true), ..Default::default() };
    assert_eq!(my("start transaction with consistent snapshot, read only"), Some(Verb::Begin(snapshot)));
    assert_eq!(my("start transaction read only read write"), None);
    assert_eq!(my("start transaction isolation level serializable"), None);
    assert_eq!(my("begin not atomic select 1; end"), None);
    let modes = TransactionModes {
        isolation: Some(Isolation::RepeatableRead),
        read_only: Some(false),
        deferrable: Some(false),
        consistent_snapshot: false,
    };
    for sql in [
        "begin isolation level repeatable read read write not deferrable",
        "start transaction isolation level repeatable read, read write, not deferrable",
    ] {
        assert_eq!(pg(sql), Some(Verb::Begin(modes)), "{sql}");
    }
    assert_eq!(pg("begin isolation level chaos"), None);
}

#[test]
fn ends() {
    let done = |chain, release| Completion { chain, release };
    assert_eq!(my("commit"), Some(Verb::Commit(Completion::default())));
    assert_eq!(my("commit work and no chain release"), Some(Verb::Commit(done(Some(false), Some(true)))));
    assert_eq!(my("rollback and chain no release"), Some(Verb::Rollback(done(Some(true), Some(false)))));
    assert_eq!(my("commit and chain release"), None);
    assert_eq!(my("end"), None);
    assert_eq!(pg("end transaction and chain"), Some(Verb::Commit(done(Some(true), None))));
    assert_eq!(pg("ABORT"), Some(Verb::Rollback(Completion::default())));
    assert_eq!(pg("commit release"), None);
    assert_eq!(pg("commit prepared 'a''b'"), Some(Verb::CommitPrepared(b"a'b".to_vec())));
    assert_eq!(pg("rollback prepared 'x'"), Some(Verb::RollbackPrepared(b"x".to_vec())));
    assert_eq!(pg("prepare transaction 'x'"), Some(Verb::PrepareTransaction(b"x".to_vec())));
    assert_eq!(my("xa prepare 'x'"), Some(Verb::Xa(Xa::Prepare)));
    assert_eq!(pg("xa prepare 'x'"), None);
}

#[test]
fn savepoints_fold_as_the_server_does() {
    let name = |verb: Option<Verb>| match verb {
        Some(Verb::Savepoint(name) | Verb::RollbackTo(name) | Verb::Release(name)) => {
            (String::from_utf8(name.text).unwrap(), String::from_utf8(name.key).unwrap())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(name(my("savepoint `A b`")), ("A b".into(), "a b".into()));
    assert_eq!(name(my("rollback work to savepoint X")), ("X".into(), "x".into()));
    assert_eq!(name(my("rollback to x")), ("x".into(), "x".into()));
    assert_eq!(name(my("release savepoint x")), ("x".into(), "x".into()));
    assert_eq!(my("release x"), None);
    assert_eq!(name(pg("savepoint A")), ("a".into(), "a".into()));
    assert_eq!(name(pg("savepoint \"A\"\"\"")), ("A\"".into(), "A\"".into()));
    assert_eq!(name(pg("rollback transaction to A")), ("a".into(), "a".into()));
    assert_eq!(name(pg("release a")), ("a".into(), "a".into()));
    assert_eq!(name(pg("release savepoint")), ("savepoint".into(), "savepoint".into()));
    let long = "x".repeat(80);
    assert_eq!(name(pg(&format!("savepoint {long}"))).0.len(), 63);
}

#[test]
fn set_transaction() {
    let read_committed = TransactionModes { isolation: Some(Isolation::ReadCommitted), ..Default::default() };
    let set = |scope, modes| Some(Verb::SetTransaction { scope, modes, snapshot: false });
    assert_eq!(my("set transaction isolation level read committed"), set(Scope::Default, read_committed));
    assert_eq!(my("set session transaction isolation level read committed"), set(Scope::Session, read_committed));
    assert_eq!(my("set local transaction isolation level read committed"), set(Scope::Session, read_committed));
    assert_eq!(my("set global transaction isolation level read committed"), set(Scope::Global, read_committed));
    let characteristics = "set session characteristics as transaction isolation level read committed";
    assert_eq!(pg(characteristics), set(Scope::Session, read_committed));
    assert_eq!(pg("set transaction isolation level read committed"), set(Scope::Default, read_committed));
    let snapshot = pg("set transaction snapshot '0001'");
    assert!(matches!(snapshot, Some(Verb::SetTransaction { snapshot: true, .. })));
}

#[test]
fn mysql_assignments() {
    use ValueShape as V;
    let one = |sql: &str| assignments(my(sql)).remove(0);
    assert_eq!(one("set autocommit=0"), (Scope::Default, setting("autocommit"), V::Literal, "0".into()));
    assert_eq!(one("SET SESSION Sql_Mode := 'A,B'"), (Scope::Session, setting("sql_mode"), V::Literal, "A,B".into()));
    assert_eq!(one("set @@global.x = ON"), (Scope::Global, setting("x"), V::Word, "ON".into()));
    assert_eq!(one("set @@x = -1"), (Scope::Default, setting("x"), V::Literal, "-1".into()));
    assert_eq!(one("set persist x = default"), (Scope::Persist, setting("x"), V::Default, String::new()));
    assert_eq!(one("set names utf8mb4"), (Scope::Session, Target::Names, V::Word, "utf8mb4".into()));
    assert_eq!(one("set names 'utf8' collate utf8_bin").3, "utf8");
    assert_eq!(one("set names default").2, V::Default);
    assert_eq!(one("set character set latin1").1, Target::CharacterSet);
    assert_eq!(one("set charset 'latin1'").1, Target::CharacterSet);
    assert_eq!(one("set @A = 'x'"), (Scope::Session, Target::UserVariable(b"a".to_vec()), V::Literal, "x".into()));
    assert_eq!(one("set @`a b` = null").2, V::Null);
    assert_eq!(one("set @a = (select max(a), 5 from t)").2, V::Expression);
    assert_eq!(one("set sql_mode = concat(@@sql_mode, ',X')").2, V::Expression);
    assert_eq!(one("set local = 5"), (Scope::Default, setting("local"), V::Literal, "5".into()));
    let sql = "set a = 1, session b = f(1, 2), @c = 3, names utf8";
    let list = assignments(my(sql));
    assert_eq!(list.len(), 4);
    assert_eq!(list[1].1, setting("b"));
    assert_eq!(list[3].1, Target::Names);
    let Some(Verb::Set(list)) = my(sql) else { panic!("no SET") };
    assert_eq!(list[1].value.of(sql.as_bytes()), b"f(1, 2)");
    assert_eq!(list[1].span.of(sql.as_bytes()), b"session b = f(1, 2)");
    for sql in [
        "set password = 'x' for y",
        "set role r",
        "set default role all to x",
        "set a",
        "set a = ",
        "set resource group x",
    ] {
        let verb = my(sql);
        let known = matches!(&verb, Some(Verb::Set(list)) if list[0].target == setting("password"));
        assert!(verb.is_none() || known, "{sql}: {verb:?}");
    }
}

#[test]
fn postgres_assignments() {
    use ValueShape as V;
    let one = |sql: &str| assignments(pg(sql)).remove(0);
    assert_eq!(one("set X to 5"), (Scope::Default, setting("x"), V::Literal, "5".into()));
    assert_eq!(one("set local x = 'Y'"), (Scope::Transaction, setting("x"), V::Literal, "Y".into()));
    assert_eq!(one("set session a.b to On"), (Scope::Session, setting("a.b"), V::Word, "on".into()));
    assert_eq!(one("set search_path to a, \"B\", 'c'").2, V::List);
    assert_eq!(one("set search_path = default").2, V::Default);
    assert_eq!(one("set x from current").2, V::Expression);
    assert_eq!(one("set time zone 'UTC'"), (Scope::Default, Target::TimeZone, V::Literal, "UTC".into()));
    assert_eq!(one("set local time zone -3"), (Scope::Transaction, Target::TimeZone, V::Literal, "-3".into()));
    assert_eq!(one("set time zone local").2, V::Default);
    assert_eq!(one("set time zone interval '-08:00' hour to minute").2, V::Expression);
    assert_eq!(one("set role none"), (Scope::Default, Target::Role, V::Word, "none".into()));
    assert_eq!(one("set role to x").1, setting("role"));
    assert_eq!(one("set names 'UTF8'").1, Target::Names);
    assert_eq!(one("set schema 's'"), (Scope::Default, setting("search_path"), V::Literal, "s".into()));
    assert_eq!(one("set session authorization x").1, Target::Other);
    assert_eq!(one("set constraints all deferred").1, Target::Other);
    assert_eq!(pg("set x 5 6"), None);
    assert_eq!(pg("set"), None);
}

#[test]
fn our_own_settings() {
    for sql in [
        "set @@dbmesh_transaction_type = LOCAL",
        "set dbmesh_transaction_type='local'",
        "set session dbmesh.transaction_type = local",
        "set @@session.dbmesh_transaction_type = LOCAL",
    ] {
        assert_eq!(my(sql), Some(Verb::SetTransactionType(TransactionType::Local)), "{sql}");
    }
    for sql in ["set dbmesh.transaction_type = 'atomic'", "SET dbmesh.transaction_type TO ATOMIC"] {
        assert_eq!(pg(sql), Some(Verb::SetTransactionType(TransactionType::Atomic)), "{sql}");
    }
    assert_eq!(assignments(pg("set dbmesh.transaction_type = 'x'"))[0].1, setting("dbmesh.transaction_type"));
    assert_eq!(
        assignments(my("set autocommit=1, dbmesh_transaction_type=local"))[1].1,
        setting("dbmesh.transaction_type")
    );
    let sql = "explain route select 1 from t";
    let Some(Verb::ExplainRoute(span)) = my(sql) else { panic!("no route") };
    assert_eq!(span.of(sql.as_bytes()), b"select 1 from t");
    assert_eq!(pg("explain route"), None);
    assert_eq!(pg("explain select 1"), None);
}

#[test]
fn settings_that_are_read() {
    assert_eq!(pg("show TimeZone"), Some(Verb::ShowSetting(b"timezone".to_vec())));
    assert_eq!(pg("show transaction isolation level"), Some(Verb::ShowSetting(b"transaction_isolation".to_vec())));
    assert_eq!(pg("show all"), Some(Verb::ShowSetting(b"all".to_vec())));
    assert_eq!(my("show tables"), None);
    assert!(matches!(pg("reset all"), Some(Verb::Reset(Which::All))));
    assert!(matches!(pg("reset time zone"), Some(Verb::Reset(Which::One(name))) if name.text == b"timezone"));
    let Some(Verb::SelectVariables(list)) = my("SELECT @@version_comment, @@Session.A AS x, @@global.b 'y' LIMIT 1")
    else {
        panic!("no variables");
    };
    let seen: Vec<(Scope, &[u8], &[u8])> = list.iter().map(|v| (v.scope, &v.name[..], &v.label[..])).collect();
    assert_eq!(
        seen,
        [
            (Scope::Default, &b"version_comment"[..], &b"@@version_comment"[..]),
            (Scope::Session, b"a", b"x"),
            (Scope::Global, b"b", b"y"),
        ]
    );
    for sql in ["select @@a + 1", "select @@a from t", "select @@a limit 0", "select a, @@b", "select 1"] {
        assert_eq!(my(sql), None, "{sql}");
    }
    assert!(matches!(my("select @@a from dual"), Some(Verb::SelectVariables(_))));
}

#[test]
fn prepared_statements() {
    let sql = "prepare X (int, numeric(10,2)) as select $1, $2";
    let Some(Verb::PrepareStatement { name, text: PreparedText::Statement { body, types } }) = pg(sql) else {
        panic!("no PREPARE");
    };
    assert_eq!(name.text, b"x");
    assert_eq!(body.of(sql.as_bytes()), b"select $1, $2");
    assert_eq!(types.unwrap().of(sql.as_bytes()), b"int, numeric(10,2)");
    let text = |sql| match my(sql) {
        Some(Verb::PrepareStatement { text, .. }) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text("prepare s from 'select ''a'''"), PreparedText::Text(b"select 'a'".to_vec()));
    assert_eq!(text("prepare s from @A"), PreparedText::UserVariable(b"a".to_vec()));
    assert!(matches!(text("prepare s from concat('a', 'b')"), PreparedText::Expression(_)));
    let sql = "execute s(1, f(2))";
    let Some(Verb::Execute { arguments: Some(arguments), .. }) = pg(sql) else { panic!("no EXECUTE") };
    assert_eq!(arguments.of(sql.as_bytes()), b"1, f(2)");
    assert!(matches!(pg("execute s"), Some(Verb::Execute { arguments: None, .. })));
    let sql = "execute s using @a, @b";
    let Some(Verb::Execute { arguments: Some(arguments), .. }) = my(sql) else { panic!("no EXECUTE") };
    assert_eq!(arguments.of(sql.as_bytes()), b"@a, @b");
    assert_eq!(my("execute immediate 'select 1'"), None);
    assert!(matches!(pg("deallocate prepare all"), Some(Verb::Deallocate(Which::All))));
    assert!(matches!(pg("deallocate s"), Some(Verb::Deallocate(Which::One(_)))));
    assert!(matches!(my("drop prepare s"), Some(Verb::Deallocate(Which::One(_)))));
}

#[test]
fn the_rest() {
    assert_eq!(my("kill 5"), Some(Verb::Kill { query: false, id: Some(5) }));
    assert_eq!(my("kill soft query id 7"), Some(Verb::Kill { query: true, id: Some(7) }));
    assert_eq!(my("kill connection 5 + 1"), Some(Verb::Kill { query: false, id: None }));
    assert_eq!(my("kill user 'x'"), None);
    assert!(matches!(my("use `a`"), Some(Verb::Use(name)) if name.text == b"a"));
    assert_eq!(my("lock tables t read, u write"), Some(Verb::LockTables));
    assert_eq!(my("unlock tables"), Some(Verb::UnlockTables));
    assert_eq!(pg("discard all"), Some(Verb::Discard(Discard::All)));
    assert_eq!(pg("discard temporary"), Some(Verb::Discard(Discard::Temp)));
    assert!(matches!(pg("listen \"A\""), Some(Verb::Listen(name)) if name.text == b"A"));
    assert_eq!(pg("unlisten *"), Some(Verb::Unlisten(Which::All)));
    assert!(matches!(pg("notify a, 'x'"), Some(Verb::Notify(_))));
    assert!(matches!(pg("close all"), Some(Verb::CloseCursor(Which::All))));
    let sql = "declare c no scroll cursor with hold for select 1";
    let Some(Verb::DeclareCursor { hold: true, query, .. }) = pg(sql) else { panic!("no DECLARE") };
    assert_eq!(query.of(sql.as_bytes()), b"select 1");
    assert_eq!(pg("select 1"), None);
    assert_eq!(pg("discard everything"), None);
}

#[test]
fn statements_that_others_execute() {
    let inside = |sql: &str| {
        let span = Span { start: 0, end: sql.len() as u32 };
        let name = executed_inside(sql.as_bytes(), span, Dialect::POSTGRES).unwrap();
        name.map(|name| {
            (String::from_utf8(name.text).unwrap(), String::from_utf8(name.span.of(sql.as_bytes()).to_vec()).unwrap())
        })
    };
    for (sql, name) in [
        ("EXPLAIN EXECUTE S1(1)", "s1"),
        ("explain analyze verbose execute s1", "s1"),
        ("EXPLAIN (FORMAT JSON, VERBOSE) /* x */ EXECUTE \"S 1\"(NULL, 'a')", "S 1"),
        ("CREATE TEMP TABLE t (a, b) WITH (fillfactor = 10) AS EXECUTE s1 (5) WITH NO DATA", "s1"),
        ("EXPLAIN ANALYZE CREATE TABLE t AS EXECUTE s1", "s1"),
    ] {
        assert_eq!(inside(sql).map(|found| found.0).as_deref(), Some(name), "{sql}");
    }
    assert_eq!(inside("EXPLAIN EXECUTE \"S\"").unwrap().1, "\"S\"");
    for sql in [
        "EXPLAIN SELECT execute FROM t",
        "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TABLE t AS SELECT 1 AS execute",
        "EXPLAIN EXECUTE",
        "",
    ] {
        assert_eq!(inside(sql), None, "{sql}");
    }
}
