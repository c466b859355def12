//! The backends that a session has now: taken from the pools, made like the session, used, and let go.
//! Out: which shard a statement needs.

use std::sync::Arc;
use std::time::Duration;

use protocol::postgres::{Audience, ErrorFields, Sent, write};
use transaction::{Gone, ShardIndex, Status};

use super::Session;
use super::fault::{self, Fault, Stop};
use super::relay::{self, Broken, Goal, Watch};
use crate::error_code::MeshError;
use crate::interrupt::{Halt, Reason};
use crate::pool::{AcquireError, Asker, Backend as _, CloseReason, Lease, ShardId};
use crate::postgres::backend::{Connector, Key, Memory};
use crate::sessions::Activity;

/// No more is prepared for a client while so much waits to be sent to it.
pub const OUTPUT_MAX: usize = 256 << 10;
/// No more is prepared for a server while so much waits to be sent to it.
const PENDING_MAX: usize = 256 << 10;
/// Longest wait for the answer to a COMMIT, which no timeout of statements and no cancel may cut short: after that its
/// outcome is unknown.
pub const ENDING_MAX: Duration = Duration::from_secs(60);
/// Room for the messages of a small statement.
pub const OUTPUT_ROOM: usize = 512;
/// Ways to pools that a session remembers.
const DOORS_MAX: usize = 16;

/// A backend that the session has.
pub struct Held {
    /// Of which shard.
    pub shard: ShardIndex,
    /// The backend.
    pub lease: Lease<Connector>,
    /// It was just taken and is being made like the session: no part of a transaction has begun on it.
    pub fresh: bool,
    /// It has answered nothing since it was taken from the pool.
    pub untried: bool,
    /// As of which change of settings inside the transaction it is like the others.
    pub aligned: u64,
}

impl Session {
    /// The shard where everything is that is nowhere declared.
    pub(super) fn default_shard(&self) -> ShardIndex {
        let database = self.config.databases.get(self.database);
        database.and_then(|database| ShardIndex::try_from(database.default_shard).ok()).unwrap_or(0)
    }

    /// The name of a shard, for messages.
    pub(super) fn shard_name(&self, shard: ShardIndex) -> String {
        let database = self.config.databases.get(self.database);
        let found = database.and_then(|database| database.shards.get(usize::from(shard)));
        found.map_or_else(|| shard.to_string(), |shard| shard.name.clone())
    }

    /// Index of the backend of `shard` among those held, taken from the pool if it was not, with this session's settings.
    pub(super) async fn hold(&mut self, shard: ShardIndex) -> Result<usize, Fault> {
        if let Some(index) = self.held.iter().position(|held| held.shard == shard) {
            if self.held[index].lease.is_out_of_reach() {
                return Ok(index);
            }
            // What is sent next could be hit in the place of what was meant.
            return Err(self.lose(index, shard, "a cancel request could not be completed".to_owned(), false));
        }
        if self.unlearnt {
            Box::pin(self.learn_before_taking()).await?;
        }
        let mut lease = self.lease(shard).await?;
        // One growth for the messages of a batch instead of several.
        lease.output.reserve(OUTPUT_ROOM);
        if !lease.memory.late && self.has_settings(&mut lease.memory) {
            self.held.push(Held { shard, lease, fresh: false, untried: true, aligned: 0 });
            return Ok(self.held.len() - 1);
        }
        // Boxed: it is seldom, and large.
        Box::pin(self.make_own(shard, lease)).await
    }

    /// A backend from the pool.
    async fn lease(&mut self, shard: ShardIndex) -> Result<Lease<Connector>, Fault> {
        match self.take_idle(shard) {
            Some(lease) => Ok(lease),
            // Boxed: it is seldom, and large.
            None => Box::pin(self.acquire(shard)).await,
        }
    }

    /// Whether a backend has the session's settings. Those that are equal become one and the same, so that this is soon
    /// seen at a glance: of two the one that lies lower, so that all sessions and backends end up with the same.
    pub(super) fn has_settings(&mut self, memory: &mut Memory) -> bool {
        if Arc::ptr_eq(&memory.settings, &self.settings) {
            return true;
        }
        if *memory.settings != *self.settings {
            return false;
        }
        if Arc::as_ptr(&memory.settings) < Arc::as_ptr(&self.settings) {
            self.settings = Arc::clone(&memory.settings);
        } else {
            memory.settings = Arc::clone(&self.settings);
        }
        true
    }

