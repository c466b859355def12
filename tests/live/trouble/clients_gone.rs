//! Clients that die in the middle of an answer, and clients that read slowly.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;

use super::wire::{MySqlRaw, PostgresRaw, message, mysql_error};
use super::{Place, SOON, is_unharmed};
use crate::bed::{PASSWORD, eventually_async};
use dbmesh::demo::servers::SERVER_USER;

/// Rows of the large answers.
const ROWS: usize = 1_000_000;
/// What dbmesh may need more while it passes them to a slow client.
const GROWTH_MAX_KIB: u64 = 4 << 10;

/// One backend per shard: whoever comes next gets the very place that the dead client had.
async fn narrow() -> Place {
    Place::new("[pool]\nsize_max = 1\nwait_ms_max = 20000").await
}

/// How many statements with this mark run on the MariaDB server.
async fn running_on_mariadb(place: &Place, mark: &str) -> usize {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(place.mysql.shards[0].port)
        .user(Some(SERVER_USER))
        .pass(Some(PASSWORD))
        .prefer_socket(false);
    let mut connection = mysql_async::Conn::new(options).await.expect("a straight connection");
    let running: Option<usize> = connection
        .query_first(format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%{mark}%' AND id <> CONNECTION_ID()"
        ))
        .await
        .expect("the list of processes");
    connection.disconnect().await.expect("a good end");
    running.expect("a row")
}

/// How many statements with this mark run on the PostgreSQL server.
async fn running_on_postgres(place: &Place, mark: &str) -> i64 {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(place.postgres.shards[0].port).user(SERVER_USER).password(PASSWORD);
    let (client, connection) =
        options.dbname("postgres").connect(tokio_postgres::NoTls).await.expect("a straight connection");
    tokio::spawn(connection);
    let sql =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()";
    client.query_one(sql, &[&format!("%{mark}%")]).await.expect("the list of backends").get(0)
}

#[tokio::test]
async fn a_client_of_mysql_dies_in_mid_result() {
    let place = narrow().await;
    let texts = [
        // Rows are on the way; nothing yet, for a long time; a write that waits.
        ("SELECT /*! */ seq, REPEAT('x', 900) /* mark-rows */ FROM seq_1_to_100000000", "mark-rows", true),
        ("SELECT SLEEP(600) /* mark-sleep */", "mark-sleep", false),
        ("INSERT INTO kept SELECT seq, SLEEP(600) /* mark-write */ FROM seq_1_to_5", "mark-write", false),
    ];
    for (text, mark, rows) in texts {
        let mut client = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
        // Something that must not be left behind for the next one.
        client.packet(0, b"\x03SET @left = 1, SESSION sql_mode = 'ANSI_QUOTES'");
        assert!(client.answer().is_some_and(|(_, answer)| mysql_error(&answer).is_none()));
        client.packet(0, format!("\x03{text}").as_bytes());
        if rows {
            assert!(client.raw.read(1 << 20).is_some());
        }
        eventually_async("the statement runs", SOON, || async { running_on_mariadb(&place, mark).await == 1 }).await;
        drop(client);
        eventually_async("the statement is stopped", SOON, || async { running_on_mariadb(&place, mark).await == 0 })
            .await;
        // The next session gets a clean backend in the one place that there is.
        let mut next = place.mesh.mysql(&place.mysql.name).await;
        let left: Option<(Option<i64>, String, u64)> =
            next.query_first("SELECT @left, \"text\", COUNT(*) FROM kept").await.expect("a clean backend");
        assert_eq!(left, Some((None, "text".to_owned(), 0)), "{mark}");
        next.disconnect().await.expect("a good end");
    }
    is_unharmed(&place.mesh);
}

