//! Bytes that no driver of the PostgreSQL protocol sends: before, in and after the login.

use std::time::Instant;

use super::malformed_mysql::{drip, tls_hello};
use super::wire::{PostgresRaw, RAW_USER, Random, Raw, last_postgres_error, message, postgres_error};
use super::{Place, SOON, Witness, place};

/// What a client is told before its session ends; `None`: it is just closed.
fn end_of(place: &Place, bytes: &[u8]) -> Option<String> {
    let mut client = Raw::connect(place.mesh.addresses.postgres);
    client.send(bytes);
    last_postgres_error(&client.rest()).map(|told| told.state)
}

fn startup_packet(code: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(rest.len() + 8).expect("short").to_be_bytes().to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

const VERSION: u32 = 3 << 16;
const SSL: u32 = 80_877_103;
const CANCEL: u32 = 80_877_102;

#[tokio::test]
async fn before_the_login() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let ends = |what: &str, bytes: &[u8], state: &str| {
        let told = end_of(place, bytes);
        assert_eq!(told.as_deref(), Some(state), "{what}");
    };
    ends("a length of 0", &[0; 8], "08P01");
    ends("a length below that of the version", b"\0\0\0\x05\0\x03\0\0", "08P01");
    ends("a startup packet of 2 GiB", b"\x7f\xff\xff\xff\0\x03\0\0", "08P01");
    ends("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "08P01");
    ends("protocol 2", &startup_packet(2 << 16, b"user\0raw\0\0"), "0A000");
    ends("protocol 9.9", &startup_packet((9 << 16) + 9, b"user\0raw\0\0"), "0A000");
    ends("no end of the parameters", &startup_packet(VERSION, b"user\0raw"), "08P01");
    ends("a name without a value", &startup_packet(VERSION, b"user\0raw\0database\0\0"), "08P01");
    ends("replication", &startup_packet(VERSION, b"user\0raw\0replication\0database\0\0"), "0A000");
    let nobody = end_of(place, &startup_packet(VERSION, b"database\0x\0\0"));
    assert!(["28000", "08P01"].contains(&nobody.as_deref().unwrap_or_default()), "no user: {nobody:?}");
    // Nothing can be said to who begins with TLS that is not there.
    assert_eq!(end_of(place, &tls_hello()), None);
    // A cancel request is never answered.
    for key in [&b""[..], b"\0\0\0\x01", &[1, 2, 3, 4, 5, 6, 7, 8], &[9; 300]] {
        let told = end_of(place, &startup_packet(CANCEL, key));
        assert!(told.is_none() || told.as_deref() == Some("08P01"), "{key:?}: {told:?}");
    }
    let right = PostgresRaw::startup(RAW_USER, &place.postgres.name);
    for cut in 0..right.len() {
        let mut client = Raw::connect(place.mesh.addresses.postgres);
        client.send(&right[..cut]);
        client.finish();
        client.rest();
    }
    // TLS and GSS are refused by one byte; then the client goes on without, but not for ever.
    let mut client = PostgresRaw { raw: Raw::connect(place.mesh.addresses.postgres) };
    client.raw.send(&startup_packet(SSL, b""));
    assert_eq!(client.raw.read(1).as_deref(), Some(&b"N"[..]));
    client.raw.send(&right);
    assert!(client.until_ready().is_some());
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn in_the_login() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let first = |mechanism: &str, data: &[u8]| {
        let mut body = mechanism.as_bytes().to_vec();
        body.push(0);
        body.extend_from_slice(&u32::try_from(data.len()).expect("short").to_be_bytes());
        body.extend_from_slice(data);
        message(b'p', &body)
    };
    let good = first("SCRAM-SHA-256", b"n,,n=,r=abcdefghijklmnopqrstuvwx");
    let answers: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("a query instead of a password", message(b'Q', b"SELECT 1\0"), &["08P01"]),
        ("a message of 2 GiB", b"p\x7f\xff\xff\xff".to_vec(), &["08P01"]),
        ("a length below 4", b"p\0\0\0\x03".to_vec(), &["08P01"]),
        ("an empty answer", message(b'p', b""), &["08P01", "28P01"]),
        ("an unknown mechanism", first("PLAIN", b"\0app\0app"), &["08P01", "28P01"]),
        ("no first message", first("SCRAM-SHA-256", b""), &["08P01", "28P01"]),
        ("channel binding that is not offered", first("SCRAM-SHA-256", b"p=tls-unique,,n=,r=abc"), &["08P01", "28P01"]),
        ("bytes beyond the end", message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc"), &["08P01", "28P01"]),
        ("a proof that is none", [good.clone(), message(b'p', b"c=biws,r=x,p=")].concat(), &["08P01", "28P01"]),
        ("binary in the proof", [good.clone(), message(b'p', &[0xff; 64])].concat(), &["08P01", "28P01"]),
    ];
    for (what, bytes, states) in answers {
        let mut client = PostgresRaw { raw: Raw::connect(place.mesh.addresses.postgres) };
        client.raw.send(&PostgresRaw::startup("app", &place.postgres.name));
        assert_eq!(client.answer().map(|(tag, _)| tag), Some(b'R'), "{what}");
        client.raw.send(&bytes);
        let told = last_postgres_error(&client.raw.rest()).unwrap_or_else(|| panic!("{what}: no error"));
        assert!(states.contains(&told.state.as_str()), "{what}: {told:?}");
    }
    for cut in 0..good.len() {
        let mut client = PostgresRaw { raw: Raw::connect(place.mesh.addresses.postgres) };
        client.raw.send(&PostgresRaw::startup("app", &place.postgres.name));
        client.raw.send(&good[..cut]);
        client.raw.finish();
        client.raw.rest();
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn messages() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let open = || PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
    // What leaves no way to find the next message, or has no meaning here, ends the session.
    let ends: [(&str, &[u8]); 8] = [
        ("a length of 2 GiB", b"Q\x7f\xff\xff\xff"),
        ("an unknown message", b"y\0\0\0\x04"),
        ("a length of 0", b"Q\0\0\0\0"),
        ("a negative length", b"Q\xff\xff\xff\xff"),
        ("a password behind the login", b"p\0\0\0\x08abc\0"),
        ("a query without an end", b"Q\0\0\0\x08SELE"),
        ("a target of no kind", b"D\0\0\0\x06X\0"),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ];
    for (what, bytes) in ends {
        let mut client = open();
        client.raw.send(bytes);
        let told = last_postgres_error(&client.raw.rest()).unwrap_or_else(|| panic!("{what}: no error"));
        assert_eq!(told.state, "08P01", "{what}: {told:?}");
    }
    // A message above the limit is refused as soon as its header is there.
    let mut client = open();
    client.raw.send(b"Q\x06\x40\0\0");
    let (tag, body) = client.answer().expect("an answer");
    assert_eq!((tag, postgres_error(&body).state.as_str()), (b'E', "54000"));
    drop(client);
    // What is well formed but fits nothing: an error, then the session goes on.
    let fails: [(&str, Vec<u8>, &str); 7] = [
        ("an unknown statement", message(b'B', b"\0nothing\0\0\0\0\0\0\0"), "26000"),
        ("an unknown portal", message(b'E', b"nothing\0\0\0\0\0"), "34000"),
        ("a description of an unknown statement", message(b'D', b"Snothing\0"), "26000"),
        ("a description of an unknown portal", message(b'D', b"Pnothing\0"), "34000"),
        ("bytes that are not UTF-8", message(b'P', b"\0SELECT '\xff\xfe'\0\0\0"), "22021"),
        ("a call of an unknown function", message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"), "42883"),
        ("a call without a function", message(b'F', b"\0\0"), "08P01"),
    ];
    for (what, bytes, state) in fails {
        let mut client = open();
        client.raw.send(&[bytes, message(b'S', b"")].concat());
        let answers = client.until_ready().unwrap_or_else(|| panic!("{what}: the session ended"));
        let error = answers.iter().find(|(tag, _)| *tag == b'E').unwrap_or_else(|| panic!("{what}: no error"));
        assert_eq!(postgres_error(&error.1).state, state, "{what}");
        assert!(client.lives(), "{what}: the session does not go on");
    }
    // Data of a COPY that nobody asked for is dropped, as by servers.
    let mut client = open();
    client.raw.send(&[message(b'd', b"1\tx\n"), message(b'c', b"")].concat());
    assert!(client.lives());
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn bodies_of_the_extended_protocol() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let parse = message(b'P', b"s\0SELECT $1::int8 + 1, $2::text\0\0\x02\0\0\0\x14\0\0\0\x19");
    let bind_body = b"p\0s\0\0\x02\0\x01\0\0\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x07\0\0\0\x03abc\0\x01\0\x01";
    let (execute, sync) = (message(b'E', b"p\0\0\0\0\0"), message(b'S', b""));
    let open = || PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
    let mut client = open();
    client.raw.send(&[parse.clone(), message(b'B', bind_body), execute.clone(), sync.clone()].concat());
    let tags: Vec<u8> = client.until_ready().expect("an answer").iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, b"12DC");
    // Cut anywhere, the message is refused.
    let bodies = [
        (b'B', &bind_body[..]),
        (b'P', &b"t\0SELECT $1\0\0\x01\0\0\0\x14"[..]),
        (b'E', b"p\0\0\0\0\0"),
        (b'C', b"Ss\0"),
        (b'D', b"Ss\0"),
    ];
    for (tag, body) in bodies {
        for cut in 0..body.len() {
            let mut client = open();
            client.raw.send(&[parse.clone(), message(tag, &body[..cut]), sync.clone()].concat());
            client.raw.finish();
            let told = last_postgres_error(&client.raw.rest());
            let state = told.as_ref().map(|told| told.state.as_str());
            assert_eq!(state, Some("08P01"), "{} bytes of {}: {told:?}", cut, char::from(tag));
        }
    }
    // Counts and lengths that lie.
    for (at, bytes) in [(4, &[0x7f, 0xff][..]), (10, &[0x7f, 0xff]), (12, &[0x7f, 0xff, 0xff, 0xff])] {
        let mut lying = bind_body.to_vec();
        lying[at..at + bytes.len()].copy_from_slice(bytes);
        let mut client = open();
        client.raw.send(&[parse.clone(), message(b'B', &lying), sync.clone()].concat());
        client.raw.finish();
        let told = last_postgres_error(&client.raw.rest());
        assert_eq!(told.as_ref().map(|told| told.state.as_str()), Some("08P01"), "{bytes:?} at {at}: {told:?}");
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn random_bytes() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let address = place.mesh.addresses.postgres;
    let mut random = Random::new(11);
    for round in 0..60 {
        let mut client = Raw::connect(address);
        let count = random.below(300);
        let mut bytes = random.bytes(count);
        if round % 2 == 0 {
            bytes = startup_packet(VERSION, &bytes);
        }
        client.send(&bytes);
        client.finish();
        client.rest();
    }
    const TAGS: &[u8] = b"QPBEDCHSFdcfpX";
    for _ in 0..120 {
        let mut client = PostgresRaw::logged_in(address, &place.postgres.name);
        for _ in 0..1 + random.below(6) {
            let tag = TAGS[random.below(TAGS.len())];
            let count = random.below(40);
            let mut body = random.bytes(count);
            if random.below(2) == 0 {
                // Names and texts that end make it past the first check.
                body.iter_mut().step_by(3).for_each(|byte| *byte = 0);
                body.push(0);
            }
            client.raw.send(&message(tag, &body));
        }
        client.raw.finish();
        client.raw.rest();
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn a_login_that_takes_too_long() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let right = PostgresRaw::startup(RAW_USER, &place.postgres.name);
    let begun = Instant::now();
    let mut silent = Raw::connect(place.mesh.addresses.postgres);
    // One that has asked for a password and waits.
    let mut asked = PostgresRaw { raw: Raw::connect(place.mesh.addresses.postgres) };
    asked.raw.send(&PostgresRaw::startup("app", &place.postgres.name));
    assert_eq!(asked.answer().map(|(tag, _)| tag), Some(b'R'));
    let mut slow = Raw::connect(place.mesh.addresses.postgres);
    let taken = drip(&mut slow, &right);
    assert!(taken < right.len(), "the login was let through");
    silent.rest();
    asked.raw.rest();
    assert!(begun.elapsed() < SOON);
    place.is_unharmed();
}
