//! A SELECT on several shards: each is sent its own text, and their rows are merged as they come.
//! Out: what is merged how (the plan), how rows are read and written (`execution`).

use bytes::Bytes;
use protocol::mysql::capability::{self, status};
use protocol::mysql::column::{ColumnDefinition, with_schema};
use protocol::mysql::packet::{PAYLOAD_MAX, put_packet, put_packet_with};
use protocol::mysql::reply::{EofPacket, OkPacket};
use protocol::mysql::response::{Answer, Event, Scanner};
use protocol::mysql::row::Field;
use protocol::mysql::wire::put_lenenc;
use sharding::lexer::{self, Flags};
use sharding::merge::{Limits, Merger};
use sharding::plan::{Bound, Merge, Several, TextValues};
use sharding::value::Value;
use tokio::time::Instant;
use transaction::{Access, Command, Gone, Ran, Send, ShardIndex};

use super::bindings::Bindings;
use super::place::Place;
use super::query::Done;
use super::route::{Routed, refused};
use super::single::{Facts, internal};
use super::streams::Stream;
use super::trouble::{self, Outcome, Trouble};
use super::{MeshError, Session};
use crate::metrics::Tier;
use crate::mysql::execution::cells::Column;
use crate::mysql::execution::parameters::{Parameter, put_execute};
use crate::mysql::execution::rows::Rows;

/// Rows are written to the client in pieces of about this size.
const BURST: usize = 32 * 1024;

impl Session {
    /// Runs a SELECT on several shards and sends the merged rows.
    pub(super) async fn scatter(
        &mut self,
        routed: &Routed,
        sql: &[u8],
        bindings: Option<&Bindings<'_>>,
        access: Access,
        facts: &Facts<'_>,
        place: Place,
    ) -> Outcome<Done> {
        let (Bound::Merge { shards }, Several::Merge(merge)) = (&routed.bound, &routed.plan.several) else {
            return Err(internal("a merge without its plan"));
        };
        let limits = {
            let config = self.config();
            Limits { rows_max: config.limits.merge_rows_max, bytes_max: config.limits.merge_bytes_max }
        };
        self.refuse_state_elsewhere(shards, facts.flags)?;
        self.until_resumed(shards).await?;
        let sends = self.transaction.touch(shards, access).map_err(|r| trouble::refusal(&r))?;
        let mut streams = Vec::with_capacity(shards.len());
        let mut sequence = place.sequence;
        let sent = Instant::now();
        let result = match self.scatter_start(routed, merge, shards, sql, bindings, facts, &sends, &mut streams).await {
            Ok(window) => {
                let merger = Merger::new(&merge.spec, window, streams.len(), limits)
                    .map_err(|error| Trouble::Told(MeshError::Internal(error.to_string())));
                match merger {
                    Ok(merger) => {
                        self.scatter_rows(merge, merger, limits, &mut streams, &mut sequence, place.more).await
                    }
                    Err(trouble) => Err(trouble),
                }
            }
            Err(trouble) => {
                // A shard that was sent nothing has nothing to be rolled back.
                for send in sends.iter().filter(|send| matches!(send.command, Command::Begin { .. })) {
                    if !streams.iter().any(|stream| stream.shard == send.shard) {
                        self.shard_gone(send.shard, Gone::NeverBegan).await;
                    }
                }
                Err(trouble)
            }
        };
        self.course.served(Tier::Scatter, shards.len(), sent);
        self.scatter_end(result, &mut streams, facts, place, sequence).await
    }

