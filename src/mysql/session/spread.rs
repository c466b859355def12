//! A write on several shards, where the transaction allows it: each is sent its part, the answers become one.
//! Out: what each part is (the plan), whether it may run and how it ends (the transaction).

use protocol::mysql::capability::status;
use protocol::mysql::command::code;
use protocol::mysql::info::Info;
use protocol::mysql::packet::{HEADER, put_packet};
use protocol::mysql::reply::OkPacket;
use protocol::mysql::response::{Answer, Event, Scanner, Step};
use sharding::lexer;
use sharding::plan::{Bound, Part, Several, Spread, SpreadAnswer};
use tokio::time::Instant;
use transaction::{Access, Gone, Ran, Reply, ShardIndex};

use super::bindings::Bindings;
use super::last::Condition;
use super::place::Place;
use super::query::Done;
use super::route::{Routed, refused};
use super::single::{Facts, internal};
use super::trouble::{self, Outcome, Trouble};
use super::wait::{Woke, wait};
use super::{MeshError, Session};
use crate::interrupt::{Halt, Reason};
use crate::metrics::Tier;
use crate::mysql::backend::PACKET_MAX;
use crate::mysql::execution::parameters::put_execute;

/// The answers of the shards so far.
#[derive(Debug, Default)]
pub(super) struct Sum {
    affected_rows: u64,
    last_insert_id: u64,
    warnings: u16,
    /// What the servers say of how they found the rows.
    found: u16,
    conditions: Vec<Condition>,
    info: Option<Info>,
    /// Parts that a server may have executed.
    sent: usize,
    /// A part came without counts.
    uncounted: bool,
}

/// What a part's answer is to be read as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The command that it answers.
    pub answer: Answer,
    /// How it joins the others.
    pub joins: SpreadAnswer,
    /// Rows of an INSERT that it is about.
    pub rows: Option<usize>,
    /// Whether that leaves out rows which are there already.
    pub ignores: bool,
}

impl Session {
    /// Runs a write on several shards.
    pub(super) async fn spread(
        &mut self,
        routed: &Routed,
        sql: &[u8],
        bindings: Option<&Bindings<'_>>,
        facts: &Facts<'_>,
        place: Place,
    ) -> Outcome<Done> {
        let (Bound::Spread { parts }, Several::Spread(spread)) = (&routed.bound, &routed.plan.several) else {
            return Err(internal("a spread without its plan"));
        };
        let shards: Vec<_> = parts.iter().map(|part| part.shard).collect();
        self.begin_spread(&shards, facts).await?;
        let mut sum = Sum::default();
        let mut result = Ok(());
        let sent = Instant::now();
        for part in parts {
            result = self.run_part(routed, spread, part, sql, bindings, facts, &mut sum).await;
            if result.is_err() {
                break;
            }
        }
        self.course.served(Tier::Spread, shards.len(), sent);
        if let Some(reply) = self.end_spread(result, &sum).await? {
            self.tell(reply, place).await?;
        }
        self.put_sum(sum, place);
        Ok(Done::at(place))
    }

