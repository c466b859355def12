//! Combines the partial aggregates of several shards exactly: COUNT, SUM, MIN, MAX, BOOL_AND, BOOL_OR, BIT_*.
//! Out: AVG and everything else whose result has a scale or a rounding that only the server knows.

use std::cmp::Ordering;

use super::cell::Cell;
use super::decimal::Decimal;
use super::error::MergeError;

/// The type of a sum's result, which fixes how partial sums add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumType {
    /// MySQL: SUM of integers and DECIMALs is DECIMAL with the column's scale, at most 65 digits.
    MySqlDecimal,
    /// PostgreSQL: sum(int2), sum(int4) is bigint; leaving its range is an error.
    BigInt,
    /// PostgreSQL: sum(int8), sum(numeric) is numeric with the largest scale met.
    Numeric,
    /// Both: DOUBLE, double precision (MySQL sums FLOAT as DOUBLE too), added in the order of the streams.
    Double,
    /// PostgreSQL: sum(real) is real, every step rounded to 32 bits.
    Real,
}

impl SumType {
    fn name(self) -> &'static str {
        match self {
            Self::MySqlDecimal => "DECIMAL value",
            Self::BigInt => "bigint",
            Self::Numeric => "numeric value",
            Self::Double => "double precision value",
            Self::Real => "real value",
        }
    }
}

/// How the partial results of one aggregate become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// COUNT(*) and COUNT(x): the counts add up.
    Count,
    /// SUM: NULL only when every part is NULL.
    Sum(SumType),
    /// MIN: NULL is ignored.
    Min,
    /// MAX: NULL is ignored; NaN is the greatest.
    Max,
    /// BOOL_AND, EVERY over cells 0 and 1.
    BoolAnd,
    /// BOOL_OR over cells 0 and 1.
    BoolOr,
    /// BIT_AND over integers; NULL is ignored (MySQL's neutral value arrives from the shard).
    BitAnd,
    /// BIT_OR over integers.
    BitOr,
    /// BIT_XOR over integers.
    BitXor,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum(_) => "SUM",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::BoolAnd => "BOOL_AND",
            Self::BoolOr => "BOOL_OR",
            Self::BitAnd => "BIT_AND",
            Self::BitOr => "BIT_OR",
            Self::BitXor => "BIT_XOR",
        }
    }
}

/// One aggregate of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// How parts combine.
    pub function: Function,
    /// Index of the part in the row's cells.
    pub cell: usize,
    /// The visible column that holds the result.
    pub column: usize,
}

/// Which part a combined value is.
pub(super) enum Combined {
    /// As it was before: the new part adds nothing (a NULL, a value that is not smaller).
    Kept,
    /// Exactly the new part.
    Replaced,
    /// A value that no shard has sent.
    Computed(Cell),
}

impl Aggregate {
    /// Combines what was gathered so far with one more part.
    pub(super) fn combine(&self, so_far: &Cell, part: &Cell) -> Result<Combined, MergeError> {
        match (so_far, part) {
            (_, Cell::Null) => return Ok(Combined::Kept),
            (Cell::Null, _) => return Ok(Combined::Replaced),
            _ => {}
        }
        match (self.function, so_far, part) {
            (Function::Min, a, b) => Ok(choose(b.compare(a) == Ordering::Less)),
            (Function::Max, a, b) => Ok(choose(b.compare(a) == Ordering::Greater)),
            (Function::Count, Cell::Int(a), Cell::Int(b)) => Ok(Combined::Computed(bigint_sum(*a, *b)?)),
            (Function::Sum(sum_type), a, b) => self.add(sum_type, a, b).map(Combined::Computed),
            (Function::BoolAnd, Cell::Int(a), Cell::Int(b)) => Ok(choose(*b == 0 && *a != 0)),
            (Function::BoolOr, Cell::Int(a), Cell::Int(b)) => Ok(choose(*b != 0 && *a == 0)),
            (Function::BitAnd, Cell::Int(a), Cell::Int(b)) => Ok(Combined::Computed(Cell::Int(a & b))),
            (Function::BitOr, Cell::Int(a), Cell::Int(b)) => Ok(Combined::Computed(Cell::Int(a | b))),
            (Function::BitXor, Cell::Int(a), Cell::Int(b)) => Ok(Combined::Computed(Cell::Int(a ^ b))),
            (_, _, found) => Err(self.not_mergeable(found)),
        }
    }

