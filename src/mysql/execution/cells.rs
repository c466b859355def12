//! Fields of rows as cells of the merge, and cells as fields.
//! Out: which columns are looked at (the plan says).

use protocol::mysql::column::{ColumnDefinition, column_type as t};
use protocol::mysql::value::{BinaryValue, put_value, read_value};
use protocol::mysql::wire::{Reader, put_lenenc_bytes};
use sharding::merge::{Cell, Decimal};

/// A column as far as values are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Type code.
    pub kind: u8,
    /// UNSIGNED.
    pub unsigned: bool,
    /// Digits behind the point; 31 if they are not fixed.
    pub decimals: u8,
}

impl Column {
    /// Of a definition.
    #[must_use]
    pub fn of(definition: &ColumnDefinition<'_>) -> Self {
        Self { kind: definition.kind, unsigned: definition.unsigned(), decimals: definition.decimals }
    }
}

/// A field of a text row as a cell; `None` if it is not what its column says.
#[must_use]
pub fn from_text(column: Column, field: Option<&[u8]>) -> Option<Cell> {
    let Some(bytes) = field else { return Some(Cell::Null) };
    let text = || std::str::from_utf8(bytes).ok();
    Some(match column.kind {
        t::TINY | t::SHORT | t::LONG | t::LONGLONG | t::INT24 | t::YEAR => Cell::Int(text()?.parse().ok()?),
        t::DECIMAL | t::NEWDECIMAL => Cell::Decimal(Decimal::parse(bytes)?),
        t::FLOAT | t::DOUBLE => Cell::Float(text()?.parse().ok()?),
        t::BIT => bits(bytes)?,
        t::TIME => Cell::Int(time_of_text(text()?)?),
        t::NULL => Cell::Null,
        _ => Cell::Bytes(bytes.into()),
    })
}

/// A field of a binary row as a cell; `None` if it is not what its column says.
#[must_use]
pub fn from_binary(column: Column, field: Option<&[u8]>) -> Option<Cell> {
    let Some(bytes) = field else { return Some(Cell::Null) };
    Some(match read_value(&mut Reader::new(bytes), column.kind, column.unsigned).ok()? {
        BinaryValue::Null => Cell::Null,
        BinaryValue::Int(n) => Cell::Int(i128::from(n)),
        BinaryValue::UInt(n) => Cell::Int(i128::from(n)),
        BinaryValue::Float(n) => Cell::Float(f64::from(n)),
        BinaryValue::Double(n) => Cell::Float(n),
        BinaryValue::Bytes(bytes) => match column.kind {
            t::DECIMAL | t::NEWDECIMAL => Cell::Decimal(Decimal::parse(bytes)?),
            t::BIT => bits(bytes)?,
            _ => Cell::Bytes(bytes.into()),
        },
        // A packing that keeps the order.
        BinaryValue::DateTime(v) => {
            let day = (i128::from(v.year) * 16 + i128::from(v.month)) * 32 + i128::from(v.day);
            let second = (i128::from(v.hour) * 60 + i128::from(v.minute)) * 60 + i128::from(v.second);
            Cell::Int((day * 86_400 + second) * 1_000_000 + i128::from(v.microsecond))
        }
        BinaryValue::Time(v) => {
            let hours = i128::from(v.days) * 24 + i128::from(v.hours);
            let seconds = (hours * 60 + i128::from(v.minutes)) * 60 + i128::from(v.seconds);
            let micros = seconds * 1_000_000 + i128::from(v.microseconds);
            Cell::Int(if v.negative { -micros } else { micros })
        }
    })
}

fn bits(bytes: &[u8]) -> Option<Cell> {
    let wide = bytes.len() <= 8;
    wide.then(|| Cell::Int(bytes.iter().fold(0i128, |sum, byte| (sum << 8) | i128::from(*byte))))
}

/// Microseconds of `[-]HHH:MM:SS[.ffffff]`.
fn time_of_text(text: &str) -> Option<i128> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<u32>().ok().map(i128::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros: i128 = format!("{fraction:0<6}").parse().ok()?;
    let all = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    Some(if negative { -all } else { all })
}

