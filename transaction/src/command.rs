//! The words between the driver of a session and its transaction: verbs and answers in, commands and replies out.
//! In: plain values. Out: decisions (see `transaction`), SQL text (see `sql`).

use std::sync::Arc;

use crate::branch::ShardIndex;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::savepoint::{Replay, SavepointName};

/// A statement of the client that is about the transaction itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// What was written with it.
        options: Options,
        /// START TRANSACTION rather than BEGIN (PostgreSQL's tag repeats the word).
        start: bool,
        /// The shards to begin on at once; only used with `consistent_snapshot`, where it should be all shards.
        at_once: Arc<[ShardIndex]>,
    },
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE (MySQL): the client is disconnected afterwards.
        release: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE (MySQL).
        release: bool,
    },
    /// SAVEPOINT.
    Savepoint(SavepointName),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(SavepointName),
    /// RELEASE SAVEPOINT.
    Release(SavepointName),
    /// SET TRANSACTION without a scope: the next transaction (MySQL), the current one (PostgreSQL).
    SetTransaction(Options),
    /// SET autocommit (MySQL).
    SetAutocommit(bool),
}

impl Verb {
    /// BEGIN without options.
    #[must_use]
    pub fn begin() -> Self {
        Self::Begin { options: Options::default(), start: false, at_once: Arc::default() }
    }

    /// COMMIT without options.
    #[must_use]
    pub const fn commit() -> Self {
        Self::Commit { chain: false, release: false }
    }

    /// ROLLBACK without options.
    #[must_use]
    pub const fn rollback() -> Self {
        Self::Rollback { chain: false, release: false }
    }
}

/// What a statement does to the shards it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes, or may write, or locks.
    Write,
    /// It commits the transaction implicitly (MySQL: DDL, TRUNCATE, LOCK TABLES and so on).
    CommitsImplicitly,
}

/// What is to be sent to a shard; [`crate::sql`] writes it as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begins a branch, and repeats there what a shard that joins late has missed.
    Begin {
        /// With what it begins.
        options: Options,
        /// What to repeat, in order.
        replays: Vec<Replay>,
    },
    /// SET TRANSACTION: before a single statement outside a transaction (MySQL), or within one (PostgreSQL).
    Characteristics(Options),
    /// SAVEPOINT.
    Savepoint(SavepointName),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(SavepointName),
    /// RELEASE SAVEPOINT.
    Release(SavepointName),
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
}

/// A command and the shard it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Where.
    pub shard: ShardIndex,
    /// What.
    pub command: Command,
}

/// What a shard said to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did it.
    Done,
    /// It rolled back instead: PostgreSQL's answer to COMMIT with the tag ROLLBACK.
    RolledBack,
    /// It refused; the driver keeps the error, to relay it if told so.
    Error,
    /// No answer: the connection broke or the wait ended. The driver closes the backend.
    Lost,
}

/// What the driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Send these, at the same time if it likes, and report all answers together with `answered`.
    Round(Vec<Send>),
    /// Answer the client. Backends of shards that are no longer branches can go.
    Reply(Reply),
}

/// What the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The verb is done.
    Done {
        /// For PostgreSQL's CommandComplete.
        tag: Tag,
        /// PostgreSQL sends it before the tag.
        warning: Option<Warning>,
        /// Close the client's connection afterwards (RELEASE).
        disconnect: bool,
    },
    /// The statement's own answer, which the driver has, stands.
    Statement,
    /// What this shard said (its error, or that its connection broke) goes to the client.
    Relay(ShardIndex),
    /// An error of ours.
    Refuse(Refusal),
}

/// PostgreSQL's command tags of the verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// BEGIN.
    Begin,
    /// START TRANSACTION.
    StartTransaction,
    /// COMMIT.
    Commit,
    /// ROLLBACK (also of ROLLBACK TO, and of a COMMIT that could only roll back).
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE.
    Release,
    /// SET.
    Set,
}

impl Tag {
    /// The tag as PostgreSQL writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::StartTransaction => "START TRANSACTION",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Savepoint => "SAVEPOINT",
            Self::Release => "RELEASE",
            Self::Set => "SET",
        }
    }
}

/// PostgreSQL's warnings about verbs out of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// 25001: there is already a transaction in progress.
    AlreadyInTransaction,
    /// 25P01: there is no transaction in progress.
    NoTransaction,
    /// 25P01: SET TRANSACTION can only be used in transaction blocks.
    SetOutsideTransaction,
}

impl Warning {
    /// The SQLSTATE.
    #[must_use]
    pub const fn sqlstate(self) -> &'static str {
        match self {
            Self::AlreadyInTransaction => "25001",
            Self::NoTransaction | Self::SetOutsideTransaction => "25P01",
        }
    }

    /// The text, as PostgreSQL words it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AlreadyInTransaction => "there is already a transaction in progress",
            Self::NoTransaction => "there is no transaction in progress",
            Self::SetOutsideTransaction => "SET TRANSACTION can only be used in transaction blocks",
        }
    }
}

/// How a statement ended on its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Well, everywhere.
    Well,
    /// With an error, a server's or ours.
    Failed {
        /// Whether it writes and other shards of the same statement may have been changed already.
        others_changed: bool,
    },
}

/// How a branch ended without a command of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// BEGIN failed or could not be sent: nothing was done there.
    NeverBegan,
    /// The server rolled it back (deadlock and the like) and said so by an error.
    RolledBack,
    /// The server says that no transaction is open, after a statement that went well (an implicit commit).
    Ended,
    /// The connection broke.
    Lost,
}

/// What follows from a branch that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Aftermath {
    /// To be sent to the branches that are left, which are no longer part of the transaction; a backend on which it fails is closed.
    pub rollbacks: Vec<Send>,
    /// To be told to the client in place of the statement's own answer.
    pub refusal: Option<Refusal>,
}

/// Where the client stands, for the byte of ReadyForQuery and the flag of OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Outside a transaction ('I').
    Idle,
    /// Inside ('T').
    Open,
    /// Inside one that failed ('E'); MySQL has no such state and shows it as open.
    Failed,
}
