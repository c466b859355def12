//! Column definitions (ColumnDefinition41) and the types they name.
//! Out: values.

use super::capability::{self, Capabilities};
use super::wire::{Reader, WireError, put_lenenc, put_lenenc_bytes};

/// Type codes of columns and parameters.
pub mod column_type {
    /// Old decimal, as text.
    pub const DECIMAL: u8 = 0;
    /// 1 byte.
    pub const TINY: u8 = 1;
    /// 2 bytes.
    pub const SHORT: u8 = 2;
    /// 4 bytes.
    pub const LONG: u8 = 3;
    /// f32.
    pub const FLOAT: u8 = 4;
    /// f64.
    pub const DOUBLE: u8 = 5;
    /// No value.
    pub const NULL: u8 = 6;
    /// Timestamp.
    pub const TIMESTAMP: u8 = 7;
    /// 8 bytes.
    pub const LONGLONG: u8 = 8;
    /// 3 bytes, sent as 4.
    pub const INT24: u8 = 9;
    /// Date.
    pub const DATE: u8 = 10;
    /// Time, possibly negative and over 24 hours.
    pub const TIME: u8 = 11;
    /// Date and time.
    pub const DATETIME: u8 = 12;
    /// Year, 2 bytes.
    pub const YEAR: u8 = 13;
    /// Variable string.
    pub const VARCHAR: u8 = 15;
    /// Bits, as a string.
    pub const BIT: u8 = 16;
    /// JSON, as a string.
    pub const JSON: u8 = 245;
    /// Exact decimal, as text.
    pub const NEWDECIMAL: u8 = 246;
    /// Enumeration, as a string.
    pub const ENUM: u8 = 247;
    /// Set, as a string.
    pub const SET: u8 = 248;
    /// Blobs of all sizes.
    pub const TINY_BLOB: u8 = 249;
    /// See [`TINY_BLOB`].
    pub const MEDIUM_BLOB: u8 = 250;
    /// See [`TINY_BLOB`].
    pub const LONG_BLOB: u8 = 251;
    /// See [`TINY_BLOB`].
    pub const BLOB: u8 = 252;
    /// Variable string.
    pub const VAR_STRING: u8 = 253;
    /// Fixed string.
    pub const STRING: u8 = 254;
    /// Geometry, as a string.
    pub const GEOMETRY: u8 = 255;
}

/// Flags of a column definition.
pub mod column_flag {
    /// NOT NULL.
    pub const NOT_NULL: u16 = 1;
    /// UNSIGNED.
    pub const UNSIGNED: u16 = 1 << 5;
    /// Binary collation.
    pub const BINARY: u16 = 1 << 7;
    /// ENUM.
    pub const ENUM: u16 = 1 << 8;
    /// SET.
    pub const SET: u16 = 1 << 11;
}

/// What the header of SHOW TABLES begins with; the schema's name follows.
const TABLES_IN: &[u8] = b"Tables_in_";

/// The payload of a definition in which another name stands for the schema `from`, also in the header of SHOW TABLES; `None`:
/// it does not name that schema.
#[must_use]
pub fn with_schema(payload: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(payload);
    let catalog = reader.lenenc_bytes().ok()?;
    let schema = reader.lenenc_bytes().ok()?;
    let table = reader.lenenc_bytes().ok()?;
    let original_table = reader.lenenc_bytes().ok()?;
    let name = reader.lenenc_bytes().ok()?;
    let schema = if schema == from { to } else { schema };
    let pattern = name.strip_prefix(TABLES_IN).and_then(|rest| rest.strip_prefix(from));
    let pattern = pattern.filter(|rest| table == b"TABLE_NAMES" && (rest.is_empty() || rest.starts_with(b" (")));
    let label = pattern.map(|pattern| [TABLES_IN, to, pattern].concat());
    let mut out = Vec::with_capacity(payload.len() + 2 * to.len());
    for text in [catalog, schema, table, original_table, label.as_deref().unwrap_or(name)] {
        put_lenenc_bytes(&mut out, text);
    }
    out.extend_from_slice(reader.rest());
    (out != payload).then_some(out)
}

/// Collation id of binary strings.
pub const BINARY_COLLATION: u16 = 63;

/// A column definition. Source: "Protocol::ColumnDefinition41".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDefinition<'a> {
    /// Schema.
    pub schema: &'a [u8],
    /// Table as named in the statement.
    pub table: &'a [u8],
    /// Table.
    pub original_table: &'a [u8],
    /// Label.
    pub name: &'a [u8],
    /// Column.
    pub original_name: &'a [u8],
    /// Collation id of the values.
    pub collation: u16,
    /// Most bytes of a value.
    pub length: u32,
    /// See [`column_type`].
    pub kind: u8,
    /// See [`column_flag`].
    pub flags: u16,
    /// Digits behind the point.
    pub decimals: u8,
}