    /// Makes all shards ready before the first is written.
    pub(super) async fn begin_spread(&mut self, shards: &[ShardIndex], facts: &Facts<'_>) -> Outcome<()> {
        self.refuse_state_elsewhere(shards, facts.flags)?;
        self.until_resumed(shards).await?;
        let sends = self.transaction.touch(shards, Access::Write).map_err(|r| trouble::refusal(&r))?;
        for (number, shard) in shards.iter().enumerate() {
            let own: Vec<_> = sends.iter().filter(|send| send.shard == *shard).cloned().collect();
            let begun = match self.make_ready(*shard, &own, facts).await {
                Ok((index, true)) => self.begin_now(index).await,
                Ok((_, false)) => Ok(()),
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = begun {
                for missed in shards.iter().skip(number) {
                    if sends.iter().any(|send| send.shard == *missed) {
                        self.shard_gone(*missed, Gone::NeverBegan).await;
                    }
                }
                let flow = self.transaction.statement_ended(Ran::Failed { others_changed: false });
                self.drive(flow).await;
                return Err(trouble);
            }
        }
        Ok(())
    }

    /// Tells the transaction how the write went; what it has to say to the client, if anything.
    pub(super) async fn end_spread(&mut self, result: Outcome<()>, sum: &Sum) -> Outcome<Option<Reply>> {
        let ran = match &result {
            Ok(()) => Ran::Well,
            Err(_) => Ran::Failed { others_changed: sum.sent > 0 },
        };
        let flow = self.transaction.statement_ended(ran);
        let reply = self.drive(flow).await;
        result?;
        Ok(matches!(reply, Reply::Refuse(_) | Reply::Relay(_)).then_some(reply))
    }

    /// Puts the OK of the whole into the client's output.
    pub(super) fn put_sum(&mut self, sum: Sum, place: Place) {
        let info = sum.info.filter(|_| !sum.uncounted).map(|info| info.text()).unwrap_or_default();
        self.last.affected(sum.affected_rows);
        self.last.warned(sum.warnings.into(), sum.conditions);
        let ok = OkPacket {
            affected_rows: sum.affected_rows,
            last_insert_id: sum.last_insert_id,
            warnings: sum.warnings,
            status: self.status() | sum.found,
            info: &info,
            ..OkPacket::default()
        };
        self.client.put_ok(place, &ok);
    }

    async fn begin_now(&mut self, index: usize) -> Outcome<()> {
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        held.lease.put_query(b"BEGIN");
        if let Err(error) = held.lease.flush().await {
            return Err(self.lose(index, &error));
        }
        self.swallow_begin(index).await
    }

    #[allow(clippy::too_many_arguments)]
    async fn run_part(
        &mut self,
        routed: &Routed,
        spread: &Spread,
        part: &Part,
        sql: &[u8],
        bindings: Option<&Bindings<'_>>,
        facts: &Facts<'_>,
        sum: &mut Sum,
    ) -> Outcome<()> {
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let info = routed.schema.shards.get(usize::from(part.shard)).ok_or_else(|| internal("an unknown shard"))?;
        let rewritten = spread.rewrite(&routed.plan.edits, &tokens, part, info).map_err(|r| refused(&r))?;
        let mut payload = vec![code::QUERY];
        let mut answer = Answer::Query;
        if let Some(bindings) = bindings {
            let all = bindings.parameters();
            let kept = match spread.parameters(&tokens, part) {
                Some(kept) => kept.iter().filter_map(|n| all.get(*n).copied()).collect(),
                None => all,
            };
            let statement = self.statement_on(part.shard, &bindings.key_of(&rewritten.sql)).await?;
            payload.clear();
            if !put_execute(&mut payload, statement, &kept) {
                return Err(internal("a parameter does not fit its type"));
            }
            answer = Answer::Execute;
        } else {
            payload.extend_from_slice(&rewritten.sql);
        }
        let rows = part.rows.as_ref().map(Vec::len);
        let expected = Expected { answer, joins: spread.answer, rows, ignores: ignores(&tokens) };
        self.send_part(part.shard, &payload, expected, facts, sum).await
    }

    /// Sends a shard its part and adds its answer to the others.
    pub(super) async fn send_part(
        &mut self,
        shard: ShardIndex,
        payload: &[u8],
        expected: Expected,
        facts: &Facts<'_>,
        sum: &mut Sum,
    ) -> Outcome<()> {
        let index = self.backend(shard).await?;
        self.refuse_large(index, payload.len())?;
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        let capabilities = held.lease.capabilities;
        put_packet(&mut held.lease.output, 0, payload);
        let (mut last_ok, mut refused_by_server, mut with_rows) = (Vec::new(), None, false);
        sum.sent += 1;
        let read = self
            .part_packets(index, expected.answer, |event, bytes| match event {
                Event::Ok => last_ok = bytes.to_vec(),
                Event::Err => refused_by_server = Some(bytes.to_vec()),
                Event::Columns(_) => with_rows = true,
                _ => {}
            })
            .await;
        if let Err(trouble) = read {
            self.shard_gone(shard, Gone::Lost).await;
            return Err(trouble);
        }
        if let Some(payload) = refused_by_server {
            // A statement that a server refuses has changed nothing there.
            sum.sent -= 1;
            if let Err(trouble) = self.ask_status(index).await {
                self.shard_gone(shard, Gone::Lost).await;
                return Err(trouble);
            }
            self.check_branch(shard, true).await;
            return Err(Trouble::Server(payload));
        }
        if with_rows {
            return Err(internal("a write on several shards answered with rows"));
        }
        let ok = OkPacket::decode(&last_ok, capabilities).map_err(|_| internal("a write without an OK"))?;
        self.note_pins(index, facts, false, false);
        // Copies of a row are warned of alike.
        if ok.warnings > 0 && (expected.joins == SpreadAnswer::Sum || sum.sent <= 1) {
            sum.warnings = sum.warnings.saturating_add(ok.warnings);
            sum.conditions.extend(self.conditions_on(shard).await?.0.unwrap_or_default());
        }
        sum.join(&ok, expected)?;
        if sum.last_insert_id == 0 && ok.last_insert_id != 0 {
            sum.last_insert_id = ok.last_insert_id;
            self.note_insert_id(index, ok.last_insert_id, facts).await?;
        }
        Ok(())
    }

    /// Sends a part and reads its answer: it takes as long as statements may, and can be stopped. On failure the
    /// backend is gone.
    async fn part_packets(
        &mut self,
        index: usize,
        answer: Answer,
        mut on_packet: impl FnMut(Event, &[u8]) + std::marker::Send,
    ) -> Outcome<()> {
        self.limit_answer();
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        let mut scanner = Scanner::new(answer, held.lease.capabilities);
        if let Err(error) = held.lease.flush().await {
            return Err(self.lose(index, &error));
        }
        loop {
            let Self { client, held, entry, overdue, .. } = self;
            let Some(held) = held.get_mut(index) else { return Err(internal("a backend vanished")) };
            match scanner.next_packet(&mut held.lease.input, PACKET_MAX) {
                Ok(Step::Packet { length, event }) => {
                    on_packet(event, held.lease.input.get(HEADER..length).unwrap_or_default());
                    held.lease.consume(length);
                    continue;
                }
                Ok(Step::Done) => {
                    held.status = scanner.status();
                    return Ok(());
                }
                Ok(Step::NeedMore | Step::Pass(_)) => {}
                Err(error) => return Err(self.lose(index, &std::io::Error::other(error))),
            }
            let gone = match wait(client, &mut held.lease, &entry.interrupt, overdue).await {
                Woke::Backend(Ok(_)) => continue,
                Woke::Backend(Err(error)) => return Err(self.lose(index, &error)),
                Woke::Client(Ok(count)) if count > 0 => continue,
                Woke::Halt(Halt::Query) | Woke::Late => {
                    entry.interrupt.clear_query();
                    overdue.lift();
                    self.kill_query(index).await;
                    continue;
                }
                Woke::Client(Ok(_)) => Trouble::Client(std::io::ErrorKind::UnexpectedEof.into()),
                Woke::Client(Err(error)) => Trouble::Client(error),
                Woke::Halt(Halt::Session) => Trouble::Interrupted(Reason::Session),
            };
            self.kill_and_close(index);
            return Err(gone);
        }
    }
}

impl Sum {
    /// Adds what another statement did of the same bulk execution.
    pub(super) fn add(&mut self, other: Self) {
        self.affected_rows = self.affected_rows.saturating_add(other.affected_rows);
        if self.last_insert_id == 0 {
            self.last_insert_id = other.last_insert_id;
        }
        self.warnings = self.warnings.saturating_add(other.warnings);
        self.conditions.extend(other.conditions);
        self.found |= other.found;
        self.uncounted |= other.uncounted;
        match (&mut self.info, other.info) {
            (Some(sum), Some(info)) => self.uncounted |= !sum.add(&info),
            (None, info) if self.sent == 0 => self.info = info,
            (None, None) => {}
            _ => self.uncounted = true,
        }
        self.sent += other.sent;
    }

