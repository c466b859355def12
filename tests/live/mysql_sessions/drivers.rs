//! What drivers do besides statements: TLS, ways to prove a password, change of user, reset, cursors, long data, files, large packets.

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use mysql_async::prelude::Queryable as _;
use mysql_async::{ChangeUserOpts, InfileData, OptsBuilder};
use protocol::mysql::command::code;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::wire::{UNKNOWN, Wire, error};
use super::{Split, code as code_of};
use crate::bed::{Database, MeshConfig, ServerKind, Tool, bed};

pub fn with_tls(config: MeshConfig) -> (MeshConfig, CertificateDer<'static>) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let name = bed().servers().directory().join(format!("tls{}", bed().number()));
    let (certificate, secret) = (name.with_extension("pem"), name.with_extension("key"));
    std::fs::write(&certificate, key.cert.pem()).unwrap();
    std::fs::write(&secret, key.signing_key.serialize_pem()).unwrap();
    let text = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"", certificate.display(), secret.display());
    (config.section(&text), key.cert.der().clone())
}

#[tokio::test]
async fn every_way_to_prove_a_password_works_plain_and_by_tls() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    let (config, root) = with_tls(MeshConfig::with(&database));
    let mesh = config.start();
    for tls in [false, true] {
        for method in ["mysql_native_password", "caching_sha2_password", UNKNOWN] {
            let connect = async || {
                let wire = Wire::connect(mesh.addresses.mysql).await;
                if tls { wire.into_tls(root.clone()).await } else { wire }
            };
            let mut wire = connect().await;
            let login = wire.log_in(method, "app", &database.name).await;
            login.unwrap_or_else(|error| panic!("{method} tls={tls}: {error:?}"));
            let first = wire.steps.first().map(Vec::as_slice).unwrap_or_default();
            match method {
                "caching_sha2_password" => assert_eq!(first, [1, 3], "the fast path"),
                UNKNOWN => assert_eq!(first.first(), Some(&0xfe), "a switch"),
                _ => assert_eq!(first.first(), Some(&0), "an OK"),
            }
            let answer = wire.ask(code::QUERY, b"SELECT 41 + 1").await;
            assert!(answer.iter().any(|packet| packet == b"\x0242"), "{method} tls={tls}: {answer:?}");
            let mut wire = connect().await;
            let refused = wire.log_in(method, "wrong", &database.name).await.expect_err("a wrong password");
            assert_eq!(refused.0, 1045, "{method} tls={tls}: {refused:?}");
        }
    }
    let port = mesh.addresses.mysql.port().to_string();
    let name = database.name.clone();
    let said = tokio::task::spawn_blocking(move || {
        Tool::new("mariadb")
            .args([
                "-h127.0.0.1",
                "-P",
                &port,
                "-uapp",
                "-papp",
                "--ssl",
                "--ssl-verify-server-cert=0",
                "-e",
                "SELECT 'by TLS'; \\s",
            ])
            .args([name])
            .ok()
    })
    .await
    .unwrap();
    assert!(said.contains("by TLS") && said.contains("Cipher in use"), "{said}");
}

#[tokio::test]
async fn another_user_starts_afresh_and_a_wrong_one_is_out() {
    let split = Split::new(|config| config).await;
    let mut session = split.session().await;
    let dirty = async |session: &mut mysql_async::Conn| {
        session.query_drop("SET @x = 5, sql_mode = 'ANSI_QUOTES'").await.unwrap();
        session.query_drop("BEGIN").await.unwrap();
        session.query_drop(format!("UPDATE t SET n = -1 WHERE id = {}", split.ids[0])).await.unwrap();
        session.query_drop("SET @@dbmesh_transaction_type = ATOMIC").await.unwrap_err();
        session.query_drop("CREATE TEMPORARY TABLE mine (id INT)").await.ok();
    };
    let clean = async |session: &mut mysql_async::Conn| {
        assert_eq!(session.query_first::<Option<i64>, _>("SELECT @x").await.unwrap(), Some(None));
        assert_eq!(session.query_first::<String, _>("SELECT \"x\"").await.unwrap().as_deref(), Some("x"));
        let n: Option<i64> = session.query_first(format!("SELECT n FROM t WHERE id = {}", split.ids[0])).await.unwrap();
        assert_eq!(n, Some(split.ids[0]), "rolled back");
        assert_eq!(code_of(session.query_drop("SELECT * FROM mine").await), 1146);
    };
    session.query_drop("SET @@dbmesh_transaction_type = LOCAL").await.unwrap();
    dirty(&mut session).await;
    session.reset().await.unwrap();
    clean(&mut session).await;
    session.query_drop("SET @@dbmesh_transaction_type = LOCAL").await.unwrap();
    dirty(&mut session).await;
    let name = split.database.name.clone();
    let options = || ChangeUserOpts::default().with_user(Some("app".to_owned())).with_db_name(Some(name.clone()));
    session.change_user(options().with_pass(Some("app".to_owned()))).await.unwrap();
    clean(&mut session).await;
    let refused = session.change_user(options().with_pass(Some("wrong".to_owned()))).await;
    assert_eq!(code_of(refused), 1045);
    session.query_drop("SELECT 1").await.expect_err("the connection is closed");
}

