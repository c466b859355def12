//! A session that behaves and looks closely: everything it gets must be its own.
//! Out: misbehaviour (`rude`).

use std::sync::Arc;

use super::wire::{self, Answer, Ended, Link, Row, command, execute, query};
use crate::chaos::arena::{Arena, PADS, ROWS, pad, word};
use crate::chaos::dice::Dice;
use crate::chaos::tally::Wrong;

/// Offsets that a server reads back as they were set.
const ZONES: [&str; 4] = ["+00:00", "+01:00", "+02:00", "-03:00"];
const MODES: [&str; 3] = ["STRICT_TRANS_TABLES", "ANSI_QUOTES,STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES"];

/// Errors that a session may get while its server is down: shard down or lost, transaction lost, outcome unknown, a pool
/// that fills no more. Never that its statement was killed: nobody killed it.
const LOST: [u16; 5] = [1429, 1430, 1402, 1401, 1226];

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
        Ended::Told { code, text, sql } => (LOST.contains(code), format!("{code} {text}, from {sql}")),
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
    concat: u64,
    zone: &'static str,
    mode: &'static str,
    mark: String,
    /// Statements prepared: with a constant of this session in its text, and with the text that all have.
    own: u32,
    shared: u32,
    insert_id: u64,
}

impl<'a> Honest<'a> {
    async fn open(arena: &'a Arena, tag: u64, dice: &mut Dice, serial: &'a mut u64) -> Result<Self, Ended> {
        let address = arena.mesh.addresses.mysql;
        let link = Link::open(address, &arena.database.name, dice.chance(50)).await?;
        let mark = String::new();
        let mut session =
            Self { arena, tag, link, serial, concat: 0, zone: "", mode: "", mark, own: 0, shared: 0, insert_id: 0 };
        session.equip(dice).await?;
        Ok(session)
    }

    /// Sets and prepares what a fresh session lacks.
    async fn equip(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        self.insert_id = 0;
        self.set(dice).await
    }

    /// The mode belongs to a statement from its PREPARE on, so that a new mode needs new statements.
    async fn prepare_statements(&mut self) -> Result<(), Ended> {
        let tag = self.tag;
        let own = format!("SELECT tag, n, word, {tag} AS mine FROM tagged WHERE tag = ? AND n >= ? ORDER BY n");
        self.own = self.link.prepare_statement(&own).await?;
        let shared = "SELECT tag, n, word FROM tagged WHERE tag = ? AND n < ? ORDER BY n";
        self.shared = self.link.prepare_statement(shared).await?;
        Ok(())
    }

