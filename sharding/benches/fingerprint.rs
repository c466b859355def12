//! How long the hot path's look at a statement takes: scan, classify, fingerprint; against parsing it.
//! Run: `cargo bench -p dbmesh-sharding --bench fingerprint`.

use divan::{Bencher, black_box};
use sharding::lexer::{Dialect, FingerprintKey, Limits, Scan, parse};

fn main() {
    divan::main();
}

const POINT: &str = "SELECT c FROM sbtest1 WHERE id=50123";
const ORM: &str = "SELECT `users`.`id`, `users`.`name`, `users`.`email`, `users`.`created_at` FROM `users` \
                   WHERE `users`.`id` = 42 AND `users`.`deleted_at` IS NULL ORDER BY `users`.`id` ASC LIMIT 1";
const UPDATE: &str = "UPDATE sbtest1 SET k=k+1 WHERE id=50123";
const JOIN: &str = "select c.name, sum(i.price * i.quantity) as total, count(*) from customers c \
                    join orders o on o.customer_id = c.id join order_items i on i.order_id = o.id and i.customer_id = c.id \
                    join products p on p.id = i.product_id where c.id = 77 and o.created_at >= '2024-01-01' \
                    and p.kind in ('a', 'b', 'c') group by c.name having sum(i.price) > 100.5 order by total desc limit 20";

fn insert(rows: usize) -> String {
    let row = "(12345, 'some text of a name', 17.25, 'another value with words')";
    format!("INSERT INTO orders (id, name, price, note) VALUES {}", vec![row; rows].join(", "))
}

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes(*b"0123456789abcdef")
}

#[divan::bench(sample_size = 100, args = ["point", "orm", "update", "join", "insert1", "insert100"])]
fn scan_mysql(bencher: Bencher<'_, '_>, name: &str) {
    scan(bencher, name, Dialect::MYSQL);
}

#[divan::bench(sample_size = 100, args = ["point", "update", "join", "insert1", "insert100"])]
fn scan_postgres(bencher: Bencher<'_, '_>, name: &str) {
    scan(bencher, name, Dialect::POSTGRES);
}

#[divan::bench(args = ["point", "orm", "update", "join", "insert1"])]
fn parse_mysql(bencher: Bencher<'_, '_>, name: &str) {
    let sql = text(name);
    bencher.bench(|| parse(black_box(sql.as_bytes()), Dialect::MYSQL, &Limits::default()).is_ok());
}

fn scan(bencher: Bencher<'_, '_>, name: &str, dialect: Dialect) {
    let (sql, key) = (text(name), key());
    let mut scan = Scan::new();
    bencher.bench_local(|| {
        let done = scan.scan(black_box(sql.as_bytes()), dialect, &key);
        black_box(done.is_ok() && scan.statements().len() == 1)
    });
}

fn text(name: &str) -> String {
    match name {
        "point" => POINT.into(),
        "orm" => ORM.into(),
        "update" => UPDATE.into(),
        "join" => JOIN.into(),
        "insert1" => insert(1),
        _ => insert(100),
    }
}
