//! Merges the rows of many shards into one result, streaming.
//! In: ordering, grouping, aggregates, DISTINCT, LIMIT. Out: anything that talks to a shard, decodes a packet, or knows
//! why rows were split.
//! Invariant: holds one row per shard (or what the caller offers ahead), except for hashed groups, unsorted DISTINCT
//! and sorting after grouping, which are bounded by [`Limits`].
//!
//! A row is a *payload*, the bytes as the shard sent them, and *cells*, its decoded merge keys and aggregate parts. Rows
//! come out as payloads; [`Merged::replaced`] says which visible columns have another value than the payload's.
//!
//! ```
//! use sharding::merge::{Cell, Limits, Merger, Order, Spec, Window};
//!
//! let spec = Spec { cells: 1, order: vec![Order::mysql(0, false)], ..Spec::default() };
//! let mut merger = Merger::new(&spec, Window::default(), 2, Limits::default())?;
//! merger.offer(0, vec![Cell::Int(3)], "three", 5)?;
//! merger.offer(1, vec![Cell::Int(1)], "one", 3)?;
//! assert_eq!(merger.pop()?.map(|row| row.payload), Some("one"));
//! assert_eq!(merger.wants(), Some(1));
//! merger.finish(1)?;
//! assert_eq!(merger.pop()?.map(|row| row.payload), Some("three"));
//! # Ok::<(), sharding::merge::MergeError>(())
//! ```

mod aggregate;
mod cell;
mod decimal;
mod error;
mod groups;
mod limits;
mod order;
#[cfg(test)]
mod random_tests;
mod sorted;
mod spec;
mod streams;
#[cfg(test)]
mod tests;

pub use aggregate::{Aggregate, Function, SumType};
pub use cell::Cell;
pub use decimal::Decimal;
pub use error::MergeError;
pub use limits::Limits;
pub use order::Order;
pub use spec::{Grouping, Spec, Window};

use groups::{Distinct, HashedGroups, Outcome, SortedGroups};
use limits::Held;
use order::compare_rows;
use sorted::Sorted;
use streams::{Row, Streams};

/// One row of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged<P> {
    /// The row as one shard sent it, hidden columns included.
    pub payload: P,
    /// Visible columns whose value is not the payload's, in no particular order.
    pub replaced: Vec<(usize, Replacement<P>)>,
}

/// The value of a column that is not the payload's.
#[derive(Debug, Clone, PartialEq)]
pub enum Replacement<P> {
    /// A value no shard has sent, to be encoded in the column's type and format.
    Value(Cell),
    /// The bytes of the same column in another row, unchanged.
    Taken(P),
}

/// What happens to rows between the streams and the result.
enum Stage<P> {
    /// Nothing. Holds the cells of the row that came out last, to notice rows that are out of order.
    Pass {
        last: Option<Vec<Cell>>,
    },
    Sorted(SortedGroups<P>),
    Hashed(HashedGroups<P>),
    Distinct(Distinct),
}

/// Merges the rows of a fixed number of streams, one per shard.
///
/// Drive it so: take rows with [`pop`](Self::pop) until it gives none; when [`is_done`](Self::is_done), the result is
/// complete (what the shards still send is to be dropped); else read from the shard that [`wants`](Self::wants) names,
/// and [`offer`](Self::offer) or [`finish`](Self::finish) it. Rows of other streams may be offered at any time; they
/// count against the limits until they are taken.
pub struct Merger<P> {
    streams: Streams<P>,
    stage: Stage<P>,
    sorted: Option<Sorted<P>>,
    order: Vec<Order>,
    /// Kind of value seen in each cell first; `null` when there was none yet.
    kinds: Vec<&'static str>,
    /// An aggregate without GROUP BY has exactly one row; false once it came out.
    owes_row: bool,
    window: Window,
    done: bool,
    held: Held,
    spare: Vec<Cell>,
}

impl<P: Clone> Merger<P> {
    /// A merge of `streams` streams.
    ///
    /// # Errors
    /// [`MergeError::Misused`] if the specification contradicts itself.
    pub fn new(spec: &Spec, window: Window, streams: usize, limits: Limits) -> Result<Self, MergeError> {
        spec.check()?;
        let grouping = spec.grouping.clone();
        let whole = grouping.as_ref().is_some_and(|grouping| grouping.keys.is_empty());
        let stage = match grouping {
            None => Stage::Pass { last: None },
            Some(group) if group.sorted || group.keys.is_empty() => {
                Stage::Sorted(SortedGroups::new(group.keys, group.aggregates))
            }
            Some(group) if group.aggregates.is_empty() => Stage::Distinct(Distinct::new(group.keys)),
            Some(group) => Stage::Hashed(HashedGroups::new(group.keys, group.aggregates)),
        };
        let keep = window.take.map_or(u64::MAX, |take| take.saturating_add(window.skip));
        let sorted = (!spec.order_after.is_empty()).then(|| Sorted::new(spec.order_after.clone(), keep));
        Ok(Self {
            streams: Streams::new(spec.order.clone(), streams),
            stage,
            sorted,
            order: spec.order.clone(),
            kinds: vec![Cell::Null.kind(); spec.cells],
            owes_row: whole,
            window,
            done: window.take == Some(0),
            held: Held::new(limits),
            spare: Vec::new(),
        })
    }

