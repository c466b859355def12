//! Why a statement, or a session, ends before its time.
//! Out: codes (the process's table has them).

use std::io;

use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::pool::AcquireError;

/// What stands in the way.
#[derive(Debug)]
pub enum Trouble {
    /// An error of ours; the client is told and the session goes on.
    Told(MeshError),
    /// A server's ERR payload, to be passed to the client; the session goes on.
    Server(Vec<u8>),
    /// The client is gone or takes nothing.
    Client(io::Error),
    /// The session shall end: killed, or dbmesh stops.
    Interrupted(Reason),
    /// An answer that was already begun cannot be finished: only closing the connection tells the client.
    Broken(MeshError),
}

/// What most steps of a session return.
pub type Outcome<T> = Result<T, Trouble>;

impl From<MeshError> for Trouble {
    fn from(error: MeshError) -> Self {
        Self::Told(error)
    }
}

/// The refusals of the transaction in the words of the error table.
#[must_use]
pub fn refusal(refusal: &transaction::Refusal) -> MeshError {
    use transaction::Refusal as R;
    let text = refusal.to_string();
    match refusal {
        R::SecondWriter { .. } => {
            // The room knows the setting by the name that it has in PostgreSQL.
            MeshError::Unsupported(text.replace("SET dbmesh.transaction_type", "SET @@dbmesh_transaction_type"))
        }
        R::CommitsImplicitly => MeshError::Unsupported(text),
        R::Aborted | R::RollbackOnly(_) | R::RolledBack(_) | R::EndedByServer(_) => MeshError::TransactionLost(text),
        R::NoSuchSavepoint(name) => MeshError::UnknownSavepoint(format!("SAVEPOINT {name} does not exist")),
        R::NoTransaction(_) | R::InProgress | R::TypeFixed | R::Ending => MeshError::TransactionState(text),
        R::TooManySavepoints(_) => MeshError::Limit(text),
        R::Split(outcome) => MeshError::OutcomeSplit {
            committed: format!("{:?}", outcome.committed),
            failed: format!("{:?}", [&outcome.rolled_back[..], &outcome.unknown[..]].concat()),
            cause: text,
        },
        R::Unknown(outcome) => MeshError::OutcomeUnknown(outcome.to_string()),
    }
}

/// The refusals of the pool in the words of the error table; `name` is the shard's.
#[must_use]
pub fn acquire(error: AcquireError, name: &str) -> MeshError {
    let shard = name.to_owned();
    match error {
        AcquireError::WaitedTooLong { waited, .. } => {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            MeshError::PoolWait { shard, waited_ms }
        }
        AcquireError::Paused { waited, .. } => {
            MeshError::ShardPaused { shard, waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
        }
        AcquireError::QueueFull { .. } => {
            MeshError::Limit(format!("too many sessions wait for a connection to shard '{name}'"))
        }
        AcquireError::Deadlock { .. } => MeshError::PoolDeadlock(shard),
        AcquireError::Connect { source, .. } => MeshError::ShardDown { shard, cause: source.to_string() },
        AcquireError::Down { last, .. } => MeshError::ShardDown { shard, cause: last.to_string() },
        AcquireError::ShuttingDown => MeshError::Shutdown,
    }
}