    /// A backend that can be had without waiting.
    pub(super) fn take_idle(&mut self, shard: ShardIndex) -> Option<Lease<Connector>> {
        let key = Key(ShardId::new(u16::try_from(self.database).ok()?, shard));
        let known = match self.doors.iter().position(|door| *door.key() == key) {
            Some(known) => known,
            None => {
                if self.doors.len() >= DOORS_MAX {
                    self.doors.clear();
                }
                self.doors.push(self.front.pools.door(&key).ok()?);
                self.doors.len() - 1
            }
        };
        let lease = self.doors.get(known)?.idle(u64::from(self.entry.id), self.worker, self.course.latest())?;
        if self.transaction.status() != Status::Idle || !self.held.is_empty() {
            self.begin_holding();
        }
        Some(lease)
    }

    /// The session holds backends while it may have to wait for others: since when, as the pools count it.
    fn begin_holding(&mut self) -> u64 {
        *self.began.get_or_insert_with(|| self.front.next_transaction())
    }

    /// Makes a backend from the pool this session's.
    async fn make_own(&mut self, shard: ShardIndex, lease: Lease<Connector>) -> Result<usize, Fault> {
        let used = !lease.is_fresh();
        match self.dress_new(shard, lease).await {
            // What other sessions left on the backend stood in the way. It is no concern of this one.
            Err(fault) if used && self.is_of_others(&fault) => {
                self.notes.parameters.clear();
                let lease = self.lease(shard).await?;
                let lease = if lease.is_fresh() { lease } else { self.renew(shard, lease).await? };
                self.dress_new(shard, lease).await
            }
            dressed => dressed,
        }
    }

    async fn dress_new(&mut self, shard: ShardIndex, lease: Lease<Connector>) -> Result<usize, Fault> {
        self.held.push(Held { shard, lease, fresh: true, untried: true, aligned: 0 });
        let index = self.held.len() - 1;
        self.dress(index).await?;
        self.absorb(index).await?;
        self.held[index].fresh = false;
        Ok(index)
    }

    /// Takes what the server may still have to say about a statement before ours.
    async fn absorb(&mut self, index: usize) -> Result<(), Fault> {
        if !self.held[index].lease.memory.late {
            return Ok(());
        }
        let count = self.held.len();
        if let Err(fault) = self.ask(index, b"", false).await {
            if self.held.len() == count {
                self.drop_held(index, CloseReason::NotClean);
            }
            return Err(fault);
        }
        self.held[index].lease.memory.late = false;
        Ok(())
    }

    /// Whether dressing a backend failed by what others left on it: unless this session itself was told to stop.
    fn is_of_others(&self, fault: &Fault) -> bool {
        !self.cancelled && matches!(fault, Fault::Server(_) | Fault::Mesh(MeshError::BackendLost { .. }))
    }

    async fn renew(&self, shard: ShardIndex, lease: Lease<Connector>) -> Result<Lease<Connector>, Fault> {
        let renewed = lease.renew(self.front.pools.wait_deadline()).await;
        renewed.map_err(|error| fault::of_acquire(&error, &self.shard_name(shard)).into())
    }

    async fn acquire(&mut self, shard: ShardIndex) -> Result<Lease<Connector>, Fault> {
        let Ok(database) = u16::try_from(self.database) else {
            return Err(MeshError::Internal("too many databases".to_owned()).into());
        };
        let holds: Vec<ShardId> = self.held.iter().map(|held| held.lease.shard()).collect();
        let began = self.begin_holding();
        let asker = Asker { session: u64::from(self.entry.id), worker: self.worker, began, holds: &holds };
        let key = Key(ShardId::new(database, shard));
        self.entry.set_activity(Activity::WaitingForBackend);
        let pools = &self.front.pools;
        let wait = pools.acquire(&key, &asker, pools.wait_deadline());
        let got = self.entry.interrupt.guard_statement(wait).await;
        self.entry.set_activity(Activity::Active);
        match got {
            Ok(Ok(lease)) => {
                self.course.wait += lease.waited();
                self.course.look();
                Ok(lease)
            }
            Ok(Err(error)) => {
                if matches!(error, AcquireError::Deadlock { .. }) {
                    self.give_way().await?;
                }
                Err(fault::of_acquire(&error, &self.shard_name(shard)).into())
            }
            Err(halt) => Err(self.halted(halt)),
        }
    }

    /// A statement for several shards waits here for those that are paused, before it holds any of the others.
    pub(super) async fn until_resumed(&mut self, shards: &[ShardIndex]) -> Result<(), Fault> {
        let pools = Arc::clone(&self.front.pools);
        if !self.held.is_empty() || !pools.any_paused() {
            return Ok(());
        }
        let database = u16::try_from(self.database).unwrap_or(u16::MAX);
        let ids = shards.iter().map(|shard| ShardId::new(database, *shard));
        self.entry.set_activity(Activity::WaitingForBackend);
        let waited = self.entry.interrupt.guard_statement(pools.until_resumed(ids, pools.wait_deadline())).await;
        self.entry.set_activity(Activity::Active);
        waited.map_err(|halt| self.halted(halt))
    }

