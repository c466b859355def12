//! What the planner knows of a logical database: its shards, its tables, their columns and how they are sharded.
//! Out: loading (the process reads it from the shards), statements, and anything that changes while a plan is made.

mod column_type;
mod from_sql;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::placement::SlotMap;

pub use from_sql::{RowsWhere, TableRule};

/// Number of a shard within its logical database, from 0.
pub type ShardIndex = u16;

/// Which SQL the logical database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
}

/// One shard, as far as rewriting names needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// The shard's name in the configuration.
    pub name: String,
    /// The physical database on its server.
    pub database: String,
}

/// A logical database.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Which SQL it speaks.
    pub protocol: Protocol,
    /// Its name, as clients know it.
    pub database: String,
    /// Its shards, in order.
    pub shards: Vec<ShardInfo>,
    /// Where unknown tables, catalogs and statements without tables go.
    pub default_shard: ShardIndex,
    /// Which shard holds which slot.
    pub slots: SlotMap,
    /// Grows with every change, and is part of the plan-cache key.
    pub version: u64,
    /// MySQL's `lower_case_table_names` is not 0: table names and aliases compare without case.
    pub names_fold: bool,
    /// Functions and procedures that users defined, lower case, without schema: they may read anything.
    pub routines: HashSet<String>,
    tables: HashMap<TableName, Arc<Table>>,
    /// Tables by lower-case name, whatever their schema.
    by_name: HashMap<String, Vec<TableName>>,
}

/// A table's name in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// PostgreSQL's schema; `None` on MySQL.
    pub schema: Option<String>,
    /// The name; lower case on MySQL where names fold.
    pub name: String,
}

/// A table, view or whatever else a FROM can name.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Where its rows are.
    pub placement: Placement,
    /// Every unique key, the primary key first if there is one: indexes into `columns`.
    pub unique_keys: Vec<UniqueKey>,
    /// Its rule vouches that values of the unique keys without the shard key are unique over all shards.
    pub unique_per_shard: bool,
    /// True for views and materialised views.
    pub is_view: bool,
    /// What is read or written behind the statement's back: by a view's text, a table's triggers, rules or cascades.
    pub reaches: Reaches,
}

/// A primary key or unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// Plain columns it covers. Empty if it is over expressions or part of the rows.
    pub columns: Vec<usize>,
}

/// Tables that an object touches without being named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaches {
    /// Nothing but itself.
    Nothing,
    /// These.
    Tables(Vec<TableName>),
    /// Nobody looked, or it cannot be known.
    Unknown,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name; lower case on MySQL, where column names never have a case.
    pub name: String,
    /// What kind of values it holds.
    pub kind: ColumnKind,
    /// The type as the server writes it.
    pub type_text: String,
    /// Collation of a text column, lower case; `None` for others and where unknown.
    pub collation: Option<String>,
    /// True unless NOT NULL.
    pub nullable: bool,
    /// What an INSERT that leaves it out gets.
    pub default: DefaultKind,
    /// True for ON UPDATE CURRENT_TIMESTAMP.
    pub on_update: bool,
    /// What an INSERT that leaves it out takes from a sequence (PostgreSQL).
    pub takes: Takes,
}

/// What the default of a column takes from a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    #[default]
    Nothing,
    /// The next number of this one, named as `regclass` reads it under any search_path.
    From(Arc<str>),
    /// It may take from any.
    Unknown,
}

/// What an INSERT that leaves a column out gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultKind {
    /// NULL, or an error.
    None,
    /// The same value every time.
    Constant,
    /// An expression whose value may differ from one server or moment to the next.
    Expression,
    /// AUTO_INCREMENT, serial, identity: the next number of a counter.
    Counter,
    /// Computed from other columns; cannot be given.
    Generated,
}

/// What kind of values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// An integer of so many bytes.
    Int {
        /// 1, 2, 3, 4 or 8.
        bytes: u8,
        /// MySQL's UNSIGNED.
        unsigned: bool,
    },
    /// MySQL's YEAR.
    Year,
    /// Exact decimal.
    Decimal {
        /// Digits in all, 0 if unlimited.
        precision: u32,
        /// Digits after the point; `None` if it is not fixed.
        scale: Option<u16>,
    },
    /// Floating point of 4 or 8 bytes.
    Float {
        /// 4 or 8.
        bytes: u8,
    },
    /// PostgreSQL boolean.
    Bool,
    /// CHAR, VARCHAR, text with a length limit in characters, or none.
    Text {
        /// CHAR(n): trailing spaces do not count.
        fixed: bool,
        /// The declared length.
        length: Option<u32>,
    },
    /// BINARY, VARBINARY, BLOB, bytea.
    Bytes {
        /// BINARY(n): padded with zero bytes.
        fixed: bool,
        /// The declared length.
        length: Option<u32>,
    },
    /// A day.
    Date,
    /// A time of day (MySQL: a span of time).
    Time,
    /// A day and time without zone: DATETIME, timestamp.
    DateTime {
        /// Digits after the second's point.
        fraction: u8,
    },
    /// A moment shown in the session's zone: MySQL TIMESTAMP, timestamptz.
    Timestamp,
    /// A uuid.
    Uuid,
    /// Anything else: JSON, ENUM, SET, BIT, arrays, intervals, geometry, user types.
    Other,
}

