//! Clients that compress: what they get is what the others get, plain and by TLS, in small pieces and in large ones.

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use mysql_async::prelude::Queryable as _;
use mysql_async::{ChangeUserOpts, Compression, Conn, InfileData, OptsBuilder};
use protocol::mysql::capability::COMPRESS;

use super::drivers::with_tls;
use super::{Split, code};
use crate::bed::{ServerKind, Tool, bed, python};

#[tokio::test]
async fn a_client_that_compresses_sees_the_same() {
    let own = || bed().own_server(ServerKind::MariaDb, &["--max-allowed-packet=64M"]);
    let split = Split::on(crate::bed::Database::on(vec![own(), own()]).await, |config| config).await;
    let options = OptsBuilder::from_opts(split.mesh.mysql_options(&split.database.name))
        .compression(Compression::default())
        .max_allowed_packet(Some(40 << 20))
        .local_infile_handler(Some(|_: &[u8]| {
            async move {
                let lines: Vec<_> = (0..20_000).map(|n| Ok(Bytes::from(format!("{n}\ttext of {n}\n")))).collect();
                Ok::<InfileData, _>(futures_util::stream::iter(lines).boxed())
            }
            .boxed()
        }));
    let mut session = Conn::new(options).await.expect("a login");
    let ids: Vec<i64> = session.query("SELECT id FROM t ORDER BY id").await.expect("rows of both shards");
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
    let row: Option<(i64, i64)> =
        session.exec_first("SELECT id, n FROM t WHERE id = ?", (split.ids[1],)).await.unwrap();
    assert_eq!(row, Some((split.ids[1], split.ids[1])));
    assert_eq!(code(session.query_drop("SELECT * FROM nowhere").await), 1146);
    // One that shrinks to nothing, and one that hardly shrinks.
    let mut seed = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from((seed >> 33) % 90).expect("small"))
    })
    .take(18 << 20)
    .collect();
    for text in ["x".repeat(18 << 20), noise] {
        session.exec_drop("UPDATE t SET s = ? WHERE id = ?", (&text, split.ids[0])).await.expect("a large value");
        let sql = format!("SELECT s FROM t WHERE id = {}", split.ids[0]);
        let back: Option<String> = session.query_first(sql).await.expect("a large row");
        assert!(back.as_ref() == Some(&text));
    }
    let options = ChangeUserOpts::default()
        .with_user(Some("app".to_owned()))
        .with_pass(Some("app".to_owned()))
        .with_db_name(Some(split.database.name.clone()));
    session.change_user(options).await.expect("a change of user");
    session.reset().await.expect("a reset");
    session.query_drop("SELECT 1; SELECT 2").await.expect("several results");
    session.query_drop("CREATE TABLE f (id INT, v TEXT)").await.expect("an undeclared table");
    session.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE f").await.expect("a file");
    assert_eq!(session.affected_rows(), 20_000);
    assert_eq!(session.query_first::<i64, _>("SELECT COUNT(*) FROM t").await.unwrap(), Some(40));
    session.disconnect().await.expect("a good end");
}

#[tokio::test]
async fn command_line_and_connectors_compress_by_tls_too() {
    let split = Split::new(|config| with_tls(config).0).await;
    let mut wire = super::wire::Wire::connect(split.mesh.addresses.mysql).await;
    assert_ne!(wire.greeting.capabilities & COMPRESS, 0, "it is offered");
    wire.log_in("mysql_native_password", "app", &split.database.name).await.expect("one that does not ask for it");
    let (port, name) = (split.mesh.addresses.mysql.port(), split.database.name.clone());
    let said = tokio::task::spawn_blocking(move || {
        let text = port.to_string();
        let mariadb = |tls: &[&str]| {
            let sql = "SELECT COUNT(*) FROM t; SELECT REPEAT('ab', 30000); SELECT MAX(id) FROM t";
            let login = ["-h127.0.0.1", "-P", &text, "-uapp", "-papp", "--compress", "-NBe", sql, &name];
            Tool::new("mariadb").args(login).args(tls).ok()
        };
        let mut said = vec![mariadb(&["--skip-ssl"]), mariadb(&["--ssl", "--ssl-verify-server-cert=0"])];
        let script = format!(
            "import mysql.connector as c\n\
             for tls in [True, False]:\n\
             \x20   s = c.connect(host='127.0.0.1', port={port}, user='app', password='app', database='{name}',\n\
             \x20                 compress=True, use_pure=True, ssl_disabled=tls)\n\
             \x20   cursor = s.cursor()\n\
             \x20   cursor.execute(\"SELECT id, REPEAT('xyz', 100000) FROM t WHERE id = 7\"); row = cursor.fetchone()\n\
             \x20   cursor.execute('SELECT LENGTH(%s)', ('q' * 400000,)); print(row[0], len(row[1]), cursor.fetchone()[0])\n"
        );
        said.push(Tool::new(python()).args(["-c", &script]).ok());
        said
    })
    .await
    .expect("the tools work");
    for one in &said[..2] {
        let ends = one.starts_with("40\nabab") && one.trim_end().ends_with("ab\n40");
        assert!(ends && one.len() > 60_000, "{}", one.len());
    }
    assert_eq!(said[2].trim_end(), "7 300000 400000\n7 300000 400000");
}
