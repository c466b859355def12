//! How work for a client ends badly: with an error that it is told, or with the end of the session.
//! Out: codes (the process has one table of those).

use crate::error_code::MeshError;
use crate::pool::AcquireError;

/// Why a session ends.
#[derive(Debug)]
pub enum Stop {
    /// The client said goodbye or is gone: nobody to tell.
    Left,
    /// The client is told why.
    Fatal(MeshError),
    /// As `Fatal`, in a server's words.
    ServerFatal(Vec<u8>),
}

/// Why a statement failed.
#[derive(Debug)]
pub enum Fault {
    /// An error of ours.
    Mesh(MeshError),
    /// A server's error among the answers to what we sent on our own: its body.
    Server(Vec<u8>),
    /// The client has been told already.
    Told,
    /// The whole session ends.
    Stop(Stop),
}

impl From<MeshError> for Fault {
    fn from(error: MeshError) -> Self {
        Self::Mesh(error)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// What a client is told when it does not get a backend of the shard called `shard`.
pub fn of_acquire(error: &AcquireError, shard: &str) -> MeshError {
    let shard = shard.to_owned();
    match error {
        AcquireError::WaitedTooLong { waited, .. } => {
            MeshError::PoolWait { shard, waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
        }
        AcquireError::Paused { waited, .. } => {
            MeshError::ShardPaused { shard, waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
        }
        AcquireError::QueueFull { .. } => MeshError::PoolWait { shard, waited_ms: 0 },
        AcquireError::Deadlock { .. } => MeshError::PoolDeadlock(shard),
        AcquireError::Connect { source, .. } => MeshError::ShardDown { shard, cause: source.to_string() },
        AcquireError::Down { last, .. } => MeshError::ShardDown { shard, cause: last.to_string() },
        AcquireError::ShuttingDown => MeshError::Shutdown,
        #[allow(unreachable_patterns)]
        other => MeshError::ShardDown { shard, cause: other.to_string() },
    }
}

/// What a client is told when its transaction says no.
pub fn of_refusal(refusal: &transaction::Refusal) -> MeshError {
    use transaction::Refusal;
    match refusal {
        Refusal::Aborted => MeshError::InFailedTransaction,
        Refusal::SecondWriter { .. } => MeshError::Unsupported(refusal.to_string()),
        Refusal::NoSuchSavepoint(_) => MeshError::UnknownSavepoint(refusal.to_string()),
        Refusal::NoTransaction(_) => MeshError::NoTransaction(refusal.to_string()),
        Refusal::TooManySavepoints(_) => MeshError::Limit(refusal.to_string()),
        Refusal::Split(outcome) => MeshError::OutcomeSplit {
            committed: format!("{:?}", outcome.committed),
            failed: format!("{:?}", outcome.rolled_back),
            cause: outcome.to_string(),
        },
        Refusal::Unknown(outcome) => MeshError::OutcomeUnknown(outcome.to_string()),
        Refusal::EndedByServer(_) | Refusal::RollbackOnly(_) | Refusal::RolledBack(_) => {
            MeshError::TransactionLost(refusal.to_string())
        }
        Refusal::InProgress | Refusal::TypeFixed | Refusal::CommitsImplicitly | Refusal::Ending => {
            MeshError::TransactionState(refusal.to_string())
        }
    }
}
