//! Changes of a statement's text in terms of its tokens, so that one plan serves texts whose literals have other lengths.
//! Out: parsing. Invariant: only whole tokens are replaced, only token borders are inserted at.

use crate::lexer::Tokens;
use crate::splice::Edits;

/// Where text is inserted or replaced: token indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Right behind this token.
    After(usize),
    /// In place of the tokens from the first to before the second, and what is between them.
    Instead(usize, usize),
    /// In place of everything from the first token to the start of the second.
    Until(usize, usize),
    /// In place of the tokens from the first to before the second, and of the space before the first.
    Without(usize, usize),
}

/// A piece of new text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// This text.
    Text(String),
    /// The statement's own text from the first token to before the second.
    Copy(usize, usize),
    /// How many rows each shard must send: LIMIT and OFFSET of this execution added up.
    RowsPerShard,
    /// The shard's physical database, quoted.
    Database,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEdit {
    /// Where.
    pub anchor: Anchor,
    /// What stands there.
    pub fragments: Vec<Fragment>,
}

/// What the fragments stand for in this execution.
pub(super) struct Filling<'a> {
    pub rows_per_shard: Option<u64>,
    pub database: &'a str,
}

/// Adds token edits to byte edits; false if one does not fit the tokens (the plan is of another statement).
pub(super) fn translate(edits: &[TokenEdit], tokens: &Tokens, filling: &Filling<'_>, out: &mut Edits) -> bool {
    edits.iter().all(|edit| translate_one(edit, tokens, filling, out).is_some())
}

fn translate_one(edit: &TokenEdit, tokens: &Tokens, filling: &Filling<'_>, out: &mut Edits) -> Option<()> {
    let list = tokens.list();
    let end = |token: usize| list.get(token).map(|t| t.span.end as usize);
    let start = |token: usize| list.get(token).map(|t| t.span.start as usize);
    let range = match edit.anchor {
        Anchor::After(token) => end(token)?..end(token)?,
        Anchor::Instead(first, past) => start(first)?..end(past.checked_sub(1)?)?,
        Anchor::Until(first, next) => start(first)?..start(next)?,
        Anchor::Without(first, past) => {
            let from = match first.checked_sub(1) {
                Some(before) => end(before)?,
                None => start(first)?,
            };
            from..end(past.checked_sub(1)?)?
        }
    };
    let mut text = Vec::new();
    for fragment in &edit.fragments {
        match fragment {
            Fragment::Text(sql) => text.extend_from_slice(sql.as_bytes()),
            Fragment::Copy(first, past) => {
                let bytes = start(*first)?..end(past.checked_sub(1)?)?;
                text.extend_from_slice(tokens.sql().get(bytes)?);
            }
            Fragment::RowsPerShard => text.extend_from_slice(filling.rows_per_shard?.to_string().as_bytes()),
            Fragment::Database => {
                let quote = if tokens.dialect().is_mysql() { "`" } else { "\"" };
                text.extend_from_slice(quote.as_bytes());
                text.extend_from_slice(filling.database.replace(quote, &quote.repeat(2)).as_bytes());
                text.extend_from_slice(quote.as_bytes());
            }
        }
    }
    out.replace(range, text);
    Some(())
}
