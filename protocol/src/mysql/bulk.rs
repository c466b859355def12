//! COM_STMT_BULK_EXECUTE: one prepared statement for many rows of parameters, read from a client and written for a backend.
//! Out: which statement it is, where its rows go.

use super::command::code;
use super::value::{BinaryValue, read_value};
use super::wire::{Reader, WireError};

/// Flag of a parameter's type: unsigned.
const UNSIGNED: u8 = 0x80;

/// Types of the parameters follow.
pub const SEND_TYPES: u16 = 128;

/// COM_STMT_BULK_EXECUTE as it came. Source: MariaDB's "COM_STMT_BULK_EXECUTE".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk<'a> {
    /// See [`SEND_TYPES`]; servers know more of them than we offer.
    pub flags: u16,
    /// Two bytes per parameter, if the client sent types.
    pub types: Option<&'a [u8]>,
    /// The rows one after the other: before each value, a byte says whether it is one.
    pub rows: &'a [u8],
}

impl<'a> Bulk<'a> {
    /// Reads the payload behind the command byte, for a statement with this number of parameters.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode(body: &'a [u8], parameters: usize) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        reader.u32()?;
        let flags = reader.u16()?;
        let types = if flags & SEND_TYPES != 0 { Some(reader.take(parameters * 2)?) } else { None };
        Ok(Self { flags, types, rows: reader.rest() })
    }
}

/// The rows of a bulk execution, read one by one.
#[derive(Debug, Clone)]
pub struct BulkRows<'a> {
    reader: Reader<'a>,
    types: &'a [u8],
}

impl<'a> BulkRows<'a> {
    /// Of parameters with these types (two bytes each).
    #[must_use]
    pub fn new(rows: &'a [u8], types: &'a [u8]) -> Self {
        Self { reader: Reader::new(rows), types }
    }

    /// The next row: its bytes, and in `values` what they say; `None` stands for DEFAULT and IGNORE.
    ///
    /// # Errors
    /// A value beyond the end, an unknown type or indicator, a statement without parameters.
    pub fn next_row(&mut self, values: &mut Vec<Option<BinaryValue<'a>>>) -> Result<Option<&'a [u8]>, WireError> {
        values.clear();
        if self.reader.is_empty() {
            return Ok(None);
        }
        let before = self.reader.rest();
        for kind in self.types.chunks_exact(2) {
            values.push(match self.reader.u8()? {
                0 => Some(read_value(&mut self.reader, kind[0], kind[1] & UNSIGNED != 0)?),
                1 => Some(BinaryValue::Null),
                2 | 3 => None,
                _ => return Err(WireError::Malformed("indicator of a value")),
            });
        }
        let length = before.len() - self.reader.rest().len();
        match before.get(..length) {
            Some(row) if length > 0 => Ok(Some(row)),
            _ => Err(WireError::Malformed("a bulk execution without parameters")),
        }
    }
}

/// Appends the payload for a backend's statement. Types are always sent, as for a single execution.
pub fn put_bulk<'a>(out: &mut Vec<u8>, statement: u32, types: &[u8], rows: impl IntoIterator<Item = &'a [u8]>) {
    out.push(code::STATEMENT_BULK_EXECUTE);
    out.extend_from_slice(&statement.to_le_bytes());
    out.extend_from_slice(&SEND_TYPES.to_le_bytes());
    out.extend_from_slice(types);
    for row in rows {
        out.extend_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::column::column_type as t;

    const TYPES: [u8; 4] = [t::TINY, UNSIGNED, t::VAR_STRING, 0];
    const BODY: &[u8] = b"\x07\0\0\0\x80\0\x01\x80\xfd\0\0\xc8\0\x02ab\x01\x02\x03\0\0";

    #[test]
    fn rows_are_read_with_their_indicators_and_written_back() {
        let bulk = Bulk::decode(BODY, 2).expect("valid");
        assert_eq!((bulk.flags, bulk.types), (SEND_TYPES, Some(&TYPES[..])));
        let mut rows = BulkRows::new(bulk.rows, &TYPES);
        let mut values = Vec::new();
        let first = rows.next_row(&mut values).expect("valid").expect("a row");
        assert_eq!(values, [Some(BinaryValue::UInt(200)), Some(BinaryValue::Bytes(b"ab"))]);
        let second = rows.next_row(&mut values).expect("valid").expect("a row");
        assert_eq!(values, [Some(BinaryValue::Null), None]);
        let third = rows.next_row(&mut values).expect("valid").expect("a row");
        assert_eq!(values, [None, Some(BinaryValue::Bytes(b""))]);
        assert_eq!(rows.next_row(&mut values), Ok(None));
        let mut out = Vec::new();
        put_bulk(&mut out, 7, &TYPES, [first, second, third]);
        assert_eq!(&out[1..], BODY);
    }

    #[test]
    fn what_makes_no_row_is_an_error() {
        for end in 0..BODY.len() {
            let Ok(bulk) = Bulk::decode(&BODY[..end], 2) else { continue };
            let (mut rows, mut values) = (BulkRows::new(bulk.rows, &TYPES), Vec::new());
            while let Ok(Some(_)) = rows.next_row(&mut values) {}
        }
        let mut values = Vec::new();
        assert!(BulkRows::new(b"\x04", &TYPES).next_row(&mut values).is_err());
        assert!(BulkRows::new(b"\x01", &[]).next_row(&mut values).is_err(), "rows of nothing would never end");
        assert!(Bulk::decode(BODY, usize::from(u16::MAX)).is_err());
    }
}
