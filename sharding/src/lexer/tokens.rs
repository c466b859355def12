//! The slow path: every token of a text with its bytes, for planning and splicing.
//! Invariant: literals come in the same order and at the same bytes as [`super::Scan`] finds them.

use super::cursor::{Cursor, Raw};
use super::{Dialect, LexError, LiteralClass, MAX_SQL_BYTES, Span, literal_value};

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
    /// For a literal its number among the literals, for a placeholder its number (both from 0), else 0.
    pub number: u32,
}

/// The tokens of a text.
#[derive(Clone, Debug)]
pub struct Tokens {
    sql: Box<[u8]>,
    dialect: Dialect,
    list: Vec<Token>,
}

/// Lexes the text, which may hold several statements.
///
/// # Errors
/// [`LexError`] as [`super::Scan::scan`] gives it, but for `;` inside executable comments, which are tokens here.
pub fn tokens(sql: &[u8], dialect: Dialect) -> Result<Tokens, LexError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(LexError::TooLong { bytes: sql.len(), limit: MAX_SQL_BYTES });
    }
    let mut cursor = Cursor::new(sql, dialect);
    let mut list = Vec::with_capacity(sql.len() / 4);
    let (mut literals, mut placeholders) = (0, 0);
    let mut raw = Raw::EMPTY;
    while cursor.next(&mut raw)? {
        let span = Span { start: raw.start as u32, end: raw.end as u32 };
        let number = match raw.kind {
            TokenKind::Literal(_) => next(&mut literals),
            TokenKind::Placeholder if dialect.is_mysql() => next(&mut placeholders),
            TokenKind::Placeholder => dollar_number(span.of(sql)),
            _ => 0,
        };
        list.push(Token { kind: raw.kind, span, number });
    }
    Ok(Tokens { sql: sql.into(), dialect, list })
}

fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter += 1;
    number
}

/// `$3` is 2; `$0` and numbers out of range are `u32::MAX`, which no bound value has.
fn dollar_number(text: &[u8]) -> u32 {
    let digits = std::str::from_utf8(text.get(1..).unwrap_or_default()).unwrap_or_default();
    digits.parse::<u32>().ok().and_then(|number| number.checked_sub(1)).unwrap_or(u32::MAX)
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

    /// True when the `index`-th token is this word, ASCII case ignored, and not quoted.
    pub fn is_word(&self, index: usize, word: &str) -> bool {
        self.list.get(index).is_some_and(|token| {
            token.kind == TokenKind::Word && self.text(token).eq_ignore_ascii_case(word.as_bytes())
        })
    }

    /// The literals in order, with their indices in [`Tokens::list`]: the n-th is the n-th of the scan.
    pub fn literals(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.list.iter().enumerate().filter(|(_, token)| matches!(token.kind, TokenKind::Literal(_)))
    }

    /// The token (index into [`Tokens::list`]) at which a span of the syntax tree starts.
    pub fn at(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let index = usize::try_from(span.start.line).ok()?.checked_sub(1)?;
        (index < self.list.len()).then_some(index)
    }

    /// The bytes of the one token at which a span of the syntax tree starts (identifiers, literals, placeholders).
    pub fn span_at(&self, span: sqlparser::tokenizer::Span) -> Option<Span> {
        self.list.get(self.at(span)?).map(|token| token.span)
    }

    /// The number of the literal (as in [`super::Scan::literals`]) at which a span of the syntax tree starts.
    pub fn literal_number(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let token = self.list.get(self.at(span)?)?;
        matches!(token.kind, TokenKind::Literal(_)).then_some(token.number as usize)
    }

    /// The number of the placeholder at which a span of the syntax tree starts, from 0: the n-th `?`, or n of `$n+1`.
    pub fn placeholder_number(&self, span: sqlparser::tokenizer::Span) -> Option<usize> {
        let token = self.list.get(self.at(span)?)?;
        (token.kind == TokenKind::Placeholder).then_some(token.number as usize)
    }

    /// The value of a string-like literal token without quotes and escapes, as the server reads it; see [`literal_value`].
    pub fn literal_value(&self, token: &Token) -> Option<Vec<u8>> {
        match token.kind {
            TokenKind::Literal(class) => literal_value(self.text(token), class, self.dialect),
            _ => None,
        }
    }
}
