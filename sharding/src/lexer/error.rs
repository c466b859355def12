//! Why a text has no tokens. Out: errno and SQLSTATE, which the edge decides.

use thiserror::Error;

/// The text cannot be lexed. Offsets are bytes of the text that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LexError {
    /// A quoted string has no end.
    #[error("unterminated quoted string at byte {0}")]
    UnterminatedString(u32),
    /// A quoted identifier has no end.
    #[error("unterminated quoted identifier at byte {0}")]
    UnterminatedIdentifier(u32),
    /// A comment has no end.
    #[error("unterminated comment at byte {0}")]
    UnterminatedComment(u32),
    /// A `;` inside an executable comment: servers disagree about what follows.
    #[error("semicolon inside an executable comment at byte {0}")]
    SemicolonInComment(u32),
    /// A literal that the server refuses, such as `x'0g'`.
    #[error("malformed literal at byte {0}")]
    MalformedLiteral(u32),
    /// Longer than the limit.
    #[error("statement of {bytes} bytes exceeds the limit of {limit}")]
    TooLong {
        /// What was given.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More statements in one text than [`super::MAX_STATEMENTS`].
    #[error("too many statements in one text")]
    TooManyStatements,
    /// More literals in one text than [`super::MAX_LITERALS`].
    #[error("too many literals in one text")]
    TooManyLiterals,
}

impl LexError {
    /// The byte at which the fault begins, when it has one.
    pub fn offset(&self) -> Option<u32> {
        match *self {
            LexError::UnterminatedString(at)
            | LexError::UnterminatedIdentifier(at)
            | LexError::UnterminatedComment(at)
            | LexError::SemicolonInComment(at)
            | LexError::MalformedLiteral(at) => Some(at),
            LexError::TooLong { .. } | LexError::TooManyStatements | LexError::TooManyLiterals => None,
        }
    }
}
