//! The tree of joins of one FROM: which facts restrict which relations, and whether the rows of the whole are where the
//! rows of its sharded tables are.

use super::super::fact::{ColumnId, Fact, RelationId};
use super::{FactId, RelationKind, Walk};
use crate::schema::Table;

/// What happens to rows without a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum JoinKind {
    /// They go.
    Inner,
    /// Those of the left side stay.
    Left,
    /// Those of the right side stay.
    Right,
    /// All stay.
    Full,
}

/// A FROM.
#[derive(Debug)]
pub(in super::super) enum Tree {
    /// One relation.
    Leaf(RelationId),
    /// Two joined; `facts` are those of ON and USING.
    Join { left: Box<Tree>, right: Box<Tree>, kind: JoinKind, facts: Vec<FactId> },
    /// Nothing is selected from.
    Empty,
}

/// Where the rows of a join are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Spot {
    /// All of them on every shard.
    Everywhere,
    /// Each on the shard of the keys of these relations, which are equal; the first list is never NULL-extended.
    Keyed { anchors: Vec<RelationId>, others: Vec<RelationId> },
    /// Not known, or on no single shard; the construct to blame.
    Scattered(&'static str),
}

impl Tree {
    /// Facts that hold for every row of the tree.
    fn guaranteed(&self) -> Vec<FactId> {
        match self {
            Self::Leaf(_) | Self::Empty => Vec::new(),
            Self::Join { left, right, kind: JoinKind::Inner, facts } => {
                [left.guaranteed(), right.guaranteed(), facts.clone()].concat()
            }
            Self::Join { left, kind: JoinKind::Left, .. } => left.guaranteed(),
            Self::Join { right, kind: JoinKind::Right, .. } => right.guaranteed(),
            Self::Join { kind: JoinKind::Full, .. } => Vec::new(),
        }
    }

    pub fn relations(&self) -> Vec<RelationId> {
        match self {
            Self::Leaf(id) => vec![*id],
            Self::Empty => Vec::new(),
            Self::Join { left, right, .. } => {
                let mut all = left.relations();
                all.extend(right.relations());
                all
            }
        }
    }
}

impl Walk<'_> {
    /// Gives each relation of a join the facts of its ON that restrict it: not those of the side that is kept whole.
    pub(super) fn restrict(&mut self, left: &Tree, right: &Tree, kind: JoinKind, facts: &[FactId]) {
        // A row of one side matters only beside rows of the other, for which that side's own facts hold.
        if matches!(kind, JoinKind::Inner | JoinKind::Left) {
            let facts = [facts, &left.guaranteed()].concat();
            self.restrict_all(&right.relations(), &facts);
        }
        if matches!(kind, JoinKind::Inner | JoinKind::Right) {
            let facts = [facts, &right.guaranteed()].concat();
            self.restrict_all(&left.relations(), &facts);
        }
    }

    pub(super) fn restrict_all(&mut self, relations: &[RelationId], facts: &[FactId]) {
        for id in relations {
            if let Some(relation) = self.relations.get_mut(*id) {
                relation.facts.extend_from_slice(facts);
            }
        }
    }

    /// Where the rows of a FROM are. `given` are facts of WHERE, true of all rows that stay.
    pub fn spot(&self, tree: &Tree, given: &[FactId]) -> Spot {
        match tree {
            Tree::Empty => Spot::Everywhere,
            Tree::Leaf(id) => match self.relations.get(*id).map(|relation| relation.kind) {
                Some(RelationKind::Reference) => Spot::Everywhere,
                Some(RelationKind::Sharded) => Spot::Keyed { anchors: vec![*id], others: Vec::new() },
                Some(RelationKind::OnShard(_)) => {
                    Spot::Scattered("a join of a sharded table with a table that is on one shard")
                }
                Some(RelationKind::Derived) => Spot::Scattered("a sub-query or function in FROM"),
                None => Spot::Scattered("this FROM"),
            },
            Tree::Join { left, right, kind, facts } => {
                // WHERE may join the two sides only where neither is NULL-extended by this join.
                let (inner, none) = (given, &[][..]);
                let (of_left, of_right) = match kind {
                    JoinKind::Inner => (inner, inner),
                    JoinKind::Left => (inner, none),
                    JoinKind::Right => (none, inner),
                    JoinKind::Full => (none, none),
                };
                let joined: Vec<FactId> = match kind {
                    JoinKind::Inner => facts.iter().chain(given).copied().collect(),
                    JoinKind::Left | JoinKind::Right | JoinKind::Full => facts.clone(),
                };
                self.joined(self.spot(left, of_left), self.spot(right, of_right), *kind, &joined)
            }
        }
    }

    fn joined(&self, left: Spot, right: Spot, kind: JoinKind, facts: &[FactId]) -> Spot {
        const KEPT: &str = "an outer join that keeps the rows of a reference table beside a sharded one";
        match (left, right, kind) {
            (scattered @ Spot::Scattered(_), _, _) | (_, scattered @ Spot::Scattered(_), _) => scattered,
            (Spot::Everywhere, Spot::Everywhere, _) => Spot::Everywhere,
            (Spot::Everywhere, keyed, JoinKind::Inner | JoinKind::Right)
            | (keyed, Spot::Everywhere, JoinKind::Inner | JoinKind::Left) => keyed,
            (Spot::Everywhere, _, JoinKind::Left | JoinKind::Full)
            | (_, Spot::Everywhere, JoinKind::Right | JoinKind::Full) => Spot::Scattered(KEPT),
            (Spot::Keyed { anchors: a, others: b }, Spot::Keyed { anchors: c, others: d }, kind) => {
                let lefts: Vec<RelationId> = a.iter().chain(&b).copied().collect();
                let rights: Vec<RelationId> = c.iter().chain(&d).copied().collect();
                let facts = self.facts_of(facts);
                let equal = lefts.iter().any(|l| rights.iter().any(|r| self.keys_equal(*l, *r, &facts)));
                if !equal {
                    return Spot::Scattered("a join of sharded tables that is not on their shard keys");
                }
                let (anchors, others) = match kind {
                    JoinKind::Inner => ([a, c].concat(), [b, d].concat()),
                    JoinKind::Left => (a, [b, c, d].concat()),
                    JoinKind::Right => (c, [d, a, b].concat()),
                    JoinKind::Full => (Vec::new(), [a, b, c, d].concat()),
                };
                Spot::Keyed { anchors, others }
            }
        }
    }

    /// True if the facts make every key column of one relation equal to that of the other.
    fn keys_equal(&self, a: RelationId, b: RelationId, facts: &[&Fact]) -> bool {
        let sharding = |id: RelationId| self.tables.get(id).and_then(Option::as_deref).and_then(Table::sharding);
        let (Some(of_a), Some(of_b)) = (sharding(a), sharding(b)) else { return false };
        let columns = self.columns();
        of_a.function == of_b.function
            && of_a.key.len() == of_b.key.len()
            && of_a.key.iter().zip(&of_b.key).all(|(left, right)| {
                let class = columns.equals(ColumnId { relation: a, column: *left }, facts);
                class.contains(&ColumnId { relation: b, column: *right })
            })
    }
}
