//! Where strings, quoted names and comments end. Out: what stands in them (see `value.rs`).

use super::cursor::{Cursor, Raw};
use super::{Flags, LexError, LiteralClass, MySqlServer, TokenKind};
use memchr::{memchr, memchr2, memmem};

impl Cursor<'_> {
    /// A string whose token starts at `start` (at its prefix) and whose quote is at `quote`.
    #[inline]
    pub(super) fn string(
        &mut self,
        start: usize,
        quote: usize,
        escapes: bool,
        class: LiteralClass,
    ) -> Result<Raw, LexError> {
        let unterminated = LexError::UnterminatedString(start as u32);
        let mut end = self.end_of_quoted(quote, escapes).ok_or(unterminated)?;
        if !self.modes.mysql {
            while let Some(again) = self.continuation(end) {
                end = self.end_of_quoted(again, escapes).ok_or(unterminated)?;
            }
        }
        Ok(self.token(TokenKind::Literal(class), start, end))
    }

    pub(super) fn quoted_name(&mut self, start: usize, quote: usize) -> Result<Raw, LexError> {
        let end = self.end_of_quoted(quote, false).ok_or(LexError::UnterminatedIdentifier(start as u32))?;
        Ok(self.token(TokenKind::QuotedIdentifier, start, end))
    }

    /// One past the closing quote of what opens at `quote`; a doubled quote is a part of it.
    #[inline]
    pub(super) fn end_of_quoted(&self, quote: usize, escapes: bool) -> Option<usize> {
        let mark = self.byte(quote);
        let mut at = quote + 1;
        loop {
            let rest = self.sql.get(at..)?;
            let found = if escapes { memchr2(mark, b'\\', rest)? } else { memchr(mark, rest)? };
            at += found;
            let escaped = escapes && self.byte(at) == b'\\';
            if !escaped && self.byte(at + 1) != mark {
                return Some(at + 1);
            }
            at += 2;
        }
    }

    /// PostgreSQL: white space with a line break, then a quote, continues a string. The place of that quote.
    fn continuation(&self, end: usize) -> Option<usize> {
        let mut at = end;
        let mut newline = false;
        loop {
            match self.byte(at) {
                b'\n' | b'\r' => {
                    newline = true;
                    at += 1;
                }
                b' ' | b'\t' | 0x0b | 0x0c => at += 1,
                b'-' if self.byte(at + 1) == b'-' => {
                    let rest = self.sql.get(at..)?;
                    at += memchr2(b'\n', b'\r', rest)?;
                }
                b'\'' if newline => return Some(at),
                _ => return None,
            }
        }
    }

    /// MySQL `n'..'`, `x'..'`, `b'..'`: the letter at `start`, a quote behind it.
    pub(super) fn mysql_prefixed(&mut self, start: usize) -> Result<Option<Raw>, LexError> {
        let quote = start + 1;
        let (class, is_digit): (_, fn(&u8) -> bool) = match self.byte(start) {
            b'n' | b'N' => return self.string(start, quote, self.modes.backslash, LiteralClass::National).map(Some),
            b'x' | b'X' => (LiteralClass::Hex, u8::is_ascii_hexdigit),
            b'b' | b'B' => (LiteralClass::Bit, |byte| matches!(byte, b'0' | b'1')),
            _ => return Ok(None),
        };
        let rest = self.sql.get(quote + 1..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| is_digit(byte)).count();
        let odd = class == LiteralClass::Hex && digits % 2 == 1;
        if rest.get(digits) != Some(&b'\'') || odd {
            return Err(LexError::MalformedLiteral(start as u32));
        }
        Ok(Some(self.token(TokenKind::Literal(class), start, quote + 1 + digits + 1)))
    }

    /// PostgreSQL `e'..'`, `n'..'`, `x'..'`, `b'..'`, `u&'..'`, `u&".."`: the letter at `start`.
    pub(super) fn postgres_prefixed(&mut self, start: usize) -> Result<Option<Raw>, LexError> {
        let next = self.byte(start + 1);
        let letter = self.byte(start).to_ascii_lowercase();
        let literal = match (letter, next) {
            (b'e', b'\'') => self.string(start, start + 1, true, LiteralClass::String)?,
            (b'n', b'\'') => self.string(start, start + 1, self.modes.backslash, LiteralClass::National)?,
            (b'x', b'\'') => self.string(start, start + 1, false, LiteralClass::Hex)?,
            (b'b', b'\'') => self.string(start, start + 1, false, LiteralClass::Bit)?,
            (b'u', b'&') if self.byte(start + 2) == b'\'' => {
                self.string(start, start + 2, false, LiteralClass::String)?
            }
            (b'u', b'&') if self.byte(start + 2) == b'"' => self.quoted_name(start, start + 2)?,
            _ => return Ok(None),
        };
        Ok(Some(literal))
    }

    /// PostgreSQL `$1`, `$tag$...$tag$`.
    pub(super) fn dollar(&mut self, start: usize) -> Result<Raw, LexError> {
        let mut end = start + 1;
        if self.byte(end).is_ascii_digit() {
            while self.byte(end).is_ascii_digit() {
                end += 1;
            }
            return Ok(self.token(TokenKind::Placeholder, start, end));
        }
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        while is_tag(self.byte(end)) {
            end += 1;
        }
        if self.byte(end) != b'$' {
            return Ok(self.token(TokenKind::Operator, start, start + 1));
        }
        end += 1;
        let tag = self.sql.get(start..end).unwrap_or_default();
        let rest = self.sql.get(end..).unwrap_or_default();
        let length = memmem::find(rest, tag).ok_or(LexError::UnterminatedString(start as u32))?;
        let close = end + length + tag.len();
        Ok(self.token(TokenKind::Literal(LiteralClass::String), start, close))
    }

    /// MySQL wants white space, a control character or the end behind `--`.
    #[inline]
    pub(super) fn begins_line_comment(&self, start: usize) -> bool {
        if self.byte(start + 1) != b'-' {
            return false;
        }
        !self.modes.mysql || self.byte(start + 2) <= b' ' || self.byte(start + 2) == 0x7f
    }

    pub(super) fn skip_line(&mut self) {
        let rest = self.sql.get(self.at..).unwrap_or_default();
        let end = if self.modes.mysql { memchr(b'\n', rest) } else { memchr2(b'\n', b'\r', rest) };
        self.at = end.map_or(self.sql.len(), |end| self.at + end + 1);
    }

    pub(super) fn close_executable(&mut self) {
        self.inside_comment = None;
        self.mark(self.at, self.at + 2);
        self.at += 2;
    }

    /// A comment at `start`: skipped, entered (executable), or given as a token (hints).
    pub(super) fn comment(&mut self, start: usize) -> Result<Option<Raw>, LexError> {
        if self.modes.mysql && self.enter_executable(start)? {
            return Ok(None);
        }
        let nesting = if self.modes.mysql { 0 } else { usize::MAX };
        let end = self.end_of_comment(start, nesting)?;
        let body = self.sql.get(start + 2..end.saturating_sub(2)).unwrap_or_default();
        if body.first() == Some(&b'+') {
            self.note(Flags::HINT);
            return Ok(Some(self.token(TokenKind::Hint, start, end)));
        }
        if mesh_hint(body).is_some() {
            self.note(Flags::MESH_HINT);
            return Ok(Some(self.token(TokenKind::MeshHint, start, end)));
        }
        self.at = end;
        Ok(None)
    }

    /// One past the end of the comment at `start`, in which comments may be nested so many levels deep.
    fn end_of_comment(&self, start: usize, nesting: usize) -> Result<usize, LexError> {
        let mut at = start + 2;
        let mut depth = 0usize;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            at += memchr2(b'*', b'/', rest).ok_or(LexError::UnterminatedComment(start as u32))?;
            match (self.byte(at), self.byte(at + 1)) {
                (b'*', b'/') if depth == 0 => return Ok(at + 2),
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                }
                (b'/', b'*') if depth < nesting => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        }
    }

    /// `/*! ... */`, `/*!80013 ... */`, `/*M! ... */`: true when it was handled, either way.
    fn enter_executable(&mut self, start: usize) -> Result<bool, LexError> {
        let maria = matches!(self.peek(2), b'M') && self.peek(3) == b'!';
        if !maria && self.peek(2) != b'!' {
            return Ok(false);
        }
        if maria && matches!(self.modes.server, MySqlServer::MySql(_)) {
            return Ok(false);
        }
        let first = start + 3 + usize::from(maria);
        let digits = (0..6).take_while(|ahead| self.byte(first + ahead).is_ascii_digit()).count();
        let (version, end) = match digits {
            5 | 6 => (number(self.sql.get(first..first + digits).unwrap_or_default()), first + digits),
            _ => (0, first),
        };
        let executed = match self.modes.server {
            _ if version == 0 && !maria => true,
            MySqlServer::Unknown => {
                self.note(Flags::CONDITIONAL_COMMENT);
                true
            }
            MySqlServer::MySql(server) => version <= server,
            MySqlServer::MariaDb(server) => version <= server && (maria || !(50_700..=99_999).contains(&version)),
        };
        if !executed {
            let close = self.end_of_comment(start, 1)?;
            self.mark(start, close);
            self.at = close;
            return Ok(true);
        }
        self.note(Flags::EXECUTABLE_COMMENT);
        self.inside_comment = Some(start);
        self.mark(start, end);
        self.at = end;
        Ok(true)
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte.wrapping_sub(b'0')))
}

/// What follows `dbmesh:` in a comment's body.
pub(super) fn mesh_hint(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    let (word, rest) = body.split_at_checked(7)?;
    if !word.eq_ignore_ascii_case(b"dbmesh:") {
        return None;
    }
    Some(rest)
}
