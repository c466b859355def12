//! BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION, XA and the two phases of PostgreSQL.

use super::reader::Reader;
use super::{Completion, Isolation, Scope, TransactionModes, Verb, Xa};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Verb> {
    let mysql = reader.mysql();
    if reader.eat(&["begin"]) {
        if !reader.eat(&["work"]) && !mysql {
            reader.eat(&["transaction"]);
        }
        return if mysql { reader.finish(Verb::Begin(TransactionModes::default())) } else { begin(reader) };
    }
    if reader.eat(&["start", "transaction"]) {
        return begin(reader);
    }
    if reader.eat(&["commit"]) || (!mysql && reader.eat(&["end"])) {
        if !mysql && reader.eat(&["prepared"]) {
            let gid = reader.string()?;
            return reader.finish(Verb::CommitPrepared(gid));
        }
        work(reader);
        return completion(reader).map(Verb::Commit);
    }
    if reader.eat(&["rollback"]) {
        return rollback(reader);
    }
    if !mysql && reader.eat(&["abort"]) {
        work(reader);
        return completion(reader).map(Verb::Rollback);
    }
    if reader.eat(&["savepoint"]) {
        let name = reader.name()?;
        return reader.finish(Verb::Savepoint(name));
    }
    if reader.eat(&["release"]) {
        let place = reader.place();
        let word = reader.eat(&["savepoint"]);
        if !word && mysql {
            return None;
        }
        if word && !mysql && reader.at_end() {
            reader.go_to(place);
        }
        let name = reader.name()?;
        return reader.finish(Verb::Release(name));
    }
    if !mysql && reader.eat(&["prepare", "transaction"]) {
        let gid = reader.string()?;
        return reader.finish(Verb::PrepareTransaction(gid));
    }
    if mysql && reader.eat(&["xa"]) {
        return xa(reader);
    }
    if reader.eat(&["set"]) {
        return set_transaction(reader);
    }
    None
}

fn work(reader: &mut Reader<'_>) {
    if !reader.eat(&["work"]) && !reader.mysql() {
        reader.eat(&["transaction"]);
    }
}

fn begin(reader: &mut Reader<'_>) -> Option<Verb> {
    let modes = modes(reader, true)?;
    reader.finish(Verb::Begin(modes))
}

fn rollback(reader: &mut Reader<'_>) -> Option<Verb> {
    if !reader.mysql() && reader.eat(&["prepared"]) {
        let gid = reader.string()?;
        return reader.finish(Verb::RollbackPrepared(gid));
    }
    work(reader);
    if !reader.eat(&["to"]) {
        return completion(reader).map(Verb::Rollback);
    }
    let place = reader.place();
    if reader.eat(&["savepoint"]) && reader.at_end() {
        reader.go_to(place);
    }
    let name = reader.name()?;
    reader.finish(Verb::RollbackTo(name))
}

fn completion(reader: &mut Reader<'_>) -> Option<Completion> {
    let mut completion = Completion::default();
    if reader.eat(&["and"]) {
        completion.chain = Some(!reader.eat(&["no"]));
        if !reader.eat(&["chain"]) {
            return None;
        }
    }
    if reader.mysql() && !reader.at_end() {
        completion.release = Some(!reader.eat(&["no"]));
        if !reader.eat(&["release"]) || (completion.chain == Some(true) && completion.release == Some(true)) {
            return None;
        }
    }
    reader.finish(completion)
}

/// A list of modes: with commas in MySQL, with or without in PostgreSQL. What is given twice is for the server to judge.
fn modes(reader: &mut Reader<'_>, begins: bool) -> Option<TransactionModes> {
    let mut modes = TransactionModes::default();
    let mysql = reader.mysql();
    let mut first = true;
    while !reader.at_end() {
        if !first && !reader.eat_mark(b",") && mysql {
            return None;
        }
        first = false;
        let twice = if reader.eat(&["read"]) {
            let only = reader.eat(&["only"]);
            if !only && !reader.eat(&["write"]) {
                return None;
            }
            modes.read_only.replace(only).is_some()
        } else if (!mysql || !begins) && reader.eat(&["isolation", "level"]) {
            modes.isolation.replace(isolation(reader)?).is_some()
        } else if mysql && begins && reader.eat(&["with", "consistent", "snapshot"]) {
            std::mem::replace(&mut modes.consistent_snapshot, true)
        } else if !mysql && reader.eat(&["deferrable"]) {
            modes.deferrable.replace(true).is_some()
        } else if !mysql && reader.eat(&["not", "deferrable"]) {
            modes.deferrable.replace(false).is_some()
        } else {
            return None;
        };
        if twice {
            return None;
        }
    }
    Some(modes)
}

fn isolation(reader: &mut Reader<'_>) -> Option<Isolation> {
    if reader.eat(&["read", "uncommitted"]) {
        Some(Isolation::ReadUncommitted)
    } else if reader.eat(&["read", "committed"]) {
        Some(Isolation::ReadCommitted)
    } else if reader.eat(&["repeatable", "read"]) {
        Some(Isolation::RepeatableRead)
    } else if reader.eat(&["serializable"]) {
        Some(Isolation::Serializable)
    } else {
        None
    }
}

fn set_transaction(reader: &mut Reader<'_>) -> Option<Verb> {
    let mysql = reader.mysql();
    let mut scope = Scope::Default;
    let words = if mysql { &["session"][..] } else { &["session", "characteristics", "as"] };
    if reader.eat(words) || (mysql && reader.eat(&["local"])) {
        scope = Scope::Session;
    } else if mysql && reader.eat(&["global"]) {
        scope = Scope::Global;
    } else if !mysql {
        reader.eat_one_of(&["local", "session"]);
    }
    if !reader.eat(&["transaction"]) {
        return None;
    }
    if !mysql && scope == Scope::Default && reader.eat(&["snapshot"]) {
        reader.string()?;
        return reader.finish(Verb::SetTransaction { scope, modes: TransactionModes::default(), snapshot: true });
    }
    let modes = modes(reader, false)?;
    (!modes.is_plain()).then_some(Verb::SetTransaction { scope, modes, snapshot: false })
}

fn xa(reader: &mut Reader<'_>) -> Option<Verb> {
    let words = [
        ("start", Xa::Start),
        ("begin", Xa::Start),
        ("end", Xa::End),
        ("prepare", Xa::Prepare),
        ("commit", Xa::Commit),
        ("rollback", Xa::Rollback),
        ("recover", Xa::Recover),
    ];
    words.iter().find(|(word, _)| reader.eat(&[word])).map(|(_, xa)| Verb::Xa(*xa))
}
