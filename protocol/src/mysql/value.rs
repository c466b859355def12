//! Values of the binary protocol (parameters and binary rows): lengths, decoding, encoding.
//! Out: what a value means to a column.

use super::column::column_type as t;
use super::wire::{Reader, WireError, put_lenenc_bytes};

/// A decoded value of the binary protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BinaryValue<'a> {
    /// NULL.
    Null,
    /// Signed integer of any width.
    Int(i64),
    /// Unsigned integer of any width.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// Strings, blobs, decimals, enumerations, JSON, bits.
    Bytes(&'a [u8]),
    /// DATE, DATETIME, TIMESTAMP.
    DateTime(DateTime),
    /// TIME.
    Time(Time),
}

/// A date, with a time of day unless it was sent as a date only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DateTime {
    /// Year.
    pub year: u16,
    /// Month.
    pub month: u8,
    /// Day.
    pub day: u8,
    /// Hour.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
    /// Microsecond.
    pub microsecond: u32,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Sign.
    pub negative: bool,
    /// Days.
    pub days: u32,
    /// Hours below 24.
    pub hours: u8,
    /// Minutes.
    pub minutes: u8,
    /// Seconds.
    pub seconds: u8,
    /// Microseconds.
    pub microseconds: u32,
}

/// Reads one value of this type. `unsigned` is the flag of the column or parameter.
///
/// # Errors
/// A value beyond the end, an unknown type, an impossible length.
pub fn read_value<'a>(reader: &mut Reader<'a>, kind: u8, unsigned: bool) -> Result<BinaryValue<'a>, WireError> {
    Ok(match kind {
        t::NULL => BinaryValue::Null,
        t::TINY => {
            let byte = reader.u8()?;
            integer(u64::from(byte), i64::from(byte.cast_signed()), unsigned)
        }
        t::SHORT | t::YEAR => {
            let short = reader.u16()?;
            integer(u64::from(short), i64::from(short.cast_signed()), unsigned || kind == t::YEAR)
        }
        t::LONG | t::INT24 => {
            let long = reader.u32()?;
            integer(u64::from(long), i64::from(long.cast_signed()), unsigned)
        }
        t::LONGLONG => {
            let long = reader.u64()?;
            integer(long, long.cast_signed(), unsigned)
        }
        t::FLOAT => BinaryValue::Float(f32::from_bits(reader.u32()?)),
        t::DOUBLE => BinaryValue::Double(f64::from_bits(reader.u64()?)),
        t::DATE | t::DATETIME | t::TIMESTAMP => BinaryValue::DateTime(read_date_time(reader)?),
        t::TIME => BinaryValue::Time(read_time(reader)?),
        _ if is_bytes(kind) => BinaryValue::Bytes(reader.lenenc_bytes()?),
        _ => return Err(WireError::Malformed("unknown type of a value")),
    })
}

/// Steps over one value of this type.
///
/// # Errors
/// A value beyond the end, or an unknown type.
pub fn skip_value(reader: &mut Reader<'_>, kind: u8) -> Result<(), WireError> {
    let fixed = match kind {
        t::NULL => 0,
        t::TINY => 1,
        t::SHORT | t::YEAR => 2,
        t::LONG | t::INT24 | t::FLOAT => 4,
        t::LONGLONG | t::DOUBLE => 8,
        t::DATE | t::DATETIME | t::TIMESTAMP | t::TIME => usize::from(reader.u8()?),
        _ if is_bytes(kind) => {
            reader.lenenc_bytes()?;
            return Ok(());
        }
        _ => return Err(WireError::Malformed("unknown type of a value")),
    };
    reader.take(fixed)?;
    Ok(())
}

fn is_bytes(kind: u8) -> bool {
    matches!(kind, t::DECIMAL | t::VARCHAR | t::BIT | t::JSON..=t::GEOMETRY)
}

fn integer<'a>(unsigned_value: u64, signed_value: i64, unsigned: bool) -> BinaryValue<'a> {
    if unsigned { BinaryValue::UInt(unsigned_value) } else { BinaryValue::Int(signed_value) }
}

