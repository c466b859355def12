//! Where the clauses of a plain SELECT stand in its tokens. Out: what they mean.
//! Invariant: words that the walk took for names are never taken for keywords, and whatever does not fit the syntax
//! tree gives no clauses, so that both agree or the statement is refused.

use super::source::{Source, Visited};
use crate::lexer::TokenKind;

/// A range of tokens: the first, and one past the last.
pub(super) type TokenRange = (usize, usize);

/// The clauses of a SELECT.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    /// Each item of the select list.
    pub items: Vec<TokenRange>,
    /// Each expression of GROUP BY.
    pub group: Vec<TokenRange>,
    /// Each term of ORDER BY.
    pub order: Vec<TokenRange>,
    /// `ORDER BY ...` whole.
    pub order_clause: Option<TokenRange>,
    /// `LIMIT ...` up to OFFSET or the end.
    pub limit: Option<TokenRange>,
    /// `OFFSET ...` up to the next clause.
    pub offset: Option<TokenRange>,
}

const STARTS: [&str; 14] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "LOCK",
    "INTO",
    "PROCEDURE",
    "UNION",
];
const MODIFIERS: [&str; 10] = [
    "DISTINCT",
    "DISTINCTROW",
    "ALL",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
];

/// The keywords that a SELECT over several shards may hold; any other word must be a name the walk has understood.
const WORDS: [&str; 95] = [
    "SELECT",
    "DISTINCT",
    "DISTINCTROW",
    "ALL",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
    "AS",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "XOR",
    "IN",
    "IS",
    "NULL",
    "TRUE",
    "FALSE",
    "UNKNOWN",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "REGEXP",
    "SIMILAR",
    "TO",
    "ESCAPE",
    "GROUP",
    "ORDER",
    "BY",
    "ASC",
    "DESC",
    "NULLS",
    "FIRST",
    "LAST",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "NEXT",
    "ROW",
    "ROWS",
    "ONLY",
    "JOIN",
    "INNER",
    "CROSS",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "ON",
    "USING",
    "USE",
    "FORCE",
    "IGNORE",
    "INDEX",
    "KEY",
    "FOR",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "CONVERT",
    "DIV",
    "MOD",
    "COLLATE",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "INTERVAL",
    "EXTRACT",
    "SUBSTRING",
    "TRIM",
    "BOTH",
    "LEADING",
    "TRAILING",
    "POSITION",
    "OVERLAY",
    "PLACING",
    "FLOOR",
    "CEIL",
    "CEILING",
    "ANY",
    "SOME",
    "ARRAY",
    "WITH",
    "BINARY",
    "SUBSTR",
    "SYMMETRIC",
];

/// Words of types and units, allowed behind CAST, `::`, EXTRACT and INTERVAL.
const TYPE_WORDS: [&str; 58] = [
    "INT",
    "INTEGER",
    "BIGINT",
    "SMALLINT",
    "INT2",
    "INT4",
    "INT8",
    "TINYINT",
    "DECIMAL",
    "DEC",
    "NUMERIC",
    "REAL",
    "FLOAT",
    "FLOAT4",
    "FLOAT8",
    "DOUBLE",
    "PRECISION",
    "CHAR",
    "CHARACTER",
    "VARCHAR",
    "VARYING",
    "TEXT",
    "BPCHAR",
    "BOOL",
    "BOOLEAN",
    "BYTEA",
    "UUID",
    "JSON",
    "JSONB",
    "SIGNED",
    "UNSIGNED",
    "DATETIME",
    "WITHOUT",
    "ZONE",
    "TIMESTAMPTZ",
    "TIMETZ",
    "YEAR",
    "MONTH",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MICROSECOND",
    "MILLISECOND",
    "WEEK",
    "QUARTER",
    "EPOCH",
    "DOW",
    "DOY",
    "ISODOW",
    "ISOYEAR",
    "CENTURY",
    "DECADE",
    "AT",
    "NCHAR",
    "NAME",
    "VARBINARY",
    "BLOB",
];

