//! Seeded random merges against a naive one: all rows in one place, sorted and grouped there.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::order::compare_rows;
use super::*;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A value of a column type, with few different values so that ties and groups are common.
    fn cell(&mut self, column_type: u64) -> Cell {
        if self.below(6) == 0 {
            return Cell::Null;
        }
        let small = i128::from(self.below(7)) - 3;
        match column_type {
            0 => Cell::Int(small),
            1 => Cell::Int([i128::from(u64::MAX), i128::from(i64::MIN), 0][self.below(3) as usize]),
            2 => {
                let scale = self.below(3) as u32;
                Cell::Decimal(Decimal::new(small * 10i128.pow(scale), scale))
            }
            3 => Cell::Float([f64::NAN, f64::INFINITY, -0.0, 0.0, 1.5, -2.5][self.below(6) as usize]),
            _ => Cell::Bytes((0..self.below(3)).map(|_| [0u8, b'a', 0xff][self.below(3) as usize]).collect()),
        }
    }
}

type Rows = Vec<Vec<Cell>>;

/// A payload that tells which row it was.
type Payload = (usize, usize);

fn streams(random: &mut Random, types: &[u64], order: &[Order]) -> Vec<Rows> {
    let count = 1 + random.below(5) as usize;
    (0..count)
        .map(|_| {
            let mut rows: Rows =
                (0..random.below(12)).map(|_| types.iter().map(|&t| random.cell(t)).collect()).collect();
            rows.sort_by(|a, b| compare_rows(order, a, b));
            rows
        })
        .collect()
}

fn order(random: &mut Random, cells: &[usize]) -> Vec<Order> {
    cells.iter().map(|&cell| Order { cell, descending: random.coin(), nulls_first: random.coin() }).collect()
}

fn window(random: &mut Random) -> Window {
    Window { skip: random.below(4), take: random.coin().then(|| random.below(20)) }
}

/// Runs a merge, at random offering rows ahead of what is wanted.
fn merge(random: &mut Random, spec: &Spec, window: Window, streams: &[Rows]) -> Vec<Merged<Payload>> {
    let mut merger = Merger::new(spec, window, streams.len(), Limits::default()).expect("a sound specification");
    let mut at = vec![0; streams.len()];
    let mut out = Vec::new();
    while !merger.is_done() {
        while let Some(row) = merger.pop().expect("no error") {
            out.push(row);
        }
        let Some(wanted) = merger.wants() else {
            assert!(merger.is_done(), "nothing to pop and nothing wanted");
            break;
        };
        let stream = if random.coin() { wanted } else { random.below(streams.len() as u64) as usize };
        match streams[stream].get(at[stream]) {
            Some(cells) => {
                let mut reused = merger.spare();
                assert!(reused.is_empty());
                reused.extend(cells.iter().cloned());
                merger.offer(stream, reused, (stream, at[stream]), 8).expect("offered");
                at[stream] += 1;
            }
            None => merger.finish(stream).expect("finished"),
        }
    }
    assert_eq!(merger.pop(), Ok(None));
    out
}

fn cut<T>(rows: Vec<T>, window: Window) -> Vec<T> {
    let take = window.take.map_or(usize::MAX, |take| take as usize);
    rows.into_iter().skip(window.skip as usize).take(take).collect()
}

/// All rows as payload and cells, stream after stream.
fn all(streams: &[Rows]) -> Vec<(Payload, Vec<Cell>)> {
    let stream_rows = |(stream, rows): (usize, &Rows)| {
        rows.iter().enumerate().map(move |(at, cells)| ((stream, at), cells.clone())).collect::<Vec<_>>()
    };
    streams.iter().enumerate().flat_map(stream_rows).collect()
}

#[test]
fn ordered_merges_equal_a_stable_sort() {
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let types = [random.below(5), random.below(5)];
        let spec = Spec { cells: 2, order: order(&mut random, &[1, 0]), ..Spec::default() };
        let streams = streams(&mut random, &types, &spec.order);
        let window = window(&mut random);
        let mut expected = all(&streams);
        expected.sort_by(|a, b| compare_rows(&spec.order, &a.1, &b.1));
        let expected: Vec<Payload> = cut(expected, window).into_iter().map(|row| row.0).collect();
        let rows = merge(&mut random, &spec, window, &streams);
        let found: Vec<Payload> = rows.into_iter().map(|row| row.payload).collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}

/// One group, computed with other code than the merger's.
struct Naive {
    keys: Vec<Cell>,
    count: i128,
    sum: Option<f64>,
    least: Option<Cell>,
}

fn naive_groups(streams: &[Rows], keys: &[usize]) -> Vec<Naive> {
    let mut groups: Vec<Naive> = Vec::new();
    for (_, cells) in all(streams) {
        let own: Vec<Cell> = keys.iter().map(|&key| cells[key].clone()).collect();
        let place = groups.iter().position(|group| group.keys == own).unwrap_or_else(|| {
            groups.push(Naive { keys: own, count: 0, sum: None, least: None });
            groups.len() - 1
        });
        let group = &mut groups[place];
        if let Cell::Int(count) = cells[2] {
            group.count += count;
        }
        if let Cell::Decimal(part) = &cells[3] {
            let part: f64 = part.to_string().parse().expect("a number");
            group.sum = Some(group.sum.unwrap_or(0.0) + part);
        }
        let least = &cells[4];
        if !least.is_null() && group.least.as_ref().is_none_or(|before| least.compare(before) == Ordering::Less) {
            group.least = Some(least.clone());
        }
    }
    groups
}

