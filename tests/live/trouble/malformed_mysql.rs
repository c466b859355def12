//! Bytes that no driver of the MySQL protocol sends: before, in and after the login.

use std::time::Instant;

use super::wire::{MySqlRaw, Random, Raw, framed, last_mysql_error, mysql_error};
use super::{Place, SOON, Witness, place};

/// What a server says to a packet that makes no sense.
const MALFORMED: u16 = 1835;
/// As servers number it.
const OUT_OF_ORDER: u16 = 1156;

/// After this opening the session must end, with this error.
fn ends(place: &Place, what: &str, bytes: &[u8], code: u16) {
    let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
    client.raw.send(bytes);
    let told = last_mysql_error(&client.raw.rest());
    assert_eq!(told.as_ref().map(|told| told.code), Some(code), "{what}: {told:?}");
}

#[tokio::test]
async fn before_and_in_the_login() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let login = MySqlRaw::login(&place.mysql.name);
    let right = framed(1, &login);

    ends(place, "a wrong sequence number", &framed(5, &login), MALFORMED);
    ends(place, "an empty packet", &framed(1, b""), MALFORMED);
    ends(place, "a client of the old protocol", &framed(1, b"\x05\x24\0\0\0app\0"), MALFORMED);
    ends(place, "TLS that is not offered", &framed(1, &tls_request()), MALFORMED);
    ends(place, "a header that promises 16 MiB", b"\xff\xff\xff\x01", MALFORMED);
    // Read as a header, a TLS hello's length is the sequence number; where it is 1, only the clock tells (see below).
    ends(place, "a TLS hello", &[&tls_hello()[..3], &[2], &tls_hello()[4..]].concat(), MALFORMED);
    ends(place, "HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", MALFORMED);
    // Every part of a login, as a whole packet of its own: an error, or a login with less in it.
    for cut in 0..login.len() {
        let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
        client.packet(1, &login[..cut]);
        let (_, answer) = client.answer().unwrap_or_else(|| panic!("no answer to {cut} bytes of a login"));
        let told = mysql_error(&answer);
        // An empty user name; a name cut short; the database cut short; another method is asked for.
        let known =
            told.as_ref().map_or([0, 0xfe].contains(&answer[0]), |told| [MALFORMED, 1045, 1049].contains(&told.code));
        assert!(known, "{cut} bytes: {told:?}");
    }
    // And cut off in the middle of the packet, by the end of the stream.
    for cut in 0..right.len() {
        let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
        client.raw.send(&right[..cut]);
        client.raw.finish();
        client.raw.rest();
    }
    // A wrong answer to the question for another proof.
    let other_method = MySqlRaw::login_of("app", "a_method_of_nobody", &place.mysql.name);
    for proof in [&b""[..], b"short", &[7; 20], &[7; 33], &[0; 70_000]] {
        let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
        client.packet(1, &other_method);
        let (sequence, question) = client.answer().expect("a question");
        assert_eq!((sequence, question[0]), (2, 0xfe));
        client.packet(3, proof);
        let told = last_mysql_error(&client.raw.rest()).expect("an error");
        assert_eq!((told.code, told.state.as_str()), (1045, "28000"), "{} bytes", proof.len());
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

/// A request for TLS, as `mariadb --ssl` sends it.
fn tls_request() -> Vec<u8> {
    let mut payload = vec![0x05, 0xaa, 0x08, 0x00, 0, 0, 0, 1, 45];
    payload.extend_from_slice(&[0; 23]);
    payload
}

/// The beginning of a TLS handshake.
pub fn tls_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3];
    hello.extend_from_slice(&[0x55; 32]);
    hello.resize(5 + 256, 0);
    hello
}