/// The first word that is neither a name the walk has understood nor a keyword that may stand in a scattered SELECT.
pub(super) fn foreign_word(source: &Source<'_>, visited: &Visited) -> Option<String> {
    (0..source.len()).filter(|at| !visited.contains(at)).find_map(|at| {
        let token = source.token(at)?;
        if token.kind != TokenKind::Word {
            return None;
        }
        let word = String::from_utf8_lossy(source.tokens.text(token)).to_uppercase();
        let known = WORDS.contains(&word.as_str()) || TYPE_WORDS.contains(&word.as_str());
        (!known).then_some(word)
    })
}

/// Finds the clauses; `None` if the tokens are not those of a plain SELECT.
pub(super) fn clauses(source: &Source<'_>, visited: &Visited) -> Option<Clauses> {
    let mut end = source.len();
    while end > 0 && source.kind(end - 1) == Some(TokenKind::Semicolon) {
        end -= 1;
    }
    let mut at = 0;
    while matches!(source.kind(at), Some(TokenKind::Hint | TokenKind::MeshHint)) {
        at += 1;
    }
    if !source.is_word(at, "SELECT") {
        return None;
    }
    at += 1;
    let keyword = |at: usize, list: &[&str]| {
        !visited.contains(&at)
            && list.iter().any(|word| source.is_word(at, word))
            && source.kind(at.wrapping_sub(1)) != Some(TokenKind::Dot)
    };
    while keyword(at, &MODIFIERS) || source.kind(at) == Some(TokenKind::Hint) {
        at += 1;
    }
    let list_start = at;
    // The starts of the clauses behind the select list.
    let mut starts = Vec::new();
    let mut depth = 0usize;
    for place in list_start..end {
        match source.kind(place) {
            Some(TokenKind::LeftParenthesis) => depth += 1,
            Some(TokenKind::RightParenthesis) => depth = depth.checked_sub(1)?,
            Some(TokenKind::Word) if depth == 0 && keyword(place, &STARTS) => {
                // `USE INDEX FOR ORDER BY (i)` is no clause.
                let hint = place > 0 && (source.is_word(place - 1, "INDEX") || source.is_word(place - 1, "KEY"));
                let behind_for = place > 0 && !visited.contains(&(place - 1)) && source.is_word(place - 1, "FOR");
                if !hint && !behind_for {
                    starts.push(place);
                }
            }
            _ => {}
        }
    }
    let past = |index: usize| starts.get(index + 1).copied().unwrap_or(end);
    let mut found =
        Clauses { items: split(source, (list_start, starts.first().copied().unwrap_or(end)))?, ..Clauses::default() };
    for (index, start) in starts.iter().copied().enumerate() {
        let range = (start, past(index));
        if source.is_word(start, "GROUP") && source.is_word(start + 1, "BY") && found.group.is_empty() {
            found.group = split(source, (start + 2, range.1))?;
        } else if source.is_word(start, "ORDER") && source.is_word(start + 1, "BY") && found.order.is_empty() {
            found.order = split(source, (start + 2, range.1))?;
            found.order_clause = Some(range);
        } else if source.is_word(start, "LIMIT") && found.limit.is_none() {
            found.limit = Some(range);
        } else if source.is_word(start, "OFFSET") && found.offset.is_none() {
            found.offset = Some(range);
        } else if !["FROM", "WHERE", "FETCH"].iter().any(|word| source.is_word(start, word)) {
            return None;
        }
    }
    Some(found)
}

fn split(source: &Source<'_>, (first, past): TokenRange) -> Option<Vec<TokenRange>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, first);
    for at in first..past {
        match source.kind(at) {
            Some(TokenKind::LeftParenthesis) => depth += 1,
            Some(TokenKind::RightParenthesis) => depth = depth.checked_sub(1)?,
            Some(TokenKind::Comma) if depth == 0 => {
                parts.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, past));
    parts.iter().all(|(first, past)| first < past).then_some(parts)
}