    async fn work(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        for _ in 0..20 + dice.below(200) {
            if !self.arena.is_open() {
                break;
            }
            match dice.below(18) {
                0 | 1 => self.select(dice).await?,
                2..=4 => self.execute(dice).await?,
                5 | 6 => self.settings().await?,
                7 => self.set(dice).await?,
                // Of a sharded table only the client knows which ids are free.
                8 if !self.arena.is_sharded() => self.insert().await?,
                9 => self.inserted().await?,
                10 | 11 => self.transaction(dice).await?,
                12 => self.large(dice).await?,
                13 => self.pipeline(dice).await?,
                14 => self.mistake().await?,
                15 if dice.chance(30) => self.temporary(dice).await?,
                16 if dice.chance(30) => self.everybody(dice).await?,
                17 => self.several().await?,
                _ => tokio::time::sleep(dice.pause(5)).await,
            }
        }
        self.link.send(&command(wire::QUIT, b"")).await?;
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

    async fn execute(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (at, own) = (dice.below(ROWS), dice.chance(50));
        let statement = if own { self.own } else { self.shared };
        self.link.send(&execute(statement, &[self.tag, at])).await?;
        match self.link.binary_answer().await? {
            Answer::Rows(rows) if own => self.check("executes its own", &rows, &self.seeded(at, ROWS, true)),
            Answer::Rows(rows) => self.check("executes", &rows, &self.seeded(0, at, false)),
            Answer::Failed { code, text } => {
                return Err(Ended::Told { code, text, sql: "COM_STMT_EXECUTE".to_owned() });
            }
            other @ Answer::Done { .. } => self.same(Wrong::Order, "executes", &other, &Answer::Rows(Vec::new())),
        }
        Ok(())
    }

    async fn set(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        self.concat = 10_000 * self.tag + dice.below(1000) + 1000;
        (self.zone, self.mode) = (dice.pick(&ZONES), dice.pick(&MODES));
        self.mark = format!("mark {} {}", self.tag, dice.below(1000));
        let (concat, zone, mode, mark) = (self.concat, self.zone, self.mode, self.mark.clone());
        self.link.run(&format!("SET SESSION group_concat_max_len = {concat}")).await?;
        self.link.run(&format!("SET time_zone = '{zone}', sql_mode = '{mode}'")).await?;
        self.link.run(&format!("SET @mark = '{mark}'")).await?;
        for statement in [self.own, self.shared] {
            // Of no session since a reset, or never: that is not answered either way.
            self.link.send(&command(wire::STMT_CLOSE, &statement.to_le_bytes())).await?;
        }
        self.prepare_statements().await
    }

    async fn settings(&mut self) -> Result<(), Ended> {
        let rows = self.link.rows("SELECT @@group_concat_max_len, @@time_zone, @@sql_mode, @mark, @tag").await?;
        let mut expected = texts(&[&self.concat.to_string(), self.zone, self.mode, &self.mark]);
        expected.push(None);
        self.arena.tally.answer(rows.len());
        self.same(Wrong::Setting, "settings", &rows, &vec![expected]);
        Ok(())
    }

    async fn insert(&mut self) -> Result<(), Ended> {
        let (tag, mark) = (self.tag, self.mark.clone());
        let answer = self.link.run(&format!("INSERT INTO owned (tag, word) VALUES ({tag}, '{mark}')")).await?;
        let Answer::Done { affected: 1, insert_id } = answer else {
            self.same(Wrong::Order, "inserts", &answer, &Answer::Done { affected: 1, insert_id: 0 });
            return Ok(());
        };
        self.insert_id = insert_id;
        let rows =
            self.link.rows(&format!("SELECT tag, word FROM owned WHERE tag = {tag} AND id = {insert_id}")).await?;
        self.check("reads what it inserted", &rows, &[texts(&[&tag.to_string(), &mark])]);
        Ok(())
    }

    async fn inserted(&mut self) -> Result<(), Ended> {
        let rows = self.link.rows("SELECT LAST_INSERT_ID()").await?;
        self.arena.tally.answer(rows.len());
        self.same(Wrong::Setting, "LAST_INSERT_ID()", &rows, &vec![texts(&[&self.insert_id.to_string()])]);
        Ok(())
    }

    async fn transaction(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (tag, kept) = (self.tag, dice.chance(60));
        let first = *self.serial;
        *self.serial += 3;
        self.link.run(dice.pick(&["BEGIN", "START TRANSACTION", "SET autocommit = 0"])).await?;
        for n in first..first + 3 {
            self.link.run(&format!("INSERT INTO work (tag, n, word) VALUES ({tag}, {n}, 'work {tag} {n}')")).await?;
            if dice.chance(20) {
                tokio::time::sleep(dice.pause(10)).await;
            }
        }
        let sql = format!("SELECT tag, n, word FROM work WHERE tag = {tag} AND n >= {first} ORDER BY n");
        let own = |n: u64| texts(&[&tag.to_string(), &n.to_string(), &format!("work {tag} {n}")]);
        let expected: Vec<Row> = (first..first + 3).map(own).collect();
        let rows = self.link.rows(&sql).await?;
        self.check("reads in its transaction", &rows, &expected);
        if dice.chance(30) {
            self.mistake().await?;
        }
        self.link.run(if kept { "COMMIT" } else { "ROLLBACK" }).await?;
        self.link.run("SET autocommit = 1").await?;
        let rows = self.link.rows(&sql).await?;
        self.check("reads after its transaction", &rows, if kept { &expected } else { &[] });
        Ok(())
    }

    async fn large(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let tag = self.tag;
        let bytes = query(&format!("SELECT tag, n, pad FROM bulky WHERE tag = {tag} ORDER BY n"));
        self.link.send(&bytes).await?;
        // The answer fills the buffers on its way before the first byte of it is read.
        tokio::time::sleep(dice.pause(20)).await;
        match self.link.answer().await? {
            Answer::Rows(rows) => {
                let own = |n: u64| texts(&[&tag.to_string(), &n.to_string(), &pad(tag, n)]);
                self.check("reads much", &rows, &(0..PADS).map(own).collect::<Vec<_>>());
                Ok(())
            }
            Answer::Failed { code, text } => Err(Ended::Told { code, text, sql: "much".to_owned() }),
            other @ Answer::Done { .. } => {
                self.same(Wrong::Order, "reads much", &other, &Answer::Rows(Vec::new()));
                Ok(())
            }
        }
    }

    /// Several commands on the way before the first answer is read.
    async fn pipeline(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let (tag, first, count) = (self.tag, dice.below(1000), 2 + dice.below(6));
        let mut bytes = Vec::new();
        for n in first..first + count {
            bytes.extend(query(&format!("SELECT {tag}, {n}, @mark FROM tagged WHERE tag = {tag} AND n = 1")));
        }
        self.link.send(&bytes).await?;
        for n in first..first + count {
            let answer = self.link.answer().await?;
            if let Answer::Failed { code, text } = answer {
                return Err(Ended::Told { code, text, sql: "a pipeline".to_owned() });
            }
            self.arena.tally.answer(1);
            let expected = Answer::Rows(vec![texts(&[&tag.to_string(), &n.to_string(), &self.mark])]);
            self.same(Wrong::Order, "pipelines", &answer, &expected);
        }
        Ok(())
    }

    /// A text with several statements: their answers in order, and nothing behind them.
    async fn several(&mut self) -> Result<(), Ended> {
        let tag = self.tag;
        let one = |n: u64| format!("SELECT tag, n FROM tagged WHERE tag = {tag} AND n = {n}");
        self.link.send(&query(&format!("{}; {}; {}", one(1), one(2), one(3)))).await?;
        for n in 1..=3_u64 {
            let answer = self.link.answer().await?;
            if let Answer::Failed { code, text } = answer {
                return Err(Ended::Told { code, text, sql: "several statements".to_owned() });
            }
            self.arena.tally.answer(1);
            let expected = Answer::Rows(vec![texts(&[&tag.to_string(), &n.to_string()])]);
            self.same(Wrong::Order, "sends several", &answer, &expected);
            self.same(Wrong::Order, "sends several, more follows", &self.link.more(), &(n < 3));
        }
        Ok(())
    }

    /// An error must be this session's own.
    async fn mistake(&mut self) -> Result<(), Ended> {
        let tag = self.tag;
        let answer = self.link.ask(&format!("SELECT nothing_{tag} FROM tagged WHERE tag = {tag}")).await?;
        self.arena.tally.answer(0);
        match &answer {
            Answer::Failed { code: 1054, text } if text.contains(&format!("'nothing_{tag}'")) => Ok(()),
            Answer::Failed { code, text } => {
                Err(Ended::Told { code: *code, text: text.clone(), sql: "a mistake".to_owned() })
            }
            other => {
                self.same(Wrong::Order, "makes a mistake", &format!("{other:?}"), &"an error".to_owned());
                Ok(())
            }
        }
    }

    /// A temporary table and a lock of a name, then a fresh session on the same connection.
    async fn temporary(&mut self, dice: &mut Dice) -> Result<(), Ended> {
        let tag = self.tag;
        let rows = self.link.rows(&format!("SELECT GET_LOCK('lock {tag}', 10)")).await?;
        self.same(Wrong::Setting, "locks", &rows, &vec![texts(&["1"])]);
        if !self.arena.is_sharded() {
            self.link.run("CREATE TEMPORARY TABLE mine (tag BIGINT)").await?;
            self.link.run(&format!("INSERT INTO mine VALUES ({tag})")).await?;
            let rows = self.link.rows("SELECT tag FROM mine").await?;
            self.check("reads its temporary table", &rows, &[texts(&[&tag.to_string()])]);
        }
        self.link.send(&command(wire::RESET_CONNECTION, b"")).await?;
        if let Answer::Failed { code, text } = self.link.answer().await? {
            return Err(Ended::Told { code, text, sql: "COM_RESET_CONNECTION".to_owned() });
        }
        let rows = self.link.rows("SELECT @mark, @@autocommit").await?;
        self.same(Wrong::Setting, "is fresh", &rows, &vec![vec![None, Some("1".to_owned())]]);
        let rows = self.link.rows(&format!("SELECT IS_FREE_LOCK('lock {tag}')")).await?;
        self.same(Wrong::Setting, "has no lock", &rows, &vec![texts(&["1"])]);
        // Looking for the lock pinned the session again.
        self.link.send(&command(wire::RESET_CONNECTION, b"")).await?;
        self.link.answer().await?;
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
