//! Values of an execution for the planner: literals where the lexer found them, parameters as they were bound.
//! What cannot be decoded with certainty is unknown, which never narrows a route.

use protocol::postgres::frontend::Bind;
use protocol::postgres::value::{self, Value as Wire};
use sharding::lexer::{Dialect, Literal};
use sharding::plan::{Values, literal};
use sharding::value::{Date, DateTime, Value};

use crate::postgres::statements::Lexed;

/// Values of one execution.
pub struct Bound<'a> {
    /// The text.
    pub sql: &'a [u8],
    /// What the lexer says about it.
    pub lexed: &'a Lexed,
    /// How it was read.
    pub dialect: Dialect,
    /// Parameters, decoded.
    pub parameters: &'a [Value],
    /// The client speaks UTF-8.
    pub utf8: bool,
}

impl Values for Bound<'_> {
    fn literal(&self, index: usize) -> Value {
        let Some(&Literal { start, end, class }) = self.lexed.literals.get(index) else { return Value::Unknown };
        let bytes = self.sql.get(start as usize..end as usize).unwrap_or_default();
        match literal(bytes, class, self.dialect) {
            Value::Text(text) if !self.utf8 && !text.is_ascii() => Value::Unknown,
            value => value,
        }
    }

    fn parameter(&self, index: usize) -> Value {
        self.parameters.get(index).cloned().unwrap_or(Value::Unknown)
    }

    fn literal_count(&self) -> usize {
        self.lexed.literals.len()
    }

    fn parameter_count(&self) -> usize {
        self.lexed.placeholders
    }
}

/// The parameters of a `Bind`, as far as their types tell what they are.
#[must_use]
pub fn decode(bind: &Bind<'_>, types: &[u32], utf8: bool) -> Vec<Value> {
    let one = |(index, bytes): (usize, Option<&[u8]>)| {
        let type_oid = types.get(index).copied().unwrap_or(0);
        let format = bind.formats.format_of(index);
        // The bytes of a binary parameter mean nothing without its type.
        if type_oid == 0 && format == 1 && bytes.is_some() {
            return Value::Unknown;
        }
        value::decode(type_oid, format, bytes).map_or(Value::Unknown, |wire| of_wire(&wire, utf8))
    };
    bind.values.iter().enumerate().map(one).collect()
}

fn of_wire(wire: &Wire<'_>, utf8: bool) -> Value {
    match wire {
        Wire::Null => Value::Null,
        Wire::Bool(value) => Value::Bool(*value),
        Wire::Int(value) => Value::Int(i128::from(*value)),
        Wire::Numeric(text) if text.bytes().any(|byte| byte.is_ascii_alphabetic()) => Value::Unknown,
        Wire::Numeric(text) => Value::Decimal(text.clone()),
        Wire::Float4(value) => Value::Float(f64::from(*value)),
        Wire::Float8(value) => Value::Float(*value),
        Wire::Text(bytes) => {
            let readable = if utf8 { std::str::from_utf8(bytes).is_ok() } else { bytes.is_ascii() };
            if readable { Value::Text(bytes.to_vec()) } else { Value::Unknown }
        }
        Wire::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Wire::Uuid(bytes) => Value::Uuid(*bytes),
        Wire::Date(_) => iso(wire).and_then(|text| Date::parse(&text)).map_or(Value::Unknown, Value::Date),
        Wire::Timestamp(_) => iso(wire).and_then(|text| DateTime::parse(&text)).map_or(Value::Unknown, Value::DateTime),
        Wire::TimestampTz(_) | Wire::Other(_) => Value::Unknown,
    }
}

fn iso(wire: &Wire<'_>) -> Option<Vec<u8>> {
    value::encode(wire, 0, 0).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::postgres::oid;

    #[test]
    fn wire_values_become_routing_values() {
        let read = |type_oid, format, bytes: &[u8]| {
            value::decode(type_oid, format, Some(bytes)).map(|wire| of_wire(&wire, true))
        };
        assert_eq!(read(oid::INT4, 1, &[0, 0, 0, 7]), Ok(Value::Int(7)));
        assert_eq!(read(oid::INT8, 0, b"7"), Ok(Value::Int(7)));
        assert_eq!(read(oid::NUMERIC, 0, b"7.50"), Ok(Value::Decimal("7.50".to_owned())));
        assert_eq!(read(oid::NUMERIC, 0, b"NaN"), Ok(Value::Unknown));
        assert_eq!(read(oid::DATE, 1, &[0, 0, 0, 1]), Ok(Value::Date(Date { year: 2000, month: 1, day: 2 })));
        assert_eq!(read(oid::TEXT, 0, b"x"), Ok(Value::Text(b"x".to_vec())));
        assert_eq!(read(oid::TEXT, 0, b"\xff"), Ok(Value::Unknown));
        assert_eq!(read(99_999, 1, b"x"), Ok(Value::Unknown));
    }
}
