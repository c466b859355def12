//! What was read from one shard: its tables and its settings, as the server said them.
//! Out: rules and placements (see `assemble`), connections.

use std::collections::{BTreeMap, BTreeSet};

use sharding::schema::{Column, Reaches, TableName, UniqueKey};

/// Everything read from one shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShardFacts {
    /// Settings that change what statements mean.
    pub settings: BTreeMap<Setting, String>,
    /// Tables, views, sequences and whatever else a FROM can name.
    pub tables: BTreeMap<TableName, TableFacts>,
    /// Functions and procedures that users defined, lower case, without schema.
    pub routines: BTreeSet<String>,
    /// MySQL: table names compare without case.
    pub names_fold: bool,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFacts {
    /// What it is.
    pub kind: TableKind,
    /// The table whose partition or heir it is (PostgreSQL).
    pub parent: Option<TableName>,
    /// Its columns and keys; `None` if they were not read because the shard has very many tables.
    pub detail: Option<TableDetail>,
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Holds rows.
    Table,
    /// View or materialised view.
    View,
    /// A sequence.
    Sequence,
}

/// Columns and keys of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDetail {
    /// In order.
    pub columns: Vec<Column>,
    /// The primary key first.
    pub unique_keys: Vec<UniqueKey>,
    /// What it touches without being named.
    pub reaches: Reaches,
}

/// A setting of a server or database that must agree between shards, or that something depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// The server's version.
    Version,
    /// MySQL sql_mode.
    SqlMode,
    /// Time zone of new sessions.
    TimeZone,
    /// Default collation of the database; PostgreSQL: LC_COLLATE and LC_CTYPE.
    Collation,
    /// Version of the collations' rules.
    CollationVersion,
    /// PostgreSQL server_encoding.
    Encoding,
    /// MySQL lower_case_table_names.
    LowerCaseTableNames,
    /// Isolation level of new sessions.
    Isolation,
    /// PostgreSQL DateStyle.
    DateStyle,
    /// PostgreSQL IntervalStyle.
    IntervalStyle,
    /// PostgreSQL standard_conforming_strings.
    StandardConformingStrings,
    /// PostgreSQL bytea_output.
    ByteaOutput,
    /// PostgreSQL extra_float_digits.
    ExtraFloatDigits,
    /// MySQL div_precision_increment.
    DivPrecisionIncrement,
    /// PostgreSQL max_prepared_transactions.
    MaxPreparedTransactions,
    /// The server refuses writes: MySQL read_only, PostgreSQL in recovery. "on" or "off".
    ReadOnly,
}

impl Setting {
    /// The setting's name, as its server calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::SqlMode => "sql_mode",
            Self::TimeZone => "time zone",
            Self::Collation => "collation",
            Self::CollationVersion => "collation version",
            Self::Encoding => "encoding",
            Self::LowerCaseTableNames => "lower_case_table_names",
            Self::Isolation => "isolation level",
            Self::DateStyle => "DateStyle",
            Self::IntervalStyle => "IntervalStyle",
            Self::StandardConformingStrings => "standard_conforming_strings",
            Self::ByteaOutput => "bytea_output",
            Self::ExtraFloatDigits => "extra_float_digits",
            Self::DivPrecisionIncrement => "div_precision_increment",
            Self::MaxPreparedTransactions => "max_prepared_transactions",
            Self::ReadOnly => "read_only",
        }
    }
}

impl ShardFacts {
    /// The value of a setting, empty if it was not read.
    #[must_use]
    pub fn setting(&self, setting: Setting) -> &str {
        self.settings.get(&setting).map_or("", String::as_str)
    }
}

/// What is touched by either of two things.
#[must_use]
pub(super) fn both(a: Reaches, b: Reaches) -> Reaches {
    match (a, b) {
        (Reaches::Unknown, _) | (_, Reaches::Unknown) => Reaches::Unknown,
        (Reaches::Nothing, other) | (other, Reaches::Nothing) => other,
        (Reaches::Tables(mut tables), Reaches::Tables(more)) => {
            for table in more {
                if !tables.contains(&table) {
                    tables.push(table);
                }
            }
            Reaches::Tables(tables)
        }
    }
}