fn read_date_time(reader: &mut Reader<'_>) -> Result<DateTime, WireError> {
    let length = reader.u8()?;
    let mut value = DateTime::default();
    if !matches!(length, 0 | 4 | 7 | 11) {
        return Err(WireError::Malformed("length of a date"));
    }
    if length >= 4 {
        value.year = reader.u16()?;
        value.month = reader.u8()?;
        value.day = reader.u8()?;
    }
    if length >= 7 {
        value.hour = reader.u8()?;
        value.minute = reader.u8()?;
        value.second = reader.u8()?;
    }
    if length == 11 {
        value.microsecond = reader.u32()?;
    }
    Ok(value)
}

fn read_time(reader: &mut Reader<'_>) -> Result<Time, WireError> {
    let length = reader.u8()?;
    let mut value = Time::default();
    if !matches!(length, 0 | 8 | 12) {
        return Err(WireError::Malformed("length of a time"));
    }
    if length >= 8 {
        value.negative = reader.u8()? != 0;
        value.days = reader.u32()?;
        value.hours = reader.u8()?;
        value.minutes = reader.u8()?;
        value.seconds = reader.u8()?;
    }
    if length == 12 {
        value.microseconds = reader.u32()?;
    }
    Ok(value)
}

/// Appends a value in the form of this type. Returns false, and appends nothing, if the value has no such form
/// (an integer too wide for the type, a date as a number, NULL).
#[must_use]
pub fn put_value(out: &mut Vec<u8>, kind: u8, value: &BinaryValue<'_>) -> bool {
    match (kind, value) {
        (t::TINY | t::SHORT | t::YEAR | t::LONG | t::INT24 | t::LONGLONG, BinaryValue::Int(v)) => {
            put_integer(out, kind, i128::from(*v), &v.to_le_bytes())
        }
        (t::TINY | t::SHORT | t::YEAR | t::LONG | t::INT24 | t::LONGLONG, BinaryValue::UInt(v)) => {
            put_integer(out, kind, i128::from(*v), &v.to_le_bytes())
        }
        (t::FLOAT, BinaryValue::Float(v)) => {
            out.extend_from_slice(&v.to_le_bytes());
            true
        }
        (t::DOUBLE, BinaryValue::Double(v)) => {
            out.extend_from_slice(&v.to_le_bytes());
            true
        }
        (kind, BinaryValue::Bytes(bytes)) if is_bytes(kind) => {
            put_lenenc_bytes(out, bytes);
            true
        }
        (t::DATE | t::DATETIME | t::TIMESTAMP, BinaryValue::DateTime(v)) => {
            put_date_time(out, v);
            true
        }
        (t::TIME, BinaryValue::Time(v)) => {
            put_time(out, v);
            true
        }
        _ => false,
    }
}

fn put_integer(out: &mut Vec<u8>, kind: u8, value: i128, bytes: &[u8; 8]) -> bool {
    let width = match kind {
        t::TINY => 1,
        t::SHORT | t::YEAR => 2,
        t::LONG | t::INT24 => 4,
        _ => 8,
    };
    let bits = width * 8;
    let fits = value >= -(1i128 << (bits - 1)) && value < (1i128 << bits);
    if fits {
        out.extend_from_slice(&bytes[..width as usize]);
    }
    fits
}

fn put_date_time(out: &mut Vec<u8>, v: &DateTime) {
    let year = v.year.to_le_bytes();
    let date = [year[0], year[1], v.month, v.day];
    let time = [v.hour, v.minute, v.second];
    if v.microsecond != 0 {
        out.push(11);
        out.extend_from_slice(&date);
        out.extend_from_slice(&time);
        out.extend_from_slice(&v.microsecond.to_le_bytes());
    } else if time != [0; 3] {
        out.push(7);
        out.extend_from_slice(&date);
        out.extend_from_slice(&time);
    } else if date != [0; 4] {
        out.push(4);
        out.extend_from_slice(&date);
    } else {
        out.push(0);
    }
}

