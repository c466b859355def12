//! Bulk execution of MariaDB's clients: what a server says to it is what dbmesh says, for rows on one shard and on several.

use dbmesh::demo::servers::SERVER_USER;
use mysql_async::prelude::Queryable as _;
use protocol::mysql::capability::BULK_OPERATIONS;
use protocol::mysql::command::code;
use protocol::mysql::reply::OkPacket;

use super::drivers::prepare;
use super::wire::{Wire, error};
use crate::bed::{Database, MeshConfig, PASSWORD, ServerKind, Table, Tool, installed};

const BIG: [u8; 2] = [8, 0];
const TEXT: [u8; 2] = [0xfd, 0];
const NULL: &[u8] = &[1];
const DEFAULT: &[u8] = &[2];
const IGNORE: &[u8] = &[3];

fn n(number: i64) -> Vec<u8> {
    [&[0][..], &number.to_le_bytes()].concat()
}

fn s(text: &str) -> Vec<u8> {
    [&[0, u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat()
}

/// One bulk execution.
struct Step {
    sql: &'static str,
    types: Vec<u8>,
    rows: Vec<Vec<u8>>,
    flags: u16,
}

fn step(sql: &'static str, types: &[[u8; 2]], rows: &[&[&[u8]]]) -> Step {
    Step { sql, types: types.concat(), rows: rows.iter().map(|row| row.concat()).collect(), flags: 128 }
}

/// The answer to one, and what is in the table afterwards.
async fn run(wire: &mut Wire, step: &Step) -> String {
    let id = prepare(wire, step.sql, step.types.len() / 2, 0).await;
    let mut body = id.to_le_bytes().to_vec();
    body.extend_from_slice(&step.flags.to_le_bytes());
    body.extend_from_slice(&step.types);
    body.extend(step.rows.concat());
    let answer = wire.ask(code::STATEMENT_BULK_EXECUTE, &body).await;
    let [packet] = &answer[..] else { panic!("{}: {answer:?}", step.sql) };
    let told = error(packet).map_or_else(
        || {
            let ok = OkPacket::decode(packet, 0).expect("an OK");
            let info = String::from_utf8_lossy(ok.info);
            format!("{} rows, id {}, {} warnings, {info}", ok.affected_rows, ok.last_insert_id, ok.warnings)
        },
        |(code, text)| format!("{code} {text}"),
    );
    wire.command(code::STATEMENT_CLOSE, &id.to_le_bytes()).await;
    let rows = wire.ask(code::QUERY, b"SELECT id, v, n FROM b ORDER BY id").await;
    let rows: Vec<_> = rows.iter().skip(4).map(|row| String::from_utf8_lossy(row).into_owned()).collect();
    format!("{}: {told} {:?}", step.sql, &rows[..rows.len() - 1])
}

fn steps() -> Vec<Step> {
    let insert = "INSERT INTO b (id, v, n) VALUES (?, ?, ?)";
    let types = [BIG, TEXT, BIG];
    let many: Vec<Vec<u8>> = (100..160).map(|id| [n(id), s("many"), n(id)].concat()).collect();
    let many: Vec<[&[u8]; 1]> = many.iter().map(|row| [&row[..]]).collect();
    let many: Vec<&[&[u8]]> = many.iter().map(|row| &row[..]).collect();
    let mut odd_flags = step(insert, &types, &[&[&n(90), &s("x"), &n(1)]]);
    odd_flags.flags |= 64;
    vec![
        step(insert, &types, &[&[&n(1), &s("a"), &n(1)], &[&n(2), NULL, NULL], &[&n(3), DEFAULT, IGNORE]]),
        step(insert, &types, &many),
        // A failing row undoes all of the others, wherever they are.
        step(
            insert,
            &types,
            &[&[&n(7), &s("a"), &n(1)], &[&n(8), NULL, NULL], &[&n(3), NULL, NULL], &[&n(9), NULL, NULL]],
        ),
        step(
            "REPLACE INTO b (id, v) VALUES (?, ?)",
            &[BIG, TEXT],
            &[&[&n(1), &s("r")], &[&n(20), &s("r")], &[&n(2), NULL]],
        ),
        step(
            "INSERT IGNORE INTO b (id, v) VALUES (?, ?)",
            &[BIG, TEXT],
            &[&[&n(3), NULL], &[&n(21), NULL], &[&n(4), NULL]],
        ),
        step(
            "INSERT INTO b (id, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = 'again'",
            &[BIG, TEXT],
            &[&[&n(1), NULL], &[&n(22), NULL], &[&n(2), NULL], &[&n(5), NULL]],
        ),
        step(
            "UPDATE b SET v = ? WHERE id = ?",
            &[TEXT, BIG],
            &[&[&s("u"), &n(1)], &[&s("u"), &n(2)], &[&s("u"), &n(1)]],
        ),
        step(
            "UPDATE b SET v = ? WHERE id = ?",
            &[TEXT, BIG],
            &[&[DEFAULT, &n(1)], &[IGNORE, &n(2)], &[&s("v"), &n(77)]],
        ),
        // The rows before the failing one stay changed.
        step(
            "UPDATE b SET n = ? WHERE id = ?",
            &[TEXT, BIG],
            &[&[&s("5"), &n(1)], &[&s("6"), &n(2)], &[&s("no"), &n(3)], &[&s("7"), &n(4)]],
        ),
        step("DELETE FROM b WHERE id = ?", &[BIG], &[&[&n(1)], &[&n(2)], &[&n(3)], &[&n(1000)], &[&n(130)]]),
        step(insert, &types, &[&[&n(30), &s("one"), &n(1)]]),
        step(insert, &types, &[]),
        step(insert, &types, &[&[&n(31), &s("cut off")]]),
        step(insert, &types, &[&[&[9]]]),
        odd_flags,
    ]
}

async fn compare(database: Database, configure: impl FnOnce(MeshConfig) -> MeshConfig) {
    database.everywhere("CREATE TABLE b (id BIGINT PRIMARY KEY, v VARCHAR(9) DEFAULT 'none', n INT)").await;
    let reference = Database::new(ServerKind::MariaDb, 1).await;
    reference.everywhere("CREATE TABLE b (id BIGINT PRIMARY KEY, v VARCHAR(9) DEFAULT 'none', n INT)").await;
    let mesh = configure(MeshConfig::with(&database)).start();
    let _log = mesh.show_log_on_failure();
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], reference.shards[0].port));
    let mut direct = Wire::connect(server).await.into_mariadb();
    let login = direct.log_in_as(SERVER_USER, "mysql_native_password", PASSWORD, &reference.name).await;
    login.expect("a login at the server");
    let mut through = Wire::connect(mesh.addresses.mysql).await.into_mariadb();
    assert_ne!(through.greeting.capabilities & BULK_OPERATIONS, 0, "bulk execution is offered");
    through.log_in("mysql_native_password", "app", &database.name).await.expect("a login");
    for step in steps() {
        let found = run(&mut through, &step).await.replace(&database.name, "_");
        assert_eq!(found, run(&mut direct, &step).await.replace(&reference.name, "_"));
    }
    // A client that did not ask for it may not do it.
    let mut old = Wire::session(mesh.addresses.mysql, &database.name).await;
    let id = prepare(&mut old, "DELETE FROM b WHERE id = ?", 1, 0).await;
    let body = [&id.to_le_bytes()[..], &[128, 0, 8, 0], &n(1)].concat();
    let told = old.ask(code::STATEMENT_BULK_EXECUTE, &body).await;
    assert_eq!(error(&told[0]).map(|told| told.0), Some(1295), "{told:?}");
}

