//! Tests of the answer tracker: every split of the stream gives the same result.

use super::super::write;
use super::*;

#[derive(Default, Debug, PartialEq, Eq)]
struct Log {
    tags: Vec<u8>,
    answered: Vec<(Sent, bool)>,
}

impl Observer for Log {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, tag: u8, _: &[u8]) {
        self.tags.push(tag);
    }

    fn on_answered(&mut self, sent: Sent, _: Audience, failed: bool) {
        self.answered.push((sent, failed));
    }
}

/// Feeds `stream` in pieces of `piece` bytes; gives what the client gets.
fn feed(pipeline: &mut Pipeline, stream: &[u8], piece: usize, log: &mut Log) -> Vec<u8> {
    let mut client = Vec::new();
    let mut buffer = Vec::new();
    for chunk in stream.chunks(piece.max(1)).chain([&[][..]]) {
        buffer.extend_from_slice(chunk);
        loop {
            match pipeline.advance(&buffer, log).expect("a valid stream") {
                Segment::More => break,
                Segment::Forward(count) => client.extend(buffer.drain(..count)),
                Segment::Cut(count) => drop(buffer.drain(..count)),
                Segment::Insert(bytes) => client.extend(bytes.iter()),
            }
        }
    }
    assert!(buffer.is_empty(), "{buffer:?}");
    client
}

fn every_split(sent: impl Fn(&mut Pipeline), stream: &[u8]) -> (Vec<u8>, Log, Pipeline) {
    let run = |piece| {
        let mut pipeline = Pipeline::default();
        let mut log = Log::default();
        sent(&mut pipeline);
        (feed(&mut pipeline, stream, piece, &mut log), log, pipeline)
    };
    let whole = run(stream.len());
    for piece in 1..stream.len() {
        let split = run(piece);
        assert_eq!((&split.0, &split.1), (&whole.0, &whole.1), "pieces of {piece}");
    }
    whole
}

fn row(out: &mut Vec<u8>) {
    write::data_row(out, [Some(&b"value"[..]), None].into_iter());
}

#[test]
fn what_follows_a_failed_statement_without_sync_is_not_awaited() {
    let mut stream = Vec::new();
    write::bare(&mut stream, b'1');
    let (severity, sqlstate) = ("ERROR", "57014");
    write::error_response(&mut stream, &write::ErrorText { severity, sqlstate, message: "no", detail: "", hint: "" });
    let sent = |pipeline: &mut Pipeline| {
        for sent in [Sent::Parse, Sent::Bind, Sent::Execute] {
            pipeline.sent(sent, Audience::Mesh(1));
        }
        // The server skips it, as it has not seen a Sync.
        pipeline.sent(Sent::Query, Audience::Client);
    };
    let (client, log, pipeline) = every_split(sent, &stream);
    assert!(client.is_empty());
    assert_eq!(log.answered, [(Sent::Parse, false), (Sent::Bind, true)]);
    assert!(pipeline.is_settled() && pipeline.is_skipping());
}

#[test]
fn a_simple_query_passes_whole() {
    let mut stream = Vec::new();
    write::row_description(&mut stream, [write::text_column(b"a")].into_iter());
    row(&mut stream);
    row(&mut stream);
    write::command_complete(&mut stream, b"SELECT 2");
    write::ready_for_query(&mut stream, TransactionStatus::Active);
    let (client, log, pipeline) = every_split(|pipeline| pipeline.sent(Sent::Query, Audience::Client), &stream);
    assert_eq!(client, stream);
    assert_eq!(log.tags, b"CZ");
    assert_eq!(log.answered, [(Sent::Query, false)]);
    assert!(pipeline.is_settled() && !pipeline.is_clean());
    assert_eq!(pipeline.status(), TransactionStatus::Active);
}