/// PREPARE; the statement's id.
pub async fn prepare(wire: &mut Wire, sql: &str, parameters: usize, columns: usize) -> u32 {
    wire.command(code::STATEMENT_PREPARE, sql.as_bytes()).await;
    let head = wire.packet().await.unwrap();
    assert_eq!(head.first(), Some(&0), "{:?}", error(&head));
    for _ in 0..parameters + columns {
        wire.packet().await.unwrap();
    }
    u32::from_le_bytes(head[1..5].try_into().unwrap())
}

#[tokio::test]
async fn a_cursor_gives_rows_in_portions() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE r (id INT PRIMARY KEY)").await;
    database.everywhere("INSERT INTO r VALUES (1),(2),(3),(4),(5),(6),(7)").await;
    let mesh = MeshConfig::with(&database).section("[pool]\nsize_max = 1\nsize_min = 0").start();
    let mut wire = Wire::session(mesh.addresses.mysql, &database.name).await;
    let id = prepare(&mut wire, "SELECT id FROM r ORDER BY id", 0, 1).await;
    let execute = [&id.to_le_bytes()[..], &[1], &1_u32.to_le_bytes()].concat();
    let opened = wire.ask(code::STATEMENT_EXECUTE, &execute).await;
    assert_eq!(opened.len(), 3, "no row yet: {opened:?}");
    let mut rows = Vec::new();
    for _ in 0..3 {
        wire.command(code::STATEMENT_FETCH, &[&id.to_le_bytes()[..], &3_u32.to_le_bytes()].concat()).await;
        loop {
            let packet = wire.packet().await.unwrap();
            match packet[0] {
                0 => rows.push(packet[2]),
                0xfe => break,
                _ => panic!("{:?}", error(&packet)),
            }
        }
    }
    assert_eq!(rows, [1, 2, 3, 4, 5, 6, 7]);
    // The backend is free again: another session gets the only one there is.
    let mut other = mesh.mysql(&database.name).await;
    assert_eq!(other.query_first::<i64, _>("SELECT COUNT(*) FROM r").await.unwrap(), Some(7));
    let gone = wire.ask(code::STATEMENT_FETCH, &[&77_u32.to_le_bytes()[..], &3_u32.to_le_bytes()].concat()).await;
    assert_eq!(error(&gone[0]).unwrap().0, 1243);
}

