//! Statements that the session itself obeys, read from tokens into typed verbs: transactions, settings, prepared statements.
//! A form not known here is `None`: it is for a server, and nothing is concluded from it.

mod reader;
mod setting;
mod statement;
mod transaction;

use super::{Dialect, LexError, Span};
use reader::Reader;

/// A name as it was written, without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The identifier as the server stores it: PostgreSQL folds unquoted ones to lower case.
    pub text: Vec<u8>,
    /// What two names are compared by: MySQL compares these names without case, PostgreSQL as stored.
    pub key: Vec<u8>,
    /// Its bytes, quotes included.
    pub span: Span,
}

/// Transaction isolation levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// The modes of BEGIN, START TRANSACTION and SET TRANSACTION. None: not mentioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransactionModes {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY (true) or READ WRITE (false).
    pub read_only: Option<bool>,
    /// `[NOT] DEFERRABLE`.
    pub deferrable: Option<bool>,
    /// WITH CONSISTENT SNAPSHOT.
    pub consistent_snapshot: bool,
}

impl TransactionModes {
    /// A plain BEGIN: nothing mentioned.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What follows the end of a transaction. None: as completion_type says (MySQL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Completion {
    /// `AND [NO] CHAIN`.
    pub chain: Option<bool>,
    /// `[NO] RELEASE`.
    pub release: Option<bool>,
}

/// How far a setting reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Nothing was written: the session (for SET TRANSACTION: the next transaction in MySQL, this one in PostgreSQL).
    Default,
    /// SESSION, LOCAL (MySQL), @@session.
    Session,
    /// LOCAL in PostgreSQL: until the end of the transaction.
    Transaction,
    /// GLOBAL, @@global.
    Global,
    /// PERSIST, @@persist.
    Persist,
    /// PERSIST_ONLY.
    PersistOnly,
}

/// What an assignment sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A system variable or PostgreSQL setting, lower case, dots included (`search_path`). Those of ours begin with
    /// `dbmesh.` (MySQL's `dbmesh_x` is read as `dbmesh.x`) and never go to a server.
    Setting(Vec<u8>),
    /// `@x`: the name in lower case, since MySQL compares it without case.
    UserVariable(Vec<u8>),
    /// MySQL SET NAMES.
    Names,
    /// MySQL SET CHARACTER SET.
    CharacterSet,
    /// PostgreSQL SET TIME ZONE.
    TimeZone,
    /// SET ROLE.
    Role,
    /// MySQL SET DEFAULT ROLE, SET PASSWORD, PostgreSQL SET SESSION AUTHORIZATION, SET CONSTRAINTS ...: only for a server.
    Other,
}

/// What stands on the right of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueShape {
    /// DEFAULT.
    Default,
    /// One literal, with or without a sign.
    Literal,
    /// One bare or quoted word: ON, utf8mb4.
    Word,
    /// NULL.
    Null,
    /// Several literals or words with commas (PostgreSQL lists).
    List,
    /// `SET x FROM CURRENT`, or an expression: only a server knows its value.
    Expression,
}

/// One assignment of a SET.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// How far it reaches.
    pub scope: Scope,
    /// What it sets.
    pub target: Target,
    /// The text of the value, as written.
    pub value: Span,
    /// What the value is.
    pub shape: ValueShape,
    /// The value of one literal or word without quotes (PostgreSQL words folded); empty for other shapes.
    pub plain: Vec<u8>,
    /// MySQL `SET NAMES x COLLATE y`: y.
    pub collation: Option<Vec<u8>>,
    /// The whole assignment, from scope to value.
    pub span: Span,
}

/// How a session wants its transactions over several shards, set by `SET dbmesh.transaction_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionType {
    /// All or nothing.
    Atomic,
    /// BEGIN on each, then COMMIT on all.
    Local,
}

/// What RESET, DISCARD or DEALLOCATE names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// ALL.
    All,
    /// One.
    One(Name),
}

/// DISCARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// ALL.
    All,
    /// PLANS.
    Plans,
    /// SEQUENCES.
    Sequences,
    /// TEMP.
    Temp,
}

/// XA of MySQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Xa {
    /// START, BEGIN.
    Start,
    /// END.
    End,
    /// PREPARE.
    Prepare,
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// RECOVER.
    Recover,
}

