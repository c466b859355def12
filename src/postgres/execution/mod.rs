//! Statements on more than one shard: values for the planner, cells for the merge, rows back to bytes.
//! Out: sessions and their backends, which the session's own files drive.

pub mod cells;
pub mod parameters;
