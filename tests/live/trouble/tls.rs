//! TLS between clients and dbmesh, by the command-line clients of both protocols.

use std::path::PathBuf;
use std::time::Duration;

use super::wire::{MySqlRaw, PostgresRaw, RAW_USER, Raw, last_postgres_error, mysql_error};
use super::{Place, Witness, told_by_mysql, told_by_postgres};
use crate::bed::{Said, Tool, new_folder};

/// Certificate and key in a folder that ends with the test.
struct Files {
    folder: PathBuf,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: new_folder("tls") };
        std::fs::create_dir_all(&files.folder).expect("a folder can be made");
        files.renew();
        files
    }

    /// Another certificate under the same names; returns it.
    fn renew(&self) -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        std::fs::write(self.folder.join("certificate.pem"), made.cert.pem()).expect("a file can be written");
        std::fs::write(self.folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a file can be written");
        made.cert.pem()
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn section(&self, require: bool) -> String {
        let (certificate, key) = (self.path("certificate.pem"), self.path("key.pem"));
        format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nrequire = {require}\n")
    }
}

fn mariadb(place: &Place, arguments: &[&str], sql: &str) -> Said {
    let port = place.mesh.addresses.mysql.port().to_string();
    Tool::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P", &port, "-uapp", "-papp", "-N"])
        .args(arguments)
        .args(["-e", sql, &place.mysql.name])
        .within(Duration::from_secs(30))
        .run()
}

fn psql(place: &Place, options: &str, arguments: &[&str]) -> Said {
    let (port, name) = (place.mesh.addresses.postgres.port(), &place.postgres.name);
    let target = format!("host=127.0.0.1 port={port} user=app password=app dbname={name} {options}");
    Tool::new("psql").args(["-X", "-At", "-d", &target]).args(arguments).within(Duration::from_secs(30)).run()
}

