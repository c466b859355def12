//! Statements that ask for `lastval` or `currval`: where they run, and what stands for what is known already.
//! Out: how it became known (`sequences`).

use sharding::lexer::{self, Dialect, Flags, LiteralClass, StatementKind, TokenKind, Tokens};
use sharding::plan::literal;
use sharding::splice::{Edits, Spliced};
use sharding::value::Value;
use transaction::ShardIndex;

use super::Session;
use super::fault::Fault;
use super::sequences::{Sequence, Taken, Taking, last_part};
use crate::error_code::MeshError;
use crate::postgres::settings;

/// What a statement that asks is sent as.
pub struct Question {
    /// With the values that are known; `None`: as it came.
    pub spliced: Option<Spliced>,
    /// The backend may still be asked.
    pub open: bool,
}

impl Session {
    /// Where a statement goes that could go anywhere and asks for values.
    pub(super) fn home_of_sequences(&self) -> Option<ShardIndex> {
        self.taken.at().map(|(shard, _)| shard)
    }

    /// What a statement that asks for values is sent as to `shard`. `text` is the statement alone.
    pub(super) fn question(
        &mut self,
        text: &[u8],
        (kind, flags): (StatementKind, Flags),
        taking: Option<&Taking>,
        shard: ShardIndex,
    ) -> Result<Question, Fault> {
        let as_it_came = Question { spliced: None, open: true };
        if !flags.any(Flags::SEQUENCE_CURRENT) {
            let numbered = flags.any(Flags::SESSION_NUMBER);
            let spliced = if numbered { self.with_number(text, kind)? } else { None };
            return Ok(Question { spliced, open: false });
        }
        if let Some((at, _)) = self.taken.at().filter(|(at, _)| *at != shard) {
            let text = format!(
                "dbmesh does not support lastval() and currval() on shard {} after a value was taken on shard {} in the same transaction",
                self.shard_name(shard),
                self.shard_name(at)
            );
            return Err(MeshError::Unsupported(text).into());
        }
        if taking.is_some() {
            return Ok(as_it_came);
        }
        let dialect = Dialect::Postgres(self.modes);
        let Ok(tokens) = lexer::tokens(text, dialect) else { return Ok(as_it_came) };
        let path = if self.unlearnt { None } else { Some(self.settings.get("search_path").unwrap_or_default()) };
        // The session's temporary sequences hide others.
        let plain = self.pin.is_none();
        let asks = Asks { taken: &self.taken, tokens: &tokens, dialect, path, plain };
        let (edits, open) = asks.edits();
        if edits.is_empty() {
            return Ok(as_it_came);
        }
        let spliced = edits.apply(text).map_err(|error| MeshError::Internal(error.to_string()))?;
        Ok(Question { spliced: Some(spliced), open })
    }
}

struct Asks<'a> {
    taken: &'a Taken,
    tokens: &'a Tokens,
    dialect: Dialect,
    /// The search_path, if it is known.
    path: Option<&'a str>,
    plain: bool,
}

