//! A statement's plan: which shards, what is sent to each, how their answers become one. Made from tokens and schema
//! alone, printed one way everywhere (`EXPLAIN ROUTE`, `dbmesh plan`, the golden files).
//! Out: I/O, values (they come with [`Plan::bind`]), and guesses: what is not understood is refused.

mod bind;
mod edit;
mod effects;
mod refusal;
mod scatter;
mod spread;

pub use bind::{Bound, Part};
pub use edit::{Anchor, Fragment, TokenEdit};
pub use effects::Effects;
pub use refusal::Refusal;
pub use scatter::{CellSource, ColumnRef, Count, Merge, ParameterMap, Rewritten, WindowRule};
pub use spread::{Spread, SpreadAnswer};

use crate::lexer::Tokens;
pub use crate::route::{RouteRule, Values};
use crate::schema::{Schema, ShardIndex};

/// What a session adds to the schema when a statement is planned.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanContext<'a> {
    /// PostgreSQL's search_path, in order, `"$user"` resolved or left out. Empty means `public`. Unused on MySQL.
    pub search_path: &'a [String],
    /// The session's temporary tables; they hide tables of the same name. Plans made with any must not be cached.
    pub temporary: &'a [TemporaryTable],
}

/// A temporary table of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryTable {
    /// Its name.
    pub name: String,
    /// The shard whose pinned backend holds it.
    pub shard: ShardIndex,
}

/// How a statement runs. Holds for every text with the same fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What running it does.
    pub effects: Effects,
    /// Where it goes.
    pub route: RouteRule,
    /// What happens if that is more than one shard.
    pub several: Several,
    /// Changes for every shard, also a single one: names of physical databases.
    pub edits: Vec<TokenEdit>,
}

/// What happens if the route is more than one shard.
#[derive(Clone, Debug, PartialEq)]
pub enum Several {
    /// The answers are merged.
    Merge(Box<Merge>),
    /// It is a write on each of them.
    Spread(Box<Spread>),
    /// It is refused. A statement that can never run is [`RouteRule::Local`] with this.
    Refuse(Refusal),
}

impl Plan {
    /// A plan that refuses the statement whatever its values.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            effects: Effects::default(),
            route: RouteRule::Keys { uses: Vec::new(), also: None },
            several: Several::Refuse(refusal),
            edits: Vec::new(),
        }
    }
}

/// Plans one statement.
///
/// Never fails: what cannot run is a plan that refuses.
#[must_use]
pub fn plan(tokens: &Tokens, schema: &Schema, context: &PlanContext<'_>) -> Plan {
    let _ = (tokens, schema, context);
    Plan::refused(Refusal::unsupported("any statement yet"))
}