#[tokio::test]
async fn sessions_are_encrypted_when_clients_ask() {
    let files = Files::new();
    let place = Place::new(&files.section(false)).await;
    let witness = Witness::new(&place).await;
    let said =
        mariadb(&place, &["--ssl"], "\\s SELECT 1 + 1; SELECT SUM(LENGTH(REPEAT('x', 1000))) FROM seq_1_to_20000");
    assert!(said.success && said.errors.is_empty(), "{}{}", said.out, said.errors);
    assert!(said.out.contains("Cipher in use is TLS") && said.out.contains("20000000"), "{}", said.out);
    // A large answer through TLS, and a server whose name is checked.
    let said = mariadb(
        &place,
        &["--ssl-verify-server-cert", "--ssl-ca", &files.path("certificate.pem")],
        "SELECT REPEAT('x', 1000) FROM seq_1_to_20000",
    );
    assert!(said.success && said.out.len() == 20_000 * 1001, "{} bytes, {}", said.out.len(), said.errors);
    let said = mariadb(&place, &["--skip-ssl"], "SELECT 3");
    assert!(said.success && said.out == "3\n", "{}", said.errors);
    let said = mariadb(&place, &["--ssl", "-pwrong"], "SELECT 3");
    assert!(!said.success && said.errors.contains("ERROR 1045 (28000)"), "{}", said.errors);

    let said = psql(&place, "sslmode=require", &["-c", "\\conninfo", "-c", "SELECT 1 + 1"]);
    assert!(said.success && said.out.contains("SSL connection (protocol: TLSv1.3"), "{}{}", said.out, said.errors);
    let verify = format!("sslmode=verify-full sslrootcert={}", files.path("certificate.pem"));
    let said = psql(&place, &verify, &["-c", "SELECT repeat('x', 1000) FROM generate_series(1, 20000)"]);
    assert!(said.success && said.out.len() == 20_000 * 1001, "{} bytes, {}", said.out.len(), said.errors);
    let said = psql(&place, "sslmode=require ssl_max_protocol_version=TLSv1.2", &["-c", "\\conninfo"]);
    assert!(said.success && said.out.contains("TLSv1.2"), "{}{}", said.out, said.errors);
    let said = psql(&place, "sslmode=disable", &["-c", "SELECT 3"]);
    assert!(said.success && said.out == "3\n", "{}", said.errors);

    // Garbage where the handshake should be ends that connection only.
    let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
    let mut request = vec![0x05, 0xaa, 0x08, 0x00, 0, 0, 0, 1, 45];
    request.extend_from_slice(&[0; 23]);
    client.packet(1, &request);
    client.raw.send(&[0x55; 512]);
    client.raw.rest();
    for opening in [&[0x55; 64][..], b"\x16\x03\x01\xff\xff garbage", b""] {
        let mut client = Raw::connect(place.mesh.addresses.postgres);
        client.send(b"\0\0\0\x08\x04\xd2\x16\x2f");
        assert_eq!(client.read(1).as_deref(), Some(&b"S"[..]));
        client.send(opening);
        client.finish();
        client.rest();
    }
    // What was sent before the handshake, unencrypted, is not taken for what came inside it.
    let mut client = Raw::connect(place.mesh.addresses.postgres);
    client.send(&[&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], &PostgresRaw::startup(RAW_USER, &place.postgres.name)].concat());
    assert_eq!(last_postgres_error(&client.rest()).map(|told| told.state).as_deref(), Some("08P01"));
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn tls_that_is_required() {
    let files = Files::new();
    let place = Place::new(&files.section(true)).await;
    let error = mysql_async::Conn::new(place.mesh.mysql_options(&place.mysql.name)).await.expect_err("not encrypted");
    let told = told_by_mysql(&error);
    assert!(told.text.contains("TLS"), "{told:?}");
    let mut client = MySqlRaw::greeted(place.mesh.addresses.mysql);
    client.packet(1, &MySqlRaw::login(&place.mysql.name));
    let refused = client.answer().and_then(|(_, answer)| mysql_error(&answer)).expect("an error");
    assert_eq!(refused, told);
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(place.mesh.addresses.postgres.port()).user("app").password("app");
    let error = options.dbname(&place.postgres.name).connect(tokio_postgres::NoTls).await.err().expect("not encrypted");
    let told = told_by_postgres(&error);
    assert!(told.state.starts_with("28") && told.text.contains("TLS"), "{told:?}");

    let said = mariadb(&place, &["--ssl"], "SELECT 1 + 1");
    assert!(said.success && said.out == "2\n", "{}", said.errors);
    let said = psql(&place, "sslmode=require", &["-c", "SELECT 1 + 1"]);
    assert!(said.success && said.out == "2\n", "{}", said.errors);
    place.is_unharmed();
}

#[tokio::test]
async fn a_renewed_certificate_is_put_in_force_and_a_faulty_one_is_not() {
    let files = Files::new();
    let place = Place::new(&files.section(false)).await;
    let verify = |ca: &str| format!("sslmode=verify-full sslrootcert={ca}");
    let second = files.renew();
    std::fs::write(files.path("second.pem"), &second).expect("a file can be written");
    let select = ["-c", "SELECT 5"];
    let said = psql(&place, &verify(&files.path("second.pem")), &select);
    assert!(!said.success && said.errors.contains("certificate verify failed"), "{}", said.errors);
    super::admin(&place.mesh, "RELOAD").await;
    let said = psql(&place, &verify(&files.path("second.pem")), &select);
    assert!(said.success && said.out == "5\n", "{}", said.errors);

    std::fs::write(files.path("certificate.pem"), "no certificate").expect("a file can be written");
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(place.mesh.addresses.admin_postgres.port());
    options.user("admin").password("admin").dbname("admin");
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("the admin address serves");
    tokio::spawn(connection);
    let told = told_by_postgres(&client.simple_query("RELOAD").await.expect_err("no certificate"));
    assert!(told.text.contains("certificate.pem"), "{told:?}");
    let said = psql(&place, &verify(&files.path("second.pem")), &select);
    assert!(said.success && said.out == "5\n", "{}", said.errors);
    place.is_unharmed();
}
