//! What a PostgreSQL statement takes from sequences, by its words: `lastval` and `currval` tell of it afterwards.
//! Out: functions that are not built in; triggers: who runs them counts on anything.

use std::sync::Arc;

use super::source::Source;
use crate::lexer::{LiteralClass, TokenKind};
use crate::schema::{Reaches, Table, TableName, Takes};

/// What a statement takes from sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// From which sequences it may take.
    pub from: Vec<Drawn>,
    /// It may take from others, too.
    pub others: bool,
    /// It names a table that the schema does not know.
    pub untold: bool,
    /// If it succeeds it has taken from each of `from`, and from no other.
    pub surely: bool,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Named as `regclass` reads it under any search_path.
    Sequence(Arc<str>),
    /// The string literal of this number names it, as `regclass` reads it now.
    Literal(usize),
}

impl Draws {
    /// It may take from any.
    #[must_use]
    pub fn anything() -> Self {
        Self { others: true, ..Self::default() }
    }

    /// Whether it takes nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.from.is_empty() && !self.others
    }
}

/// What a statement takes.
pub(super) fn draws(source: &Source<'_>) -> Draws {
    let mut finder = Finder { source, draws: Draws { surely: true, ..Draws::default() }, rows: 0..0 };
    if source.mysql() {
        return Draws::default();
    }
    let mut depth = 0usize;
    for at in 0..source.len() {
        match source.kind(at) {
            Some(TokenKind::LeftParenthesis) => depth += 1,
            Some(TokenKind::RightParenthesis) => depth = depth.saturating_sub(1),
            Some(TokenKind::Word) if source.is_word(at, "INSERT") && source.is_word(at + 1, "INTO") => {
                finder.insertion(at + 2, at == 0);
            }
            Some(TokenKind::Word) if at == 0 && source.is_word(at, "COPY") => finder.copy(),
            Some(TokenKind::Word | TokenKind::QuotedIdentifier)
                if source.kind(at + 1) == Some(TokenKind::LeftParenthesis) =>
            {
                finder.call(at, depth);
            }
            _ => {}
        }
    }
    let mut draws = finder.draws;
    draws.surely &= !draws.from.is_empty() && !draws.others;
    draws
}

struct Finder<'f, 'a> {
    source: &'f Source<'a>,
    draws: Draws,
    /// Tokens of the rows of an INSERT that is the whole statement.
    rows: std::ops::Range<usize>,
}

impl Finder<'_, '_> {
    fn add(&mut self, drawn: Drawn, surely: bool) {
        self.draws.surely &= surely;
        if !self.draws.from.contains(&drawn) {
            self.draws.from.push(drawn);
        }
    }

    fn identifier(&self, at: usize) -> Option<String> {
        let name = self.source.name_at(at)?;
        Some(if self.source.kind(at) == Some(TokenKind::Word) { name.to_lowercase() } else { name })
    }

    fn is(&self, at: usize, kind: TokenKind) -> bool {
        self.source.kind(at) == Some(kind)
    }

    /// `nextval` or `setval` at `at`.
    fn call(&mut self, at: usize, depth: usize) {
        let name = self.identifier(at).unwrap_or_default();
        if name != "nextval" && name != "setval" {
            return;
        }
        let mut first = at;
        if at >= 2 && self.is(at - 1, TokenKind::Dot) {
            if self.identifier(at - 2).as_deref() != Some("pg_catalog") {
                return self.draws.others = true;
            }
            first = at - 2;
        }
        let Some((number, TokenKind::Literal(LiteralClass::String))) =
            self.source.token(at + 2).map(|token| (token.number, token.kind))
        else {
            return self.draws.others = true;
        };
        let is_cast = |at: usize| {
            self.source.token(at).is_some_and(|token| self.source.tokens.text(token) == b"::")
                && self.source.is_word(at + 1, "REGCLASS")
        };
        let end = if is_cast(at + 3) { at + 5 } else { at + 3 };
        let alone = self.is(end, TokenKind::RightParenthesis);
        if !alone && !self.is(end, TokenKind::Comma) {
            return self.draws.others = true;
        }
        let past = end + 1;
        let surely = alone && name == "nextval" && (self.is_all(first, past) || self.is_item(first, past, depth));
        self.add(Drawn::Literal(number as usize), surely);
    }

    /// Whether the statement is a SELECT of nothing but these tokens.
    fn is_all(&self, first: usize, past: usize) -> bool {
        let label = past + usize::from(self.source.is_word(past, "AS"));
        let end = if label > past || self.source.name_at(past).is_some() { label + 1 } else { past };
        first == 1 && self.source.is_word(0, "SELECT") && end == self.source.len()
    }

    /// Whether these tokens are one value of a row.
    fn is_item(&self, first: usize, past: usize, depth: usize) -> bool {
        depth == 1
            && self.rows.contains(&first)
            && (self.is(first - 1, TokenKind::LeftParenthesis) || self.is(first - 1, TokenKind::Comma))
            && (self.is(past, TokenKind::RightParenthesis) || self.is(past, TokenKind::Comma))
    }