#[tokio::test]
async fn unsharded_it_is_the_servers() {
    compare(Database::new(ServerKind::MariaDb, 1).await, |config| config).await;
}

#[tokio::test]
async fn on_several_shards_it_is_as_on_one() {
    let mut database = Database::new(ServerKind::MariaDb, 3).await.table(Table::Sharded("b", &["id"]));
    database.local = true;
    compare(database, |config| config).await;
}

#[tokio::test]
async fn in_a_reference_table_every_copy_gets_every_row() {
    let mut database = Database::new(ServerKind::MariaDb, 2).await.table(Table::Reference("b"));
    database.local = true;
    compare(database, |config| config).await;
}

#[tokio::test]
async fn where_a_write_may_not_span_shards_a_batch_is_refused_whole() {
    let database = Database::new(ServerKind::MariaDb, 2).await.table(Table::Sharded("b", &["id"]));
    database.everywhere("CREATE TABLE b (id BIGINT PRIMARY KEY, v VARCHAR(9))").await;
    let mesh = MeshConfig::with(&database).start();
    let mut wire = Wire::connect(mesh.addresses.mysql).await.into_mariadb();
    wire.log_in("mysql_native_password", "app", &database.name).await.expect("a login");
    let rows: Vec<Vec<u8>> = (1..40).map(n).collect();
    let id = prepare(&mut wire, "INSERT INTO b (id) VALUES (?)", 1, 0).await;
    let body = [&id.to_le_bytes()[..], &[128, 0, 8, 0], &rows.concat()].concat();
    let told = wire.ask(code::STATEMENT_BULK_EXECUTE, &body).await;
    let (_, text) = error(&told[0]).expect("refused");
    assert!(text.contains("shards"), "{text}");
    let mut session = mesh.mysql(&database.name).await;
    assert_eq!(session.query_first::<i64, _>("SELECT COUNT(*) FROM b").await.unwrap(), Some(0));
}

#[tokio::test]
async fn the_mariadb_driver_of_node_batches() {
    let mut database = Database::new(ServerKind::MariaDb, 2).await.table(Table::Sharded("b", &["id"]));
    database.local = true;
    database.everywhere("CREATE TABLE b (id BIGINT PRIMARY KEY, v VARCHAR(9))").await;
    let mesh = MeshConfig::with(&database).start();
    let script = format!(
        "const mariadb = require('mariadb');\n\
         (async () => {{\n\
         \x20 const c = await mariadb.createConnection({{host: '127.0.0.1', port: {port}, user: 'app', password: 'app',\n\
         \x20   database: '{name}', bulk: true}});\n\
         \x20 const rows = [...Array(500).keys()].map((id) => [id, id % 7 ? 'v' + id : null]);\n\
         \x20 console.log((await c.batch('INSERT INTO b VALUES (?, ?)', rows)).affectedRows);\n\
         \x20 try {{ await c.batch('INSERT INTO b VALUES (?, ?)', [[1000, 'a'], [5, 'b'], [1001, 'c']]); }}\n\
         \x20 catch (error) {{ console.log(error.errno); }}\n\
         \x20 console.log((await c.batch('DELETE FROM b WHERE id = ?', rows.map(([id]) => [id]).slice(100))).affectedRows);\n\
         \x20 console.log(Number((await c.query('SELECT COUNT(*) AS n FROM b WHERE v IS NOT NULL'))[0].n));\n\
         \x20 await c.end();\n\
         }})();\n",
        port = mesh.addresses.mysql.port(),
        name = database.name
    );
    let packages = installed("javascript/node_modules").display().to_string();
    let run = move || Tool::new("node").env("NODE_PATH", &packages).args(["-e", &script]).ok();
    let said = tokio::task::spawn_blocking(run).await.expect("the driver works");
    assert_eq!(said.split_ascii_whitespace().collect::<Vec<_>>(), ["500", "1062", "400", "85"]);
}
