//! Tests of the scanner: whole answers, byte by byte, renumbered, truncated.

use super::*;
use crate::mysql::packet::put_packet;

const DEFINITION: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\x00\x14\x00\x00\x00\x08\x23\x42\x00\x00\x00";
const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
const OK_END: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];

fn wire(packets: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 1;
    for packet in packets {
        sequence = put_packet(&mut out, sequence, packet);
    }
    out
}

/// Runs a scanner over `bytes`, of which `chunk` more are there at each look; returns what came out and the events.
fn run(mut scanner: Scanner, bytes: &[u8], chunk: usize) -> Result<(Vec<u8>, Vec<Event>, Scanner), WireError> {
    let (mut buffer, mut fed) = (Vec::new(), 0);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    loop {
        match scanner.next(&mut buffer)? {
            Step::NeedMore if fed == bytes.len() => return Err(WireError::Truncated),
            Step::NeedMore => {
                let end = (fed + chunk).min(bytes.len());
                buffer.extend_from_slice(&bytes[fed..end]);
                fed = end;
            }
            Step::Pass(count) => out.extend(buffer.drain(..count)),
            Step::Packet { length, event } => {
                events.push(event);
                out.extend(buffer.drain(..length));
            }
            Step::Done => {
                assert!(buffer.is_empty() && fed == bytes.len(), "nothing is left over");
                return Ok((out, events, scanner));
            }
        }
    }
}

fn check(answer: Answer, capabilities: Capabilities, packets: &[&[u8]], expected: &[Event]) {
    let bytes = wire(packets);
    for chunk in [1, 2, 3, 7, bytes.len()] {
        let (out, events, scanner) = run(Scanner::new(answer, capabilities), &bytes, chunk).expect("valid");
        assert_eq!(out, bytes, "chunk {chunk}");
        assert_eq!(events, expected, "chunk {chunk}");
        assert_eq!(scanner.next_sequence(), packets.len() as u8 + 1);
        let (out, _, _) = run(Scanner::new(answer, capabilities).renumbered(200), &bytes, chunk).expect("valid");
        assert_eq!(out[3], 200, "renumbered");
        assert_eq!(out.len(), bytes.len());
    }
    for end in 0..bytes.len() {
        let truncated = run(Scanner::new(answer, capabilities), &bytes[..end], 5);
        assert_eq!(truncated.err(), Some(WireError::Truncated), "{end}");
    }
}

#[test]
fn result_set_with_and_without_eof_packets() {
    let row = b"\x011";
    check(
        Answer::Query,
        0,
        &[b"\x01", DEFINITION, EOF, row, b"\xfb", EOF],
        &[Event::Columns(1), Event::Separator, Event::Eof],
    );
    check(
        Answer::Query,
        capability::DEPRECATE_EOF,
        &[b"\x01", DEFINITION, row, row, OK_END],
        &[Event::Columns(1), Event::Ok],
    );
}

#[test]
fn ok_err_and_several_results() {
    check(Answer::Query, 0, &[&[0, 1, 0, 2, 0, 0, 0]], &[Event::Ok]);
    check(Answer::Query, 0, &[b"\xff\x28\x04#42000no"], &[Event::Err]);
    let more = [0, 1, 0, 10, 0, 0, 0];
    check(
        Answer::Query,
        capability::DEPRECATE_EOF,
        &[&more, b"\x01", DEFINITION, &[0xfe, 0, 0, 10, 0, 0, 0], b"\xff\x28\x04#42000no"],
        &[Event::Ok, Event::Columns(1), Event::Ok, Event::Err],
    );
}

#[test]
fn error_in_the_middle_of_rows_ends_the_answer() {
    check(
        Answer::Query,
        0,
        &[b"\x01", DEFINITION, EOF, b"\x011", b"\xff\x24\x05#70100killed"],
        &[Event::Columns(1), Event::Separator, Event::Err],
    );
}

