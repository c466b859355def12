//! What fingerprints tell apart and what they do not.

use super::*;

fn same(a: &str, b: &str, dialect: Dialect) {
    assert_eq!(fingerprint(a, dialect), fingerprint(b, dialect), "{a} <> {b}");
}

fn different(a: &str, b: &str, dialect: Dialect) {
    assert_ne!(fingerprint(a, dialect), fingerprint(b, dialect), "{a} == {b}");
}

#[test]
fn white_space_comments_case_and_values_do_not_matter() {
    for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
        same("select a from t where id = 5", "SELECT  a\nFROM t /* x */ WHERE id=7 -- y\n", dialect);
        same("select a from t where x = 'a' and y = 1.5", "select a from t where x = 'b''c' and y = 22.25", dialect);
        same("select a from t limit 5", "select a from t limit 6", dialect);
        same("select a from t where x in (1, 2)", "select a from t where x in (3, 4)", dialect);
    }
    same("select A from T", "select a from t", Dialect::POSTGRES);
}

#[test]
fn names_shapes_and_literal_classes_matter() {
    for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
        different("select a from t where id = 5", "select a from u where id = 5", dialect);
        different("select a from t where id = 5", "select a from t where id = '5'", dialect);
        different("select a from t where id = 5", "select a from t where id = 5.0", dialect);
        different("select a from t where id = 5", "select a from t where id = 5e0", dialect);
        different("select a from t where id = 5", "select a from t where id = null", dialect);
        different("select a from t where id = 5", "select a from t where id = 9223372036854775808", dialect);
        different("select a from t where id = true", "select a from t where id = false", dialect);
        different("select a from t order by 1", "select a from t order by 2", dialect);
        different("select a, b from t group by 1, (2)", "select a, b from t group by 1, (3)", dialect);
        different("select a from t where x in (1, 2)", "select a from t where x in (1, 2, 3)", dialect);
        different("select cast(a as decimal(10,2))", "select cast(a as decimal(10,3))", dialect);
        different("/* dbmesh: a */ select 1", "/* dbmesh: b */ select 1", dialect);
        different("select 1", "/* dbmesh: b */ select 1", dialect);
        different("select \"a\" from t", "select a from t", dialect);
    }
    // Words that MySQL does not reserve are names here.
    different("select a, b from t order by offset, 1", "select a, b from t order by offset, 2", Dialect::MYSQL);
    different("select a from t order by a + offset, 1", "select a from t order by a + offset, 2", Dialect::MYSQL);
    different("select comment 'x' from t order by x", "select comment 'y' from t order by x", Dialect::MYSQL);
    same("select a from t order by 1 offset 5 rows", "select a from t order by 1 offset 6 rows", Dialect::MYSQL);
    same("select date '2024-01-01'", "select date '2024-01-02'", Dialect::MYSQL);
    same("select a from t order by 1 limit 5", "select a from t order by 1 limit 6", Dialect::MYSQL);
    same(
        "select a from t where f in (select 1 from u order by 1) and b = 3",
        "select a from t where f in (select 1 from u order by 1) and b = 4",
        Dialect::MYSQL,
    );
    different("select A from t", "select a from t", Dialect::MYSQL);
    different("select a from T", "select a from t", Dialect::MYSQL);
    different("select a from `t`", "select a from t", Dialect::MYSQL);
    different("select count(a) from t", "select count (a) from t", Dialect::MYSQL);
    different("select a 'x' from t", "select a 'y' from t", Dialect::MYSQL);
    different("select a as 'x' from t", "select a as 'y' from t", Dialect::MYSQL);
    different("select a from t where b = x'01'", "select a from t where b = '01'", Dialect::MYSQL);
    different("select /*+ A */ 1", "select /*+ B */ 1", Dialect::MYSQL);
    different("select 1 /*! + 1 */", "select 1 + 1", Dialect::MYSQL);
    different("select $1, $2", "select $2, $1", Dialect::POSTGRES);
    different("select \"A\"", "select \"a\"", Dialect::POSTGRES);
}

