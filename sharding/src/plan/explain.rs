//! The printed form of a plan with its values: what EXPLAIN ROUTE, `dbmesh plan` and the golden files show.

use std::fmt::Write as _;

use super::bind::Bound;
use super::edit::Filling;
use super::scatter::{Merge, ParameterMap, splice};
use super::spread::SpreadAnswer;
use super::{Plan, Refusal, Several, TextValues};
use crate::lexer::Tokens;
use crate::merge::{Function, Order};
use crate::schema::{Schema, ShardIndex};
use crate::value::Value;

impl Plan {
    /// The plan as it is with these values: a line that says what happens, and a line for what is sent where.
    #[must_use]
    pub fn explain(&self, tokens: &Tokens, schema: &Schema, parameters: &[Value]) -> String {
        let values = TextValues::new(tokens, parameters);
        let mut out = String::new();
        match self.bind(schema, &values) {
            Err(refusal) => line(&mut out, &refused(&refusal)),
            Ok(Bound::Local) => line(&mut out, "local"),
            Ok(Bound::Single { shard, anywhere }) => {
                line(&mut out, "single");
                let place = if anywhere { "any shard".to_owned() } else { schema.shard_name(shard).to_owned() };
                let sql = self.whole(tokens, schema, shard);
                line(&mut out, &format!("  {place}: {sql}"));
            }
            Ok(Bound::Merge { shards }) => {
                if let Several::Merge(merge) = &self.several {
                    line(&mut out, &merge.describe(tokens, &values));
                    let sent = shards.iter().map(|shard| {
                        let info = schema.shards.get(usize::from(*shard));
                        let sql = info.map(|info| merge.rewrite(&self.edits, tokens, &values, info));
                        let text = match sql {
                            Some(Ok(rewritten)) => text(&rewritten.sql) + &instead(&rewritten.parameters),
                            Some(Err(refusal)) => refused(&refusal),
                            None => "?".to_owned(),
                        };
                        (*shard, text)
                    });
                    by_shard(&mut out, schema, sent.collect());
                }
            }
            Ok(Bound::Spread { parts }) => {
                if let Several::Spread(spread) = &self.several {
                    line(
                        &mut out,
                        match spread.answer {
                            SpreadAnswer::Sum => "spread, affected rows add up",
                            SpreadAnswer::Same => "spread, the same on every shard",
                        },
                    );
                    let sent = parts.iter().map(|part| {
                        let info = schema.shards.get(usize::from(part.shard));
                        let sql = info.map(|info| spread.rewrite(&self.edits, tokens, part, info));
                        let text = match sql {
                            Some(Ok(rewritten)) => text(&rewritten.sql),
                            Some(Err(refusal)) => refused(&refusal),
                            None => "?".to_owned(),
                        };
                        (part.shard, text)
                    });
                    by_shard(&mut out, schema, sent.collect());
                }
            }
        }
        out
    }

    /// What one shard is sent when the statement goes there whole.
    ///
    /// # Errors
    /// Tokens of another statement than the one that was planned.
    pub fn rewrite_whole(&self, tokens: &Tokens, schema: &Schema, shard: ShardIndex) -> Result<Vec<u8>, Refusal> {
        let database = schema.shards.get(usize::from(shard)).map_or("", |info| info.database.as_str());
        let filling = Filling { rows_per_shard: None, database };
        splice(&[&self.edits], tokens, &filling, ParameterMap::default()).map(|rewritten| rewritten.sql)
    }

    fn whole(&self, tokens: &Tokens, schema: &Schema, shard: ShardIndex) -> String {
        match self.rewrite_whole(tokens, schema, shard) {
            Ok(sql) => text(&sql),
            Err(refusal) => refused(&refusal),
        }
    }
}

impl Merge {
    fn describe(&self, tokens: &Tokens, values: &TextValues<'_>) -> String {
        let mut out = "merge".to_owned();
        let spec = &self.spec;
        if let Some(grouping) = &spec.grouping {
            let keys: Vec<&str> = grouping.keys.iter().map(|cell| self.label(*cell)).collect();
            let how = if grouping.sorted { "" } else { " hashed" };
            match (grouping.aggregates.is_empty(), keys.is_empty()) {
                (true, _) => drop(write!(out, " distinct{how}")),
                (false, true) => out.push_str(" one row"),
                (false, false) => drop(write!(out, " grouped by {}{how}", keys.join(", "))),
            }
            let aggregates: Vec<String> = grouping
                .aggregates
                .iter()
                .map(|aggregate| format!("{} of column {}", function(aggregate.function), aggregate.column + 1))
                .collect();
            if !aggregates.is_empty() {
                let _ = write!(out, ", {}", aggregates.join(", "));
            }
        }
        for (word, order) in [(" sorted by", &spec.order), (", then sorted by", &spec.order_after)] {
            if !order.is_empty() {
                let terms: Vec<String> = order.iter().map(|term| self.term(term)).collect();
                let _ = write!(out, "{word} {}", terms.join(", "));
            }
        }
        if self.hidden > 0 {
            let _ = write!(out, ", {} hidden", self.hidden);
        }
        match self.window.window(values, tokens.dialect().is_mysql()) {
            Ok(window) => {
                if window.skip > 0 {
                    let _ = write!(out, ", skip {}", window.skip);
                }
                if let Some(take) = window.take {
                    let _ = write!(out, ", take {take}");
                }
            }
            Err(_) => out.push_str(", skip and take by parameters"),
        }
        out
    }

    fn label(&self, cell: usize) -> &str {
        self.labels.get(cell).map_or("?", String::as_str)
    }

    fn term(&self, order: &Order) -> String {
        let direction = if order.descending { " desc" } else { "" };
        format!("{}{direction}", self.label(order.cell))
    }
}

fn function(function: Function) -> &'static str {
    match function {
        Function::Count => "count",
        Function::Sum(_) => "sum",
        Function::Min => "min",
        Function::Max => "max",
        Function::BoolAnd => "bool_and",
        Function::BoolOr => "bool_or",
        Function::BitAnd => "bit_and",
        Function::BitOr => "bit_or",
        Function::BitXor => "bit_xor",
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn refused(refusal: &Refusal) -> String {
    format!("refused: {refusal}")
}

fn text(sql: &[u8]) -> String {
    String::from_utf8_lossy(sql).into_owned()
}

fn instead(parameters: &ParameterMap) -> String {
    let list: Vec<String> =
        parameters.instead.iter().map(|(n, rows)| format!("parameter {} = {rows}", n + 1)).collect();
    if list.is_empty() { String::new() } else { format!("  ({})", list.join(", ")) }
}

/// One line if all shards are sent the same, else one for each.
fn by_shard(out: &mut String, schema: &Schema, sent: Vec<(ShardIndex, String)>) {
    let same = sent.first().filter(|(_, first)| sent.iter().all(|(_, text)| text == first));
    match same {
        Some((_, text)) if sent.len() == schema.shards.len() => line(out, &format!("  all shards: {text}")),
        Some((_, text)) => {
            let shards: Vec<ShardIndex> = sent.iter().map(|(shard, _)| *shard).collect();
            line(out, &format!("  {}: {text}", schema.shard_names(&shards)));
        }
        None => {
            for (shard, text) in &sent {
                line(out, &format!("  {}: {text}", schema.shard_name(*shard)));
            }
        }
    }
}
