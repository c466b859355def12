//! A session that behaves and looks closely: everything it gets must be its own.
//! Out: misbehaviour (`rude`).

use std::sync::Arc;

use protocol::postgres::write;

use super::wire::{Answer, Ended, Link, Row, execute, query};
use crate::chaos::arena::{Arena, PADS, ROWS, pad, word};
use crate::chaos::dice::Dice;
use crate::chaos::tally::Wrong;

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Asia/Tokyo", "America/Lima"];
const PATHS: [&str; 3] = ["s0, public", "s1, public", "s2, public"];

/// Errors that a session may get while its server is down: shard down or lost, transaction lost, outcome unknown, a
/// pool that fills no more, and the server's own farewells.
const LOST: [&str; 11] =
    ["58000", "58030", "40000", "08007", "40003", "53300", "57P01", "57P02", "57P03", "25P02", "08006"];

/// Works until the arena closes.
pub async fn session(arena: Arc<Arena>, tag: u64, mut dice: Dice) {
    let mut serial = 0;
    while arena.is_open() {
        match Honest::open(&arena, tag, &mut dice, &mut serial).await {
            Ok(mut session) => {
                let ended = session.work(&mut dice).await;
                if let Err(ended) = ended {
                    complain(&arena, tag, &ended);
                }
            }
            Err(ended) => complain(&arena, tag, &ended),
        }
    }
}

fn complain(arena: &Arena, tag: u64, ended: &Ended) {
    let (allowed, words) = match ended {
        Ended::Broken(error) => (true, error.to_string()),
        Ended::Told { state, text, sql } => (LOST.contains(&state.as_str()), format!("{state} {text}, from {sql}")),
    };
    if arena.storm && allowed {
        arena.tally.lost();
        return;
    }
    arena.tally.wrong(Wrong::Error, format!("session {tag}: {words}"));
}

struct Honest<'a> {
    arena: &'a Arena,
    tag: u64,
    link: Link,
    /// Numbers of rows that this tag has never used before.
    serial: &'a mut u64,
    mark: String,
    zone: &'static str,
    path: &'static str,
    threshold: u64,
}

impl<'a> Honest<'a> {
    async fn open(arena: &'a Arena, tag: u64, dice: &mut Dice, serial: &'a mut u64) -> Result<Self, Ended> {
        let mark = format!("start {tag}");
        let link = Link::open(arena.mesh.addresses.postgres, &arena.database.name, &mark).await?;
        let mut session = Self { arena, tag, link, serial, mark, zone: "", path: "", threshold: 0 };
        let rows = session.link.rows("SHOW application_name").await?;
        session.same(Wrong::Setting, "startup", &rows, &vec![texts(&[&session.mark])]);
        session.equip(dice).await?;
        Ok(session)
    }

    /// Sets and prepares what a fresh session lacks. All sessions give their statements the same names.
    async fn equip(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        self.set(dice).await?;
        let tag = self.tag;
        let own = format!("SELECT tag, n, word, {tag}::bigint FROM tagged WHERE tag = $1 AND n >= $2 ORDER BY n");
        let shared = "SELECT tag, n, word FROM tagged WHERE tag = $1 AND n < $2 ORDER BY n";
        let mut bytes = Vec::new();
        write::parse(&mut bytes, b"own", own.as_bytes(), [].into_iter());
        write::parse(&mut bytes, b"shared", shared.as_bytes(), [].into_iter());
        write::sync(&mut bytes);
        self.link.send(&bytes).await?;
        self.link.answer().await?.ok("Parse")?;
        Ok(())
    }

    async fn work(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        for _ in 0..20 + dice.below(200) {
            if !self.arena.is_open() {
                break;
            }
            match dice.below(18) {
                0 | 1 => self.select(dice).await?,
                2..=4 => self.pipeline(dice).await?,
                5 | 6 => self.settings().await?,
                7 => self.set(dice).await?,
                // Of a sharded table only the client knows which ids are free.
                8 if !self.arena.is_sharded() => self.insert().await?,
                9 => self.local(dice).await?,
                10 | 11 => self.transaction(dice).await?,
                12 => self.large(dice).await?,
                13 => self.portal().await?,
                14 => self.mistake().await?,
                15 if dice.chance(30) => self.pinned(dice).await?,
                16 if dice.chance(30) => self.everybody(dice).await?,
                17 => self.broken_pipeline().await?,
                _ => tokio::time::sleep(dice.pause(5)).await,
            }
        }
        let mut bytes = Vec::new();
        write::terminate(&mut bytes);
        self.link.send(&bytes).await?;
        Ok(())
    }