#[test]
fn tokens_cannot_be_smuggled_through_names_or_control_bytes() {
    for (a, b) in [
        ("select `a b`", "select a b"),
        ("select `\u{1}i`", "select 5"),
        ("select \u{1}i", "select 5"),
        ("select a.b", "select `a.b`"),
        ("select ab", "select a b"),
        ("select a\u{2}+", "select a"),
    ] {
        different(a, b, Dialect::MYSQL);
    }
}

#[test]
fn row_lists_are_collapsed_when_rows_are_alike() {
    let rows = |sql: &str| {
        let scan = scanned(sql.as_bytes(), Dialect::MYSQL);
        let statement = scan.statements()[0];
        let texts: Vec<&str> =
            scan.literals(&statement).iter().map(|l| &sql[l.start as usize..l.end as usize]).collect();
        (statement.fingerprint, statement.rows, statement.row_first_literal, statement.row_literals, texts.join(" "))
    };
    let one = rows("insert into t (a, b) values (1, 'a')");
    let two = rows("insert into t (a, b) values (1, 'a'), (2, 'b')");
    let five = rows("insert into t (a, b) values (1,'a'),(2,'b') ,(3,'c'),(4,'d'),(5,'e')");
    assert_eq!((one.1, one.2, one.3), (1, 0, 2));
    assert_eq!((two.1, two.2, two.3), (2, 0, 2));
    assert_eq!((five.1, five.4.as_str()), (5, "1 'a' 2 'b' 3 'c' 4 'd' 5 'e'"));
    assert_eq!(two.0, five.0);
    assert_ne!(one.0, two.0, "one row is never several");
    let mixed = rows("insert into t (a, b) values (1, 'a'), (2, 'b'), (3, null)");
    let mixed_too = rows("insert into t (a, b) values (1, 'a'), (3, null), (2, 'b')");
    assert_eq!((mixed.1, mixed_too.1), (1, 1));
    assert_ne!(mixed.0, mixed_too.0);
    assert_ne!(mixed.0, two.0);
    let tail = rows("insert into t values (1, f(2)), (3, f(4)) on duplicate key update a = values(a), b = 9");
    assert_eq!((tail.1, tail.2, tail.3), (2, 0, 2));
    assert_eq!(tail.4, "1 2 3 4 9");
    let select = rows("insert into t select * from (values row(1), row(2)) x");
    assert_eq!(select.1, 0);
    let scan = scanned(b"insert into t values (1), ('a')", Dialect::MYSQL);
    assert!(scan.statements()[0].flags.has(Flags::MIXED_ROWS));
    same("insert into t values (1),(2)", "insert into t values (1),(2),(3),(4)", Dialect::POSTGRES);
}

#[test]
fn normalised_text_is_readable_and_holds_no_strings() {
    let display = |sql: &str, dialect| {
        let scan = scanned(sql.as_bytes(), dialect);
        scan.display(&scan.statements()[0])
    };
    let point = display("SELECT c FROM t WHERE id=5 and s = 'secret' order by 2", Dialect::MYSQL);
    assert_eq!(point, "select c from t where id = ? and s = ? order by 2");
    assert_eq!(display("select a as 'secret' from t", Dialect::MYSQL), "select a as ? from t");
    assert_eq!(
        display("insert into t values (1, 'x'), (2, 'y')", Dialect::POSTGRES),
        "insert into t values ( ? , ? ) , ..."
    );
}

#[test]
fn the_key_matters() {
    let other = FingerprintKey::from_bytes(*b"another key 1234");
    assert_ne!(key().hash(b"select 1"), other.hash(b"select 1"));
    let mut scan = Scan::new();
    scan.scan(b"select 1", Dialect::MYSQL, &other).unwrap();
    assert_ne!(scan.statements()[0].fingerprint, fingerprint("select 1", Dialect::MYSQL));
}
