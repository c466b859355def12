//! What a transaction is begun with: its type, its isolation, and what it may do.
//! In: the characteristics of BEGIN and SET TRANSACTION in both dialects. Out: SQL text (`sql` writes it).

/// Which database's rules and SQL the session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
}

/// How the parts of a transaction on several shards hang together; chosen by `SET dbmesh.transaction_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransactionType {
    /// All or nothing. Until two-phase commit is there, a second shard may be read but not written.
    #[default]
    Atomic,
    /// COMMIT on each shard in turn: a failure between two of them splits the transaction, and is reported.
    Local,
}

/// Isolation level, as the servers name them.
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

/// The characteristics that were written in BEGIN or SET TRANSACTION; `None` leaves it to the session's default on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY (true) or READ WRITE (false).
    pub read_only: Option<bool>,
    /// DEFERRABLE or NOT DEFERRABLE; PostgreSQL only.
    pub deferrable: Option<bool>,
    /// WITH CONSISTENT SNAPSHOT; MySQL only. Such a BEGIN is not deferred.
    pub consistent_snapshot: bool,
}

impl Options {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// These options, overridden by what `later` says.
    #[must_use]
    pub fn merged(self, later: Self) -> Self {
        Self {
            isolation: later.isolation.or(self.isolation),
            read_only: later.read_only.or(self.read_only),
            deferrable: later.deferrable.or(self.deferrable),
            consistent_snapshot: later.consistent_snapshot || self.consistent_snapshot,
        }
    }
}
