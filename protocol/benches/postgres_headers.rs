//! How long it takes to follow a PostgreSQL server's answer by message headers: a large one per megabyte, a point select per
//! answer. Run: `cargo bench -p dbmesh-protocol --bench postgres_headers`.
#![allow(clippy::expect_used)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use protocol::postgres::{Audience, Observer, Pipeline, Segment, Sent, TransactionStatus, write};

/// What a backend's read buffer holds at most.
const PIECE: usize = 64 * 1024;

fn main() {
    divan::main();
}

/// Looks at nothing.
struct Nobody;

impl Observer for Nobody {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, _: u8, _: &[u8]) {}
    fn on_answered(&mut self, _: Sent, _: Audience, _: bool) {}
}

/// One column, `rows` rows of 100 bytes.
fn answer(rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write::row_description(&mut out, [write::text_column(b"c")].into_iter());
    for _ in 0..rows {
        write::data_row(&mut out, [Some(&[b'x'; 100][..])].into_iter());
    }
    write::command_complete(&mut out, b"SELECT 1");
    write::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

/// Follows the whole answer as it comes, in pieces; gives the number of bytes passed.
fn follow(pipeline: &mut Pipeline, bytes: &[u8]) -> usize {
    pipeline.sent(Sent::Query, Audience::Client);
    let (mut at, mut have) = (0, PIECE.min(bytes.len()));
    while !pipeline.is_settled() {
        match pipeline.advance(&bytes[at..have], &mut Nobody).expect("well formed") {
            Segment::Forward(count) | Segment::Cut(count) => at += count,
            Segment::Insert(_) => {}
            Segment::More => have = (have + PIECE).min(bytes.len()),
        }
    }
    at
}

#[divan::bench(args = [10_000])]
fn large(bencher: Bencher<'_, '_>, rows: usize) {
    let bytes = answer(rows);
    let mut pipeline = Pipeline::default();
    let whole = bytes.len();
    bencher.counter(BytesCount::new(whole)).bench_local(|| assert_eq!(follow(&mut pipeline, black_box(&bytes)), whole));
}

#[divan::bench(sample_size = 100)]
fn point_select(bencher: Bencher<'_, '_>) {
    let bytes = answer(1);
    let mut pipeline = Pipeline::default();
    bencher.bench_local(|| follow(&mut pipeline, black_box(&bytes)));
}