#[tokio::test]
async fn long_data_comes_in_pieces() {
    let split = Split::new(|config| config).await;
    let mut wire = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
    for id in split.ids {
        let statement = prepare(&mut wire, "UPDATE t SET s = ? WHERE id = ?", 2, 0).await;
        for piece in ["long ", "data"] {
            let body = [&statement.to_le_bytes()[..], &[0, 0], piece.as_bytes()].concat();
            wire.command(code::STATEMENT_LONG_DATA, &body).await;
        }
        let mut execute = [&statement.to_le_bytes()[..], &[0], &1_u32.to_le_bytes(), &[0, 1, 0xfc, 0, 8, 0]].concat();
        execute.extend_from_slice(&id.to_le_bytes());
        let answer = wire.ask(code::STATEMENT_EXECUTE, &execute).await;
        assert_eq!(error(&answer[0]), None);
        assert_eq!(answer[0][1], 1, "one row changed");
        let answer = wire.ask(code::QUERY, format!("SELECT s FROM t WHERE id = {id}").as_bytes()).await;
        assert!(answer.iter().any(|packet| packet == b"\x09long data"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_local_file_is_loaded_into_one_shard_and_refused_for_several() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE f (id INT, v TEXT)").await;
    let mesh = MeshConfig::with(&database).start();
    let options = |builder: OptsBuilder| {
        builder.local_infile_handler(Some(|_: &[u8]| {
            async move {
                let lines: Vec<_> = (0..20_000).map(|n| Ok(Bytes::from(format!("{n}\ttext of {n}\n")))).collect();
                Ok::<InfileData, _>(futures_util::stream::iter(lines).boxed())
            }
            .boxed()
        }))
    };
    let mut session = mysql_async::Conn::new(options(mesh.mysql_options(&database.name))).await.unwrap();
    session.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE f").await.unwrap();
    assert_eq!(session.affected_rows(), 20_000);
    let sum: Option<(i64, String)> = session.query_first("SELECT COUNT(*), MAX(v) FROM f").await.unwrap();
    assert_eq!(sum, Some((20_000, "text of 9999".to_owned())));

    let split = Split::new(|config| config).await;
    let options = options(split.mesh.mysql_options(&split.database.name));
    let mut session = mysql_async::Conn::new(options).await.unwrap();
    assert_eq!(code_of(session.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE t").await), 1235);
    assert_eq!(session.query_first::<i64, _>("SELECT COUNT(*) FROM t").await.unwrap(), Some(40));
}

#[tokio::test]
async fn packets_beyond_16_mib_pass_both_ways() {
    let own = || bed().own_server(ServerKind::MariaDb, &["--max-allowed-packet=128M"]);
    let split = Split::on(Database::on(vec![own(), own()]).await, |config| config).await;
    let options = split.mesh.mysql_options(&split.database.name).max_allowed_packet(Some(64 << 20));
    let mut session = mysql_async::Conn::new(options).await.unwrap();
    // What dbmesh answers itself is numbered on from the packets of the statement.
    let filler = "x".repeat(17 << 20);
    let mut wire = Wire::session(split.mesh.addresses.mysql, &split.database.name).await;
    for (sql, refusal) in [
        ("SELECT AVG(n) FROM t", Some(1235)),
        ("SELECT COUNT(*) FROM t", None),
        ("BEGIN", None),
        ("SELECT CONNECTION_ID()", None),
        ("SELEC 1", Some(1064)),
        ("SELECT n FROM t WHERE id = 1", None),
        ("INSERT INTO t (id) VALUES (1)", Some(1062)),
        ("ROLLBACK", None),
    ] {
        let answer = wire.ask(code::QUERY, format!("{sql} /* {filler} */").as_bytes()).await;
        assert_eq!(error(&answer[0]).map(|error| error.0), refusal, "{sql}");
    }
    let whole = 0x00ff_ffff_usize;
    for (number, size) in [whole - 60, whole, whole + 1, 20 << 20, 2 * whole].into_iter().enumerate() {
        let id = split.ids[number % 2];
        let text: String = (0..size).map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap())).collect();
        session.exec_drop("UPDATE t SET s = ? WHERE id = ?", (&text, id)).await.unwrap();
        let back: Option<String> = session.query_first(format!("SELECT s FROM t WHERE id = {id}")).await.unwrap();
        assert!(back.as_ref() == Some(&text), "{size} bytes from one shard by text");
        let back: Option<String> =
            session.exec_first("SELECT s FROM t WHERE s IS NOT NULL AND n = ?", (id,)).await.unwrap();
        assert!(back.as_ref() == Some(&text), "{size} bytes from several shards");
        if size < 20 << 20 {
            session.query_drop(format!("UPDATE t SET s = '{text}' WHERE id = {id}")).await.unwrap();
            assert_eq!(
                session.query_first::<usize, _>(format!("SELECT LENGTH(s) FROM t WHERE id = {id}")).await.unwrap(),
                Some(size)
            );
        }
    }
}