fn put_time(out: &mut Vec<u8>, v: &Time) {
    let zero = v.days == 0 && (v.hours, v.minutes, v.seconds) == (0, 0, 0);
    if zero && v.microseconds == 0 {
        out.push(0);
        return;
    }
    out.push(if v.microseconds == 0 { 8 } else { 12 });
    out.push(u8::from(v.negative));
    out.extend_from_slice(&v.days.to_le_bytes());
    out.extend_from_slice(&[v.hours, v.minutes, v.seconds]);
    if v.microseconds != 0 {
        out.extend_from_slice(&v.microseconds.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, unsigned: bool, bytes: &[u8]) -> Result<BinaryValue<'_>, WireError> {
        read_value(&mut Reader::new(bytes), kind, unsigned)
    }

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(read(t::TINY, false, &[0xff]), Ok(BinaryValue::Int(-1)));
        assert_eq!(read(t::TINY, true, &[0xff]), Ok(BinaryValue::UInt(255)));
        assert_eq!(read(t::SHORT, false, &[0xfe, 0xff]), Ok(BinaryValue::Int(-2)));
        assert_eq!(read(t::LONG, true, &[0, 0, 0, 0x80]), Ok(BinaryValue::UInt(1 << 31)));
        assert_eq!(read(t::LONGLONG, true, &[0xff; 8]), Ok(BinaryValue::UInt(u64::MAX)));
        assert_eq!(read(t::YEAR, false, &[0xe8, 0x07]), Ok(BinaryValue::UInt(2024)));
    }

    #[test]
    fn dates_and_times_have_three_lengths() {
        let day = DateTime { year: 2024, month: 2, day: 29, ..DateTime::default() };
        assert_eq!(read(t::DATE, false, &[4, 0xe8, 7, 2, 29]), Ok(BinaryValue::DateTime(day)));
        assert_eq!(read(t::DATE, false, &[0]), Ok(BinaryValue::DateTime(DateTime::default())));
        let time = Time { negative: true, days: 1, hours: 2, minutes: 3, seconds: 4, microseconds: 5 };
        assert_eq!(read(t::TIME, false, &[12, 1, 1, 0, 0, 0, 2, 3, 4, 5, 0, 0, 0]), Ok(BinaryValue::Time(time)));
        assert!(read(t::DATE, false, &[5, 0, 0, 0, 0, 0]).is_err());
        assert!(read(t::TIME, false, &[8, 0]).is_err());
    }

    #[test]
    fn every_value_round_trips_and_is_skipped_alike() {
        let cases: Vec<(u8, bool, BinaryValue<'_>)> = vec![
            (t::TINY, false, BinaryValue::Int(-128)),
            (t::SHORT, true, BinaryValue::UInt(65535)),
            (t::INT24, false, BinaryValue::Int(-8_388_608)),
            (t::LONGLONG, false, BinaryValue::Int(i64::MIN)),
            (t::FLOAT, false, BinaryValue::Float(1.5)),
            (t::DOUBLE, false, BinaryValue::Double(-2.25)),
            (t::NEWDECIMAL, false, BinaryValue::Bytes(b"12.50")),
            (t::BLOB, false, BinaryValue::Bytes(b"")),
            (t::DATETIME, false, BinaryValue::DateTime(DateTime { year: 1, microsecond: 9, ..DateTime::default() })),
            (t::TIMESTAMP, false, BinaryValue::DateTime(DateTime { year: 1999, hour: 1, ..DateTime::default() })),
            (t::TIME, false, BinaryValue::Time(Time { hours: 3, ..Time::default() })),
            (t::TIME, false, BinaryValue::Time(Time::default())),
        ];
        for (kind, unsigned, value) in cases {
            let mut out = Vec::new();
            assert!(put_value(&mut out, kind, &value), "{value:?}");
            assert_eq!(read(kind, unsigned, &out), Ok(value));
            let mut reader = Reader::new(&out);
            assert_eq!(skip_value(&mut reader, kind), Ok(()));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut out = Vec::new();
        assert!(!put_value(&mut out, t::TINY, &BinaryValue::Int(256)));
        assert!(!put_value(&mut out, t::LONG, &BinaryValue::UInt(1 << 32)));
        assert!(!put_value(&mut out, t::LONG, &BinaryValue::Null));
        assert!(!put_value(&mut out, t::DATE, &BinaryValue::Int(1)));
        assert!(out.is_empty());
        assert!(read(14, false, &[1]).is_err());
    }
}
