//! Why a statement is not run. Out: error codes (the process has one table for those).

use thiserror::Error;

/// Why a statement is refused before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It would need something that is not done yet over several shards, or cannot be done: MySQL 1235/42000,
    /// PostgreSQL 0A000. The text names the construct.
    #[error("dbmesh does not support {0}")]
    Unsupported(String),
    /// A table that is not declared exists on several shards.
    #[error("table {table} is not declared and exists on several shards ({shards}): declare it")]
    Ambiguous {
        /// The table.
        table: String,
        /// The shards, as the configuration names them.
        shards: String,
    },
    /// A declared table that is not on the shards as it was declared.
    #[error("table {table} cannot be used: {reason}")]
    Unusable {
        /// The table.
        table: String,
        /// What is wrong, and on which shard.
        reason: String,
    },
    /// Longer, deeper or more nested than the parser is given.
    #[error("{0}")]
    TooComplex(String),
    /// The text has no tokens: a literal or comment does not end, or it holds more than one statement.
    #[error("{0}")]
    Malformed(String),
}

impl Refusal {
    pub(super) fn unsupported(construct: impl Into<String>) -> Self {
        Self::Unsupported(construct.into())
    }
}
