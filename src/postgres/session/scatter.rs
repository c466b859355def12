//! A SELECT on several shards: asked of each by the extended protocol, merged row by row, hidden columns cut off.
//! Out: how rows are ordered and grouped (the sharding room); writes (`spread`).
//! Invariant: of each shard no more is held than one read and what the merge holds under its limits.

use std::sync::Arc;

use protocol::postgres::{Audience, ErrorFields, RowDescription, Sent, Target, WireError, row, write};
use sharding::lexer::{self, Dialect, LiteralClass};
use sharding::merge::{Limits, MergeError, Merged, Merger, Replacement};
use sharding::plan::{Bound, Merge, Plan, Several};
use tokio::time::Instant;
use transaction::{Access, Isolation, ShardIndex, Status};

use super::Session;
use super::fault::{self, Fault};
use super::parts::{Answer, Part, Run};
use super::portal::Portion;
use super::pull::Patience;
use super::route::{self, Routed};
use super::stale::is_stale;
use crate::error_code::MeshError;
use crate::metrics::Tier;
use crate::postgres::execution::cells::{self, ColumnType};
use crate::postgres::execution::parameters;
use crate::postgres::kept::{Kept, Reading};
use crate::postgres::statements::name_of;

impl Session {
    /// Runs a statement on several shards; rows and tag go to the client.
    pub(super) async fn run_several(&mut self, run: &Run<'_>, routed: &Routed) -> Result<(), Fault> {
        match &routed.bound {
            Bound::Merge { shards } => {
                self.course.runs(Tier::Scatter, shards.len());
                self.scatter(run, routed, shards).await
            }
            Bound::Spread { parts } => {
                self.course.runs(Tier::Spread, parts.len());
                self.spread(run, routed, parts).await
            }
            Bound::Local | Bound::Single { .. } => {
                Err(MeshError::Internal("a statement for one shard was taken for one for several".to_owned()).into())
            }
        }
    }

