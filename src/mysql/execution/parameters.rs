//! Bound parameters: as routing sees them, and as packets for statements whose parameters differ from the client's.
//! Out: reading them from the client (`protocol::mysql::execute`).

use protocol::mysql::column::column_type as t;
use protocol::mysql::command::code;
use protocol::mysql::value::{BinaryValue, put_value};
use sharding::value::{Date, DateTime, Value};

/// Flag of a parameter's type: unsigned.
const UNSIGNED: u8 = 0x80;

/// A parameter as routing sees it. `utf8`: the client's text is UTF-8.
#[must_use]
pub fn route_value(value: &BinaryValue<'_>, kind: u8, utf8: bool) -> Value {
    match value {
        BinaryValue::Null => Value::Null,
        BinaryValue::Int(n) => Value::Int(i128::from(*n)),
        BinaryValue::UInt(n) => Value::Int(i128::from(*n)),
        BinaryValue::Double(n) => Value::Float(*n),
        // What the server makes of a 32-bit float beside a column is not certain.
        BinaryValue::Float(_) | BinaryValue::Time(_) => Value::Unknown,
        BinaryValue::Bytes(bytes) => match kind {
            t::DECIMAL | t::NEWDECIMAL => {
                std::str::from_utf8(bytes).map_or(Value::Unknown, |text| Value::Decimal(text.to_owned()))
            }
            t::VARCHAR | t::VAR_STRING | t::STRING | t::ENUM | t::SET => text(bytes, utf8),
            t::TINY_BLOB | t::MEDIUM_BLOB | t::LONG_BLOB | t::BLOB => Value::Bytes(bytes.to_vec()),
            _ => Value::Unknown,
        },
        BinaryValue::DateTime(at) => {
            let date = Date { year: at.year, month: at.month, day: at.day };
            let seconds = (u64::from(at.hour) * 60 + u64::from(at.minute)) * 60 + u64::from(at.second);
            match kind {
                t::DATE if seconds == 0 && at.microsecond == 0 => Value::Date(date),
                _ => Value::DateTime(DateTime { date, micros: seconds * 1_000_000 + u64::from(at.microsecond) }),
            }
        }
    }
}

/// Text as routing may compare it: UTF-8, or ASCII, which is the same in every character set that we take.
#[must_use]
pub fn text(bytes: &[u8], utf8: bool) -> Value {
    let certain = bytes.is_ascii() || (utf8 && std::str::from_utf8(bytes).is_ok());
    if certain { Value::Text(bytes.to_vec()) } else { Value::Unknown }
}

/// A parameter to be sent: its type (two bytes) and value.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// Type and flags.
    pub kind: [u8; 2],
    /// Value.
    pub value: BinaryValue<'a>,
}

impl Parameter<'_> {
    /// A row count.
    #[must_use]
    pub fn count(rows: u64) -> Self {
        Self { kind: [t::LONGLONG, UNSIGNED], value: BinaryValue::UInt(rows) }
    }
}

/// Appends the payload of a COM_STMT_EXECUTE without cursor; false if a value does not fit its type.
#[must_use]
pub fn put_execute(out: &mut Vec<u8>, statement: u32, parameters: &[Parameter<'_>]) -> bool {
    out.push(code::STATEMENT_EXECUTE);
    out.extend_from_slice(&statement.to_le_bytes());
    out.push(0);
    out.extend_from_slice(&1u32.to_le_bytes());
    if parameters.is_empty() {
        return true;
    }
    let bitmap = out.len();
    out.resize(bitmap + parameters.len().div_ceil(8), 0);
    out.push(1);
    for (n, parameter) in parameters.iter().enumerate() {
        if parameter.value == BinaryValue::Null
            && let Some(byte) = out.get_mut(bitmap + n / 8)
        {
            *byte |= 1 << (n % 8);
        }
        out.extend_from_slice(&parameter.kind);
    }
    parameters
        .iter()
        .filter(|parameter| parameter.value != BinaryValue::Null)
        .all(|parameter| put_value(out, parameter.kind[0], &parameter.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::mysql::execute::Execute;

    #[test]
    fn what_is_written_is_read_back() {
        let sent = [
            Parameter { kind: [t::LONG, 0], value: BinaryValue::Int(-7) },
            Parameter { kind: [t::VAR_STRING, 0], value: BinaryValue::Null },
            Parameter::count(u64::MAX),
        ];
        let mut out = Vec::new();
        assert!(put_execute(&mut out, 9, &sent));
        let execute = Execute::decode(&out[1..], 3).expect("valid");
        let values = execute.parameters(execute.types.expect("types"), |_| None);
        assert_eq!(values, Ok(vec![BinaryValue::Int(-7), BinaryValue::Null, BinaryValue::UInt(u64::MAX)]));
    }

    #[test]
    fn doubtful_values_are_unknown_to_routing() {
        assert_eq!(route_value(&BinaryValue::Bytes(b"\xe9"), t::VAR_STRING, true), Value::Unknown);
        assert_eq!(route_value(&BinaryValue::Bytes("é".as_bytes()), t::VAR_STRING, false), Value::Unknown);
        assert_eq!(route_value(&BinaryValue::Bytes(b"a"), t::VAR_STRING, false), Value::Text(b"a".to_vec()));
        assert_eq!(route_value(&BinaryValue::Float(1.5), t::FLOAT, true), Value::Unknown);
        assert_eq!(route_value(&BinaryValue::Bytes(b"1.5"), t::NEWDECIMAL, true), Value::Decimal("1.5".to_owned()));
    }
}
