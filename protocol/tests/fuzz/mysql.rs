//! The MySQL protocol: packets of clients, packets of servers, whole answers.

use protocol::mysql::authentication::ServerLogin;
use protocol::mysql::bulk::{Bulk, BulkRows};
use protocol::mysql::capability::{DEPRECATE_EOF, EXTENDED_METADATA, OFFERED, SESSION_TRACK};
use protocol::mysql::column::ColumnDefinition;
use protocol::mysql::command::Command;
use protocol::mysql::execute::Execute;
use protocol::mysql::greeting::Greeting;
use protocol::mysql::info::Info;
use protocol::mysql::login::{FirstPacket, Login};
use protocol::mysql::packet::{Whole, put_packet};
use protocol::mysql::reply::{EofPacket, ErrPacket, OkPacket};
use protocol::mysql::response::{Answer, Event, Scanner, Step};
use protocol::mysql::row::{split_binary, split_text};
use protocol::mysql::session_state::Changes;

use super::{Damage, ITERATIONS, LENGTH_MAX, damaged};

const ANSWERS: [Answer; 7] = [
    Answer::Query,
    Answer::Execute,
    Answer::StatementPrepare,
    Answer::Fetch,
    Answer::FieldList,
    Answer::Statistics,
    Answer::Simple,
];

const DEFINITION: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\x00\x14\x00\x00\x00\x08\x23\x42\x00\x00\x00";

fn decode(bytes: &[u8]) {
    let types: Vec<u8> = bytes.iter().rev().take(8).copied().collect();
    let mut fields = Vec::new();
    let _ = Whole::find(bytes, 0, 1 << 20).map(|whole| whole.map(|whole| whole.payload(bytes).len()));
    let _ = Greeting::decode(bytes);
    let _ = FirstPacket::decode(bytes);
    let _ = Login::decode_change_user(bytes, OFFERED);
    let _ = Command::decode(bytes);
    let _ = ColumnDefinition::decode(bytes, 0);
    let _ = ColumnDefinition::decode(bytes, EXTENDED_METADATA);
    if let Some(info) = Info::read(bytes) {
        assert_eq!(Info::read(&info.text()).map(|again| again.text()), Some(info.text()));
    }
    if let Ok(bulk) = Bulk::decode(bytes, types.len() / 2) {
        let (mut rows, mut values) = (BulkRows::new(bulk.rows, &types), Vec::new());
        while let Ok(Some(row)) = rows.next_row(&mut values) {
            assert!(!row.is_empty());
        }
    }
    let _ = OkPacket::decode(bytes, SESSION_TRACK);
    let _ = OkPacket::decode(bytes, 0);
    let _ = EofPacket::decode(bytes);
    let _ = ErrPacket::decode(bytes);
    let _ = split_text(bytes, types.len(), &mut fields);
    let _ = split_binary(bytes, &types, &mut fields);
    assert!(Changes::new(bytes).count() <= bytes.len());
    if let Ok(execute) = Execute::decode(bytes, types.len() / 2) {
        let _ = execute.parameters(&types, |_| None);
    }
    let _ = ServerLogin::new(b"pw", b"caching_sha2_password", [1; 20], false).on_packet(bytes);
}

#[test]
fn mysql_packets() {
    bolero::check!().with_iterations(ITERATIONS).with_max_len(LENGTH_MAX).for_each(|bytes: &[u8]| decode(bytes));
}

