//! A SELECT on several shards: asked of each by the extended protocol, merged row by row, hidden columns cut off.
//! Out: how rows are ordered and grouped (the sharding room); writes (`spread`).
//! Invariant: of each shard no more is held than one read and what the merge holds under its limits.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use protocol::postgres::frontend::{self, Bind};
use protocol::postgres::{
    Audience, FrontendMessage, Observer, RowDescription, Sent, Target, WireError, backend, oid, row, wire, write,
};
use sharding::lexer::{self, Dialect};
use sharding::merge::{Limits, MergeError, Merged, Merger, Replacement};
use sharding::plan::{Bound, Merge, ParameterMap, Plan, Several};
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::answer;
use super::batch::{Parked, Rest};
use super::fault::{self, Fault};
use super::route::{self, Asked, Routed, Way};
use crate::config;
use crate::error_code::MeshError;
use crate::postgres::backend::Backend;
use crate::postgres::execution::cells::{self, ColumnType};
use crate::postgres::execution::parameters;
use crate::postgres::statements::Statement;

/// A statement that is run on several shards.
pub struct Run<'a> {
    /// Its text and values.
    pub asked: Asked<'a>,
    /// The client's `Bind`; `None` for a simple query.
    pub bind: Option<&'a Bind<'a>>,
    /// Types of the parameters.
    pub types: &'a [u32],
}

/// What one shard has answered.
#[derive(Default)]
pub struct Answer {
    /// Rows that were not taken yet.
    pub rows: VecDeque<Vec<u8>>,
    /// Body of its `RowDescription`.
    pub description: Option<Vec<u8>>,
    /// Its command tag.
    pub tag: Vec<u8>,
    /// Body of its error.
    pub error: Option<Vec<u8>>,
}

impl Observer for Answer {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, tag: u8, body: &[u8]) {
        match tag {
            b'D' => self.rows.push_back(body.to_vec()),
            b'T' => self.description = Some(body.to_vec()),
            b'C' => self.tag = backend::command_tag(body).unwrap_or_default().to_vec(),
            b'E' if self.error.is_none() => self.error = Some(body.to_vec()),
            _ => {}
        }
    }

    fn on_answered(&mut self, _: Sent, _: Audience, _: bool) {}
}

/// What a shard is sent.
pub struct Part {
    /// The text.
    pub sql: Vec<u8>,
    /// Parameters that are other values on the shards.
    pub parameters: ParameterMap,
    /// Which of the client's parameters there are, in order; `None`: all.
    pub kept: Option<Vec<usize>>,
    /// Columns behind the visible ones.
    pub hidden: usize,
}

impl Part {
    /// Appends the messages for one shard and records what will be answered.
    pub fn send(&self, run: &Run<'_>, backend: &mut Backend, sync: bool) {
        let count = run.bind.map_or(0, |bind| bind.values.len());
        let kept: Vec<usize> = self.kept.clone().unwrap_or_else(|| (0..count).collect());
        let instead =
            |index: usize| self.parameters.instead.iter().find(|(at, _)| *at == index).map(|(_, value)| *value);
        let types: Vec<u32> = (kept.iter())
            .map(|&index| instead(index).map_or_else(|| run.types.get(index).copied().unwrap_or(0), |_| oid::INT8))
            .collect();
        let given: Vec<Option<&[u8]>> = run.bind.map_or_else(Vec::new, |bind| bind.values.iter().collect());
        let counts: Vec<Option<[u8; 8]>> = kept
            .iter()
            .map(|&index| instead(index).map(|value| i64::try_from(value).unwrap_or(i64::MAX).to_be_bytes()))
            .collect();
        let values: Vec<Option<&[u8]>> = (kept.iter().zip(&counts))
            .map(|(&index, count)| count.as_ref().map_or_else(|| given.get(index).copied().flatten(), |c| Some(&c[..])))
            .collect();
        let formats: Vec<i16> = (kept.iter().zip(&counts))
            .map(|(&index, count)| if count.is_some() { 1 } else { run.bind.map_or(0, |b| b.formats.format_of(index)) })
            .collect();
        let mut results: Vec<i16> = run.bind.map_or_else(Vec::new, |bind| bind.result_formats.iter().collect());
        if results.len() > 1 {
            results.extend(std::iter::repeat_n(1, self.hidden));
        }
        let out = &mut backend.output;
        write::parse(out, b"", &self.sql, types.into_iter());
        write::bind(out, b"", b"", &formats, values.into_iter(), &results);
        write::describe(out, Target::Portal, b"");
        write::execute(out, b"", 0);
        let mut sent = vec![Sent::Parse, Sent::Bind, Sent::DescribePortal, Sent::Execute];
        if sync {
            write::sync(out);
            sent.push(Sent::Sync);
        } else {
            write::flush(out);
        }
        for message in sent {
            backend.pipeline.sent(message, Audience::Mesh(0));
        }
        backend.memory.unnamed = None;
    }
}

