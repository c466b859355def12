//! Why the transaction says no.
//! In: the refusals, each with what a message must name. Out: codes and SQLSTATEs (the process has one table of them).

use crate::branch::ShardIndex;

/// Why the transaction says no. Under PostgreSQL each of them, inside a transaction, has made the transaction fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A write on a second shard (or one statement that writes on several), which is not atomic yet.
    #[error(
        "writing on several shards in one transaction is not atomic yet; SET dbmesh.transaction_type = LOCAL accepts a COMMIT per shard"
    )]
    SecondWriter {
        /// The shard that was written first.
        wrote: ShardIndex,
        /// The shard that would be written now.
        now: ShardIndex,
    },
    /// PostgreSQL: the transaction has failed (25P02).
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    Aborted,
    /// MySQL: the transaction can only be rolled back.
    #[error("the transaction can only be rolled back: {0}")]
    RollbackOnly(Broken),
    /// MySQL: COMMIT of a transaction that could only be rolled back; it has been rolled back.
    #[error("the transaction was rolled back instead of committed: {0}")]
    RolledBack(Broken),
    /// No savepoint of that name (MySQL 1305, PostgreSQL 3B001).
    #[error("savepoint \"{0}\" does not exist")]
    NoSuchSavepoint(String),
    /// PostgreSQL: the verb needs a transaction block (25P01).
    #[error("{0} can only be used in transaction blocks")]
    NoTransaction(&'static str),
    /// MySQL 1568: SET TRANSACTION while one is in progress.
    #[error("Transaction characteristics can't be changed while a transaction is in progress")]
    InProgress,
    /// The type of a transaction cannot change once a shard was touched.
    #[error("dbmesh.transaction_type cannot be changed inside a transaction that has begun")]
    TypeFixed,
    /// A statement that commits implicitly, while other shards are part of the transaction.
    #[error("a statement that commits implicitly cannot run in a transaction that has begun on another shard")]
    CommitsImplicitly,
    /// More savepoints and settings than a session may keep.
    #[error("too many savepoints in one transaction (at most {0})")]
    TooManySavepoints(usize),
    /// LOCAL: the shards do not agree how the transaction ended.
    #[error("the transaction ended differently on its shards: {0}")]
    Split(Outcome),
    /// The answer to the COMMIT was lost: it may or may not have happened on the shard.
    #[error("the answer to COMMIT was lost: the transaction may or may not be committed ({0})")]
    Unknown(Outcome),
    /// A server ended its part while the others were still open; they were rolled back.
    #[error("shard {0} ended its part of the transaction by itself; the other shards were rolled back")]
    EndedByServer(ShardIndex),
    /// The driver asked for something while the answers of a round were awaited.
    #[error("the transaction is being ended")]
    Ending,
}

/// Why a transaction can only be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Broken {
    /// A statement failed (PostgreSQL).
    #[error("a statement failed")]
    StatementFailed,
    /// A statement failed on one of several shards, and the others may have been changed by it.
    #[error("a statement failed on one of several shards")]
    FailedOnSome,
    /// The connection to a shard broke, and what was done there is gone.
    #[error("the connection to a shard was lost")]
    ConnectionLost,
    /// It had to let go of its backends, for which others waited that it waited for.
    #[error("the transaction was the youngest of a deadlock")]
    Deadlock,
    /// A savepoint was set, released or rolled back on some of its shards only.
    #[error("a savepoint differs between the shards")]
    SavepointDiffers,
    /// A server ended its part by itself.
    #[error("a shard ended its part by itself")]
    EndedByServer,
}

/// How a transaction ended on each of the shards that it wrote on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Said that they committed.
    pub committed: Vec<ShardIndex>,
    /// Rolled back, by their own error or by us.
    pub rolled_back: Vec<ShardIndex>,
    /// Did not answer.
    pub unknown: Vec<ShardIndex>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (word, shards) in
            [("committed", &self.committed), ("rolled back", &self.rolled_back), ("unknown", &self.unknown)]
        {
            if shards.is_empty() {
                continue;
            }
            let list: Vec<String> = shards.iter().map(ToString::to_string).collect();
            write!(formatter, "{}{word} on shard {}", if first { "" } else { "; " }, list.join(", "))?;
            first = false;
        }
        Ok(())
    }
}
