//! What can go wrong in a merge. Out: error codes of a protocol (the process has one table for those).

use thiserror::Error;

/// A merge that cannot go on. The rows delivered so far were right; the result is incomplete, so the statement fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MergeError {
    /// More rows would have to be held than `merge_rows_max` allows.
    #[error("merging the rows of several shards needs more than {limit} rows in memory (limits.merge_rows_max)")]
    TooManyRows {
        /// The limit that was reached.
        limit: usize,
    },
    /// More bytes would have to be held than `merge_bytes_max` allows.
    #[error("merging the rows of several shards needs more than {limit} bytes in memory (limits.merge_bytes_max)")]
    TooManyBytes {
        /// The limit that was reached.
        limit: usize,
    },
    /// A sum left the range of its type: PostgreSQL 22003, MySQL 1690.
    #[error("{type_name} out of range")]
    Overflow {
        /// The type of the result, as the server calls it.
        type_name: &'static str,
    },
    /// A shard sent rows in another order than the one it was asked for, so that merging them would be wrong.
    #[error("the rows of shard stream {stream} are not in the order of the merge: the shards sort differently")]
    OutOfOrder {
        /// The stream, counted as given to [`Merger::new`](super::Merger::new).
        stream: usize,
    },
    /// A column has one kind of value on one shard and another kind on another shard.
    #[error(
        "merge key {key} is {found} in shard stream {stream}, but {expected} elsewhere: the shards have different columns"
    )]
    KindDiffers {
        /// The stream that differs.
        stream: usize,
        /// Index in the row's cells.
        key: usize,
        /// The kind seen first.
        expected: &'static str,
        /// The kind seen now.
        found: &'static str,
    },
    /// An aggregate met a value that it cannot work on.
    #[error("cannot merge {function} over {found} values")]
    NotMergeable {
        /// Name of the aggregate.
        function: &'static str,
        /// The kind of value it met.
        found: &'static str,
    },
    /// The caller broke the contract of the merger: a wrong number of cells, an unknown or finished stream.
    #[error("merge misused: {reason}")]
    Misused {
        /// What was wrong.
        reason: &'static str,
    },
}
