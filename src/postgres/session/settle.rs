//! Between statements: what a backend has by now is learnt, clean backends go back, others are cleaned or closed.
//! In: the proof that a backend is clean. Out: what a statement leaves behind (`effects`).

use std::sync::Arc;
use std::time::Duration;

use protocol::postgres::{Audience, Sent, row, write};
use transaction::Status;

use super::Session;
use super::answer;
use super::effects;
use super::fault::{Fault, Stop};
use crate::config::Protocol;
use crate::error_code::MeshError;
use crate::pool::CloseReason;
use crate::postgres::settings::{self, SETTINGS_MAX, Settings};

/// Longest the cleaning of one backend may take when its session is over.
const CLEANING: Duration = Duration::from_secs(5);

impl Session {
    /// Lets go of backends that are clean as they are.
    pub(super) fn release_clean(&mut self) {
        if self.transaction.status() != Status::Idle || self.pin.is_some() || self.unlearnt || self.taken.is_fresh() {
            return;
        }
        if self.transaction.branches().is_empty() {
            self.began = None;
        }
        let mut index = 0;
        while index < self.held.len() {
            let backend = &mut *self.held[index].lease;
            if backend.pipeline.is_clean() && backend.input.is_empty() && backend.memory.is_shareable() {
                backend.shrink();
                self.held.swap_remove(index).lease.give_back_at(self.course.latest());
            } else {
                index += 1;
            }
        }
    }

    /// Learns what must be learnt and cleans what must be cleaned. Outside a transaction, unless the session is pinned,
    /// no backend is held afterwards.
    pub(super) async fn settle(&mut self) -> Result<(), Stop> {
        if self.transaction.status() != Status::Idle {
            return Ok(());
        }
        self.settle_held().await?;
        if self.pin.is_none() {
            self.began = None;
        }
        Ok(())
    }

