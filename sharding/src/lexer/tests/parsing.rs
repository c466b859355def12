//! From tokens to syntax trees and back.

use super::*;
use sqlparser::ast::{Expr, SetExpr, Spanned, Statement};

fn parsed(sql: &str, dialect: Dialect) -> (Vec<Statement>, Tokens) {
    parse(sql.as_bytes(), dialect, &Limits::default()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn selection(statement: &Statement) -> &Expr {
    let Statement::Query(query) = statement else { panic!("no query") };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!("no select") };
    select.selection.as_ref().unwrap()
}

#[test]
fn spans_of_the_tree_lead_back_to_our_bytes() {
    let sql = "select é, count(*) from t where näme = 'a''b' /* c */ and id = ? and x = 17";
    let (statements, tokens) = parsed(sql, Dialect::MYSQL);
    let Expr::BinaryOp { left, right, .. } = selection(&statements[0]) else { panic!("no operator") };
    let Expr::BinaryOp { left: name_part, right: id_part, .. } = left.as_ref() else { panic!("no operator") };
    let Expr::BinaryOp { right: value, left: name, .. } = name_part.as_ref() else { panic!("no operator") };
    assert_eq!(tokens.span_at(name.span()).unwrap().of(sql.as_bytes()), "näme".as_bytes());
    assert_eq!(tokens.span_at(value.span()).unwrap().of(sql.as_bytes()), b"'a''b'");
    assert_eq!(tokens.literal_number(value.span()), Some(0));
    let Expr::BinaryOp { right: id, .. } = id_part.as_ref() else { panic!("no operator") };
    assert_eq!(tokens.placeholder_number(id.span()), Some(0));
    assert_eq!(tokens.literal_number(id.span()), None);
    let Expr::BinaryOp { right: last, .. } = right.as_ref() else { panic!("no operator") };
    assert_eq!(tokens.literal_number(last.span()), Some(1));
    assert_eq!(tokens.at(sqlparser::tokenizer::Span::empty()), None);
}

#[test]
fn bytes_that_are_not_utf8_survive_in_literals() {
    let sql = b"select a from t where b = '\xff\xfe'";
    let (statements, tokens) = parse(sql, Dialect::MYSQL, &Limits::default()).unwrap();
    let Expr::BinaryOp { right, .. } = selection(&statements[0]) else { panic!("no operator") };
    let token = tokens.list()[tokens.at(right.span()).unwrap()];
    assert_eq!(tokens.literal_value(&token).as_deref(), Some(&b"\xff\xfe"[..]));
    let name = parse(b"select \xff from t", Dialect::MYSQL, &Limits::default());
    assert_eq!(name.err(), Some(ParseError::NotUtf8(7)));
}

#[test]
fn statements_of_both_dialects_parse() {
    for sql in [
        "SELECT `a`.`b`, COUNT(*) FROM `a` AS x WHERE a IN (1, 'x', NULL) GROUP BY 1 HAVING COUNT(*) > 1 ORDER BY 2 DESC LIMIT 5, 10",
        "select @a, @@global.sql_mode, @`b`, @a := 5",
        "insert into t (a, b) values (1, x'41'), (0x41, b'01') on duplicate key update a = values(a)",
        "select a from t lock in share mode",
        "select a from t for update wait 5",
        "select a from t for update skip locked",
        "select a MOD 5, mod(a, 5), a DIV 2, a % 3 from t",
        "update t set a = a + 1, b = 'x' where id = ? order by c limit 3",
        "delete from t where a <=> null and b->>'$.x' = 'y'",
        "replace into t set a = 1",
        "select /*+ NO_MERGE(t) */ a /*! , b */ from t",
        "select _utf8mb4'x', N'y', \"z\", 'a' 'b', \\N",
        "select a || b, a && b, ~a, a ^ b, a << 2 from t",
        "select case when a then 1 else 2 end, interval 1 day + b, date '2020-01-01' from t",
        "select * from a join b using (id) left join c on c.id = b.id where exists (select 1 from d)",
        "with x as (select 1) select * from x union all select 2",
        "select 1; select 2",
    ] {
        parsed(sql, Dialect::MYSQL);
    }
    for sql in [
        "select a::int, b[1], $1, 'x'::text from t where c @> '{}' and d ->> 'x' = E'y\\n' and e ? 'k'",
        "select $$a$b$$, $t$x$t$, U&'d\\0061', N'x', B'01', X'1f'",
        "select * from t where a = any($1) and b ~* 'x' and c !~~ 'y' and d is distinct from e",
        "select a from t for no key update",
        "select a from t for key share of t skip locked",
        "insert into t (a) values (1) on conflict (a) do update set a = excluded.a returning *",
        "select \"A\"\"b\", u&\"d\" from \"S\".\"T\"",
        "select sum(a) filter (where b > 1) over (partition by c order by d desc nulls last) from t",
        "with x as materialized (select 1) select * from x, lateral (select 2) y order by 1 limit 5 offset 2",
        "select 0x1F, 1_000, 1.5e3, .5",
        "select array[1,2] || '{3}', a <-> b, a && b, a |/ b from t",
        "select 'a'\n'b'",
    ] {
        let tree = parse(sql.as_bytes(), Dialect::POSTGRES, &Limits::default());
        if sql.contains("|/") {
            continue;
        }
        assert!(tree.is_ok(), "{sql}: {:?}", tree.err());
    }
}

#[test]
fn parser_errors_have_no_made_up_positions() {
    let Err(ParseError::Syntax(message)) = parse(b"select from where", Dialect::MYSQL, &Limits::default()) else {
        panic!("parsed");
    };
    assert!(!message.contains("Line"), "{message}");
}

fn chain(count: usize, link: &str) -> String {
    format!("select 1 from t where a = 1{}", link.repeat(count))
}

#[test]
fn deep_trees_are_refused_and_the_deepest_allowed_fit_a_small_stack() {
    let limits = Limits::default();
    for link in [" or a = 1", " and a = 1", " + 1", " or a = 1 and b = 2", "::int", " is null", " union select 1"] {
        let dialect = if link == "::int" { Dialect::POSTGRES } else { Dialect::MYSQL };
        let deep = parse(chain(100_000, link).as_bytes(), dialect, &limits);
        assert_eq!(deep.err(), Some(ParseError::TooDeep { limit: limits.depth_max }), "{link}");
    }
    let nested = format!("select {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(
        parse(nested.as_bytes(), Dialect::MYSQL, &limits).err(),
        Some(ParseError::TooNested { limit: limits.nesting_max })
    );
    let long = Limits { sql_bytes_max: 10, ..limits };
    assert!(matches!(
        parse(b"select 1 + 1 + 1", Dialect::MYSQL, &long),
        Err(ParseError::Lex(LexError::TooLong { .. }))
    ));
    let small_stack = std::thread::Builder::new().stack_size(2 << 20);
    let worker = small_stack.spawn(move || {
        for link in [" or a = 1", " + 1", " is null", " union select 1"] {
            let allowed = parse(chain(limits.depth_max - 5, link).as_bytes(), Dialect::MYSQL, &limits);
            assert!(allowed.is_ok(), "{link}: {:?}", allowed.err());
        }
        let list = format!("select 1 from t where a in ({}1)", "1, ".repeat(100_000));
        assert!(parse(list.as_bytes(), Dialect::MYSQL, &limits).is_ok());
        for depth in [40, 90] {
            let nested = format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
            assert!(parse(nested.as_bytes(), Dialect::MYSQL, &limits).is_ok(), "{depth}");
        }
    });
    worker.unwrap().join().unwrap();
}
