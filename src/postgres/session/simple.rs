//! The simple protocol: a Query message with one statement or several.
//! Out: the extended protocol; how bytes are moved.

use protocol::postgres::pipeline::CopyState;
use protocol::postgres::{Audience, ErrorFields, Sent, TransactionStatus, write};
use sharding::lexer::verbs::Verb;
use sharding::lexer::{Flags, StatementKind};
use sharding::splice::{Positions, Spliced};
use transaction::{Access, Gone, Ran, ShardIndex, Status};

use super::Session;
use super::answer;
use super::at_once::AtOnce;
use super::effects::Effects;
use super::fault::{self, Fault, Stop};
use super::parts::{Edited, Run, chars};
use super::pieces::Pieces;
use super::relay::Goal;
use super::route::{Asked, Way};
use super::sequence_asks::Question;
use super::sequences::Taking;
use super::verbs;
use crate::config::Protocol;
use crate::error_code::MeshError;
use crate::metrics::Tier;
use crate::postgres::statements::Lexed;

/// Who says `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The server did, or will when its COPY is over.
    Server,
    /// We do.
    Here,
}

/// A Query on its way to one shard.
pub(super) struct Forwarded<'a> {
    /// What it leaves behind.
    pub effects: Effects,
    /// What it takes from sequences.
    pub taking: Option<&'a Taking>,
    /// It asks the backend for values that were taken.
    pub asks: bool,
    /// For whom its answer is.
    pub audience: Audience,
    /// The message it is.
    pub sent: Sent,
    /// The backend it can go to at once.
    pub ready: Option<usize>,
}

impl<'a> Forwarded<'a> {
    /// A Query.
    pub fn query(effects: Effects, taking: Option<&'a Taking>, asks: bool, audience: Audience) -> Self {
        Self { effects, taking, asks, audience, sent: Sent::Query, ready: None }
    }
}

/// What a statement does to the shard it goes to, as far as the lexer tells.
pub fn access_of(kind: StatementKind, flags: Flags) -> Access {
    use StatementKind as Kind;
    let reads = matches!(
        kind,
        Kind::Select
            | Kind::Show
            | Kind::Values
            | Kind::Table
            | Kind::Set
            | Kind::Reset
            | Kind::Discard
            | Kind::Deallocate
            | Kind::Fetch
            | Kind::Close
            | Kind::Listen
            | Kind::Unlisten
    );
    let writes = Flags::WRITES.with(Flags::LOCKS_ROWS).with(Flags::UNKNOWN_FUNCTION).with(Flags::INTO);
    if reads && !flags.any(writes.with(Flags::NOTIFY)) { Access::Read } else { Access::Write }
}

impl Session {
    pub(super) async fn on_query(&mut self, frame: &[u8], sql: &[u8]) -> Result<(), Stop> {
        if self.batch.skips() {
            return Ok(());
        }
        self.settle_batch().await?;
        if self.batch.skips() {
            return Ok(());
        }
        self.notes.clear();
        // As a server does.
        self.names.remove(b"");
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.begin();
        match self.query(frame, sql).await {
            Ok(Done::Server) => {}
            Ok(Done::Here) => self.ready(),
            Err(fault) => {
                self.tell_fault(fault)?;
                self.fail_transaction();
                self.ready();
            }
        }
        self.count(Some(sql));
        Ok(())
    }

    /// Tells the client about a fault that does not end the session.
    pub(super) fn tell_fault(&mut self, fault: Fault) -> Result<(), Stop> {
        match fault {
            Fault::Mesh(error) => {
                self.course.refused();
                self.mesh.metrics.error(Protocol::Postgres, &error);
                answer::error(&mut self.client.output, &error);
            }
            Fault::Server(body) => {
                if let Ok(fields) = ErrorFields::decode(&body) {
                    self.doubt_schema(fields.sqlstate());
                }
                write::put_raw(&mut self.client.output, b'E', &[&body]);
            }
            Fault::Told => {}
            Fault::Stop(stop) => return Err(stop),
        }
        Ok(())
    }

