//! Every decoder against seeded random bytes and random damage of valid messages: no panic, no endless loop.

use super::*;

/// A small deterministic generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let count = self.next() % (most + 1);
        // Small bytes are frequent in real messages (lengths, counts), so they are frequent here.
        (0..count)
            .map(|_| match self.next() % 3 {
                0 => 0,
                1 => u8::try_from(self.next() % 8).unwrap_or(0),
                _ => u8::try_from(self.next() % 256).unwrap_or(0),
            })
            .collect()
    }
}

struct Ignore;

impl Observer for Ignore {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, _: u8, _: &[u8]) {}
    fn on_answered(&mut self, _: Sent, _: Audience, _: bool) {}
}

fn decode_as_everything(bytes: &[u8], random: &mut Random) {
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
    for _ in 0..random.next() % 5 {
        let sent = [Sent::Parse, Sent::Bind, Sent::Execute, Sent::Query, Sent::Sync, Sent::DescribeStatement];
        pipeline.sent(sent[usize::try_from(random.next() % 6).unwrap_or(0)], Audience::Client);
    }
    let mut rest = bytes;
    while let Ok(Segment::Forward(count) | Segment::Cut(count)) = pipeline.advance(rest, &mut Ignore) {
        assert!(count > 0 && count <= rest.len());
        rest = &rest[count..];
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..5_000 {
        let bytes = random.bytes(120);
        decode_as_everything(&bytes, &mut random);
    }
}

#[test]
fn damaged_messages() {
    let mut random = Random(42);
    let mut valid = Vec::new();
    write::row_description(&mut valid, [write::text_column(b"a"), write::text_column(b"b")].into_iter());
    write::data_row(&mut valid, [Some(&b"x"[..]), None].into_iter());
    write::bind(&mut valid, b"p", b"s", &[1], [Some(&b"abcd"[..])].into_iter(), &[1]);
    write::parse(&mut valid, b"s", b"select 1", [23].into_iter());
    write::command_complete(&mut valid, b"SELECT 1");
    write::ready_for_query(&mut valid, TransactionStatus::Idle);
    for _ in 0..5_000 {
        let mut bytes = valid.clone();
        for _ in 0..=random.next() % 3 {
            let at = usize::try_from(random.next()).unwrap_or(0) % bytes.len();
            bytes[at] = u8::try_from(random.next() % 256).unwrap_or(0);
        }
        let from = usize::try_from(random.next()).unwrap_or(0) % bytes.len();
        decode_as_everything(&bytes[from..], &mut random);
    }
}
