//! One walk over a statement's syntax tree: every table it names, what is known of their rows, and every construct that
//! matters to the choice of a plan.
//! Out: the choice. Invariant: matches are exhaustive; what is not known by name is noted as odd or refused.

mod column;
mod expression;
mod join;
mod query;
mod table;

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName};

pub(super) use join::{JoinKind, Spot, Tree};
pub(super) use query::Shape;

use super::fact::{Columns, Fact, RelationId};
use super::names::{Named, idents};
use super::refusal::Refusal;
use super::source::{Source, Visited};
use crate::route::{Condition, RouteRule};
use crate::schema::{Placement, ShardIndex, Table};

/// Number of a fact within the statement.
pub(super) type FactId = usize;

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelationKind {
    /// A use of a sharded table.
    Sharded,
    /// A use of a reference table.
    Reference,
    /// A use of a table on one shard: single, temporary, of the catalog, unknown.
    OnShard(ShardIndex),
    /// A sub-query, a CTE, a function: its own tables are relations of their own.
    Derived,
}

/// One use of a table, or of something like it, in a FROM.
#[derive(Debug)]
pub(super) struct Relation {
    pub name: String,
    pub kind: RelationKind,
    /// Facts that hold for every row of it that matters.
    pub facts: Vec<FactId>,
}

/// Names that one query block sees.
#[derive(Debug, Default)]
struct Scope {
    relations: Vec<RelationId>,
    /// Columns joined by USING and the relation they are taken from; `None` where that depends on the row.
    merged: Vec<(String, Option<RelationId>)>,
    /// Aliases of the select list.
    aliases: Vec<String>,
}

/// Constructs met. Texts name the first of their kind.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub subquery: bool,
    pub derived: bool,
    pub cte: bool,
    pub set_operation: bool,
    pub window: bool,
    pub locks: bool,
    /// Locks rows of this reference table, in the copy of the shard that the statement runs on.
    pub locked_copy: Option<String>,
    pub writes: bool,
    pub natural: bool,
    pub stable: Option<String>,
    pub volatile: Option<String>,
    pub rows_function: Option<String>,
    /// Looks at the server's catalog without naming a table: object numbers differ from shard to shard.
    pub catalog: bool,
    pub sequence: Option<String>,
    /// Takes or looks at a lock that has a name or number: all such locks are on the default shard.
    pub named_lock: Option<String>,
    /// Not built in, or reads what cannot be seen.
    pub opaque: Option<String>,
    pub variable: Option<String>,
    /// Understood well enough for one shard, not for several.
    pub odd: Option<String>,
    /// Tokens of the names of aggregate functions that are called as such.
    pub aggregates: Vec<usize>,
    /// A column no known table has.
    pub unresolved: Option<String>,
}

/// The walk.
pub(super) struct Walk<'a> {
    pub source: &'a Source<'a>,
    pub relations: Vec<Relation>,
    /// The table of each relation, if its columns are known.
    pub tables: Vec<Option<Arc<Table>>>,
    pub facts: Vec<Fact>,
    pub visited: Visited,
    pub notes: Notes,
    /// Tokens that name the logical database.
    pub database_tokens: Vec<usize>,
    /// Nothing can be done with this statement.
    pub refusal: Option<Refusal>,
    scopes: Vec<Scope>,
    ctes: Vec<Vec<String>>,
    /// Facts of the blocks around, for sub-queries whose answer matters only where these hold.
    inherited: Vec<FactId>,
}

