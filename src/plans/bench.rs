//! What the statement of a client costs here when its plan is known: scan, fingerprint, look-up. It allocates nothing.
//! Run: `cargo bench --bench plans`.
#![allow(clippy::expect_used)]

use std::sync::Arc;

use dbmesh::config::Protocol;
use dbmesh::plans::{PlanLabel, PlanScope, Plans};
use divan::{AllocProfiler, Bencher, black_box};
use sharding::lexer::{Dialect, FingerprintKey, Scan};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const POINT: &str = "SELECT c FROM sbtest1 WHERE id=50123";

fn main() {
    divan::main();
}

#[divan::bench(sample_size = 100)]
fn fingerprint_and_hit(bencher: Bencher<'_, '_>) {
    let key = FingerprintKey::from_bytes(*b"0123456789abcdef");
    let scope = PlanScope::new(&key, Protocol::MySql, "shop", &["shop"], 1, Dialect::MYSQL);
    let plans: Plans<u64> = Plans::new(2, 10_000, 1 << 24);
    let mut scan = Scan::new();
    scan.scan(POINT.as_bytes(), Dialect::MYSQL, &key).expect("a scan");
    let found = scan.statements().first().expect("a statement").fingerprint;
    let database = Arc::from("shop");
    let label = PlanLabel { protocol: Protocol::MySql, database, kind: "single", statement: String::new() };
    plans.insert(scope.key(found), Arc::new(1), 1024, label);
    bencher.bench_local(|| {
        scan.scan(black_box(POINT.as_bytes()), Dialect::MYSQL, &key).expect("a scan");
        let [statement] = scan.statements() else { return None };
        plans.get(0, &scope.key(statement.fingerprint))
    });
}
