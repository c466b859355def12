//! Bulk execution of a prepared statement (MariaDB): all its rows to one shard as they came, or to several as runs of rows,
//! with the result that one server gives. Out: reading the rows (`protocol::mysql::bulk`).
//!
//! A server runs the rows of an INSERT as one statement, which fails as a whole; those of an UPDATE or DELETE one after the
//! other, and outside a transaction the rows before one that fails stay changed.

use std::sync::Arc;

use protocol::mysql::bulk::{Bulk, BulkRows, SEND_TYPES, put_bulk};
use protocol::mysql::capability;
use protocol::mysql::response::Answer;
use protocol::mysql::value::BinaryValue;
use sharding::lexer::{self, StatementKind};
use sharding::plan::{Bound, Several, SpreadAnswer};
use sharding::value::Value;
use tokio::time::Instant;
use transaction::ShardIndex;

use super::query::{ASKS_BACK, access, access_of};
use super::relay::Passing;
use super::route::{Routed, Seen, refused};
use super::single::{Facts, Outgoing, internal};
use super::spread::{Expected, Sum, ignores};
use super::statements::{Prepared, unknown};
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};
use crate::metrics::Tier;
use crate::mysql::execution::parameters::route_value;
use crate::mysql::memory::StatementKey;

/// Rows that run as one statement.
struct Run<'a> {
    /// What each shard gets of them, in the order of their first rows.
    parts: Vec<(ShardIndex, Vec<&'a [u8]>)>,
    joins: SpreadAnswer,
}

/// Where the rows of a bulk execution go.
enum Routes<'a> {
    /// All to one shard, with the text that it has there.
    One(ShardIndex, Box<Routed>),
    Several(Vec<Run<'a>>, Box<Routed>),
}

impl Session {
    pub(super) async fn statement_bulk_execute(&mut self, asked: u32, body: &[u8]) -> Outcome<()> {
        if self.client.capabilities & capability::BULK_OPERATIONS == 0 {
            return Err(MeshError::NotPrepared.into());
        }
        let id = self.meant(asked);
        let mut prepared = self.statements.open.remove(&id).ok_or_else(|| unknown(asked, "mysqld_stmt_execute"))?;
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.begin();
        let result = match self.read_as_then(&mut prepared.fixed, &prepared.key.fixed) {
            Ok(()) => Box::pin(self.bulk_execute(&mut prepared, body)).await,
            Err(error) => Err(error.into()),
        };
        self.read_as_now();
        self.count(&prepared.key.sql, prepared.scanned.kind, &result);
        prepared.forget_long_data();
        self.statements.open.insert(id, prepared);
        result
    }

