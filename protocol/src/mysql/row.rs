//! Rows split into fields, without copying: where each field of a text or binary row lies.
//! Out: comparing values.

use std::ops::Range;

use super::value::skip_value;
use super::wire::{Reader, WireError};

/// Where a field lies in the payload; `None` is NULL. In text rows it is the value without its length; in binary
/// rows the value as it is encoded, with its length where it has one.
pub type Field = Option<Range<usize>>;

/// Finds the fields of a text row. `fields` is cleared first and keeps its memory.
///
/// # Errors
/// A field beyond the end, or bytes behind the last.
pub fn split_text(payload: &[u8], columns: usize, fields: &mut Vec<Field>) -> Result<(), WireError> {
    fields.clear();
    let mut reader = Reader::new(payload);
    for _ in 0..columns {
        if reader.rest().first() == Some(&0xfb) {
            reader.u8()?;
            fields.push(None);
        } else {
            let value = reader.lenenc_bytes()?;
            fields.push(Some(reader.position() - value.len()..reader.position()));
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(WireError::Malformed("bytes behind the last field")) }
}

/// Finds the fields of a binary row, whose columns have these types. `fields` is cleared first and keeps its memory.
///
/// # Errors
/// A field beyond the end, bytes behind the last, an unknown type.
pub fn split_binary(payload: &[u8], types: &[u8], fields: &mut Vec<Field>) -> Result<(), WireError> {
    fields.clear();
    let mut reader = Reader::new(payload);
    if reader.u8()? != 0 {
        return Err(WireError::Malformed("binary row expected"));
    }
    let nulls = reader.take(null_bytes(types.len()))?;
    for (column, kind) in types.iter().enumerate() {
        if is_null(nulls, column) {
            fields.push(None);
        } else {
            let start = reader.position();
            skip_value(&mut reader, *kind)?;
            fields.push(Some(start..reader.position()));
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(WireError::Malformed("bytes behind the last field")) }
}

/// Bytes of the NULL bitmap of a binary row.
#[must_use]
pub fn null_bytes(columns: usize) -> usize {
    (columns + 9) / 8
}

fn is_null(nulls: &[u8], column: usize) -> bool {
    let bit = column + 2;
    nulls.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
}

/// Starts a binary row: appends the zero byte and an empty NULL bitmap; returns where the bitmap lies.
pub fn start_binary(out: &mut Vec<u8>, columns: usize) -> usize {
    out.push(0);
    let bitmap = out.len();
    out.resize(bitmap + null_bytes(columns), 0);
    bitmap
}

/// Marks a column NULL in the bitmap that [`start_binary`] returned.
pub fn set_null(out: &mut [u8], bitmap: usize, column: usize) {
    let bit = column + 2;
    if let Some(byte) = out.get_mut(bitmap + bit / 8) {
        *byte |= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::column::column_type as t;

    #[test]
    fn text_rows() {
        let mut fields = Vec::new();
        split_text(b"\x011\xfb\x00\x03abc", 4, &mut fields).expect("valid");
        assert_eq!(fields, [Some(1..2), None, Some(4..4), Some(5..8)]);
        assert!(split_text(b"\x011", 2, &mut fields).is_err());
        assert!(split_text(b"\x011\x012", 1, &mut fields).is_err());
        assert!(split_text(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 1, &mut fields).is_err());
    }

    #[test]
    fn binary_rows() {
        let types = [t::LONG, t::VAR_STRING, t::DATE];
        let mut fields = Vec::new();
        split_binary(b"\x00\x08\x05\0\0\0\x04\xe8\x07\x01\x02", &types, &mut fields).expect("valid");
        assert_eq!(fields, [Some(2..6), None, Some(6..11)]);
        assert!(split_binary(b"\x00\x00\x05\0\0", &types, &mut fields).is_err());
        assert!(split_binary(b"\x01\x00", &[], &mut fields).is_err());
    }

    #[test]
    fn a_written_bitmap_is_read_back() {
        let types = [t::TINY; 17];
        let mut out = Vec::new();
        let bitmap = start_binary(&mut out, types.len());
        for column in 0..types.len() {
            if column % 3 == 0 {
                set_null(&mut out, bitmap, column);
            } else {
                out.push(column as u8);
            }
        }
        let mut fields = Vec::new();
        split_binary(&out, &types, &mut fields).expect("valid");
        for (column, field) in fields.iter().enumerate() {
            assert_eq!(field.is_none(), column % 3 == 0, "{column}");
        }
    }
}
