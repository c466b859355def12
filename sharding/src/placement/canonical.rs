//! A value in the canonical bytes of a key column: what the server would compare it as, or store it as; or the
//! admission that this is not certain.
//! Out: hashing. Invariant: when in doubt, [`Canonical::Uncertain`]: a route widens, a write is refused.

use std::ops::{Deref, RangeInclusive};

use super::key_type::{KeyKind, KeyType, TextRule};
use crate::schema::Protocol;
use crate::value::{Date, DateTime, Value};

/// What the server does with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Compares it with the column (`=`, `IN`).
    Compare,
    /// Stores it in the column.
    Store,
}

/// A value in the terms of a key column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// These bytes, for certain.
    Bytes(KeyBytes),
    /// NULL.
    Null,
    /// What the server makes of it depends on something not known here.
    Uncertain,
}

/// Canonical bytes. Short ones, as of integers and uuids, lie in place: a route is computed with every statement.
#[derive(Clone, Debug)]
pub enum KeyBytes {
    /// So many of these.
    Short([u8; SHORT], u8),
    /// Any number.
    Long(Vec<u8>),
}

const SHORT: usize = 16;

impl Deref for KeyBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for KeyBytes {}

impl From<i64> for KeyBytes {
    fn from(number: i64) -> Self {
        let mut bytes = [0; SHORT];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self::Short(bytes, 8)
    }
}

impl From<[u8; 16]> for KeyBytes {
    fn from(bytes: [u8; 16]) -> Self {
        Self::Short(bytes, 16)
    }
}

impl From<Vec<u8>> for KeyBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Long(bytes)
    }
}

impl From<String> for KeyBytes {
    fn from(text: String) -> Self {
        Self::Long(text.into_bytes())
    }
}

/// Integers up to here have a double of their own.
const EXACT_IN_A_DOUBLE: u128 = 1 << 53;
/// Longest decimal text looked at.
const DECIMAL_BYTES_MAX: usize = 1024;

impl KeyType {
    /// The canonical bytes of a value in this column.
    #[must_use]
    pub fn canonical(&self, value: &Value, used: Use) -> Canonical {
        if *value == Value::Null {
            return self.null(used);
        }
        if let (KeyKind::Int { min, max }, Value::Int(n)) = (self.kind, value) {
            return self.integer(*n, i128::from(min)..=i128::from(max), used);
        }
        let bytes = match self.kind {
            KeyKind::Int { min, max } => self.number(value).filter(|number| match used {
                Use::Compare => true,
                // Out of range is an error or, without strict mode, another number.
                Use::Store => number
                    .parse::<i128>()
                    .is_ok_and(|n| n >= i128::from(min) && n <= i128::from(max) && !(n == 0 && self.zero_means_next())),
            }),
            KeyKind::Decimal { whole, scale } => self.number(value).filter(|number| match used {
                Use::Compare => true,
                Use::Store => decimal_fits(number, whole, scale),
            }),
            KeyKind::Text { rule, length, ascii_only } => return text_bytes(value, rule, length, ascii_only, used),
            KeyKind::Bytes { fixed, length } => return self.bytes(value, fixed, length, used),
            KeyKind::Date => date(value).map(|d| date_text(&d)),
            KeyKind::DateTime { fraction } => self.date_time(value, fraction, used),
            KeyKind::Uuid => {
                return uuid(value).map_or(Canonical::Uncertain, |uuid| Canonical::Bytes(uuid.into()));
            }
            KeyKind::Bool => boolean(value).map(|b| i64::from(b).to_string()),
        };
        match (bytes, self.kind) {
            (None, _) => Canonical::Uncertain,
            (Some(text), KeyKind::Int { .. } | KeyKind::Decimal { .. } | KeyKind::Bool) => {
                Canonical::Bytes(text.parse::<i64>().map_or_else(|_| text.into(), KeyBytes::from))
            }
            (Some(text), _) => Canonical::Bytes(text.into()),
        }
    }

    /// An integer in a column that holds those of `range`; out of range it is stored as an error or as another number.
    fn integer(&self, n: i128, range: RangeInclusive<i128>, used: Use) -> Canonical {
        if used == Use::Store && (!range.contains(&n) || (n == 0 && self.zero_means_next())) {
            return Canonical::Uncertain;
        }
        Canonical::Bytes(i64::try_from(n).map_or_else(|_| n.to_string().into(), KeyBytes::from))
    }

    fn zero_means_next(&self) -> bool {
        self.counter && self.protocol == Protocol::MySql
    }

    fn null(&self, used: Use) -> Canonical {
        match used {
            Use::Compare => Canonical::Null,
            // MySQL stores another value: the next number of the counter, or without strict mode a zero.
            Use::Store if self.protocol == Protocol::MySql && (self.counter || !self.nullable) => Canonical::Uncertain,
            Use::Store => Canonical::Null,
        }
    }

