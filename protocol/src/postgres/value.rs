//! Values of the types that merging and routing look into, read from text or binary format and written back.
//! Everything else passes as bytes. Out: comparison and arithmetic, which belong to the sharding room.

use super::wire::{Reader, WireError};
use super::{calendar, numeric, oid};

/// A value taken out of a row or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// `bool`.
    Bool(bool),
    /// `int2`, `int4`, `int8`, `oid`.
    Int(i64),
    /// `numeric`, as plain decimal text, `NaN`, `Infinity` or `-Infinity`.
    Numeric(String),
    /// `float4`, widened without changing its value.
    Float4(f32),
    /// `float8`.
    Float8(f64),
    /// `text`, `varchar`, `char(n)`, `name`, and text of unknown type.
    Text(&'a [u8]),
    /// `bytea`.
    Bytes(Vec<u8>),
    /// `date`: days since 2000-01-01. `i32::MAX` and `i32::MIN` are the infinities.
    Date(i32),
    /// `timestamp`: microseconds since 2000-01-01. `i64::MAX` and `i64::MIN` are the infinities.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 UTC.
    TimestampTz(i64),
    /// `uuid`.
    Uuid([u8; 16]),
    /// A type that is not looked into.
    Other(&'a [u8]),
}

/// Reads a value of type `type_oid` in `format` (0 text, 1 binary).
///
/// # Errors
/// [`WireError::Invalid`] if the bytes are not a value of that type.
pub fn decode(type_oid: u32, format: i16, bytes: Option<&[u8]>) -> Result<Value<'_>, WireError> {
    let Some(bytes) = bytes else {
        return Ok(Value::Null);
    };
    if format == 1 { decode_binary(type_oid, bytes) } else { decode_text(type_oid, bytes) }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Invalid("size of a binary value"))
}

fn decode_binary(type_oid: u32, bytes: &[u8]) -> Result<Value<'_>, WireError> {
    Ok(match type_oid {
        oid::BOOL => Value::Bool(exact::<1>(bytes)? != [0]),
        oid::INT2 => Value::Int(i16::from_be_bytes(exact(bytes)?).into()),
        oid::INT4 => Value::Int(i32::from_be_bytes(exact(bytes)?).into()),
        oid::OID => Value::Int(u32::from_be_bytes(exact(bytes)?).into()),
        oid::INT8 => Value::Int(i64::from_be_bytes(exact(bytes)?)),
        oid::FLOAT4 => Value::Float4(f32::from_be_bytes(exact(bytes)?)),
        oid::FLOAT8 => Value::Float8(f64::from_be_bytes(exact(bytes)?)),
        oid::NUMERIC => Value::Numeric(numeric::to_text(bytes)?),
        oid::DATE => Value::Date(i32::from_be_bytes(exact(bytes)?)),
        oid::TIMESTAMP => Value::Timestamp(i64::from_be_bytes(exact(bytes)?)),
        oid::TIMESTAMPTZ => Value::TimestampTz(i64::from_be_bytes(exact(bytes)?)),
        oid::UUID => Value::Uuid(exact(bytes)?),
        oid::BYTEA => Value::Bytes(bytes.to_vec()),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN => Value::Text(bytes),
        _ => Value::Other(bytes),
    })
}

fn decode_text(type_oid: u32, bytes: &[u8]) -> Result<Value<'_>, WireError> {
    let text = || std::str::from_utf8(bytes).map_err(|_| WireError::Invalid("text of a value"));
    let invalid = WireError::Invalid("text of a value");
    Ok(match type_oid {
        oid::BOOL => match text()?.trim() {
            "t" | "true" | "TRUE" | "on" | "1" | "yes" | "y" => Value::Bool(true),
            "f" | "false" | "FALSE" | "off" | "0" | "no" | "n" => Value::Bool(false),
            _ => return Err(invalid),
        },
        oid::INT2 | oid::INT4 | oid::INT8 | oid::OID => Value::Int(text()?.trim().parse().map_err(|_| invalid)?),
        oid::FLOAT4 => Value::Float4(text()?.trim().parse().map_err(|_| invalid)?),
        oid::FLOAT8 => Value::Float8(text()?.trim().parse().map_err(|_| invalid)?),
        oid::NUMERIC => {
            let text = text()?.trim();
            // Reading it once as binary is the check; an exponent is not plain text and is refused.
            numeric::from_text(text)?;
            Value::Numeric(text.to_owned())
        }
        oid::DATE => Value::Date(calendar::parse_date(text()?).ok_or(invalid)?),
        oid::TIMESTAMP => Value::Timestamp(calendar::parse_timestamp(text()?).ok_or(invalid)?),
        oid::TIMESTAMPTZ => Value::TimestampTz(calendar::parse_timestamptz(text()?).ok_or(invalid)?),
        oid::UUID => Value::Uuid(parse_uuid(text()?).ok_or(invalid)?),
        oid::BYTEA => Value::Bytes(parse_bytea(bytes).ok_or(invalid)?),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN | 0 => Value::Text(bytes),
        _ => Value::Other(bytes),
    })
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Hexadecimal digits to bytes; an odd one or anything else gives `None`.
fn unhex(digits: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut high = None;
    for digit in digits {
        let value = nibble(digit)?;
        match high.take() {
            None => high = Some(value),
            Some(first) => bytes.push(first << 4 | value),
        }
    }
    high.is_none().then_some(bytes)
}

