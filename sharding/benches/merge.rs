//! Cost of merging, per row: 8 shards, 1,000 rows each. Run: `cargo bench -p dbmesh-sharding --bench merge`.

use divan::counter::ItemsCount;
use sharding::merge::{Aggregate, Cell, Decimal, Function, Grouping, Limits, Merger, Order, Spec, SumType, Window};

const STREAMS: usize = 8;
const ROWS: usize = 1_000;

fn main() {
    divan::main();
}

/// Merges the rows that `cells` describes, driven as a session drives it; gives the number of rows that came out.
fn merge(spec: &Spec, cells: impl Fn(usize, usize, &mut Vec<Cell>)) -> usize {
    let mut merger = Merger::new(spec, Window::default(), STREAMS, Limits::default()).expect("a sound specification");
    let mut at = [0; STREAMS];
    let mut out = 0;
    loop {
        while merger.pop().expect("merges").is_some() {
            out += 1;
        }
        let Some(stream) = merger.wants() else { return out };
        if at[stream] == ROWS {
            merger.finish(stream).expect("finishes");
            continue;
        }
        let mut row = merger.spare();
        cells(stream, at[stream], &mut row);
        merger.offer(stream, row, (stream, at[stream]), 100).expect("takes the row");
        at[stream] += 1;
    }
}

fn per_row(bencher: divan::Bencher, spec: &Spec, cells: impl Fn(usize, usize, &mut Vec<Cell>)) {
    bencher.counter(ItemsCount::new(STREAMS * ROWS)).bench_local(|| merge(spec, &cells));
}

#[divan::bench]
fn as_they_come(bencher: divan::Bencher) {
    per_row(bencher, &Spec::default(), |_, _, _| {});
}

#[divan::bench]
fn ordered_by_integer(bencher: divan::Bencher) {
    let spec = Spec { cells: 1, order: vec![Order::mysql(0, false)], ..Spec::default() };
    per_row(bencher, &spec, |stream, at, row| row.push(Cell::Int((at * STREAMS + stream) as i128)));
}

#[divan::bench]
fn ordered_by_decimal_and_bytes(bencher: divan::Bencher) {
    let order = vec![Order::postgres(0, false), Order::postgres(1, false)];
    let spec = Spec { cells: 2, order, ..Spec::default() };
    per_row(bencher, &spec, |stream, at, row| {
        row.push(Cell::Decimal(Decimal::new((at / 10) as i128, 2)));
        row.push(Cell::Bytes([(at % 10) as u8, stream as u8].into()));
    });
}

fn grouping(sorted: bool) -> Spec {
    let aggregate = |function, cell| Aggregate { function, cell, column: cell };
    let aggregates = vec![aggregate(Function::Count, 1), aggregate(Function::Sum(SumType::Numeric), 2)];
    let order = if sorted { vec![Order::mysql(0, false)] } else { Vec::new() };
    Spec { cells: 3, order, grouping: Some(Grouping { keys: vec![0], sorted, aggregates }), order_after: Vec::new() }
}

fn group_row(at: usize, row: &mut Vec<Cell>) {
    row.push(Cell::Int(at as i128));
    row.push(Cell::Int(3));
    row.push(Cell::Decimal(Decimal::new(12_345, 2)));
}

#[divan::bench]
fn groups_of_sorted_streams(bencher: divan::Bencher) {
    per_row(bencher, &grouping(true), |_, at, row| group_row(at, row));
}

#[divan::bench]
fn groups_by_hashing(bencher: divan::Bencher) {
    per_row(bencher, &grouping(false), |_, at, row| group_row(at, row));
}