#[test]
fn injected_messages_are_cut_and_ours_are_inserted() {
    let mut injected = Vec::new();
    write::parameter_status(&mut injected, b"TimeZone", b"UTC");
    row(&mut injected);
    write::command_complete(&mut injected, b"SELECT 1");
    write::ready_for_query(&mut injected, TransactionStatus::Idle);
    write::bare(&mut injected, b'1');
    let mut own = Vec::new();
    write::bare(&mut own, b'2');
    row(&mut own);
    write::command_complete(&mut own, b"SELECT 1");
    write::ready_for_query(&mut own, TransactionStatus::Idle);
    let send = |pipeline: &mut Pipeline| {
        pipeline.sent(Sent::Query, Audience::Mesh(1));
        pipeline.sent(Sent::Parse, Audience::Mesh(2));
        pipeline.insert(b"1\0\0\0\x04".to_vec());
        pipeline.sent(Sent::Bind, Audience::Client);
        pipeline.sent(Sent::Execute, Audience::Client);
        pipeline.sent(Sent::Sync, Audience::Client);
    };
    let (client, log, pipeline) = every_split(send, &[injected, own.clone()].concat());
    assert_eq!(client, [b"1\0\0\0\x04".to_vec(), own].concat());
    assert_eq!(log.answered.len(), 5);
    assert!(pipeline.is_clean());
}

#[test]
fn an_error_skips_to_sync_and_drops_what_was_to_be_inserted() {
    let mut stream = Vec::new();
    let error = write::ErrorText { severity: "ERROR", sqlstate: "42P01", message: "x", detail: "", hint: "" };
    write::error_response(&mut stream, &error);
    write::ready_for_query(&mut stream, TransactionStatus::Idle);
    let send = |pipeline: &mut Pipeline| {
        pipeline.sent(Sent::Parse, Audience::Client);
        pipeline.sent(Sent::Bind, Audience::Client);
        pipeline.insert(b"3\0\0\0\x04".to_vec());
        pipeline.sent(Sent::Execute, Audience::Client);
        pipeline.sent(Sent::Sync, Audience::Client);
    };
    let (client, log, pipeline) = every_split(send, &stream);
    assert_eq!(client, stream);
    assert_eq!(log.answered, [(Sent::Parse, true), (Sent::Sync, false)]);
    assert!(pipeline.is_clean());
}

#[test]
fn after_an_error_without_sync_only_sync_counts() {
    let mut pipeline = Pipeline::default();
    let mut log = Log::default();
    pipeline.sent(Sent::Parse, Audience::Client);
    let error = write::ErrorText { severity: "ERROR", sqlstate: "42601", message: "x", detail: "", hint: "" };
    let mut stream = Vec::new();
    write::error_response(&mut stream, &error);
    feed(&mut pipeline, &stream, 3, &mut log);
    assert!(pipeline.is_skipping() && pipeline.is_settled() && !pipeline.is_clean());
    pipeline.sent(Sent::Execute, Audience::Client);
    pipeline.insert(vec![1]);
    assert_eq!(pipeline.owed(), 0);
    pipeline.sent(Sent::Sync, Audience::Client);
    assert_eq!(pipeline.owed(), 1);
    assert!(!pipeline.is_skipping());
}

#[test]
fn copy_both_ways() {
    let mut stream = Vec::new();
    write::put_raw(&mut stream, b'G', &[&[0, 0, 0]]);
    let mut pipeline = Pipeline::default();
    let mut log = Log::default();
    pipeline.sent(Sent::Execute, Audience::Client);
    pipeline.sent(Sent::Sync, Audience::Client);
    feed(&mut pipeline, &stream, 1, &mut log);
    assert_eq!((pipeline.copy(), pipeline.owed()), (CopyState::In, 1), "the Sync sent before is ignored");
    pipeline.copy_ended();
    pipeline.sent(Sent::Sync, Audience::Client);
    stream.clear();
    write::command_complete(&mut stream, b"COPY 1");
    write::ready_for_query(&mut stream, TransactionStatus::Idle);
    feed(&mut pipeline, &stream, 2, &mut log);
    assert!(pipeline.is_clean());

    stream.clear();
    write::put_raw(&mut stream, b'H', &[&[0, 0, 0]]);
    write::put_raw(&mut stream, b'd', &[b"1\n"]);
    write::bare(&mut stream, b'c');
    write::command_complete(&mut stream, b"COPY 1");
    write::ready_for_query(&mut stream, TransactionStatus::Idle);
    let (client, _, pipeline) = every_split(|pipeline| pipeline.sent(Sent::Query, Audience::Client), &stream);
    assert_eq!(client, stream);
    assert!(pipeline.is_clean());
}

