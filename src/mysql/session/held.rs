//! The backends that a session holds: taking one, bringing it to the session's state, giving it back when proven clean.
//! Out: what runs on them.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use protocol::mysql::command::code;
use protocol::mysql::packet::put_packet;
use protocol::mysql::reply::{ErrPacket, OkPacket};
use protocol::mysql::response::{Answer, Event};
use tokio::time::Instant;
use transaction::ShardIndex;

use super::Session;
use super::state::Learnt;
use super::trouble::{self, Outcome, Trouble};
use crate::error_code::MeshError;
use crate::interrupt::{Halt, Reason};
use crate::mysql::connect::{BackendKey, MySqlConnector};
use crate::mysql::memory::Settings;
use crate::pool::{AcquireError, Asker, Backend as _, CloseReason, Lease, ShardId};
use crate::sessions::Activity;

/// Longest wait for the answer to a small statement of our own (SET, PING, ROLLBACK).
pub(super) const OWN_STATEMENT: Duration = Duration::from_secs(30);
/// Longest wait for a COMMIT where the configuration sets no limit to statements: after it the outcome is unknown.
const COMMIT_MAX: Duration = Duration::from_secs(600);

/// Ways to pools that a session remembers.
const DOORS_MAX: usize = 16;

/// A backend that this session holds.
pub(super) struct Held {
    /// Its shard.
    pub shard: ShardIndex,
    /// The backend.
    pub lease: Lease<MySqlConnector>,
    /// Why it is kept beyond a transaction.
    pub pins: Vec<&'static str>,
    /// Status flags of its last answer; `None` while they are unknown.
    pub status: Option<u16>,
    /// The last ERR of a statement of ours on it.
    pub last_error: Option<Vec<u8>>,
    /// State that this session does not own may be left on it: never to be given back.
    pub unclean: bool,
    /// LAST_INSERT_ID() on it, as far as this session knows.
    pub insert_id: Option<u64>,
}

impl Held {
    pub(super) fn in_transaction(&self) -> bool {
        self.status.is_some_and(|flags| flags & protocol::mysql::capability::status::IN_TRANSACTION != 0)
    }
}

impl Session {
    /// Name of a shard, for messages.
    pub(super) fn shard_name(&self, shard: ShardIndex) -> String {
        let database = self.config().databases.get(self.database());
        database.and_then(|d| d.shards.get(usize::from(shard))).map_or_else(|| shard.to_string(), |s| s.name.clone())
    }

    /// The index in `held` of this shard's backend, taken from the pool if it is not held yet, in this session's state.
    pub(super) async fn backend(&mut self, shard: ShardIndex) -> Outcome<usize> {
        if let Some(index) = self.held.iter().position(|held| held.shard == shard) {
            if self.held.get(index).is_some_and(|held| !held.lease.is_out_of_reach()) {
                // What is sent next could be hit in the place of what was meant.
                return Err(self.lose(index, &io::Error::other("a KILL was not answered")));
            }
            if !self.is_like_session(index) {
                self.bring_to_state(index).await?;
            }
            return Ok(index);
        }
        let index = self.acquire(shard).await?;
        if self.is_like_session(index) {
            return Ok(index);
        }
        let used = self.held.get(index).is_some_and(|held| !held.lease.is_fresh());
        match self.bring_to_state(index).await {
            // What other sessions left on the backend stood in the way. It is no concern of this one.
            Err(Trouble::Server(_) | Trouble::Told(MeshError::BackendLost { .. })) if used => {
                // Boxed: it is seldom, and large.
                Box::pin(self.backend_anew(shard)).await
            }
            Err(trouble) => Err(trouble),
            Ok(()) => Ok(index),
        }
    }