    fn join(&mut self, ok: &OkPacket<'_>, expected: Expected) -> Outcome<()> {
        let first = self.sent <= 1;
        self.found |= ok.status & (status::NO_GOOD_INDEX | status::NO_INDEX | status::QUERY_WAS_SLOW);
        if expected.joins == SpreadAnswer::Same {
            if !first && self.affected_rows != ok.affected_rows {
                return Err(internal(
                    "the copies of a reference table differ: the shards changed different numbers of rows",
                ));
            }
            self.affected_rows = ok.affected_rows;
            self.info = Info::read(ok.info);
            return Ok(());
        }
        self.affected_rows = self.affected_rows.saturating_add(ok.affected_rows);
        let info = match expected.rows {
            // Of a single row servers do not say it.
            Some(1) => {
                let there = ok.affected_rows > 1 || (ok.affected_rows == 0 && expected.ignores);
                Some(Info::of_insert(1, u64::from(there), ok.warnings.into()))
            }
            _ => Info::read(ok.info),
        };
        match (&mut self.info, info) {
            (None, Some(info)) if first => self.info = Some(info),
            (Some(sum), Some(mut info)) => {
                // The words are a server's, if there are any.
                if expected.rows == Some(1) {
                    self.uncounted |= !sum.add(&info);
                } else {
                    self.uncounted |= !info.add(sum);
                    *sum = info;
                }
            }
            (None, None) => {}
            _ => self.uncounted = true,
        }
        Ok(())
    }
}

/// Whether an INSERT leaves out rows that are there already.
pub(super) fn ignores(tokens: &lexer::Tokens) -> bool {
    (1..4).any(|at| tokens.is_word(at, "IGNORE"))
}
