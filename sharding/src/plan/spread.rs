//! A write on several shards: what each is sent, and what the client is told.
//! Out: making it atomic (the transaction room decides when it may run at all).

use super::bind::Part;
use super::edit::{Anchor, Filling, TokenEdit};
use super::refusal::Refusal;
use super::scatter::{ParameterMap, Rewritten, splice};
use crate::lexer::{TokenKind, Tokens};
use crate::schema::ShardInfo;

/// A write on several shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How an INSERT is split by rows; `None`: every shard is sent the same.
    pub rows: Option<RowList>,
    /// What the client is told.
    pub answer: SpreadAnswer,
}

/// Where the rows of an INSERT stand in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowList {
    /// Token of the first row's opening parenthesis (or of ROW before it).
    pub first: usize,
}

/// How the answers of the shards become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpreadAnswer {
    /// The affected rows add up: each row is on one shard.
    Sum,
    /// Every shard did the same; one answer stands for all, and a different one is an error.
    Same,
}

impl Spread {
    /// What a shard is sent for its part. `plan_edits` are [`super::Plan::edits`].
    /// The parameters that go with it, when rows are left out, are [`Spread::parameters`].
    ///
    /// # Errors
    /// Tokens of another statement than the one that was planned.
    pub fn rewrite(
        &self,
        plan_edits: &[TokenEdit],
        tokens: &Tokens,
        part: &Part,
        shard: &ShardInfo,
    ) -> Result<Rewritten, Refusal> {
        let filling = Filling { rows_per_shard: None, database: &shard.database };
        let mut edits = Vec::new();
        if let (Some(list), Some(kept)) = (&self.rows, &part.rows) {
            let rows = list.rows(tokens);
            let fault = || Refusal::Malformed("the rows of the statement do not fit its plan".to_owned());
            if kept.is_empty() || kept.iter().any(|row| *row >= rows.len()) {
                return Err(fault());
            }
            // Each run of rows that stay out goes with the comma before it, or behind it at the start of the list.
            let first_kept = kept.first().copied().unwrap_or(0);
            let mut row = 0;
            while row < rows.len() {
                if kept.binary_search(&row).is_ok() {
                    row += 1;
                    continue;
                }
                let from = row;
                while row < rows.len() && kept.binary_search(&row).is_err() {
                    row += 1;
                }
                let (Some(start), Some(last)) = (rows.get(from), rows.get(row - 1)) else { return Err(fault()) };
                let anchor = if from < first_kept {
                    Anchor::Until(start.0, rows.get(row).ok_or_else(fault)?.0)
                } else {
                    Anchor::Without(start.0.checked_sub(1).ok_or_else(fault)?, last.1)
                };
                edits.push(TokenEdit { anchor, fragments: Vec::new() });
            }
        }
        splice(&[plan_edits, &edits], tokens, &filling, ParameterMap::default())
    }

    /// Which of the client's parameters (from 0) a part still has, in order. `None`: all of them.
    ///
    /// On MySQL `?` are counted by place, so the parameters of the rows left out are not sent. On PostgreSQL a number keeps
    /// its meaning: all parameters are sent, with the types of the whole statement (a number that the text no longer
    /// names must have one).
    #[must_use]
    pub fn parameters(&self, tokens: &Tokens, part: &Part) -> Option<Vec<usize>> {
        let (Some(list), Some(kept)) = (&self.rows, &part.rows) else { return None };
        if !tokens.dialect().is_mysql() {
            return None;
        }
        let rows = list.rows(tokens);
        let dropped = |token: usize| {
            rows.iter()
                .position(|(start, past)| (*start..*past).contains(&token))
                .is_some_and(|row| !kept.contains(&row))
        };
        let marks = tokens.list().iter().enumerate().filter(|(_, t)| t.kind == TokenKind::Placeholder);
        Some(marks.enumerate().filter(|(_, (token, _))| !dropped(*token)).map(|(n, _)| n).collect())
    }
}

impl RowList {
    /// First token and the one past the last of every row.
    fn rows(&self, tokens: &Tokens) -> Vec<(usize, usize)> {
        let list = tokens.list();
        let mut rows = Vec::new();
        let mut at = self.first;
        loop {
            let start = at;
            let mut depth = 0usize;
            loop {
                match list.get(at).map(|token| token.kind) {
                    Some(TokenKind::LeftParenthesis) => depth += 1,
                    Some(TokenKind::RightParenthesis) => depth = depth.saturating_sub(1),
                    Some(TokenKind::Word) if depth == 0 && at == start => {}
                    Some(_) if depth > 0 => {}
                    _ => return rows,
                }
                at += 1;
                let closed = list.get(at.wrapping_sub(1)).is_some_and(|t| t.kind == TokenKind::RightParenthesis);
                if depth == 0 && closed {
                    break;
                }
            }
            rows.push((start, at));
            if list.get(at).map(|token| token.kind) != Some(TokenKind::Comma) {
                return rows;
            }
            at += 1;
        }
    }
}