impl<'a> ColumnDefinition<'a> {
    /// Reads a payload; the names of extended types and what follows the fixed part (the default of COM_FIELD_LIST) are
    /// stepped over.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.lenenc_bytes()?;
        let schema = reader.lenenc_bytes()?;
        let table = reader.lenenc_bytes()?;
        let original_table = reader.lenenc_bytes()?;
        let name = reader.lenenc_bytes()?;
        let original_name = reader.lenenc_bytes()?;
        if capabilities & capability::EXTENDED_METADATA != 0 {
            reader.lenenc_bytes()?;
        }
        reader.lenenc()?;
        Ok(Self {
            schema,
            table,
            original_table,
            name,
            original_name,
            collation: reader.u16()?,
            length: reader.u32()?,
            kind: reader.u8()?,
            flags: reader.u16()?,
            decimals: reader.u8()?,
        })
    }

    /// Appends a payload.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        for text in [&b"def"[..], self.schema, self.table, self.original_table, self.name, self.original_name] {
            put_lenenc_bytes(out, text);
        }
        if capabilities & capability::EXTENDED_METADATA != 0 {
            put_lenenc(out, 0);
        }
        out.push(0x0c);
        out.extend_from_slice(&self.collation.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.push(self.kind);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&[self.decimals, 0, 0]);
    }

    /// Whether the column is an unsigned number.
    #[must_use]
    pub fn unsigned(&self) -> bool {
        self.flags & column_flag::UNSIGNED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_definition_round_trips() {
        let wire = b"\x03def\x04shop\x01o\x06orders\x02ID\x02id\x0c\x3f\x00\x14\x00\x00\x00\x08\x23\x42\x00\x00\x00";
        let column = ColumnDefinition::decode(wire, 0).expect("valid");
        assert_eq!(column.name, b"ID");
        assert_eq!(column.original_table, b"orders");
        assert_eq!((column.kind, column.length), (column_type::LONGLONG, 20));
        assert!(column.unsigned());
        let mut out = Vec::new();
        column.encode(&mut out, 0);
        assert_eq!(out, wire);
        for end in 0..wire.len() - 2 {
            assert!(ColumnDefinition::decode(&wire[..end], 0).is_err(), "{end}");
        }
    }

    #[test]
    fn another_name_takes_the_place_of_a_schema_and_of_nothing_else() {
        let mut column = ColumnDefinition {
            schema: b"shop_0",
            table: b"shop_0",
            original_table: b"shop_0",
            name: b"Tables_in_shop_0",
            original_name: b"shop_0",
            collation: 45,
            length: 9,
            kind: column_type::VAR_STRING,
            flags: 0,
            decimals: 0,
        };
        let renamed = |column: &ColumnDefinition<'_>| {
            let mut out = Vec::new();
            column.encode(&mut out, capability::EXTENDED_METADATA);
            with_schema(&out, b"shop_0", b"shop").map(|out| {
                let read = ColumnDefinition::decode(&out, capability::EXTENDED_METADATA).expect("valid");
                (read.schema.to_vec(), read.table.to_vec(), read.name.to_vec(), read.original_name.to_vec())
            })
        };
        let own = || b"shop_0".to_vec();
        assert_eq!(renamed(&column), Some((b"shop".to_vec(), own(), b"Tables_in_shop_0".to_vec(), own())));
        (column.schema, column.table) = (b"information_schema", b"TABLE_NAMES");
        for (name, expected) in [
            (&b"Tables_in_shop_0"[..], Some(&b"Tables_in_shop"[..])),
            (b"Tables_in_shop_0 (o%)", Some(b"Tables_in_shop (o%)")),
            (b"Tables_in_shop_01", None),
            (b"Table_type", None),
        ] {
            column.name = name;
            assert_eq!(renamed(&column).map(|read| read.2), expected.map(<[u8]>::to_vec));
        }
        assert_eq!(with_schema(b"\x03de", b"a", b"b"), None);
    }

    #[test]
    fn names_of_extended_types_are_stepped_over() {
        let wire = b"\x03def\x01d\x01j\x01j\x01a\x01a\x06\x01\x04json\x0c\x2d\0\xff\xff\xff\xff\xfc\x90\0\0\0\0";
        let column = ColumnDefinition::decode(wire, capability::EXTENDED_METADATA).expect("valid");
        assert_eq!((column.name, column.kind, column.collation), (&b"a"[..], column_type::BLOB, 45));
        let mut out = Vec::new();
        column.encode(&mut out, capability::EXTENDED_METADATA);
        assert_eq!(ColumnDefinition::decode(&out, capability::EXTENDED_METADATA), Ok(column));
    }
}