    fn same<T: PartialEq + std::fmt::Debug>(&self, what: Wrong, about: &str, got: &T, expected: &T) {
        self.arena.tally.same(what, &format!("session {} {about}", self.tag), got, expected);
    }

    fn seeded(&self, from: u64, to: u64, extra: bool) -> Vec<Row> {
        let row = |n: u64| {
            let mut row = texts(&[&self.tag.to_string(), &n.to_string(), &word(self.tag, n)]);
            row.extend(extra.then(|| Some(self.tag.to_string())));
            row
        };
        (from..to).map(row).collect()
    }

    fn check(&self, about: &str, got: &[Row], expected: &[Row]) {
        self.arena.tally.answer(got.len());
        if got != expected {
            let first = got.iter().zip(expected).find(|(got, expected)| got != expected);
            let words = format!(
                "session {} {about}: {} rows instead of {}, first difference {first:?}",
                self.tag,
                got.len(),
                expected.len()
            );
            self.arena.tally.wrong(Wrong::Row, words);
        }
    }

    async fn select(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (tag, to) = (self.tag, dice.below(ROWS + 1));
        let sql = format!("SELECT tag, n, word FROM tagged WHERE tag = {tag} AND n < {to} ORDER BY n");
        let rows = self.link.rows(&sql).await?;
        self.check("selects", &rows, &self.seeded(0, to, false));
        Ok(())
    }

    /// Several executions before one Sync, or each with its own, on the way before the first answer is read.
    async fn pipeline(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let each = dice.chance(50);
        let runs: Vec<(bool, u64)> = (0..1 + dice.below(6)).map(|_| (dice.chance(50), dice.below(ROWS))).collect();
        let mut bytes = Vec::new();
        for (own, at) in &runs {
            execute(&mut bytes, if *own { "own" } else { "shared" }, &[self.tag, *at]);
            if each {
                write::sync(&mut bytes);
            }
        }
        if !each {
            write::sync(&mut bytes);
        }
        self.link.send(&bytes).await?;
        let mut parts = Vec::new();
        for _ in 0..if each { runs.len() } else { 1 } {
            parts.extend(self.link.answer().await?.ok("a pipeline")?.parts);
        }
        self.same(Wrong::Order, "pipelines", &parts.len(), &runs.len());
        for (rows, (own, at)) in parts.iter().zip(runs) {
            let expected = if own { self.seeded(at, ROWS, true) } else { self.seeded(0, at, false) };
            self.check("executes", rows, &expected);
        }
        Ok(())
    }

    /// What follows an error is skipped up to the Sync, and nothing behind it.
    async fn broken_pipeline(&mut self) -> Result<(), Ended> {
        let tag = self.tag;
        let mut bytes = Vec::new();
        execute(&mut bytes, "own", &[tag, ROWS - 1]);
        write::parse(&mut bytes, b"", format!("SELECT nothing_{tag}").as_bytes(), [].into_iter());
        execute(&mut bytes, "own", &[tag, 0]);
        write::sync(&mut bytes);
        execute(&mut bytes, "shared", &[tag, 1]);
        write::sync(&mut bytes);
        self.link.send(&bytes).await?;
        let first = self.link.answer().await?;
        self.is_own_mistake(&first)?;
        self.same(Wrong::Order, "breaks a pipeline", &first.parts, &vec![self.seeded(ROWS - 1, ROWS, true)]);
        let second = self.link.answer().await?.ok("behind a broken pipeline")?;
        self.same(Wrong::Order, "goes on after it", &second.parts, &vec![self.seeded(0, 1, false)]);
        Ok(())
    }

    async fn set(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        self.mark = format!("mark {} {}", self.tag, dice.below(1000));
        (self.zone, self.path) = (dice.pick(&ZONES), dice.pick(&PATHS));
        self.threshold = 1000 * self.tag + dice.below(1000) + 2;
        let (mark, zone, path, threshold) = (&self.mark, self.zone, self.path, self.threshold);
        self.link.run(&format!("SET application_name = '{mark}'")).await?;
        self.link.run(&format!("SET TimeZone = '{zone}'; SET geqo_threshold = {threshold}")).await?;
        self.link.run(&format!("SET search_path = {path}")).await?;
        Ok(())
    }