impl Asks<'_> {
    /// What stands for the calls whose answer is known, and whether some are left to the backend.
    fn edits(&self) -> (Edits, bool) {
        let (mut edits, mut open) = (Edits::new(), false);
        let mut at = 0;
        while at < self.tokens.list().len() {
            let Some((name, first, last)) = self.call(at) else {
                at += 1;
                continue;
            };
            let (start, end) = (self.start(first), self.end(last));
            let argument = self.tokens.sql().get(self.end(at + 1)..self.start(last)).unwrap_or_default();
            let instead = match name {
                "lastval" => {
                    self.taken.at().is_none().then_some(self.taken.last).flatten().map(number).map(|v| (v, false))
                }
                _ => self.currval(&String::from_utf8_lossy(argument), at + 2),
            };
            match instead {
                Some((value, asks)) => {
                    edits.replace(start..end, format!("(SELECT {value} AS {name})"));
                    open |= asks;
                }
                None => open = true,
            }
            at = last + 1;
        }
        (edits, open)
    }

    fn start(&self, at: usize) -> usize {
        self.tokens.list().get(at).map_or(0, |token| token.span.range().start)
    }

    fn end(&self, at: usize) -> usize {
        self.tokens.list().get(at).map_or(0, |token| token.span.range().end)
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.list().get(at).map(|token| token.kind)
    }

    /// A call of one of the two functions whose name is at `at`: the name, the first token of the call and the last.
    fn call(&self, at: usize) -> Option<(&'static str, usize, usize)> {
        let text = self.tokens.text(self.tokens.list().get(at)?);
        let is = |name: &str| match self.kind(at) {
            Some(TokenKind::Word) => text.eq_ignore_ascii_case(name.as_bytes()),
            Some(TokenKind::QuotedIdentifier) => lexer::identifier_value(text) == name.as_bytes(),
            _ => false,
        };
        let name = ["lastval", "currval"].into_iter().find(|name| is(name))?;
        if self.kind(at + 1)? != TokenKind::LeftParenthesis {
            return None;
        }
        let mut first = at;
        if at >= 2 && self.kind(at - 1) == Some(TokenKind::Dot) {
            if !self.tokens.is_word(at - 2, "pg_catalog") {
                return None;
            }
            first = at - 2;
        }
        let mut depth = 0usize;
        for last in at + 1..self.tokens.list().len() {
            match self.kind(last)? {
                TokenKind::LeftParenthesis => depth += 1,
                TokenKind::RightParenthesis if depth == 1 => return Some((name, first, last)),
                TokenKind::RightParenthesis => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// Whether a value is known and was not taken anew since.
    fn holds(&self, sequence: &Sequence) -> bool {
        let newer = self.taken.at().is_some_and(|(_, taking)| taking.may_touch(sequence));
        !newer && sequence.path.as_deref().is_none_or(|path| self.path == Some(path))
    }

    /// The expression for a `currval`, whose argument begins at token `at`; and whether it may still ask the backend.
    fn currval(&self, argument: &str, at: usize) -> Option<(String, bool)> {
        let known: Vec<&(Sequence, i64)> = self.taken.known.iter().filter(|(known, _)| self.holds(known)).collect();
        if known.is_empty() {
            return None;
        }
        if let Some(value) = self.literal(argument, at).and_then(|name| self.known_by(&name, &known)) {
            return Some((number(value), false));
        }
        let list: Vec<String> = (known.iter().enumerate())
            .map(|(age, (known, value))| {
                format!("(pg_catalog.to_regclass({}),{},{age})", settings::literal(&known.name), number(*value))
            })
            .collect();
        // One sequence may be there by several names: the newest value is its own.
        let expression = format!(
            "coalesce((SELECT dbmesh_v FROM (VALUES {}) dbmesh_l(dbmesh_s,dbmesh_v,dbmesh_a) \
             WHERE dbmesh_s=({argument})::pg_catalog.regclass ORDER BY dbmesh_a DESC LIMIT 1),\
             pg_catalog.currval({argument}))",
            list.join(",")
        );
        Some((expression, true))
    }

    /// The value of the sequence that is named like this.
    fn known_by(&self, name: &str, known: &[&(Sequence, i64)]) -> Option<i64> {
        let usual = self.plain && self.path == Some("");
        let same = |known: &Sequence| {
            *known.name == *name && (known.path.is_some() || name.contains('.'))
                || usual && known.name.strip_prefix("public.") == Some(name)
        };
        let newest = known.iter().rfind(|(known, _)| known.last_part() == last_part(name))?;
        (self.plain && same(&newest.0)).then_some(newest.1)
    }

    /// The text of an argument that is a string literal and nothing else but perhaps a cast.
    fn literal(&self, argument: &str, at: usize) -> Option<String> {
        let token = self.tokens.list().get(at)?;
        let TokenKind::Literal(class @ LiteralClass::String) = token.kind else { return None };
        let bytes = self.tokens.text(token);
        let rest: String = argument.get(bytes.len()..)?.split_whitespace().collect();
        if !(rest.is_empty() || rest.eq_ignore_ascii_case("::regclass")) {
            return None;
        }
        match literal(bytes, class, self.dialect) {
            Value::Text(text) => String::from_utf8(text).ok().filter(|text| {
                // As the server prints it: no other spelling stands for the same.
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte))
            }),
            _ => None,
        }
    }
}

fn number(value: i64) -> String {
    format!("'{value}'::pg_catalog.int8")
}
