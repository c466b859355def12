//! The merger by example: each test is one rule. Random comparisons with a naive merge are in `random_tests`.

use super::*;

fn ints(values: &[i128]) -> Vec<Cell> {
    values.iter().map(|value| Cell::Int(*value)).collect()
}

fn ordered() -> Spec {
    Spec { cells: 1, order: vec![Order::mysql(0, false)], ..Spec::default() }
}

fn grouped(keys: Vec<usize>, sorted: bool, aggregates: Vec<Aggregate>, cells: usize) -> Spec {
    let order = if sorted { keys.iter().map(|&key| Order::mysql(key, false)).collect() } else { Vec::new() };
    Spec { cells, order, grouping: Some(Grouping { keys, sorted, aggregates }), order_after: Vec::new() }
}

const COUNT: Aggregate = Aggregate { function: Function::Count, cell: 1, column: 7 };
const MAX: Aggregate = Aggregate { function: Function::Max, cell: 2, column: 8 };

fn merger(spec: &Spec, window: Window, streams: usize) -> Merger<String> {
    Merger::new(spec, window, streams, Limits::default()).expect("a sound specification")
}

/// Drives the merger as a session does, one row at a time from the stream it wants.
fn run(merger: &mut Merger<String>, streams: &[Vec<(Vec<Cell>, &str)>]) -> Result<Vec<Merged<String>>, MergeError> {
    let mut rest: Vec<_> = streams.iter().map(|rows| rows.iter()).collect();
    let mut out = Vec::new();
    loop {
        while let Some(row) = merger.pop()? {
            out.push(row);
        }
        if merger.is_done() {
            return Ok(out);
        }
        let wanted = merger.wants().expect("an unfinished merge wants a stream");
        match rest[wanted].next() {
            Some((cells, payload)) => merger.offer(wanted, cells.clone(), (*payload).to_owned(), payload.len())?,
            None => merger.finish(wanted)?,
        }
    }
}