#[test]
fn prepared_statements_of_every_shape() {
    for (parameters, columns) in [(0u8, 0u8), (0, 2), (2, 0), (2, 1)] {
        let head = [0, 5, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
        let prepared =
            PreparedHead { statement: 5, columns: u16::from(columns), parameters: u16::from(parameters), warnings: 0 };
        let (mut old, mut new) = (vec![&head[..]], vec![&head[..]]);
        let mut events = vec![Event::Prepared(prepared)];
        for count in [parameters, columns] {
            for _ in 0..count {
                old.push(DEFINITION);
                new.push(DEFINITION);
            }
            if count > 0 {
                old.push(EOF);
                events.push(Event::Separator);
            }
        }
        check(Answer::StatementPrepare, 0, &old, &events);
        check(Answer::StatementPrepare, capability::DEPRECATE_EOF, &new, &events[..1]);
        let mut out = Vec::new();
        prepared.encode(&mut out);
        assert_eq!(out, head);
    }
}

#[test]
fn cursors_end_behind_the_definitions_and_fetches_have_none() {
    let cursor = [0xfe, 0, 0, 0x42, 0];
    check(Answer::Execute, 0, &[b"\x01", DEFINITION, &cursor], &[Event::Columns(1), Event::Eof]);
    check(Answer::Fetch, 0, &[b"\0\0\x01", &[0xfe, 0, 0, 0x82, 0]], &[Event::Eof]);
    check(Answer::Fetch, capability::DEPRECATE_EOF, &[b"\0\0\x01", OK_END], &[Event::Ok]);
}

#[test]
fn field_list_statistics_and_simple_answers() {
    check(Answer::FieldList, 0, &[DEFINITION, DEFINITION, EOF], &[Event::Eof]);
    check(Answer::Statistics, 0, &[b"Uptime: 1"], &[Event::Text]);
    check(Answer::Simple, 0, &[EOF], &[Event::Eof]);
    check(Answer::Simple, capability::DEPRECATE_EOF, &[OK_END], &[Event::Ok]);
}

#[test]
fn a_file_is_asked_for_and_answered() {
    let mut scanner = Scanner::new(Answer::Query, 0);
    let mut ask = wire(&[b"\xfbdata.csv"]);
    assert_eq!(scanner.next(&mut ask), Ok(Step::Packet { length: ask.len(), event: Event::Infile }));
    assert!(!scanner.is_done());
    scanner.infile_sent(4);
    let mut answer = Vec::new();
    put_packet(&mut answer, 4, &[0, 1, 0, 2, 0, 0, 0]);
    assert_eq!(scanner.next(&mut answer), Ok(Step::Packet { length: 11, event: Event::Ok }));
    assert_eq!(scanner.next_sequence(), 5);
    assert!(scanner.is_done());
}

#[test]
fn a_file_behind_another_answer_is_numbered_for_both_sides() {
    let mut scanner = Scanner::new(Answer::Query, capability::DEPRECATE_EOF).renumbered(7);
    let mut ask = wire(&[b"\xfbdata.csv"]);
    assert_eq!(scanner.next(&mut ask), Ok(Step::Packet { length: ask.len(), event: Event::Infile }));
    assert_eq!((ask[3], scanner.next_sequence(), scanner.next_server_sequence()), (7, 8, 2));
    scanner.infile_sent(10);
    let mut answer = Vec::new();
    put_packet(&mut answer, 4, &[0, 1, 0, 2, 0, 0, 0]);
    assert_eq!(scanner.next(&mut answer), Ok(Step::Packet { length: 11, event: Event::Ok }));
    assert_eq!((answer[3], scanner.next_sequence()), (10, 11));
}

#[test]
fn a_row_over_16_mib_is_passed_in_pieces_and_its_continuation_is_not_looked_at() {
    let mut row = vec![b'x'; PAYLOAD_MAX + 10];
    row[0] = 0xfe;
    row[PAYLOAD_MAX] = 0xff;
    let bytes = wire(&[b"\x01", DEFINITION, &row, OK_END]);
    let scanner = Scanner::new(Answer::Query, capability::DEPRECATE_EOF);
    let (out, events, _) = run(scanner, &bytes, 1 << 20).expect("valid");
    assert_eq!(out, bytes);
    assert_eq!(events, [Event::Columns(1), Event::Ok]);
    // A row of exactly the maximum is followed by an empty packet.
    let exact = wire(&[b"\x01", DEFINITION, &vec![0xfe; PAYLOAD_MAX], OK_END]);
    let scanner = Scanner::new(Answer::Query, capability::DEPRECATE_EOF);
    let (out, events, _) = run(scanner, &exact, 1 << 20).expect("valid");
    assert_eq!(out.len(), exact.len());
    assert_eq!(events, [Event::Columns(1), Event::Ok]);
}

#[test]
fn packet_by_packet_every_row_is_reported() {
    let mut bytes = wire(&[b"\x01", DEFINITION, b"\x011", b"\x012", OK_END]);
    let mut scanner = Scanner::new(Answer::Query, capability::DEPRECATE_EOF);
    let mut events = Vec::new();
    loop {
        match scanner.next_packet(&mut bytes, 1000).expect("valid") {
            Step::Packet { length, event } => {
                bytes.drain(..length);
                events.push(event);
            }
            step => {
                assert_eq!(step, Step::Done);
                break;
            }
        }
    }
    let expected = [Event::Columns(1), Event::Definition, Event::Row, Event::Row, Event::Ok];
    assert_eq!(events, expected);
    let mut long = wire(&[b"\x01", DEFINITION, &[b'x'; 2000]]);
    let mut scanner = Scanner::new(Answer::Query, capability::DEPRECATE_EOF);
    for _ in 0..2 {
        let Ok(Step::Packet { length, .. }) = scanner.next_packet(&mut long, 1000) else { panic!("two packets fit") };
        long.drain(..length);
    }
    assert!(matches!(scanner.next_packet(&mut long, 1000), Err(WireError::TooLarge { .. })));
}

#[test]
fn nonsense_is_an_error() {
    for packet in [&b""[..], b"\xfc\xff", b"\xfd\xff\xff\xff"] {
        assert!(run(Scanner::new(Answer::Query, 0), &wire(&[packet]), 99).is_err());
    }
    assert!(run(Scanner::new(Answer::StatementPrepare, 0), &wire(&[b"\x01"]), 99).is_err());
    assert!(run(Scanner::new(Answer::Query, 0), &wire(&[b"\x01", b""]), 99).is_err());
}
