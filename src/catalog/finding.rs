//! What is wrong with the shards of a logical database, as `dbmesh check`, readiness and the log report it.
//! Out: how it was found.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but somebody should know.
    Warning,
    /// Something cannot be used.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The shard it is about; `None`: the logical database as a whole.
    pub shard: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The shard could not be reached or read.
    NotRead(String),
    /// A declared table is not on this shard.
    TableMissing {
        /// The table.
        table: String,
    },
    /// A declared table is on no shard.
    TableNowhere {
        /// The table.
        table: String,
    },
    /// A table's columns are not the same on two shards.
    ColumnsDiffer {
        /// The table.
        table: String,
        /// The shard it was compared with.
        other: String,
        /// The first difference.
        difference: String,
    },
    /// A declared key cannot be one.
    BadKey {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// A unique key without the shard key: no shard can enforce it alone.
    UnguardedUnique {
        /// The table.
        table: String,
        /// The key's columns.
        columns: String,
        /// The table's rule accepts that.
        vouched: bool,
    },
    /// An undeclared table is on several shards.
    Ambiguous {
        /// The table.
        table: String,
        /// The shards.
        shards: String,
    },
    /// As many more undeclared tables are on several shards.
    MoreAmbiguous {
        /// How many.
        tables: usize,
    },
    /// Columns of some undeclared tables were not read: the shard has too many tables.
    TooManyTables {
        /// How many tables have no columns here.
        tables: usize,
    },
    /// A setting is not the same on two shards.
    SettingDiffers {
        /// The setting.
        setting: &'static str,
        /// Its value here.
        value: String,
        /// The shard it was compared with.
        other: String,
        /// Its value there.
        other_value: String,
    },
    /// PostgreSQL: prepared transactions are switched off.
    NoPreparedTransactions,
    /// The server refuses writes.
    ReadOnly,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead(cause) => write!(f, "cannot be read: {cause}"),
            Self::TableMissing { table } => write!(f, "declared table {table} does not exist here"),
            Self::TableNowhere { table } => write!(f, "declared table {table} does not exist on any shard"),
            Self::ColumnsDiffer { table, other, difference } => {
                write!(f, "table {table} differs from the one on shard {other}: {difference}")
            }
            Self::BadKey { table, reason } => write!(f, "table {table} cannot be sharded as declared: {reason}"),
            Self::UnguardedUnique { table, columns, vouched } => {
                let what = if *vouched {
                    "it is enforced on each shard alone, as the table's rule accepts"
                } else {
                    "no shard can enforce it, so writes to it are refused (unique_per_shard = true in the table's rule accepts them)"
                };
                write!(f, "unique key ({columns}) of sharded table {table} does not contain the shard key: {what}")
            }
            Self::Ambiguous { table, shards } => {
                write!(f, "undeclared table {table} exists on several shards ({shards}): declare it to use it")
            }
            Self::MoreAmbiguous { tables } => write!(f, "{tables} more undeclared tables exist on several shards"),
            Self::TooManyTables { tables } => {
                write!(f, "columns of {tables} undeclared tables were not read; declare those that are used with others")
            }
            Self::SettingDiffers { setting, value, other, other_value } => {
                write!(f, "{setting} is '{value}' here but '{other_value}' on shard {other}")
            }
            Self::NoPreparedTransactions => f.write_str(
                "max_prepared_transactions is 0: atomic transactions over several shards need it above the number of sessions",
            ),
            Self::ReadOnly => f.write_str("the server refuses writes"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shard {
            Some(shard) => write!(f, "{}: shard {shard}: {}", self.severity.as_str(), self.problem),
            None => write!(f, "{}: {}", self.severity.as_str(), self.problem),
        }
    }
}
