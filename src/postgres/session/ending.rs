//! Where the messages of a batch go, and how it ends: waiting for answers, Sync, errors of our own.
//! Out: what single messages mean (`extended`).

use std::borrow::Cow;

use protocol::postgres::pipeline::CopyState;
use protocol::postgres::{Audience, Sent, TransactionStatus, write};
use transaction::{Access, ShardIndex, Status};

use super::Session;
use super::fault::{self, Fault, Stop};
use super::relay::Goal;
use crate::error_code::MeshError;
use crate::pool::Backend as _;

/// How a `Sync` went.
pub(super) enum Synced {
    /// A server has said `ReadyForQuery` to the client.
    Told,
    /// We have to say it.
    Here,
    /// The server waits for COPY data and has ignored the `Sync`.
    Copying,
}

impl Session {
    /// Where messages go that could go anywhere.
    pub(super) fn current_shard(&self) -> ShardIndex {
        self.batch.target.unwrap_or_else(|| self.home_shard())
    }

    /// Turns the batch to a shard; what was sent to another one must have been answered first.
    pub(super) async fn target(&mut self, shard: ShardIndex, access: Access) -> Result<usize, Fault> {
        if self.batch.target != Some(shard) {
            if self.batch.target.is_some() {
                self.flush_target().await?;
                if self.batch.failed {
                    return Err(Fault::Told);
                }
            }
            self.batch.parses.clear();
            self.notes.parsed = 0;
        }
        if access == Access::Write && self.batch.wrote.iter().any(|wrote| *wrote != shard) {
            // What was sent to this one before would take the BEGIN along if it fails.
            self.flush_target().await?;
            if self.batch.failed {
                return Err(Fault::Told);
            }
            self.adopt()?;
        }
        if self.batch.effects.settings && self.batch.target != Some(shard) && self.transaction.branches().is_empty() {
            let text = "dbmesh does not support a change of settings and a statement for another shard in one pipeline";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        let index = self.enter(shard, access).await?;
        self.aim_at(shard);
        Ok(index)
    }

    /// As [`Self::target`] for what reads and writes nothing: in a transaction that has failed a server still describes
    /// statements without rows and closes portals.
    pub(super) async fn target_also_failed(&mut self, shard: ShardIndex) -> Result<usize, Fault> {
        let failed = self.transaction.admits().is_err() && self.batch.target.is_none_or(|target| target == shard);
        let knows = |held: &super::held::Held| {
            held.shard == shard
                && held.lease.pipeline.status() == TransactionStatus::Failed
                && held.lease.is_out_of_reach()
        };
        match self.held.iter().position(|held| failed && knows(held)) {
            Some(index) => {
                self.aim_at(shard);
                Ok(index)
            }
            None => self.target(shard, Access::Read).await,
        }
    }

    fn aim_at(&mut self, shard: ShardIndex) {
        self.batch.target = Some(shard);
        if !self.batch.unsynced.contains(&shard) {
            self.batch.unsynced.push(shard);
        }
    }

    /// The backend that the batch goes to already, if nothing stands between a message and sending it there.
    pub(super) fn ready_target(&self, shard: ShardIndex) -> Option<usize> {
        let branches = self.transaction.branches();
        let begun = match self.transaction.status() {
            Status::Idle => branches.is_empty(),
            Status::Open => branches.iter().any(|branch| branch.shard == shard),
            Status::Failed => false,
        };
        if self.batch.target != Some(shard) || !begun || self.unlearnt || !self.batch.unsynced.contains(&shard) {
            return None;
        }
        self.held.iter().position(|held| held.shard == shard && held.lease.is_out_of_reach())
    }

    /// What was written in this batch so far becomes part of a transaction, because a write on another shard follows, or a
    /// verb that is about it: a BEGIN in an open batch adopts what ran before it. Everything sent has been answered.
    pub(super) fn adopt(&mut self) -> Result<(), Fault> {
        if self.batch.wrote.is_empty() || self.batch.piped || self.transaction.status() != Status::Idle {
            return Ok(());
        }
        self.batch.piped = true;
        self.transaction.open_pipeline();
        for shard in std::mem::take(&mut self.batch.wrote) {
            self.transaction.touch(&[shard], Access::Write).map_err(|refusal| fault::of_refusal(&refusal))?;
            let index = self.held_index(shard)?;
            self.begin_ahead(index);
        }
        Ok(())
    }

    /// Index of the backend that the batch goes to now.
    fn target_index(&self) -> Option<usize> {
        let shard = self.batch.target?;
        self.held.iter().position(|held| held.shard == shard)
    }

    /// The place of the next answer.
    pub(super) fn place(&self) -> Option<u64> {
        self.target_index().map(|index| self.held[index].lease.pipeline.place())
    }

    /// Bytes of ours for the client, behind all answers that are owed.
    pub(super) fn say(&mut self, bytes: impl Into<Cow<'static, [u8]>>) {
        match self.target_index() {
            Some(index) => self.held[index].lease.pipeline.insert(bytes),
            None => self.client.output.extend_from_slice(&bytes.into()),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        self.flush_target().await
    }

    /// Waits for every answer that is owed; sets `failed` if one of them is an error.
    pub(super) async fn flush_target(&mut self) -> Result<(), Fault> {
        let Some(index) = self.target_index() else { return Ok(()) };
        let backend = &mut *self.held[index].lease;
        if !backend.pipeline.is_settled() {
            write::flush(&mut backend.output);
            self.relay(index, Goal::Settled, false).await?;
        }
        self.conclude(index);
        if self.held[index].lease.pipeline.copy() == CopyState::In {
            self.batch.copy = self.batch.target;
        }
        Ok(())
    }

    /// Everything was answered: which statements exist now.
    pub(super) fn conclude(&mut self, index: usize) {
        let backend = &mut *self.held[index].lease;
        let failed = backend.pipeline.is_skipping() || self.notes.client_error.is_some();
        let error_at = if failed { backend.pipeline.error_at() } else { None };
        if failed {
            self.batch.failed = true;
            for number in self.batch.parses.iter().skip(self.notes.parsed) {
                backend.memory.statements.remove(number);
            }
            backend.memory.unnamed = None;
        }
        if self.notes.stale_statement {
            // DDL changed what it returns: it must be parsed anew, under a new number. The backend keeps what it has: of others that
            // changed too the server says so itself, to clients that were told their columns, while one that is parsed again
            // would give such a client rows of other columns.
            self.front.statements.schema_changed();
            // Which of several it was is not known.
            if let Some(statement) = self.course.prepared().filter(|_| !self.batch.mixed) {
                statement.set_stale();
            }
        }
        self.batch.parses.clear();
        self.notes.parsed = 0;
        self.names.settle(error_at);
        self.forget_deallocated(index);
    }

    /// The server has forgotten all statements because the client said so.
    pub(super) fn forget_deallocated(&mut self, index: usize) {
        if std::mem::take(&mut self.notes.deallocated) {
            let memory = &mut self.held[index].lease.memory;
            memory.statements.clear();
            memory.unnamed = None;
            memory.begin = false;
            self.names.clear();
        }
    }

    pub(super) async fn on_sync(&mut self) -> Result<(), Stop> {
        if self.batch.copy.is_some() {
            // A server ignores it while it takes COPY data.
            return Ok(());
        }
        if !self.batch.failed && self.batch.deferred.is_some() {
            let done = Box::pin(self.resolve_deferred(None)).await;
            self.or_fail(done).await?;
        }
        let synced = self.sync(false).await;
        self.conclude_batch(synced)
    }

    /// A batch has come to its `Sync`, well or not.
    pub(super) fn conclude_batch(&mut self, synced: Result<Synced, Fault>) -> Result<(), Stop> {
        self.portals.settle(self.batch.failed || synced.is_err());
        match synced {
            Ok(Synced::Copying) => return Ok(()),
            Ok(Synced::Told) => self.batch.clear(),
            Ok(Synced::Here) => {
                self.batch.clear();
                self.ready();
            }
            Err(fault) => {
                self.batch.clear();
                self.tell_fault(fault)?;
                self.fail_transaction();
                self.names.settle(Some(0));
                self.ready();
            }
        }
        self.count(None);
        Ok(())
    }

    /// Ends the batch on every backend; `quiet`: no server says `ReadyForQuery` to the client.
    async fn sync(&mut self, quiet: bool) -> Result<Synced, Fault> {
        let target = self.batch.target;
        let mut concluded = false;
        if self.batch.unsynced.len() > 1 {
            // What went well on one shard is undone if it did not on the last one.
            self.flush_target().await?;
        }
        let mut shards = std::mem::take(&mut self.batch.unsynced);
        // The one that may answer to the client comes last.
        shards.sort_by_key(|shard| Some(*shard) == target);
        let mut at = 0;
        while let Some(shard) = shards.get(at).copied() {
            at += 1;
            let Some(index) = self.held.iter().position(|held| held.shard == shard) else { continue };
            // A server that has no part in the transaction would say that there is none.
            let branches = self.transaction.branches();
            let knows = self.transaction.status() == Status::Idle || branches.iter().any(|b| b.shard == shard);
            let last = Some(shard) == target && knows && !self.batch.failed_here && !self.batch.piped && !quiet;
            let backend = &mut *self.held[index].lease;
            let undo = self.batch.failed
                && self.batch.executed
                && !self.batch.piped
                && !backend.pipeline.is_skipping()
                && self.transaction.status() == Status::Idle;
            if undo {
                // The server knows nothing of the error, which is ours or another server's, and would keep what was done
                // before it.
                write::query(&mut backend.output, b"ROLLBACK");
                backend.pipeline.sent(Sent::Query, Audience::Mesh(0));
                backend.memory.unnamed = None;
            }
            write::sync(&mut backend.output);
            backend.pipeline.sent(Sent::Sync, if last { Audience::Client } else { Audience::Mesh(0) });
            if let Synced::Copying = self.synced(index, shard).await? {
                return Ok(Synced::Copying);
            }
            concluded = true;
            if last {
                // Its memory serves the next batch.
                shards.clear();
                self.batch.unsynced = shards;
                return Ok(Synced::Told);
            }
        }
        if !concluded {
            self.names.settle(None);
        }
        if self.batch.piped {
            if self.batch.failed {
                self.fail_pipeline();
            }
            let flow = self.transaction.close_pipeline();
            let closed = self.follow(flow).await?;
            self.tell_reply(closed)?;
        }
        if self.transaction.status() == Status::Idle {
            self.portals.clear();
        }
        Ok(Synced::Here)
    }

    /// Waits for a backend's answers up to those of a `Sync` that was sent.
    pub(super) async fn synced(&mut self, index: usize, shard: ShardIndex) -> Result<Synced, Fault> {
        self.relay(index, Goal::Settled, false).await?;
        if self.held[index].lease.pipeline.copy() == CopyState::In {
            // COPY by Execute and Sync in one go: the server has swallowed the Sync and waits for data.
            self.batch.copy = Some(shard);
            self.batch.unsynced.push(shard);
            return Ok(Synced::Copying);
        }
        self.conclude(index);
        self.after(index)?;
        Ok(Synced::Told)
    }

    /// An error of ours in the middle of a batch: told behind the answers that are owed, then everything up to `Sync` is
    /// ignored.
    pub(super) async fn fail_batch(&mut self, fault: Fault) -> Result<(), Stop> {
        if let Fault::Stop(stop) = fault {
            return Err(stop);
        }
        self.batch.begun = true;
        // A Parse that was held back came first: it is answered, and may be what is wrong.
        let fault = match self.resolve_deferred(None).await {
            Ok(()) | Err(Fault::Told) => fault,
            Err(Fault::Stop(stop)) => return Err(stop),
            Err(earlier) => earlier,
        };
        if let Err(Fault::Stop(stop)) = self.flush_target().await {
            return Err(stop);
        }
        if self.batch.failed && self.notes.client_error.is_some() {
            // A server's error came first; the client has it.
            return Ok(());
        }
        self.batch.failed = true;
        self.batch.failed_here = true;
        self.tell_fault(fault)?;
        self.fail_transaction();
        Ok(())
    }

    /// A Query came without a `Sync` before it: what is owed is answered first, and the batch ends there.
    pub(super) async fn settle_batch(&mut self) -> Result<(), Stop> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let done = self.flush().await;
        self.or_fail(done).await?;
        if self.batch.failed || self.batch.copy.is_some() {
            return Ok(());
        }
        match self.sync(true).await {
            Ok(_) => {
                self.batch.clear();
                Ok(())
            }
            Err(fault) => self.fail_batch(fault).await,
        }
    }
}