    /// A number as canonical text: no plus, no leading zeros, no trailing zeros after the point, no exponent.
    fn number(&self, value: &Value) -> Option<String> {
        match value {
            Value::Int(n) => Some(n.to_string()),
            Value::Bool(b) if self.protocol == Protocol::MySql => Some(i32::from(*b).to_string()),
            Value::Decimal(text) => canonical_decimal(text.as_bytes()),
            // MySQL compares a number with a string as doubles, PostgreSQL reads an untyped literal as the column's type.
            Value::Text(text) => {
                let number = canonical_decimal(text)?;
                let as_written = number.as_bytes() == text.as_slice();
                let integer = number.parse::<i128>().ok();
                match self.protocol {
                    Protocol::MySql => {
                        (as_written && integer.is_some_and(|n| n.unsigned_abs() <= EXACT_IN_A_DOUBLE)).then_some(number)
                    }
                    Protocol::Postgres => match self.kind {
                        KeyKind::Int { .. } => (as_written && integer.is_some()).then_some(number),
                        _ => Some(number),
                    },
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Bytes(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::DateTime(_)
            | Value::Unknown => None,
        }
    }

    fn bytes(&self, value: &Value, fixed: bool, length: Option<u32>, used: Use) -> Canonical {
        let bytes = match (value, self.protocol) {
            (Value::Bytes(bytes), _) => bytes,
            (Value::Text(text), Protocol::MySql) => text,
            // `\x..` and the escape format: read them here and they would have to be read as the server does.
            _ => return Canonical::Uncertain,
        };
        let exact = u32::try_from(bytes.len()).ok();
        let certain = match (fixed, used) {
            (true, _) => exact.is_some() && exact == length,
            (false, Use::Store) => length.is_none_or(|most| exact.is_some_and(|n| n <= most)),
            (false, Use::Compare) => true,
        };
        if certain { Canonical::Bytes(bytes.clone().into()) } else { Canonical::Uncertain }
    }

    fn date_time(&self, value: &Value, fraction: u8, used: Use) -> Option<String> {
        let moment = match value {
            Value::DateTime(moment) => *moment,
            Value::Text(text) => DateTime::parse(text)?,
            // A day compares as its midnight and is stored as it.
            Value::Date(date) => DateTime { date: *date, micros: 0 },
            _ => return None,
        };
        if used == Use::Store && moment.fraction_digits() > fraction {
            return None;
        }
        Some(date_time_text(&moment))
    }
}

fn text_bytes(value: &Value, rule: TextRule, length: Option<u32>, ascii_only: bool, used: Use) -> Canonical {
    let Value::Text(text) = value else { return Canonical::Uncertain };
    let Ok(text) = std::str::from_utf8(text) else { return Canonical::Uncertain };
    let too_long = |most: u32| text.chars().nth(most as usize).is_some();
    if used == Use::Store && length.is_some_and(too_long) {
        return Canonical::Uncertain;
    }
    let ascii = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if ascii_only && !ascii {
        return Canonical::Uncertain;
    }
    let trimmed = text.trim_end_matches(' ');
    match rule {
        TextRule::Bytes => Canonical::Bytes(text.as_bytes().to_vec().into()),
        TextRule::Padded => Canonical::Bytes(trimmed.as_bytes().to_vec().into()),
        TextRule::AsciiFolded if ascii => Canonical::Bytes(text.to_ascii_lowercase().into()),
        TextRule::AsciiFoldedPadded if ascii => Canonical::Bytes(trimmed.to_ascii_lowercase().into()),
        TextRule::AsciiFolded | TextRule::AsciiFoldedPadded => Canonical::Uncertain,
    }
}

fn date(value: &Value) -> Option<Date> {
    match value {
        Value::Date(date) => Some(*date),
        Value::Text(text) => Date::parse(text),
        _ => None,
    }
}

fn date_text(date: &Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// ISO text; the fraction without trailing zeros, so that a wider column places the same moment alike.
fn date_time_text(moment: &DateTime) -> String {
    let seconds = moment.micros / 1_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{}T{hours:02}:{minutes:02}:{seconds:02}", date_text(&moment.date));
    let micros = moment.micros % 1_000_000;
    if micros > 0 {
        text.push('.');
        text.push_str(format!("{micros:06}").trim_end_matches('0'));
    }
    text
}

fn uuid(value: &Value) -> Option<[u8; 16]> {
    match value {
        Value::Uuid(uuid) => Some(*uuid),
        Value::Text(text) => uuid_of_text(text),
        _ => None,
    }
}

/// Reads `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11` in either case, exactly that.
pub(crate) fn uuid_of_text(text: &[u8]) -> Option<[u8; 16]> {
    let grouped = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.get(*at) == Some(&b'-'));
    if !grouped {
        return None;
    }
    let mut digits = text.iter().enumerate().filter(|(at, _)| ![8, 13, 18, 23].contains(at)).map(|(_, b)| *b);
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let high = char::from(digits.next()?).to_digit(16)?;
        let low = char::from(digits.next()?).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(uuid)
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Text(text) => match text.as_slice() {
            b"t" | b"true" => Some(true),
            b"f" | b"false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// `-007.50` as `-7.5`; `None` for what is not a plain decimal number.
fn canonical_decimal(text: &[u8]) -> Option<String> {
    if text.len() > DECIMAL_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut out = String::with_capacity(text.len() + 1);
    if negative && (whole != "0" || !fraction.is_empty()) {
        out.push('-');
    }
    out.push_str(whole);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    Some(out)
}

fn decimal_fits(number: &str, whole_max: Option<u32>, scale_max: Option<u16>) -> bool {
    let digits = number.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole_digits = if whole == "0" { 0 } else { whole.len() };
    whole_max.is_none_or(|most| whole_digits <= most as usize)
        && scale_max.is_none_or(|most| fraction.len() <= usize::from(most))
}