/// Where a table's rows are.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// Each row on the shard that its key says.
    Sharded(Sharding),
    /// A full copy on every shard.
    Reference,
    /// On one shard.
    Single(ShardIndex),
    /// Undeclared, and found on several shards: every use is an error that names them.
    Ambiguous(Vec<ShardIndex>),
    /// Declared, but not as it is on the shards: missing everywhere, other columns on one shard than on another, a key
    /// that cannot be one. Every use is an error with this reason ([`crate::plan::Refusal::Unusable`]).
    Unusable(String),
}

/// How a sharded table's rows are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharding {
    /// The key's columns, indexes into the table's columns.
    pub key: Vec<usize>,
    /// The function that places them.
    pub function: Function,
}

/// A placement function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// XXH3-64 over canonical bytes; see [`crate::placement`].
    Hash,
}

impl Schema {
    /// A logical database without tables: every name it does not know is on the default shard.
    #[must_use]
    pub fn new(protocol: Protocol, database: &str, shards: Vec<ShardInfo>, default_shard: ShardIndex) -> Self {
        let count = shards.len().clamp(1, usize::from(ShardIndex::MAX));
        Self {
            protocol,
            database: database.to_owned(),
            slots: SlotMap::even(count as ShardIndex),
            default_shard: default_shard.min(count as ShardIndex - 1),
            shards,
            version: 1,
            names_fold: false,
            routines: HashSet::new(),
            tables: HashMap::new(),
            by_name: HashMap::new(),
        }
    }

    /// Adds a table, in place of one of the same name. Its names are brought to canonical form.
    pub fn insert(&mut self, mut table: Table) {
        if self.protocol == Protocol::MySql {
            table.name.schema = None;
            table.columns.iter_mut().for_each(|column| column.name = column.name.to_lowercase());
            if self.names_fold {
                table.name.name = table.name.name.to_lowercase();
            }
        }
        let namesakes = self.by_name.entry(table.name.name.to_lowercase()).or_default();
        if !namesakes.contains(&table.name) {
            namesakes.push(table.name.clone());
        }
        self.tables.insert(table.name.clone(), Arc::new(table));
    }

    /// Removes a table.
    pub fn remove(&mut self, name: &TableName) {
        self.tables.remove(name);
        if let Some(namesakes) = self.by_name.get_mut(&name.name.to_lowercase()) {
            namesakes.retain(|namesake| namesake != name);
        }
    }

    /// The table of this canonical name.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// Tables whose name is this one but for its case, in any schema.
    pub fn namesakes(&self, name: &str) -> impl Iterator<Item = &Arc<Table>> {
        self.by_name.get(&name.to_lowercase()).into_iter().flatten().filter_map(|name| self.tables.get(name))
    }

    /// Every table, in no order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// True if any table's rows are on more than one shard: else the database is an ordinary one behind a relay.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.shards.len() > 1
            && self.tables.values().any(|table| matches!(table.placement, Placement::Sharded(_) | Placement::Reference))
    }
}

impl TableName {
    /// A MySQL table, or a PostgreSQL one in schema `public`.
    #[must_use]
    pub fn plain(protocol: Protocol, name: &str) -> Self {
        Self { schema: (protocol == Protocol::Postgres).then(|| "public".to_owned()), name: name.to_owned() }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) if schema != "public" => write!(f, "{schema}.{}", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

impl Table {
    /// Index of a column by its canonical name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The key's columns, if it is sharded.
    #[must_use]
    pub fn sharding(&self) -> Option<&Sharding> {
        match &self.placement {
            Placement::Sharded(sharding) => Some(sharding),
            Placement::Reference | Placement::Single(_) | Placement::Ambiguous(_) | Placement::Unusable(_) => None,
        }
    }

    /// Unique keys that do not contain the whole shard key: no shard can enforce them alone, so `check` reports them
    /// and statements that write them are refused, unless `unique_per_shard`.
    pub fn unguarded_unique_keys(&self) -> impl Iterator<Item = &UniqueKey> {
        let key: &[usize] = self.sharding().map_or(&[], |sharding| &sharding.key);
        self.unique_keys.iter().filter(move |unique| !key.iter().all(|column| unique.columns.contains(column)))
    }
}
