//! One decoded value of a merge key or aggregate, and how the servers order such values.
//! Out: wire formats (the process decodes), text under a collation (planned as bytes or not at all).
//!
//! | column type | cell |
//! | --- | --- |
//! | integers of any width and sign, BIT, YEAR | `Int` |
//! | boolean | `Int` 0 or 1 |
//! | DECIMAL, NUMERIC | `Decimal` |
//! | FLOAT, DOUBLE, real, double precision | `Float` (a 32-bit float widened: exact) |
//! | PostgreSQL date, time, timestamp, timestamptz | `Int`, the binary format's number (the infinities are its extremes) |
//! | MySQL DATE, DATETIME, TIMESTAMP | `Bytes` of the text form, or `Int` of any packing that keeps the order |
//! | MySQL TIME | `Int` microseconds, negative ones too (its text does not sort) |
//! | UUID, BINARY, VARBINARY, BLOB, bytea, weights of strings | `Bytes` |

use std::cmp::Ordering;

use super::decimal::Decimal;

/// One value of a merge key or of an aggregate.
#[derive(Clone, Debug, Default)]
pub enum Cell {
    /// SQL NULL.
    #[default]
    Null,
    /// Any integer, and everything whose order is that of an integer.
    Int(i128),
    /// An exact number with a scale.
    Decimal(Decimal),
    /// A binary floating-point number.
    Float(f64),
    /// Compared byte by byte, a shorter prefix first.
    Bytes(Box<[u8]>),
}

impl Cell {
    /// True for SQL NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Name of the kind, for error messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Float(_) => "float",
            Self::Bytes(_) => "bytes",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Int(_) => 1,
            Self::Decimal(_) => 2,
            Self::Float(_) => 3,
            Self::Bytes(_) => 4,
        }
    }

    /// Order of two values of one column, NULL before all; [`Order`](super::Order) places NULL and turns directions.
    /// -0.0 equals 0.0; NaN equals itself and is greater than every number (PostgreSQL; MySQL has none). Kinds never
    /// differ within a column (the merger checks); if they did, the order would still be total.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => compare_floats(*a, *b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Appends bytes that are equal exactly for values that [`compare`](Self::compare) as equal, also when several
    /// cells follow each other.
    pub(super) fn write_identity(&self, out: &mut Vec<u8>) {
        out.push(self.rank());
        match self {
            Self::Null => {}
            Self::Int(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Decimal(value) => value.write_identity(out),
            Self::Float(value) => {
                let canonical = if value.is_nan() {
                    f64::NAN
                } else if *value == 0.0 {
                    0.0
                } else {
                    *value
                };
                out.extend_from_slice(&canonical.to_bits().to_le_bytes());
            }
            Self::Bytes(value) => {
                out.extend_from_slice(&(value.len() as u64).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    /// Bytes that holding this cell costs.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Bytes(value) => value.len(),
                Self::Decimal(value) => value.heap_bytes(),
                _ => 0,
            }
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cells: &[Cell]) -> Vec<u8> {
        let mut out = Vec::new();
        cells.iter().for_each(|cell| cell.write_identity(&mut out));
        out
    }

    #[test]
    fn floats_order_as_postgresql_does() {
        let sorted = [f64::NEG_INFINITY, -1.5, 0.0, 1.5, f64::INFINITY, f64::NAN];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(Cell::Float(*a).compare(&Cell::Float(*b)), i.cmp(&j), "{a} against {b}");
            }
        }
        assert_eq!(Cell::Float(-0.0), Cell::Float(0.0));
    }

    #[test]
    fn bytes_order_as_memcmp() {
        let cell = |bytes: &[u8]| Cell::Bytes(bytes.into());
        assert_eq!(cell(b"a").compare(&cell(b"ab")), Ordering::Less);
        assert_eq!(cell(b"\xff").compare(&cell(b"a")), Ordering::Greater);
        assert_eq!(cell(b"").compare(&Cell::Null), Ordering::Greater);
    }

    #[test]
    fn unsigned_bigints_do_not_wrap() {
        assert_eq!(Cell::Int(i128::from(u64::MAX)).compare(&Cell::Int(-1)), Ordering::Greater);
    }

    #[test]
    fn identity_agrees_with_compare() {
        assert_eq!(identity(&[Cell::Float(-0.0)]), identity(&[Cell::Float(0.0)]));
        assert_eq!(identity(&[Cell::Float(-f64::NAN)]), identity(&[Cell::Float(f64::NAN)]));
        assert_eq!(identity(&[Cell::Decimal(Decimal::new(150, 2))]), identity(&[Cell::Decimal(Decimal::new(15, 1))]));
        // Cells that follow each other do not run together.
        let bytes = |b: &[u8]| Cell::Bytes(b.into());
        assert_ne!(identity(&[bytes(b"a"), bytes(b"b")]), identity(&[bytes(b"ab"), bytes(b"")]));
        assert_ne!(
            identity(&[Cell::Decimal(1.into()), Cell::Decimal(23.into())]),
            identity(&[Cell::Decimal(12.into()), Cell::Decimal(3.into())])
        );
        assert_ne!(identity(&[Cell::Null]), identity(&[Cell::Int(0)]));
    }
}
