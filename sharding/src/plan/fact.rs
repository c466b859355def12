//! What WHERE and ON say about columns: equalities that hold for every row that matters, and the shards that follow.
//! Out: where a fact may be used (see `walk`).
//! Invariant: only facts that are not true of NULL (`=`, `IN`): outer joins rely on it.

use std::sync::Arc;

use crate::placement::KeyType;
use crate::route::{Condition, Key, Operand};
use crate::schema::{Protocol, Table};

/// Number of a relation (one use of a table in a FROM) within the statement.
pub(super) type RelationId = usize;

/// A column of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ColumnId {
    pub relation: RelationId,
    pub column: usize,
}

/// Something that is true of every row that matters.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    /// Two columns are equal.
    Equal(ColumnId, ColumnId),
    /// A column equals one of these.
    OneOf(ColumnId, Vec<Operand>),
    /// All facts of one of these lists hold.
    Either(Vec<Vec<Fact>>),
}

/// How deep alternatives are followed; deeper ones conclude nothing.
const ALTERNATIVES_DEEP: usize = 4;

/// The tables of the relations, by number; `None` where the columns are not known.
pub(super) struct Columns<'a> {
    pub protocol: Protocol,
    pub tables: &'a [Option<Arc<Table>>],
}

impl Columns<'_> {
    fn table(&self, relation: RelationId) -> Option<&Table> {
        self.tables.get(relation)?.as_deref()
    }

    fn key_type(&self, column: ColumnId) -> Option<KeyType> {
        let described = self.table(column.relation)?.columns.get(column.column)?;
        KeyType::of(described, self.protocol).ok()
    }

    /// True if the two columns, compared by `=`, are equal exactly when they are placed alike.
    pub fn alike(&self, a: ColumnId, b: ColumnId) -> bool {
        matches!((self.key_type(a), self.key_type(b)), (Some(a), Some(b)) if a.places_like(&b))
    }

    /// Columns that equal this one, itself first.
    pub fn equals(&self, column: ColumnId, facts: &[&Fact]) -> Vec<ColumnId> {
        let mut class = vec![column];
        let mut at = 0;
        while let Some(known) = class.get(at).copied() {
            at += 1;
            for fact in facts {
                let Fact::Equal(a, b) = fact else { continue };
                let other = if *a == known {
                    *b
                } else if *b == known {
                    *a
                } else {
                    continue;
                };
                if !class.contains(&other) && self.alike(known, other) {
                    class.push(other);
                }
            }
        }
        class
    }

    /// Where the rows of a sharded relation are that satisfy the facts.
    pub fn condition(&self, relation: RelationId, facts: &[&Fact]) -> Condition {
        self.condition_to(relation, facts, ALTERNATIVES_DEEP)
    }

    fn condition_to(&self, relation: RelationId, facts: &[&Fact], deep: usize) -> Condition {
        let Some(sharding) = self.table(relation).and_then(Table::sharding) else { return Condition::Everything };
        let mut all = Vec::new();
        // For each key column: what it is said to be, by columns that equal it.
        let said: Vec<Vec<(KeyType, &Vec<Operand>)>> = sharding
            .key
            .iter()
            .map(|column| {
                let class = self.equals(ColumnId { relation, column: *column }, facts);
                let mentions = facts.iter().filter_map(|fact| match fact {
                    Fact::OneOf(of, operands) if class.contains(of) => Some((self.key_type(*of)?, operands)),
                    _ => None,
                });
                mentions.collect()
            })
            .collect();
        let rounds = if said.len() == 1 { said.first().map_or(0, Vec::len) } else { 1 };
        for round in 0..rounds {
            let chosen: Option<Vec<_>> = said.iter().map(|mentions| mentions.get(round)).collect();
            if let Some(chosen) = chosen {
                all.push(Condition::Key {
                    key: Key { columns: chosen.iter().map(|(key_type, _)| *key_type).collect() },
                    candidates: chosen.iter().map(|(_, operands)| (*operands).clone()).collect(),
                });
            }
        }
        if let Some(deeper) = deep.checked_sub(1) {
            for fact in facts {
                let Fact::Either(branches) = fact else { continue };
                let others: Vec<&Fact> =
                    facts.iter().copied().filter(|other| !matches!(other, Fact::Either(_))).collect();
                let parts: Vec<Condition> = branches
                    .iter()
                    .map(|branch| {
                        let together: Vec<&Fact> = others.iter().copied().chain(branch).collect();
                        self.condition_to(relation, &together, deeper)
                    })
                    .collect();
                if !parts.contains(&Condition::Everything) {
                    all.push(simplified(parts));
                }
            }
        }
        match all.len() {
            0 => Condition::Everything,
            1 => all.pop().unwrap_or(Condition::Everything),
            _ => Condition::All(all),
        }
    }
}

/// `k = 1 OR k = 2` is one list of candidates.
fn simplified(parts: Vec<Condition>) -> Condition {
    let mut joined: Option<(Key, Vec<Operand>)> = None;
    for part in &parts {
        let Condition::Key { key, candidates } = part else { return Condition::Any(parts) };
        let [operands] = candidates.as_slice() else { return Condition::Any(parts) };
        match &mut joined {
            None => joined = Some((key.clone(), operands.clone())),
            Some((first, all)) if first == key => all.extend(operands.iter().cloned()),
            Some(_) => return Condition::Any(parts),
        }
    }
    match joined {
        Some((key, operands)) => Condition::Key { key, candidates: vec![operands] },
        None => Condition::Nothing,
    }
}