    /// The stream that must deliver a row or finish before the next row can come out. `None`: rows wait in
    /// [`pop`](Self::pop), or the result is complete.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        if self.done { None } else { self.streams.wants() }
    }

    /// The result is complete: every stream has ended and every row came out, or LIMIT was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Rows and bytes held now.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        self.held.now()
    }

    /// An empty vector for the next row's cells, with the room of an earlier one.
    #[must_use]
    pub fn spare(&mut self) -> Vec<Cell> {
        let mut cells = std::mem::take(&mut self.spare);
        cells.clear();
        cells
    }

    /// Gives the merge the next row of a stream. `payload_bytes` is what holding the payload costs. Once the result is
    /// complete, rows are dropped.
    ///
    /// # Errors
    /// A limit is reached, the cell kinds of the shards differ, or the row has another number of cells than agreed.
    pub fn offer(
        &mut self,
        stream: usize,
        cells: Vec<Cell>,
        payload: P,
        payload_bytes: usize,
    ) -> Result<(), MergeError> {
        if self.done {
            self.spare = cells;
            return Ok(());
        }
        if cells.len() != self.kinds.len() {
            return Err(MergeError::Misused { reason: "a row with another number of cells than the merge has" });
        }
        let mut bytes = payload_bytes;
        for (key, (cell, expected)) in cells.iter().zip(&mut self.kinds).enumerate() {
            bytes = bytes.saturating_add(cell.held_bytes());
            if cell.is_null() {
                continue;
            }
            let found = cell.kind();
            if *expected == Cell::Null.kind() {
                *expected = found;
            } else if *expected != found {
                return Err(MergeError::KindDiffers { stream, key, expected, found });
            }
        }
        self.held.take_row(bytes)?;
        self.streams.offer(Row { cells, payload, bytes, stream })
    }

    /// Says that a stream has no more rows.
    ///
    /// # Errors
    /// [`MergeError::Misused`] for a stream that does not exist.
    pub fn finish(&mut self, stream: usize) -> Result<(), MergeError> {
        self.streams.finish(stream)
    }

    /// The next row of the result, if the rows offered so far decide it.
    ///
    /// # Errors
    /// A limit, an overflowing aggregate, or rows out of order. The merge is over then.
    pub fn pop(&mut self) -> Result<Option<Merged<P>>, MergeError> {
        while !self.done {
            let next = match self.next_sorted() {
                Ok(next) => next,
                Err(error) => {
                    self.end();
                    return Err(error);
                }
            };
            let Some(row) = next else {
                if self.streams.exhausted() {
                    self.end();
                    if std::mem::take(&mut self.owes_row) {
                        return Err(MergeError::Misused { reason: "no shard sent the row of its aggregates" });
                    }
                }
                return Ok(None);
            };
            self.held.release_row(row.bytes);
            self.owes_row = false;
            self.keep_spare(row.cells);
            if self.window.skip > 0 {
                self.window.skip -= 1;
                continue;
            }
            if let Some(take) = &mut self.window.take {
                *take = take.saturating_sub(1);
                if *take == 0 {
                    self.end();
                }
            }
            return Ok(Some(row.merged));
        }
        Ok(None)
    }

    /// Drops everything that is held: nothing more comes out.
    fn end(&mut self) {
        self.done = true;
        self.sorted = None;
        self.stage = Stage::Pass { last: None };
        self.streams = Streams::new(Vec::new(), 0);
    }

    fn keep_spare(&mut self, cells: Vec<Cell>) {
        if let Stage::Pass { last } = &mut self.stage
            && self.streams.ordered()
        {
            self.spare = last.replace(cells).unwrap_or_default();
        } else {
            self.spare = cells;
        }
    }

    fn next_sorted(&mut self) -> Result<Option<Outcome<P>>, MergeError> {
        if self.sorted.is_none() {
            return self.next_grouped();
        }
        while let Some(row) = self.next_grouped()? {
            if let Some(sorted) = &mut self.sorted {
                sorted.take(row, &mut self.held);
            }
        }
        if !self.streams.exhausted() {
            return Ok(None);
        }
        Ok(self.sorted.as_mut().and_then(Sorted::finish))
    }

    fn next_grouped(&mut self) -> Result<Option<Outcome<P>>, MergeError> {
        while let Some(row) = self.streams.pop() {
            let before = match &self.stage {
                Stage::Pass { last } => last.as_deref(),
                Stage::Sorted(groups) => groups.current_cells(),
                Stage::Hashed(_) | Stage::Distinct(_) => None,
            };
            if before.is_some_and(|before| compare_rows(&self.order, before, &row.cells).is_gt()) {
                return Err(MergeError::OutOfOrder { stream: row.stream });
            }
            match &mut self.stage {
                Stage::Pass { .. } => return Ok(Some(passed(row))),
                Stage::Sorted(groups) => {
                    if let Some(group) = groups.take(row, &mut self.held, &mut self.spare)? {
                        return Ok(Some(group));
                    }
                }
                Stage::Hashed(groups) => groups.take(row, &mut self.held, &mut self.spare)?,
                Stage::Distinct(distinct) => {
                    if let Some(row) = distinct.take(row, &mut self.held)? {
                        return Ok(Some(passed(row)));
                    }
                }
            }
        }
        if !self.streams.exhausted() {
            return Ok(None);
        }
        Ok(match &mut self.stage {
            Stage::Sorted(groups) => groups.finish(),
            Stage::Hashed(groups) => groups.finish(&mut self.held),
            Stage::Pass { .. } | Stage::Distinct(_) => None,
        })
    }
}

fn passed<P>(row: Row<P>) -> Outcome<P> {
    let merged = Merged { payload: row.payload, replaced: Vec::new() };
    Outcome { cells: row.cells, merged, bytes: row.bytes }
}
