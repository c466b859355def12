//! Statements of unusual size: very long, very deep, very many parts. What a server alone would say is what must come.

use mysql_async::prelude::Queryable as _;
use tokio::sync::OnceCell;

use super::wire::{MySqlRaw, Told, framed, mysql_error};
use super::{Place, Witness, peak_kib, told_by_mysql, told_by_postgres};
use crate::bed::{Database, MeshConfig, PASSWORD, RunningMesh, ServerKind, Table, bed};
use dbmesh::demo::servers::SERVER_USER;

/// A dbmesh of its own, since its memory is measured.
async fn place() -> &'static Place {
    static PLACE: OnceCell<Place> = OnceCell::const_new();
    PLACE.get_or_init(|| Place::new("")).await
}

/// Tests of this file run one after the other: each asks for much.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What one text returns: its single value, or the error.
type Answer = Result<Option<String>, Told>;

async fn by_mysql(connection: &mut mysql_async::Conn, sql: &str) -> Answer {
    connection.query_first::<String, _>(sql).await.map_err(|error| told_by_mysql(&error))
}

async fn by_postgres(client: &tokio_postgres::Client, sql: &str) -> Answer {
    let rows = client.simple_query(sql).await.map_err(|error| told_by_postgres(&error))?;
    Ok(rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

async fn straight_mysql(place: &Place) -> mysql_async::Conn {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(place.mysql.shards[0].port)
        .user(Some(SERVER_USER))
        .pass(Some(PASSWORD))
        .db_name(Some(&place.mysql.name))
        .prefer_socket(false);
    mysql_async::Conn::new(options).await.expect("a straight connection")
}

async fn straight_postgres(place: &Place) -> tokio_postgres::Client {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(place.postgres.shards[0].port).user(SERVER_USER).password(PASSWORD);
    let connected = options.dbname(&place.postgres.name).connect(tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("a straight connection");
    tokio::spawn(connection);
    client
}

/// Texts that a parser does not like, which servers run or refuse by themselves.
fn texts() -> Vec<(&'static str, String)> {
    let or = vec!["id = 1"; 100_000].join(" OR ");
    let plus = vec!["1"; 20_000].join(" + ");
    let list = (0..100_000).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    vec![
        ("100,000 terms with OR", format!("SELECT COUNT(*) FROM kept WHERE {or}")),
        ("20,000 terms with +", format!("SELECT {plus}")),
        ("an IN list of 100,000", format!("SELECT COUNT(*) FROM kept WHERE id IN ({list})")),
        ("1,000 parentheses", format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000))),
        ("100,000 parentheses", format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000))),
        ("100,000 parentheses that stay open", format!("SELECT {}", "(".repeat(100_000))),
        ("10,000 nested subqueries", format!("SELECT {}1{}", "(SELECT ".repeat(10_000), ")".repeat(10_000))),
        ("a literal of 8 MiB", format!("SELECT LENGTH('{}')", "x".repeat(8 << 20))),
        ("a comment of 8 MiB", format!("SELECT /* {} */ 7", "x".repeat(8 << 20))),
        ("a name of 100,000 letters", format!("SELECT 1 AS {}", "x".repeat(100_000))),
        ("blanks", " ".repeat(1 << 20)),
    ]
}