    /// Brings every shard to the session's state and sends it its statement.
    #[allow(clippy::too_many_arguments)]
    async fn scatter_start(
        &mut self,
        routed: &Routed,
        merge: &Merge,
        shards: &[ShardIndex],
        sql: &[u8],
        bindings: Option<&Bindings<'_>>,
        facts: &Facts<'_>,
        sends: &[Send],
        streams: &mut Vec<Stream>,
    ) -> Outcome<sharding::merge::Window> {
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let parameters: Vec<Value> = bindings.map_or_else(Vec::new, |bindings| bindings.route_values());
        let values = TextValues::new(&tokens, &parameters);
        let window = merge.window.window(&values, true).map_err(|r| refused(&r))?;
        // Nothing of the statement is sent until every shard is ready: a shard that is down must not leave the others
        // in the middle of it.
        let mut ready = Vec::with_capacity(shards.len());
        for shard in shards {
            let info = routed.schema.shards.get(usize::from(*shard)).ok_or_else(|| internal("an unknown shard"))?;
            let rewritten = merge.rewrite(&routed.plan.edits, &tokens, &values, info).map_err(|r| refused(&r))?;
            let own: Vec<Send> = sends.iter().filter(|send| send.shard == *shard).cloned().collect();
            let mut execute = None;
            if let Some(bindings) = bindings {
                let key = bindings.key_of(&rewritten.sql);
                let statement = self.statement_on(*shard, &key).await?;
                let mut sent = bindings.parameters();
                for (n, rows) in &rewritten.parameters.instead {
                    if let Some(parameter) = sent.get_mut(*n) {
                        *parameter = Parameter::count(*rows);
                    }
                }
                let mut payload = Vec::new();
                if !put_execute(&mut payload, statement, &sent) {
                    return Err(internal("a parameter does not fit its type"));
                }
                execute = Some(payload);
            }
            let (index, swallow) = self.make_ready(*shard, &own, facts).await?;
            self.refuse_large(index, execute.as_ref().map_or(rewritten.sql.len() + 1, Vec::len))?;
            ready.push((*shard, rewritten.sql, execute, swallow));
        }
        // From here on every shard works at once.
        for (shard, sql, execute, swallow) in ready {
            let found = self.held.iter().position(|held| held.shard == shard);
            let index = found.ok_or_else(|| internal("a backend vanished"))?;
            let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
            if swallow {
                held.lease.put_query(b"BEGIN");
            }
            let answer = match &execute {
                Some(payload) => {
                    put_packet(&mut held.lease.output, 0, payload);
                    Answer::Execute
                }
                None => {
                    held.lease.put_query(&sql);
                    Answer::Query
                }
            };
            let scanner = Scanner::new(answer, held.lease.capabilities);
            if let Err(error) = held.lease.flush().await {
                return Err(self.lose(index, &error));
            }
            streams.push(Stream { shard, scanner, swallow, rows: None, warnings: 0, failed: false });
        }
        for number in 0..streams.len() {
            let Some(stream) = streams.get_mut(number) else { continue };
            if std::mem::take(&mut stream.swallow)
                && let Some(index) = self.held.iter().position(|held| held.shard == stream.shard)
            {
                self.swallow_begin(index).await?;
            }
        }
        Ok(window)
    }

    async fn scatter_rows(
        &mut self,
        merge: &Merge,
        mut merger: Merger<Bytes>,
        limits: Limits,
        streams: &mut [Stream],
        sequence: &mut u8,
        more: bool,
    ) -> Outcome<u64> {
        let binary = streams.iter().any(|stream| stream.scanner.answers() == Answer::Execute);
        for number in 0..streams.len() {
            self.scatter_head(merge, streams, number, binary, sequence, more).await?;
        }
        let unreadable = |error: &dyn std::fmt::Display| Trouble::Told(MeshError::Internal(error.to_string()));
        let merge_error = |error: sharding::merge::MergeError| {
            use sharding::merge::MergeError as E;
            let text = error.to_string();
            Trouble::Told(match error {
                E::TooManyRows { .. } | E::TooManyBytes { .. } => MeshError::Limit(text),
                E::Overflow { .. } => MeshError::OutOfRange(text),
                _ => MeshError::Internal(text),
            })
        };
        let mut fields: Vec<Field> = Vec::new();
        let mut payload = Vec::new();
        let mut count = 0;
        loop {
            while let Some(row) = merger.pop().map_err(merge_error)? {
                let Some(rows) = streams.first().and_then(|stream| stream.rows.as_ref()) else { break };
                count += 1;
                payload.clear();
                rows.put(&row, &mut fields, &mut payload).map_err(|error| unreadable(&error))?;
                *sequence = put_packet(&mut self.client.output, *sequence, &payload);
                if self.client.output.len() >= BURST {
                    self.client.flush().await.map_err(Trouble::Client)?;
                }
            }
            if merger.is_done() {
                break;
            }
            let Some(number) = merger.wants() else { break };
            let Some(stream) = streams.get_mut(number) else { return Err(internal("a stream that is not there")) };
            match self.stream_packet(stream, limits.bytes_max).await? {
                (Event::Row, bytes) => {
                    let Some(rows) = &stream.rows else { return Err(internal("rows before columns")) };
                    let mut cells = merger.spare();
                    rows.cells(&bytes, &merge.cells, &mut fields, &mut cells).map_err(|error| unreadable(&error))?;
                    let size = bytes.len();
                    merger.offer(number, cells, bytes, size).map_err(merge_error)?;
                }
                (Event::Ok | Event::Eof, _) => merger.finish(number).map_err(merge_error)?,
                _ => return Err(internal("an unexpected packet among rows")),
            }
        }
        Ok(count)
    }