    /// As [`Self::backend`], on a connection that nobody has used yet.
    async fn backend_anew(&mut self, shard: ShardIndex) -> Outcome<usize> {
        self.held.retain(|held| held.shard != shard);
        let mut index = self.acquire(shard).await?;
        if self.held.get(index).is_some_and(|held| !held.lease.is_fresh()) {
            let lease = self.held.remove(index).lease;
            let renewed = lease.renew(self.mesh.mysql.pools.wait_deadline()).await;
            let lease = renewed.map_err(|error| trouble::acquire(error, &self.shard_name(shard)))?;
            index = self.keep(shard, lease);
        }
        self.bring_to_state(index).await?;
        Ok(index)
    }

    /// Whether a backend has the session's state. Settings that are equal become one and the same, so that this is soon
    /// seen at a glance: of two the one that lies lower, so that all sessions and backends end up with the same.
    fn is_like_session(&mut self, index: usize) -> bool {
        let Some(shard) = self.held.get(index).map(|held| held.shard) else { return true };
        let own = self.state.schema.is_some() && !self.state.system_schema;
        let schema = if own { self.schema_on(shard) } else { self.state.schema.as_ref() };
        let Some(memory) = self.held.get(index).map(|held| &held.lease.memory) else { return true };
        if schema.is_some_and(|schema| memory.schema.as_deref() != Some(schema)) {
            return false;
        }
        if Arc::ptr_eq(&memory.settings, &self.state.settings) {
            return true;
        }
        let equal = memory.settings == self.state.settings;
        if equal && let Some(held) = self.held.get_mut(index) {
            let (has, wanted) = (&mut held.lease.memory.settings, &mut self.state.settings);
            if Arc::as_ptr(has) < Arc::as_ptr(wanted) {
                wanted.clone_from(has);
            } else {
                has.clone_from(wanted);
            }
        }
        equal
    }

    async fn acquire(&mut self, shard: ShardIndex) -> Outcome<usize> {
        let database = u16::try_from(self.database()).unwrap_or(u16::MAX);
        let key = BackendKey {
            shard: ShardId::new(database, shard),
            capabilities: super::login::meaningful(self.state.capabilities),
            in_schema: self.state.schema.is_some(),
        };
        if let Some(lease) = self.take_idle(&key) {
            return Ok(self.keep(shard, lease));
        }
        // Boxed: it is seldom, and large.
        let lease = Box::pin(self.wait_for_backend(&key)).await?;
        Ok(self.keep(shard, lease))
    }

    /// A backend that can be had without waiting.
    fn take_idle(&mut self, key: &BackendKey) -> Option<Lease<MySqlConnector>> {
        let known = self.doors.iter().position(|door| door.key() == key);
        let known = match known {
            Some(known) => known,
            None => {
                if self.doors.len() >= DOORS_MAX {
                    self.doors.clear();
                }
                self.doors.push(self.mesh.mysql.pools.door(key).ok()?);
                self.doors.len() - 1
            }
        };
        let lease = self.doors.get(known)?.idle(u64::from(self.entry.id), self.worker, self.course.latest())?;
        if self.began == 0 && self.transaction.status() != transaction::Status::Idle {
            self.began = self.mesh.mysql.next_transaction().max(1);
        }
        Some(lease)
    }

    /// Notes a backend from the pool; its index.
    fn keep(&mut self, shard: ShardIndex, lease: Lease<MySqlConnector>) -> usize {
        // What the pool gives out is clean: nothing is open on it.
        self.held.push(Held {
            shard,
            lease,
            pins: Vec::new(),
            status: Some(0),
            last_error: None,
            unclean: false,
            insert_id: None,
        });
        self.held.len() - 1
    }

