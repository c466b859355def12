//! GROUP BY, DISTINCT and aggregates over all rows: rows of several shards that belong together become one.
//! Out: the order of the streams, the limits of the result.
//! Invariant: groups of sorted streams hold one group at a time; hashed groups hold all of them, within the limits.

use std::collections::{HashMap, HashSet};

use super::aggregate::{Aggregate, Combined};
use super::cell::Cell;
use super::error::MergeError;
use super::limits::Held;
use super::order::same_cells;
use super::streams::Row;
use super::{Merged, Replacement};

/// A merged row that is still counted as held.
pub(super) struct Outcome<P> {
    pub cells: Vec<Cell>,
    pub merged: Merged<P>,
    pub bytes: usize,
}

/// Where the value of an aggregate is now.
enum Source<P> {
    /// In the group's first row, as the shard sent it.
    First,
    /// In another row, as the shard sent it.
    Other { payload: P, bytes: usize },
    /// Computed: in the group's cells only.
    Computed,
}

/// The rows with the same group keys so far.
struct Group<P> {
    /// The first row's cells; those of aggregates are kept combined.
    cells: Vec<Cell>,
    payload: P,
    bytes: usize,
    /// One per aggregate; none while the group has one row.
    sources: Vec<Source<P>>,
}

impl<P: Clone> Group<P> {
    fn new(row: Row<P>) -> Self {
        Self { cells: row.cells, payload: row.payload, bytes: row.bytes, sources: Vec::new() }
    }

    /// Combines one more row into the group; gives its cells back for reuse.
    fn absorb(&mut self, aggregates: &[Aggregate], mut row: Row<P>, held: &mut Held) -> Result<Vec<Cell>, MergeError> {
        held.release_row(row.bytes);
        if self.sources.is_empty() {
            self.sources.extend(aggregates.iter().map(|_| Source::First));
        }
        for (aggregate, source) in aggregates.iter().zip(&mut self.sources) {
            let (Some(so_far), Some(part)) = (self.cells.get_mut(aggregate.cell), row.cells.get_mut(aggregate.cell))
            else {
                continue;
            };
            let next = match aggregate.combine(so_far, part)? {
                Combined::Kept => continue,
                Combined::Replaced => {
                    held.take_bytes(row.bytes)?;
                    *so_far = std::mem::take(part);
                    Source::Other { payload: row.payload.clone(), bytes: row.bytes }
                }
                Combined::Computed(cell) => {
                    *so_far = cell;
                    Source::Computed
                }
            };
            if let Source::Other { bytes, .. } = std::mem::replace(source, next) {
                held.release_bytes(bytes);
            }
        }
        Ok(row.cells)
    }

    fn into_outcome(self, aggregates: &[Aggregate]) -> Outcome<P> {
        let mut bytes = self.bytes;
        let mut replaced = Vec::new();
        for (aggregate, source) in aggregates.iter().zip(self.sources) {
            let replacement = match source {
                Source::First => continue,
                Source::Other { payload, bytes: more } => {
                    bytes = bytes.saturating_add(more);
                    Replacement::Taken(payload)
                }
                Source::Computed => Replacement::Value(self.cells.get(aggregate.cell).cloned().unwrap_or_default()),
            };
            replaced.push((aggregate.column, replacement));
        }
        Outcome { cells: self.cells, merged: Merged { payload: self.payload, replaced }, bytes }
    }
}

/// Groups of streams that are sorted by the group keys: equal keys arrive one after the other.
pub(super) struct SortedGroups<P> {
    keys: Vec<usize>,
    aggregates: Vec<Aggregate>,
    current: Option<Group<P>>,
}

impl<P: Clone> SortedGroups<P> {
    pub(super) fn new(keys: Vec<usize>, aggregates: Vec<Aggregate>) -> Self {
        Self { keys, aggregates, current: None }
    }

    /// Cells of the group that is being built, whose keys the next row may not precede.
    pub(super) fn current_cells(&self) -> Option<&[Cell]> {
        self.current.as_ref().map(|group| group.cells.as_slice())
    }