#[tokio::test]
async fn commands() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let address = place.mesh.addresses.mysql;
    let name = &place.mysql.name;

    // Framing that makes no sense ends the session.
    for (what, bytes, code) in [
        ("a command with sequence number 3", framed(3, b"\x03SELECT 1"), OUT_OF_ORDER),
        ("an empty command", framed(0, b""), MALFORMED),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), OUT_OF_ORDER),
    ] {
        let mut client = MySqlRaw::logged_in(address, name);
        client.raw.send(&bytes);
        let told = last_mysql_error(&client.raw.rest());
        assert_eq!(told.as_ref().map(|told| told.code), Some(code), "{what}: {told:?}");
    }
    // Commands that are framed well but wrong inside: an error, and the session goes on or ends.
    let wrong: [(&str, &[u8], u16); 12] = [
        ("an unknown command", b"\x7f", 1047),
        ("COM_SLEEP", b"\x00", 1047),
        ("COM_BINLOG_DUMP", b"\x12\0\0\0\0\0\0\0\0\0\0", 1047),
        ("COM_SET_OPTION with nothing", b"\x1b", MALFORMED),
        ("COM_SET_OPTION with a bad option", b"\x1b\x09\x00", 1047),
        ("COM_PROCESS_KILL with half an id", b"\x0c\x01\x02", MALFORMED),
        ("COM_PROCESS_KILL of nobody", b"\x0c\xff\xff\xff\x7f", 1094),
        ("COM_STMT_EXECUTE of no statement", b"\x17\x63\0\0\0\0\x01\0\0\0", 1243),
        ("COM_STMT_EXECUTE cut short", b"\x17\x63", MALFORMED),
        ("COM_STMT_FETCH of no statement", b"\x1c\x63\0\0\0\x01\0\0\0", 1243),
        ("COM_STMT_RESET of no statement", b"\x1a\x63\0\0\0", 1243),
        ("COM_CHANGE_USER with nothing", b"\x11", MALFORMED),
    ];
    for (what, payload, code) in wrong {
        let mut client = MySqlRaw::logged_in(address, name);
        client.packet(0, payload);
        let (_, answer) = client.answer().unwrap_or_else(|| panic!("{what}: no answer"));
        let told = mysql_error(&answer);
        assert_eq!(told.as_ref().map(|told| told.code), Some(code), "{what}: {told:?}");
        if code == MALFORMED {
            assert!(client.raw.rest().is_empty(), "{what}");
        } else {
            assert!(client.lives(), "{what}: the session does not go on");
        }
    }
    // What has no answer leaves none behind.
    for payload in [&b"\x19\x63\0\0\0"[..], b"\x18\x63\0\0\0\x07\0data"] {
        let mut client = MySqlRaw::logged_in(address, name);
        client.packet(0, payload);
        assert!(client.lives(), "{payload:?}");
    }
    // Text that is neither UTF-8 nor SQL is the server's affair.
    let mut client = MySqlRaw::logged_in(address, name);
    client.packet(0, b"\x03\xff\xfe\x00\x80");
    let told = mysql_error(&client.answer().expect("an answer").1).expect("an error");
    assert_eq!((told.code, told.state.as_str()), (1064, "42000"), "{told:?}");
    assert!(client.lives());
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn headers_that_promise_much_cost_nothing() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let before = place.mesh.resident_kib();
    let mut clients: Vec<MySqlRaw> =
        (0..50).map(|_| MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name)).collect();
    for client in &mut clients {
        client.raw.send(b"\xff\xff\xff\x00\x03SELECT");
    }
    let mut other = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    assert!(other.lives());
    // 50 promises of 16 MiB each: 800 MiB if they were believed. Tests beside this one need some memory, too.
    let grown = place.mesh.resident_kib().saturating_sub(before);
    assert!(grown < 200 << 10, "{grown} KiB");
    for client in &mut clients {
        client.raw.finish();
        client.raw.rest();
    }
    place.is_unharmed();
}