    async fn bulk_execute(&mut self, prepared: &mut Prepared, body: &[u8]) -> Outcome<()> {
        let bulk = Bulk::decode(body, prepared.parameters).map_err(wrong_arguments)?;
        let scanned = prepared.scanned;
        let writes = [StatementKind::Insert, StatementKind::Replace, StatementKind::Update, StatementKind::Delete];
        if bulk.flags & !SEND_TYPES != 0 || prepared.parameters == 0 || !writes.contains(&scanned.kind) {
            return Err(MeshError::NotPrepared.into());
        }
        if let Some(types) = bulk.types {
            prepared.types.clear();
            prepared.types.extend_from_slice(types);
        }
        if prepared.types.len() != prepared.parameters * 2 {
            return Err(wrong_arguments("types of the parameters were never sent"));
        }
        if scanned.flags.any(ASKS_BACK) {
            let text = "bulk execution of a statement that asks what the one before it left";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        let sql = Arc::clone(&prepared.key.sql);
        self.begin_diagnostics(&sql, &scanned).await?;
        self.transaction.admits().map_err(|r| super::trouble::refusal(&r))?;
        self.close_cursor(prepared).await?;
        self.settle_database(&sql)?;
        let facts = Facts::of(&scanned, &sql, bulk.rows);
        let prepared = &*prepared;
        if self.is_relay() {
            check(&bulk, &prepared.types).map_err(wrong_arguments)?;
            let shard = self.any_shard();
            return self.bulk_on_one(prepared, &bulk, shard, access(&scanned), &sql, &facts).await;
        }
        match self.bulk_routes(prepared, &bulk, &facts).await? {
            Routes::One(shard, routed) => {
                let access = access_of(access(&scanned), &routed.plan.effects, scanned.kind);
                let text = self.text_for(&routed, &sql, shard)?.map_or_else(|| Arc::clone(&sql), Arc::from);
                self.bulk_on_one(prepared, &bulk, shard, access, &text, &facts).await
            }
            Routes::Several(runs, routed) => self.bulk_on_several(prepared, &runs, &routed, &sql, &facts).await,
        }
    }

    /// Sends all rows to one shard and passes its answer.
    async fn bulk_on_one(
        &mut self,
        prepared: &Prepared,
        bulk: &Bulk<'_>,
        shard: ShardIndex,
        access: transaction::Access,
        sql: &Arc<[u8]>,
        facts: &Facts<'_>,
    ) -> Outcome<()> {
        let statement = self.bulk_statement(prepared, shard, sql).await?;
        let mut packet = Vec::with_capacity(bulk.rows.len() + prepared.types.len() + 16);
        protocol::mysql::packet::put_packet_with(&mut packet, 0, |out| {
            put_bulk(out, statement, &prepared.types, [bulk.rows]);
        });
        let passing = Passing::of(Answer::Execute, self.first());
        self.run_single(shard, Some(access), Outgoing::Built(packet), passing, facts).await.map(|_| ())
    }

    async fn bulk_statement(&mut self, prepared: &Prepared, shard: ShardIndex, sql: &Arc<[u8]>) -> Outcome<u32> {
        let key = StatementKey { sql: Arc::clone(sql), fixed: Arc::clone(&prepared.key.fixed) };
        let statement = self.statement_on(shard, &key).await?;
        let held = self.held.iter().find(|held| held.shard == shard);
        if held.is_none_or(|held| held.lease.capabilities & capability::BULK_OPERATIONS == 0) {
            return Err(MeshError::Unsupported("bulk execution on a server that has none".to_owned()).into());
        }
        Ok(statement)
    }

    /// Finds the shard of each row.
    async fn bulk_routes<'a>(
        &mut self,
        prepared: &'a Prepared,
        bulk: &Bulk<'a>,
        facts: &Facts<'_>,
    ) -> Outcome<Routes<'a>> {
        let utf8 = self.client_speaks_utf8();
        let kinds = || prepared.types.chunks_exact(2).map(|kind| kind[0]);
        let sql = &prepared.key.sql;
        let seen = Seen { sql, scanned: &prepared.scanned, literals: &prepared.literals, whole: sql };
        let inserts = matches!(facts.kind, StatementKind::Insert | StatementKind::Replace);
        let mut rows = BulkRows::new(bulk.rows, &prepared.types);
        let mut values: Vec<Option<BinaryValue<'_>>> = Vec::new();
        let mut runs: Vec<Run<'a>> = Vec::new();
        let mut last = None;
        while let Some(row) = rows.next_row(&mut values).map_err(wrong_arguments)? {
            let seen_values: Vec<Value> = values
                .iter()
                .zip(kinds())
                .map(|(value, kind)| value.as_ref().map_or(Value::Unknown, |value| route_value(value, kind, utf8)))
                .collect();
            let routed = self.route(&seen, &seen_values).await?;
            let (shards, joins) = self.shards_of_row(&routed, facts)?;
            add_row(&mut runs, row, shards, joins, inserts);
            last = Some(routed);
        }
        let Some(routed) = last else { return Err(wrong_arguments("no rows")) };
        if let [Run { parts, .. }] = &runs[..]
            && let [(shard, _)] = &parts[..]
        {
            return Ok(Routes::One(*shard, Box::new(routed)));
        }
        Ok(Routes::Several(runs, Box::new(routed)))
    }

    /// The shards that one row goes to, and how their answers become one.
    fn shards_of_row(&self, routed: &Routed, facts: &Facts<'_>) -> Outcome<(Vec<ShardIndex>, SpreadAnswer)> {
        match (&routed.bound, &routed.plan.several) {
            (Bound::Single { .. } | Bound::Local, _) => {
                Ok((vec![self.single_shard(routed, facts)?], SpreadAnswer::Sum))
            }
            (Bound::Spread { parts }, Several::Spread(spread)) => {
                if parts.iter().any(|part| part.rows.is_some()) {
                    let text = "bulk execution of an INSERT of several rows that go to several shards";
                    return Err(MeshError::Unsupported(text.to_owned()).into());
                }
                Ok((parts.iter().map(|part| part.shard).collect(), spread.answer))
            }
            _ => Err(internal("a write that reads from several shards")),
        }
    }

    async fn bulk_on_several(
        &mut self,
        prepared: &Prepared,
        runs: &[Run<'_>],
        routed: &Routed,
        sql: &Arc<[u8]>,
        facts: &Facts<'_>,
    ) -> Outcome<()> {
        if let Several::Refuse(refusal) = &routed.plan.several
            && runs.iter().any(|run| run.parts.len() > 1)
        {
            return Err(refused(refusal).into());
        }
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let inserts = matches!(facts.kind, StatementKind::Insert | StatementKind::Replace);
        let ignores = ignores(&tokens);
        let mut all = Sum::default();
        for run in runs {
            let mut shards: Vec<_> = run.parts.iter().map(|(shard, _)| *shard).collect();
            shards.sort_unstable();
            self.begin_spread(&shards, facts).await?;
            let sent = Instant::now();
            let mut sum = Sum::default();
            let mut result = Ok(());
            for (shard, rows) in &run.parts {
                let count = inserts.then_some(rows.len());
                let expected = Expected { answer: Answer::Execute, joins: run.joins, rows: count, ignores };
                result = self.bulk_part(prepared, *shard, rows, routed, sql, expected, facts, &mut sum).await;
                if result.is_err() {
                    break;
                }
            }
            self.course.served(Tier::Spread, shards.len(), sent);
            if let Some(reply) = self.end_spread(result, &sum).await? {
                let place = self.first();
                return self.tell(reply, place).await;
            }
            all.add(sum);
        }
        let place = self.first();
        self.put_sum(all, place);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    async fn bulk_part(
        &mut self,
        prepared: &Prepared,
        shard: ShardIndex,
        rows: &[&[u8]],
        routed: &Routed,
        sql: &Arc<[u8]>,
        expected: Expected,
        facts: &Facts<'_>,
        sum: &mut Sum,
    ) -> Outcome<()> {
        let text = self.text_for(routed, sql, shard)?.map_or_else(|| Arc::clone(sql), Arc::from);
        let statement = self.bulk_statement(prepared, shard, &text).await?;
        let mut payload = Vec::new();
        put_bulk(&mut payload, statement, &prepared.types, rows.iter().copied());
        self.send_part(shard, &payload, expected, facts, sum).await
    }
}

/// Puts a row where it belongs: those of an INSERT make one run, of other writes a run goes on while its shard is the same.
fn add_row<'a>(runs: &mut Vec<Run<'a>>, row: &'a [u8], shards: Vec<ShardIndex>, joins: SpreadAnswer, inserts: bool) {
    let goes_on = |run: &Run<'_>| match (&run.parts[..], &shards[..]) {
        _ if inserts => run.joins == joins,
        ([(before, _)], [shard]) => before == shard,
        _ => false,
    };
    if !runs.last().is_some_and(goes_on) {
        runs.push(Run { parts: Vec::new(), joins });
    }
    let Some(run) = runs.last_mut() else { return };
    for shard in shards {
        match run.parts.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, rows)) => rows.push(row),
            None => run.parts.push((shard, vec![row])),
        }
    }
}

fn check(bulk: &Bulk<'_>, types: &[u8]) -> Result<(), protocol::mysql::WireError> {
    let (mut rows, mut values) = (BulkRows::new(bulk.rows, types), Vec::new());
    while rows.next_row(&mut values)?.is_some() {}
    if bulk.rows.is_empty() { Err(protocol::mysql::WireError::Truncated) } else { Ok(()) }
}

/// What servers say to a bulk execution that does not fit its statement; the reason is for the log.
fn wrong_arguments(reason: impl std::fmt::Display) -> Trouble {
    tracing::debug!(%reason, "a bulk execution does not fit its statement");
    Trouble::Told(MeshError::WrongBulkArguments)
}
