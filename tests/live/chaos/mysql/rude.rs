//! Clients that die, time out, are killed, break the protocol and leave things behind. What they get is not looked at,
//! except where somebody else's answer could reach them too.

use std::sync::Arc;
use std::time::Duration;

use super::wire::{self, Answer, Ended, Link, Row, command, query};
use crate::chaos::arena::Arena;
use crate::chaos::dice::Dice;
use crate::chaos::tally::Wrong;

/// Misbehaves again and again until the arena closes.
pub async fn client(arena: Arc<Arena>, tag: u64, mut dice: Dice) {
    let mut serial = 0;
    while arena.is_open() {
        serial += 1;
        // What ends a deed early is its own affair.
        let _ = misbehave(&arena, tag, serial, &mut dice).await;
        arena.tally.rude();
        tokio::time::sleep(dice.pause(20)).await;
    }
}

async fn misbehave(arena: &Arena, tag: u64, serial: u64, dice: &mut Dice) -> Result<(), Ended> {
    if dice.chance(8) {
        return break_handshake(arena, dice).await;
    }
    if dice.chance(35) {
        return kill_own(arena, tag, serial, dice).await;
    }
    let mut link = Link::open(arena.mesh.addresses.mysql, &arena.database.name, dice.chance(50)).await?;
    let insert = format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {serial}, 'uncommitted')");
    let hot = format!("UPDATE hot SET word = 'uncommitted' WHERE tag = {}", 1 + dice.below(4));
    let much = format!("SELECT tag, n, pad FROM bulky WHERE tag = {} ORDER BY n", 1 + dice.below(arena.tags));
    match dice.below(18) {
        // Dies in the middle of a large result.
        0 | 1 => {
            link.send(&query(&much)).await?;
            for _ in 0..dice.below(6) {
                link.skip(1 + usize::try_from(dice.below(5000)).unwrap_or(1), Duration::from_millis(50)).await;
            }
        }
        // Dies in a transaction, perhaps before its last answer.
        2 | 3 => {
            link.run(dice.pick(&["BEGIN", "SET autocommit = 0"])).await?;
            link.run(&insert).await?;
            if dice.chance(50) {
                link.send(&query(&hot)).await?;
            }
            tokio::time::sleep(dice.pause(30)).await;
        }
        // Half a packet.
        4 => {
            let bytes = query(&format!("{insert} -- {}", "x".repeat(usize::try_from(dice.below(3000)).unwrap_or(0))));
            let part = usize::try_from(dice.below(bytes.len() as u64)).unwrap_or(0);
            link.send(&bytes[..part]).await?;
            tokio::time::sleep(dice.pause(20)).await;
        }
        // Many commands in one write, and never an answer read.
        5 | 6 => {
            let mut bytes = query("BEGIN");
            for sql in [&insert, &much, &hot, "SELECT SLEEP(0.02)", "SELECT nothing", &much] {
                bytes.extend(query(sql));
            }
            link.send(&bytes).await?;
            tokio::time::sleep(dice.pause(40)).await;
        }
        // Loses patience.
        7 => {
            let sleep = dice.pick(&["SELECT SLEEP(30)", "DO SLEEP(30)", "SELECT SLEEP(30) FROM tagged WHERE tag = 1"]);
            link.send(&query(sleep)).await?;
            tokio::time::sleep(dice.pause(40)).await;
        }
        // Breaks the protocol.
        8 => {
            link.run("BEGIN").await?;
            link.run(&insert).await?;
            let bytes = match dice.below(5) {
                0 => command(0x77, b"?"),
                1 => vec![1, 0, 0, 9, wire::QUERY],
                2 => command(wire::STMT_EXECUTE, &dice.bytes(5)),
                3 => command(wire::STMT_EXECUTE, b""),
                _ => dice.bytes(40),
            };
            link.send(&bytes).await?;
            link.skip(100, Duration::from_millis(20)).await;
        }
        // Long data and statements that nobody will use.
        9 => {
            let statement = link.prepare_statement("SELECT ?, tag FROM tagged WHERE tag = 1 AND n = 1").await?;
            let mut body = statement.to_le_bytes().to_vec();
            body.extend_from_slice(&[0, 0]);
            body.extend(dice.bytes(2000));
            link.send(&command(wire::STMT_SEND_LONG_DATA, &body)).await?;
            link.send(&command(wire::STMT_CLOSE, &9_999_u32.to_le_bytes())).await?;
        }
        // Leaves things behind.
        _ => {
            for _ in 0..1 + dice.below(6) {
                link.ask(dice.pick(LEFT_BEHIND)).await?;
            }
            if dice.chance(20) {
                link.run(&insert_uncommitted(&insert)).await?;
            }
        }
    }
    leave(link, dice).await;
    Ok(())
}

fn insert_uncommitted(insert: &str) -> String {
    format!("BEGIN; {insert}")
}