/// A part of the rows, for an Execute with a row limit.
struct Portion {
    /// Rows that the client wants now.
    most: usize,
    /// Whether the rest is kept for another Execute.
    keep: bool,
    rest: Rest,
}

impl Portion {
    fn put(
        &mut self,
        row: &Merged<Arc<[u8]>>,
        visible: usize,
        columns: &[ColumnType],
        limits: &config::Limits,
    ) -> Result<(), Fault> {
        let mut message = bytes::BytesMut::new();
        put_row(&mut message, row, visible, columns).map_err(wire_fault)?;
        self.rest.bytes += message.len();
        if self.rest.rows.len() >= limits.merge_rows_max || self.rest.bytes > limits.merge_bytes_max {
            let text = "the rows left over by a row limit need more memory than limits.merge_rows_max and merge_bytes_max allow";
            return Err(MeshError::Limit(text.to_owned()).into());
        }
        self.rest.rows.push_back(message.to_vec());
        Ok(())
    }
}

impl Session {
    /// Runs a statement on several shards; rows and tag go to the client.
    pub(super) async fn run_several(&mut self, run: &Run<'_>, routed: &Routed) -> Result<(), Fault> {
        match &routed.bound {
            Bound::Merge { shards } => self.scatter(run, routed, shards).await,
            Bound::Spread { parts } => self.spread(run, routed, parts).await,
            Bound::Local | Bound::Single { .. } => {
                Err(MeshError::Internal("a statement for one shard was taken for one for several".to_owned()).into())
            }
        }
    }

    /// Makes shards part of what runs now.
    pub(super) async fn enter_all(&mut self, shards: &[ShardIndex], access: Access) -> Result<(), Fault> {
        let sends = self.transaction.touch(shards, access).map_err(|refusal| fault::of_refusal(&refusal))?;
        for &shard in shards {
            let send = sends.iter().find(|send| send.shard == shard);
            let held = self.hold(shard).await;
            if held.is_err() {
                for unbegun in sends.iter().filter(|send| send.shard >= shard) {
                    let _ = self.transaction.branch_gone(unbegun.shard, transaction::Gone::NeverBegan);
                }
            }
            let index = held?;
            if let Some(send) = send {
                self.begin(index, &send.command).await?;
            }
        }
        Ok(())
    }

    async fn scatter(&mut self, run: &Run<'_>, routed: &Routed, shards: &[ShardIndex]) -> Result<(), Fault> {
        let count = self.gather(run, routed, shards, None).await?;
        write::command_complete(&mut self.client.output, format!("SELECT {count}").as_bytes());
        Ok(())
    }

