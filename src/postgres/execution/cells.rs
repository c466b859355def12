//! Columns of a row that the merge looks at, decoded; and values of the merge, encoded as a column.
//! Out: the merge itself.

use protocol::postgres::value::{self, Value as Wire};
use protocol::postgres::{WireError, backend, oid};
use sharding::merge::{Cell, Decimal};

/// What decoding a column needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnType {
    /// Type.
    pub type_oid: u32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// The types of all columns of an answer.
///
/// # Errors
/// The body is no `RowDescription`.
pub fn types(body: &[u8]) -> Result<Vec<ColumnType>, WireError> {
    let description = backend::RowDescription::decode(body)?;
    Ok(description.iter().map(|column| ColumnType { type_oid: column.type_oid, format: column.format }).collect())
}

/// Decodes a column.
///
/// # Errors
/// Its type is not one that can be merged, or its text is in a style that is not certain.
pub fn decode(column: ColumnType, bytes: Option<&[u8]>) -> Result<Cell, WireError> {
    Ok(match value::decode(column.type_oid, column.format, bytes)? {
        Wire::Null => Cell::Null,
        Wire::Bool(value) => Cell::Int(i128::from(value)),
        Wire::Int(value) => Cell::Int(i128::from(value)),
        Wire::Numeric(text) => {
            Cell::Decimal(Decimal::parse(text.as_bytes()).ok_or(WireError::Invalid("numeric to be merged"))?)
        }
        Wire::Float4(value) => Cell::Float(f64::from(value)),
        Wire::Float8(value) => Cell::Float(value),
        Wire::Bytes(bytes) => Cell::Bytes(bytes.into()),
        Wire::Uuid(bytes) => Cell::Bytes(bytes.to_vec().into()),
        Wire::Date(days) => Cell::Int(i128::from(days)),
        Wire::Timestamp(micros) | Wire::TimestampTz(micros) => Cell::Int(i128::from(micros)),
        Wire::Text(_) | Wire::Other(_) => return Err(WireError::Invalid("type of a column to be merged")),
    })
}

/// Encodes a value that no shard has sent.
///
/// # Errors
/// It does not fit the column.
pub fn encode(cell: &Cell, column: ColumnType) -> Result<Option<Vec<u8>>, WireError> {
    let range = |_| WireError::Invalid("value: out of range of its column");
    let wire = match (cell, column.type_oid) {
        (Cell::Null, _) => Wire::Null,
        (Cell::Int(value), oid::BOOL) => Wire::Bool(*value != 0),
        (Cell::Int(value), oid::DATE) => Wire::Date(i32::try_from(*value).map_err(range)?),
        (Cell::Int(value), oid::TIMESTAMP) => Wire::Timestamp(i64::try_from(*value).map_err(range)?),
        (Cell::Int(value), oid::NUMERIC) => Wire::Numeric(value.to_string()),
        (Cell::Int(value), oid::TIMESTAMPTZ) => Wire::TimestampTz(i64::try_from(*value).map_err(range)?),
        (Cell::Int(value), _) => Wire::Int(i64::try_from(*value).map_err(range)?),
        (Cell::Decimal(value), _) => Wire::Numeric(value.to_string()),
        // Widened when it was read, so nothing is lost.
        #[allow(clippy::cast_possible_truncation)]
        (Cell::Float(value), oid::FLOAT4) => Wire::Float4(*value as f32),
        (Cell::Float(value), _) => Wire::Float8(*value),
        (Cell::Bytes(bytes), oid::UUID) => Wire::Uuid(bytes.as_ref().try_into().map_err(|_| WireError::Truncated)?),
        (Cell::Bytes(bytes), _) => Wire::Bytes(bytes.to_vec()),
    };
    value::encode(&wire, column.type_oid, column.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_go_both_ways() {
        for (type_oid, text) in [
            (oid::INT8, "42"),
            (oid::NUMERIC, "12.50"),
            (oid::FLOAT8, "1.5"),
            (oid::FLOAT4, "0.1"),
            (oid::DATE, "2024-02-29"),
            (oid::TIMESTAMP, "2024-02-29 10:00:00"),
            (oid::BYTEA, "\\x00ff"),
            (oid::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (oid::BOOL, "t"),
        ] {
            let as_text = ColumnType { type_oid, format: 0 };
            let as_binary = ColumnType { type_oid, format: 1 };
            let cell = decode(as_text, Some(text.as_bytes())).expect(text);
            assert_eq!(encode(&cell, as_text), Ok(Some(text.as_bytes().to_vec())), "{text}");
            let binary = encode(&cell, as_binary).expect(text);
            assert_eq!(decode(as_binary, binary.as_deref()), Ok(cell), "{text}");
        }
        assert!(decode(ColumnType { type_oid: oid::TEXT, format: 0 }, Some(b"x")).is_err());
        assert_eq!(decode(ColumnType { type_oid: oid::TEXT, format: 0 }, None), Ok(Cell::Null));
    }
}