    async fn query(&mut self, frame: &[u8], sql: &[u8]) -> Result<Done, Fault> {
        let pieces = match self.cut(sql) {
            Ok(pieces) => pieces,
            // The server says best what is wrong with it.
            Err(_) => Pieces::One(Lexed::unknown(sql)),
        };
        match pieces {
            Pieces::Empty => {
                self.client.output.extend_from_slice(answer::EMPTY_QUERY);
                Ok(Done::Here)
            }
            Pieces::One(piece) => self.one(frame, sql, &piece).await,
            Pieces::Several(pieces) => Box::pin(self.several(frame, sql, &pieces)).await,
        }
    }

    async fn one(&mut self, frame: &[u8], sql: &[u8], piece: &Lexed) -> Result<Done, Fault> {
        self.course.statement(piece.kind);
        if let Some(verb) = piece.verb.as_ref().filter(|verb| verbs::is_own(verb)) {
            self.obey(verb, piece.span.of(sql)).await?;
            if self.transaction.status() == Status::Idle {
                self.portals.clear();
            }
            return Ok(Done::Here);
        }
        if let Some(AtOnce { index, shard, access }) = self.at_once(Asked { sql, lexed: piece, parameters: &[] }) {
            let what = Forwarded::query(Effects::default(), None, false, Audience::Client);
            return self.forward(frame, shard, access, Forwarded { ready: Some(index), ..what }).await;
        }
        // Boxed: it is large.
        Box::pin(self.one_in_general(frame, sql, piece)).await
    }

    async fn one_in_general(&mut self, frame: &[u8], sql: &[u8], piece: &Lexed) -> Result<Done, Fault> {
        self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        if piece.verb.as_ref().is_some_and(|verb| self.forget_names(verb)) {
            return Ok(Done::Here);
        }
        self.refuse_mesh_names(sql, &[piece])?;
        if Self::is_discard_all(piece.verb.as_ref()) {
            self.discarding = true;
        }
        self.note_custom(piece, sql, None);
        if let Some(signal) = self.signal(piece.span.of(sql), piece, None)? {
            return self.send_signal(signal).await;
        }
        if let Some(naming) = self.naming(sql, &[piece])? {
            return self.run_naming(naming, sql, access_of(piece.kind, piece.flags)).await;
        }
        let way = match self.way(Asked { sql, lexed: piece, parameters: &[] }).await {
            Err(Fault::Mesh(refusal)) => return Err(Box::pin(self.opinion(refusal, sql)).await),
            way => way?,
        };
        match way {
            Way::One(shard, access, taking) => {
                let question =
                    self.question(piece.span.of(sql), (piece.kind, piece.flags), taking.as_deref(), shard)?;
                let asks = question.open;
                let (text, audience) = (self.instead(question, sql, piece), Audience::Client);
                let effects = self.effects_of(piece, sql, None);
                let what = Forwarded::query(effects, taking.as_deref(), asks, audience);
                let done = match text {
                    Some(text) => {
                        let what = Forwarded { audience: Audience::ClientEdited, ..what };
                        self.forward(&text, shard, access, what).await?
                    }
                    None => self.forward(frame, shard, access, what).await?,
                };
                if let Some(sql) = self.restoring(piece.verb.as_ref()) {
                    Box::pin(self.restore(&sql)).await?;
                }
                Ok(done)
            }
            Way::Several(routed) => {
                let run = Run { asked: Asked { sql, lexed: piece, parameters: &[] }, bind: None, types: &[] };
                Box::pin(self.run_several(&run, &routed)).await?;
                Ok(Done::Here)
            }
        }
    }

