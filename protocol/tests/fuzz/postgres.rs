//! The PostgreSQL protocol: messages of clients, messages of servers, pipelines.

use protocol::postgres::backend::{self, ErrorFields, RowDescription, TransactionStatus};
use protocol::postgres::wire::{self, Message};
use protocol::postgres::{
    Audience, FrontendMessage, Observer, Pipeline, Segment, Sent, frontend, oid, options, password, row, scram,
    startup, value, write,
};

use super::{Damage, ITERATIONS, LENGTH_MAX, damaged};

const SENT: [Sent; 6] = [Sent::Parse, Sent::Bind, Sent::Execute, Sent::Query, Sent::Sync, Sent::DescribeStatement];

struct Ignore;

impl Observer for Ignore {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, _: u8, _: &[u8]) {}
    fn on_answered(&mut self, _: Sent, _: Audience, _: bool) {}
}

fn decode_as_everything(bytes: &[u8], choice: usize) {
    let _ = startup::decode(bytes);
    let _ = wire::message(bytes, 1 << 20);
    for tag in *b"QPBDECHSXdcfFp\xee" {
        if let Ok(FrontendMessage::Bind(bind)) = frontend::decode(&Message { tag, body: bytes, total: bytes.len() + 5 })
        {
            assert_eq!(bind.values.iter().count(), bind.values.len());
            assert_eq!(bind.formats.iter().count(), bind.formats.len());
        }
    }
    let _ = backend::TransactionStatus::decode(bytes);
    let _ = backend::command_tag(bytes).map(backend::rows_of_tag);
    let _ = backend::parameter_status(bytes);
    let _ = backend::key_data(bytes);
    let _ = backend::notification(bytes);
    let _ = backend::negotiate_protocol_version(bytes);
    let _ = backend::parameter_description(bytes).map(|oids| oids.iter().count());
    let _ = backend::CopyFormat::decode(bytes);
    let _ = backend::AuthenticationRequest::decode(bytes);
    if let Ok(fields) = ErrorFields::decode(bytes) {
        let _ = (fields.iter().count(), fields.sqlstate(), fields.text(), fields.is_fatal());
    }
    if let Ok(description) = RowDescription::decode(bytes) {
        assert_eq!(description.iter().count(), description.len());
    }
    let mut found = Vec::new();
    if row::fields(bytes, &mut found).is_ok() {
        assert!(found.iter().all(|&at| at.is_none() == row::field(bytes, at).is_none()));
    }
    let mut out = Vec::new();
    let _ = row::put_visible(&mut out, bytes, 3);
    let _ = row::put_replaced(&mut out, bytes, 3, &[(1, None)]);
    for type_oid in [
        oid::BOOL,
        oid::INT2,
        oid::INT4,
        oid::INT8,
        oid::FLOAT4,
        oid::FLOAT8,
        oid::NUMERIC,
        oid::DATE,
        oid::TIMESTAMP,
        oid::TIMESTAMPTZ,
        oid::UUID,
        oid::BYTEA,
        oid::TEXT,
        0,
        99_999,
    ] {
        for format in [0, 1] {
            if let Ok(value) = value::decode(type_oid, format, Some(bytes)) {
                let _ = value::encode(&value, type_oid, 1 - format);
            }
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = options::parse(&text);
    let _ = scram::Verifier::parse(&text);
    let verifier = scram::Verifier::mock("u", b"s");
    let _ = scram::begin(verifier.clone(), true, scram::SCRAM_SHA_256, None, bytes, "n");
    if let Ok((exchange, _)) = scram::begin(verifier, true, scram::SCRAM_SHA_256, None, b"n,,n=,r=a", "n") {
        assert!(exchange.finish(bytes).is_err());
    }
    let mut login = password::Login::new("u", b"p");
    if let Ok(request) = backend::AuthenticationRequest::decode(bytes) {
        let _ = login.on(request, &mut out);
    }
    let mut pipeline = Pipeline::default();
    for step in 0..choice % 5 {
        pipeline.sent(SENT[(choice / 5 + step) % SENT.len()], Audience::Client);
    }
    let mut rest = bytes;
    while let Ok(Segment::Forward(count) | Segment::Cut(count)) = pipeline.advance(rest, &mut Ignore) {
        assert!(count > 0 && count <= rest.len());
        rest = &rest[count..];
    }
}

#[test]
fn postgres_messages() {
    bolero::check!().with_iterations(ITERATIONS / 2).with_max_len(LENGTH_MAX).for_each(|bytes: &[u8]| {
        decode_as_everything(bytes, bytes.len());
    });
}

#[test]
fn postgres_damaged_messages() {
    let mut valid = Vec::new();
    write::row_description(&mut valid, [write::text_column(b"a"), write::text_column(b"b")].into_iter());
    write::data_row(&mut valid, [Some(&b"x"[..]), None].into_iter());
    write::bind(&mut valid, b"p", b"s", &[1], [Some(&b"abcd"[..])].into_iter(), &[1]);
    write::parse(&mut valid, b"s", b"select 1", [23].into_iter());
    write::command_complete(&mut valid, b"SELECT 1");
    write::ready_for_query(&mut valid, TransactionStatus::Idle);
    bolero::check!().with_iterations(ITERATIONS / 2).with_type::<(u8, u8, Damage)>().for_each(
        |(from, choice, damage)| {
            let bytes = damaged(&valid, damage);
            let from = usize::from(*from) % (bytes.len() + 1);
            decode_as_everything(&bytes[from..], usize::from(*choice));
        },
    );
}

/// What is sent to the client, in order, and what the observer was told.
#[derive(Default, PartialEq, Eq, Debug)]
struct Seen {
    messages: Vec<SeenMessage>,
    answered: Vec<(Sent, Audience, bool)>,
}

/// What a message answers, its tag and its body.
type SeenMessage = (Option<(Sent, Audience)>, u8, Vec<u8>);

impl Observer for Seen {
    fn on_message(&mut self, of: Option<(Sent, Audience)>, tag: u8, body: &[u8]) {
        self.messages.push((of, tag, body.to_vec()));
    }
    fn on_answered(&mut self, sent: Sent, audience: Audience, failed: bool) {
        self.answered.push((sent, audience, failed));
    }
}

/// Runs a pipeline over `bytes`, of which `chunk` more are there at each look.
fn run(sent: &[u8], bytes: &[u8], chunk: usize) -> (Vec<u8>, Seen, bool) {
    let mut pipeline = Pipeline::default();
    for choice in sent.iter().take(12) {
        let audience = if choice & 0x80 == 0 { Audience::Client } else { Audience::ClientErrors };
        pipeline.sent(SENT[usize::from(*choice) % SENT.len()], audience);
    }
    let (mut seen, mut out) = (Seen::default(), Vec::new());
    let (mut buffer, mut fed) = (Vec::new(), 0);
    loop {
        match pipeline.advance(&buffer, &mut seen) {
            Ok(Segment::Forward(count)) => {
                assert!(count > 0);
                out.extend(buffer.drain(..count));
            }
            Ok(Segment::Cut(count)) => {
                assert!(count > 0);
                buffer.drain(..count);
            }
            Ok(Segment::Insert(ours)) => out.extend_from_slice(&ours),
            Ok(Segment::More) if fed == bytes.len() => return (out, seen, false),
            Ok(Segment::More) => {
                let end = (fed + chunk).min(bytes.len());
                buffer.extend_from_slice(&bytes[fed..end]);
                fed = end;
            }
            Err(_) => return (out, seen, true),
        }
    }
}

#[test]
fn postgres_pipelines() {
    const TAGS: [u8; 16] = *b"123tnTDCEIZsNASK";
    type Input = (Vec<u8>, Vec<(u8, Vec<u8>)>);
    bolero::check!().with_iterations(ITERATIONS / 4).with_type::<Input>().for_each(|(sent, messages)| {
        let mut bytes = Vec::new();
        for (tag, body) in messages.iter().take(16) {
            write::put_raw(&mut bytes, TAGS[usize::from(*tag) % TAGS.len()], &[body]);
        }
        let whole = run(sent, &bytes, bytes.len().max(1));
        for chunk in [1, 5] {
            let (out, seen, refused) = run(sent, &bytes, chunk);
            assert_eq!(refused, whole.2, "chunks of {chunk}");
            if !refused {
                assert_eq!((&out, &seen), (&whole.0, &whole.1), "chunks of {chunk}");
            }
        }
    });
}
