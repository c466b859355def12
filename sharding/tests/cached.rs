//! A plan serves every text with the same fingerprint: other values, literals of another length, more rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sharding::lexer::{Dialect, FingerprintKey, Scan, Tokens, tokens};
use sharding::plan::{Plan, PlanContext, plan};
use sharding::schema::{Function, Protocol, RowsWhere, Schema, ShardInfo, TableRule};

fn schema() -> Schema {
    let shards = (0..4).map(|n| ShardInfo { name: format!("s{n}"), database: "shop".to_owned() }).collect();
    let rows = RowsWhere::Sharded { key: vec!["id".to_owned()], function: Function::Hash, unique_per_shard: false };
    let rule = TableRule { schema: None, name: "items".to_owned(), rows };
    let sql = "create table items (id bigint not null primary key, total int, name varchar(20))";
    Schema::from_sql(Protocol::MySql, "shop", shards, sql, &[rule]).expect("a schema")
}

fn read(sql: &str) -> Tokens {
    tokens(sql.as_bytes(), Dialect::MYSQL).expect("tokens")
}

fn planned(schema: &Schema, sql: &str) -> Plan {
    plan(&read(sql), schema, &PlanContext::default())
}

fn fingerprint(sql: &str) -> u128 {
    let mut scan = Scan::new();
    scan.scan(sql.as_bytes(), Dialect::MYSQL, &FingerprintKey::from_bytes([7; 16])).expect("a scan");
    scan.statements().first().expect("a statement").fingerprint.0
}

/// Plans the first text and runs the second by that plan; it must say what the second's own plan says.
fn serves(first: &str, second: &str) {
    assert_eq!(fingerprint(first), fingerprint(second), "the cache would not share these");
    fits(first, second);
}

/// As [`serves`], whether or not the cache shares the two today.
fn fits(first: &str, second: &str) {
    let schema = schema();
    let tokens = read(second);
    let borrowed = planned(&schema, first).explain(&tokens, &schema, &[]);
    let own = planned(&schema, second).explain(&tokens, &schema, &[]);
    assert_eq!(borrowed, own, "{second}\nby the plan of\n{first}");
}

#[test]
fn other_values_go_to_other_shards() {
    serves("select * from items where id = 1", "select * from items where id = 123456");
    serves("select * from items where id = -1", "select * from items where id = -99");
    serves("select * from items where id in (1, 2)", "select * from items where id in (1, 1)");
    serves("select * from items where id = '1'", "select * from items where id = 'xyz'");
    serves("update items set total = 1 where id = 1", "update items set total = 22222 where id = 3");
}

#[test]
fn limits_of_another_length_are_rewritten_in_place() {
    serves(
        "select total from items where name = 'a' order by id limit 5 offset 10",
        "select total from items where name = 'a much longer name' order by id limit 500000 offset 1",
    );
    serves("select id from items limit 1, 2", "select id from items limit 1000, 0");
}

#[test]
fn row_lists_of_another_length_are_split() {
    serves(
        "insert into items (id, name) values (1, 'a'), (2, 'b')",
        "insert into items (id, name) values (1, 'x'), (3, 'yy'), (5, 'zzz'), (7, ''), (9, 'v')",
    );
    fits("insert into items (id, name) values (1, 'a')", "insert into items (id, name) values (3, 'a'), (5, 'b')");
    fits("insert into items (id, name) values (1, 'a'), (3, 'b')", "insert into items (id, name) values (5, 'b')");
    fits(
        "insert into items (id, name) values (1, 'a'), (3, 'b') on duplicate key update total = 1",
        "insert into items (id, name) values (5, 'b') on duplicate key update total = 2",
    );
}

#[test]
fn an_aggregate_is_not_taken_for_one_with_other_values() {
    serves(
        "select total, count(nullif(id, 1)) from items group by total order by count(nullif(id, 1))",
        "select total, count(nullif(id, 2)) from items group by total order by count(nullif(id, 1))",
    );
    serves(
        "select total, sum(total * 1.5) from items group by total order by sum(total * 1.5)",
        "select total, sum(total * 1.5) from items group by total order by sum(total * 2.5)",
    );
}

#[test]
fn positions_are_part_of_the_fingerprint() {
    let (first, second) = ("select id, total from items order by 1", "select id, total from items order by 2");
    assert_ne!(fingerprint(first), fingerprint(second));
    let (first, second) =
        ("select total, count(*) from items group by 1", "select total, count(*) from items group by 2");
    assert_ne!(fingerprint(first), fingerprint(second));
}

#[test]
fn rows_of_mixed_shapes_are_not_mistaken_for_others() {
    let schema = schema();
    let plan = planned(&schema, "insert into items (id, name) values (1, 'a'), (3, null)");
    let more = read("insert into items (id, name) values (1, 'a'), (3, null), (5, 'c')");
    assert!(plan.explain(&more, &schema, &[]).starts_with("refused"), "a row would be lost");
}