fn payloads(rows: &[Merged<String>]) -> String {
    rows.iter().map(|row| row.payload.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn ordered_streams_merge_stably() {
    let streams = [
        vec![(ints(&[1]), "a1"), (ints(&[2]), "a2")],
        vec![(ints(&[1]), "b1"), (ints(&[3]), "b3")],
        vec![(ints(&[2]), "c2")],
    ];
    let rows = run(&mut merger(&ordered(), Window::default(), 3), &streams).expect("merged");
    assert_eq!(payloads(&rows), "a1 b1 a2 c2 b3");
    assert!(rows.iter().all(|row| row.replaced.is_empty()));
}

#[test]
fn no_row_comes_out_before_every_stream_has_one() {
    let mut merger = merger(&ordered(), Window::default(), 2);
    assert_eq!(merger.wants(), Some(0));
    merger.offer(0, ints(&[1]), "a".to_owned(), 1).expect("offered");
    assert_eq!(merger.pop(), Ok(None));
    assert_eq!(merger.wants(), Some(1));
    merger.finish(1).expect("finished");
    assert_eq!(merger.wants(), None);
    assert_eq!(merger.pop().expect("popped").map(|row| row.payload), Some("a".to_owned()));
    assert!(!merger.is_done());
    merger.finish(0).expect("finished");
    assert_eq!(merger.pop(), Ok(None));
    assert!(merger.is_done());
}

#[test]
fn limit_and_offset_cut_the_merged_rows() {
    let streams = [vec![(ints(&[1]), "a"), (ints(&[4]), "d")], vec![(ints(&[2]), "b"), (ints(&[3]), "c")]];
    let window = |skip, take| Window { skip, take };
    for (window, expected) in [
        (window(1, Some(2)), "b c"),
        (window(0, Some(0)), ""),
        (window(9, None), ""),
        (window(3, Some(u64::MAX)), "d"),
        (window(u64::MAX, Some(u64::MAX)), ""),
    ] {
        let rows = run(&mut merger(&ordered(), window, 2), &streams).expect("merged");
        assert_eq!(payloads(&rows), expected, "{window:?}");
    }
    assert_eq!(window(u64::MAX, Some(5)).rows_per_shard(), Some(u64::MAX));
}

#[test]
fn a_reached_limit_needs_no_more_rows_and_holds_none() {
    let mut merger = merger(&ordered(), Window { skip: 0, take: Some(1) }, 2);
    merger.offer(0, ints(&[1]), "a".to_owned(), 1).expect("offered");
    merger.offer(1, ints(&[2]), "b".to_owned(), 1).expect("offered");
    assert!(merger.pop().expect("popped").is_some());
    assert!(merger.is_done());
    assert_eq!(merger.wants(), None);
    merger.offer(1, ints(&[3]), "late".to_owned(), 4).expect("dropped");
    assert_eq!(merger.pop(), Ok(None));
}

#[test]
fn without_an_order_rows_pass_as_they_come() {
    let spec = Spec { cells: 0, ..Spec::default() };
    let mut merger = merger(&spec, Window::default(), 2);
    merger.offer(1, Vec::new(), "b".to_owned(), 1).expect("offered");
    assert_eq!(merger.pop().expect("popped").map(|row| row.payload), Some("b".to_owned()));
    assert_eq!(merger.wants(), Some(0));
    assert_eq!(merger.held(), (0, 0));
}

#[test]
fn sorted_groups_combine_across_shards() {
    let spec = grouped(vec![0], true, vec![COUNT, MAX], 3);
    let streams = [
        vec![(ints(&[1, 2, 50]), "a1"), (ints(&[3, 1, 7]), "a3")],
        vec![(ints(&[1, 5, 60]), "b1"), (ints(&[2, 4, 9]), "b2")],
    ];
    let rows = run(&mut merger(&spec, Window::default(), 2), &streams).expect("merged");
    assert_eq!(payloads(&rows), "a1 b2 a3");
    assert_eq!(rows[0].replaced, [(7, Replacement::Value(Cell::Int(7))), (8, Replacement::Taken("b1".to_owned()))]);
    assert!(rows[1].replaced.is_empty(), "a group of one shard passes as it came");
}

#[test]
fn null_keys_are_one_group() {
    for sorted in [true, false] {
        let spec = grouped(vec![0], sorted, vec![COUNT], 2);
        let row = |count| vec![Cell::Null, Cell::Int(count)];
        let streams = [vec![(row(1), "a")], vec![(row(2), "b")]];
        let rows = run(&mut merger(&spec, Window::default(), 2), &streams).expect("merged");
        assert_eq!(payloads(&rows), "a");
        assert_eq!(rows[0].replaced, [(7, Replacement::Value(Cell::Int(3)))]);
    }
}

#[test]
fn hashed_groups_may_come_in_any_order_and_be_sorted_after() {
    let mut spec = grouped(vec![0], false, vec![COUNT], 2);
    spec.order_after = vec![Order::mysql(1, true)];
    let streams =
        [vec![(ints(&[3, 2]), "a3"), (ints(&[1, 4]), "a1")], vec![(ints(&[2, 5]), "b2"), (ints(&[3, 9]), "b3")]];
    let rows = run(&mut merger(&spec, Window { skip: 0, take: Some(2) }, 2), &streams).expect("merged");
    assert_eq!(payloads(&rows), "a3 b2");
    assert_eq!(rows[0].replaced, [(7, Replacement::Value(Cell::Int(11)))]);
}

#[test]
fn aggregates_over_all_rows_give_exactly_one_row() {
    let sum = Aggregate { function: Function::Sum(SumType::Numeric), cell: 0, column: 0 };
    let count = Aggregate { function: Function::Count, cell: 1, column: 1 };
    let spec = grouped(Vec::new(), false, vec![sum, count], 2);
    let empty = || vec![Cell::Null, Cell::Int(0)];
    // Empty shards: SUM stays NULL, COUNT is 0.
    let rows =
        run(&mut merger(&spec, Window::default(), 2), &[vec![(empty(), "a")], vec![(empty(), "b")]]).expect("merged");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].replaced, [(1, Replacement::Value(Cell::Int(0)))]);
    // One shard has rows: its sum passes as it was printed there.
    let full = vec![Cell::Decimal(Decimal::new(150, 2)), Cell::Int(3)];
    let rows =
        run(&mut merger(&spec, Window::default(), 2), &[vec![(empty(), "a")], vec![(full, "b")]]).expect("merged");
    assert_eq!(rows[0].replaced, [(0, Replacement::Taken("b".to_owned())), (1, Replacement::Value(Cell::Int(3)))]);
    // LIMIT 0 and OFFSET 1 cut that one row.
    for window in [Window { skip: 0, take: Some(0) }, Window { skip: 1, take: None }] {
        let rows = run(&mut merger(&spec, window, 2), &[vec![(empty(), "a")], vec![(empty(), "b")]]);
        assert_eq!(rows, Ok(Vec::new()));
    }
    // A shard that sends no row at all has broken its contract.
    let error = run(&mut merger(&spec, Window::default(), 2), &[Vec::new(), Vec::new()]).expect_err("refused");
    assert!(matches!(error, MergeError::Misused { .. }));
}