    /// The statement was told to stop before it was sent anywhere.
    pub(super) fn halted(&self, halt: Halt) -> Fault {
        match halt {
            Halt::Session => Stop::Fatal(MeshError::SessionKilled).into(),
            Halt::Query => {
                self.entry.interrupt.clear_query();
                MeshError::QueryCancelled("canceling statement due to user request".to_owned()).into()
            }
        }
    }

    /// The pool chose this session to fail, because others wait for what it has: its transaction lets go of all of it now.
    async fn give_way(&mut self) -> Result<(), Fault> {
        for send in self.transaction.give_way().rollbacks {
            let Some(index) = self.held.iter().position(|held| held.shard == send.shard) else { continue };
            // What is not idle after this is closed by what follows.
            if let Err(Fault::Stop(stop)) = self.ask(index, b"ROLLBACK", true).await {
                return Err(stop.into());
            }
        }
        self.notes.parameters.clear();
        self.settle_held().await?;
        Ok(())
    }

    /// Gives a backend this session's settings.
    pub(super) async fn dress(&mut self, index: usize) -> Result<(), Fault> {
        let memory = &self.held[index].lease.memory;
        if Arc::ptr_eq(&memory.settings, &self.settings) || *memory.settings == *self.settings {
            return Ok(());
        }
        let Some(sql) = memory.settings.change_to(&self.settings) else { return Ok(()) };
        self.held[index].lease.memory.unlearnt = true;
        let count = self.held.len();
        if let Err(fault) = self.ask(index, &sql, false).await {
            // Whatever it has by now, it is not what we think. One that broke has left already.
            if self.held.len() == count {
                self.drop_held(index, CloseReason::NotClean);
            }
            return Err(fault);
        }
        let memory = &mut self.held[index].lease.memory;
        (memory.settings, memory.unlearnt) = (Arc::clone(&self.settings), false);
        Ok(())
    }

    /// Runs a query of ours on a backend and waits for its end. The rows are in the notes.
    ///
    /// # Errors
    /// Also the server's error, as [`Fault::Server`].
    pub(super) async fn ask(&mut self, index: usize, sql: &[u8], undisturbed: bool) -> Result<(), Fault> {
        self.notes.mesh_error = None;
        self.notes.mesh_rows.clear();
        let backend = &mut *self.held[index].lease;
        backend.memory.unnamed = None;
        write::query(&mut backend.output, sql);
        backend.pipeline.sent(Sent::Query, Audience::Mesh(0));
        self.relay(index, Goal::Settled, undisturbed).await?;
        match self.notes.mesh_error.take() {
            Some(body) => Err(Fault::Server(body)),
            None => Ok(()),
        }
    }

    /// Moves bytes between the client and a backend.
    pub(super) async fn relay(&mut self, index: usize, goal: Goal, undisturbed: bool) -> Result<(), Fault> {
        let timeouts = &self.config.timeouts;
        let watch = Watch {
            interrupt: &self.entry.interrupt,
            client_write: timeouts.client_write,
            cancel: timeouts.cancel,
            undisturbed,
        };
        let shard = self.held[index].shard;
        self.notes.server = Some(self.held[index].lease.server());
        self.cancelled = false;
        let sent = self.course.latest();
        self.overdue.begin(sent, if undisturbed { Some(ENDING_MAX) } else { timeouts.statement });
        self.notes.untried = self.held[index].untried.then_some(sent);
        let backend = &mut *self.held[index].lease;
        let relayed = relay::relay(&mut self.client, backend, &mut self.notes, &watch, &mut self.overdue, goal).await;
        let took = self.course.served(sent);
        self.held[index].lease.memory.took(took);
        if !self.notes.parameters.is_empty() {
            self.note_parameters();
        }
        match relayed {
            Ok(relayed) => {
                self.held[index].untried = false;
                if relayed.cancelled {
                    self.cancelled = true;
                    self.entry.interrupt.clear_query();
                }
                if self.entry.interrupt.raised() == Some(Reason::Session) && !undisturbed {
                    return Err(Stop::Fatal(MeshError::SessionKilled).into());
                }
                Ok(())
            }
            Err(Broken::Client) => {
                self.abandon_backend(index);
                Err(Stop::Left.into())
            }
            Err(Broken::Killed) => {
                let inside = self.held[index].lease.pipeline.is_inside_message();
                self.abandon_backend(index);
                Err(if inside { Stop::Left } else { Stop::Fatal(MeshError::SessionKilled) }.into())
            }
            Err(Broken::Server(cause)) => {
                let stopped = self.stopped_ahead();
                let lost = self.lose(index, shard, cause, undisturbed);
                match (lost, stopped) {
                    (Fault::Mesh(_), Some(told)) => Err(Fault::Server(told)),
                    (lost, _) => Err(lost),
                }
            }
        }
    }

