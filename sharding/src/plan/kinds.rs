//! Which kinds of columns can be ordered, grouped and summed by the merge, and what kind an expression has.
//! Out: text, whose order and equality only the server knows. Invariant: `None` and `false` when in doubt.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::fact::ColumnId;
use super::walk::Walk;
use crate::merge::SumType;
use crate::schema::{ColumnKind, Protocol};

/// True if the merge orders such values exactly as the server does.
pub(super) fn sortable(kind: ColumnKind, protocol: Protocol) -> bool {
    let mysql = protocol == Protocol::MySql;
    match kind {
        ColumnKind::Int { .. }
        | ColumnKind::Year
        | ColumnKind::Decimal { .. }
        | ColumnKind::Bool
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::DateTime { .. }
        | ColumnKind::Timestamp => true,
        // MySQL's text form of a 4-byte float has fewer digits than the float.
        ColumnKind::Float { bytes } => !mysql || bytes == 8,
        // BLOBs are sorted by their first max_sort_length bytes only.
        ColumnKind::Bytes { length, .. } => !mysql || length.is_some(),
        // MariaDB's UUID sorts by its time parts.
        ColumnKind::Uuid => !mysql,
        ColumnKind::Text { .. } | ColumnKind::Other => false,
    }
}

/// True if values that are equal to the server are equal to the merge, and look alike.
pub(super) fn groupable(kind: ColumnKind, protocol: Protocol) -> bool {
    match kind {
        ColumnKind::Float { .. } | ColumnKind::Decimal { scale: None, .. } => false,
        ColumnKind::Uuid => true,
        _ => sortable(kind, protocol),
    }
}

/// True if the merge reads the value from the column the client sees; else it reads a hidden copy (PostgreSQL sends hidden
/// columns in binary, and the texts of these depend on settings).
pub(super) fn readable(kind: ColumnKind, protocol: Protocol) -> bool {
    match protocol {
        // Shown in the session's zone, in which two moments can look the same.
        Protocol::MySql => kind != ColumnKind::Timestamp,
        Protocol::Postgres => match kind {
            ColumnKind::Int { .. } | ColumnKind::Decimal { .. } | ColumnKind::Bool | ColumnKind::Uuid => true,
            ColumnKind::Year
            | ColumnKind::Float { .. }
            | ColumnKind::Text { .. }
            | ColumnKind::Bytes { .. }
            | ColumnKind::Date
            | ColumnKind::Time
            | ColumnKind::DateTime { .. }
            | ColumnKind::Timestamp
            | ColumnKind::Other => false,
        },
    }
}

/// How partial sums of such values add up.
pub(super) fn sum_type(kind: ColumnKind, protocol: Protocol) -> Option<SumType> {
    match (protocol, kind) {
        (Protocol::MySql, ColumnKind::Int { .. } | ColumnKind::Decimal { .. }) => Some(SumType::MySqlDecimal),
        (Protocol::Postgres, ColumnKind::Int { bytes, .. }) => {
            Some(if bytes <= 4 { SumType::BigInt } else { SumType::Numeric })
        }
        (Protocol::Postgres, ColumnKind::Decimal { .. }) => Some(SumType::Numeric),
        _ => None,
    }
}

const NUMERIC: ColumnKind = ColumnKind::Decimal { precision: 0, scale: None };

impl Walk<'_> {
    /// The kind of a column.
    pub fn column_kind(&self, column: ColumnId) -> Option<ColumnKind> {
        Some(self.tables.get(column.relation)?.as_ref()?.columns.get(column.column)?.kind)
    }

    /// The kind of a column or of plain arithmetic over columns and literals; `None` if it is not certain.
    pub fn kind_of(&self, expr: &Expr) -> Option<ColumnKind> {
        if let Some(column) = self.column(expr) {
            return self.column_kind(column);
        }
        match expr {
            Expr::Nested(inner) => self.kind_of(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => self.number(expr),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply,
                right,
            } => {
                let (a, b) = (self.number(left), self.number(right));
                // The type of an integer literal depends on its value, which a plan must not.
                match (a, b, literal(left) || literal(right)) {
                    (Some(NUMERIC), Some(_), _) | (Some(_), Some(NUMERIC), _) => Some(NUMERIC),
                    (Some(ColumnKind::Int { bytes: a, .. }), Some(ColumnKind::Int { bytes: b, .. }), false) => {
                        Some(ColumnKind::Int { bytes: a.max(b), unsigned: false })
                    }
                    (Some(ColumnKind::Int { bytes: 8, unsigned }), Some(ColumnKind::Int { .. }), true)
                    | (Some(ColumnKind::Int { .. }), Some(ColumnKind::Int { bytes: 8, unsigned }), true) => {
                        Some(ColumnKind::Int { bytes: 8, unsigned })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The kind of a number; all decimals are one kind, for their scale is not followed.
    fn number(&self, expr: &Expr) -> Option<ColumnKind> {
        if literal(expr) {
            return match expr {
                Expr::Value(value) => match &value.value {
                    Value::Number(text, _) if text.bytes().all(|b| b.is_ascii_digit()) => {
                        Some(ColumnKind::Int { bytes: if self.source.mysql() { 8 } else { 4 }, unsigned: false })
                    }
                    Value::Number(text, _) if !text.bytes().any(|b| b.eq_ignore_ascii_case(&b'e')) => Some(NUMERIC),
                    _ => None,
                },
                _ => None,
            };
        }
        match self.kind_of(expr)? {
            ColumnKind::Decimal { .. } => Some(NUMERIC),
            kind @ ColumnKind::Int { .. } => Some(kind),
            _ => None,
        }
    }
}

fn literal(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => literal(inner),
        Expr::Value(_) => true,
        _ => false,
    }
}