    fn add(&self, sum_type: SumType, a: &Cell, b: &Cell) -> Result<Cell, MergeError> {
        match (sum_type, a, b) {
            (SumType::BigInt, Cell::Int(a), Cell::Int(b)) => bigint_sum(*a, *b),
            (SumType::MySqlDecimal | SumType::Numeric, _, _) => {
                let (Some(a), Some(b)) = (exact(a), exact(b)) else {
                    return Err(self.not_mergeable(b));
                };
                let sum = a.add(&b);
                if sum_type == SumType::MySqlDecimal && sum.digits() > MYSQL_DECIMAL_DIGITS_MAX {
                    return Err(MergeError::Overflow { type_name: sum_type.name() });
                }
                Ok(Cell::Decimal(sum))
            }
            (SumType::Double | SumType::Real, Cell::Float(a), Cell::Float(b)) => {
                #[allow(clippy::cast_possible_truncation, reason = "real is added in 32 bits by the server too")]
                let sum = match sum_type {
                    SumType::Real => f64::from(*a as f32 + *b as f32),
                    _ => a + b,
                };
                if sum.is_infinite() && a.is_finite() && b.is_finite() {
                    return Err(MergeError::Overflow { type_name: sum_type.name() });
                }
                Ok(Cell::Float(sum))
            }
            (_, _, found) => Err(self.not_mergeable(found)),
        }
    }

    fn not_mergeable(&self, found: &Cell) -> MergeError {
        MergeError::NotMergeable { function: self.function.name(), found: found.kind() }
    }
}

/// Longest DECIMAL of MySQL and MariaDB.
const MYSQL_DECIMAL_DIGITS_MAX: usize = 65;

fn choose(part: bool) -> Combined {
    if part { Combined::Replaced } else { Combined::Kept }
}

fn bigint_sum(a: i128, b: i128) -> Result<Cell, MergeError> {
    a.checked_add(b)
        .filter(|sum| i64::try_from(*sum).is_ok())
        .map(Cell::Int)
        .ok_or(MergeError::Overflow { type_name: SumType::BigInt.name() })
}