    /// Takes a row; gives the group before it when the row begins a new one.
    pub(super) fn take(
        &mut self,
        row: Row<P>,
        held: &mut Held,
        spare: &mut Vec<Cell>,
    ) -> Result<Option<Outcome<P>>, MergeError> {
        match &mut self.current {
            Some(group) if same_cells(&self.keys, &group.cells, &row.cells) => {
                *spare = group.absorb(&self.aggregates, row, held)?;
                Ok(None)
            }
            current => {
                let before = current.replace(Group::new(row));
                Ok(before.map(|group| group.into_outcome(&self.aggregates)))
            }
        }
    }

    /// The last group, once the streams have ended.
    pub(super) fn finish(&mut self) -> Option<Outcome<P>> {
        self.current.take().map(|group| group.into_outcome(&self.aggregates))
    }
}

/// Groups in any order, found by the identity of their keys; given in the order in which they appeared.
pub(super) struct HashedGroups<P> {
    keys: Vec<usize>,
    aggregates: Vec<Aggregate>,
    places: HashMap<Box<[u8]>, usize>,
    groups: Vec<Group<P>>,
    /// The groups when all rows have been taken, and how many bytes their keys took.
    finished: Option<std::vec::IntoIter<Group<P>>>,
    key_bytes: usize,
    scratch: Vec<u8>,
}

/// What a map entry costs beside its key.
const ENTRY_BYTES: usize = 48;

impl<P: Clone> HashedGroups<P> {
    pub(super) fn new(keys: Vec<usize>, aggregates: Vec<Aggregate>) -> Self {
        Self {
            keys,
            aggregates,
            places: HashMap::new(),
            groups: Vec::new(),
            finished: None,
            key_bytes: 0,
            scratch: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, row: Row<P>, held: &mut Held, spare: &mut Vec<Cell>) -> Result<(), MergeError> {
        write_key(&self.keys, &row.cells, &mut self.scratch);
        if let Some(group) = self.places.get(self.scratch.as_slice()).and_then(|&place| self.groups.get_mut(place)) {
            *spare = group.absorb(&self.aggregates, row, held)?;
            return Ok(());
        }
        let bytes = self.scratch.len() + ENTRY_BYTES;
        held.take_bytes(bytes)?;
        self.key_bytes += bytes;
        self.places.insert(self.scratch.as_slice().into(), self.groups.len());
        self.groups.push(Group::new(row));
        Ok(())
    }

    /// The next group, once the streams have ended.
    pub(super) fn finish(&mut self, held: &mut Held) -> Option<Outcome<P>> {
        let groups = self.finished.get_or_insert_with(|| {
            self.places = HashMap::new();
            held.release_bytes(std::mem::take(&mut self.key_bytes));
            std::mem::take(&mut self.groups).into_iter()
        });
        groups.next().map(|group| group.into_outcome(&self.aggregates))
    }
}

/// DISTINCT of unsorted rows: a row passes at once when its keys are new; only the keys are held.
pub(super) struct Distinct {
    keys: Vec<usize>,
    seen: HashSet<Box<[u8]>>,
    scratch: Vec<u8>,
}

impl Distinct {
    pub(super) fn new(keys: Vec<usize>) -> Self {
        Self { keys, seen: HashSet::new(), scratch: Vec::new() }
    }

    /// The row, if it is the first of its kind.
    pub(super) fn take<P>(&mut self, row: Row<P>, held: &mut Held) -> Result<Option<Row<P>>, MergeError> {
        write_key(&self.keys, &row.cells, &mut self.scratch);
        if self.seen.contains(self.scratch.as_slice()) {
            held.release_row(row.bytes);
            return Ok(None);
        }
        // The key stays counted as a row for as long as the merge lives.
        held.take_row(self.scratch.len() + ENTRY_BYTES)?;
        self.seen.insert(self.scratch.as_slice().into());
        Ok(Some(row))
    }
}

fn write_key(keys: &[usize], cells: &[Cell], out: &mut Vec<u8>) {
    out.clear();
    for &key in keys {
        cells.get(key).unwrap_or(&Cell::Null).write_identity(out);
    }
}