/// Appends a cell as a field of a text row; false if the column has no such value.
#[must_use]
pub fn put_text(out: &mut Vec<u8>, column: Column, cell: &Cell) -> bool {
    let text = match (cell, column.kind) {
        (Cell::Null, _) => {
            out.push(0xfb);
            return true;
        }
        (Cell::Int(n), t::TINY | t::SHORT | t::LONG | t::LONGLONG | t::INT24) => n.to_string(),
        (Cell::Decimal(n), t::DECIMAL | t::NEWDECIMAL) => n.to_string(),
        (Cell::Float(n), t::DOUBLE) => double_text(*n, column.decimals),
        _ => return false,
    };
    put_lenenc_bytes(out, text.as_bytes());
    true
}

/// Appends a cell (not NULL) as a field of a binary row; false if the column has no such value.
#[must_use]
pub fn put_binary(out: &mut Vec<u8>, column: Column, cell: &Cell) -> bool {
    let text;
    let value = match cell {
        Cell::Int(n) if column.unsigned => u64::try_from(*n).map(BinaryValue::UInt),
        Cell::Int(n) => i64::try_from(*n).map(BinaryValue::Int),
        Cell::Float(n) => Ok(BinaryValue::Double(*n)),
        Cell::Decimal(n) => {
            text = n.to_string();
            Ok(BinaryValue::Bytes(text.as_bytes()))
        }
        Cell::Null | Cell::Bytes(_) => return false,
    };
    value.is_ok_and(|value| put_value(out, column.kind, &value))
}

/// A DOUBLE as servers print it: the shortest digits that read back the same, in fixed form while the point lies
/// within 15 digits.
fn double_text(value: f64, decimals: u8) -> String {
    if decimals < 31 {
        return format!("{value:.*}", usize::from(decimals));
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let scientific = format!("{value:e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    if (-15..15).contains(&exponent) { format!("{value}") } else { scientific }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn column(kind: u8) -> Column {
        Column { kind, unsigned: false, decimals: 31 }
    }

    #[test]
    fn text_fields() {
        assert_eq!(from_text(column(t::LONG), Some(b"-5")), Some(Cell::Int(-5)));
        assert_eq!(from_text(column(t::LONG), Some(b"x")), None);
        assert_eq!(from_text(column(t::LONG), None), Some(Cell::Null));
        assert_eq!(from_text(column(t::TIME), Some(b"-01:00:00.5")), Some(Cell::Int(-3_600_500_000)));
        assert_eq!(from_text(column(t::BIT), Some(&[1, 0])), Some(Cell::Int(256)));
        assert_eq!(from_text(column(t::DATE), Some(b"2024-01-01")), Some(Cell::Bytes(b"2024-01-01"[..].into())));
    }

    #[test]
    fn binary_dates_keep_their_order() {
        let early = from_binary(column(t::DATETIME), Some(&[4, 0xe7, 7, 12, 31])).expect("valid");
        let late = from_binary(column(t::DATETIME), Some(&[7, 0xe8, 7, 1, 1, 0, 0, 1])).expect("valid");
        assert!(early.compare(&late).is_lt());
        assert_eq!(from_binary(column(t::LONG), Some(&[1])), None, "truncated");
    }

    #[test]
    fn cells_are_written_in_their_columns_types() {
        let mut out = Vec::new();
        assert!(put_text(&mut out, column(t::LONGLONG), &Cell::Int(12)));
        assert!(put_text(&mut out, column(t::NEWDECIMAL), &Cell::Decimal(Decimal::new(1250, 2))));
        assert_eq!(out, b"\x0212\x0512.50");
        out.clear();
        assert!(put_binary(&mut out, column(t::SHORT), &Cell::Int(258)));
        assert_eq!(out, [2, 1]);
        assert!(!put_binary(&mut out, column(t::TINY), &Cell::Int(1000)));
        assert!(!put_text(&mut out, column(t::DATE), &Cell::Int(1)));
    }

    #[test]
    fn doubles_are_printed_as_servers_do() {
        for (value, text) in
            [(1.5, "1.5"), (1e14, "100000000000000"), (1e15, "1e15"), (1e20, "1e20"), (-2.5e-20, "-2.5e-20")]
        {
            assert_eq!(double_text(value, 31), text);
        }
        assert_eq!(double_text(1.005, 1), "1.0");
    }
}
