//! Where numbers end and what class they are; in MySQL also names that begin with digits. Out: their values.

use super::bytes::continues_word;
use super::cursor::{Cursor, Raw};
use super::word_table::pack;
use super::{LiteralClass, TokenKind};

impl Cursor<'_> {
    fn digits(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    /// The short way for a few plain digits.
    #[inline(always)]
    pub(super) fn digits_or_number(&mut self, start: usize, first: u8, raw: &mut Raw) {
        let mut end = start + 1;
        while self.byte(end).is_ascii_digit() {
            end += 1;
        }
        let next = self.byte(end);
        if first == b'0' || end - start > 18 || next == b'.' || continues_word(next) || start == self.name_at {
            *raw = self.number(start);
        } else {
            self.set(raw, TokenKind::Literal(LiteralClass::Int), start, end);
        }
    }

    /// A number at `start`, or what MySQL reads as a name that begins with digits.
    pub(super) fn number(&mut self, start: usize) -> Raw {
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