    async fn wait_for_backend(&mut self, key: &BackendKey) -> Outcome<Lease<MySqlConnector>> {
        let holds: Vec<ShardId> = self.held.iter().map(|held| held.lease.shard()).collect();
        if self.began == 0 {
            self.began = self.mesh.mysql.next_transaction().max(1);
        }
        let asker = Asker { session: u64::from(self.entry.id), worker: self.worker, began: self.began, holds: &holds };
        let pools = Arc::clone(&self.mesh.mysql.pools);
        let wait = pools.acquire(key, &asker, pools.wait_deadline());
        self.entry.set_activity(Activity::WaitingForBackend);
        let taken = self.entry.interrupt.guard_statement(wait).await;
        self.entry.set_activity(Activity::Active);
        let lease = match taken {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => {
                if matches!(error, AcquireError::Deadlock { .. }) {
                    // Others wait for what this session holds: an error alone would leave them waiting.
                    self.give_way().await;
                }
                return Err(trouble::acquire(error, &self.shard_name(key.shard.shard())).into());
            }
            Err(halt) => return Err(self.halted(halt)),
        };
        self.course.wait += lease.waited();
        self.course.look();
        Ok(lease)
    }

    /// A statement for several shards waits here for those that are paused, before it holds any of the others.
    pub(super) async fn until_resumed(&mut self, shards: &[ShardIndex]) -> Outcome<()> {
        let pools = Arc::clone(&self.mesh.mysql.pools);
        if !self.held.is_empty() || !pools.any_paused() {
            return Ok(());
        }
        let database = u16::try_from(self.database()).unwrap_or(u16::MAX);
        let ids = shards.iter().map(|shard| ShardId::new(database, *shard));
        self.entry.set_activity(Activity::WaitingForBackend);
        let waited = self.entry.interrupt.guard_statement(pools.until_resumed(ids, pools.wait_deadline())).await;
        self.entry.set_activity(Activity::Active);
        waited.map_err(|halt| self.halted(halt))
    }

    /// A statement was told to stop before it was sent anywhere.
    pub(super) fn halted(&self, halt: Halt) -> Trouble {
        match halt {
            Halt::Session => Trouble::Interrupted(Reason::Session),
            Halt::Query => {
                self.entry.interrupt.clear_query();
                MeshError::QueryCancelled("Query execution was interrupted".to_owned()).into()
            }
        }
    }

    /// Sends what differs between the backend's state and the session's.
    pub(super) async fn bring_to_state(&mut self, index: usize) -> Outcome<()> {
        let schema = self.physical_schema(index, self.state.schema.as_ref(), self.state.system_schema);
        self.bring_to_schema(index, schema).await?;
        let settings = Arc::clone(&self.state.settings);
        self.bring_to_settings(index, settings).await
    }

    pub(super) async fn bring_to_schema(&mut self, index: usize, physical: Option<Arc<[u8]>>) -> Outcome<()> {
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        if held.lease.memory.schema != physical
            && let Some(schema) = &physical
        {
            let mut payload = vec![code::INIT_DB];
            payload.extend_from_slice(schema);
            put_packet(&mut held.lease.output, 0, &payload);
            self.own_answer(index, Answer::Simple).await?;
            if let Some(held) = self.held.get_mut(index) {
                held.lease.memory.schema = physical;
            }
        }
        Ok(())
    }

    pub(super) async fn bring_to_settings(&mut self, index: usize, settings: Arc<Settings>) -> Outcome<()> {
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        if let Some(sql) = held.lease.memory.difference(&settings) {
            held.lease.put_query(&sql);
            // Until the answer is there, nobody knows what the backend has.
            let before = std::mem::replace(&mut held.unclean, true);
            self.own_answer(index, Answer::Query).await?;
            if let Some(held) = self.held.get_mut(index) {
                held.unclean = before;
            }
        }
        if let Some(held) = self.held.get_mut(index) {
            held.lease.memory.settings = settings;
        }
        Ok(())
    }

    /// What a schema that the client knows is called on a backend.
    pub(super) fn physical_schema(
        &self,
        index: usize,
        schema: Option<&Arc<[u8]>>,
        of_servers: bool,
    ) -> Option<Arc<[u8]>> {
        if of_servers || schema.is_none() {
            return schema.cloned();
        }
        let held = self.held.get(index)?;
        self.schema_on(held.shard).cloned()
    }

