//! Clients that die, time out, cancel, break the protocol and leave things behind. What they get is not looked at,
//! except where somebody else's answer could reach them too.

use std::sync::Arc;
use std::time::Duration;

use protocol::postgres::write;

use super::wire::{Answer, Ended, Link, Row, cancel, execute, query};
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
        return break_startup(arena, dice).await;
    }
    if dice.chance(35) {
        return cancel_own(arena, tag, serial, dice).await;
    }
    let mut link = Link::open(arena.mesh.addresses.postgres, &arena.database.name, "rude").await?;
    let insert = format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {serial}, 'uncommitted')");
    let hot = format!("UPDATE hot SET word = 'uncommitted' WHERE tag = {}", 1 + dice.below(4));
    let much = format!("SELECT tag, n, pad FROM bulky WHERE tag = {} ORDER BY n", 1 + dice.below(arena.tags));
    match dice.below(20) {
        // Dies in the middle of a large result, also of a COPY.
        0 | 1 => {
            let sql = if dice.chance(50) { much } else { format!("COPY ({much}) TO STDOUT") };
            link.send(&query(&sql)).await?;
            for _ in 0..dice.below(6) {
                link.skip(1 + usize::try_from(dice.below(5000)).unwrap_or(1), Duration::from_millis(50)).await;
            }
        }
        // Dies in a transaction, perhaps before its last answer, perhaps in a failed one.
        2 | 3 => {
            link.run("BEGIN").await?;
            link.run(&insert).await?;
            let last = dice.pick(&["SELECT nothing", hot.as_str(), "SELECT 1"]);
            link.send(&query(last)).await?;
            tokio::time::sleep(dice.pause(30)).await;
        }
        // Half a message.
        4 => {
            let bytes = query(&format!("{insert} -- {}", "x".repeat(usize::try_from(dice.below(3000)).unwrap_or(0))));
            let part = usize::try_from(dice.below(bytes.len() as u64)).unwrap_or(0);
            link.send(&bytes[..part]).await?;
            tokio::time::sleep(dice.pause(20)).await;
        }
        // A pipeline, without its end or without anybody who reads the answers.
        5 | 6 => {
            let mut bytes = query("BEGIN");
            write::parse(&mut bytes, b"own", much.as_bytes(), [].into_iter());
            for _ in 0..1 + dice.below(5) {
                execute(&mut bytes, "own", &[]);
                write::parse(
                    &mut bytes,
                    b"",
                    dice.pick(&[insert.as_str(), &hot, "SELECT nothing"]).as_bytes(),
                    [].into_iter(),
                );
                execute(&mut bytes, "", &[]);
                if dice.chance(40) {
                    write::sync(&mut bytes);
                }
                if dice.chance(20) {
                    write::flush(&mut bytes);
                }
            }
            link.send(&bytes).await?;
            tokio::time::sleep(dice.pause(40)).await;
        }
        // Loses patience.
        7 => {
            link.send(&query(dice.pick(&["SELECT pg_sleep(30)", "SELECT pg_sleep(30) FROM tagged WHERE tag = 1"])))
                .await?;
            tokio::time::sleep(dice.pause(40)).await;
        }
        // Breaks the protocol.
        8 => {
            link.run("BEGIN").await?;
            link.run(&insert).await?;
            let bytes = match dice.below(5) {
                0 => b"\x01\x00\x00\x00\x04".to_vec(),
                1 => b"Q\x00\x00\x00\x01".to_vec(),
                2 => b"B\x00\x00\x00\x09abcde".to_vec(),
                3 => b"d\x00\x00\x00\x05x".to_vec(),
                _ => dice.bytes(40),
            };
            link.send(&bytes).await?;
            link.skip(100, Duration::from_millis(20)).await;
        }
        // A COPY that is never finished.
        9 => {
            link.send(&query("COPY work (tag, n, word) FROM STDIN")).await?;
            link.skip(100, Duration::from_millis(20)).await;
            let mut bytes = Vec::new();
            write::message(&mut bytes, b'd', |body: &mut Vec<u8>| {
                body.extend_from_slice(format!("{tag}\t{serial}\tuncommitted\n").as_bytes());
            });
            link.send(&bytes).await?;
            tokio::time::sleep(dice.pause(20)).await;
        }
        // A portal with rows left.
        10 => {
            link.run("BEGIN").await?;
            let mut bytes = Vec::new();
            write::parse(&mut bytes, b"", much.as_bytes(), [].into_iter());
            write::bind(&mut bytes, b"c", b"", &[], std::iter::empty(), &[]);
            write::execute(&mut bytes, b"c", 3);
            write::flush(&mut bytes);
            link.send(&bytes).await?;
            link.skip(500, Duration::from_millis(20)).await;
        }
        // Leaves things behind.
        _ => {
            for _ in 0..1 + dice.below(6) {
                link.ask(dice.pick(LEFT_BEHIND)).await?;
            }
            if dice.chance(20) {
                link.run("BEGIN").await?;
                link.run(&insert).await?;
            }
        }
    }
    leave(link, dice).await;
    Ok(())
}

