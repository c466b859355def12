//! Walks over the text token by token: the one place that knows where a token ends, in either dialect.
//! Sources: MySQL `sql_lex.cc`'s documented states, PostgreSQL "Lexical Structure"; checked against servers.
//! Out: meaning; a token here is a kind and a range. Invariant: always moves on, never reads behind the end.

use super::bytes::{self, Class, continues_word};
use super::word_table::pack;
use super::{Dialect, Flags, LexError, LiteralClass, MySqlModes, MySqlServer, PostgresModes, TokenKind};

/// A token as the cursor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The word's packed form, for the tables of keywords and functions.
    pub(super) packed: u64,
}

/// The place in the text, and what the place means.
pub(super) struct Cursor<'a> {
    pub(super) sql: &'a [u8],
    pub(super) at: usize,
    pub(super) modes: Modes,
    classes: &'static [Class; 256],
    /// Where an identifier must follow, even if it begins with a digit (MySQL `t.1a`).
    name_at: usize,
    /// Where the dot stands that joins two names (MySQL).
    dot_at: usize,
    /// The start of the executable comment we are in.
    pub(super) inside_comment: Option<usize>,
    /// Marks of executable comments since [`Cursor::take_marks`]: first byte and end.
    marks: Option<(usize, usize)>,
    /// Facts that comments betray since [`Cursor::take_flags`].
    flags: Flags,
}

/// The dialect, unpacked for quick questions.
#[derive(Clone, Copy)]
pub(super) struct Modes {
    pub(super) mysql: bool,
    pub(super) double_quote_is_name: bool,
    pub(super) backslash: bool,
    pub(super) server: MySqlServer,
}