impl<'a> Walk<'a> {
    pub fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            relations: Vec::new(),
            tables: Vec::new(),
            facts: Vec::new(),
            visited: Visited::new(),
            notes: Notes::default(),
            database_tokens: Vec::new(),
            refusal: None,
            scopes: Vec::new(),
            ctes: Vec::new(),
            inherited: Vec::new(),
        }
    }

    pub fn refuse(&mut self, construct: impl Into<String>) {
        self.refuse_with(Refusal::unsupported(construct));
    }

    pub fn refuse_with(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    pub fn odd(&mut self, construct: &str) {
        self.notes.odd.get_or_insert_with(|| construct.to_owned());
    }

    pub fn visit_ident(&mut self, ident: &Ident) {
        if let Some(at) = self.source.at(ident.span) {
            self.visited.insert(at);
        }
    }

    pub fn visit_name(&mut self, name: &ObjectName) {
        for ident in idents(name).unwrap_or_default() {
            self.visit_ident(ident);
        }
    }

    /// Finds what a name stands for, and notes its tokens.
    pub fn name(&mut self, name: &ObjectName) -> Named {
        self.visit_name(name);
        match self.source.named(name) {
            Ok((named, database)) => {
                if let Some(at) = database.and_then(|ident| self.source.at(ident.span)) {
                    self.database_tokens.push(at);
                }
                named
            }
            Err(refusal) => {
                self.refuse_with(refusal);
                Named::Unknown
            }
        }
    }

    /// Adds a relation for what a name stands for. `writes`: the statement changes its rows.
    pub fn relation(&mut self, alias: String, named: Named, writes: bool) -> RelationId {
        let default_shard = self.source.schema.default_shard;
        let (kind, table) = match named {
            Named::Catalog | Named::Unknown => (RelationKind::OnShard(default_shard), None),
            Named::Temporary(shard) => (RelationKind::OnShard(shard), None),
            Named::Table(table) => {
                (self.table_kind(&table, writes), Some(table).filter(|table| !table.columns.is_empty()))
            }
        };
        self.add_relation(alias, kind, table)
    }

    fn table_kind(&mut self, table: &Table, writes: bool) -> RelationKind {
        let schema = self.source.schema;
        if (table.is_view || writes) && schema.reach_is_guarded(&table.reaches, 0) {
            let what = if table.is_view { "a view over sharded tables" } else { "a write to a table with triggers" };
            self.refuse(format!("{what} ({})", table.name));
        }
        match &table.placement {
            Placement::Sharded(_) => RelationKind::Sharded,
            Placement::Reference => RelationKind::Reference,
            Placement::Single(shard) => RelationKind::OnShard(*shard),
            Placement::Ambiguous(shards) => {
                let shards = schema.shard_names(shards);
                self.refuse_with(Refusal::Ambiguous { table: table.name.to_string(), shards });
                RelationKind::OnShard(schema.default_shard)
            }
            Placement::Unusable(reason) => {
                self.refuse_with(Refusal::Unusable { table: table.name.to_string(), reason: reason.clone() });
                RelationKind::OnShard(schema.default_shard)
            }
        }
    }

    fn add_relation(&mut self, name: String, kind: RelationKind, table: Option<Arc<Table>>) -> RelationId {
        let id = self.relations.len();
        self.relations.push(Relation { name, kind, facts: Vec::new() });
        self.tables.push(table);
        if let Some(scope) = self.scopes.last_mut() {
            scope.relations.push(id);
        }
        id
    }

    pub fn columns(&self) -> Columns<'_> {
        Columns { protocol: self.source.schema.protocol, tables: &self.tables }
    }

    pub fn facts_of(&self, ids: &[FactId]) -> Vec<&Fact> {
        ids.iter().filter_map(|id| self.facts.get(*id)).collect()
    }

    /// Where the rows are that the statement can touch.
    pub fn condition(&self, relation: RelationId) -> Condition {
        let facts = self.relations.get(relation).map_or(&[][..], |relation| &relation.facts);
        self.columns().condition(relation, &self.facts_of(facts))
    }

    /// True if any relation is of a table that more than one shard holds.
    pub fn touches_split(&self) -> bool {
        self.relations.iter().any(|r| matches!(r.kind, RelationKind::Sharded | RelationKind::Reference))
    }

    pub fn touches_sharded(&self) -> bool {
        self.relations.iter().any(|relation| relation.kind == RelationKind::Sharded)
    }

    /// The one shard of the tables that are on one; refused if they are on several.
    pub fn single_shard(&mut self) -> Option<ShardIndex> {
        let mut shards: Vec<ShardIndex> = self
            .relations
            .iter()
            .filter_map(|relation| match relation.kind {
                RelationKind::OnShard(shard) => Some(shard),
                RelationKind::Sharded | RelationKind::Reference | RelationKind::Derived => None,
            })
            .collect();
        shards.sort_unstable();
        shards.dedup();
        if shards.len() > 1 {
            let names = self.source.schema.shard_names(&shards);
            self.refuse(format!("a statement over single tables on different shards ({names})"));
        }
        shards.first().copied()
    }

    /// The route that the relations give.
    pub fn route(&mut self) -> RouteRule {
        let also = self.single_shard();
        if self.touches_sharded() {
            let uses = (0..self.relations.len())
                .filter(|id| self.relations.get(*id).is_some_and(|r| r.kind == RelationKind::Sharded))
                .map(|id| self.condition(id))
                .collect();
            return RouteRule::Keys { uses, also };
        }
        match also {
            Some(shard) => RouteRule::Fixed(shard),
            None if self.notes.catalog
                || self.notes.locks
                || self.notes.sequence.is_some()
                || self.notes.named_lock.is_some()
                || self.notes.opaque.is_some() =>
            {
                RouteRule::Fixed(self.source.schema.default_shard)
            }
            None => RouteRule::Anywhere,
        }
    }

    /// What refuses the statement wherever its rows are.
    pub fn settle(&mut self) -> Option<Refusal> {
        let split = self.source.schema.is_split();
        if split && let Some(name) = self.notes.opaque.clone() {
            self.refuse(format!("a call of {name}(), which may read sharded tables"));
        }
        if self.touches_split()
            && let Some(name) = self.notes.sequence.clone()
        {
            self.refuse(format!("a sequence ({name}) in a statement over sharded tables"));
        }
        // What all sessions must meet at is on the default shard.
        let default = RelationKind::OnShard(self.source.schema.default_shard);
        let elsewhere = self.relations.iter().any(|r| match r.kind {
            RelationKind::Sharded => split,
            RelationKind::OnShard(_) => r.kind != default,
            RelationKind::Reference | RelationKind::Derived => false,
        });
        if elsewhere && let Some(name) = self.notes.named_lock.clone() {
            self.refuse(format!("{name}() in a statement over tables that are not on the default shard"));
        }
        if elsewhere && let Some(name) = self.notes.locked_copy.clone() {
            self.refuse(format!(
                "locking rows of the reference table {name} in a statement over tables that are not on the default shard"
            ));
        }
        if split && let Some(word) = self.unread_name() {
            self.refuse(format!("this use of the name {word}"));
        }
        self.refusal.clone()
    }

    /// A word that names a table of several shards, in a place that the syntax tree does not show.
    fn unread_name(&self) -> Option<String> {
        (0..self.source.len()).filter(|at| !self.visited.contains(at)).find_map(|at| {
            let name = self.source.name_at(at)?;
            (self.source.is_escaped_name(at) || self.source.schema.is_guarded(&name)).then_some(name)
        })
    }
}
