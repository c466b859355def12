//! Which tables of a shard are read with their columns. Most databases: all. One with very many tables: those that the
//! planner cannot do without, so that the start does not wait for 100,000 tables.

use std::collections::HashSet;

use sharding::schema::TableName;

/// Up to this many tables of a MySQL shard, columns of all of them are read. MariaDB opens every table for its columns and
/// foreign keys, which takes milliseconds each when it is cold.
pub(super) const MYSQL_TABLES_MAX: usize = 500;
/// The same for PostgreSQL, where columns are rows of a table.
pub(super) const POSTGRES_TABLES_MAX: usize = 5000;

/// Which tables are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Declared tables: always, with their columns.
    pub declared: HashSet<TableName>,
    /// Read nothing else: with one MySQL shard, it does not matter where undeclared tables are. On PostgreSQL it matters
    /// what they take from sequences.
    pub only_declared: bool,
    /// Up to this many tables, all are read with their columns.
    pub tables_max: usize,
}

impl Wanted {
    /// Whether a shard with so many tables is read completely.
    pub(super) fn all(&self, tables: usize) -> bool {
        !self.only_declared && tables <= self.tables_max
    }

    /// Whether this table is read with its columns, on a shard that is not read completely. `notable`: it touches other
    /// tables (a view, triggers, ...).
    pub(super) fn one(&self, name: &TableName, notable: bool) -> bool {
        self.declared.contains(name) || (notable && !self.only_declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_tables_only_the_notable_are_detailed() {
        let name = |n: usize| TableName { schema: None, name: format!("t{n}") };
        let wanted = Wanted { declared: HashSet::from([name(7)]), only_declared: false, tables_max: 500 };
        assert!(wanted.all(10) && !wanted.all(100_000));
        assert!(wanted.one(&name(7), false) && wanted.one(&name(9), true) && !wanted.one(&name(9), false));
        let wanted = Wanted { only_declared: true, ..wanted };
        assert!(!wanted.all(10) && wanted.one(&name(7), false) && !wanted.one(&name(9), true));
    }
}
