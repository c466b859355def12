//! The PostgreSQL front end with real clients, and with bytes that no client sends.
#![allow(clippy::expect_used)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::*;

async fn psql(port: u16, password: &str, database: &str, arguments: &[&str]) -> (String, String) {
    let port = port.to_string();
    let mut all = vec!["-X", "-h", "127.0.0.1", "-U", "admin", "-p", &port, "-d", database];
    all.extend(arguments);
    command("psql", &all, &[("PGPASSWORD", password)]).await
}

async fn connected(port: u16, database: &str) -> tokio_postgres::Client {
    let options = format!("host=127.0.0.1 port={port} user=admin password=admin dbname={database}");
    let (client, connection) = tokio_postgres::connect(&options, NoTls).await.expect("logged in");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_psql_command_line() {
    let port = listening(Protocol::Postgres, fixed()).await;
    let (out, err) =
        psql(port, "admin", "admin", &["-A", "-c", "SHOW USERS; USE postgres.shop; EXPLAIN ROUTE SELECT 1"]).await;
    assert_eq!(err, "");
    assert_eq!(
        out,
        "user|auth|databases|transaction_type\napp|password|(all)|\n(1 row)\nUSE\nplan\npostgres.shop: single\n  SELECT 1\n(2 rows)\n"
    );
    let (_, err) = psql(port, "admin", "admin", &["-v", "VERBOSITY=verbose", "-c", "FROB"]).await;
    assert!(err.starts_with("ERROR:  42601: expected SHOW, EXPLAIN ROUTE"), "{err}");
    let (_, err) = psql(port, "wrong", "admin", &["-c", "HELP"]).await;
    assert!(err.contains("password authentication failed for user \"admin\""), "{err}");
    let (_, err) = psql(port, "admin", "nowhere", &["-c", "HELP"]).await;
    assert!(err.contains("Unknown database 'nowhere'"), "{err}");
    let (out, _) = psql(port, "admin", "mysql.shop", &["-At", "-c", "select current_database()"]).await;
    assert_eq!(out, "mysql.shop\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_front_ends_give_the_same_answers() {
    let postgres = listening(Protocol::Postgres, fixed()).await;
    let mysql = listening(Protocol::MySql, fixed()).await.to_string();
    for (table, _) in grammar::Show::ALL {
        let sql = format!("SHOW {table}");
        let (by_postgres, _) =
            psql(postgres, "admin", "admin", &["-A", "-F", "\t", "-P", "footer=off", "-P", "null=NULL", "-c", &sql])
                .await;
        let arguments = ["--no-defaults", "-h127.0.0.1", "-uadmin", "-padmin", "-P", &mysql, "-e", &sql];
        let (by_mysql, _) = command("mariadb", &arguments, &[]).await;
        assert!(!by_mysql.is_empty());
        assert_eq!(by_mysql, by_postgres, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_with_simple_and_extended_protocol() {
    let port = listening(Protocol::Postgres, fixed()).await;
    let mut client = connected(port, "admin").await;
    let pools = client.query("SHOW POOLS", &[]).await.expect("rows");
    assert_eq!(pools[0].get::<_, i64>("size_max"), 100);
    assert_eq!(pools[0].get::<_, &str>("shard"), "s0");
    let statement = client.prepare("SHOW BACKENDS").await.expect("statement");
    for _ in 0..3 {
        let backends = client.query(&statement, &[]).await.expect("rows");
        assert_eq!(backends[0].get::<_, Option<i64>>("session"), None);
    }
    assert_eq!(client.execute("KILL SESSION 7", &[]).await.expect("done"), 0);
    let error = client.query("FROB", &[]).await.expect_err("no statement");
    assert_eq!(error.code().map(|c| c.code()), Some("42601"));
    let error = client.query("KILL SESSION 8", &[]).await.expect_err("no such session");
    assert_eq!(error.code().map(|c| c.code()), Some("42704"));
    let simple = client.simple_query("SHOW VERSION; HELP").await.expect("rows");
    let rows = simple.iter().filter(|m| matches!(m, SimpleQueryMessage::Row(_))).count();
    assert!(rows > 10);
    let transaction = client.transaction().await.expect("begun");
    let portal = transaction.bind("SHOW PLANS", &[]).await.expect("bound");
    let mut fetched = 0;
    loop {
        let part = transaction.query_portal(&portal, 150).await.expect("part");
        fetched += part.len();
        if part.len() < 150 {
            break;
        }
    }
    assert_eq!(fetched, 500);
    transaction.commit().await.expect("ended");
    assert!(client.simple_query("").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_logs_in_without_the_password() {
    let port = listening(Protocol::Postgres, fixed()).await;
    for (user, password) in [("admin", ""), ("admin", "Admin"), ("evil", "admin")] {
        let mut options = tokio_postgres::Config::new();
        options.host("127.0.0.1").port(port).user(user).password(password).dbname("admin");
        let error = options.connect(NoTls).await.err().expect("denied");
        assert_eq!(error.code().map(|c| c.code()), Some("28P01"), "{user} {password}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_no_client_sends_end_their_connection_only() {
    let source = fixed();
    let port = listening(Protocol::Postgres, Arc::clone(&source)).await;
    let quiet = connected(port, "admin").await;
    let mut seed = 7_u64;
    for round in 0..200_usize {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let mut bytes = vec![0; round];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 33) as u8;
        }
        if round % 2 == 0 {
            let mut framed = u32::try_from(round + 8).expect("small").to_be_bytes().to_vec();
            framed.extend_from_slice(&196_608_u32.to_be_bytes());
            framed.extend_from_slice(&bytes);
            bytes = framed;
        }
        // The server may close before it has read everything.
        if stream.write_all(&bytes).await.is_err() || stream.shutdown().await.is_err() {
            continue;
        }
        let mut answer = Vec::new();
        if stream.read_to_end(&mut answer).await.is_ok() {
            assert!(answer.first().is_none_or(|first| [b'E', b'N', b'R', b'v'].contains(first)), "{answer:?}");
        }
    }
    assert!(quiet.simple_query("HELP").await.is_ok());
    assert!(!source.panicked.load(Ordering::SeqCst));
}