#[tokio::test]
async fn a_client_of_postgres_dies_in_mid_result() {
    let place = narrow().await;
    let texts = [
        ("SELECT n, repeat('x', 900) /* mark-rows */ FROM generate_series(1, 100000000) n", "mark-rows", true),
        ("SELECT pg_sleep(600) /* mark-sleep */", "mark-sleep", false),
        ("BEGIN; INSERT INTO kept VALUES (1, 'left'); SELECT pg_sleep(600) /* mark-write */", "mark-write", false),
    ];
    for (text, mark, rows) in texts {
        let mut client = PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
        client.raw.send(&message(b'Q', b"SET my.left = 'here'; SET search_path = nowhere, public\0"));
        assert!(client.until_ready().is_some());
        client.raw.send(&message(b'Q', format!("{text}\0").as_bytes()));
        if rows {
            assert!(client.raw.read(1 << 20).is_some());
        }
        eventually_async("the statement runs", SOON, || async { running_on_postgres(&place, mark).await == 1 }).await;
        drop(client);
        eventually_async("the statement is stopped", SOON, || async { running_on_postgres(&place, mark).await == 0 })
            .await;
        let next = place.mesh.postgres(&place.postgres.name).await;
        let row = next
            .query_one(
                "SELECT current_setting('my.left', true), current_setting('search_path'), COUNT(*) FROM kept",
                &[],
            )
            .await
            .expect("a clean backend");
        let left: Option<&str> = row.get(0);
        assert_eq!(left.unwrap_or_default(), "", "{mark}");
        assert_eq!((row.get::<_, &str>(1), row.get::<_, i64>(2)), ("\"$user\", public", 0), "{mark}");
    }
    is_unharmed(&place.mesh);
}

/// Watches the memory of dbmesh while an answer passes.
struct Growth<'a> {
    place: &'a Place,
    before: u64,
    most: u64,
}

impl<'a> Growth<'a> {
    fn from_now(place: &'a Place) -> Self {
        Self { place, before: place.mesh.resident_kib(), most: 0 }
    }

    fn look(&mut self) {
        self.most = self.most.max(self.place.mesh.resident_kib().saturating_sub(self.before));
        assert!(self.most < GROWTH_MAX_KIB, "memory grew by {} KiB", self.most);
    }
}

/// Reads nothing for a while, and looks at the memory meanwhile: long enough for a server to fill any buffer.
async fn dawdle(growth: &mut Growth<'_>) {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        growth.look();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_million_rows_pass_to_a_slow_client_of_mysql_in_constant_memory() {
    let place = Place::new("").await;
    let mut beside = place.mesh.mysql(&place.mysql.name).await;
    let mut client = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    assert!(client.lives());
    let one: Option<i64> = beside.query_first("SELECT 1 + 0 FROM DUAL").await.expect("an answer");
    assert_eq!(one, Some(1));
    let mut growth = Growth::from_now(&place);
    client.packet(0, format!("\x03SELECT seq, REPEAT('x', 90) FROM seq_1_to_{ROWS}").as_bytes());
    // Two columns, their definitions, an EOF.
    for _ in 0..4 {
        client.answer().expect("a head");
    }
    let mut rows = 0;
    loop {
        if rows == 1_000 {
            dawdle(&mut growth).await;
            // Nobody else is slowed down by it.
            let one: Option<i64> = beside.query_first("SELECT 2 + 0 FROM DUAL").await.expect("an answer");
            assert_eq!(one, Some(2));
        }
        let (_, row) = client.answer().expect("a row");
        if row[0] == 0xfe && row.len() < 9 {
            break;
        }
        rows += 1;
        let text = rows.to_string();
        assert!(usize::from(row[0]) == text.len() && row[1..].starts_with(text.as_bytes()), "row {rows}");
        if rows % 10_000 == 0 {
            growth.look();
        }
    }
    assert_eq!(rows, ROWS);
    assert!(client.lives());
    is_unharmed(&place.mesh);
}

#[tokio::test]
async fn a_million_rows_pass_to_a_slow_client_of_postgres_in_constant_memory() {
    let place = Place::new("").await;
    let beside = place.mesh.postgres(&place.postgres.name).await;
    let mut client = PostgresRaw::logged_in(place.mesh.addresses.postgres, &place.postgres.name);
    assert!(client.lives());
    beside.query_one("SELECT 1 + 0", &[]).await.expect("an answer");
    let mut growth = Growth::from_now(&place);
    let sql = format!("SELECT n::text, repeat('x', 90) FROM generate_series(1, {ROWS}) n\0");
    client.raw.send(&message(b'Q', sql.as_bytes()));
    let mut rows = 0;
    loop {
        if rows == 1_000 {
            dawdle(&mut growth).await;
            beside.query_one("SELECT 2 + 0", &[]).await.expect("an answer");
        }
        let (tag, row) = client.answer().expect("a row");
        match tag {
            b'D' => {
                rows += 1;
                let text = rows.to_string();
                assert!(row[6..].starts_with(text.as_bytes()) && usize::from(row[5]) == text.len(), "row {rows}");
                if rows % 10_000 == 0 {
                    growth.look();
                }
            }
            b'T' | b'C' => {}
            b'Z' => break,
            other => panic!("a message {} in an answer", char::from(other)),
        }
    }
    assert_eq!(rows, ROWS);
    is_unharmed(&place.mesh);
}