    /// Sends a backend's `output` and reads the answer to a statement of our own.
    ///
    /// # Errors
    /// The server's ERR, or the loss of the backend (which is then dropped).
    pub(super) async fn own_answer(&mut self, index: usize, answer: Answer) -> Outcome<()> {
        match self.own_round(index, answer).await {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(Trouble::Server(error)),
            Err(error) => Err(self.lose(index, &error)),
        }
    }

    /// As `own_answer`; the inner value is the payload of an ERR. The backend stays in `held` in any case.
    pub(super) async fn own_round(&mut self, index: usize, answer: Answer) -> io::Result<Option<Vec<u8>>> {
        self.round_within(index, answer, OWN_STATEMENT).await
    }

    /// As `own_round`, for a COMMIT: it takes as long as statements may, and nothing interrupts it.
    pub(super) async fn commit_round(&mut self, index: usize) -> io::Result<Option<Vec<u8>>> {
        let limit = self.config().timeouts.statement.unwrap_or(COMMIT_MAX).max(OWN_STATEMENT);
        self.round_within(index, Answer::Query, limit).await
    }

    async fn round_within(&mut self, index: usize, answer: Answer, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let (mut error, mut last_ok) = (None, Vec::new());
        self.packets_within(index, answer, limit, |event, payload| match event {
            Event::Err => error = Some(payload.to_vec()),
            Event::Ok => last_ok = payload.to_vec(),
            _ => {}
        })
        .await?;
        let Some(held) = self.held.get_mut(index) else { return Err(io::ErrorKind::NotFound.into()) };
        held.last_error.clone_from(&error);
        // One that is being brought to the session's state, or to that of a PREPARE, says nothing about the session.
        let like_session = Arc::ptr_eq(&held.lease.memory.settings, &self.state.settings);
        if let (true, None, Ok(ok)) = (like_session, &error, OkPacket::decode(&last_ok, held.lease.capabilities)) {
            self.state.learn_status(ok.status);
        }
        Ok(error)
    }

    /// Sends a backend's `output` and hands each packet of the answer to `on_packet`.
    pub(super) async fn own_packets(
        &mut self,
        index: usize,
        answer: Answer,
        on_packet: impl FnMut(Event, &[u8]) + Send,
    ) -> io::Result<()> {
        self.packets_within(index, answer, OWN_STATEMENT, on_packet).await
    }