    /// SERIALIZABLE does not compose: transactions that are serial on each shard need not be on all of them together.
    pub(super) fn admit_isolation(&self, shards: &[ShardIndex]) -> Result<(), Fault> {
        let others = self.transaction.branches().iter().any(|branch| !shards.contains(&branch.shard));
        if !others && shards.len() <= 1 {
            return Ok(());
        }
        let serializable = match self.transaction.isolation() {
            Some(isolation) => isolation == Isolation::Serializable,
            None => self.settings.get("default_transaction_isolation") == Some("serializable"),
        };
        if serializable {
            let text = "dbmesh does not support SERIALIZABLE over several shards";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        Ok(())
    }

    /// Makes shards part of what runs now.
    pub(super) async fn enter_all(&mut self, shards: &[ShardIndex], access: Access) -> Result<(), Fault> {
        self.admit_isolation(shards)?;
        self.until_resumed(shards).await?;
        let sends = self.transaction.touch(shards, access).map_err(|refusal| fault::of_refusal(&refusal))?;
        for &shard in shards {
            let send = sends.iter().find(|send| send.shard == shard);
            let begun = match (self.hold(shard).await, send) {
                (Ok(index), Some(send)) => self.begin(index, &send.command).await,
                (held, _) => held.map(drop),
            };
            let begun = match begun {
                Ok(()) => self.align(shard).await,
                failed => failed,
            };
            if begun.is_err() {
                let index = sends.iter().position(|send| send.shard >= shard).unwrap_or(sends.len());
                for unbegun in &sends[index..] {
                    let _ = self.transaction.branch_gone(unbegun.shard, transaction::Gone::NeverBegan);
                }
            }
            begun?;
        }
        Ok(())
    }

    async fn scatter(&mut self, run: &Run<'_>, routed: &Routed, shards: &[ShardIndex]) -> Result<(), Fault> {
        let count = self.gather(run, routed, shards, None).await?;
        write::command_complete(&mut self.client.output, format!("SELECT {count}").as_bytes());
        Ok(())
    }

    /// Asks the shards and merges. The number of rows that the client got.
    pub(super) async fn gather(
        &mut self,
        run: &Run<'_>,
        routed: &Routed,
        shards: &[ShardIndex],
        mut portion: Option<&mut Portion>,
    ) -> Result<u64, Fault> {
        let Several::Merge(merge) = &routed.plan.several else {
            return Err(MeshError::Internal("a merge without its plan".to_owned()).into());
        };
        let text = run.asked.lexed.span.of(run.asked.sql);
        let dialect = Dialect::Postgres(self.modes);
        let tokens = lexer::tokens(text, dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let utf8 = self.speaks_utf8();
        let (sql, lexed, parameters) = (run.asked.sql, run.asked.lexed, run.asked.parameters);
        let values = parameters::Bound { sql, lexed, dialect, parameters, utf8 };
        let refused = |refusal: sharding::plan::Refusal| Fault::Mesh(route::refused(&refusal));
        let window = merge.window.window(&values, false).map_err(refused)?;
        let mut parts = Vec::with_capacity(shards.len());
        for &shard in shards {
            let Some(info) = routed.schema.shards.get(usize::from(shard)) else {
                return Err(MeshError::Internal("a shard that the schema does not have".to_owned()).into());
            };
            let rewritten = merge.rewrite(&routed.plan.edits, &tokens, &values, info).map_err(refused)?;
            let (sql, positions) = (rewritten.sql, Some(rewritten.positions));
            parts.push(Part { sql, positions, parameters: rewritten.parameters, kept: None, hidden: merge.hidden });
        }
        let access = access_of(&routed.plan);
        self.enter_all(shards, access).await?;
        let limits =
            Limits { rows_max: self.config.limits.merge_rows_max, bytes_max: self.config.limits.merge_bytes_max };
        let mut reading = self.may_be_kept(run, access).then(|| self.reading());
        loop {
            let kept = self.send_parts(run, shards, &parts, reading).await?;
            let sent = Instant::now();
            let mut merger = Merger::new(&merge.spec, window, shards.len(), limits).map_err(|e| of_merge(&e))?;
            let mut answers: Vec<Answer> = shards.iter().map(|_| Answer::default()).collect();
            let merged = self.merge(run, merge, shards, &mut merger, &mut answers, portion.as_deref_mut()).await;
            // Whatever became of the merge, every shard is read to its end.
            self.read_out(shards, &mut answers).await?;
            self.note_time(sent);
            if self.note_kept(shards, &kept, &answers) {
                // DDL changed what a kept text returns. Nothing of it went to the client: all shards describe rows first.
                reading = None;
                continue;
            }
            let error = parts.iter().zip(&answers).find_map(|(part, a)| Some((part, a.error.as_ref()?)));
            return error.map_or(merged, |(part, body)| Err(Fault::Server(part.error(run, body))));
        }
    }

    /// Whether shards may keep the text of a SELECT prepared: outside transactions, where it can be asked anew; with literals
    /// that mean the same at any time, unlike `'today'`; and with parameters only where the client has prepared it too, since a
    /// server may plan for none of their values in particular then.
    fn may_be_kept(&self, run: &Run<'_>, access: Access) -> bool {
        let lexed = run.asked.lexed;
        access == Access::Read
            && self.transaction.status() == Status::Idle
            && self.transaction.branches().is_empty()
            && self.batch.unsynced.is_empty()
            && lexed
                .literals
                .iter()
                .all(|literal| !matches!(literal.class, LiteralClass::String | LiteralClass::National))
            && run.bind.is_none_or(|bind| bind.values.is_empty() || !bind.statement.is_empty())
    }

    fn reading(&mut self) -> Reading {
        Reading { scope: self.scope_number(), version: self.schema_version() }
    }

    /// Notes which texts are prepared now. Whether a server says that one does not return any more what it did.
    fn note_kept(&mut self, shards: &[ShardIndex], kept: &[Kept], answers: &[Answer]) -> bool {
        let mut stale = false;
        for ((&shard, kept), answer) in shards.iter().zip(kept).zip(answers) {
            let (Some(body), Kept::Anew(number) | Kept::There(number)) = (&answer.error, *kept) else { continue };
            let Some(held) = self.held.iter_mut().find(|held| held.shard == shard) else { continue };
            let changed = ErrorFields::decode(body).is_ok_and(|fields| is_stale(&fields));
            let there = matches!(kept, Kept::There(_)) || answer.prepared;
            if changed {
                write::close(&mut held.lease.output, Target::Statement, &name_of(number));
                held.lease.pipeline.sent(Sent::Close, Audience::Mesh(0));
            }
            if changed || !there {
                held.lease.memory.forget_text(number);
            }
            stale |= changed;
        }
        if stale {
            self.front.statements.schema_changed();
            if let Some(catalog) = self.catalog() {
                catalog.suspect();
            }
        }
        stale
    }

    /// Sends each shard its part. `reading`: they may keep the texts, as they are read like this; which do.
    pub(super) async fn send_parts(
        &mut self,
        run: &Run<'_>,
        shards: &[ShardIndex],
        parts: &[Part],
        reading: Option<Reading>,
    ) -> Result<Vec<Kept>, Fault> {
        self.patience = Patience::new(self.config.timeouts.statement);
        self.cancelled = false;
        let mut kept = Vec::with_capacity(parts.len());
        for (&shard, part) in shards.iter().zip(parts) {
            let sync = !self.batch.unsynced.contains(&shard);
            let index = self.held_index(shard)?;
            let beside = self.has_unnamed_portal(shard);
            let most = self.config.limits.backend_statements_max;
            let keep = reading.map(|reading| (reading, most, &*self.front.statements));
            kept.push(part.send(run, &mut self.held[index].lease, sync, beside, keep));
        }
        for &shard in shards {
            let index = self.held_index(shard)?;
            let backend = &mut *self.held[index].lease;
            let draining = std::future::poll_fn(|cx| backend.poll_drain(cx));
            let most = self.config.timeouts.statement.unwrap_or(super::held::ENDING_MAX);
            let cause = match tokio::time::timeout(most, draining).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the server takes no bytes".to_owned(),
            };
            return Err(self.lost_of_several(shard, cause));
        }
        Ok(kept)
    }

    /// A statement that was sent to several shards then has been answered by all.
    pub(super) fn note_time(&mut self, sent: Instant) {
        let took = sent.elapsed();
        self.held.iter_mut().for_each(|held| held.lease.memory.took(took));
    }

    pub(super) fn held_index(&self, shard: ShardIndex) -> Result<usize, Fault> {
        let found = self.held.iter().position(|held| held.shard == shard);
        found.ok_or_else(|| MeshError::TransactionLost("the connection to a shard was lost".to_owned()).into())
    }

    /// Reads and merges rows until the merge is complete or fails. The number of rows that the client got.
    async fn merge(
        &mut self,
        run: &Run<'_>,
        merge: &Merge,
        shards: &[ShardIndex],
        merger: &mut Merger<Arc<[u8]>>,
        answers: &mut [Answer],
        mut portion: Option<&mut Portion>,
    ) -> Result<u64, Fault> {
        let limits = self.config.limits.clone();
        let mut columns: Option<Vec<ColumnType>> = None;
        let mut checked = vec![false; shards.len()];
        let mut fields = Vec::new();
        let mut count = 0;
        // Every shard has to say what its columns are, also one without rows.
        for (&shard, answer) in shards.iter().zip(answers.iter_mut()) {
            self.pull(shard, answer).await?;
            if answer.error.is_some() {
                return Ok(0);
            }
        }
        for (stream, answer) in answers.iter().enumerate() {
            let Some(body) = &answer.description else { continue };
            let types = cells::types(body).map_err(wire_fault)?;
            checked[stream] = true;
            match &columns {
                None => {
                    if run.bind.is_none() {
                        describe_visible(&mut self.client.output, body, merge.hidden).map_err(wire_fault)?;
                    }
                    columns = Some(types);
                }
                Some(first) if *first != types => {
                    return Err(MeshError::Unsupported("the shards have different columns".to_owned()).into());
                }
                Some(_) => {}
            }
        }
        let Some(columns) = columns.filter(|_| checked.iter().all(|checked| *checked)) else {
            return Err(MeshError::Internal("a shard did not describe its rows".to_owned()).into());
        };
        let visible = columns.len().saturating_sub(merge.hidden);
        loop {
            while let Some(row) = merger.pop().map_err(|error| of_merge(&error))? {
                if let Some(portion) = portion.as_deref_mut().filter(|portion| count >= portion.most as u64) {
                    if !portion.keep {
                        portion.rest.cut = true;
                        return Ok(count);
                    }
                    portion.put(&row, visible, &columns, &limits)?;
                    continue;
                }
                put_row(&mut self.client.output, &row, visible, &columns).map_err(wire_fault)?;
                count += 1;
                if self.client.output.len() > super::held::OUTPUT_MAX {
                    self.drain_client().await?;
                }
            }
            if merger.is_done() {
                return Ok(count);
            }
            let Some(stream) = merger.wants() else { continue };
            if answers[stream].rows.is_empty() {
                self.pull(shards[stream], &mut answers[stream]).await?;
            }
            let Some(body) = answers[stream].rows.pop_front() else {
                if answers[stream].error.is_some() {
                    return Ok(count);
                }
                merger.finish(stream).map_err(|error| of_merge(&error))?;
                continue;
            };
            row::fields(&body, &mut fields).map_err(wire_fault)?;
            let mut row = merger.spare();
            for cell in &merge.cells {
                let index = cell.column.index(columns.len(), merge.hidden);
                let found = index.and_then(|index| Some((*columns.get(index)?, *fields.get(index)?)));
                let Some((column, field)) = found else {
                    return Err(MeshError::Internal("a shard sent too few columns".to_owned()).into());
                };
                row.push(cells::decode(column, row::field(&body, field)).map_err(wire_fault)?);
            }
            let bytes = body.len();
            merger.offer(stream, row, body, bytes).map_err(|error| of_merge(&error))?;
        }
    }

    async fn read_out(&mut self, shards: &[ShardIndex], answers: &mut [Answer]) -> Result<(), Fault> {
        for (&shard, answer) in shards.iter().zip(answers.iter_mut()) {
            let Some(index) = self.held.iter().position(|held| held.shard == shard) else { continue };
            while !self.held[index].lease.pipeline.is_settled() {
                answer.rows.clear();
                self.pull(shard, answer).await?;
            }
            answer.rows.clear();
        }
        Ok(())
    }
}

/// What a plan does to its shards.
pub fn access_of(plan: &Plan) -> Access {
    let effects = plan.effects;
    if effects.writes || effects.locks || effects.unknown || effects.changes_schema {
        Access::Write
    } else {
        Access::Read
    }
}

/// A row that cannot be merged.
#[allow(clippy::needless_pass_by_value)]
pub fn wire_fault(error: WireError) -> Fault {
    MeshError::Unsupported(format!("dbmesh cannot merge the rows of the shards: {error}")).into()
}

fn of_merge(error: &MergeError) -> Fault {
    let text = error.to_string();
    match error {
        MergeError::TooManyRows { .. } | MergeError::TooManyBytes { .. } => MeshError::Limit(text),
        MergeError::Overflow { .. } => MeshError::OutOfRange(text),
        MergeError::Misused { .. } => MeshError::Internal(text),
        _ => MeshError::Unsupported(text),
    }
    .into()
}

fn describe_visible(out: &mut bytes::BytesMut, body: &[u8], hidden: usize) -> Result<(), WireError> {
    let description = RowDescription::decode(body)?;
    let visible = description.len().saturating_sub(hidden);
    let columns: Vec<_> = description.iter().take(visible).collect();
    write::row_description(out, columns.into_iter());
    Ok(())
}

/// Writes a merged row without its hidden columns.
pub fn put_row(
    out: &mut bytes::BytesMut,
    merged: &Merged<Arc<[u8]>>,
    visible: usize,
    columns: &[ColumnType],
) -> Result<(), WireError> {
    if merged.replaced.is_empty() {
        return row::put_visible(out, &merged.payload, visible);
    }
    let mut replaced = Vec::with_capacity(merged.replaced.len());
    let mut fields = Vec::new();
    for (index, replacement) in &merged.replaced {
        let bytes = match replacement {
            Replacement::Value(cell) => {
                let column = columns.get(*index).ok_or(WireError::Invalid("column of a merged value"))?;
                cells::encode(cell, *column)?
            }
            Replacement::Taken(other) => {
                row::fields(other, &mut fields)?;
                fields.get(*index).and_then(|&field| row::field(other, field)).map(<[u8]>::to_vec)
            }
        };
        replaced.push((*index, bytes));
    }
    row::put_replaced(out, &merged.payload, visible, &replaced)
}