    async fn settings(&mut self) -> Result<(), Ended> {
        let rows = self
            .link
            .rows(
                "SELECT current_setting('application_name'), current_setting('TimeZone'), \
                 current_setting('geqo_threshold'), current_setting('search_path'), current_schema(), \
                 current_setting('statement_timeout')",
            )
            .await?;
        self.arena.tally.answer(rows.len());
        let schema = &self.path[..2];
        let expected = texts(&[&self.mark, self.zone, &self.threshold.to_string(), self.path, schema, "0"]);
        self.same(Wrong::Setting, "settings", &rows, &vec![expected]);
        Ok(())
    }

    /// What is set in a transaction ends with it, or with its rollback.
    async fn local(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (how, end) = dice.pick(&[("SET LOCAL", "COMMIT"), ("SET LOCAL", "ROLLBACK"), ("SET", "ROLLBACK")]);
        self.link.run("BEGIN").await?;
        self.link.run(&format!("{how} application_name = 'local {}'", self.tag)).await?;
        let rows = self.link.rows("SHOW application_name").await?;
        self.same(Wrong::Setting, "sets", &rows, &vec![texts(&[&format!("local {}", self.tag)])]);
        self.link.run(end).await?;
        self.settings().await
    }

    async fn insert(&mut self) -> Result<(), Ended> {
        let (tag, mark) = (self.tag, self.mark.clone());
        let sql = format!("INSERT INTO owned (tag, word) VALUES ({tag}, '{mark}') RETURNING tag, word, id");
        let rows = self.link.rows(&sql).await?;
        let id = rows.first().and_then(|row| row.get(2).cloned().flatten()).unwrap_or_default();
        self.check("inserts", &rows, &[texts(&[&tag.to_string(), &mark, &id])]);
        let rows = self.link.rows(&format!("SELECT tag, word FROM owned WHERE tag = {tag} AND id = {id}")).await?;
        self.check("reads what it inserted", &rows, &[texts(&[&tag.to_string(), &mark])]);
        Ok(())
    }

    async fn transaction(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (tag, kept) = (self.tag, dice.chance(60));
        let first = *self.serial;
        *self.serial += 3;
        self.link.run(dice.pick(&["BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ"])).await?;
        for n in first..first + 3 {
            self.link.run(&format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {n}, 'work {tag} {n}')")).await?;
            if dice.chance(20) {
                tokio::time::sleep(dice.pause(10)).await;
            }
        }
        let sql = format!("SELECT tag, n, word FROM work WHERE tag = {tag} AND n >= {first} ORDER BY n");
        let own = |n: u64| texts(&[&tag.to_string(), &n.to_string(), &format!("work {tag} {n}")]);
        let expected: Vec<Row> = (first..first + 3).map(own).collect();
        let answer = self.link.run(&sql).await?;
        self.same(Wrong::Order, "is in a transaction", &answer.status, &'T');
        self.check("reads in its transaction", &answer.only(&sql)?, &expected);
        let failed = dice.chance(20);
        if failed {
            self.mistake().await?;
            let answer = self.link.ask(&sql).await?;
            let state = answer.failed.map(|(state, _)| state);
            self.same(
                Wrong::Order,
                "is in a failed transaction",
                &(state.as_deref(), answer.status),
                &(Some("25P02"), 'E'),
            );
        }
        let answer = self.link.run(if kept { "COMMIT" } else { "ROLLBACK" }).await?;
        let kept = kept && !failed;
        let tag_of_end = if kept { "COMMIT" } else { "ROLLBACK" }.to_owned();
        self.same(Wrong::Order, "ends its transaction", &(answer.tags, answer.status), &(vec![tag_of_end], 'I'));
        let rows = self.link.rows(&sql).await?;
        self.check("reads after its transaction", &rows, if kept { &expected } else { &[] });
        Ok(())
    }

