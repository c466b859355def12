//! Bytes that no driver sends, on the admin addresses of both protocols.

use std::net::SocketAddr;
use std::time::Duration;

use super::malformed_mysql::{drip, tls_hello};
use super::wire::{MySqlRaw, PostgresRaw, Random, Raw, framed, last_mysql_error, last_postgres_error, message};
use super::{Place, Witness, admin, place, told_by_mysql, told_by_postgres};
use crate::bed::Tool;

/// The admin interface answers by both protocols.
async fn serves(place: &Place) {
    let rows = admin(&place.mesh, "SHOW VERSION").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let port = place.mesh.addresses.admin_mysql.port().to_string();
    let said = tokio::task::spawn_blocking(move || {
        Tool::new("mariadb")
            .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P", &port, "-uadmin", "-padmin", "-N"])
            .args(["-e", "SHOW VERSION"])
            .within(Duration::from_secs(30))
            .ok()
    });
    assert!(said.await.expect("no panic").contains(env!("CARGO_PKG_VERSION")));
}

/// Every opening ends the connection, whatever is said.
fn all_end(address: SocketAddr, openings: &[Vec<u8>]) {
    for opening in openings {
        let mut client = Raw::connect(address);
        client.send(opening);
        client.finish();
        client.rest();
    }
}

fn random_openings(seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let mut openings: Vec<Vec<u8>> = (0..60)
        .map(|_| {
            let count = random.below(200);
            random.bytes(count)
        })
        .collect();
    openings.push(tls_hello());
    openings.push(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec());
    openings.push(vec![0; 4096]);
    openings.push(vec![0xff; 4096]);
    openings
}

#[tokio::test]
async fn by_mysql() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let address = place.mesh.addresses.admin_mysql;
    let login = MySqlRaw::login("admin");
    let mut openings = random_openings(13);
    openings.extend((0..login.len()).map(|cut| framed(1, &login[..cut])));
    openings.extend((0..login.len()).map(|cut| framed(1, &login)[..cut].to_vec()));
    // Two packets in one write, wrong sequence numbers, commands before the login is done.
    openings.push([framed(1, &login), framed(3, &[7; 20]), framed(0, b"\x03SHOW VERSION")].concat());
    openings.push([framed(1, &login), framed(2, b""), framed(2, b"")].concat());
    openings.push(framed(0, b"\x03SHOW VERSION"));
    all_end(address, &openings);
    serves(place).await;
    // A wrong password is refused as servers refuse it.
    let options = mysql_async::OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(address.port());
    for (user, password) in [("admin", "wrong"), ("stranger", "admin"), ("app", "app")] {
        let options = options.clone().user(Some(user)).pass(Some(password)).prefer_socket(false);
        let error = mysql_async::Conn::new(options).await.expect_err("not an operator");
        let told = told_by_mysql(&error);
        assert_eq!((told.code, told.state.as_str()), (1045, "28000"), "{told:?}");
    }
    let mut client = MySqlRaw::greeted(address);
    client.packet(1, &login);
    let (sequence, question) = client.answer().expect("an answer");
    let refused = match question[0] {
        0xfe => {
            client.packet(sequence.wrapping_add(1), &[9; 20]);
            last_mysql_error(&client.raw.rest())
        }
        _ => last_mysql_error(&framed(sequence, &question)),
    };
    assert_eq!(refused.map(|told| told.code), Some(1045));
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn by_postgres() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let address = place.mesh.addresses.admin_postgres;
    let startup = PostgresRaw::startup("admin", "admin");
    let mut openings = random_openings(17);
    openings.extend((0..startup.len()).map(|cut| startup[..cut].to_vec()));
    for behind in [
        message(b'Q', b"SHOW VERSION\0"),
        message(b'p', b""),
        message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc"),
        b"p\x7f\xff\xff\xff".to_vec(),
        b"p\0\0\0\0".to_vec(),
    ] {
        openings.push([startup.clone(), behind].concat());
    }
    all_end(address, &openings);
    serves(place).await;
    for (user, password) in [("admin", "wrong"), ("stranger", "admin"), ("app", "app")] {
        let mut options = tokio_postgres::Config::new();
        options.host("127.0.0.1").port(address.port()).user(user).password(password).dbname("admin");
        let error = options.connect(tokio_postgres::NoTls).await.err().expect("not an operator");
        let told = told_by_postgres(&error);
        assert_eq!(told.state, "28P01", "{told:?}");
    }
    let mut client = Raw::connect(address);
    client.send(&[0; 8]);
    assert_eq!(last_postgres_error(&client.rest()).map(|told| told.state).as_deref(), Some("08P01"));
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn logins_that_take_too_long() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let mut silent = MySqlRaw::greeted(place.mesh.addresses.admin_mysql);
    let mut mute = Raw::connect(place.mesh.addresses.admin_postgres);
    let startup = PostgresRaw::startup("admin", "admin");
    let mut slow = Raw::connect(place.mesh.addresses.admin_postgres);
    assert!(drip(&mut slow, &startup) < startup.len(), "the login was let through");
    silent.raw.rest();
    mute.rest();
    serves(place).await;
    place.is_unharmed();
}