    /// As [`Self::settle`], once no backend is part of a transaction any more.
    pub(super) async fn settle_held(&mut self) -> Result<(), Stop> {
        if self.unlearnt {
            self.learn_settings().await?;
        }
        if std::mem::take(&mut self.pin_doubt) {
            match self.review_pin().await {
                Ok(()) => {}
                Err(Fault::Stop(stop)) => return Err(stop),
                // Not answered: asked again later.
                Err(_) => self.pin_doubt = self.pin.is_some(),
            }
        }
        if self.pin.is_some() {
            return Ok(());
        }
        if self.taken.is_fresh() {
            Box::pin(self.learn_taken()).await?;
        }
        while !self.held.is_empty() {
            if let Err(Fault::Stop(stop)) = self.clean(0).await {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Asks what the session has set. Where that is cut short, by what it has set itself, its backends stay with it until it
    /// is known: to go on without would be to forget what the client was told is set.
    async fn learn_settings(&mut self) -> Result<(), Stop> {
        if let Some(index) = self.source_of_settings() {
            match self.learn_and_dress(index).await {
                Ok(()) => {}
                Err(Fault::Stop(stop)) => return Err(stop),
                Err(Fault::Mesh(error)) => return Err(Stop::Fatal(error)),
                Err(Fault::Server(_) | Fault::Told) => {
                    self.pin.get_or_insert(effects::SETTINGS);
                    self.entry.set_pin(self.pin);
                    return Ok(());
                }
            }
        }
        (self.unlearnt, self.meaning.doubt) = (false, false);
        if self.pin == Some(effects::SETTINGS) {
            self.pin = None;
            self.entry.set_pin(None);
        }
        Ok(())
    }

    /// Proves one backend clean and gives it back, or closes it.
    async fn clean(&mut self, index: usize) -> Result<(), Fault> {
        let count = self.held.len();
        let backend = &mut *self.held[index].lease;
        if !backend.pipeline.is_clean() || !backend.input.is_empty() {
            self.held.swap_remove(index).lease.close(CloseReason::NotClean);
            return Ok(());
        }
        if !backend.memory.is_shareable() {
            write::query(&mut backend.output, b"DISCARD ALL");
            backend.pipeline.sent(Sent::Query, Audience::Mesh(0));
            // What the server may have to say about a timeout that was set on it, it says to the empty query behind.
            let asked = self.ask(index, b"", false).await;
            self.notes.parameters.clear();
            if self.held.len() < count {
                return asked;
            }
            if asked.is_err() || !self.held[index].lease.pipeline.is_clean() {
                self.held.swap_remove(index).lease.close(CloseReason::NotClean);
                return asked;
            }
            let memory = &mut self.held[index].lease.memory;
            memory.forget();
            memory.late = false;
        }
        self.held[index].lease.shrink();
        self.held.swap_remove(index).lease.give_back();
        Ok(())
    }

    /// Asks the backend whether what the session is pinned for is still there.
    async fn review_pin(&mut self) -> Result<(), Fault> {
        if !self.pin.is_some_and(effects::can_be_asked) {
            return Ok(());
        }
        let mut reasons = Vec::new();
        for index in 0..self.held.len() {
            if self.held.get(index).is_some_and(|held| held.lease.pipeline.is_clean()) {
                self.ask(index, effects::PINS, false).await?;
                reasons.extend(self.first_column());
            }
        }
        self.pin = reasons.iter().find_map(|text| effects::reason(text));
        self.entry.set_pin(self.pin);
        if self.pin.is_none() {
            // What it had is gone; what it may still have had is discarded.
            self.held.iter_mut().for_each(|held| held.lease.memory.untracked = true);
        }
        Ok(())
    }

    /// DDL is committed: the schema is read again before the next statement is planned.
    pub(super) fn note_schema_change(&mut self) {
        if self.schema_changed && self.transaction.status() == Status::Idle {
            self.schema_changed = false;
            if let Some(catalog) = self.catalog() {
                catalog.note_ddl();
            }
        }
    }

    /// An error of a server may mean that tables or columns are other ones than we know.
    pub(super) fn doubt_schema(&mut self, state: [u8; 5]) {
        // Undefined table, undefined column, and what a plan that has become too old gives.
        if (matches!(&state, b"42P01" | b"42703") || self.notes.stale_statement)
            && let Some(catalog) = self.catalog()
        {
            catalog.suspect();
        }
    }

    /// Learns, and where something was reset to less than the session started with, sets that again.
    async fn learn_and_dress(&mut self, index: usize) -> Result<(), Fault> {
        // Each backend tells what became of the settings of a transaction there.
        for other in (0..self.held.len()).filter(|other| *other != index) {
            if self.held.get(other).is_some_and(|held| held.lease.pipeline.is_clean()) {
                let settings = self.read_settings(other).await?;
                if let Some(held) = self.held.get_mut(other) {
                    held.lease.memory.learn(settings);
                }
            }
        }
        self.learn(index).await?;
        self.notes.parameters.clear();
        self.dress(index).await?;
        self.tell_parameters();
        self.drain_client().await?;
        Ok(())
    }

    /// The clean backend that knows what the session has set: the one where it was set last.
    fn source_of_settings(&self) -> Option<usize> {
        let clean = |held: &super::held::Held| held.lease.pipeline.is_clean();
        let last = self.held.iter().position(|held| Some(held.shard) == self.set_on && clean(held));
        last.or_else(|| self.held.iter().position(clean))
    }

    /// Asks a backend what is set on it: that is what the session has set.
    pub(super) async fn learn(&mut self, index: usize) -> Result<(), Fault> {
        let learnt = self.read_settings(index).await?;
        answer::check_encoding(learnt.get("client_encoding"))?;
        let learnt = if *learnt == *self.settings { Arc::clone(&self.settings) } else { learnt };
        self.held[index].lease.memory.learn(Arc::clone(&learnt));
        self.settings = self.with_startup(learnt);
        Ok(())
    }

    /// Asks a backend what is set on it.
    pub(super) async fn read_settings(&mut self, index: usize) -> Result<Arc<Settings>, Fault> {
        let before = self.notes.client_error.take();
        self.ask(index, &settings::learn(&self.custom), false).await?;
        self.notes.client_error = before;
        let mut pairs = Vec::with_capacity(self.notes.mesh_rows.len());
        let mut fields = Vec::new();
        for body in &self.notes.mesh_rows {
            let malformed = |error: protocol::postgres::WireError| MeshError::Internal(error.to_string());
            row::fields(body, &mut fields).map_err(malformed)?;
            let text = |at: usize| {
                let bytes = fields.get(at).and_then(|&field| row::field(body, field)).unwrap_or_default();
                String::from_utf8_lossy(bytes).into_owned()
            };
            pairs.push((text(0), text(1)));
        }
        if pairs.len() > SETTINGS_MAX {
            return Err(MeshError::Limit(format!("more than {SETTINGS_MAX} settings in one session")).into());
        }
        Ok(Arc::new(Settings::new(pairs)))
    }

    /// What was reset goes back to what the session started with, not to what the server has by default.
    fn with_startup(&self, learnt: Arc<Settings>) -> Arc<Settings> {
        let missing: Vec<_> = self.startup.iter().filter(|(name, _)| learnt.get(name).is_none()).collect();
        if missing.is_empty() {
            return learnt;
        }
        let all = learnt.iter().chain(missing).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Arc::new(Settings::new(all.collect()))
    }

    /// DISCARD ALL has run on a backend: it is as new, and so is the session.
    pub(super) fn discarded(&mut self, index: usize) {
        self.held[index].lease.memory.forget();
        self.unlearnt = true;
        self.names.clear();
        self.portals.clear();
        self.pin = None;
        self.entry.set_pin(None);
    }

    fn close_all(&mut self, reason: CloseReason) {
        for held in self.held.drain(..) {
            held.lease.close(reason);
        }
    }

    /// The session ends: tells the client why, and leaves every backend clean or closed.
    pub(super) async fn end(mut self, stop: Stop) {
        match &stop {
            Stop::Left => {}
            Stop::Fatal(error) => {
                self.mesh.metrics.error(Protocol::Postgres, error);
                answer::fatal(&mut self.client.output, error);
            }
            Stop::ServerFatal(body) => answer::server_fatal(&mut self.client.output, body),
        }
        // An open transaction ends by closing its backends. So does work that was cut: what it leaves behind was not noted.
        let open = self.transaction.status() != Status::Idle || !self.batch.is_empty() || self.midway;
        if open {
            self.close_all(CloseReason::NotClean);
        } else {
            self.pin = None;
            (self.unlearnt, self.meaning.doubt) = (false, false);
            for held in &mut self.held {
                held.lease.memory.untracked |= self.entry.pin().is_some();
            }
            self.release_clean();
        }
        let _ = tokio::time::timeout(super::FAREWELL, self.client.drain()).await;
        while !self.held.is_empty() {
            let cleaned = tokio::time::timeout(CLEANING, self.clean(0)).await;
            if !matches!(cleaned, Ok(Ok(()))) {
                self.close_all(CloseReason::NotClean);
            }
        }
    }
}