    /// The name of a table at `at`, and where it ends.
    fn table(&self, at: usize) -> (Option<Arc<Table>>, usize) {
        let (mut parts, mut at) = (Vec::new(), at);
        while let Some(part) = self.identifier(at).filter(|_| !self.source.is_escaped_name(at)) {
            parts.push(part);
            at += 1;
            if !self.is(at, TokenKind::Dot) {
                break;
            }
            at += 1;
        }
        let find = |schema: &str, name: &str| {
            let name = TableName { schema: Some(schema.to_owned()), name: name.to_owned() };
            self.source.schema.table(&name).cloned()
        };
        let context = self.source.context;
        let found = match parts.as_slice() {
            [name] if context.temporary.iter().any(|table| table.name == *name) => None,
            [name] if context.search_path.is_empty() => find("public", name),
            [name] => context.search_path.iter().find_map(|schema| find(schema, name)),
            [.., schema, name] => find(schema, name),
            [] => None,
        };
        (found, at)
    }

    /// The table, if its columns are known.
    fn read(&mut self, table: Option<Arc<Table>>) -> Option<Arc<Table>> {
        self.draws.untold |= table.is_none();
        let read = table.filter(|table| !table.is_view && !table.columns.is_empty());
        self.draws.others |= read.is_none();
        read
    }

    /// The columns listed in parentheses at `at`, and where the list ends; `None` if that is something else.
    fn columns(&self, at: usize) -> Option<(Vec<String>, usize)> {
        let past = self.past(at)?;
        let first = at + 1;
        let query = ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| self.source.is_word(first, word));
        if query || self.is(first, TokenKind::LeftParenthesis) {
            return None;
        }
        let starts = (first..past - 1).filter(|at| *at == first || self.is(*at - 1, TokenKind::Comma));
        Some((starts.filter_map(|at| self.identifier(at)).collect(), past))
    }

    /// One past the parenthesis that closes the one at `at`; `None` if there is none.
    fn past(&self, at: usize) -> Option<usize> {
        if !self.is(at, TokenKind::LeftParenthesis) {
            return None;
        }
        let mut depth = 0usize;
        for at in at..self.source.len() {
            match self.source.kind(at)? {
                TokenKind::LeftParenthesis => depth += 1,
                TokenKind::RightParenthesis if depth == 1 => return Some(at + 1),
                TokenKind::RightParenthesis => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// The rows behind VALUES: for each value whether it is DEFAULT; and where they end.
    fn rows(&self, at: usize) -> (Vec<Vec<bool>>, usize) {
        let (mut rows, mut at) = (Vec::new(), at);
        while let Some(past) = self.past(at) {
            let (mut row, mut depth, mut start) = (Vec::new(), 0usize, at + 1);
            for token in at + 1..past {
                match self.source.kind(token) {
                    Some(TokenKind::Comma) if depth == 0 => {}
                    Some(TokenKind::RightParenthesis) if token + 1 == past => {}
                    Some(TokenKind::LeftParenthesis) => {
                        depth += 1;
                        continue;
                    }
                    Some(TokenKind::RightParenthesis) => {
                        depth = depth.saturating_sub(1);
                        continue;
                    }
                    _ => continue,
                }
                row.push(token == start + 1 && self.source.is_word(start, "DEFAULT"));
                start = token + 1;
            }
            rows.push(row);
            at = past;
            if !self.is(at, TokenKind::Comma) {
                break;
            }
            at += 1;
        }
        (rows, at)
    }

    /// An INSERT whose table is named at `at`. `whole`: it is the whole statement.
    fn insertion(&mut self, at: usize, whole: bool) {
        let (table, mut at) = self.table(at);
        if self.source.is_word(at, "AS") {
            at += 2;
        }
        let listed = self.columns(at);
        if let Some((_, past)) = &listed {
            at = *past;
        }
        let overriding = self.source.is_word(at, "OVERRIDING");
        if overriding {
            at += 3;
        }
        let Some(table) = self.read(table) else { return };
        let (rows, past) = if self.source.is_word(at, "VALUES") { self.rows(at + 1) } else { (Vec::new(), at) };
        let nothing_given = self.source.is_word(at, "DEFAULT");
        if whole {
            self.rows = at..past;
        }
        // Triggers and policies run whatever they are.
        self.draws.others |= table.reaches == Reaches::Unknown;
        let sure = whole && !overriding && (nothing_given || !rows.is_empty());
        let width = rows.first().map(Vec::len);
        for (index, column) in table.columns.iter().enumerate().filter(|(_, column)| column.takes != Takes::Nothing) {
            let place = match &listed {
                Some((names, _)) => names.iter().position(|name| *name == column.name),
                None if nothing_given => None,
                None => width.is_none_or(|width| index < width).then_some(index),
            };
            let given = place.is_some_and(|place| !rows.iter().any(|row| row.get(place) == Some(&true)));
            // A query gives a row of so many columns as nobody has counted here.
            let counted = listed.is_some() || nothing_given || width.is_some();
            if given && counted && !overriding {
                continue;
            }
            match &column.takes {
                Takes::From(sequence) => self.add(Drawn::Sequence(Arc::clone(sequence)), sure),
                Takes::Unknown | Takes::Nothing => self.draws.others = true,
            }
        }
    }

    /// COPY: rows may come, or none.
    fn copy(&mut self) {
        let (table, at) = self.table(1);
        let listed = self.columns(at);
        let from = listed.as_ref().map_or(at, |(_, past)| *past);
        if !self.source.is_word(from, "FROM") {
            return;
        }
        let Some(table) = self.read(table) else { return };
        self.draws.others |= table.reaches == Reaches::Unknown;
        for column in &table.columns {
            let given = listed.as_ref().is_none_or(|(names, _)| names.contains(&column.name));
            match &column.takes {
                Takes::From(sequence) if !given => self.add(Drawn::Sequence(Arc::clone(sequence)), false),
                Takes::Unknown if !given => self.draws.others = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "draws_tests.rs"]
mod tests;
