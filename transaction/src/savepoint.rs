//! What a shard that joins late has to be told: open savepoints, changed characteristics and local settings, in their order.
//! In: the rules of names (MySQL replaces a savepoint of the same name, PostgreSQL shadows it). Out: sending.

use std::sync::Arc;

use crate::options::{Dialect, Options};

/// The name of a savepoint, unquoted: as the lexer folded it (PostgreSQL), as it was written (MySQL).
pub type SavepointName = Arc<str>;

/// One thing to repeat on a shard that joins late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// An open savepoint.
    Savepoint(SavepointName),
    /// SET TRANSACTION after the transaction had begun.
    Options(Options),
    /// A setting that ends with the transaction, as SQL text (SET LOCAL).
    Setting(Arc<str>),
}

#[derive(Clone, Debug)]
struct Entry {
    replay: Replay,
    /// The transaction's clock when it was made.
    at: u64,
}

/// The list of things to repeat, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replays {
    entries: Vec<Entry>,
}

impl Replays {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn list(&self) -> Vec<Replay> {
        self.entries.iter().map(|entry| entry.replay.clone()).collect()
    }

    pub(crate) fn contains(&self, name: &str, dialect: Dialect) -> bool {
        self.find(name, dialect).is_some()
    }

    pub(crate) fn push(&mut self, replay: Replay, at: u64) {
        self.entries.push(Entry { replay, at });
    }

    /// A new savepoint: MySQL deletes the old one of that name, PostgreSQL keeps it below.
    pub(crate) fn savepoint(&mut self, name: SavepointName, at: u64, dialect: Dialect) {
        if dialect == Dialect::MySql
            && let Some(index) = self.find(&name, dialect)
        {
            self.entries.remove(index);
        }
        self.push(Replay::Savepoint(name), at);
    }

    /// Forgets what came after the savepoint, which stays; says when it was made.
    pub(crate) fn rollback_to(&mut self, name: &str, dialect: Dialect) -> Option<u64> {
        let index = self.find(name, dialect)?;
        self.entries.truncate(index + 1);
        self.entries.get(index).map(|entry| entry.at)
    }

    /// Forgets the savepoint and the later ones; settings made since then stay.
    pub(crate) fn release(&mut self, name: &str, dialect: Dialect) {
        if let Some(index) = self.find(name, dialect) {
            let mut place = 0;
            self.entries.retain(|entry| {
                place += 1;
                place <= index || !matches!(entry.replay, Replay::Savepoint(_))
            });
        }
    }

    fn find(&self, name: &str, dialect: Dialect) -> Option<usize> {
        self.entries.iter().rposition(|entry| match &entry.replay {
            Replay::Savepoint(other) => same_name(other, name, dialect),
            Replay::Options(_) | Replay::Setting(_) => false,
        })
    }
}

fn same_name(one: &str, other: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => one == other,
        Dialect::MySql => one == other || one.to_lowercase() == other.to_lowercase(),
    }
}
