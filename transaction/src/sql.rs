//! Commands as SQL text of either dialect.
//! In: rendering and quoting. Out: sending; whether several statements go in one message is the driver's choice.

use std::borrow::Cow;

use crate::command::Command;
use crate::options::{Dialect, Isolation, Options};
use crate::savepoint::Replay;

/// The statements of `command`, in order; each must succeed before the next may run.
#[must_use]
pub fn statements(command: &Command, dialect: Dialect) -> Vec<Cow<'static, str>> {
    match command {
        Command::Begin { options, replays } => {
            let mut list = begin(*options, dialect);
            list.extend(replays.iter().flat_map(|replay| match replay {
                Replay::Savepoint(name) => vec![savepoint("SAVEPOINT ", name, dialect)],
                Replay::Options(options) => characteristics(*options, dialect),
                Replay::Setting(sql) => vec![Cow::Owned(sql.to_string())],
            }));
            list
        }
        Command::Characteristics(options) => characteristics(*options, dialect),
        Command::Savepoint(name) => vec![savepoint("SAVEPOINT ", name, dialect)],
        Command::RollbackTo(name) => vec![savepoint("ROLLBACK TO SAVEPOINT ", name, dialect)],
        Command::Release(name) => vec![savepoint("RELEASE SAVEPOINT ", name, dialect)],
        Command::Commit => vec![Cow::Borrowed("COMMIT")],
        Command::Rollback => vec![Cow::Borrowed("ROLLBACK")],
    }
}

/// The statements of `command` as one text, which a server stops at the first error.
#[must_use]
pub fn text(command: &Command, dialect: Dialect) -> Cow<'static, str> {
    let mut list = statements(command, dialect);
    match list.len() {
        1 => list.remove(0),
        _ => Cow::Owned(list.join("; ")),
    }
}

fn begin(options: Options, dialect: Dialect) -> Vec<Cow<'static, str>> {
    match dialect {
        _ if options.is_default() => vec![Cow::Borrowed("BEGIN")],
        Dialect::Postgres => vec![Cow::Owned(format!("BEGIN {}", modes(options, " ")))],
        Dialect::MySql => {
            let mut list = Vec::with_capacity(2);
            if let Some(isolation) = options.isolation {
                list.push(Cow::Owned(format!("SET TRANSACTION ISOLATION LEVEL {}", level(isolation))));
            }
            let mut words = Vec::with_capacity(2);
            if options.consistent_snapshot {
                words.push("WITH CONSISTENT SNAPSHOT");
            }
            if let Some(read_only) = options.read_only {
                words.push(access(read_only));
            }
            if words.is_empty() {
                list.push(Cow::Borrowed("BEGIN"));
            } else {
                list.push(Cow::Owned(format!("START TRANSACTION {}", words.join(", "))));
            }
            list
        }
    }
}

fn characteristics(options: Options, dialect: Dialect) -> Vec<Cow<'static, str>> {
    // PostgreSQL takes the modes with or without commas, MySQL wants them.
    let options = Options { consistent_snapshot: false, ..options };
    let options = if dialect == Dialect::MySql { Options { deferrable: None, ..options } } else { options };
    if options.is_default() {
        return Vec::new();
    }
    vec![Cow::Owned(format!("SET TRANSACTION {}", modes(options, ", ")))]
}

fn modes(options: Options, separator: &str) -> String {
    let mut list = Vec::with_capacity(3);
    if let Some(isolation) = options.isolation {
        list.push(format!("ISOLATION LEVEL {}", level(isolation)));
    }
    if let Some(read_only) = options.read_only {
        list.push(access(read_only).to_owned());
    }
    if let Some(deferrable) = options.deferrable {
        list.push(if deferrable { "DEFERRABLE" } else { "NOT DEFERRABLE" }.to_owned());
    }
    list.join(separator)
}

const fn access(read_only: bool) -> &'static str {
    if read_only { "READ ONLY" } else { "READ WRITE" }
}

const fn level(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "READ UNCOMMITTED",
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE READ",
        Isolation::Serializable => "SERIALIZABLE",
    }
}

fn savepoint(verb: &str, name: &str, dialect: Dialect) -> Cow<'static, str> {
    let quote = if dialect == Dialect::MySql { '`' } else { '"' };
    let mut text = String::with_capacity(verb.len() + name.len() + 2);
    text.push_str(verb);
    text.push(quote);
    for letter in name.chars() {
        if letter == quote {
            text.push(quote);
        }
        text.push(letter);
    }
    text.push(quote);
    Cow::Owned(text)
}
