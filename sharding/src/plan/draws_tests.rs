//! What statements take from sequences.

use super::*;
use crate::lexer::{Dialect, tokens};
use crate::plan::{PlanContext, plan};
use crate::schema::{Column, ColumnKind, DefaultKind, Placement, Protocol, Schema};

fn column(name: &str, takes: Takes) -> Column {
    Column {
        name: name.to_owned(),
        kind: ColumnKind::Int { bytes: 8, unsigned: false },
        type_text: "bigint".to_owned(),
        collation: None,
        nullable: true,
        default: DefaultKind::None,
        on_update: false,
        takes,
    }
}

fn schema() -> Schema {
    let mut schema = Schema::new(Protocol::Postgres, "shop", Vec::new(), 0);
    let from = |name: &str| Takes::From(name.into());
    let table = |name: &str, reaches: Reaches, last: Takes| Table {
        name: TableName { schema: Some("public".to_owned()), name: name.to_owned() },
        columns: vec![column("id", from("public.t_id_seq")), column("a", Takes::Nothing), column("n", last)],
        placement: Placement::Single(0),
        unique_keys: Vec::new(),
        unique_per_shard: false,
        is_view: false,
        reaches,
    };
    schema.insert(table("t", Reaches::Nothing, from("public.t_n_seq")));
    schema.insert(table("own", Reaches::Nothing, Takes::Unknown));
    schema.insert(table("triggered", Reaches::Unknown, Takes::Nothing));
    schema.insert(Table { is_view: true, ..table("seen", Reaches::Nothing, Takes::Nothing) });
    schema
}

/// As `surely id n`, with the sequences' names cut short.
fn of(sql: &str) -> String {
    let tokens = tokens(sql.as_bytes(), Dialect::POSTGRES).expect("readable");
    let draws = plan(&tokens, &schema(), &PlanContext::default()).draws;
    let mut words: Vec<String> = draws.surely.then(|| "surely".to_owned()).into_iter().collect();
    words.extend(draws.from.iter().map(|drawn| match drawn {
        Drawn::Sequence(name) => name.trim_start_matches("public.t_").trim_end_matches("_seq").to_owned(),
        Drawn::Literal(number) => format!("'{number}'"),
    }));
    words.extend(draws.others.then(|| "others".to_owned()));
    words.extend(draws.untold.then(|| "untold".to_owned()));
    assert_eq!(words.is_empty(), draws.is_nothing(), "{sql}");
    words.join(" ")
}

#[test]
fn inserts_take_what_they_do_not_give() {
    for (sql, takes) in [
        ("INSERT INTO t (a) VALUES (1)", "surely id n"),
        ("insert into public.t AS x (\"a\") values ($1) RETURNING id", "surely id n"),
        ("INSERT INTO t DEFAULT VALUES", "surely id n"),
        ("INSERT INTO t (id, n) VALUES (1, 2)", ""),
        ("INSERT INTO t (id, a, n) VALUES (1, f(2, 3), DEFAULT), (2, 2, (3))", "surely n"),
        ("INSERT INTO t VALUES (1, 2)", "surely n"),
        ("INSERT INTO t VALUES (1, (2), 3), (1, 2, 3)", ""),
        ("INSERT INTO t VALUES (DEFAULT, 2, 3) ON CONFLICT DO NOTHING", "surely id"),
        ("INSERT INTO t (id, a) SELECT 1, 2", "n"),
        ("INSERT INTO t SELECT 1, 2, 3", "id n"),
        ("INSERT INTO t (id, a, n) SELECT 1, 2, 3", ""),
        ("INSERT INTO t (SELECT 1, 2, 3)", "id n"),
        ("INSERT INTO t (id, a, n) OVERRIDING USER VALUE VALUES (1, 2, 3)", "id n"),
        ("WITH x AS (INSERT INTO t (a) VALUES (1)) SELECT 1", "id n"),
        ("EXPLAIN ANALYZE INSERT INTO t (id, a) VALUES (1, 2)", "n"),
        ("INSERT INTO own (id) VALUES (1)", "others"),
        ("INSERT INTO triggered (a) VALUES (1)", "id others"),
        ("INSERT INTO seen (a) VALUES (1)", "others"),
        ("INSERT INTO nowhere (a) VALUES (1)", "others untold"),
        ("INSERT INTO t", "id n"),
        ("INSERT INTO", "others untold"),
        ("INSERT INTO t (", "id n"),
    ] {
        assert_eq!(of(sql), takes, "{sql}");
    }
}

#[test]
fn calls_and_copies() {
    for (sql, takes) in [
        ("SELECT nextval('s')", "surely '0'"),
        ("select pg_catalog.nextval('s'::regclass) AS id", "surely '0'"),
        ("SELECT nextval('s') id", "surely '0'"),
        ("SELECT 'x', nextval('s')", "'1'"),
        ("SELECT nextval('s') FROM t", "'0'"),
        ("SELECT nextval('s' || 'x')", "others"),
        ("SELECT nextval($1)", "others"),
        ("SELECT setval('s', 5, true)", "'0'"),
        ("SELECT my.nextval('s')", "others"),
        ("INSERT INTO t (id, a, n) VALUES (nextval('x'), 1, 2)", "surely '0'"),
        ("INSERT INTO t (id, a) VALUES (nextval('x'), 1)", "surely n '0'"),
        ("INSERT INTO t (id, a, n) VALUES (1 + nextval('x'), 1, 2)", "'1'"),
        ("INSERT INTO t (id, a, n) VALUES (1, 1, 1) ON CONFLICT (id) DO UPDATE SET (a, n) = (nextval('x'), 1)", "'3'"),
        ("UPDATE t SET a = nextval('x')", "'0'"),
        ("SELECT 1", ""),
        ("COPY t FROM STDIN", ""),
        ("COPY t (a) FROM STDIN", "id n"),
        ("COPY triggered FROM STDIN", "others"),
        ("COPY t (a) TO STDOUT", ""),
        ("COPY (SELECT 1) TO STDOUT", ""),
    ] {
        assert_eq!(of(sql), takes, "{sql}");
    }
}
