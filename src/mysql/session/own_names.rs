//! What the client must see as ours wherever it stands: the session's id, the logical database, and what the statement before
//! left (`last`); and which logical database a statement means that names one. Out: statements that ask for nothing else
//! (`local`).

use std::sync::Arc;

use sharding::lexer::{self, StatementKind, TokenKind, Tokens};

use super::temporary::{mark, name};
use super::{MeshError, Session, login};
use crate::config::Protocol;

impl Session {
    /// The statement with CONNECTION_ID() and DATABASE() replaced by what they are here; `None`: it has neither. `left`: so
    /// are ROW_COUNT(), FOUND_ROWS() and the counts of warnings, which a prepared statement reads anew at each execution.
    pub(super) fn with_own_names(
        &self,
        sql: &[u8],
        kind: StatementKind,
        left: bool,
    ) -> Result<Option<Vec<u8>>, MeshError> {
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let database = self.renamed_database();
        let (mut out, mut copied, mut depth) = (Vec::new(), 0, 0usize);
        for (at, token) in tokens.list().iter().enumerate() {
            match token.kind {
                TokenKind::LeftParenthesis => depth += 1,
                TokenKind::RightParenthesis => depth = depth.saturating_sub(1),
                _ => {}
            }
            let (value, length) = match self.own_value(&tokens, at, database.as_deref()) {
                Some(value) => (value, 3),
                None if left => match self.left_value(&tokens, at, kind)? {
                    Some(found) => found,
                    None => continue,
                },
                None => continue,
            };
            let after = at + length;
            let Some(close) = tokens.list().get(after - 1) else { continue };
            let (start, end) = (token.span.start as usize, close.span.end as usize);
            out.extend_from_slice(sql.get(copied..start).unwrap_or_default());
            out.extend_from_slice(&value);
            copied = end;
            // A column of the result keeps the name that it would have had.
            let begins = at.checked_sub(1).is_some_and(|at| {
                mark(&tokens, at) == b"," || ["SELECT", "DISTINCT", "ALL"].iter().any(|word| tokens.is_word(at, word))
            });
            let ends = tokens.list().get(after).is_none_or(|_| {
                mark(&tokens, after) == b","
                    || [&b"FROM"[..], b"UNION", b"LIMIT", b"ORDER", b"WHERE", b"INTO"]
                        .iter()
                        .any(|word| mark(&tokens, after).eq_ignore_ascii_case(word))
            });
            if kind == StatementKind::Select && depth == 0 && begins && ends {
                let label = sql.get(start..end).unwrap_or_default();
                out.extend_from_slice(b" AS `");
                out.extend(label.iter().filter(|byte| **byte != b'`'));
                out.push(b'`');
            }
        }
        if copied == 0 {
            return Ok(None);
        }
        out.extend_from_slice(sql.get(copied..).unwrap_or_default());
        Ok(Some(out))
    }

    /// What stands for the call at this token, if it is one of ours.
    fn own_value(&self, tokens: &Tokens, at: usize, database: Option<&str>) -> Option<Vec<u8>> {
        if !is_call(tokens, at) {
            return None;
        }
        if tokens.is_word(at, "CONNECTION_ID") {
            return Some(self.entry.id.to_string().into_bytes());
        }
        let database = database.filter(|_| tokens.is_word(at, "DATABASE") || tokens.is_word(at, "SCHEMA"))?;
        // Names with what would need care in a literal stay as they are.
        database.bytes().all(|byte| byte != b'\'' && byte != b'\\').then(|| format!("'{database}'").into_bytes())
    }