    async fn packets_within(
        &mut self,
        index: usize,
        answer: Answer,
        limit: Duration,
        on_packet: impl FnMut(Event, &[u8]) + Send,
    ) -> io::Result<()> {
        let Some(held) = self.held.get_mut(index) else { return Err(io::ErrorKind::NotFound.into()) };
        let backend = &mut *held.lease;
        let mut work = pin!(async {
            backend.flush().await?;
            backend.read_answer(answer, on_packet).await
        });
        let overdue = &mut self.overdue;
        overdue.begin(Instant::now(), Some(limit));
        let scanner = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending => overdue.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            done => done,
        })
        .await?;
        held.status = scanner.status();
        self.course.look();
        Ok(())
    }

    /// From now on the answer of a server may take as long as statements may.
    pub(super) fn limit_answer(&mut self) {
        let limit = self.config().timeouts.statement;
        let since = if limit.is_some() { Instant::now() } else { self.course.latest() };
        self.overdue.begin(since, limit);
    }

    /// Drops a backend whose connection broke; the error for the client.
    pub(super) fn lose(&mut self, index: usize, error: &io::Error) -> Trouble {
        let shard = self.held.get(index).map_or(0, |held| held.shard);
        let name = self.shard_name(shard);
        if index < self.held.len() {
            let held = self.held.remove(index);
            self.last.forget(held.shard);
            held.lease.close(CloseReason::Broken);
            self.show_pin();
        }
        MeshError::BackendLost { shard: name, cause: error.to_string() }.into()
    }

    /// Kills what runs on a backend, from another connection, and closes it. Nobody waits for it.
    pub(super) fn kill_and_close(&mut self, index: usize) {
        if index >= self.held.len() {
            return;
        }
        let mut held = self.held.remove(index);
        self.last.forget(held.shard);
        let pools = Arc::clone(&self.mesh.mysql.pools);
        let limit = self.config().timeouts.cancel;
        let (key, kill) = (*held.lease.key(), held.lease.start_kill());
        let aside = held.lease.quarantine();
        tokio::spawn(async move {
            if let Err(error) = super::kill::kill(&pools, key, kill, false, limit).await {
                tracing::warn!(%error, "a statement of a client that is gone could not be killed");
            }
            aside.close(CloseReason::NotClean);
        });
    }

    /// Keeps a backend to this session beyond transactions, visibly.
    pub(super) fn pin(&mut self, index: usize, reason: &'static str) {
        if let Some(held) = self.held.get_mut(index)
            && !held.pins.contains(&reason)
        {
            held.pins.push(reason);
            self.show_pin();
        }
    }

    /// One reason to keep a backend is gone, and left nothing behind on it.
    pub(super) fn unpin(&mut self, index: usize, reason: &str) {
        if let Some(held) = self.held.get_mut(index) {
            held.pins.retain(|pin| *pin != reason);
            self.show_pin();
        }
    }

    /// Lets every backend go that was kept for state which ends with the session; none of them is used again.
    pub(super) fn drop_pins(&mut self) {
        for held in &mut self.held {
            held.unclean |= !held.pins.is_empty();
            held.pins.clear();
        }
        self.show_pin();
        self.release_free();
        for held in &self.held {
            self.last.forget(held.shard);
        }
        // What is still held is in the middle of something that nobody will end.
        self.held.clear();
    }

    fn show_pin(&self) {
        self.entry.set_pin(self.held.iter().find_map(|held| held.pins.first().copied()));
    }

    /// Gives back what no transaction and no pin keeps.
    pub(super) fn release_free(&mut self) {
        self.count_bytes();
        let mut index = 0;
        while let Some(held) = self.held.get(index) {
            let branch = self.transaction.branches().iter().any(|branch| branch.shard == held.shard);
            let open = held.in_transaction() && !held.unclean;
            if branch || !held.pins.is_empty() || open {
                index += 1;
                continue;
            }
            let held = self.held.remove(index);
            self.last.forget(held.shard);
            // A backend that was taken without a schema and has one now fits no pool.
            let fits = held.lease.key().in_schema == held.lease.memory.schema.is_some();
            let clean = held.status.is_some() && !held.unclean && held.lease.input.is_empty() && fits;
            if clean {
                held.lease.give_back_at(self.course.latest());
            } else {
                held.lease.close(CloseReason::NotClean);
            }
        }
    }

    /// Asks a backend for its status (COM_PING): after an ERR, and where a change of state waits to be reported.
    pub(super) async fn ask_status(&mut self, index: usize) -> Outcome<Learnt> {
        let Some(held) = self.held.get_mut(index) else { return Ok(Learnt::default()) };
        put_packet(&mut held.lease.output, 0, &[code::PING]);
        self.read_status(index).await
    }

    /// Reads the answer to the PING that a backend was sent.
    pub(super) async fn read_status(&mut self, index: usize) -> Outcome<Learnt> {
        let mut last = Vec::new();
        if let Err(error) = self.own_packets(index, Answer::Simple, |_, payload| last = payload.to_vec()).await {
            return Err(self.lose(index, &error));
        }
        let Some(held) = self.held.get_mut(index) else { return Ok(Learnt::default()) };
        let Ok(ok) = OkPacket::decode(&last, held.lease.capabilities) else { return Ok(Learnt::default()) };
        let learnt = self.state.learn(&ok);
        self.state.learn_status(ok.status);
        held.lease.memory.settings = Arc::clone(&self.state.settings);
        Ok(learnt)
    }
}

/// An ERR payload as an error text, for logs and our own messages.
pub(super) fn error_text(payload: &[u8]) -> String {
    ErrPacket::decode(payload).map_or_else(
        |_| "unreadable error".to_owned(),
        |err| format!("{} ({})", String::from_utf8_lossy(err.message), err.code),
    )
}