#[test]
fn distinct_keeps_the_first_of_equal_rows() {
    let decimal = |unscaled, scale| vec![Cell::Decimal(Decimal::new(unscaled, scale))];
    for sorted in [true, false] {
        let spec = grouped(vec![0], sorted, Vec::new(), 1);
        let streams = [vec![(decimal(10, 1), "1.0"), (decimal(20, 1), "2.0")], vec![(decimal(100, 2), "1.00")]];
        let rows = run(&mut merger(&spec, Window::default(), 2), &streams).expect("merged");
        assert_eq!(payloads(&rows), "1.0 2.0");
    }
}

#[test]
fn shards_that_sort_differently_are_noticed() {
    let streams = [vec![(ints(&[2]), "a2"), (ints(&[1]), "a1")], vec![(ints(&[3]), "b3")]];
    let error = run(&mut merger(&ordered(), Window::default(), 2), &streams).expect_err("refused");
    assert_eq!(error, MergeError::OutOfOrder { stream: 0 });
    let grouped = grouped(vec![0], true, Vec::new(), 1);
    let error = run(&mut merger(&grouped, Window::default(), 2), &streams).expect_err("refused");
    assert_eq!(error, MergeError::OutOfOrder { stream: 0 });
}

#[test]
fn shards_with_other_types_are_noticed() {
    let streams = [vec![(ints(&[2]), "a")], vec![(vec![Cell::Float(1.0)], "b")]];
    let error = run(&mut merger(&ordered(), Window::default(), 2), &streams).expect_err("refused");
    assert_eq!(error, MergeError::KindDiffers { stream: 1, key: 0, expected: "integer", found: "float" });
}

#[test]
fn limits_are_errors() {
    let spec = grouped(vec![0], false, vec![COUNT], 2);
    let limited = |rows_max, bytes_max| {
        let mut merger: Merger<String> =
            Merger::new(&spec, Window::default(), 1, Limits { rows_max, bytes_max }).expect("sound");
        let rows: Vec<_> = (0..20).map(|key| (ints(&[key, 1]), "0123456789")).collect();
        run(&mut merger, &[rows])
    };
    assert_eq!(limited(20, usize::MAX).map(|rows| rows.len()), Ok(20));
    assert_eq!(limited(19, usize::MAX), Err(MergeError::TooManyRows { limit: 19 }));
    assert_eq!(limited(20, 1000), Err(MergeError::TooManyBytes { limit: 1000 }));
    // Streaming merges of any length stay within two rows.
    let rows: Vec<_> = (0..1000).map(|key| (ints(&[key]), "0123456789")).collect();
    let mut merger: Merger<String> =
        Merger::new(&ordered(), Window::default(), 2, Limits { rows_max: 2, bytes_max: 200 }).expect("sound");
    assert_eq!(run(&mut merger, &[rows.clone(), rows]).map(|rows| rows.len()), Ok(2000));
    assert_eq!(merger.held(), (0, 0));
}

#[test]
fn everything_held_is_released() {
    let mut spec = grouped(vec![0], false, vec![COUNT, MAX], 3);
    spec.order_after = vec![Order::mysql(1, false)];
    let rows: Vec<_> = (0..2000).map(|key| (ints(&[key % 700, key, key * 7 % 13]), "payload")).collect();
    for take in [None, Some(3)] {
        let mut merger = merger(&spec, Window { skip: 1, take }, 2);
        let out = run(&mut merger, &[rows.clone(), rows.clone()]).expect("merged");
        assert_eq!(out.len(), take.map_or(699, |_| 3));
        if take.is_none() {
            assert_eq!(merger.held(), (0, 0));
        }
    }
}

#[test]
fn contradictions_are_refused() {
    let refused = |spec: &Spec| Merger::<String>::new(spec, Window::default(), 1, Limits::default()).is_err();
    assert!(refused(&Spec { cells: 0, ..ordered() }));
    assert!(refused(&grouped(vec![5], false, Vec::new(), 1)));
    assert!(refused(&grouped(vec![0], false, vec![COUNT, COUNT], 2)), "two aggregates on one cell would count twice");
    assert!(refused(&grouped(vec![1], false, vec![COUNT], 2)), "a key that is combined");
    let mut unsorted = grouped(vec![0], true, Vec::new(), 2);
    unsorted.order = vec![Order::mysql(1, false)];
    assert!(refused(&unsorted));
}

#[test]
fn misuse_is_an_error_not_a_panic() {
    let mut merger = merger(&ordered(), Window::default(), 1);
    assert!(merger.offer(5, ints(&[1]), String::new(), 0).is_err());
    assert!(merger.offer(0, ints(&[1, 2]), String::new(), 0).is_err());
    assert!(merger.finish(5).is_err());
    merger.finish(0).expect("finished");
    merger.finish(0).expect("finishing twice is harmless");
    assert!(merger.offer(0, ints(&[1]), String::new(), 0).is_err());
}
