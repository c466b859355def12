//! A SELECT that reads several shards: what is asked of each, and which columns of the answer the merge looks at.
//! Out: the merge itself (`crate::merge`), how rows are decoded.

use super::edit::{Filling, TokenEdit, translate};
use super::refusal::Refusal;
use crate::lexer::Tokens;
use crate::merge;
use crate::route::Values;
use crate::schema::{ColumnKind, ShardInfo};
use crate::splice::{Edits, Positions};
use crate::value::Value;

/// How the answers of several shards become one.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// What the merger does; its cells are `cells`.
    pub spec: merge::Spec,
    /// Where each cell of a row is decoded from.
    pub cells: Vec<CellSource>,
    /// What each cell is called when the plan is printed.
    pub labels: Vec<String>,
    /// Columns appended after the visible ones and cut off before the client sees them.
    pub hidden: usize,
    /// LIMIT and OFFSET as written.
    pub window: WindowRule,
    /// What is changed for each shard, on top of [`super::Plan::edits`].
    pub edits: Vec<TokenEdit>,
}

/// A column that the merge looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSource {
    /// Which.
    pub column: ColumnRef,
    /// What kind of values the schema says it has.
    pub kind: ColumnKind,
}

/// A column of a shard's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRef {
    /// From the first, from 0.
    Visible(usize),
    /// The n-th hidden one, from 0: with `h` hidden columns it is number `columns - h + n`.
    Hidden(usize),
}

impl ColumnRef {
    /// Its index in an answer with so many columns, hidden ones included.
    #[must_use]
    pub fn index(self, columns: usize, hidden: usize) -> Option<usize> {
        let visible = columns.checked_sub(hidden)?;
        match self {
            Self::Visible(n) => (n < visible).then_some(n),
            Self::Hidden(n) => (n < hidden).then_some(visible + n),
        }
    }
}

/// A row count of LIMIT or OFFSET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A literal.
    Literal(usize),
    /// A bound parameter.
    Parameter(usize),
}

/// LIMIT and OFFSET as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowRule {
    /// OFFSET.
    pub skip: Option<Count>,
    /// LIMIT.
    pub take: Option<Count>,
    /// The shards may cut too, at `skip + take`. Else each sends all its rows.
    pub pushed: bool,
}

/// How the parameters of a shard's statement follow from the client's: all as bound, but for these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterMap {
    /// Parameter (from 0) and the row count it has instead. Sent as a 64-bit integer.
    pub instead: Vec<(usize, u64)>,
}

/// What a shard is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The text.
    pub sql: Vec<u8>,
    /// Its parameters.
    pub parameters: ParameterMap,
    /// Where its bytes come from, for error positions.
    pub positions: Positions,
}

impl Count {
    /// `None` for NULL, which PostgreSQL takes as not written.
    fn read(self, values: &dyn Values, mysql: bool) -> Result<Option<u64>, Refusal> {
        let value = match self {
            Self::Literal(n) => values.literal(n),
            Self::Parameter(n) => values.parameter(n),
        };
        match value {
            Value::Int(n) => u64::try_from(n)
                .map(Some)
                .map_err(|_| Refusal::unsupported("a LIMIT or OFFSET below zero or above 2^64 over several shards")),
            Value::Null if !mysql => Ok(None),
            _ => Err(Refusal::unsupported("a LIMIT or OFFSET that is not an integer over several shards")),
        }
    }
}

impl WindowRule {
    /// The counts of this execution.
    ///
    /// # Errors
    /// A count that is not an integer from 0.
    pub fn window(&self, values: &dyn Values, mysql: bool) -> Result<merge::Window, Refusal> {
        let read = |count: Option<Count>| count.map_or(Ok(None), |count| count.read(values, mysql));
        Ok(merge::Window { skip: read(self.skip)?.unwrap_or(0), take: read(self.take)? })
    }
}

impl Merge {
    /// What this shard is sent for these values. `plan_edits` are [`super::Plan::edits`].
    ///
    /// # Errors
    /// A LIMIT that is not a number, or tokens of another statement than the one that was planned.
    pub fn rewrite(
        &self,
        plan_edits: &[TokenEdit],
        tokens: &Tokens,
        values: &dyn Values,
        shard: &ShardInfo,
    ) -> Result<Rewritten, Refusal> {
        let mysql = tokens.dialect().is_mysql();
        let window = self.window.window(values, mysql)?;
        let most = if mysql { u64::MAX } else { i64::MAX.unsigned_abs() };
        let rows = match (self.window.pushed, window.rows_per_shard()) {
            (true, Some(rows)) => rows.min(most),
            (true, None) | (false, _) => most,
        };
        let mut parameters = ParameterMap::default();
        if let Some(Count::Parameter(n)) = self.window.take {
            parameters.instead.push((n, rows));
        }
        if let Some(Count::Parameter(n)) = self.window.skip {
            parameters.instead.push((n, 0));
        }
        let filling = Filling { rows_per_shard: Some(rows), database: &shard.database };
        splice(&[plan_edits, &self.edits], tokens, &filling, parameters)
    }
}

pub(super) fn splice(
    lists: &[&[TokenEdit]],
    tokens: &Tokens,
    filling: &Filling<'_>,
    parameters: ParameterMap,
) -> Result<Rewritten, Refusal> {
    let mut edits = Edits::new();
    let fits = lists.iter().all(|list| translate(list, tokens, filling, &mut edits));
    let spliced = if fits { edits.apply(tokens.sql()).ok() } else { None };
    match spliced {
        Some(spliced) => Ok(Rewritten { sql: spliced.text, parameters, positions: spliced.positions }),
        None => Err(Refusal::Malformed("the statement does not fit its plan".to_owned())),
    }
}