#[test]
fn mysql_damaged_packets() {
    let mut valid = vec![DEFINITION.to_vec(), b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\x01\0\0\0\0\0\0\0".to_vec()];
    valid.push(b"\0\x01\0\x02\x40\0\0\0\x0c\x01\x0a\x04test\x04abcd".to_vec());
    valid.push(b"\xff\x15\x04#28000Access denied".to_vec());
    valid.push(b"\x0a10.11.2-MariaDB\0\x2a\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xc1\x15\0\0\0\0\0\0\x1d\0\0\0mnopqrstuvwx\0mysql_native_password\0".to_vec());
    valid.push(b"\x8d\xa6\xff\x01\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0app\0\x14aaaaaaaaaaaaaaaaaaaashop\0mysql_native_password\0".to_vec());
    bolero::check!().with_iterations(ITERATIONS).with_type::<(u8, Damage)>().for_each(|(which, damage)| {
        decode(&damaged(&valid[usize::from(*which) % valid.len()], damage));
    });
}

/// What a scanner makes of bytes of which `chunk` more are there at each look: what it lets through, what it saw in it, and
/// whether it ended, wants more, or refused.
fn scan(mut scanner: Scanner, bytes: &[u8], chunk: usize) -> (Vec<u8>, Vec<Event>, &'static str) {
    let (mut buffer, mut fed) = (Vec::new(), 0);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    loop {
        match scanner.next(&mut buffer) {
            Ok(Step::NeedMore) if fed == bytes.len() => return (out, events, "wants more"),
            Ok(Step::NeedMore) => {
                let end = (fed + chunk).min(bytes.len());
                buffer.extend_from_slice(&bytes[fed..end]);
                fed = end;
            }
            Ok(Step::Pass(count)) => {
                assert!(count > 0);
                out.extend(buffer.drain(..count));
            }
            Ok(Step::Packet { length, event }) => {
                assert!(length > 0);
                events.push(event);
                out.extend(buffer.drain(..length));
                scanner.infile_sent(scanner.next_sequence());
            }
            Ok(Step::Done) => return (out, events, "done"),
            Err(_) => return (out, events, "refused"),
        }
    }
}

/// However the bytes of an answer are cut into reads, the same packets are seen in them, with the same end.
fn cut_does_not_matter(answer: Answer, capabilities: u64, bytes: &[u8]) {
    let scanner = || Scanner::new(answer, capabilities);
    let (whole, events, end) = scan(scanner(), bytes, bytes.len().max(1));
    for chunk in [1, 3, 16] {
        let (out, others, other_end) = scan(scanner(), bytes, chunk);
        assert_eq!((&others, other_end), (&events, end), "chunks of {chunk}");
        if end == "done" {
            assert_eq!(out, whole, "chunks of {chunk}");
        }
    }
}

#[test]
fn mysql_answers() {
    // Payloads and their lengths are arbitrary, packet headers are right: else nothing behind the first would be seen.
    type Input = (u8, bool, Vec<Vec<u8>>);
    bolero::check!().with_iterations(ITERATIONS / 4).with_type::<Input>().for_each(|(answer, eof, payloads)| {
        let mut bytes = Vec::new();
        let mut sequence = 1;
        for payload in payloads.iter().take(12) {
            sequence = put_packet(&mut bytes, sequence, payload);
        }
        let capabilities = if *eof { SESSION_TRACK } else { DEPRECATE_EOF };
        cut_does_not_matter(ANSWERS[usize::from(*answer) % ANSWERS.len()], capabilities, &bytes);
    });
}

#[test]
fn mysql_damaged_answers() {
    let eof: &[u8] = &[0xfe, 0, 0, 2, 0];
    let packets: [&[u8]; 10] = [
        b"\x01",
        DEFINITION,
        eof,
        b"\x011",
        b"\xfb",
        &[0xfe, 0, 0, 10, 0],
        b"\x01",
        DEFINITION,
        eof,
        b"\xff\x15\x04#28000no",
    ];
    let mut valid = Vec::new();
    let mut sequence = 1;
    for packet in packets {
        sequence = put_packet(&mut valid, sequence, packet);
    }
    bolero::check!().with_iterations(ITERATIONS / 4).with_type::<(u8, bool, Damage)>().for_each(
        |(answer, eof, damage)| {
            let capabilities = if *eof { 0 } else { DEPRECATE_EOF };
            let answer = ANSWERS[usize::from(*answer) % ANSWERS.len()];
            cut_does_not_matter(answer, capabilities, &damaged(&valid, damage));
        },
    );
}
