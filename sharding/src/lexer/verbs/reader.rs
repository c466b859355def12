//! Reads the tokens of one short statement from left to right. Out: what the statements mean.

use super::Name;
use crate::lexer::cursor::{Cursor, Raw};
use crate::lexer::{Dialect, LexError, Span, Token, TokenKind, identifier_value, literal_value};

/// PostgreSQL cuts names to this many bytes.
const NAME_BYTES_MAX: usize = 63;
/// No statement that the session obeys is longer; a longer one is for a server.
const TOKENS_MAX: usize = 10_000;

/// A place in the tokens of a statement.
pub(super) struct Reader<'a> {
    sql: &'a [u8],
    dialect: Dialect,
    list: Vec<Token>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sql: &'a [u8], span: Span, dialect: Dialect) -> Result<Self, LexError> {
        let sql = sql.get(..span.end as usize).unwrap_or(sql);
        let mut cursor = Cursor::new(sql, dialect);
        cursor.at = span.start as usize;
        let mut list = Vec::new();
        let mut raw = Raw::EMPTY;
        while cursor.next(&mut raw)? {
            if matches!(raw.kind, TokenKind::Hint | TokenKind::MeshHint) {
                continue;
            }
            let span = Span { start: raw.start as u32, end: raw.end as u32 };
            list.push(Token { kind: raw.kind, span, number: 0 });
            if list.len() > TOKENS_MAX {
                list.clear();
                break;
            }
        }
        Ok(Reader { sql, dialect, list, at: 0 })
    }

    /// Runs `read` from the first token.
    pub(super) fn again<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.at = 0;
        read(self)
    }

    pub(super) fn mysql(&self) -> bool {
        self.dialect.is_mysql()
    }

    /// The token `ahead` of the next one.
    pub(super) fn peek(&self, ahead: usize) -> Option<&Token> {
        self.list.get(self.at + ahead)
    }

    pub(super) fn text(&self, token: &Token) -> &'a [u8] {
        token.span.of(self.sql)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.list.get(self.at).copied()?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.list.len()
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn go_to(&mut self, place: usize) {
        self.at = place;
    }

    /// The value when nothing follows it.
    pub(super) fn finish<T>(&self, value: T) -> Option<T> {
        self.at_end().then_some(value)
    }

    pub(super) fn sees(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| {
            token.kind == TokenKind::Word && self.text(token).eq_ignore_ascii_case(word.as_bytes())
        })
    }

    /// Takes the words when all of them follow.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(ahead, word)| self.sees(ahead, word));
        if all {
            self.at += words.len();
        }
        all
    }

    pub(super) fn eat_one_of(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(&[word]))
    }

    pub(super) fn sees_mark(&self, ahead: usize, mark: &[u8]) -> bool {
        self.peek(ahead).is_some_and(|token| {
            let is_mark = !matches!(token.kind, TokenKind::Word | TokenKind::Literal(_) | TokenKind::QuotedIdentifier);
            is_mark && self.text(token) == mark
        })
    }

    /// Takes an operator or punctuation.
    pub(super) fn eat_mark(&mut self, mark: &[u8]) -> bool {
        let is_mark = self.sees_mark(0, mark);
        self.at += usize::from(is_mark);
        is_mark
    }

    /// A name, folded as the dialect does.
    pub(super) fn name(&mut self) -> Option<Name> {
        let token = self.peek(0).copied()?;
        let mut text = match token.kind {
            TokenKind::Word if self.mysql() => self.text(&token).to_vec(),
            TokenKind::Word => self.text(&token).to_ascii_lowercase(),
            TokenKind::QuotedIdentifier => self.quoted_name(&token)?,
            _ => return None,
        };
        self.at += 1;
        let key = if self.mysql() {
            std::str::from_utf8(&text)
                .map_or_else(|_| text.to_ascii_lowercase(), |text| text.to_lowercase().into_bytes())
        } else {
            cut(&mut text);
            text.clone()
        };
        Some(Name { text, key, span: token.span })
    }

    fn quoted_name(&self, token: &Token) -> Option<Vec<u8>> {
        let text = self.text(token);
        match text.first() {
            Some(b'u' | b'U') => {
                crate::lexer::value::unicode_escapes(&identifier_value(text.get(2..).unwrap_or_default()))
            }
            _ => Some(identifier_value(text)),
        }
    }

    /// A string literal's value.
    pub(super) fn string(&mut self) -> Option<Vec<u8>> {
        let token = self.peek(0).copied()?;
        let TokenKind::Literal(class) = token.kind else { return None };
        let value = literal_value(self.text(&token), class, self.dialect)?;
        self.at += 1;
        Some(value)
    }

    /// From the next token to the end, None when nothing is left.
    pub(super) fn rest(&self) -> Option<Span> {
        self.between(self.at, self.list.len())
    }

    /// The text of the tokens `from..to`, None when there are none.
    pub(super) fn between(&self, from: usize, to: usize) -> Option<Span> {
        if from >= to {
            return None;
        }
        let (first, last) = (self.list.get(from)?, self.list.get(to - 1)?);
        Some(Span { start: first.span.start, end: last.span.end })
    }

    pub(super) fn tokens(&self, from: usize, to: usize) -> &[Token] {
        self.list.get(from..to).unwrap_or_default()
    }

    /// Moves to the next comma outside of parentheses, or to the end.
    pub(super) fn skip_to_comma(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.peek(0) {
            match token.kind {
                TokenKind::LeftParenthesis => depth += 1,
                TokenKind::RightParenthesis => depth = depth.saturating_sub(1),
                TokenKind::Comma if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }
}

/// Cuts a name as PostgreSQL does, at a character's end.
fn cut(name: &mut Vec<u8>) {
    if name.len() <= NAME_BYTES_MAX {
        return;
    }
    let mut end = NAME_BYTES_MAX;
    while end > 0 && name.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    name.truncate(end);
}
