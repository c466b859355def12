//! A statement's plan: which shards, what is sent to each, how their answers become one. Made from tokens and schema
//! alone, printed one way everywhere (`EXPLAIN ROUTE`, `dbmesh plan`, the golden files).
//! Out: I/O, values (they come with [`Plan::bind`]), and guesses: what is not understood is refused.

mod bind;
mod clauses;
mod draws;
mod edit;
mod effects;
mod explain;
mod fact;
mod functions;
mod insert;
mod kinds;
mod names;
mod passage;
mod refusal;
mod scatter;
mod select;
mod source;
mod spread;
mod values;
mod walk;
mod window;
mod write;

pub use bind::{Bound, Part};
pub use draws::{Drawn, Draws};
pub use edit::{Anchor, Fragment, TokenEdit};
pub use effects::Effects;
pub use refusal::Refusal;
pub use scatter::{CellSource, ColumnRef, Count, Merge, ParameterMap, Rewritten, WindowRule};
pub use spread::{RowList, Spread, SpreadAnswer};
pub use values::{TextValues, literal};

use crate::lexer::{Limits, ParseError, Tokens};
use sqlparser::ast::{Query, Statement};

pub use crate::route::{RouteRule, Values};
use crate::schema::{Schema, ShardIndex};
use passage::passage;
use source::Source;
use walk::Walk;

/// What a session adds to the schema when a statement is planned.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanContext<'a> {
    /// PostgreSQL's search_path, in order, `"$user"` resolved or left out. Empty means `public`.
    /// MySQL: empty where the logical database is the current schema; otherwise what is (`""` for none).
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
    /// What it takes from sequences (PostgreSQL).
    pub draws: Draws,
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
            draws: Draws::default(),
        }
    }
}

/// Plans one statement: `tokens` are those of exactly one.
///
/// Never fails: what cannot run is a plan that refuses.
#[must_use]
pub fn plan(tokens: &Tokens, schema: &Schema, context: &PlanContext<'_>) -> Plan {
    plan_with(tokens, schema, context, &Limits::default())
}

/// As [`plan`], with other limits for the parser.
#[must_use]
pub fn plan_with(tokens: &Tokens, schema: &Schema, context: &PlanContext<'_>, limits: &Limits) -> Plan {
    let source = Source::new(tokens, schema, context);
    Plan { draws: draws::draws(&source), ..planned(&source, schema, limits) }
}

fn planned(source: &Source<'_>, schema: &Schema, limits: &Limits) -> Plan {
    let tokens = source.tokens;
    let renamed = schema.shards.iter().any(|shard| shard.database != schema.database);
    if schema.shards.len() <= 1 && !renamed {
        return passage::only_shard(source);
    }
    if source.conditional {
        return passage(source, true);
    }
    let statements = match tokens.parse(limits) {
        Ok(statements) => statements,
        Err(ParseError::Syntax(_) | ParseError::NotUtf8(_)) => return passage(source, true),
        Err(error @ (ParseError::TooDeep { .. } | ParseError::TooNested { .. })) => {
            return Plan::refused(Refusal::TooComplex(error.to_string()));
        }
        Err(error @ ParseError::Lex(_)) => return Plan::refused(Refusal::Malformed(error.to_string())),
    };
    let [statement] = statements.as_slice() else {
        return match statements.is_empty() {
            true => passage(source, true),
            false => Plan::refused(Refusal::Malformed("more than one statement".to_owned())),
        };
    };
    let mut walk = Walk::new(source);
    let planned = match of_rows(&mut walk, statement) {
        Some(planned) => planned.unwrap_or_else(Plan::refused),
        None => return passage(source, false),
    };
    let edits = if renamed { database_edits(&walk) } else { Vec::new() };
    Plan { edits, ..planned }
}

/// Plans a statement about rows; `None` for all others.
fn of_rows(walk: &mut Walk<'_>, statement: &Statement) -> Option<Result<Plan, Refusal>> {
    match statement {
        Statement::Query(query) => Some(of_query(walk, query)),
        Statement::Insert(insert) => Some(insert::insert(walk, insert)),
        Statement::Update(update) => Some(write::update(walk, update)),
        Statement::Delete(delete) => Some(write::delete(walk, delete)),
        Statement::Explain { statement, .. } => {
            let planned = of_rows(walk, statement)?;
            Some(planned.map(|plan| {
                let several = Several::Refuse(Refusal::unsupported("EXPLAIN over several shards"));
                Plan { several, ..plan }
            }))
        }
        _ => None,
    }
}

fn of_query(walk: &mut Walk<'_>, query: &Query) -> Result<Plan, Refusal> {
    let mut shape = walk.query(query, &[]);
    let route = walk.route();
    if let Some(refusal) = walk.settle() {
        return Err(refusal);
    }
    let effects = Effects { writes: walk.notes.writes, locks: walk.notes.locks, ..Effects::default() };
    let several = match walk.touches_sharded() {
        true => select::merge(walk, query, shape.as_mut()),
        false => Err("this statement".to_owned()),
    };
    let several = match several {
        Ok(merge) => Several::Merge(Box::new(merge)),
        Err(reason) => Several::Refuse(Refusal::unsupported(format!("{reason} over several shards"))),
    };
    Ok(Plan { effects, route, several, edits: Vec::new(), draws: Draws::default() })
}

fn database_edits(walk: &Walk<'_>) -> Vec<TokenEdit> {
    let mut tokens = walk.database_tokens.clone();
    tokens.sort_unstable();
    tokens.dedup();
    named_instead(tokens)
}

/// The physical database in place of these tokens.
fn named_instead(tokens: Vec<usize>) -> Vec<TokenEdit> {
    tokens
        .into_iter()
        .map(|at| TokenEdit { anchor: Anchor::Instead(at, at + 1), fragments: vec![Fragment::Database] })
        .collect()
}
