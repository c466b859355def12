//! The one table of our own errors: errno and SQLSTATE for MySQL, SQLSTATE for PostgreSQL, who is to blame, whether to retry.
//! Out: errors that a server sent; these pass to the client as they came.
//!
//! Connection pools in applications throw a connection away on class 08 (and some on 0A000), so that only errors after
//! which the session is really over carry a code of class 08. `OutcomeUnknown` is the exception that its standard demands.

use std::fmt;

use crate::config::Protocol;

/// What dbmesh itself answers to a client. The text is the whole message that the client sees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// A construct that dbmesh does not run on several shards; the text names it.
    #[error("{0}")]
    Unsupported(String),
    /// SQL that cannot be read: unterminated literal, a statement of ours with wrong words.
    #[error("{0}")]
    Syntax(String),
    /// The named logical database does not exist. The text is the server's own wording for the protocol.
    #[error("{0}")]
    UnknownDatabase(String),
    /// Wrong user or password. The text is the server's own wording for the protocol.
    #[error("{0}")]
    AccessDenied(String),
    /// The user may not use this logical database.
    #[error("Access denied for user '{user}' to database '{database}'")]
    DatabaseDenied {
        /// The user that asked.
        user: String,
        /// The logical database that it asked for.
        database: String,
    },
    /// The user may not do this to another's session. The text is the server's own.
    #[error("{0}")]
    NotPermitted(String),
    /// No backend of this shard became free in time.
    #[error("no connection to shard '{shard}' became free within {waited_ms} ms (pool limit reached)")]
    PoolWait {
        /// The shard's name.
        shard: String,
        /// How long the statement waited, in milliseconds.
        waited_ms: u64,
    },
    /// An operator paused this shard, and did not resume it in time.
    #[error("shard '{shard}' is paused (PAUSE SHARD) and was not resumed within {waited_ms} ms")]
    ShardPaused {
        /// The shard's name.
        shard: String,
        /// How long the statement waited, in milliseconds.
        waited_ms: u64,
    },
    /// A shard could not be paused: what used it did not come to its end. Nothing is changed.
    #[error(
        "shard '{shard}' is not paused: {in_use} of its connections were still in use after {waited_ms} ms \
         (SHOW BACKENDS has their sessions)"
    )]
    ShardInUse {
        /// The shard's name.
        shard: String,
        /// Connections in use.
        in_use: usize,
        /// How long it was waited for them, in milliseconds.
        waited_ms: u64,
    },
    /// An admin statement named a shard that no logical database has.
    #[error("{0}")]
    UnknownShard(String),
    /// Waiting for this shard's pool would close a cycle of waiting transactions.
    #[error(
        "deadlock: transactions wait for each other's connections (shard '{0}'); this one was chosen to fail, retry it"
    )]
    PoolDeadlock(String),
    /// The shard's server cannot be reached.
    #[error("shard '{shard}' cannot be reached: {cause}")]
    ShardDown {
        /// The shard's name.
        shard: String,
        /// What the connection attempt said.
        cause: String,
    },
    /// The backend's connection broke while a statement ran on it; the statement was not repeated.
    #[error("connection to shard '{shard}' was lost during the statement: {cause}")]
    BackendLost {
        /// The shard's name.
        shard: String,
        /// What broke.
        cause: String,
    },
    /// The transaction is gone on a shard and was rolled back on the others.
    #[error("the transaction was rolled back: {0}")]
    TransactionLost(String),
    /// The answer to a COMMIT was lost: committed or not is unknown.
    #[error("the outcome of the COMMIT on shard '{0}' is unknown: its answer was lost")]
    OutcomeUnknown(String),
    /// A LOCAL transaction committed on some shards only.
    #[error("the transaction was committed on {committed} but not on {failed}: {cause}")]
    OutcomeSplit {
        /// Shards on which it is committed.
        committed: String,
        /// Shards on which it is not.
        failed: String,
        /// What the first failed shard said.
        cause: String,
    },
    /// A statement in a failed PostgreSQL transaction.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    InFailedTransaction,
    /// A limit of the configuration; the text names it.
    #[error("{0}")]
    Limit(String),
    /// A packet or statement larger than allowed.
    #[error("Got a packet bigger than 'max_allowed_packet' bytes ({0})")]
    PacketTooLarge(u64),
    /// No more sessions are taken.
    #[error("Too many connections")]
    TooManySessions,
    /// dbmesh shuts down.
    #[error("terminating connection because dbmesh is shutting down")]
    Shutdown,
    /// This session was killed by an operator or another session.
    #[error("terminating connection due to administrator command")]
    SessionKilled,
    /// The session was silent for longer than allowed. MySQL 8 has a code for that, which drivers' pools know; MariaDB
    /// closes without a word, and its clients wonder why.
    #[error("{0}")]
    SessionIdle(String),
    /// This statement was cancelled (KILL QUERY, CancelRequest).
    #[error("{0}")]
    QueryCancelled(String),
    /// Bytes that are no valid message at this point; the session ends.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// MySQL: a packet whose number is not the next one; the session ends.
    #[error("Got packets out of order")]
    OutOfOrder,
    /// MySQL: an EXECUTE that does not fit its statement.
    #[error("Incorrect arguments to mysqld_stmt_execute")]
    WrongArguments,
    /// MySQL: a bulk execution that does not fit its statement.
    #[error("Incorrect arguments to mysqld_stmt_bulk_execute")]
    WrongBulkArguments,
    /// MySQL: a prepared statement that cannot run as it is asked to.
    #[error("This command is not supported in the prepared statement protocol yet")]
    NotPrepared,
    /// MySQL: a text to prepare with nothing in it.
    #[error("Query was empty")]
    EmptyStatement,
    /// MySQL: a command byte that we do not know.
    #[error("Unknown command")]
    UnknownCommand,
    /// A prepared statement that this session does not have.
    #[error("{0}")]
    UnknownStatement(String),
    /// PostgreSQL: a portal that this session does not have.
    #[error("portal \"{0}\" does not exist")]
    UnknownPortal(String),
    /// PostgreSQL: a portal that has run to its end.
    #[error("portal \"{0}\" cannot be run")]
    SpentPortal(String),
    /// PostgreSQL: a name that a portal of this session has already.
    #[error("cursor \"{0}\" already exists")]
    DuplicatePortal(String),
    /// PostgreSQL: a Bind with another number of parameters than its statement has.
    #[error("{0}")]
    ParameterCount(String),
    /// PostgreSQL: a statement name that this session already has.
    #[error("prepared statement \"{0}\" already exists")]
    DuplicateStatement(String),
    /// KILL of an id that is no session of ours.
    #[error("Unknown thread id: {0}")]
    UnknownSession(u64),
    /// A session variable or setting of ours with a bad value.
    #[error("{0}")]
    BadSetting(String),
    /// A statement that is not allowed at this point of a transaction.
    #[error("{0}")]
    TransactionState(String),
    /// A savepoint that this transaction does not have.
    #[error("{0}")]
    UnknownSavepoint(String),
    /// PostgreSQL: a verb that needs a transaction block, outside of one.
    #[error("{0}")]
    NoTransaction(String),
    /// A merged value does not fit its type.
    #[error("{0}")]
    OutOfRange(String),
    /// A defect of dbmesh that it noticed itself.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The application sent something that cannot be run.
    Client,
    /// dbmesh or its limits.
    Mesh,
    /// A server behind it.
    Shard,
}

