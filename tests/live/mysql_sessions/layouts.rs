//! Answers packet by packet, as a server gives them to a client with and without DEPRECATE_EOF: texts, prepared statements,
//! cursors, several results; and what clients do that drivers seldom show.

use std::net::SocketAddr;
use std::time::Duration;

use dbmesh::demo::servers::SERVER_USER;
use mysql_async::prelude::Queryable as _;
use protocol::mysql::capability::{DEPRECATE_EOF, MULTI_STATEMENTS, status};
use protocol::mysql::command::code;
use protocol::mysql::reply::status_position;
use protocol::mysql::response::Answer;

use super::Split;
use super::wire::Wire;
use crate::bed::{Database, MeshConfig, PASSWORD, ServerKind, Table, Tool, eventually_async, python};

/// A session at the server itself, and one through dbmesh.
async fn both(database: &Database, mesh: SocketAddr, deprecate_eof: bool) -> [Wire; 2] {
    let server = SocketAddr::from(([127, 0, 0, 1], database.shards[0].port));
    let mut wires = [Wire::connect(server).await, Wire::connect(mesh).await];
    for (wire, (user, password)) in wires.iter_mut().zip([(SERVER_USER, PASSWORD), ("app", "app")]) {
        wire.offer(MULTI_STATEMENTS);
        if !deprecate_eof {
            wire.without(DEPRECATE_EOF);
        }
        wire.log_in_as(user, "mysql_native_password", password, &database.name).await.expect("a login");
    }
    wires
}

/// A packet without the flags that say how rows were found.
fn plain(mut packet: Vec<u8>) -> Vec<u8> {
    let eof = packet.len() == 5 && packet[0] == 0xfe;
    let ends = eof || (packet.len() >= 7 && matches!(packet[0], 0 | 0xfe));
    if let (true, Some(at)) = (ends, status_position(&packet, eof)) {
        let [low, _] = (status::NO_INDEX | status::NO_GOOD_INDEX).to_le_bytes();
        packet[at] &= !low;
    }
    packet
}

async fn ask(wire: &mut Wire, command: u8, body: &[u8], answer: Answer) -> Vec<Vec<u8>> {
    wire.whole(command, body, answer).await.into_iter().map(plain).collect()
}

/// PREPARE, EXECUTE with these flags, FETCH while there are rows, CLOSE.
async fn prepared(wire: &mut Wire, sql: &str, flags: u8) -> Vec<Vec<u8>> {
    let mut all = ask(wire, code::STATEMENT_PREPARE, sql.as_bytes(), Answer::StatementPrepare).await;
    if all[0][0] != 0 {
        return all;
    }
    let id = all[0][1..5].to_vec();
    all[0][1..5].fill(0);
    let execute = [&id[..], &[flags], &1_u32.to_le_bytes()].concat();
    let executed = ask(wire, code::STATEMENT_EXECUTE, &execute, Answer::Execute).await;
    let last = executed.last().expect("a packet").clone();
    all.extend(executed);
    let mut open = is_flagged(&last, status::CURSOR_EXISTS);
    while open {
        let fetch = [&id[..], &2_u32.to_le_bytes()].concat();
        let fetched = ask(wire, code::STATEMENT_FETCH, &fetch, Answer::Fetch).await;
        open = !is_flagged(fetched.last().expect("a packet"), status::LAST_ROW_SENT) && fetched[0][0] != 0xff;
        all.extend(fetched);
    }
    wire.command(code::STATEMENT_CLOSE, &id).await;
    all
}

fn is_flagged(packet: &[u8], flag: u16) -> bool {
    let at = status_position(packet, packet.len() == 5).expect("status flags");
    packet[0] != 0xff && u16::from_le_bytes([packet[at], packet[at + 1]]) & flag != 0
}

const TEXTS: [&str; 15] = [
    "SELECT 1",
    "SELECT id, n FROM t ORDER BY id",
    "SELECT id FROM t WHERE id = 1; SELECT 2; SELECT * FROM nowhere; SELECT 3",
    "SELECT id FROM t WHERE FALSE",
    "CALL two()",
    "CALL two(); SELECT 'behind'",
    "/*!50000 SELECT 5 AS a */",
    "SELECT /*! 1 + */ 2 AS a, /*!99999 none, */ 3 AS b /*M!100100 , 4 AS c */",
    "SET STATEMENT max_statement_time = 5 FOR SELECT id FROM t ORDER BY id",
    "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT \"id\" FROM t WHERE id = 2",
    "UPDATE t SET n = n",
    "UPDATE t SET n = n + 0 WHERE id = 1; SELECT 6",
    "INSERT INTO t VALUES (1, 1)",
    "SELECT CAST('7x' AS SIGNED) AS a",
    "# nothing but this",
];

