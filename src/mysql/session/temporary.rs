//! The temporary tables of a session: their names, and the backend that is pinned for them.
//! Out: what a name stands for in a statement (the plan).

use sharding::lexer::{self, Flags, StatementKind, TokenKind, Tokens};
use sharding::plan::TemporaryTable;

use super::Session;
use super::single::Facts;

const PIN: &str = "temporary table";

/// The temporary tables of a session.
#[derive(Debug, Default)]
pub(super) struct Temporary {
    tables: Vec<TemporaryTable>,
    /// The name of each with its schema.
    full_names: Vec<Vec<u8>>,
    /// There is one whose name could not be read: the backend stays with the session.
    unnamed: bool,
}

impl Temporary {
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(super) fn tables(&self) -> &[TemporaryTable] {
        &self.tables
    }
}

/// What a statement did to temporary tables.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// Names with their schema, if it is written.
    Created(Vec<(Option<Vec<u8>>, Vec<u8>)>),
    Dropped(Vec<(Option<Vec<u8>>, Vec<u8>)>),
}

impl Session {
    /// Notes which temporary tables a statement that succeeded has created or dropped.
    pub(super) fn note_temporary(&mut self, index: usize, facts: &Facts<'_>) {
        let flagged = facts.flags.has(Flags::TEMPORARY);
        if facts.kind != StatementKind::Ddl || (!flagged && self.temporary.is_empty()) {
            return;
        }
        let change = lexer::tokens(facts.sql, self.dialect()).ok().and_then(|tokens| change(&tokens));
        let Some(shard) = self.held.get(index).map(|held| held.shard) else { return };
        let fold = self.catalog().and_then(|catalog| catalog.current()).is_some_and(|schema| schema.names_fold);
        let current = self.schema_of_names().map(|name| name.to_vec()).unwrap_or_default();
        let full =
            |schema: &Option<Vec<u8>>, name: &[u8]| [schema.as_deref().unwrap_or(&current), b"\0", name].concat();
        match change {
            Some(Change::Created(names)) => {
                for (schema, name) in names {
                    let full = full(&schema, &name);
                    if self.temporary.full_names.contains(&full) {
                        continue;
                    }
                    let name = String::from_utf8_lossy(&name).into_owned();
                    let name = if fold { name.to_lowercase() } else { name };
                    self.temporary.tables.push(TemporaryTable { name, shard });
                    self.temporary.full_names.push(full);
                }
                self.pin(index, PIN);
            }
            Some(Change::Dropped(names)) => {
                for (schema, name) in names {
                    let full = full(&schema, &name);
                    if let Some(at) = self.temporary.full_names.iter().position(|known| *known == full) {
                        self.temporary.full_names.remove(at);
                        self.temporary.tables.remove(at);
                    }
                }
                if self.temporary.is_empty() && !self.temporary.unnamed {
                    self.unpin(index, PIN);
                }
            }
            None if flagged => {
                self.temporary.unnamed = true;
                self.pin(index, PIN);
            }
            None => {}
        }
    }
}

/// Reads `CREATE [OR REPLACE] TEMPORARY TABLE ...` and `DROP [TEMPORARY] TABLE ...`.
fn change(tokens: &Tokens) -> Option<Change> {
    let is = |at: usize, word: &str| tokens.is_word(at, word);
    let mut at = 1;
    let creates = is(0, "CREATE");
    if creates && is(at, "OR") && is(at + 1, "REPLACE") {
        at += 2;
    }
    if is(at, "TEMPORARY") {
        at += 1;
    } else if creates {
        return None;
    }
    if !(creates || is(0, "DROP")) || !["TABLE", "TABLES", "SEQUENCE"].iter().any(|word| is(at, word)) {
        return None;
    }
    at += 1;
    if is(at, "IF") {
        at += if is(at + 1, "NOT") { 3 } else { 2 };
    }
    let mut names = Vec::new();
    loop {
        let first = name(tokens, at)?;
        if mark(tokens, at + 1) == b"." {
            names.push((Some(first), name(tokens, at + 2)?));
            at += 3;
        } else {
            names.push((None, first));
            at += 1;
        }
        if creates {
            return Some(Change::Created(names));
        }
        if mark(tokens, at) != b"," {
            return Some(Change::Dropped(names));
        }
        at += 1;
    }
}

/// The identifier at a place, without its quotes.
pub(super) fn name(tokens: &Tokens, at: usize) -> Option<Vec<u8>> {
    let token = tokens.list().get(at)?;
    let text = tokens.text(token);
    match token.kind {
        TokenKind::Word => Some(text.to_vec()),
        TokenKind::QuotedIdentifier => {
            let quote = *text.first()?;
            let inside = text.get(1..text.len().checked_sub(1)?)?;
            let mut out = Vec::with_capacity(inside.len());
            let mut bytes = inside.iter().peekable();
            while let Some(byte) = bytes.next() {
                out.push(*byte);
                if *byte == quote {
                    bytes.next_if_eq(&&quote);
                }
            }
            Some(out)
        }
        _ => None,
    }
}

/// The text of the token at a place.
pub(super) fn mark(tokens: &Tokens, at: usize) -> &[u8] {
    tokens.list().get(at).map_or(&b""[..], |token| tokens.text(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharding::lexer::Dialect;

    fn of(sql: &str) -> Option<Change> {
        change(&lexer::tokens(sql.as_bytes(), Dialect::MYSQL).expect("valid"))
    }

    fn names(list: &[(Option<&str>, &str)]) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        list.iter().map(|(schema, name)| (schema.map(|s| s.as_bytes().to_vec()), name.as_bytes().to_vec())).collect()
    }

    #[test]
    fn names_of_temporary_tables_are_read() {
        assert_eq!(of("CREATE TEMPORARY TABLE a (x INT)"), Some(Change::Created(names(&[(None, "a")]))));
        let sql = "create or replace temporary table if not exists `s`.`b``c` select 1";
        assert_eq!(of(sql), Some(Change::Created(names(&[(Some("s"), "b`c")]))));
        let sql = "DROP TEMPORARY TABLE IF EXISTS a, s.b";
        assert_eq!(of(sql), Some(Change::Dropped(names(&[(None, "a"), (Some("s"), "b")]))));
        assert_eq!(of("DROP TABLE a"), Some(Change::Dropped(names(&[(None, "a")]))));
        assert_eq!(of("CREATE TABLE a (x INT)"), None);
        assert_eq!(of("ALTER TABLE a ADD b INT"), None);
    }
}