#[tokio::test]
async fn one_shard_answers_as_its_server() {
    let place = place().await;
    let _turn = TURN.lock().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let (mut mysql, mut straight) = (place.mesh.mysql(&place.mysql.name).await, straight_mysql(place).await);
    for (what, text) in texts() {
        let expected = by_mysql(&mut straight, &text).await;
        assert_eq!(by_mysql(&mut mysql, &text).await, expected, "{what}");
        assert_eq!(by_mysql(&mut mysql, "SELECT 5").await, Ok(Some("5".to_owned())), "after {what}");
    }
    let (postgres, straight) = (place.mesh.postgres(&place.postgres.name).await, straight_postgres(place).await);
    for (what, text) in texts() {
        let expected = by_postgres(&straight, &text).await;
        assert_eq!(by_postgres(&postgres, &text).await, expected, "{what}");
        assert_eq!(by_postgres(&postgres, "SELECT 5").await, Ok(Some("5".to_owned())), "after {what}");
    }
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

/// The OKs to one command, and the error that ended them.
fn oks(client: &mut MySqlRaw) -> (usize, Option<u16>) {
    let mut count = 0;
    loop {
        let (sequence, answer) = client.answer().expect("an answer");
        assert_eq!(usize::from(sequence), (count + 1) % 256, "answer {count}");
        if let Some(told) = mysql_error(&answer) {
            return (count, Some(told.code));
        }
        assert_eq!(answer[0], 0, "an OK");
        count += 1;
        // Affected rows and the generated id are one byte each here; then the status flags.
        if answer[3] & 8 == 0 {
            return (count, None);
        }
    }
}

#[tokio::test]
async fn thousands_of_statements_in_a_text() {
    let place = place().await;
    let _turn = TURN.lock().await;
    let _log = place.mesh.show_log_on_failure();
    let row = i64::from(bed().number());
    let one = format!("UPDATE kept SET n = n + 1 WHERE id = {row};");
    let (few, many) = (one.repeat(300), one.repeat(9_000));
    let add = "ALTER TABLE kept ADD COLUMN IF NOT EXISTS n BIGINT DEFAULT 0";
    let insert = format!("INSERT INTO kept VALUES ({row}, '', 0)");
    let count = format!("SELECT n FROM kept WHERE id = {row}");
    let mut mysql = place.mesh.mysql(&place.mysql.name).await;
    mysql.query_drop(add).await.expect("a column");
    mysql.query_drop(&insert).await.expect("a row");
    // By hand: every answer is numbered on from the one before.
    let mut client = MySqlRaw::logged_in(place.mesh.addresses.mysql, &place.mysql.name);
    client.packet(0, format!("\x03{many}").as_bytes());
    assert_eq!(oks(&mut client), (9_000, None));
    assert_eq!(by_mysql(&mut mysql, &count).await, Ok(Some("9000".to_owned())));
    // One that fails ends the text; the session goes on.
    let failing = format!("{few}SELECT nothing FROM kept;{few}");
    client.packet(0, format!("\x03{failing}").as_bytes());
    assert_eq!(oks(&mut client), (300, Some(1054)));
    assert!(client.lives());
    assert_eq!(by_mysql(&mut mysql, &count).await, Ok(Some("9300".to_owned())));
    // Too many are refused before the first one runs.
    client.packet(0, format!("\x03{many}{many}").as_bytes());
    assert_eq!(oks(&mut client), (0, Some(1226)));
    assert!(client.lives());

    let postgres = place.mesh.postgres(&place.postgres.name).await;
    postgres.batch_execute(add).await.expect("a column");
    postgres.batch_execute(&insert).await.expect("a row");
    postgres.batch_execute(&many).await.expect("all of them run");
    assert_eq!(by_postgres(&postgres, &count).await, Ok(Some("9000".to_owned())));
    let told = postgres.batch_execute(&failing).await.expect_err("no such column");
    assert_eq!(told_by_postgres(&told).state, "42703");
    // The text is one transaction, which has failed as a whole.
    assert_eq!(by_postgres(&postgres, &count).await, Ok(Some("9000".to_owned())));
    // Here, on one shard, the server itself decides how many are too many.
    postgres.batch_execute(&format!("{many}{many}")).await.expect("all of them run");
    assert_eq!(by_postgres(&postgres, &count).await, Ok(Some("27000".to_owned())));
    place.is_unharmed();
}

#[tokio::test]
async fn sixty_four_mebibytes() {
    let _turn = TURN.lock().await;
    let server = bed().own_server(ServerKind::MariaDb, &["--max-allowed-packet=1G"]);
    let large = Database::on(vec![server]).await;
    let place = &Place::and("", &[&large]).await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let before = peak_kib(&place.mesh);
    let text = |bytes: usize| format!("SELECT LENGTH('{}')", "x".repeat(bytes - 20));
    // A little below the limit of one message, and a little above.
    let (below, above) = ((64 << 20) - 1024, (64 << 20) + 1024);
    let options = place.mesh.mysql_options(&large.name).max_allowed_packet(Some(1 << 30));
    let mut mysql = mysql_async::Conn::new(options).await.expect("a connection");
    assert_eq!(by_mysql(&mut mysql, &text(below)).await, Ok(Some((below - 20).to_string())));
    let postgres = place.mesh.postgres(&place.postgres.name).await;
    assert_eq!(by_postgres(&postgres, &text(below)).await, Ok(Some((below - 20).to_string())));
    let told = by_postgres(&postgres, &text(above)).await.expect_err("more than the limit");
    assert_eq!(told.state, "54000", "{told:?}");
    assert_eq!(by_postgres(&postgres, "SELECT 5").await, Ok(Some("5".to_owned())));
    // By the MySQL protocol a server closes the session then; also below our limit if above the server's.
    let told =
        [(&large.name, above), (&place.mysql.name, above), (&place.mysql.name, below)].map(|(database, bytes)| {
            let mut client = MySqlRaw::logged_in(place.mesh.addresses.mysql, database);
            client.raw.send(&framed(0, format!("\x03{}", text(bytes)).as_bytes()));
            let (sequence, answer) =
                client.answer().unwrap_or_else(|| panic!("{bytes} bytes to {database}: no answer"));
            // Four packets of 16 MiB and the rest.
            let expected = if bytes == below { 4 } else { 5 };
            assert_eq!(sequence, expected, "{bytes} bytes to {database}");
            let told = mysql_error(&answer).unwrap_or_else(|| panic!("{bytes} bytes to {database}: no error"));
            (told.code, told.state)
        });
    let too_large = (1153, "08S01".to_owned());
    assert_eq!(told, [too_large.clone(), too_large.clone(), too_large]);
    let peak = peak_kib(&place.mesh).saturating_sub(before);
    assert!(peak < 256 << 10, "one statement of 64 MiB needed {peak} KiB");
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

/// A dbmesh with a sharded table on two shards.
async fn sharded(kind: ServerKind) -> (RunningMesh, String) {
    let database = Database::new(kind, 2).await.table(Table::Sharded("kept", &["id"]));
    database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY, word VARCHAR(40))").await;
    (MeshConfig::with(&database).start(), database.name)
}

/// On a sharded table these are parsed here: run, or refused by a limit, and never a crash.
fn for_the_planner() -> Vec<(&'static str, String, &'static [&'static str])> {
    let or = vec!["id = 1"; 100_000].join(" OR ");
    let plus = vec!["1"; 20_000].join(" + ");
    let list = (0..100_000).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    const LIMIT: &[&str] = &["42000", "54000"];
    vec![
        ("100,000 terms with OR", format!("SELECT word FROM kept WHERE {or}"), LIMIT),
        ("20,000 terms with +", format!("SELECT word FROM kept WHERE id = {plus}"), LIMIT),
        (
            "parentheses",
            format!("SELECT word FROM kept WHERE id = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            LIMIT,
        ),
        (
            "subqueries",
            format!("SELECT word FROM kept WHERE id = {}1{}", "(SELECT ".repeat(10_000), ")".repeat(10_000)),
            LIMIT,
        ),
        ("NOT", format!("SELECT word FROM kept WHERE {} id = 1", "NOT ".repeat(100_000)), LIMIT),
        ("minus", format!("SELECT word FROM kept WHERE id = {}1", "- ".repeat(100_000)), LIMIT),
        (
            "CASE",
            format!(
                "SELECT word FROM kept WHERE id = {}1{}",
                "CASE WHEN 1=1 THEN ".repeat(30_000),
                " END".repeat(30_000)
            ),
            LIMIT,
        ),
        ("a list of 100,000 keys", format!("SELECT word FROM kept WHERE id IN ({list})"), &[]),
    ]
}

#[tokio::test]
async fn the_planner_by_mysql() {
    let _turn = TURN.lock().await;
    let (mesh, name) = sharded(ServerKind::MariaDb).await;
    let mut connection = mesh.mysql(&name).await;
    for (what, text, states) in for_the_planner() {
        match by_mysql(&mut connection, &text).await {
            Ok(word) => assert!(states.is_empty() && word.is_none(), "{what}: {word:?}"),
            Err(told) => assert!(states.contains(&told.state.as_str()), "{what}: {told:?}"),
        }
        assert_eq!(by_mysql(&mut connection, "SELECT 5").await, Ok(Some("5".to_owned())), "after {what}");
    }
    super::is_unharmed(&mesh);
}

#[tokio::test]
async fn the_planner_by_postgres() {
    let _turn = TURN.lock().await;
    let (mesh, name) = sharded(ServerKind::Postgres).await;
    let client = mesh.postgres(&name).await;
    for (what, text, states) in for_the_planner() {
        match by_postgres(&client, &text).await {
            Ok(word) => assert!(states.is_empty() && word.is_none(), "{what}: {word:?}"),
            Err(told) => assert!(states.contains(&told.state.as_str()), "{what}: {told:?}"),
        }
        assert_eq!(by_postgres(&client, "SELECT 5").await, Ok(Some("5".to_owned())), "after {what}");
    }
    super::is_unharmed(&mesh);
}