    /// What stands for a question after the statement before at this token, and how many tokens that question takes.
    fn left_value(
        &self,
        tokens: &Tokens,
        at: usize,
        kind: StatementKind,
    ) -> Result<Option<(Vec<u8>, usize)>, MeshError> {
        let lost = |what: &str| {
            let text = format!("{what}: it is not known any more what the statement before left");
            Err(MeshError::Unsupported(text))
        };
        let (value, length) = match tokens.list().get(at).map(|token| token.kind) {
            Some(TokenKind::Word) if is_call(tokens, at) && tokens.is_word(at, "ROW_COUNT") => {
                (self.last.row_count().to_string(), 3)
            }
            Some(TokenKind::Word) if is_call(tokens, at) && tokens.is_word(at, "FOUND_ROWS") => {
                match self.last.found_rows() {
                    Some(rows) => (rows.to_string(), 3),
                    None => return lost("FOUND_ROWS() without SQL_CALC_FOUND_ROWS after OFFSET, UNION, CALL or SHOW"),
                }
            }
            Some(TokenKind::SystemVariable) => {
                let name = mark(tokens, at).to_ascii_lowercase();
                let name = name.strip_prefix(b"@@").unwrap_or(&name);
                let name = name.strip_prefix(b"session.").or(name.strip_prefix(b"local.")).unwrap_or(name);
                match name {
                    b"warning_count" | b"`warning_count`" => (self.last.warning_count().to_string(), 1),
                    b"error_count" | b"`error_count`" => match self.last.error_count() {
                        Some(count) => (count.to_string(), 1),
                        None => return lost("@@error_count"),
                    },
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        // A column of it is a BIGINT; a variable that is set to a plain number moves from backend to backend.
        let plain = kind == StatementKind::Set;
        let text = if plain { value } else { format!("IF(1,{value},9223372036854775807)") };
        Ok(Some((text.into_bytes(), length)))
    }

    /// The logical database, if servers know it by another name.
    fn renamed_database(&self) -> Option<String> {
        let database = self.config().databases.get(self.database()).filter(|_| self.in_own_schema())?;
        database.shards.iter().any(|shard| shard.database != database.name).then(|| database.name.clone())
    }

    /// Chooses the logical database of a statement that names one, where none is the current schema.
    ///
    /// # Errors
    /// The database named is not for this user, or has several shards and is not the one that the session works on.
    pub(super) fn settle_database(&mut self, sql: &[u8]) -> Result<(), MeshError> {
        let own = self.in_own_schema();
        // The plan refuses what it does not know, and no database is named without a point.
        if (own && !self.is_relay()) || !sql.contains(&b'.') {
            return Ok(());
        }
        let here = self.database();
        let config = Arc::clone(self.config());
        let others = config.databases.iter().enumerate().filter(|(number, database)| {
            let matters = !own || (*number != here && database.shards.len() > 1);
            database.protocol == Protocol::MySql && matters && has_word(sql, database.name.as_bytes())
        });
        let mut tokens = None;
        let mut named = Vec::new();
        for (number, database) in others {
            let tokens = match &tokens {
                Some(tokens) => tokens,
                None => {
                    let read = lexer::tokens(sql, self.dialect());
                    tokens.insert(read.map_err(|error| MeshError::Syntax(error.to_string()))?)
                }
            };
            let qualifies = |at: usize| {
                mark(tokens, at + 1) == b"."
                    && name(tokens, at).is_some_and(|name| name.eq_ignore_ascii_case(database.name.as_bytes()))
            };
            if (0..tokens.list().len()).any(qualifies) {
                login::choose_database(&config, &self.user, database.name.as_bytes())?;
                named.push(number);
            }
        }
        let split = |number: usize| config.databases.get(number).is_some_and(|database| database.shards.len() > 1);
        match *named {
            [] => Ok(()),
            [only] if only == here => Ok(()),
            [only] if !own && self.held.is_empty() && self.transaction.branches().is_empty() => {
                self.set_database(Some(only));
                self.follow_transaction_type();
                Ok(())
            }
            _ if !named.iter().any(|number| split(*number)) && !split(here) => Ok(()),
            _ => Err(MeshError::Unsupported("tables of a sharded database beside those of another".to_owned())),
        }
    }
}

/// Whether a function's name and its empty list of arguments stand here.
fn is_call(tokens: &Tokens, at: usize) -> bool {
    let qualified = at.checked_sub(1).is_some_and(|before| mark(tokens, before) == b".");
    mark(tokens, at + 1) == b"(" && mark(tokens, at + 2) == b")" && !qualified
}

/// Whether the text has these bytes, in any case.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return false };
    let starts = text.iter().enumerate().filter(|(_, byte)| byte.eq_ignore_ascii_case(first));
    starts.map(|(at, _)| at).any(|at| text.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word)))
}
