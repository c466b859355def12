//! What a statement is, by its first words. Out: what to do about it.

use super::keyword::Keyword;

/// The kind of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// SELECT, also in parentheses.
    Select,
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// ROLLBACK TO.
    RollbackTo,
    /// RELEASE SAVEPOINT.
    Release,
    /// SET TRANSACTION, SET SESSION TRANSACTION, SET SESSION CHARACTERISTICS.
    SetTransaction,
    /// SET of variables.
    Set,
    /// SHOW.
    Show,
    /// USE.
    Use,
    /// EXPLAIN, DESCRIBE, DESC.
    Explain,
    /// CREATE, ALTER, DROP, RENAME, COMMENT ON and the like.
    Ddl,
    /// CALL.
    Call,
    /// DO.
    Do,
    /// COPY.
    Copy,
    /// LOAD DATA, LOAD XML.
    LoadData,
    /// LOCK TABLES, LOCK TABLE.
    Lock,
    /// UNLOCK TABLES.
    Unlock,
    /// PREPARE of a statement.
    Prepare,
    /// EXECUTE, EXECUTE IMMEDIATE.
    Execute,
    /// DEALLOCATE, DROP PREPARE.
    Deallocate,
    /// DECLARE of a cursor.
    Declare,
    /// FETCH, MOVE.
    Fetch,
    /// CLOSE.
    Close,
    /// LISTEN.
    Listen,
    /// NOTIFY.
    Notify,
    /// UNLISTEN.
    Unlisten,
    /// DISCARD.
    Discard,
    /// RESET.
    Reset,
    /// XA.
    Xa,
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase,
    /// KILL.
    Kill,
    /// HANDLER.
    Handler,
    /// GRANT, REVOKE.
    Grant,
    /// TRUNCATE.
    Truncate,
    /// WITH ...: look at [`super::Flags::WRITES`] for a writing one.
    With,
    /// VALUES.
    Values,
    /// TABLE t.
    Table,
    /// ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM.
    Analyze,
    /// VACUUM.
    Vacuum,
    /// FLUSH.
    Flush,
    /// MERGE.
    Merge,
    /// Anything else.
    Other,
}

/// The kind by the first words.
pub(super) fn of(lead: &[Keyword; 4], mysql: bool) -> StatementKind {
    use Keyword as K;
    use StatementKind as S;
    match lead {
        [K::Select, ..] => S::Select,
        [K::Insert, ..] => S::Insert,
        [K::Update, ..] => S::Update,
        [K::Delete, ..] => S::Delete,
        [K::Replace, ..] if mysql => S::Replace,
        [K::With, ..] => S::With,
        [K::Begin, ..] | [K::Start, K::Transaction, ..] => S::Begin,
        [K::Commit | K::Rollback, K::Prepared, ..] if !mysql => S::TwoPhase,
        [K::PrepareStatement, K::Transaction, ..] if !mysql => S::TwoPhase,
        [K::Commit, ..] => S::Commit,
        [K::End, ..] if !mysql => S::Commit,
        [K::Rollback, K::To, ..] | [K::Rollback, K::Work | K::Transaction, K::To, ..] => S::RollbackTo,
        [K::Rollback, ..] => S::Rollback,
        [K::Abort, ..] if !mysql => S::Rollback,
        [K::Savepoint, ..] => S::Savepoint,
        [K::Release, ..] => S::Release,
        [K::Set, K::Statement, ..] if mysql => S::Other,
        [K::Set, K::Transaction, ..] | [K::Set, K::Session | K::Local | K::Global, K::Transaction, ..] => {
            S::SetTransaction
        }
        [K::Set, K::Session, K::Characteristics, ..] if !mysql => S::SetTransaction,
        [K::Set, ..] => S::Set,
        [K::Show, ..] => S::Show,
        [K::Use, ..] if mysql => S::Use,
        [K::Explain | K::Describe | K::Desc, ..] => S::Explain,
        [K::Analyze, rest @ ..] if mysql && rest.iter().any(|word| reads_or_writes(*word)) => S::Explain,
        [K::Analyze | K::Optimize | K::Check | K::Repair | K::Checksum, ..] => S::Analyze,
        [K::Drop, K::PrepareStatement, ..] | [K::Deallocate, ..] => S::Deallocate,
        [K::Create | K::Alter | K::Drop | K::Rename | K::Comment | K::Refresh | K::Reindex | K::Cluster, ..] => S::Ddl,
        [K::Security | K::Import, ..] => S::Ddl,
        [K::Call, ..] => S::Call,
        [K::Do, ..] => S::Do,
        [K::Copy, ..] => S::Copy,
        [K::Load, K::Data | K::Xml, ..] => S::LoadData,
        [K::Lock, ..] => S::Lock,
        [K::Unlock, ..] => S::Unlock,
        [K::PrepareStatement, ..] => S::Prepare,
        [K::Execute, ..] => S::Execute,
        [K::Declare, ..] => S::Declare,
        [K::Fetch | K::Move, ..] => S::Fetch,
        [K::Close, ..] => S::Close,
        [K::Listen, ..] => S::Listen,
        [K::Notify, ..] => S::Notify,
        [K::Unlisten, ..] => S::Unlisten,
        [K::Discard, ..] => S::Discard,
        [K::Reset, ..] => S::Reset,
        [K::Xa, ..] if mysql => S::Xa,
        [K::Kill, ..] => S::Kill,
        [K::Handler, ..] => S::Handler,
        [K::Grant | K::Revoke, ..] => S::Grant,
        [K::Truncate, ..] => S::Truncate,
        [K::Values, ..] => S::Values,
        [K::Table, ..] => S::Table,
        [K::Vacuum, ..] => S::Vacuum,
        [K::Flush, ..] => S::Flush,
        [K::Merge, ..] => S::Merge,
        _ => S::Other,
    }
}

fn reads_or_writes(word: Keyword) -> bool {
    use Keyword::{Delete, Insert, Replace, Select, Update, With};
    matches!(word, Select | Insert | Update | Delete | Replace | With)
}