/// Where a PREPARE takes its text from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PreparedText {
    /// PostgreSQL `AS ...`: the bytes of the statement; `types` are those in the parentheses before it.
    Statement {
        /// The statement.
        body: Span,
        /// Parameter types.
        types: Option<Span>,
    },
    /// MySQL `FROM '...'`: the decoded text.
    Text(Vec<u8>),
    /// MySQL `FROM @x`.
    UserVariable(Vec<u8>),
    /// MariaDB `FROM expression`.
    Expression(Span),
}

/// A statement that the session itself obeys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit(Completion),
    /// ROLLBACK, ABORT.
    Rollback(Completion),
    /// SAVEPOINT.
    Savepoint(Name),
    /// ROLLBACK TO.
    RollbackTo(Name),
    /// RELEASE.
    Release(Name),
    /// SET [SESSION|GLOBAL] TRANSACTION, SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetTransaction {
        /// How far it reaches.
        scope: Scope,
        /// What it sets.
        modes: TransactionModes,
        /// PostgreSQL SET TRANSACTION SNAPSHOT.
        snapshot: bool,
    },
    /// SET of one or more.
    Set(Vec<Assignment>),
    /// SET dbmesh.transaction_type and SET @@dbmesh_transaction_type alone and with a good value; with a bad one, or beside
    /// others, it is an assignment of [`Verb::Set`].
    SetTransactionType(TransactionType),
    /// PostgreSQL RESET.
    Reset(Which),
    /// PostgreSQL DISCARD.
    Discard(Discard),
    /// USE.
    Use(Name),
    /// PostgreSQL SHOW of one setting, lower case, or `all`.
    ShowSetting(Vec<u8>),
    /// MySQL SELECT of nothing but system variables, each with its scope, name and label.
    SelectVariables(Vec<SelectedVariable>),
    /// PREPARE of a statement.
    PrepareStatement {
        /// Its name.
        name: Name,
        /// Its text.
        text: PreparedText,
    },
    /// EXECUTE.
    Execute {
        /// Its name.
        name: Name,
        /// PostgreSQL: what stands between the parentheses; MySQL: what follows USING.
        arguments: Option<Span>,
    },
    /// DEALLOCATE, DROP PREPARE.
    Deallocate(Which),
    /// KILL.
    Kill {
        /// KILL QUERY rather than the connection.
        query: bool,
        /// The id, when it is a number.
        id: Option<u64>,
    },
    /// XA.
    Xa(Xa),
    /// PREPARE TRANSACTION, with its gid decoded.
    PrepareTransaction(Vec<u8>),
    /// COMMIT PREPARED.
    CommitPrepared(Vec<u8>),
    /// ROLLBACK PREPARED.
    RollbackPrepared(Vec<u8>),
    /// LISTEN.
    Listen(Name),
    /// UNLISTEN.
    Unlisten(Which),
    /// NOTIFY.
    Notify(Name),
    /// DECLARE of a cursor.
    DeclareCursor {
        /// Its name.
        name: Name,
        /// WITH HOLD.
        hold: bool,
        /// The query.
        query: Span,
    },
    /// CLOSE.
    CloseCursor(Which),
    /// LOCK TABLES (MySQL).
    LockTables,
    /// UNLOCK TABLES (MySQL).
    UnlockTables,
    /// EXPLAIN ROUTE of a statement.
    ExplainRoute(Span),
}

/// One `@@x` of a SELECT list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SelectedVariable {
    /// Default, session or global.
    pub scope: Scope,
    /// The variable, lower case.
    pub name: Vec<u8>,
    /// The column's label as the server gives it.
    pub label: Vec<u8>,
}

/// Reads the one statement at `span` of `sql` (as a scan found it).
/// None when it is not such a statement, or has a form that only the server should judge.
///
/// # Errors
/// [`LexError`] as the scan gives it.
pub fn verb(sql: &[u8], span: Span, dialect: Dialect) -> Result<Option<Verb>, LexError> {
    let mut reader = Reader::new(sql, span, dialect)?;
    let verb = transaction::read(&mut reader)
        .or_else(|| reader.again(setting::read))
        .or_else(|| reader.again(statement::read));
    Ok(verb)
}

/// The statement that EXPLAIN or CREATE TABLE ... AS executes by its name: `EXPLAIN (ANALYZE) EXECUTE name(1)`. None: it
/// names none.
///
/// # Errors
/// [`LexError`] as the scan gives it.
pub fn executed_inside(sql: &[u8], span: Span, dialect: Dialect) -> Result<Option<Name>, LexError> {
    Ok(statement::executed_inside(&mut Reader::new(sql, span, dialect)?))
}

#[cfg(test)]
mod tests;