    /// Asks the shards and merges. The number of rows that the client got.
    async fn gather(
        &mut self,
        run: &Run<'_>,
        routed: &Routed,
        shards: &[ShardIndex],
        portion: Option<&mut Portion>,
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
            parts.push(Part { sql: rewritten.sql, parameters: rewritten.parameters, kept: None, hidden: merge.hidden });
        }
        self.enter_all(shards, access_of(&routed.plan)).await?;
        self.send_parts(run, shards, &parts).await?;
        let limits =
            Limits { rows_max: self.config.limits.merge_rows_max, bytes_max: self.config.limits.merge_bytes_max };
        let mut merger = Merger::new(&merge.spec, window, shards.len(), limits).map_err(|error| of_merge(&error))?;
        let mut answers: Vec<Answer> = shards.iter().map(|_| Answer::default()).collect();
        let merged = self.merge(run, merge, shards, &mut merger, &mut answers, portion).await;
        // Whatever became of the merge, every shard is read to its end.
        self.read_out(shards, &mut answers).await?;
        if let Some(body) = answers.iter_mut().find_map(|answer| answer.error.take()) {
            return Err(Fault::Server(body));
        }
        merged
    }

    /// Sends each shard its part.
    pub(super) async fn send_parts(
        &mut self,
        run: &Run<'_>,
        shards: &[ShardIndex],
        parts: &[Part],
    ) -> Result<(), Fault> {
        for (&shard, part) in shards.iter().zip(parts) {
            let sync = !self.batch.unsynced.contains(&shard);
            let index = self.held_index(shard)?;
            part.send(run, &mut self.held[index].lease, sync);
        }
        for &shard in shards {
            let index = self.held_index(shard)?;
            let backend = &mut *self.held[index].lease;
            let sent = std::future::poll_fn(|cx| backend.poll_drain(cx)).await;
            if let Err(error) = sent {
                return Err(self.lost_of_several(shard, error.to_string()));
            }
        }
        Ok(())
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
            self.pull(shards[stream], &mut answers[stream]).await?;
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
            merger.offer(stream, row, body.into(), bytes).map_err(|error| of_merge(&error))?;
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

    /// Describes a portal for several shards: its visible columns are those that one shard gives for the statement.
    pub(super) async fn describe_several(&mut self, parked: &Parked) -> Result<(), Fault> {
        self.learn_types(&parked.statement).await?;
        let Some(Some(columns)) = parked.statement.columns.get() else {
            self.say(answer::NO_DATA);
            return Ok(());
        };
        let bind = bind_of(&parked.frame)?;
        let description = RowDescription::decode(columns).map_err(wire_fault)?;
        let mut out = Vec::with_capacity(columns.len() + 8);
        let formatted: Vec<_> = (description.iter().enumerate())
            .map(|(index, column)| backend::Column { format: bind.result_formats.format_of(index), ..column })
            .collect();
        write::row_description(&mut out, formatted.into_iter());
        self.say(out);
        Ok(())
    }

    /// Executes a portal for several shards.
    pub(super) async fn execute_several(&mut self, parked: &Parked, rows_max: i32) -> Result<(), Fault> {
        self.flush().await?;
        if self.batch.failed {
            return Ok(());
        }
        let most = usize::try_from(rows_max).unwrap_or(0);
        let left = parked.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = left {
            return self.execute_rest(parked, rest, most);
        }
        let bind = bind_of(&parked.frame)?;
        let statement = &parked.statement;
        let types = self.known_types(statement);
        let parameters = parameters::decode(&bind, &types, self.speaks_utf8());
        let asked = Asked { sql: &statement.sql, lexed: &statement.lexed, parameters: &parameters };
        let run = Run { asked, bind: Some(&bind), types: &types };
        if most == 0 || !matches!(parked.routed.bound, Bound::Merge { .. }) {
            return self.run_several(&run, &parked.routed).await;
        }
        let Bound::Merge { shards } = &parked.routed.bound else { return Ok(()) };
        // Outside a transaction the portal ends with this batch, and what is left over with it.
        let keep = self.transaction.status() != Status::Idle;
        let mut portion = Portion { most, keep, rest: Rest::default() };
        let count = self.gather(&run, &parked.routed, shards, Some(&mut portion)).await?;
        self.end_portion(parked, portion.rest, count, most);
        Ok(())
    }

    /// Gives the client more of the rows that an earlier Execute has left over.
    fn execute_rest(&mut self, parked: &Parked, mut rest: Rest, most: usize) -> Result<(), Fault> {
        let mut count = 0;
        while (most == 0 || count < most)
            && let Some(row) = rest.rows.pop_front()
        {
            rest.bytes -= row.len();
            self.client.output.extend_from_slice(&row);
            count += 1;
        }
        if rest.cut && rest.rows.is_empty() && (most == 0 || count < most) {
            let text = "dbmesh does not support fetching more rows from several shards outside a transaction";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        self.end_portion(parked, rest, u64::try_from(count).unwrap_or(u64::MAX), most);
        Ok(())
    }

    fn end_portion(&mut self, parked: &Parked, rest: Rest, count: u64, most: usize) {
        if most > 0 && usize::try_from(count).is_ok_and(|count| count >= most) {
            write::bare(&mut self.client.output, b's');
        } else {
            write::command_complete(&mut self.client.output, format!("SELECT {count}").as_bytes());
        }
        *parked.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    /// Where a bound statement goes.
    pub(super) async fn bound_way(&mut self, statement: &Arc<Statement>, bind: &Bind<'_>) -> Result<Way, Fault> {
        if statement.lexed.placeholders > 0 && self.known_types(statement).iter().any(|&type_oid| type_oid == 0) {
            self.learn_types(statement).await?;
        }
        let types = self.known_types(statement);
        let parameters = parameters::decode(bind, &types, self.speaks_utf8());
        self.way(Asked { sql: &statement.sql, lexed: &statement.lexed, parameters: &parameters }).await
    }

    /// The types of a statement's parameters: as a server told them, else as the client did; 0 if neither.
    fn known_types(&self, statement: &Statement) -> Vec<u32> {
        if let Some(types) = statement.server_types.get() {
            return types.to_vec();
        }
        let mut types = statement.types.to_vec();
        types.resize(statement.lexed.placeholders.max(types.len()), 0);
        types
    }

    /// Asks a server what a statement takes and gives, unless it is known.
    pub(super) async fn learn_types(&mut self, statement: &Arc<Statement>) -> Result<(), Fault> {
        if statement.server_types.get().is_some() {
            return Ok(());
        }
        let shard = self.current_shard();
        let index = self.target(shard, Access::Read).await?;
        self.supply(index, b"s", statement, Audience::ClientErrors).await?;
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Statement, &statement.name());
        backend.pipeline.sent(Sent::DescribeStatement, Audience::Mesh(0));
        self.notes.mesh_descriptions.clear();
        self.flush_target().await?;
        if let Some(body) = self.notes.mesh_error.take() {
            return Err(Fault::Server(body));
        }
        if self.batch.failed {
            return Err(Fault::Told);
        }
        for (tag, body) in std::mem::take(&mut self.notes.mesh_descriptions) {
            if tag == b't' {
                let types = backend::parameter_description(&body).map_err(wire_fault)?;
                let _ = statement.server_types.set(types.iter().collect());
            } else {
                let _ = statement.columns.set((tag == b'T').then(|| body.into()));
            }
        }
        Ok(())
    }
}

fn bind_of(frame: &[u8]) -> Result<Bind<'_>, Fault> {
    let body = frame.get(wire::HEADER_BYTES..).unwrap_or_default();
    match frontend::decode(&wire::Message { tag: b'B', body, total: frame.len() }) {
        Ok(FrontendMessage::Bind(bind)) => Ok(bind),
        _ => Err(MeshError::Internal("a portal without its Bind".to_owned()).into()),
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

#[allow(clippy::needless_pass_by_value)]
fn wire_fault(error: WireError) -> Fault {
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
fn put_row(
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
