//! What a statement is, by its first words. Out: what to do about it.

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
    /// Nothing but white space and comments.
    Empty,
    /// Anything else.
    Other,
}