const LEFT_BEHIND: &[&str] = &[
    "SET application_name = 'foreign'",
    "SET TimeZone = 'Australia/Sydney'; SET search_path = pg_catalog",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET default_transaction_isolation = 'serializable'",
    "SET geqo_threshold = 666",
    "SET statement_timeout = 1",
    "SELECT set_config('application_name', 'foreign', false), set_config('geqo_threshold', '667', false)",
    "SET extra_float_digits = 0; SET client_encoding = 'LATIN1'",
    "SELECT pg_advisory_lock(900001)",
    "SELECT pg_try_advisory_lock_shared(900002)",
    "CREATE TEMP TABLE mine AS SELECT 666 AS tag",
    "CREATE TEMP TABLE tagged AS SELECT 666 AS tag, 1 AS n, 'foreign' AS word",
    "PREPARE own AS SELECT 666",
    "PREPARE shared AS SELECT 'foreign'",
    "LISTEN chaos",
    "LISTEN chaos; NOTIFY chaos, 'foreign'",
    "NOTIFY chaos, 'foreign'",
    "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 666; COMMIT",
    "DO $$ BEGIN PERFORM set_config('application_name', 'foreign', false); PERFORM pg_advisory_lock(900003); END $$",
    "SELECT nextval('owned_id_seq')",
    "SET ROLE NONE; RESET ALL",
];

async fn leave(mut link: Link, dice: &mut Dice) {
    match dice.below(3) {
        0 => link.crash(),
        1 => {
            let mut bytes = Vec::new();
            write::terminate(&mut bytes);
            let _ = link.send(&bytes).await;
        }
        _ => {}
    }
}

async fn break_startup(arena: &Arena, dice: &mut Dice) -> Result<(), Ended> {
    let mut link = Link::connect(arena.mesh.addresses.postgres).await?;
    let mut bytes = Vec::new();
    match dice.below(4) {
        0 => {}
        1 => bytes = dice.bytes(60),
        2 => write::cancel_request(&mut bytes, u32::try_from(dice.below(1000)).unwrap_or(0), &dice.bytes(4)),
        _ => {
            write::startup(&mut bytes, &[("user", crate::chaos::RAW_USER), ("database", &arena.database.name)]);
            bytes.truncate(usize::try_from(dice.below(bytes.len() as u64)).unwrap_or(0));
        }
    }
    link.send(&bytes).await?;
    tokio::time::sleep(dice.pause(10)).await;
    leave(link, dice).await;
    Ok(())
}

/// A client cancels statements of its own session, early, late and too late. Only that session may notice.
async fn cancel_own(arena: &Arena, tag: u64, serial: u64, dice: &mut Dice) -> Result<(), Ended> {
    let address = arena.mesh.addresses.postgres;
    let mut victim = Link::open(address, &arena.database.name, "victim").await?;
    if dice.chance(30) {
        victim.run("BEGIN").await?;
        victim.run(&format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {serial}, 'uncommitted')")).await?;
    }
    let (process_id, key) = (victim.process_id, victim.key.clone());
    for round in 0..1 + dice.below(12) {
        let sql = match dice.below(4) {
            0 => format!("SELECT {round}, pg_sleep(0.0{}) FROM tagged WHERE tag = 1 AND n = 1", dice.below(10)),
            1 => format!("SELECT {round}, COUNT(*) FROM bulky WHERE tag = 1"),
            _ => format!("SELECT {round}, 0 FROM tagged WHERE tag = 1 AND n = 1"),
        };
        let mut bytes = Vec::new();
        if dice.chance(50) {
            bytes = query(&sql);
        } else {
            write::parse(&mut bytes, b"", sql.as_bytes(), [].into_iter());
            execute(&mut bytes, "", &[]);
            write::sync(&mut bytes);
        }
        victim.send(&bytes).await?;
        tokio::time::sleep(dice.pause(4)).await;
        cancel(address, process_id, &key, dice.chance(50)).await?;
        let answer = victim.answer().await?;
        check_cancelled(arena, &sql, round, &answer);
        if answer.status != 'I' && answer.status != 'T' {
            break;
        }
        if dice.chance(20) {
            cancel(address, process_id, &key, false).await?;
        }
    }
    if dice.chance(30) {
        victim.send(&query("SELECT pg_sleep(0.01)")).await?;
        cancel(address, process_id, &key, false).await?;
    }
    leave(victim, dice).await;
    cancel(address, process_id, &key, false).await?;
    cancel(address, process_id, b"\0\0\0\0", false).await?;
    Ok(())
}

fn check_cancelled(arena: &Arena, sql: &str, round: u64, answer: &Answer) {
    let value = |rows: &Vec<Row>| rows.first().and_then(|row| row.first().cloned().flatten());
    match &answer.failed {
        None if answer.parts.len() == 1 && answer.parts.first().and_then(value) == Some(round.to_string()) => {
            arena.tally.answer(1);
        }
        Some((state, _)) if state == "57014" || state == "25P02" => arena.tally.answer(0),
        Some(_) if arena.storm => arena.tally.lost(),
        _ => arena.tally.wrong(Wrong::Order, format!("{sql} of a session that is cancelled: {answer:?}")),
    }
}
