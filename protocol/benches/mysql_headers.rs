//! How long it takes to find the end of a MySQL server's answer by packet headers: of a large one per megabyte, of a
//! point select per answer. Run: `cargo bench -p dbmesh-protocol --bench mysql_headers`.
#![allow(clippy::expect_used)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use protocol::mysql::packet::put_packet;
use protocol::mysql::response::{Answer, Scanner, Step};

/// What a backend's read buffer holds at most.
const PIECE: usize = 32 * 1024;

fn main() {
    divan::main();
}

/// One column, `rows` rows of 100 bytes, EOFs.
fn answer(rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = put_packet(&mut out, 1, &[1]);
    sequence = put_packet(
        &mut out,
        sequence,
        b"\x03def\x00\x07sbtest1\x07sbtest1\x01c\x01c\x0c\x2d\x00\xe0\x01\x00\x00\xfe\x01\x00\x00\x00\x00",
    );
    sequence = put_packet(&mut out, sequence, b"\xfe\x00\x00\x02\x00");
    let row = [b"\x63".as_slice(), &[b'x'; 99]].concat();
    for _ in 0..rows {
        sequence = put_packet(&mut out, sequence, &row);
    }
    put_packet(&mut out, sequence, b"\xfe\x00\x00\x02\x00");
    out
}

/// Follows the whole answer as it comes, in pieces; gives the number of bytes passed.
fn follow(bytes: &mut [u8]) -> usize {
    let mut scanner = Scanner::new(Answer::Query, 0);
    let (mut at, mut have) = (0, PIECE.min(bytes.len()));
    loop {
        match scanner.next(&mut bytes[at..have]).expect("well formed") {
            Step::Pass(count) => at += count,
            Step::Packet { length, .. } => at += length,
            Step::NeedMore => have = (have + PIECE).min(bytes.len()),
            Step::Done => return at,
        }
    }
}

#[divan::bench(args = [10_000])]
fn large(bencher: Bencher<'_, '_>, rows: usize) {
    let mut bytes = answer(rows);
    let length = bytes.len();
    bencher.counter(BytesCount::new(length)).bench_local(|| assert_eq!(follow(black_box(&mut bytes)), length));
}

#[divan::bench(sample_size = 100)]
fn point_select(bencher: Bencher<'_, '_>) {
    let mut bytes = answer(1);
    bencher.bench_local(|| follow(black_box(&mut bytes)));
}