/// The codes of one error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// MySQL errno.
    pub errno: u16,
    /// MySQL SQLSTATE, 5 ASCII characters.
    pub mysql_state: &'static str,
    /// PostgreSQL SQLSTATE, 5 ASCII characters.
    pub postgres_state: &'static str,
    /// Who has to act.
    pub blame: Blame,
    /// Whether the same statement (or transaction) may succeed when it is sent again.
    pub retry: bool,
}

const fn code(errno: u16, mysql_state: &'static str, postgres_state: &'static str, blame: Blame, retry: bool) -> Code {
    Code { errno, mysql_state, postgres_state, blame, retry }
}

impl MeshError {
    /// No logical database has this name, in the words of this protocol's servers.
    #[must_use]
    pub fn unknown_database(protocol: Protocol, name: &str) -> Self {
        Self::UnknownDatabase(match protocol {
            Protocol::MySql => format!("Unknown database '{name}'"),
            Protocol::Postgres => format!("database \"{name}\" does not exist"),
        })
    }

    /// The codes of this error. The match has no `_` arm: a new error gets its codes here before it compiles.
    #[must_use]
    pub fn code(&self) -> Code {
        use Blame::{Client, Mesh, Shard};
        match self {
            Self::Unsupported(_) => code(1235, "42000", "0A000", Client, false),
            Self::Syntax(_) => code(1064, "42000", "42601", Client, false),
            Self::UnknownDatabase(_) => code(1049, "42000", "3D000", Client, false),
            Self::AccessDenied(_) => code(1045, "28000", "28P01", Client, false),
            Self::DatabaseDenied { .. } => code(1044, "42000", "42501", Client, false),
            Self::NotPermitted(_) => code(1095, "HY000", "42501", Client, false),
            Self::PoolWait { .. } => code(1226, "42000", "53300", Mesh, true),
            Self::ShardPaused { .. } => code(1226, "42000", "53300", Mesh, true),
            Self::ShardInUse { .. } => code(1205, "HY000", "55006", Mesh, true),
            Self::UnknownShard(_) => code(1477, "HY000", "42704", Client, false),
            Self::PoolDeadlock(_) => code(1213, "40001", "40P01", Mesh, true),
            Self::ShardDown { .. } => code(1429, "HY000", "58000", Shard, true),
            Self::BackendLost { .. } => code(1430, "HY000", "58030", Shard, false),
            Self::TransactionLost(_) => code(1402, "XA100", "40000", Shard, true),
            Self::OutcomeUnknown(_) => code(1401, "XAE03", "08007", Shard, false),
            Self::OutcomeSplit { .. } => code(1401, "XAE03", "40003", Shard, false),
            Self::InFailedTransaction => code(1402, "XA100", "25P02", Client, false),
            Self::Limit(_) => code(1226, "42000", "54000", Mesh, false),
            Self::PacketTooLarge(_) => code(1153, "08S01", "54000", Client, false),
            Self::TooManySessions => code(1040, "08004", "53300", Mesh, true),
            Self::Shutdown => code(1053, "08S01", "57P01", Mesh, true),
            Self::SessionKilled => code(1927, "70100", "57P01", Client, false),
            Self::SessionIdle(_) => code(4031, "HY000", "57P05", Client, false),
            Self::QueryCancelled(_) => code(1317, "70100", "57014", Client, false),
            Self::Protocol(_) => code(1835, "HY000", "08P01", Client, false),
            Self::OutOfOrder => code(1156, "08S01", "08P01", Client, false),
            Self::WrongArguments | Self::WrongBulkArguments => code(1210, "HY000", "08P01", Client, false),
            Self::NotPrepared => code(1295, "HY000", "0A000", Client, false),
            Self::EmptyStatement => code(1065, "42000", "42601", Client, false),
            Self::UnknownCommand => code(1047, "08S01", "08P01", Client, false),
            Self::UnknownStatement(_) => code(1243, "HY000", "26000", Client, false),
            Self::ParameterCount(_) => code(1210, "HY000", "08P01", Client, false),
            Self::UnknownPortal(_) => code(1243, "HY000", "34000", Client, false),
            Self::SpentPortal(_) => code(1243, "HY000", "55000", Client, false),
            Self::DuplicatePortal(_) => code(1243, "HY000", "42P03", Client, false),
            Self::DuplicateStatement(_) => code(1243, "HY000", "42P05", Client, false),
            Self::UnknownSession(_) => code(1094, "HY000", "42704", Client, false),
            Self::BadSetting(_) => code(1231, "42000", "22023", Client, false),
            Self::TransactionState(_) => code(1568, "25001", "25001", Client, false),
            Self::UnknownSavepoint(_) => code(1305, "42000", "3B001", Client, false),
            Self::NoTransaction(_) => code(1568, "25001", "25P01", Client, false),
            Self::OutOfRange(_) => code(1690, "22003", "22003", Client, false),
            Self::Internal(_) => code(1105, "HY000", "XX000", Mesh, false),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.errno, self.mysql_state, self.postgres_state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_five_characters_and_refusals_their_documented_codes() {
        let refusal = MeshError::Unsupported("HAVING".into()).code();
        assert_eq!((refusal.errno, refusal.mysql_state, refusal.postgres_state), (1235, "42000", "0A000"));
        let wait = MeshError::PoolWait { shard: "s0".into(), waited_ms: 5 }.code();
        for state in [wait.mysql_state, wait.postgres_state] {
            assert_eq!(state.len(), 5);
            assert!(!state.starts_with("08"), "a pool wait must not make clients drop the connection");
        }
    }
}