#[test]
fn notices_and_notifications_pass_at_any_time() {
    let mut stream = Vec::new();
    write::put_raw(&mut stream, b'A', &[b"\0\0\0\x01c\0p\0"]);
    write::parameter_status(&mut stream, b"a", b"b");
    let (client, log, _) = every_split(|_| {}, &stream);
    assert_eq!((client, log.tags), (stream, b"AS".to_vec()));
}

#[test]
fn what_a_server_may_not_send() {
    for (sent, stream) in [
        (None, &b"Z\0\0\0\x05I"[..]),
        (None, b"D\0\0\0\x06\0\0"),
        (Some(Sent::Parse), b"2\0\0\0\x04"),
        (Some(Sent::Sync), b"C\0\0\0\x05\0"),
        (Some(Sent::Query), b"Z\0\0\0\x05X"),
        (Some(Sent::Query), b"C\0\0\0\x01\0"),
        (Some(Sent::Query), b"C\x7f\xff\xff\xff\0"),
    ] {
        let mut pipeline = Pipeline::default();
        if let Some(sent) = sent {
            pipeline.sent(sent, Audience::Client);
        }
        assert!(pipeline.advance(stream, &mut Log::default()).is_err(), "{sent:?}");
    }
}

#[test]
fn a_part_of_a_row_passes_at_once() {
    let mut pipeline = Pipeline::default();
    pipeline.sent(Sent::Query, Audience::Client);
    let header = b"D\0\x10\0\0\0\x01";
    assert_eq!(pipeline.advance(header, &mut Log::default()), Ok(Segment::Forward(header.len())));
    assert_eq!(pipeline.advance(&[0; 100], &mut Log::default()), Ok(Segment::Forward(100)));
    assert!(!pipeline.is_settled());
}

/// An observer that tells errors in its own words.
struct Editor;

impl Observer for Editor {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, _: u8, _: &[u8]) {}

    fn edited(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        Some(b"SERROR\0\0".to_vec())
    }

    fn on_answered(&mut self, _: Sent, _: Audience, _: bool) {}
}

#[test]
fn errors_about_what_was_edited_are_told_in_other_words_at_their_place() {
    for (audience, ready) in [(Audience::ClientEdited, true), (Audience::ClientPart, false), (Audience::Client, true)] {
        let mut stream = Vec::new();
        write::row_description(&mut stream, std::iter::empty());
        row(&mut stream);
        let rows = stream.clone();
        let text = write::ErrorText { severity: "ERROR", sqlstate: "42703", message: "x", detail: "", hint: "" };
        write::error_response(&mut stream, &text);
        let mut expected = rows;
        match audience {
            Audience::Client => expected.clone_from(&stream),
            _ => write::put_raw(&mut expected, b'E', &[b"SERROR\0\0"]),
        }
        write::ready_for_query(&mut stream, TransactionStatus::Idle);
        if ready {
            write::ready_for_query(&mut expected, TransactionStatus::Idle);
        }
        let mut pipeline = Pipeline::default();
        pipeline.sent(Sent::Query, audience);
        let (mut client, mut buffer) = (Vec::new(), stream);
        loop {
            match pipeline.advance(&buffer, &mut Editor).expect("a valid stream") {
                Segment::More => break,
                Segment::Forward(count) => client.extend(buffer.drain(..count)),
                Segment::Cut(count) => drop(buffer.drain(..count)),
                Segment::Insert(bytes) => client.extend(bytes.iter()),
            }
        }
        assert_eq!(client, expected, "{audience:?}");
        assert!(pipeline.is_clean() && buffer.is_empty());
    }
}
