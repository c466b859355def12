//! Users of whom only a SCRAM verifier is configured prove their password by caching_sha2_password, in full at first:
//! encrypted with a key that dbmesh hands out, or in the clear by TLS. Every client library does that by itself.

use mysql_async::prelude::Queryable as _;
use mysql_async::{ChangeUserOpts, Conn, OptsBuilder};
use protocol::mysql::command::code;

use super::code as code_of;
use super::drivers::with_tls;
use super::wire::{UNKNOWN, Wire};
use crate::bed::{Database, MeshConfig, ServerKind, Tool, installed, python};

const PASSWORD: &str = "secret word";
const SCRAM: &str = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$CA4PVlZfgfRfxaujtFCi5g/bAXzeEFhCU+EutMHt66I=:\
                     hiUJcqiV3lhYprQLh8+rFi96N/KXOGcKGH7gqOLCquc=";

fn with_users(config: MeshConfig, users: &[&str]) -> MeshConfig {
    users
        .iter()
        .fold(config, |config, user| config.section(&format!("[[user]]\nname = \"{user}\"\nscram = \"{SCRAM}\"")))
}

#[tokio::test]
async fn a_password_of_which_only_a_verifier_is_known_is_taken_whole_once() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let (config, root) = with_tls(MeshConfig::with(&database));
    let mesh = with_users(config, &["plain", "by_tls"]).start();
    let _log = mesh.show_log_on_failure();
    for (user, tls) in [("plain", false), ("by_tls", true)] {
        let connect = async || {
            let wire = Wire::connect(mesh.addresses.mysql).await;
            if tls { wire.into_tls(root.clone()).await } else { wire }
        };
        let refused = async |method: &str, password: &str| {
            let mut wire = connect().await;
            let refused = wire.log_in_as(user, method, password, &database.name).await.expect_err("not let in");
            let with = if password.is_empty() { "NO" } else { "YES" };
            let text = format!("Access denied for user '{user}'@'127.0.0.1' (using password: {with})");
            assert_eq!(refused, (1045, text), "{method} {password}");
        };
        refused("caching_sha2_password", "wrong").await;
        refused("caching_sha2_password", "").await;
        refused("mysql_native_password", "wrong").await;
        // Whatever the client offers first, it is asked for the password; afterwards for no more than a digest.
        for (method, expected) in [
            ("mysql_native_password", if tls { &[0xfe, 1, 0][..] } else { &[0xfe, 1, 1, 0] }),
            ("caching_sha2_password", &[1, 0]),
            (UNKNOWN, &[0xfe, 1, 0]),
        ] {
            let mut wire = connect().await;
            let login = wire.log_in_as(user, method, PASSWORD, &database.name).await;
            login.unwrap_or_else(|error| panic!("{user} {method}: {error:?}"));
            let firsts: Vec<u8> = wire.steps.iter().filter_map(|step| step.first().copied()).collect();
            assert_eq!(firsts, expected, "{user} {method}: {:?}", wire.steps);
            let full = wire.steps.contains(&vec![1, 4]);
            assert_eq!(full, method == "mysql_native_password", "only the first is asked for the whole");
            let answer = wire.ask(code::QUERY, b"SELECT 41 + 1").await;
            assert!(answer.iter().any(|packet| packet == b"\x0242"), "{answer:?}");
        }
        refused("caching_sha2_password", "wrong").await;
    }
}

#[tokio::test]
async fn a_client_that_sends_what_is_no_password_is_out() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let mesh = with_users(MeshConfig::with(&database), &["stored"]).start();
    for nonsense in [&b"secret word\0"[..], &[7; 256], b"", &[2; 2]] {
        let mut wire = Wire::connect(mesh.addresses.mysql).await;
        let login = protocol::mysql::login::Login {
            capabilities: super::wire::CAPABILITIES,
            user: b"stored".to_vec(),
            proof: vec![9; 32],
            plugin: b"caching_sha2_password".to_vec(),
            ..Default::default()
        };
        let mut payload = Vec::new();
        login.encode(&mut payload);
        wire.send(&payload).await;
        assert_eq!(wire.packet().await.as_deref(), Some(&[1, 4][..]));
        wire.send(nonsense).await;
        let told = super::wire::error(&wire.packet().await.expect("an answer")).expect("an error");
        assert_eq!(told.0, 1045, "{told:?}");
    }
}