const LEFT_BEHIND: &[&str] = &[
    "SET @mark = 'foreign', @tag = 'foreign'",
    "SELECT @tag := 'foreign', @mark := 'foreign'",
    "SET SESSION group_concat_max_len = 666",
    "SET time_zone = '+04:00', sql_mode = ''",
    "SET NAMES latin1",
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION sql_select_limit = 1",
    "SET SESSION sql_safe_updates = 1",
    "SET last_insert_id = 777",
    "SELECT LAST_INSERT_ID(778)",
    "SELECT GET_LOCK('chaos', 0)",
    "CREATE TEMPORARY TABLE mine AS SELECT 666 AS tag",
    "CREATE TEMPORARY TABLE tagged AS SELECT 666 AS tag, 1 AS n, 'foreign' AS word",
    "PREPARE foreign_statement FROM 'SELECT 666'",
    "SET autocommit = 0",
    "LOCK TABLES hot WRITE",
    "HANDLER hot OPEN",
    "SELECT SQL_CALC_FOUND_ROWS tag FROM tagged WHERE tag = 1 LIMIT 1",
    "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
    "SET SESSION max_statement_time = 0.001",
];

async fn leave(mut link: Link, dice: &mut Dice) {
    match dice.below(3) {
        0 => link.crash(),
        1 => {
            let _ = link.send(&command(wire::QUIT, b"")).await;
        }
        _ => {}
    }
}

async fn break_handshake(arena: &Arena, dice: &mut Dice) -> Result<(), Ended> {
    let mut link = Link::greeted(arena.mesh.addresses.mysql).await?;
    let bytes = match dice.below(3) {
        0 => Vec::new(),
        1 => dice.bytes(60),
        _ => {
            let mut bytes = Vec::new();
            protocol::mysql::packet::put_packet(&mut bytes, 1, &wire::login(&arena.database.name, true));
            bytes.truncate(usize::try_from(dice.below(bytes.len() as u64)).unwrap_or(0));
            bytes
        }
    };
    link.send(&bytes).await?;
    tokio::time::sleep(dice.pause(10)).await;
    leave(link, dice).await;
    Ok(())
}

/// A client kills statements of its other session, early, late and too late. Only that session may notice.
async fn kill_own(arena: &Arena, tag: u64, serial: u64, dice: &mut Dice) -> Result<(), Ended> {
    let (address, name) = (arena.mesh.addresses.mysql, &arena.database.name);
    let mut victim = Link::open(address, name, dice.chance(50)).await?;
    let mut killer = Link::open(address, name, true).await?;
    let open = dice.chance(30);
    if open {
        victim.run("BEGIN").await?;
        victim.run(&format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {serial}, 'uncommitted')")).await?;
    }
    let who = victim.id;
    for round in 0..1 + dice.below(12) {
        let sql = match dice.below(4) {
            0 => format!("SELECT {round}, SLEEP(0.0{}) * 0 FROM tagged WHERE tag = 1 AND n = 1", dice.below(10)),
            1 => format!("SELECT {round}, COUNT(*) * 0 FROM bulky WHERE tag = 1"),
            _ => format!("SELECT {round}, 0 FROM tagged WHERE tag = 1 AND n = 1"),
        };
        victim.send(&query(&sql)).await?;
        tokio::time::sleep(dice.pause(4)).await;
        killer.send(&query(&format!("KILL QUERY {who}"))).await?;
        check_killed(arena, &sql, round, &victim.answer().await?);
        if let Answer::Failed { code, text } = killer.answer().await? {
            arena.tally.wrong(Wrong::Error, format!("KILL QUERY of a session of ours: {code} {text}"));
        }
        if dice.chance(20) {
            killer.run(&format!("KILL QUERY {who}")).await?;
        }
    }
    if dice.chance(30) {
        victim.send(&query("SELECT SLEEP(0.01)")).await?;
        killer.run(&format!("KILL {who}")).await?;
    }
    leave(victim, dice).await;
    // It may be gone by now: that is an error then, or none.
    killer.ask(&format!("KILL QUERY {who}")).await?;
    killer.ask("KILL QUERY 2147483646").await?;
    leave(killer, dice).await;
    Ok(())
}

fn check_killed(arena: &Arena, sql: &str, round: u64, answer: &Answer) {
    let value = |at: usize, rows: &[Row]| rows.first().and_then(|row| row.get(at).cloned().flatten());
    match answer {
        Answer::Rows(rows) if value(0, rows) == Some(round.to_string()) => arena.tally.answer(rows.len()),
        Answer::Failed { code: 1317 | 1028, .. } => arena.tally.answer(0),
        Answer::Failed { .. } if arena.storm => arena.tally.lost(),
        other => arena.tally.wrong(Wrong::Order, format!("{sql} of a session that is killed: {other:?}")),
    }
}