    async fn large(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let tag = self.tag;
        let own = |n: u64| texts(&[&tag.to_string(), &n.to_string(), &pad(tag, n)]);
        let expected: Vec<Row> = (0..PADS).map(own).collect();
        let select = format!("SELECT tag, n, pad FROM bulky WHERE tag = {tag} ORDER BY n");
        let copy = !self.arena.is_sharded() && dice.chance(40);
        let sql = if copy { format!("COPY ({select}) TO STDOUT") } else { select };
        self.link.send(&query(&sql)).await?;
        // The answer fills the buffers on its way before the first byte of it is read.
        tokio::time::sleep(dice.pause(20)).await;
        let answer = self.link.answer().await?.ok(&sql)?;
        let rows = if copy {
            let line = |line: &str| line.split('\t').map(|text| Some(text.to_owned())).collect();
            String::from_utf8_lossy(&answer.copied).lines().map(line).collect()
        } else {
            answer.only(&sql)?
        };
        self.check("reads much", &rows, &expected);
        Ok(())
    }

    /// A portal that gives its rows piece by piece, in a transaction.
    async fn portal(&mut self) -> Result<(), Ended> {
        let tag = self.tag;
        self.link.run("BEGIN").await?;
        let mut bytes = Vec::new();
        let texts = [tag.to_string(), "0".to_owned()];
        write::bind(&mut bytes, b"c", b"own", &[], texts.iter().map(|text| Some(text.as_bytes())), &[]);
        write::execute(&mut bytes, b"c", 7);
        write::sync(&mut bytes);
        write::execute(&mut bytes, b"c", 5);
        write::sync(&mut bytes);
        self.link.send(&bytes).await?;
        for (from, to) in [(0, 7), (7, 12)] {
            let answer = self.link.answer().await?.ok("a portal")?;
            self.same(Wrong::Order, "portal", &answer.tags, &vec!["suspended".to_owned()]);
            self.check("reads a portal", &answer.only("a portal")?, &self.seeded(from, to, true));
        }
        self.link.run("COMMIT").await?;
        Ok(())
    }

    /// An error must be this session's own.
    async fn mistake(&mut self) -> Result<(), Ended> {
        let answer = self.link.ask(&format!("SELECT nothing_{0} FROM tagged WHERE tag = {0}", self.tag)).await?;
        self.arena.tally.answer(0);
        self.is_own_mistake(&answer)
    }

    fn is_own_mistake(&self, answer: &Answer) -> Result<(), Ended> {
        match answer.failed.clone() {
            Some((state, text)) if state == "42703" && text.contains(&format!("\"nothing_{}\"", self.tag)) => Ok(()),
            Some((state, text)) => Err(Ended::Told { state, text, sql: "a mistake".to_owned() }),
            None => {
                self.same(Wrong::Order, "makes a mistake", &answer.tags, &vec!["an error".to_owned()]);
                Ok(())
            }
        }
    }

    /// State that only one backend has, then a fresh session on the same connection.
    async fn pinned(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let tag = self.tag;
        self.link.run(&format!("SELECT pg_advisory_lock({tag})")).await?;
        if !self.arena.is_sharded() {
            self.link.run("CREATE TEMP TABLE mine (tag BIGINT)").await?;
            self.link.run(&format!("INSERT INTO mine VALUES ({tag})")).await?;
            let rows = self.link.rows("SELECT tag FROM mine").await?;
            self.check("reads its temporary table", &rows, &[texts(&[&tag.to_string()])]);
            self.link.run(&format!("INSERT INTO owned (tag, word) VALUES ({tag}, 'last')")).await?;
            let sql = "SELECT tag, word FROM owned WHERE id = lastval()";
            let rows = self.link.rows(sql).await?;
            self.check("reads by lastval", &rows, &[texts(&[&tag.to_string(), "last"])]);
        }
        let rows = self.link.rows(&format!("SELECT pg_advisory_unlock({tag})")).await?;
        self.same(Wrong::Setting, "unlocks", &rows, &vec![texts(&["t"])]);
        self.link.run("DISCARD ALL").await?;
        let rows = self.link.rows("SHOW application_name").await?;
        self.same(Wrong::Setting, "is as at its start", &rows, &vec![texts(&[&format!("start {tag}")])]);
        self.equip(dice).await
    }

    /// One row of every session, from all shards.
    async fn everybody(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let n = dice.below(ROWS);
        let rows = self.link.rows(&format!("SELECT tag, n, word FROM tagged WHERE n = {n} ORDER BY tag")).await?;
        let of = |tag: u64| texts(&[&tag.to_string(), &n.to_string(), &word(tag, n)]);
        self.check("reads everybody's", &rows, &(1..=self.arena.tags).map(of).collect::<Vec<_>>());
        Ok(())
    }
}

fn texts(values: &[&str]) -> Row {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}