#[tokio::test]
async fn one_shard_answers_as_the_server_packet_by_packet() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE t (id INT PRIMARY KEY, n INT)").await;
    database.everywhere("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)").await;
    database
        .everywhere("CREATE PROCEDURE two() BEGIN SELECT id FROM t ORDER BY id; SELECT 'b' AS b, 2.5 AS c; END")
        .await;
    let mesh = MeshConfig::with(&database).start();
    let _log = mesh.show_log_on_failure();
    for deprecate_eof in [true, false] {
        let [mut direct, mut through] = both(&database, mesh.addresses.mysql, deprecate_eof).await;
        for sql in TEXTS {
            let expected = ask(&mut direct, code::QUERY, sql.as_bytes(), Answer::Query).await;
            let found = ask(&mut through, code::QUERY, sql.as_bytes(), Answer::Query).await;
            assert_eq!(found, expected, "{sql}, deprecate_eof={deprecate_eof}");
        }
        for (sql, flags) in [
            ("SELECT id, n FROM t ORDER BY id", 0),
            ("SELECT id, n FROM t ORDER BY id", 1),
            ("SELECT id FROM t WHERE FALSE", 1),
            ("UPDATE t SET n = n", 1),
            ("CALL two()", 0),
            ("SELECT * FROM nowhere", 0),
            ("/* nothing but this */", 0),
            ("", 0),
            (" ; ", 0),
            ("SET STATEMENT max_statement_time = 5 FOR SELECT id FROM t ORDER BY id", 0),
        ] {
            let expected = prepared(&mut direct, sql, flags).await;
            assert_eq!(prepared(&mut through, sql, flags).await, expected, "{sql}, flags {flags}, {deprecate_eof}");
        }
        for (command, body, answer) in [
            (code::FIELD_LIST, &b"t\0%"[..], Answer::FieldList),
            (code::FIELD_LIST, b"nowhere\0", Answer::FieldList),
            (code::SET_OPTION, &[1, 0], Answer::Simple),
            (code::QUERY, b"SELECT 1; SELECT 2", Answer::Query),
            (code::SET_OPTION, &[0, 0], Answer::Simple),
            (code::QUERY, b"SELECT 1; SELECT 2", Answer::Query),
            (code::PING, b"", Answer::Simple),
            (code::RESET_CONNECTION, b"", Answer::Simple),
            (0x77, b"", Answer::Simple),
        ] {
            let expected = ask(&mut direct, command, body, answer).await;
            assert_eq!(ask(&mut through, command, body, answer).await, expected, "{command:#x} {body:?}");
        }
    }
}

#[tokio::test]
async fn several_shards_answer_as_one_server_packet_by_packet() {
    let database = Database::new(ServerKind::MariaDb, 2).await.table(Table::Sharded("t", &["id"])).local();
    database.everywhere("CREATE TABLE t (id INT PRIMARY KEY, n INT)").await;
    let mut whole = Database::new(ServerKind::MariaDb, 1).await;
    while whole.name.len() != database.name.len() {
        // Lengths of names stand in the definitions.
        whole = Database::new(ServerKind::MariaDb, 1).await;
    }
    whole.everywhere("CREATE TABLE t (id INT PRIMARY KEY, n INT)").await;
    let mesh = MeshConfig::with(&database).and(&whole).start();
    let _log = mesh.show_log_on_failure();
    let insert =
        format!("INSERT INTO t VALUES {}", (1..=20).map(|n| format!("({n}, {n})")).collect::<Vec<_>>().join(","));
    let mut session = mesh.mysql(&database.name).await;
    session.query_drop(&insert).await.expect("rows");
    whole.everywhere(&insert).await;
    let unnamed = |packets: Vec<Vec<u8>>, name: &str| -> Vec<String> {
        packets.iter().map(|packet| String::from_utf8_lossy(packet).replace(name, "_")).collect()
    };
    for deprecate_eof in [true, false] {
        let [_, mut through] = both(&database, mesh.addresses.mysql, deprecate_eof).await;
        let [mut direct, _] = both(&whole, mesh.addresses.mysql, deprecate_eof).await;
        for sql in [
            "SELECT id, n FROM t ORDER BY id DESC LIMIT 15",
            "SELECT COUNT(*), SUM(n) FROM t; SELECT id FROM t ORDER BY id; SELECT 'end'",
            "UPDATE t SET n = n + (id > 10)",
            "UPDATE t SET n = n",
            "DELETE FROM t WHERE n < 0",
            "INSERT INTO t VALUES (101, 1), (102, 2), (103, 3), (104, 4), (105, 5)",
            "REPLACE INTO t VALUES (101, 1), (102, 3), (106, 3), (103, 3), (107, 5)",
            "INSERT IGNORE INTO t VALUES (101, 1), (108, 3), (109, 3), (103, 3), (110, 5)",
            "DELETE FROM t WHERE id > 100",
        ] {
            let expected = ask(&mut direct, code::QUERY, sql.as_bytes(), Answer::Query).await;
            let found = ask(&mut through, code::QUERY, sql.as_bytes(), Answer::Query).await;
            assert_eq!(unnamed(found, &database.name), unnamed(expected, &whole.name), "{sql}, {deprecate_eof}");
        }
        let sql = "SELECT id, n FROM t ORDER BY id";
        let expected = prepared(&mut direct, sql, 0).await;
        // No cursor is opened over several shards: all rows come at once.
        for flags in [0, 1] {
            let found = prepared(&mut through, sql, flags).await;
            assert_eq!(unnamed(found, &database.name), unnamed(expected.clone(), &whole.name), "{flags}");
        }
    }
}

