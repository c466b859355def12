//! How long it takes to plan a statement that was not seen before, and to bind one that was: point select by key, 2 shards.
//! Run: `cargo bench -p dbmesh-sharding --bench plan`.
#![allow(clippy::expect_used)]

use divan::{AllocProfiler, Bencher, black_box};
use sharding::lexer::{Dialect, Literal, Scan, ScannedStatement, tokens};
use sharding::plan::{Plan, PlanContext, Values, literal, plan};
use sharding::schema::{Function, Protocol, RowsWhere, Schema, ShardInfo, TableRule};
use sharding::value::Value;

/// Binding allocates nothing.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const POINT: &str = "SELECT c FROM sbtest1 WHERE id=50123";

fn main() {
    divan::main();
}

fn schema() -> Schema {
    let shards = (0..2).map(|n| ShardInfo { name: format!("s{n}"), database: "shop".to_owned() }).collect();
    let rows = RowsWhere::Sharded { key: vec!["id".to_owned()], function: Function::Hash, unique_per_shard: false };
    let rule = TableRule { schema: None, name: "sbtest1".to_owned(), rows };
    let sql = "create table sbtest1 (id int not null primary key, k int, c char(120), pad char(60))";
    Schema::from_sql(Protocol::MySql, "shop", shards, sql, &[rule]).expect("a schema")
}

fn planned(schema: &Schema) -> Plan {
    plan(&tokens(POINT.as_bytes(), Dialect::MYSQL).expect("tokens"), schema, &PlanContext::default())
}

#[divan::bench]
fn parse_and_plan(bencher: Bencher<'_, '_>) {
    let schema = schema();
    bencher.bench_local(|| planned(black_box(&schema)));
}

/// Literals as the scan found them, as a session hands them over.
struct Scanned<'a>(&'a Scan, &'a ScannedStatement);

impl Scanned<'_> {
    fn literals(&self) -> &[Literal] {
        self.0.literals(self.1)
    }
}

impl Values for Scanned<'_> {
    fn literal(&self, index: usize) -> Value {
        let Some(found) = self.literals().get(index) else { return Value::Unknown };
        let text = POINT.as_bytes().get(found.start as usize..found.end as usize).unwrap_or_default();
        literal(text, found.class, Dialect::MYSQL)
    }

    fn parameter(&self, _: usize) -> Value {
        Value::Unknown
    }

    fn literal_count(&self) -> usize {
        self.literals().len()
    }

    fn parameter_count(&self) -> usize {
        0
    }
}

#[divan::bench(sample_size = 100)]
fn bind(bencher: Bencher<'_, '_>) {
    let schema = schema();
    let plan = planned(&schema);
    let mut scan = Scan::new();
    let key = sharding::lexer::FingerprintKey::from_bytes([7; 16]);
    scan.scan(POINT.as_bytes(), Dialect::MYSQL, &key).expect("a scan");
    let values = Scanned(&scan, scan.statements().first().expect("one"));
    bencher.bench_local(|| plan.bind(black_box(&schema), &values).is_ok());
}