    /// Reads a shard's column definitions; those of the first go to the client, but for the hidden ones.
    async fn scatter_head(
        &mut self,
        merge: &Merge,
        streams: &mut [Stream],
        number: usize,
        binary: bool,
        sequence: &mut u8,
        more: bool,
    ) -> Outcome<()> {
        let expected = streams.first().and_then(|stream| stream.rows.as_ref()).map(Rows::visible);
        let Some(stream) = streams.get_mut(number) else { return Ok(()) };
        let renaming = self.renaming(stream.shard);
        let (Event::Columns(count), _) = self.stream_packet(stream, PAYLOAD_MAX).await? else {
            return Err(internal("a shard answered without columns"));
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let visible = count.checked_sub(merge.hidden).ok_or_else(|| internal("fewer columns than are hidden"))?;
        if expected.is_some_and(|expected| expected != visible) {
            return Err(internal("the shards have different columns"));
        }
        if number == 0 {
            *sequence = put_packet_with(&mut self.client.output, *sequence, |out| put_lenenc(out, visible as u64));
        }
        let mut columns = Vec::with_capacity(count.min(4096));
        for position in 0..count {
            let (Event::Definition, bytes) = self.stream_packet(stream, PAYLOAD_MAX).await? else {
                return Err(internal("a column definition is missing"));
            };
            let layout = self.client.capabilities;
            let definition =
                ColumnDefinition::decode(&bytes, layout).map_err(|_| internal("a bad column definition"))?;
            columns.push(Column::of(&definition));
            if number == 0 && position < visible {
                let renamed = renaming.as_ref().and_then(|[from, to]| with_schema(&bytes, from, to));
                *sequence = put_packet(&mut self.client.output, *sequence, renamed.as_deref().unwrap_or(&bytes));
            }
        }
        if self.client.capabilities & capability::DEPRECATE_EOF == 0 {
            let (Event::Separator, _) = self.stream_packet(stream, PAYLOAD_MAX).await? else {
                return Err(internal("the end of column definitions is missing"));
            };
            if number == 0 {
                let status = self.status() | if more { status::MORE_RESULTS } else { 0 };
                *sequence = put_packet_with(&mut self.client.output, *sequence, |out| {
                    EofPacket { warnings: 0, status }.encode(out);
                });
            }
        }
        stream.rows = Some(Rows::new(columns, merge.hidden, binary));
        Ok(())
    }

    /// Reads what is left of every stream, notes how each shard stands, and ends the answer.
    async fn scatter_end(
        &mut self,
        result: Outcome<u64>,
        streams: &mut [Stream],
        facts: &Facts<'_>,
        place: Place,
        sequence: u8,
    ) -> Outcome<Done> {
        if let Err(Trouble::Client(_) | Trouble::Interrupted(_) | Trouble::Broken(_)) = &result {
            self.told_up_to(sequence);
            for stream in streams.iter() {
                if let Some(index) = self.held.iter().position(|held| held.shard == stream.shard) {
                    self.kill_and_close(index);
                }
            }
            return result.map(|_| Done { sequence, failed: true });
        }
        let failed = result.is_err();
        for stream in streams.iter_mut() {
            self.drain(stream, failed).await;
            self.note_stream(stream, facts).await;
        }
        let warnings = streams.iter().fold(0u16, |sum, stream| sum.saturating_add(stream.warnings));
        if warnings > 0 && !failed {
            let mut conditions = Vec::new();
            for stream in streams.iter().filter(|stream| stream.warnings > 0) {
                conditions.extend(self.conditions_on(stream.shard).await?.0.unwrap_or_default());
            }
            self.last.warned(warnings.into(), conditions);
        }
        let ran = if failed { Ran::Failed { others_changed: false } } else { Ran::Well };
        let flow = self.transaction.statement_ended(ran);
        self.drive(flow).await;
        let place = Place { sequence, ..place };
        match result {
            Ok(rows) => {
                self.last.merged((!facts.flags.has(Flags::FOUND_ROWS_DIFFER)).then_some(rows));
                let ok = OkPacket { status: self.status(), warnings, ..OkPacket::default() };
                self.client.put_end_of_rows(place, &ok);
                return Ok(Done::at(place));
            }
            Err(Trouble::Server(payload)) => {
                self.course.server_error = true;
                self.tell_server_error(place, &payload);
            }
            Err(Trouble::Told(error)) => self.tell_error(place, &error),
            Err(_) => {}
        }
        Ok(Done { sequence: sequence.wrapping_add(1), failed: true })
    }
}