#[tokio::test]
async fn change_of_user_takes_it_whole_too() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let mesh = with_users(MeshConfig::with(&database), &["stored"]).start();
    let options = |password: &str| {
        let name = Some(database.name.clone());
        ChangeUserOpts::default()
            .with_user(Some("stored".to_owned()))
            .with_pass(Some(password.to_owned()))
            .with_db_name(name)
    };
    for _ in 0..2 {
        let mut session = mesh.mysql(&database.name).await;
        session.change_user(options(PASSWORD)).await.expect("the right password");
        let sum: Option<i64> = session.query_first("SELECT 40 + 2").await.expect("an answer");
        assert_eq!(sum, Some(42));
        assert_eq!(code_of(session.change_user(options("wrong")).await), 1045);
    }
}

#[tokio::test]
async fn client_libraries_log_in_by_themselves() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let (config, _) = with_tls(MeshConfig::with(&database));
    let users = ["by_mariadb", "by_mysql_async", "by_pymysql", "by_connector", "by_mysql2"];
    let mesh = with_users(config, &users).start();
    let _log = mesh.show_log_on_failure();
    let port = mesh.addresses.mysql.port();

    let options = || OptsBuilder::from_opts(mesh.mysql_options(&database.name)).user(Some("by_mysql_async"));
    for _ in 0..2 {
        Conn::new(options().pass(Some(PASSWORD))).await.expect("encrypted, then by digest");
    }
    assert_eq!(code_of(Conn::new(options().pass(Some("wrong"))).await), 1045);

    let name = database.name.clone();
    let said = tokio::task::spawn_blocking(move || {
        let text = port.to_string();
        let mariadb = |password: &str, tls: &str| {
            let password = format!("-p{password}");
            let login = ["-h127.0.0.1", "-P", &text, "-uby_mariadb", &password, tls, "-NBe", "SELECT 'let in'", &name];
            Tool::new("mariadb").args(login)
        };
        let mut said = vec![mariadb(PASSWORD, "--skip-ssl").ok(), mariadb(PASSWORD, "--skip-ssl").ok()];
        said.push(mariadb("wrong", "--skip-ssl").run().errors);
        let script = format!(
            "import ssl, pymysql, mysql.connector as c\n\
             def tries(connect):\n\
             \x20   for password in ['{PASSWORD}', '{PASSWORD}', 'wrong']:\n\
             \x20       try: print(connect(password))\n\
             \x20       except Exception as error: print(error.args[0])\n\
             common = dict(host='127.0.0.1', port={port}, database='{name}')\n\
             loose = ssl.create_default_context(); loose.check_hostname = False; loose.verify_mode = ssl.CERT_NONE\n\
             def one(connection):\n\
             \x20   cursor = connection.cursor(); cursor.execute('SELECT 40 + 2'); return cursor.fetchone()[0]\n\
             tries(lambda p: one(pymysql.connect(user='by_pymysql', password=p, ssl=loose, **common)))\n\
             tries(lambda p: one(c.connect(user='by_connector', password=p, use_pure=True, **common)))\n"
        );
        said.push(Tool::new(python()).args(["-c", &script]).ok());
        let script = format!(
            "const mysql = require('mysql2/promise');\n\
             (async () => {{\n\
             \x20 for (const password of ['{PASSWORD}', '{PASSWORD}', 'wrong']) {{\n\
             \x20   try {{\n\
             \x20     const c = await mysql.createConnection({{host: '127.0.0.1', port: {port}, user: 'by_mysql2', password,\n\
             \x20       database: '{name}'}});\n\
             \x20     console.log((await c.query('SELECT 40 + 2 AS a'))[0][0].a); await c.end();\n\
             \x20   }} catch (error) {{ console.log(error.errno); }}\n\
             \x20 }}\n\
             }})();\n"
        );
        let packages = installed("javascript/node_modules").display().to_string();
        said.push(Tool::new("node").env("NODE_PATH", &packages).args(["-e", &script]).ok());
        said
    })
    .await
    .unwrap();
    assert_eq!(said[..2], ["let in\n", "let in\n"]);
    assert!(said[2].contains("1045"), "{}", said[2]);
    assert_eq!(said[3].split_ascii_whitespace().collect::<Vec<_>>(), ["42", "42", "1045"].repeat(2));
    assert_eq!(said[4].split_ascii_whitespace().collect::<Vec<_>>(), ["42", "42", "1045"]);
}
