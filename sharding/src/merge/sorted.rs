//! Sorts merged rows when their order is known only after grouping (`GROUP BY a ORDER BY COUNT(*)`).
//! Out: the order of the streams. Invariant: with LIMIT n it holds at most twice n rows, else all, within the limits.

use super::groups::Outcome;
use super::limits::Held;
use super::order::{Order, compare_rows};

/// Collects rows, then gives them in order; rows that compare equal stay in the order in which they came.
pub(super) struct Sorted<P> {
    order: Vec<Order>,
    /// Rows that can still be part of the result.
    keep: usize,
    rows: Vec<Outcome<P>>,
    finished: Option<std::vec::IntoIter<Outcome<P>>>,
}

/// Below this many rows nothing is cut: sorting often costs more than holding.
const CUT_ROWS_MIN: usize = 256;

impl<P> Sorted<P> {
    pub(super) fn new(order: Vec<Order>, keep: u64) -> Self {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        Self { order, keep, rows: Vec::new(), finished: None }
    }

    pub(super) fn take(&mut self, row: Outcome<P>, held: &mut Held) {
        self.rows.push(row);
        if self.rows.len() >= self.keep.saturating_mul(2).max(CUT_ROWS_MIN) {
            self.sort();
            for row in self.rows.drain(self.keep.min(self.rows.len())..) {
                held.release_row(row.bytes);
            }
        }
    }

    pub(super) fn finish(&mut self) -> Option<Outcome<P>> {
        if self.finished.is_none() {
            self.sort();
        }
        self.finished.get_or_insert_with(|| std::mem::take(&mut self.rows).into_iter()).next()
    }

    fn sort(&mut self) {
        self.rows.sort_by(|a, b| compare_rows(&self.order, &a.cells, &b.cells));
    }
}