    async fn several(&mut self, frame: &[u8], sql: &[u8], pieces: &[Lexed]) -> Result<Done, Fault> {
        if pieces.iter().any(|piece| matches!(piece.verb, Some(Verb::SetTransactionType(_)))) {
            let text =
                "dbmesh does not support SET dbmesh.transaction_type together with other statements in one query";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        if !pieces.iter().any(|piece| verbs::ends_failure(piece.verb.as_ref())) {
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        }
        let effects = pieces.iter().map(Lexed::effects).fold(Effects::default(), Effects::and);
        self.refuse_mesh_names(sql, &pieces.iter().collect::<Vec<_>>())?;
        let marks =
            |piece: &Lexed| matches!(piece.verb, Some(Verb::Savepoint(_) | Verb::RollbackTo(_) | Verb::Release(_)));
        // The session must know of savepoints: what comes later may be about them.
        if self.is_relay() && !pieces.iter().any(marks) {
            let shard = self.home_shard();
            let mut taking: Option<Taking> = None;
            for piece in pieces {
                let asked = Asked { sql, lexed: piece, parameters: &[] };
                match (&mut taking, self.taking_of_relay(asked).await?) {
                    (Some(all), Some(more)) => all.add(&more),
                    (all @ None, more) => *all = more,
                    (Some(_), None) => {}
                }
                self.note_custom(piece, sql, None);
                self.course.statement(piece.kind);
                self.course.runs(Tier::Single, 1);
            }
            let begins = pieces.iter().rev().find_map(|piece| match &piece.verb {
                Some(Verb::Begin(modes)) => Some(verbs::options(modes)),
                _ => None,
            });
            self.batch.options = begins.unwrap_or_default();
            if let Some(naming) = self.naming(sql, &pieces.iter().collect::<Vec<_>>())? {
                return self.run_naming(naming, sql, Access::Write).await;
            }
            let whole = Lexed::unknown(sql);
            let flags = pieces.iter().fold(Flags::NONE, |flags, piece| flags.with(piece.flags));
            let question = self.question(sql, (StatementKind::Select, flags), taking.as_ref(), shard)?;
            let asks = question.open;
            let text = self.instead(question, sql, &whole);
            let audience = if text.is_some() { Audience::ClientEdited } else { Audience::Client };
            let what = Forwarded::query(effects, taking.as_ref(), asks, audience);
            let ran = self.forward(text.as_deref().unwrap_or(frame), shard, Access::Write, what).await;
            let commits = pieces.iter().any(|piece| matches!(piece.verb, Some(Verb::Commit(_))));
            return match ran {
                // The COMMIT may have been reached.
                Err(Fault::Mesh(MeshError::BackendLost { shard, .. })) if commits => {
                    Err(MeshError::OutcomeUnknown(shard).into())
                }
                ran => ran,
            };
        }
        let ran = self.one_by_one(sql, pieces).await;
        if ran.is_err() {
            self.fail_pipeline();
        }
        let flow = self.transaction.close_pipeline();
        let closed = self.follow(flow).await?;
        ran?;
        self.tell_reply(closed)?;
        Ok(Done::Here)
    }

    /// Runs the statements of a text each for itself, in one transaction.
    async fn one_by_one(&mut self, sql: &[u8], pieces: &[Lexed]) -> Result<(), Fault> {
        for piece in pieces {
            self.course.statement(piece.kind);
            if let Some(verb) = piece.verb.as_ref().filter(|verb| verbs::is_own(verb)) {
                self.obey(verb, piece.span.of(sql)).await?;
                continue;
            }
            self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
            self.transaction.open_pipeline();
            let text = piece.span.of(sql);
            let Ok(Pieces::One(alone)) = self.cut(text) else {
                return Err(MeshError::Syntax("a statement that cannot be read alone".to_owned()).into());
            };
            if alone.kind == StatementKind::Copy {
                let text = "dbmesh does not support COPY together with other statements in one query on several shards";
                return Err(MeshError::Unsupported(text.to_owned()).into());
            }
            self.note_custom(&alone, text, None);
            let asked = Asked { sql: text, lexed: &alone, parameters: &[] };
            match self.way(asked).await? {
                Way::One(shard, access, taking) => {
                    let question = self.question(text, (alone.kind, alone.flags), taking.as_deref(), shard)?;
                    let asks = question.open;
                    let sent = question
                        .spliced
                        .unwrap_or_else(|| Spliced { text: text.to_vec(), positions: Positions::default() });
                    let mut frame = Vec::with_capacity(sent.text.len() + 6);
                    write::query(&mut frame, &sent.text);
                    let before = chars(sql.get(..piece.span.start as usize).unwrap_or_default());
                    self.notes.edited = Some(Edited { sent, original: text.to_vec(), before, names: Vec::new() });
                    let (effects, audience) = (alone.effects(), Audience::ClientPart);
                    let what = Forwarded::query(effects, taking.as_deref(), asks, audience);
                    self.forward(&frame, shard, access, what).await?;
                    if self.notes.client_error.is_some() {
                        return Err(Fault::Told);
                    }
                }
                Way::Several(routed) => {
                    Box::pin(self.run_several(&Run { asked, bind: None, types: &[] }, &routed)).await?;
                }
            }
        }
        Ok(())
    }

    /// A statement of an implicit transaction failed.
    pub(super) fn fail_pipeline(&mut self) {
        let _ = self.transaction.statement_ended(Ran::Failed { others_changed: false });
    }

    /// Where a statement goes that could go anywhere: to a shard that the session has already, else to the default one.
    pub(super) fn home_shard(&self) -> ShardIndex {
        let branch = self.transaction.branches().first().map(|branch| branch.shard);
        branch.or_else(|| self.held.first().map(|held| held.shard)).unwrap_or_else(|| self.default_shard())
    }

    /// The Query that is sent instead of one with a question whose answer is known in part.
    fn instead(&mut self, question: Question, sql: &[u8], piece: &Lexed) -> Option<Vec<u8>> {
        let sent = question.spliced?;
        let mut frame = Vec::with_capacity(sent.text.len() + 6);
        write::query(&mut frame, &sent.text);
        let before = chars(sql.get(..piece.span.start as usize).unwrap_or_default());
        self.notes.edited = Some(Edited { sent, original: piece.span.of(sql).to_vec(), before, names: Vec::new() });
        Some(frame)
    }

    /// Sends a Query to one shard, and its answer as it is to the client.
    pub(super) async fn forward(
        &mut self,
        frame: &[u8],
        shard: ShardIndex,
        access: Access,
        what: Forwarded<'_>,
    ) -> Result<Done, Fault> {
        let Forwarded { effects, taking, asks, audience, sent, ready } = what;
        let index = match ready {
            Some(index) => index,
            None => self.enter(shard, access).await?,
        };
        let alone = self.guard_sequences(index, taking, asks, access, false);
        if let Some(taking) = taking {
            self.note_taken(index, taking, alone);
        }
        let backend = &mut *self.held[index].lease;
        // A Query makes the server forget the unnamed statement.
        backend.memory.unnamed = None;
        backend.output.extend_from_slice(frame);
        backend.pipeline.sent(sent, audience);
        self.batch.effects = effects;
        self.course.runs(Tier::Single, 1);
        let again = access == Access::Read && taking.is_none() && !asks && self.transaction.status() == Status::Idle;
        let index = match self.relay(index, Goal::Settled, false).await {
            Ok(()) => index,
            // Nothing was answered, and a read does no harm twice.
            Err(Fault::Mesh(MeshError::BackendLost { .. })) if again && self.notes.ended_untried => {
                self.notes.ended_untried = false;
                let index = self.enter(shard, access).await?;
                let backend = &mut *self.held[index].lease;
                backend.memory.unnamed = None;
                backend.output.extend_from_slice(frame);
                backend.pipeline.sent(sent, audience);
                self.relay(index, Goal::Settled, false).await?;
                index
            }
            Err(fault) => return Err(fault),
        };
        if self.held[index].lease.pipeline.copy() == CopyState::In {
            self.batch.copy = Some(shard);
            return Ok(Done::Server);
        }
        self.after(index)?;
        Ok(Done::Server)
    }

    /// Makes a shard part of what runs now: its backend is held, and its part of the transaction has begun.
    pub(super) async fn enter(&mut self, shard: ShardIndex, access: Access) -> Result<usize, Fault> {
        if !self.transaction.branches().is_empty() {
            self.admit_isolation(&[shard])?;
        }
        let sends = self.transaction.touch(&[shard], access).map_err(|refusal| fault::of_refusal(&refusal))?;
        let index = match self.hold(shard).await {
            Ok(index) => index,
            Err(fault) => {
                if !sends.is_empty() {
                    let _ = self.transaction.branch_gone(shard, Gone::NeverBegan);
                }
                return Err(fault);
            }
        };
        if let Some(send) = sends.first() {
            self.begin(index, &send.command).await?;
        }
        if access == Access::Write {
            // A trigger may notify too.
            self.held[index].lease.speaks_for(self.entry.id);
        }
        if !self.unlearnt {
            return Ok(index);
        }
        Box::pin(self.align(shard)).await?;
        self.held_index(shard)
    }

    /// A backend has answered: what the session learns from how it stands now.
    ///
    /// # Errors
    /// The server has ended its part of a transaction that others are part of: the session cannot go on, because its client
    /// may have been told that all is well.
    pub(super) fn after(&mut self, index: usize) -> Result<(), Fault> {
        let effects = std::mem::take(&mut self.batch.effects);
        let failed = self.notes.client_error.is_some();
        self.forget_deallocated(index);
        let shard = self.held[index].shard;
        if failed {
            self.taken.failed(shard);
        } else if effects.forgets_values {
            self.discarded_sequences(index);
        }
        let memory = &mut self.held[index].lease.memory;
        memory.untracked |= effects.untracked;
        if effects.settings {
            memory.unlearnt = true;
            self.unlearnt = true;
            self.meaning.doubt |= effects.meanings;
            self.set_on = Some(shard);
            self.set_epoch += 1;
            self.held[index].aligned = self.set_epoch;
        }
        if effects.ddl && !failed {
            self.front.statements.schema_changed();
            self.schema_changed = true;
        }
        self.pin_doubt |= effects.unpins && (effects.pin.is_some() || self.pin.is_some());
        if let Some(reason) = effects.pin {
            self.pin = Some(reason);
            self.entry.set_pin(Some(reason));
        }
        let reconciled = self.reconcile(index, shard, failed);
        if std::mem::take(&mut self.discarding)
            && !failed
            && let Some(index) = self.held.iter().position(|held| held.shard == shard)
        {
            self.discarded(index);
        }
        reconciled
    }

    /// Brings our view of the transaction in line with the server's.
    fn reconcile(&mut self, index: usize, shard: ShardIndex, failed: bool) -> Result<(), Fault> {
        let server = self.held[index].lease.pipeline.status();
        let part = self.transaction.branches().iter().any(|branch| branch.shard == shard);
        match (self.transaction.status(), server) {
            // The parts of one message are a transaction that the client does not see.
            (Status::Idle, TransactionStatus::Active) if part => {}
            (Status::Idle, TransactionStatus::Failed) if part => self.fail_pipeline(),
            (Status::Open, TransactionStatus::Failed) => self.fail_transaction(),
            (_, TransactionStatus::Idle) if part => {
                // Ended by the text itself (several statements) or by a procedure.
                let aftermath = self.transaction.branch_gone(shard, Gone::Ended);
                for send in aftermath.rollbacks {
                    if let Some(other) = self.held.iter().position(|other| other.shard == send.shard) {
                        self.held.swap_remove(other).lease.close(crate::pool::CloseReason::NotClean);
                    }
                }
                if let Some(refusal) = aftermath.refusal {
                    tracing::error!(session = self.entry.id, shard = self.shard_name(shard), %refusal, "a transaction was split by a server");
                    return Err(Stop::Fatal(fault::of_refusal(&refusal)).into());
                }
            }
            (Status::Idle, TransactionStatus::Active | TransactionStatus::Failed) => {
                // Begun by the text itself: the branch is there already.
                let options = std::mem::take(&mut self.batch.options);
                let verb = transaction::Verb::Begin { options, start: false, at_once: std::sync::Arc::default() };
                let _ = self.transaction.verb(verb);
                let _ = self.transaction.touch(&[shard], Access::Write);
                if server == TransactionStatus::Failed {
                    self.fail_transaction();
                }
            }
            (Status::Open, TransactionStatus::Active) if failed => {
                let _ = self.transaction.statement_ended(Ran::Well);
            }
            _ => {}
        }
        if self.transaction.status() == Status::Idle {
            self.portals.clear();
        }
        Ok(())
    }
}