impl From<Dialect> for Modes {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::MySql(MySqlModes { ansi_quotes, no_backslash_escapes, server }) => {
                Modes { mysql: true, double_quote_is_name: ansi_quotes, backslash: !no_backslash_escapes, server }
            }
            Dialect::Postgres(PostgresModes { standard_conforming_strings }) => Modes {
                mysql: false,
                double_quote_is_name: true,
                backslash: !standard_conforming_strings,
                server: MySqlServer::Unknown,
            },
        }
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a [u8], dialect: Dialect) -> Self {
        let modes = Modes::from(dialect);
        let classes = if modes.mysql { &bytes::MYSQL } else { &bytes::POSTGRES };
        let nowhere = usize::MAX;
        Cursor {
            sql,
            at: 0,
            modes,
            classes,
            name_at: nowhere,
            dot_at: nowhere,
            inside_comment: None,
            marks: None,
            flags: Flags::NONE,
        }
    }

    /// The byte `ahead` of the current one; 0 behind the end.
    #[inline]
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.sql.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The byte at `at`; 0 behind the end.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.sql.get(at).copied().unwrap_or(0)
    }

    /// The range that the marks of executable comments cover since the last call.
    pub(super) fn take_marks(&mut self) -> Option<(usize, usize)> {
        self.marks.take()
    }

    /// What comments betrayed since the last call.
    pub(super) fn take_flags(&mut self) -> Flags {
        std::mem::take(&mut self.flags)
    }

    #[inline]
    pub(super) fn token(&mut self, kind: TokenKind, start: usize, end: usize) -> Raw {
        self.at = end;
        Raw { kind, start, end, packed: 0 }
    }

    /// The next token, None at the end of the text.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Raw>, LexError> {
        loop {
            let start = self.at;
            let Some(&byte) = self.sql.get(start) else {
                return match self.inside_comment {
                    Some(at) => Err(LexError::UnterminatedComment(at as u32)),
                    None => Ok(None),
                };
            };
            let kind = match self.classes[byte as usize] {
                Class::Space => {
                    self.at += 1;
                    continue;
                }
                Class::Word => return self.word(start).map(Some),
                Class::Digit => return Ok(Some(self.number(start))),
                Class::Left => TokenKind::LeftParenthesis,
                Class::Right => TokenKind::RightParenthesis,
                Class::Comma => TokenKind::Comma,
                Class::Semicolon => TokenKind::Semicolon,
                Class::Dot => return Ok(Some(self.dot(start))),
                Class::Quote => {
                    return self.string(start, start, self.modes.backslash, LiteralClass::String).map(Some);
                }
                Class::DoubleQuote if self.modes.double_quote_is_name => {
                    return self.quoted_name(start, start).map(Some);
                }
                Class::DoubleQuote => {
                    return self.string(start, start, self.modes.backslash, LiteralClass::String).map(Some);
                }
                Class::Backtick => return self.quoted_name(start, start).map(Some),
                Class::Question if self.modes.mysql => TokenKind::Placeholder,
                Class::Slash if self.peek(1) == b'*' => match self.comment(start)? {
                    Some(hint) => return Ok(Some(hint)),
                    None => continue,
                },
                Class::Minus if self.begins_line_comment(start) => {
                    self.skip_line();
                    continue;
                }
                Class::Sharp if self.modes.mysql => {
                    self.skip_line();
                    continue;
                }
                Class::Star if self.inside_comment.is_some() && self.peek(1) == b'/' => {
                    self.close_executable();
                    continue;
                }
                Class::At if self.modes.mysql => return self.variable(start).map(Some),
                Class::Dollar => return self.dollar(start).map(Some),
                Class::Colon => {
                    let second = self.peek(1);
                    let pair = second == b'=' || (second == b':' && !self.modes.mysql);
                    return Ok(Some(self.token(TokenKind::Operator, start, start + 1 + usize::from(pair))));
                }
                _ => return Ok(Some(self.operator(start))),
            };
            return Ok(Some(self.token(kind, start, start + 1)));
        }
    }

    /// Remembers a mark of an executable comment, which belongs to the statement although it is no token.
    pub(super) fn mark(&mut self, start: usize, end: usize) {
        let first = self.marks.map_or(start, |(first, _)| first);
        self.marks = Some((first, end));
    }

    pub(super) fn note(&mut self, flag: Flags) {
        self.flags.set(flag);
    }

    #[inline(always)]
    fn word(&mut self, start: usize) -> Result<Raw, LexError> {
        let mut packed = 0;
        let mut end = start;
        while let Some(&byte) = self.sql.get(end) {
            if !continues_word(byte) {
                break;
            }
            packed = pack(packed, byte);
            end += 1;
        }
        let next = self.byte(end);
        if self.modes.mysql {
            if next == b'.' && continues_word(self.byte(end + 1)) {
                self.dot_at = end;
            }
            if next == b'\''
                && end - start == 1
                && start != self.name_at
                && let Some(literal) = self.mysql_prefixed(start)?
            {
                return Ok(literal);
            }
        } else if end - start == 1
            && matches!(next, b'\'' | b'&')
            && let Some(literal) = self.postgres_prefixed(start)?
        {
            return Ok(literal);
        }
        self.at = end;
        Ok(Raw { kind: TokenKind::Word, start, end, packed })
    }

    /// `.`, or a number that begins with it.
    fn dot(&mut self, start: usize) -> Raw {
        if start == self.dot_at {
            self.name_at = start + 1;
            return self.token(TokenKind::Dot, start, start + 1);
        }
        let next = self.peek(1);
        if next.is_ascii_digit() {
            return self.number(start);
        }
        if next == b'.' && !self.modes.mysql {
            return self.token(TokenKind::Operator, start, start + 2);
        }
        self.token(TokenKind::Dot, start, start + 1)
    }

    fn digits(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    /// A number at `start`, or what MySQL reads as a name that begins with digits.
    #[inline]
    fn number(&mut self, start: usize) -> Raw {
        if start == self.name_at {
            return self.name_with_digits(start);
        }
        if self.byte(start) == b'0'
            && let Some(literal) = self.based_number(start)
        {
            return literal;
        }
        let mut end = self.digits(start);
        let mut class = LiteralClass::Int;
        if self.modes.mysql && end > start && continues_word(self.byte(end)) {
            return match self.exponent(end) {
                Some(end) => self.token(TokenKind::Literal(LiteralClass::Float), start, end),
                None => self.name_with_digits(start),
            };
        }
        if !self.modes.mysql && self.byte(end) == b'_' && self.byte(end + 1).is_ascii_digit() {
            while self.byte(end).is_ascii_digit() || (self.byte(end) == b'_' && self.byte(end + 1).is_ascii_digit()) {
                end += 1;
            }
            class = LiteralClass::Hex;
        }
        if self.byte(end) == b'.' && (self.modes.mysql || self.byte(end + 1) != b'.') {
            end = self.digits(end + 1);
            class = LiteralClass::Decimal;
        }
        if let Some(after) = self.exponent(end) {
            return self.token(TokenKind::Literal(LiteralClass::Float), start, after);
        }
        if class == LiteralClass::Int && !fits_i64(self.sql.get(start..end).unwrap_or_default()) {
            class = LiteralClass::BigInt;
        }
        self.token(TokenKind::Literal(class), start, end)
    }

    /// The end of an exponent that begins at `at`, if there is one.
    fn exponent(&self, at: usize) -> Option<usize> {
        if !matches!(self.byte(at), b'e' | b'E') {
            return None;
        }
        let sign = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
        let first = at + 1 + sign;
        self.byte(first).is_ascii_digit().then(|| self.digits(first))
    }

    fn name_with_digits(&mut self, start: usize) -> Raw {
        let mut end = start;
        let mut packed = 0;
        while continues_word(self.byte(end)) {
            packed = pack(packed, self.byte(end));
            end += 1;
        }
        if self.modes.mysql && self.byte(end) == b'.' && continues_word(self.byte(end + 1)) {
            self.dot_at = end;
        }
        self.at = end;
        Raw { kind: TokenKind::Word, start, end, packed }
    }

    /// `0x1f`, `0b01`; in PostgreSQL also `0o17`, any case and underscores.
    fn based_number(&mut self, start: usize) -> Option<Raw> {
        let letter = self.byte(start + 1);
        let (class, is_digit): (_, fn(&u8) -> bool) = match letter {
            b'x' => (LiteralClass::Hex, u8::is_ascii_hexdigit),
            b'b' => (LiteralClass::Bit, |byte| matches!(byte, b'0' | b'1')),
            b'X' if !self.modes.mysql => (LiteralClass::Hex, u8::is_ascii_hexdigit),
            b'o' | b'O' if !self.modes.mysql => (LiteralClass::Hex, |byte| matches!(byte, b'0'..=b'7')),
            b'B' if !self.modes.mysql => (LiteralClass::Hex, |byte| matches!(byte, b'0' | b'1')),
            _ => return None,
        };
        let class = if self.modes.mysql { class } else { LiteralClass::Hex };
        let mut end = start + 2;
        while is_digit(&self.byte(end)) || (!self.modes.mysql && self.byte(end) == b'_') {
            end += 1;
        }
        if end == start + 2 || (self.modes.mysql && continues_word(self.byte(end))) {
            return self.modes.mysql.then(|| self.name_with_digits(start));
        }
        Some(self.token(TokenKind::Literal(class), start, end))
    }

    /// `@x`, `` @`x` ``, `@@x`, `@@global.x`.
    fn variable(&mut self, start: usize) -> Result<Raw, LexError> {
        let system = self.peek(1) == b'@';
        let kind = if system { TokenKind::SystemVariable } else { TokenKind::UserVariable };
        let mut end = start + 1 + usize::from(system);
        match self.byte(end) {
            b'`' => end = self.end_of_quoted(end, false).ok_or(LexError::UnterminatedIdentifier(start as u32))?,
            quote @ (b'\'' | b'"') if !system => {
                let escapes = self.modes.backslash && !(quote == b'"' && self.modes.double_quote_is_name);
                end = self.end_of_quoted(end, escapes).ok_or(LexError::UnterminatedString(start as u32))?;
            }
            _ => {
                while continues_word(self.byte(end)) || self.byte(end) == b'.' {
                    end += 1;
                }
                if system && self.byte(end) == b'`' && self.byte(end.wrapping_sub(1)) == b'.' {
                    end = self.end_of_quoted(end, false).ok_or(LexError::UnterminatedIdentifier(start as u32))?;
                }
            }
        }
        Ok(self.token(kind, start, end))
    }

    fn operator(&mut self, start: usize) -> Raw {
        let length = if self.modes.mysql { self.mysql_operator(start) } else { self.postgres_operator(start) };
        self.token(TokenKind::Operator, start, start + length)
    }

    fn mysql_operator(&self, start: usize) -> usize {
        let rest = self.sql.get(start..).unwrap_or_default();
        for text in [&b"<=>"[..], b"->>"] {
            if rest.starts_with(text) {
                return text.len();
            }
        }
        for text in [b"<=", b">=", b"<>", b"!=", b"<<", b">>", b"&&", b"||", b"->", b"\\N"] {
            if rest.starts_with(text) {
                return text.len();
            }
        }
        1
    }

    /// The longest operator, shortened as PostgreSQL does: not into a comment, and no trailing sign
    /// unless a character is in it that standard SQL operators lack.
    fn postgres_operator(&self, start: usize) -> usize {
        let mut end = start;
        let mut special = false;
        loop {
            let (byte, next) = (self.byte(end), self.byte(end + 1));
            if !bytes::is_operator(byte) || (byte == b'-' && next == b'-') || (byte == b'/' && next == b'*') {
                break;
            }
            special |= matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
            end += 1;
        }
        if !special {
            while end > start + 1 && matches!(self.byte(end - 1), b'+' | b'-') {
                end -= 1;
            }
        }
        (end - start).max(1)
    }
}

fn fits_i64(digits: &[u8]) -> bool {
    if digits.len() < 19 {
        return true;
    }
    let value = digits
        .iter()
        .try_fold(0i64, |value, byte| value.checked_mul(10)?.checked_add(i64::from(byte.wrapping_sub(b'0'))));
    value.is_some()
}
