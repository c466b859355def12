//! What a literal stands for: its bytes without quotes, prefix and escapes, as the server reads it.
//! Out: conversion to types, character sets. Invariant: None rather than a guess.

use super::cursor::{Cursor, Modes};
use super::{Dialect, LiteralClass};

/// The value of a string, hex or bit literal given as it was written. None when it is none of these, or malformed.
/// MySQL `x'..'` and `b'..'` are bytes; PostgreSQL's are bit strings, for which this is None.
pub fn literal_value(text: &[u8], class: LiteralClass, dialect: Dialect) -> Option<Vec<u8>> {
    let modes = Modes::from(dialect);
    match class {
        LiteralClass::String | LiteralClass::National if modes.mysql => mysql_string(text, modes),
        LiteralClass::String | LiteralClass::National => postgres_string(text, dialect, modes),
        LiteralClass::Hex if modes.mysql => hex(digits_of(text)?),
        LiteralClass::Bit if modes.mysql => bits(digits_of(text)?),
        _ => None,
    }
}

/// The name that a quoted identifier stands for; the text itself when it is not quoted. PostgreSQL's unquoted names are not folded here.
pub fn identifier_value(text: &[u8]) -> Vec<u8> {
    match text.first() {
        Some(&quote @ (b'`' | b'"')) => {
            let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
            undouble(inner, quote)
        }
        _ => text.to_vec(),
    }
}

fn undouble(inner: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        out.push(byte);
        at += if byte == quote && inner.get(at + 1) == Some(&quote) { 2 } else { 1 };
    }
    out
}

fn mysql_string(text: &[u8], modes: Modes) -> Option<Vec<u8>> {
    let text = match text.first()? {
        b'n' | b'N' => text.get(1..)?,
        _ => text,
    };
    let quote = *text.first()?;
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        match byte {
            b'\\' if modes.backslash => {
                let escaped = *inner.get(at)?;
                at += 1;
                match escaped {
                    b'0' => out.push(0),
                    b'b' => out.push(8),
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'Z' => out.push(0x1a),
                    b'%' | b'_' => out.extend([b'\\', escaped]),
                    other => out.push(other),
                }
            }
            byte => {
                if byte == quote && inner.get(at) == Some(&quote) {
                    at += 1;
                }
                out.push(byte);
            }
        }
    }
    Some(out)
}

/// The digits of `x'1f'`, `0x1f`, `b'01'`, `0b01`.
pub(super) fn digits_of(text: &[u8]) -> Option<&[u8]> {
    if text.get(1) == Some(&b'\'') { text.get(2..text.len().checked_sub(1)?) } else { text.get(2..) }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let values: Option<Vec<u8>> = digits.iter().map(|digit| char::from(*digit).to_digit(16).map(|v| v as u8)).collect();
    let values = values?;
    let (odd, even) = values.split_at(values.len() % 2);
    let pairs = even.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    Some(odd.iter().copied().chain(pairs).collect())
}

fn bits(digits: &[u8]) -> Option<Vec<u8>> {
    let first = digits.len() % 8;
    let byte = |bits: &[u8]| bits.iter().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit == b'1'));
    let (head, rest) = digits.split_at_checked(first)?;
    Some((!head.is_empty()).then(|| byte(head)).into_iter().chain(rest.chunks(8).map(byte)).collect())
}

fn postgres_string(text: &[u8], dialect: Dialect, modes: Modes) -> Option<Vec<u8>> {
    if text.first() == Some(&b'$') {
        let tag = text.iter().skip(1).position(|byte| *byte == b'$')? + 2;
        return Some(text.get(tag..text.len().checked_sub(tag)?)?.to_vec());
    }
    let (prefix, quote) = match text.first()?.to_ascii_lowercase() {
        b'\'' => (b' ', 0),
        b'u' => (b'u', 2),
        letter => (letter, 1),
    };
    let escapes = prefix == b'e' || (prefix != b'u' && modes.backslash);
    let cursor = Cursor::new(text, dialect);
    let mut out = Vec::with_capacity(text.len());
    let mut at = quote;
    loop {
        let end = cursor.end_of_quoted(at, escapes)?;
        let inner = text.get(at + 1..end.checked_sub(1)?)?;
        out.extend_from_slice(&undouble_outside_escapes(inner, escapes));
        let Some(again) = text.get(end..).and_then(next_segment) else { break };
        at = end + again;
    }
    match prefix {
        b'u' => unicode_escapes(&out),
        _ if escapes => backslash_escapes(&out),
        _ => Some(out),
    }
}

/// The place of the next quote behind white space and line comments.
fn next_segment(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'\'' => return Some(at),
            b'-' => at += rest.get(at..)?.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?,
            _ => at += 1,
        }
    }
}

fn undouble_outside_escapes(inner: &[u8], escapes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        out.push(byte);
        at += 1;
        if byte == b'\\' && escapes {
            out.extend(inner.get(at));
            at += 1;
        } else if byte == b'\'' {
            at += 1;
        }
    }
    out
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// Takes `count` hex digits at `at`.
fn hex_number(text: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = text.get(at..at + count)?;
    digits.iter().all(u8::is_ascii_hexdigit).then(|| number(digits, 16)).flatten()
}

fn push_char(out: &mut Vec<u8>, code: u32) -> Option<()> {
    let character = char::from_u32(code).filter(|c| *c != '\0')?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

/// A code point of `count` digits at `at`, or a pair of surrogates each behind `lead`. Gives it and the place behind it.
fn code_point(text: &[u8], at: usize, count: usize, lead: &[u8]) -> Option<(u32, usize)> {
    let first = hex_number(text, at, count)?;
    let end = at + count;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((first, end));
    }
    let second_at = end + lead.len();
    if text.get(end..second_at)? != lead {
        return None;
    }
    let second = hex_number(text, second_at, 4).filter(|code| (0xDC00..0xE000).contains(code))?;
    Some((0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), second_at + 4))
}

fn backslash_escapes(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escaped = *text.get(at)?;
        at += 1;
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let more = text.iter().skip(at).take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                out.push((number(text.get(at - 1..at + more)?, 8)? & 0xff) as u8);
                at += more;
            }
            b'x' => {
                let digits = text.iter().skip(at).take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                match digits {
                    0 => out.push(b'x'),
                    _ => out.push(number(text.get(at..at + digits)?, 16)? as u8),
                }
                at += digits;
            }
            b'u' | b'U' => {
                let count = if escaped == b'u' { 4 } else { 8 };
                let (code, end) = code_point(text, at, count, b"\\u")?;
                push_char(&mut out, code)?;
                at = end;
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// `\0041`, `\+000041`, `\\`. An own escape character (UESCAPE) is a token of its own that the caller must look for.
pub(super) fn unicode_escapes(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (byte, text.get(at)) {
            (b'\\', Some(b'\\')) => {
                out.push(b'\\');
                at += 1;
            }
            (b'\\', Some(b'+')) => {
                push_char(&mut out, hex_number(text, at + 1, 6)?)?;
                at += 7;
            }
            (b'\\', _) => {
                let (code, end) = code_point(text, at, 4, b"\\")?;
                push_char(&mut out, code)?;
                at = end;
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}
