//! Which tables of a shard are read with their columns. Most databases: all. One with very many tables: those that the
//! planner cannot do without, so that the start does not wait for 100,000 tables.

use std::collections::HashSet;

use sharding::schema::TableName;

/// Up to this many tables, columns of all of them are read.
const TABLES_MAX: usize = 2_000;

/// Which tables are read with their columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Declared tables: always.
    pub declared: HashSet<TableName>,
}

impl Wanted {
    /// The tables to read in detail, of all names found; each comes with whether it touches others (view, trigger, ...).
    pub(super) fn detailed(&self, tables: impl Iterator<Item = (TableName, bool)>) -> HashSet<TableName> {
        let tables: Vec<_> = tables.collect();
        let all = tables.len() <= TABLES_MAX;
        let kept = tables.into_iter().filter(|(name, notable)| all || *notable || self.declared.contains(name));
        kept.map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_tables_only_the_notable_are_detailed() {
        let name = |n: usize| TableName { schema: None, name: format!("t{n}") };
        let wanted = Wanted { declared: HashSet::from([name(7)]) };
        let few = wanted.detailed((0..10).map(|n| (name(n), false)));
        assert_eq!(few.len(), 10);
        let many = wanted.detailed((0..100_000).map(|n| (name(n), n == 9)));
        assert_eq!(many, HashSet::from([name(7), name(9)]));
    }
}
