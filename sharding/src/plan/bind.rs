//! A plan and the values of one execution: where it goes now.
//! Out: text (see `scatter` and `spread`).

use super::refusal::Refusal;
use super::{Plan, Several};
use crate::route::{RouteRule, RowsError, ShardSet, Values};
use crate::schema::{Protocol, Schema, ShardIndex};
use crate::value::Value;

/// Where a statement goes with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// To no shard.
    Local,
    /// To one shard, as [`Plan::edits`] change it.
    Single {
        /// Which.
        shard: ShardIndex,
        /// Any other shard would do as well: take one that the transaction holds.
        anywhere: bool,
    },
    /// To these shards, ascending; see [`super::Merge`].
    Merge {
        /// Which.
        shards: Vec<ShardIndex>,
    },
    /// A write on several shards; see [`super::Spread`].
    Spread {
        /// One for each shard, in shard order.
        parts: Vec<Part>,
    },
}

/// One shard's part of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which shard.
    pub shard: ShardIndex,
    /// The rows of an INSERT that go there, ascending, from 0; `None`: the whole statement.
    pub rows: Option<Vec<usize>>,
}

impl Plan {
    /// Where the statement goes with these values. `schema` is the one the plan was made with.
    ///
    /// # Errors
    /// It is refused, always or because of these values.
    pub fn bind(&self, schema: &Schema, values: &dyn Values) -> Result<Bound, Refusal> {
        let count = schema.shards.len();
        let single = |shard| Ok(Bound::Single { shard, anywhere: false });
        match &self.route {
            RouteRule::Local => Ok(Bound::Local),
            RouteRule::Fixed(shard) => single(*shard),
            RouteRule::Anywhere => Ok(Bound::Single { shard: schema.default_shard, anywhere: true }),
            RouteRule::Everywhere(check) => {
                if let Some(rule) = check {
                    rule.rows(values, &schema.slots).map_err(rows_refusal)?;
                }
                match ShardSet::all(count).single() {
                    Some(shard) => single(shard),
                    None => self.on_several(schema, values, ShardSet::all(count)),
                }
            }
            RouteRule::Keys { uses, .. } if uses.is_empty() => match &self.several {
                Several::Refuse(refusal) => Err(refusal.clone()),
                Several::Merge(_) | Several::Spread(_) => single(schema.default_shard),
            },
            RouteRule::Keys { uses, also } => {
                let mut set = ShardSet::new();
                also.iter().for_each(|shard| set.insert(*shard));
                uses.iter().for_each(|part| set.union(&part.shards(values, &schema.slots, count)));
                if set.is_empty() {
                    // No row matters anywhere: one shard gives the right columns, and errors if there are any.
                    return single(schema.default_shard);
                }
                match set.single() {
                    Some(shard) => single(shard),
                    None => self.on_several(schema, values, set),
                }
            }
            RouteRule::Rows(rule) => {
                let rows = rule.rows(values, &schema.slots).map_err(rows_refusal)?;
                let mut set = ShardSet::new();
                rows.iter().for_each(|shard| set.insert(*shard));
                if let Some(shard) = set.single() {
                    return single(shard);
                }
                let Several::Spread(_) = &self.several else { return self.on_several(schema, values, set) };
                same_everywhere(schema, values)?;
                let parts = set.iter().map(|shard| {
                    let own = rows.iter().enumerate().filter(|(_, to)| **to == shard).map(|(row, _)| row);
                    Part { shard, rows: Some(own.collect()) }
                });
                Ok(Bound::Spread { parts: parts.collect() })
            }
        }
    }

    fn on_several(&self, schema: &Schema, values: &dyn Values, set: ShardSet) -> Result<Bound, Refusal> {
        same_everywhere(schema, values)?;
        match &self.several {
            Several::Merge(_) => Ok(Bound::Merge { shards: set.iter().collect() }),
            Several::Spread(_) => {
                Ok(Bound::Spread { parts: set.iter().map(|shard| Part { shard, rows: None }).collect() })
            }
            Several::Refuse(refusal) => Err(refusal.clone()),
        }
    }
}

/// PostgreSQL reads texts like `now` as moments, where a date or time is wanted: each shard would have its own.
fn same_everywhere(schema: &Schema, values: &dyn Values) -> Result<(), Refusal> {
    if schema.protocol != Protocol::Postgres {
        return Ok(());
    }
    let literals = (0..values.literal_count()).map(|n| values.literal(n));
    let parameters = (0..values.parameter_count()).map(|n| values.parameter(n));
    let moment = literals.chain(parameters).find_map(|value| match value {
        Value::Text(text) if is_moment(&text) => Some(text),
        _ => None,
    });
    match moment {
        Some(text) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Err(Refusal::unsupported(format!("the text '{text}', which may be a moment, over several shards")))
        }
        None => Ok(()),
    }
}

/// Longest text that is looked at.
const MOMENT_BYTES_MAX: usize = 64;

/// True for `now`, `Today 10:00`, `tomorrow allballs UTC`, and for little else.
fn is_moment(text: &[u8]) -> bool {
    if text.len() > MOMENT_BYTES_MAX || !text.is_ascii() {
        return false;
    }
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let (mut moves, mut others) = (false, false);
    for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        match word {
            "now" | "today" | "tomorrow" | "yesterday" => moves = true,
            "allballs" | "utc" | "gmt" | "zulu" | "z" | "t" | "am" | "pm" => {}
            _ => others = true,
        }
    }
    // A zone comes with a time of day.
    moves && (!others || text.contains(':'))
}

fn rows_refusal(error: RowsError) -> Refusal {
    Refusal::unsupported(match error {
        RowsError::KeyUncertain => "an INSERT whose shard key value the server might store as another value",
        RowsError::CounterLeftOut => {
            "an INSERT into a sharded table that leaves its AUTO_INCREMENT column to the server"
        }
        RowsError::Uneven => "an INSERT whose rows differ in shape",
    })
}
