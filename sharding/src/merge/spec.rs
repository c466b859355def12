//! What a merge is to do, decided by the planner once per plan. Out: values of one execution, except [`Window`].

use super::aggregate::Aggregate;
use super::error::MergeError;
use super::order::Order;

/// How the rows of the shards become one result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// How many cells every row has.
    pub cells: usize,
    /// The order in which every shard sends its rows, kept by the merge. Empty: rows come as they arrive.
    pub order: Vec<Order>,
    /// GROUP BY, DISTINCT, or aggregates over all rows.
    pub grouping: Option<Grouping>,
    /// ORDER BY of the result where it is not `order`: by aggregates, or after hashed groups. Sorts in memory.
    pub order_after: Vec<Order>,
}

/// Which rows become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Cells of the GROUP BY expressions; with DISTINCT, of all selected columns. Empty: all rows are one group, and
    /// every shard sends one row.
    pub keys: Vec<usize>,
    /// Every shard sends its groups ordered by these keys ([`Spec::order`] names each of them, in any order and
    /// direction, and nothing else). Else groups are found by hashing and held in memory.
    pub sorted: bool,
    /// How the other columns combine; none with DISTINCT. Each has a cell of its own.
    pub aggregates: Vec<Aggregate>,
}

/// LIMIT and OFFSET, with the values of this execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows dropped at the start.
    pub skip: u64,
    /// Rows given after those; `None` means all.
    pub take: Option<u64>,
}

impl Window {
    /// How many rows each shard must send so that the merge can cut: `skip` + `take`, at most [`u64::MAX`].
    #[must_use]
    pub fn rows_per_shard(&self) -> Option<u64> {
        self.take.map(|take| take.saturating_add(self.skip))
    }
}

impl Spec {
    /// Finds contradictions that would make a merge wrong.
    pub(super) fn check(&self) -> Result<(), MergeError> {
        let misused = |reason| Err(MergeError::Misused { reason });
        let in_range = |cell: usize| cell < self.cells;
        if !self.order.iter().chain(&self.order_after).all(|order| in_range(order.cell)) {
            return misused("an order by a cell that rows do not have");
        }
        let Some(grouping) = &self.grouping else {
            return Ok(());
        };
        if !grouping.keys.iter().all(|&key| in_range(key)) {
            return misused("a group key that rows do not have");
        }
        let ordered = |key: &usize| self.order.iter().any(|order| order.cell == *key);
        if grouping.sorted && !grouping.keys.iter().all(ordered) {
            return misused("groups of streams that are not sorted by all group keys");
        }
        if !self.order.is_empty() && !self.order.iter().all(|order| grouping.keys.contains(&order.cell)) {
            return misused("groups of streams that are sorted by more than the group keys");
        }
        if !self.order.is_empty() && !grouping.sorted && !grouping.keys.is_empty() {
            return misused("hashed groups lose the order of the streams");
        }
        for (place, aggregate) in grouping.aggregates.iter().enumerate() {
            let shared = grouping.aggregates.iter().skip(place + 1).any(|other| other.cell == aggregate.cell);
            if !in_range(aggregate.cell) || shared || grouping.keys.contains(&aggregate.cell) {
                return misused("an aggregate without a cell of its own");
            }
        }
        Ok(())
    }
}