fn exact(cell: &Cell) -> Option<Decimal> {
    match cell {
        Cell::Int(value) => Some(Decimal::from(*value)),
        Cell::Decimal(value) => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folds the parts as a group does; `None` when no part was taken.
    fn fold(function: Function, parts: &[Cell]) -> Result<Cell, MergeError> {
        let aggregate = Aggregate { function, cell: 0, column: 0 };
        let mut so_far = Cell::Null;
        for part in parts {
            match aggregate.combine(&so_far, part)? {
                Combined::Kept => {}
                Combined::Replaced => so_far = part.clone(),
                Combined::Computed(cell) => so_far = cell,
            }
        }
        Ok(so_far)
    }

    fn decimal(text: &str) -> Cell {
        Cell::Decimal(Decimal::parse(text.as_bytes()).expect("a decimal"))
    }

    fn text(cell: Cell) -> String {
        match cell {
            Cell::Decimal(value) => value.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn sums_are_null_only_without_any_value() {
        let sum = Function::Sum(SumType::Numeric);
        assert!(fold(sum, &[]).expect("sum").is_null());
        assert!(fold(sum, &[Cell::Null, Cell::Null]).expect("sum").is_null());
        assert_eq!(text(fold(sum, &[Cell::Null, decimal("1.50"), Cell::Null]).expect("sum")), "1.50");
    }

    #[test]
    fn exact_sums_keep_their_scale() {
        let mysql = Function::Sum(SumType::MySqlDecimal);
        assert_eq!(text(fold(mysql, &[decimal("1.10"), decimal("2.20")]).expect("sum")), "3.30");
        assert_eq!(text(fold(mysql, &[decimal("0.00"), decimal("2.20")]).expect("sum")), "2.20");
        assert_eq!(
            text(fold(mysql, &[decimal("18446744073709551615"), decimal("18446744073709551615")]).expect("sum")),
            "36893488147419103230"
        );
        let numeric = Function::Sum(SumType::Numeric);
        assert_eq!(text(fold(numeric, &[decimal("1.10"), decimal("2.200")]).expect("sum")), "3.300");
    }

    #[test]
    fn overflow_is_an_error() {
        let max = Cell::Int(i128::from(i64::MAX));
        let overflow = Err(MergeError::Overflow { type_name: "bigint" });
        assert_eq!(fold(Function::Sum(SumType::BigInt), &[max.clone(), Cell::Int(1)]), overflow);
        assert_eq!(fold(Function::Count, &[max, Cell::Int(1)]), overflow);
        let wide = decimal(&"9".repeat(65));
        assert!(fold(Function::Sum(SumType::MySqlDecimal), &[wide.clone(), wide.clone()]).is_err());
        assert!(fold(Function::Sum(SumType::Numeric), &[wide.clone(), wide]).is_ok());
        assert!(fold(Function::Sum(SumType::Double), &[Cell::Float(1e308), Cell::Float(1e308)]).is_err());
        let infinite = fold(Function::Sum(SumType::Double), &[Cell::Float(f64::INFINITY), Cell::Float(1.0)]);
        assert_eq!(infinite, Ok(Cell::Float(f64::INFINITY)));
    }

    #[test]
    fn real_sums_round_to_32_bits() {
        let part = |value: f32| Cell::Float(f64::from(value));
        let sum = fold(Function::Sum(SumType::Real), &[part(16_777_216.0), part(1.0)]).expect("sum");
        assert_eq!(sum, part(16_777_216.0));
        let sum = fold(Function::Sum(SumType::Double), &[part(16_777_216.0), part(1.0)]).expect("sum");
        assert_eq!(sum, Cell::Float(16_777_217.0));
    }

    #[test]
    fn extremes_ignore_null_and_keep_the_first_of_equals() {
        let parts = [Cell::Null, decimal("2.0"), decimal("-1"), decimal("NaN"), decimal("-1.00"), Cell::Null];
        assert_eq!(text(fold(Function::Min, &parts).expect("min")), "-1");
        assert_eq!(text(fold(Function::Max, &parts).expect("max")), "NaN");
        assert!(fold(Function::Max, &[Cell::Null]).expect("max").is_null());
    }

    #[test]
    fn logic_and_bits() {
        let ints = |values: &[i128]| values.iter().map(|v| Cell::Int(*v)).collect::<Vec<_>>();
        assert_eq!(fold(Function::BoolAnd, &ints(&[1, 0, 1])), Ok(Cell::Int(0)));
        assert_eq!(fold(Function::BoolAnd, &[Cell::Null, Cell::Int(1)]), Ok(Cell::Int(1)));
        assert_eq!(fold(Function::BoolOr, &ints(&[0, 1, 0])), Ok(Cell::Int(1)));
        assert_eq!(fold(Function::BitAnd, &ints(&[i128::from(u64::MAX), 6, 12])), Ok(Cell::Int(4)));
        assert_eq!(fold(Function::BitOr, &ints(&[1, 4])), Ok(Cell::Int(5)));
        assert_eq!(fold(Function::BitXor, &ints(&[5, 1])), Ok(Cell::Int(4)));
        // Negative PostgreSQL integers.
        assert_eq!(fold(Function::BitAnd, &ints(&[-1, -8])), Ok(Cell::Int(-8)));
    }

    #[test]
    fn wrong_kinds_are_refused() {
        for function in [Function::Count, Function::Sum(SumType::Double), Function::Sum(SumType::Numeric)] {
            let bytes = Cell::Bytes(b"1".as_slice().into());
            let error = fold(function, &[bytes.clone(), bytes]).expect_err("refused");
            assert!(matches!(error, MergeError::NotMergeable { .. }), "{error}");
        }
    }
}
