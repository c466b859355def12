//! The order of rows: which cells sort, in which direction, and where NULL goes.
//! Out: how a single value compares (`cell`), and the dialects' defaults (the planner writes NULLS order out).

use std::cmp::Ordering;

use super::cell::Cell;

/// One term of an ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Index of the term's value in the row's cells.
    pub cell: usize,
    /// DESC.
    pub descending: bool,
    /// NULL before all values. MySQL: true for ASC, false for DESC; PostgreSQL the other way round unless written out.
    pub nulls_first: bool,
}

impl Order {
    /// The term as MySQL and MariaDB sort it: NULL is the smallest value.
    #[must_use]
    pub fn mysql(cell: usize, descending: bool) -> Self {
        Self { cell, descending, nulls_first: !descending }
    }

    /// The term as PostgreSQL sorts it when NULLS FIRST or LAST is not written: NULL is the greatest value.
    #[must_use]
    pub fn postgres(cell: usize, descending: bool) -> Self {
        Self { cell, descending, nulls_first: descending }
    }

    fn compare(&self, a: &Cell, b: &Cell) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if self.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if self.descending => b.compare(a),
            (false, false) => a.compare(b),
        }
    }
}

/// Order of two rows. A cell that is missing counts as NULL (rows are checked when they are offered).
pub(super) fn compare_rows(order: &[Order], a: &[Cell], b: &[Cell]) -> Ordering {
    for term in order {
        let ordering = term.compare(a.get(term.cell).unwrap_or(&Cell::Null), b.get(term.cell).unwrap_or(&Cell::Null));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Whether two rows have equal values in these cells; NULL equals NULL, as in GROUP BY and DISTINCT.
pub(super) fn same_cells(keys: &[usize], a: &[Cell], b: &[Cell]) -> bool {
    keys.iter().all(|&key| a.get(key) == b.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: Order, mut cells: Vec<Cell>) -> String {
        cells.sort_by(|a, b| order.compare(a, b));
        let names: Vec<String> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Int(value) => value.to_string(),
                _ => "null".to_owned(),
            })
            .collect();
        names.join(" ")
    }

    #[test]
    fn null_goes_where_the_dialect_puts_it() {
        let cells = || vec![Cell::Int(2), Cell::Null, Cell::Int(1)];
        assert_eq!(sorted(Order::mysql(0, false), cells()), "null 1 2");
        assert_eq!(sorted(Order::mysql(0, true), cells()), "2 1 null");
        assert_eq!(sorted(Order::postgres(0, false), cells()), "1 2 null");
        assert_eq!(sorted(Order::postgres(0, true), cells()), "null 2 1");
        assert_eq!(sorted(Order { cell: 0, descending: true, nulls_first: false }, cells()), "2 1 null");
    }

    #[test]
    fn later_terms_break_ties() {
        let order = [Order::mysql(1, false), Order::mysql(0, true)];
        let row = |a, b| vec![Cell::Int(a), Cell::Int(b)];
        assert_eq!(compare_rows(&order, &row(1, 5), &row(2, 5)), Ordering::Greater);
        assert_eq!(compare_rows(&order, &row(1, 4), &row(2, 5)), Ordering::Less);
        assert!(same_cells(&[1], &row(1, 5), &row(2, 5)));
        assert!(!same_cells(&[0, 1], &row(1, 5), &row(2, 5)));
    }
}
