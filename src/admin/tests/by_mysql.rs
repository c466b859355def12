//! The MySQL front end with real clients, and with bytes that no client sends.
#![allow(clippy::expect_used)]

use mysql_async::prelude::Queryable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn mariadb(port: u16, password: &str, arguments: &[&str]) -> (String, String) {
    let port = port.to_string();
    let mut all = vec!["--no-defaults", "-h127.0.0.1", "-uadmin", "-P", &port];
    let password = format!("-p{password}");
    all.push(&password);
    all.extend(arguments);
    command("mariadb", &all, &[]).await
}

fn options(port: u16, database: Option<&str>) -> mysql_async::Opts {
    mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some("admin"))
        .pass(Some("admin"))
        .db_name(database)
        .prefer_socket(false)
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mariadb_command_line() {
    let port = listening(Protocol::MySql, fixed()).await;
    let (out, err) =
        mariadb(port, "admin", &["-D", "admin", "-e", "SHOW USERS; USE mysql.shop; EXPLAIN ROUTE SELECT 1"]).await;
    assert_eq!(err, "");
    assert_eq!(
        out,
        "user\tauth\tdatabases\ttransaction_type\napp\tpassword\t(all)\tNULL\nplan\nmysql.shop: single\n  SELECT 1\n"
    );
    let (out, err) = mariadb(port, "admin", &["-N", "-e", "SELECT CONNECTION_ID() > ''"]).await;
    assert_eq!(out, "");
    assert!(err.contains("ERROR 1064 (42000) at line 1: the admin interface evaluates no expressions"), "{err}");
    let (_, err) = mariadb(port, "wrong", &["-e", "HELP"]).await;
    assert!(
        err.contains("ERROR 1045 (28000): Access denied for user 'admin'@'127.0.0.1' (using password: YES)"),
        "{err}"
    );
    let (_, err) = mariadb(port, "admin", &["-D", "nowhere", "-e", "HELP"]).await;
    assert!(err.contains("ERROR 1049 (42000): Unknown database 'nowhere'"), "{err}");
    let (_, err) = mariadb(port, "admin", &["-e", "KILL SESSION 9"]).await;
    assert!(err.contains("ERROR 1094 (HY000) at line 1: Unknown thread id: 9"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interactive_command_line_with_name_completion() {
    let port = listening(Protocol::MySql, fixed()).await;
    let script = format!(
        "printf 'use admin\\nSHOW POOLS;\\nstatus\\n' | mariadb --no-defaults -h127.0.0.1 -P{port} -uadmin -padmin --auto-rehash -D admin"
    );
    let (out, err) = command("sh", &["-c", &script], &[]).await;
    assert_eq!(err, "");
    assert!(out.contains("9223372036854775807"), "{out}");
    assert!(out.contains("dbmesh"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_with_text_and_prepared_statements() {
    let port = listening(Protocol::MySql, fixed()).await;
    let mut connection = mysql_async::Conn::new(options(port, Some("admin"))).await.expect("logged in");
    let pools: Vec<mysql_async::Row> = connection.query("SHOW POOLS").await.expect("rows");
    assert_eq!(pools[0].get::<i64, _>("size_max"), Some(100));
    assert_eq!(pools[0].get::<String, _>("shard").as_deref(), Some("s0"));
    let sessions: Vec<mysql_async::Row> = connection.exec("SHOW SESSIONS", ()).await.expect("rows");
    assert_eq!(sessions[0].get::<i64, _>("pinned_ms"), Some(1500));
    let backends: Vec<mysql_async::Row> = connection.exec("SHOW BACKENDS", ()).await.expect("rows");
    assert_eq!(backends[0].get::<Option<i64>, _>("session"), Some(None));
    let plans: Vec<mysql_async::Row> = connection.exec("SHOW PLANS", ()).await.expect("rows");
    assert_eq!(plans.len(), 500);
    connection.exec_drop("KILL SESSION 7", ()).await.expect("done");
    let error = connection.exec_drop("FROB", ()).await.expect_err("no statement");
    assert!(error.to_string().contains("ERROR 1064 (42000): expected SHOW"), "{error}");
    connection.reset().await.expect("reset");
    let error = connection.change_user(mysql_async::ChangeUserOpts::default()).await.expect_err("refused");
    assert!(error.to_string().contains("1047"), "{error}");
    connection.ping().await.expect("still there");
    connection.disconnect().await.expect("left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_a_driver_resets_and_goes_on() {
    let port = listening(Protocol::MySql, fixed()).await;
    let pool = mysql_async::Pool::new(options(port, None));
    for _ in 0..5 {
        let mut connection = pool.get_conn().await.expect("connection");
        connection.query_drop("USE mysql.shop").await.expect("chosen");
        let version: Option<String> = connection.query_first("SELECT VERSION()").await.expect("rows");
        assert!(version.expect("a row").contains("dbmesh"));
    }
    let mut connection = pool.get_conn().await.expect("connection");
    let database: Option<String> = connection.query_first("SELECT DATABASE()").await.expect("rows");
    assert_eq!(database.as_deref(), Some("admin"));
    drop(connection);
    pool.disconnect().await.expect("left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_logs_in_without_the_password() {
    let port = listening(Protocol::MySql, fixed()).await;
    for (user, password) in
        [("admin", None), ("admin", Some("")), ("admin", Some("Admin")), ("", Some("admin")), ("evil", Some("admin"))]
    {
        let options = mysql_async::OptsBuilder::from_opts(options(port, None)).user(Some(user)).pass(password);
        let error = mysql_async::Conn::new(options).await.expect_err("denied");
        assert!(
            error.to_string().contains("ERROR 1045 (28000): Access denied for user"),
            "{user} {password:?}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_no_client_sends_end_their_connection_only() {
    let source = fixed();
    let port = listening(Protocol::MySql, Arc::clone(&source)).await;
    let mut quiet = mysql_async::Conn::new(options(port, None)).await.expect("logged in");
    let mut seed = 7_u64;
    for round in 0..200_usize {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let mut greeting = [0; 256];
        assert!(stream.read(&mut greeting).await.expect("greeting") > 40);
        let mut bytes = vec![0; round];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 33) as u8;
        }
        // Half of them framed well, so that they reach the parser of the login.
        if round % 2 == 0 {
            let mut framed = vec![u8::try_from(round).expect("small"), 0, 0, 1];
            framed.extend_from_slice(&bytes);
            bytes = framed;
        }
        stream.write_all(&bytes).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut answer = Vec::new();
        // A reset is as good as an end.
        if stream.read_to_end(&mut answer).await.is_ok() {
            assert!(
                answer.first().is_none_or(|_| answer.get(4) == Some(&0xff)),
                "an answer that is no error: {answer:?}"
            );
        }
    }
    quiet.ping().await.expect("undisturbed");
    assert!(!source.panicked.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_log_in_is_cut() {
    let port = listening(Protocol::MySql, fixed()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("cut").expect("read");
    assert!(!all.is_empty());
}