/// The value of an aggregate in a merged row: replaced, taken from another row, or the payload's own.
fn value(row: &Merged<Payload>, streams: &[Rows], cell: usize, column: usize) -> Cell {
    let at = |payload: Payload| streams[payload.0][payload.1][cell].clone();
    match row.replaced.iter().find(|replaced| replaced.0 == column) {
        None => at(row.payload),
        Some((_, Replacement::Taken(payload))) => at(*payload),
        Some((_, Replacement::Value(cell))) => cell.clone(),
    }
}

#[test]
fn groups_equal_naive_groups() {
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let types = [random.below(5), random.below(5), 0, 2, random.below(5)];
        let keys: Vec<usize> = if random.below(4) == 0 { vec![0] } else { vec![1, 0] };
        let sorted = random.coin();
        let order = if sorted { order(&mut random, &keys) } else { Vec::new() };
        let aggregate = |function, cell| Aggregate { function, cell, column: cell + 10 };
        let aggregates = vec![
            aggregate(Function::Count, 2),
            aggregate(Function::Sum(SumType::Numeric), 3),
            aggregate(Function::Min, 4),
        ];
        let order_after = if random.below(3) == 0 { vec![Order::postgres(2, true)] } else { Vec::new() };
        let grouping = Some(Grouping { keys: keys.clone(), sorted, aggregates });
        let spec = Spec { cells: 5, order: order.clone(), grouping, order_after: order_after.clone() };
        let mut streams = streams(&mut random, &types, &order);
        // COUNT is never NULL.
        for cells in streams.iter_mut().flatten() {
            cells[2] = Cell::Int(i128::from(random.below(5)));
        }
        let rows = merge(&mut random, &spec, Window::default(), &streams);
        let groups = naive_groups(&streams, &keys);
        assert_eq!(rows.len(), groups.len(), "seed {seed}");
        let mut counts = Vec::new();
        let mut out_keys: Vec<Vec<Cell>> = Vec::new();
        for row in &rows {
            let cells = &streams[row.payload.0][row.payload.1];
            let own: Vec<Cell> = keys.iter().map(|&key| cells[key].clone()).collect();
            let group = groups.iter().find(|group| group.keys == own).expect("a group with these keys");
            let count = value(row, &streams, 2, 12);
            assert_eq!(count, Cell::Int(group.count), "seed {seed}");
            counts.push(count);
            let sum = match value(row, &streams, 3, 13) {
                Cell::Decimal(sum) => Some(sum.to_string().parse::<f64>().expect("a number")),
                _ => None,
            };
            assert_eq!(sum, group.sum, "seed {seed}: halves and integers are exact in f64");
            assert_eq!(value(row, &streams, 4, 14), group.least.clone().unwrap_or_default(), "seed {seed}");
            assert!(!out_keys.contains(&own), "seed {seed}: a group came twice");
            out_keys.push(own);
        }
        if !order_after.is_empty() {
            let descending = counts.windows(2).all(|pair| pair[0].compare(&pair[1]) != Ordering::Less);
            assert!(descending, "seed {seed}");
        } else if sorted {
            let in_order = rows.windows(2).all(|pair| {
                let cells = |row: &Merged<Payload>| streams[row.payload.0][row.payload.1].clone();
                compare_rows(&order, &cells(&pair[0]), &cells(&pair[1])) == Ordering::Less
            });
            assert!(in_order, "seed {seed}");
        }
    }
}

#[test]
fn distinct_equals_a_set() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let types = [random.below(5), random.below(5)];
        let sorted = random.coin();
        let order = if sorted { order(&mut random, &[0, 1]) } else { Vec::new() };
        let grouping = Some(Grouping { keys: vec![0, 1], sorted, aggregates: Vec::new() });
        let spec = Spec { cells: 2, order: order.clone(), grouping, order_after: Vec::new() };
        let streams = streams(&mut random, &types, &order);
        let mut set: BTreeMap<Vec<u8>, ()> = BTreeMap::new();
        for (_, cells) in all(&streams) {
            let mut identity = Vec::new();
            cells.iter().for_each(|cell| cell.write_identity(&mut identity));
            set.insert(identity, ());
        }
        let window = window(&mut random);
        let rows = merge(&mut random, &spec, window, &streams);
        assert_eq!(rows.len(), cut(set.keys().collect(), window).len(), "seed {seed}");
    }
}

#[test]
fn sorting_after_grouping_with_a_limit_keeps_the_right_rows() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let grouping = Some(Grouping { keys: vec![0], sorted: false, aggregates: Vec::new() });
        let order_after = vec![Order::postgres(1, false)];
        let spec = Spec { cells: 2, order: Vec::new(), grouping, order_after: order_after.clone() };
        let rows: Rows = (0..900).map(|key| vec![Cell::Int(key), Cell::Int(i128::from(random.below(500)))]).collect();
        let window = Window { skip: random.below(10), take: Some(random.below(300)) };
        let mut expected: Vec<(Payload, Vec<Cell>)> = all(std::slice::from_ref(&rows));
        expected.sort_by(|a, b| compare_rows(&order_after, &a.1, &b.1));
        let expected: Vec<Payload> = cut(expected, window).into_iter().map(|row| row.0).collect();
        let found = merge(&mut random, &spec, window, std::slice::from_ref(&rows));
        let found: Vec<Payload> = found.into_iter().map(|row| row.payload).collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}
