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

impl Raw {
    /// Room for the first token.
    pub(super) const EMPTY: Raw = Raw { kind: TokenKind::Semicolon, start: 0, end: 0, packed: 0 };
}

/// The place in the text, and what the place means.
pub(super) struct Cursor<'a> {
    pub(super) sql: &'a [u8],
    pub(super) at: usize,
    pub(super) modes: Modes,
    classes: &'static [Class; 256],
    /// Where an identifier must follow, even if it begins with a digit (MySQL `t.1a`).
    pub(super) name_at: usize,
    /// Where the dot stands that joins two names (MySQL).
    pub(super) dot_at: usize,
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

    /// Writes the next token to `raw`; false at the end of the text. (A token that is returned inside of an `Option` is
    /// copied in pieces that the processor cannot forward: a third of the whole scan was spent on that.)
    #[inline(always)]
    pub(super) fn next(&mut self, raw: &mut Raw) -> Result<bool, LexError> {
        loop {
            let start = self.at;
            let Some(&byte) = self.sql.get(start) else {
                return match self.inside_comment {
                    Some(at) => Err(LexError::UnterminatedComment(at as u32)),
                    None => Ok(false),
                };
            };
            let kind = match self.classes[byte as usize] {
                Class::Space => {
                    self.at += 1;
                    continue;
                }
                Class::Word => {
                    self.word(start, raw)?;
                    return Ok(true);
                }
                Class::Digit => {
                    self.digits_or_number(start, byte, raw);
                    return Ok(true);
                }
                Class::Left => TokenKind::LeftParenthesis,
                Class::Right => TokenKind::RightParenthesis,
                Class::Comma => TokenKind::Comma,
                Class::Semicolon => TokenKind::Semicolon,
                Class::Dot => {
                    *raw = self.dot(start);
                    return Ok(true);
                }
                Class::Quote => {
                    *raw = self.string(start, start, self.modes.backslash, LiteralClass::String)?;
                    return Ok(true);
                }
                Class::DoubleQuote if !self.modes.double_quote_is_name => {
                    *raw = self.string(start, start, self.modes.backslash, LiteralClass::String)?;
                    return Ok(true);
                }
                Class::DoubleQuote | Class::Backtick => {
                    *raw = self.quoted_name(start, start)?;
                    return Ok(true);
                }
                Class::Question if self.modes.mysql => TokenKind::Placeholder,
                Class::Slash if self.peek(1) == b'*' => match self.comment(start)? {
                    Some(hint) => {
                        *raw = hint;
                        return Ok(true);
                    }
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
                Class::At if self.modes.mysql => {
                    *raw = self.variable(start)?;
                    return Ok(true);
                }
                Class::Dollar => {
                    *raw = self.dollar(start)?;
                    return Ok(true);
                }
                Class::Colon => {
                    let second = self.peek(1);
                    let pair = second == b'=' || (second == b':' && !self.modes.mysql);
                    self.set(raw, TokenKind::Operator, start, start + 1 + usize::from(pair));
                    return Ok(true);
                }
                _ => {
                    let end = start + self.operator(start);
                    self.set(raw, TokenKind::Operator, start, end);
                    return Ok(true);
                }
            };
            self.set(raw, kind, start, start + 1);
            return Ok(true);
        }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, raw: &mut Raw, kind: TokenKind, start: usize, end: usize) {
        self.at = end;
        (raw.kind, raw.start, raw.end, raw.packed) = (kind, start, end, 0);
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
    fn word(&mut self, start: usize, raw: &mut Raw) -> Result<(), LexError> {
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
                *raw = literal;
                return Ok(());
            }
        } else if end - start == 1
            && matches!(next, b'\'' | b'&')
            && let Some(literal) = self.postgres_prefixed(start)?
        {
            *raw = literal;
            return Ok(());
        }
        self.at = end;
        (raw.kind, raw.start, raw.end, raw.packed) = (TokenKind::Word, start, end, packed);
        Ok(())
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

    #[inline(always)]
    fn operator(&self, start: usize) -> usize {
        if self.modes.mysql { self.mysql_operator(start) } else { self.postgres_operator(start) }
    }

    fn mysql_operator(&self, start: usize) -> usize {
        match (self.byte(start), self.byte(start + 1), self.byte(start + 2)) {
            (b'<', b'=', b'>') | (b'-', b'>', b'>') => 3,
            (b'<', b'=' | b'>' | b'<', _) | (b'>', b'=' | b'>', _) | (b'!', b'=', _) => 2,
            (b'&', b'&', _) | (b'|', b'|', _) | (b'-', b'>', _) | (b'\\', b'N', _) => 2,
            _ => 1,
        }
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