    /// A request to stop the statement has hit the BEGIN before it: what the server says to that is its answer.
    fn stopped_ahead(&mut self) -> Option<Vec<u8>> {
        let stopped = |body: &Vec<u8>| ErrorFields::decode(body).is_ok_and(|fields| fields.sqlstate() == *b"57014");
        if self.notes.ahead_failed { self.notes.mesh_error.take_if(|body| stopped(body)) } else { None }
    }

    /// As [`Self::relieve`], where mostly it is not.
    pub(super) async fn relieve_if_much(&mut self, index: usize) -> Result<(), Fault> {
        if self.held[index].lease.output.len() > PENDING_MAX {
            Box::pin(self.relieve(index)).await?;
        }
        Ok(())
    }

    /// Sends part of what waits for a backend, if it is much.
    pub(super) async fn relieve(&mut self, index: usize) -> Result<(), Fault> {
        if self.held[index].lease.output.len() > PENDING_MAX {
            self.relay(index, Goal::Drained(PENDING_MAX / 4), false).await?;
        }
        Ok(())
    }

    /// A backend broke while it was used.
    pub(super) fn lose(&mut self, index: usize, shard: ShardIndex, cause: String, commit: bool) -> Fault {
        let inside = self.held[index].lease.pipeline.is_inside_message();
        self.drop_held(index, CloseReason::Broken);
        let pin = self.pin;
        if self.held.is_empty() {
            self.pin = None;
            self.entry.set_pin(None);
        }
        // What the session was pinned for may be on another one.
        self.pin_doubt |= self.pin.is_some();
        if inside {
            // The client waits for the rest of a row; nothing that it would understand can follow.
            return Stop::Left.into();
        }
        let shard = self.shard_name(shard);
        if commit {
            return MeshError::OutcomeUnknown(shard).into();
        }
        if self.notes.fatal {
            // The client has the server's last words, and expects what comes behind them.
            return Stop::Left.into();
        }
        if pin.is_some() && self.held.is_empty() {
            // What the client was told is there, nobody has any more.
            let words = self.notes.mesh_error.take().or_else(|| self.notes.farewell.take());
            let fatal = words.filter(|words| ErrorFields::decode(words).is_ok_and(|fields| fields.is_fatal()));
            return fatal.map_or(Stop::Fatal(MeshError::BackendLost { shard, cause }), Stop::ServerFatal).into();
        }
        MeshError::BackendLost { shard, cause }.into()
    }

    /// Closes a backend. If it was part of the transaction, that is lost.
    pub(super) fn drop_held(&mut self, index: usize, reason: CloseReason) {
        let held = self.held.swap_remove(index);
        held.lease.close(reason);
        if held.fresh {
            // Nothing has begun on it; who wanted it knows.
            return;
        }
        let aftermath = self.transaction.branch_gone(held.shard, Gone::Lost);
        for send in aftermath.rollbacks {
            // They are no longer part of the transaction, and closing a connection rolls back what it did.
            if let Some(other) = self.held.iter().position(|other| other.shard == send.shard) {
                self.held.swap_remove(other).lease.close(CloseReason::NotClean);
            }
        }
    }

    /// The client is gone: stops what its backend runs, and keeps the backend's place until that has ended.
    pub(super) fn abandon_backend(&mut self, index: usize) {
        let mut held = self.held.swap_remove(index);
        let request = held.lease.start_cancel(self.config.timeouts.cancel);
        let quarantined = held.lease.quarantine();
        tokio::spawn(async move {
            if let Err(error) = request.await {
                tracing::debug!(%error, "a cancel for a client that is gone did not reach the server");
            }
            quarantined.close(CloseReason::NotClean);
        });
    }

    /// Notes what the server reported about its parameters.
    fn note_parameters(&mut self) {
        for (name, value, _) in &self.notes.parameters {
            if name == "standard_conforming_strings" {
                self.modes.standard_conforming_strings = value == "on";
            }
        }
        self.notes.parameters.retain(|(_, _, told)| !told);
    }

    /// Tells the client the parameters that changed by a query of ours, such as the ROLLBACK of its SET.
    pub(super) fn tell_parameters(&mut self) {
        for (name, value, _) in self.notes.parameters.drain(..) {
            write::parameter_status(&mut self.client.output, name.as_bytes(), value.as_bytes());
        }
    }
}