#[tokio::test]
async fn bodies_of_executes() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let (address, name) = (place.mesh.addresses.mysql, &place.mysql.name);
    let prepare = |client: &mut MySqlRaw| -> [u8; 4] {
        client.packet(0, b"\x16SELECT ? + 1, ?");
        let (_, first) = client.answer().expect("an answer");
        assert_eq!(first[0], 0, "{:?}", mysql_error(&first));
        // Two parameters and an EOF, two columns and an EOF.
        for _ in 0..6 {
            client.answer().expect("a definition");
        }
        first[1..5].try_into().expect("four bytes")
    };
    // id, no cursor, one iteration, no NULLs, types follow, BIGINT and VARCHAR, the values 7 and "abc".
    let body = |id: [u8; 4]| {
        let mut body = vec![0x17];
        body.extend_from_slice(&id);
        body.extend_from_slice(&[0, 1, 0, 0, 0, 0, 1, 8, 0, 253, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c']);
        body
    };
    let mut client = MySqlRaw::logged_in(address, name);
    let id = prepare(&mut client);
    client.packet(0, &body(id));
    assert_eq!(client.answer().expect("an answer").1, [2], "two columns");
    let whole = body(id).len();
    // Cut anywhere, the command is refused; a session that goes on answers as before.
    for cut in 5..whole {
        let mut client = MySqlRaw::logged_in(address, name);
        let id = prepare(&mut client);
        client.packet(0, &body(id)[..cut]);
        let (_, answer) = client.answer().unwrap_or_else(|| panic!("{cut} bytes: no answer"));
        let told = mysql_error(&answer).unwrap_or_else(|| panic!("{cut} bytes of an execute were run"));
        assert!([MALFORMED, 1210].contains(&told.code), "{cut} bytes: {told:?}");
    }
    // Wrong inside: an unknown type, a length beyond the end, a length of 16 EiB, a cursor of no kind.
    for (at, bytes) in [(12, &[200][..]), (24, &[250]), (24, &[254, 255, 255, 255]), (5, &[0x40])] {
        let mut client = MySqlRaw::logged_in(address, name);
        let id = prepare(&mut client);
        let mut wrong = body(id);
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        client.packet(0, &wrong);
        let (_, answer) = client.answer().unwrap_or_else(|| panic!("{bytes:?} at {at}: no answer"));
        assert!(at == 5 || mysql_error(&answer).is_some(), "{bytes:?} at {at} were run");
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn random_bytes() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let (address, name) = (place.mesh.addresses.mysql, &place.mysql.name);
    let mut random = Random::new(7);
    for _ in 0..60 {
        let mut client = MySqlRaw::greeted(address);
        let count = random.below(300);
        client.raw.send(&random.bytes(count));
        client.raw.finish();
        client.raw.rest();
    }
    // Behind a login that is right: commands with a right header, whatever they are.
    for _ in 0..120 {
        let mut client = MySqlRaw::logged_in(address, name);
        for _ in 0..1 + random.below(4) {
            let count = 1 + random.below(60);
            let mut payload = random.bytes(count);
            payload[0] %= 0x20;
            client.packet(0, &payload);
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
    let right = framed(1, &MySqlRaw::login(&place.mysql.name));
    let begun = Instant::now();
    // One says nothing at all, one sends a byte now and then and never finishes.
    let mut silent = MySqlRaw::greeted(place.mesh.addresses.mysql);
    let mut slow = MySqlRaw::greeted(place.mesh.addresses.mysql);
    let last = drip(&mut slow.raw, &right);
    assert!(last < right.len(), "the login was let through");
    silent.raw.rest();
    assert!(begun.elapsed() < SOON);
    place.is_unharmed();
}

/// Sends a byte whenever nothing came for some time, until the other side ends the connection; says how many it took.
pub fn drip(raw: &mut Raw, bytes: &[u8]) -> usize {
    for (sent, byte) in bytes.iter().enumerate() {
        if !raw.is_silent_for(std::time::Duration::from_millis(100)) || !raw.send(&[*byte]) {
            return sent;
        }
    }
    bytes.len()
}