#[tokio::test]
async fn a_client_that_breaks_off_a_file_leaves_no_rows() {
    let database = Database::new(ServerKind::MariaDb, 1).await;
    database.everywhere("CREATE TABLE f (id INT PRIMARY KEY)").await;
    let mesh = MeshConfig::with(&database).start();
    let load = b"LOAD DATA LOCAL INFILE 'x' INTO TABLE f";
    let mut wire = Wire::session(mesh.addresses.mysql, &database.name).await;
    for rows in ["", "1\n2\n3\n"] {
        wire.command(code::QUERY, load).await;
        assert_eq!(wire.packet().await.expect("a question for the file")[0], 0xfb);
        if !rows.is_empty() {
            wire.send(rows.as_bytes()).await;
        }
        wire.send(b"").await;
        let answer = wire.packet().await.expect("an answer");
        assert_eq!((answer[0], usize::from(answer[1])), (0, rows.lines().count()), "{answer:?}");
    }
    let mut gone = Wire::session(mesh.addresses.mysql, &database.name).await;
    gone.command(code::QUERY, load).await;
    gone.packet().await.expect("a question for the file");
    gone.send(b"11\n12\n").await;
    drop(gone);
    let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'LOAD DATA LOCAL%'";
    eventually_async("the file's statement is over", Duration::from_secs(30), || async {
        let mut session = mesh.mysql(&database.name).await;
        session.query_first::<i64, _>(sql).await.expect("an answer") == Some(0)
    })
    .await;
    let mut session = mesh.mysql(&database.name).await;
    let rows: Vec<i64> = session.query("SELECT id FROM f ORDER BY id").await.expect("rows");
    assert_eq!(rows, [1, 2, 3]);
}

#[tokio::test]
async fn the_command_line_completes_names_of_tables_and_columns() {
    let split = Split::new(|config| config).await;
    let (port, name) = (split.mesh.addresses.mysql.port(), split.database.name.clone());
    let mut session = split.session().await;
    session.query_drop("CREATE TABLE undeclared_one (a_long_name INT)").await.expect("a table");
    session.query_drop("INSERT INTO undeclared_one VALUES (4242)").await.expect("a row");
    let script = format!(
        "import os, pty, select, sys\n\
         pid, tty = pty.fork()\n\
         if pid == 0:\n\
         \x20   os.environ['TERM'] = 'xterm'\n\
         \x20   os.execvp('mariadb', ['mariadb', '-h127.0.0.1', '-P{port}', '-uapp', '-papp', '--skip-ssl', '{name}'])\n\
         seen = ''\n\
         def until(text):\n\
         \x20   global seen\n\
         \x20   start = len(seen)\n\
         \x20   while text not in seen[start:]:\n\
         \x20       if not select.select([tty], [], [], 20)[0]: sys.exit('no ' + text + ' in ' + seen)\n\
         \x20       seen += os.read(tty, 4096).decode(errors='replace')\n\
         until('{name}]> ')\n\
         os.write(tty, b'SELECT a_lon\\t + 1 FROM undecl\\t;\\n')\n\
         until('4243')\n\
         os.write(tty, b'exit\\n')\n\
         os.waitpid(pid, 0)\n\
         print('completed')\n"
    );
    let run = move || Tool::new(python()).args(["-c", &script]).run();
    let said = tokio::task::spawn_blocking(run).await.expect("it ends");
    assert!(said.success && said.out.contains("completed"), "{} {}", said.out, said.errors);
}