/// `uuid` as the server accepts it: hyphens after any group of four digits, braces around.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    unhex(text.bytes().filter(|&byte| byte != b'-'))?.try_into().ok()
}

/// `bytea` in hex (`\x..`) or escape format.
fn parse_bytea(bytes: &[u8]) -> Option<Vec<u8>> {
    if let Some(hex) = bytes.strip_prefix(b"\\x") {
        return unhex(hex.iter().copied().filter(|byte| !byte.is_ascii_whitespace()));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut reader = Reader::new(bytes);
    while let Ok(byte) = reader.u8() {
        if byte != b'\\' {
            out.push(byte);
        } else if reader.rest().first() == Some(&b'\\') {
            out.push(reader.u8().ok()?);
        } else {
            let octal = std::str::from_utf8(reader.bytes(3).ok()?).ok()?;
            out.push(u8::from_str_radix(octal, 8).ok()?);
        }
    }
    Some(out)
}

/// Writes a value as type `type_oid` in `format`; `None` is NULL. Dates and times are written in ISO style.
///
/// # Errors
/// [`WireError::Invalid`] if the value does not fit the type.
pub fn encode(value: &Value<'_>, type_oid: u32, format: i16) -> Result<Option<Vec<u8>>, WireError> {
    if matches!(value, Value::Null) {
        return Ok(None);
    }
    if format == 1 { encode_binary(value, type_oid).map(Some) } else { Ok(Some(encode_text(value))) }
}

fn encode_binary(value: &Value<'_>, type_oid: u32) -> Result<Vec<u8>, WireError> {
    let range = |_| WireError::Invalid("value: out of range of its type");
    Ok(match (value, type_oid) {
        (Value::Bool(value), oid::BOOL) => vec![u8::from(*value)],
        (Value::Int(value), oid::INT2) => i16::try_from(*value).map_err(range)?.to_be_bytes().to_vec(),
        (Value::Int(value), oid::INT4) => i32::try_from(*value).map_err(range)?.to_be_bytes().to_vec(),
        (Value::Int(value), oid::OID) => u32::try_from(*value).map_err(range)?.to_be_bytes().to_vec(),
        (Value::Int(value), oid::INT8) => value.to_be_bytes().to_vec(),
        (Value::Int(value), oid::NUMERIC) => numeric::from_text(&value.to_string())?,
        (Value::Numeric(text), oid::NUMERIC) => numeric::from_text(text)?,
        (Value::Float4(value), oid::FLOAT4) => value.to_be_bytes().to_vec(),
        (Value::Float4(value), oid::FLOAT8) => f64::from(*value).to_be_bytes().to_vec(),
        (Value::Float8(value), oid::FLOAT8) => value.to_be_bytes().to_vec(),
        (Value::Date(days), oid::DATE) => days.to_be_bytes().to_vec(),
        (Value::Timestamp(micros), oid::TIMESTAMP) | (Value::TimestampTz(micros), oid::TIMESTAMPTZ) => {
            micros.to_be_bytes().to_vec()
        }
        (Value::Uuid(bytes), oid::UUID) => bytes.to_vec(),
        (Value::Bytes(bytes), oid::BYTEA) => bytes.clone(),
        (Value::Text(bytes), oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN) => bytes.to_vec(),
        (Value::Other(bytes), _) => bytes.to_vec(),
        _ => return Err(WireError::Invalid("value: not of the column's type")),
    })
}

fn encode_text(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(value) => if *value { "t" } else { "f" }.into(),
        Value::Int(value) => value.to_string().into(),
        Value::Numeric(text) => text.clone().into(),
        Value::Float4(value) => float_text(&format!("{value:e}"), f64::from(*value), 6).into(),
        Value::Float8(value) => float_text(&format!("{value:e}"), *value, 15).into(),
        Value::Text(bytes) | Value::Other(bytes) => bytes.to_vec(),
        Value::Bytes(bytes) => {
            let mut text = "\\x".to_owned();
            bytes.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
            text.into()
        }
        Value::Date(days) => calendar::date_text(*days).into(),
        Value::Timestamp(micros) => calendar::timestamp_text(*micros).into(),
        Value::TimestampTz(micros) => match *micros {
            i64::MAX | i64::MIN => calendar::timestamp_text(*micros),
            _ => calendar::timestamp_text(*micros) + "+00",
        }
        .into(),
        Value::Uuid(bytes) => {
            let mut text = String::with_capacity(36);
            for (index, byte) in bytes.iter().enumerate() {
                if matches!(index, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                text.push_str(&format!("{byte:02x}"));
            }
            text.into()
        }
    }
}

/// The server's shortest form of a float: plain up to `plain_digits` digits before the point, else with an exponent of
/// at least two digits. `scientific` is Rust's shortest form, which has the same digits.
fn float_text(scientific: &str, value: f64, plain_digits: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..plain_digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    match usize::try_from(exponent) {
        Ok(point) if digits.len() > point + 1 => format!("{sign}{}.{}", &digits[..=point], &digits[point + 1..]),
        Ok(point) => format!("{sign}{digits}{}", "0".repeat(point + 1 - digits.len())),
        Err(_) => format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_binary_agree() {
        let cases: [(u32, &[u8], &[u8], Value<'_>); 12] = [
            (oid::BOOL, b"t", &[1], Value::Bool(true)),
            (oid::INT2, b"-2", &[0xff, 0xfe], Value::Int(-2)),
            (oid::INT4, b"7", &[0, 0, 0, 7], Value::Int(7)),
            (oid::INT8, b"-1", &[0xff; 8], Value::Int(-1)),
            (oid::FLOAT4, b"1.5", &[0x3f, 0xc0, 0, 0], Value::Float4(1.5)),
            (oid::FLOAT8, b"-0.1", &(-0.1_f64).to_be_bytes(), Value::Float8(-0.1)),
            (oid::NUMERIC, b"1.10", b"\0\x02\0\0\0\0\0\x02\0\x01\x03\xe8", Value::Numeric("1.10".to_owned())),
            (oid::DATE, b"2000-01-02", &[0, 0, 0, 1], Value::Date(1)),
            (oid::TIMESTAMP, b"2000-01-01 00:00:01.5", &1_500_000_i64.to_be_bytes(), Value::Timestamp(1_500_000)),
            (oid::TIMESTAMPTZ, b"2000-01-01 00:00:01+00", &1_000_000_i64.to_be_bytes(), Value::TimestampTz(1_000_000)),
            (oid::BYTEA, b"\\x00ff", &[0, 0xff], Value::Bytes(vec![0, 0xff])),
            (oid::TEXT, b"abc", b"abc", Value::Text(b"abc")),
        ];
        for (type_oid, text, binary, value) in cases {
            assert_eq!(decode(type_oid, 0, Some(text)).as_ref(), Ok(&value));
            assert_eq!(decode(type_oid, 1, Some(binary)).as_ref(), Ok(&value));
            assert_eq!(encode(&value, type_oid, 0), Ok(Some(text.to_vec())));
            assert_eq!(encode(&value, type_oid, 1), Ok(Some(binary.to_vec())));
        }
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        let value = decode(oid::UUID, 0, Some(uuid.as_bytes())).expect("valid");
        assert_eq!(encode(&value, oid::UUID, 0), Ok(Some(uuid.as_bytes().to_vec())));
        assert_eq!(decode(oid::UUID, 0, Some(b"{A0EEBC999C0B4EF8BB6D6BB9BD380A11}")), Ok(value));
        assert_eq!(decode(oid::INT4, 1, None), Ok(Value::Null));
    }

    #[test]
    fn floats_as_the_server_prints_them() {
        // select x::float8::text, x::float4::text
        for (value, text) in [
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (123.456, "123.456"),
            (-1.5e300, "-1.5e+300"),
            (0.0, "0"),
            (-0.0, "-0"),
            (100.0, "100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(encode_text(&Value::Float8(value)), text.as_bytes(), "{text}");
        }
        assert_eq!(encode_text(&Value::Float4(1e6)), b"1e+06");
        assert_eq!(encode_text(&Value::Float4(0.1)), b"0.1");
    }

    #[test]
    fn bad_values() {
        for (type_oid, format, bytes) in [
            (oid::INT4, 1, &b"abc"[..]),
            (oid::INT4, 0, b"x"),
            (oid::UUID, 0, b"12"),
            (oid::BYTEA, 0, b"\\xf"),
            (oid::BYTEA, 0, b"\\9"),
            (oid::NUMERIC, 0, b"1e5"),
            (oid::DATE, 0, b"2000-13-01"),
            (oid::BOOL, 0, b"maybe"),
        ] {
            assert!(decode(type_oid, format, Some(bytes)).is_err(), "{type_oid}");
        }
        assert_eq!(decode(oid::BYTEA, 0, Some(b"a\\\\\\001")), Ok(Value::Bytes(b"a\\\x01".to_vec())));
        assert!(encode(&Value::Int(1 << 40), oid::INT4, 1).is_err());
        assert!(encode(&Value::Bool(true), oid::INT4, 1).is_err());
    }
}
