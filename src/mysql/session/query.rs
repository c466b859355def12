//! COM_QUERY: one statement or several, each looked at, each answered in turn.
//! Out: running a statement on shards.

use protocol::mysql::capability;
use protocol::mysql::response::Answer;
use sharding::lexer::verbs::{self, Verb as Said};
use sharding::lexer::{self, Flags, Scan, ScannedStatement, Span, StatementKind};
use sharding::plan::{Bound, Effects};
use transaction::{Access, ShardIndex};

use super::commands::query_packet;
use super::place::Place;
use super::relay::{Passing, Report};
use super::route::{Routed, Seen};
use super::single::{Facts, Outgoing};
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};

/// What a statement asks of the one before it.
pub(super) const ASKS_BACK: Flags = Flags::FOUND_ROWS.with(Flags::ROW_COUNT).with(Flags::DIAGNOSTICS);

/// Where the exchange stands after a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// Sequence number of the next packet.
    pub sequence: u8,
    /// The answer was an error: the statements behind it do not run.
    pub failed: bool,
}

impl Done {
    /// After one packet of ours.
    pub(super) fn at(place: Place) -> Self {
        Self { sequence: place.sequence.wrapping_add(1), failed: false }
    }

    /// After an answer that was passed on.
    pub(super) fn of(report: &Report) -> Self {
        Self { sequence: report.next_sequence, failed: report.failed.is_some() }
    }
}

impl Session {
    /// Runs the statements of a COM_QUERY; `wire` is the whole packet.
    pub(super) async fn query(&mut self, sql: &[u8], wire: &[u8]) -> Outcome<()> {
        let mut scan = self.mesh.scans.take(self.worker);
        let result = match self.read_text(&mut scan, sql) {
            Ok(()) => self.query_scanned(&scan, sql, wire).await,
            Err(error) => Err(error.into()),
        };
        self.mesh.scans.put(self.worker, scan);
        result
    }

    pub(super) fn read_text(&self, scan: &mut Scan, sql: &[u8]) -> Result<(), MeshError> {
        use lexer::LexError as E;
        scan.scan(sql, self.dialect(), &self.mesh.fingerprint_key).map_err(|error| match error {
            E::TooLong { .. } | E::TooManyStatements | E::TooManyLiterals => MeshError::Limit(error.to_string()),
            fault => MeshError::Syntax(format!("You have an error in your SQL syntax: {fault}")),
        })
    }

    async fn query_scanned(&mut self, scan: &Scan, sql: &[u8], wire: &[u8]) -> Outcome<()> {
        match scan.statements() {
            // Anything around the statement (comments, a closing semicolon) goes with it.
            [scanned] => {
                let seen = Seen { sql, scanned, literals: scan.literals(scanned), whole: sql };
                self.statement(&seen, Some(wire), self.first()).await.map(|_| ())
            }
            // As servers do: a comment is something, if only to be ignored.
            [] if super::statements::is_comment(sql) => {
                let place = self.first();
                self.put_ok(place);
                Ok(())
            }
            [] => {
                self.last.failed(1065, *b"42000", b"Query was empty");
                self.client.put_err(self.first, 1065, *b"42000", b"Query was empty");
                Ok(())
            }
            _ => Box::pin(self.several(scan, sql)).await,
        }
    }

    /// The server's words for a text that should have ended before `at`.
    pub(super) fn unexpected(&self, sql: &[u8], at: usize) -> MeshError {
        const SHOWN: usize = 80;
        let (before, rest) = sql.split_at(at.min(sql.len()));
        let near: String = String::from_utf8_lossy(rest).chars().take(SHOWN).collect();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let server = if matches!(self.server, lexer::MySqlServer::MariaDb(_)) { "MariaDB" } else { "MySQL" };
        MeshError::Syntax(format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your {server} server version for \
             the right syntax to use near '{near}' at line {line}"
        ))
    }

    async fn several(&mut self, scan: &Scan, sql: &[u8]) -> Outcome<()> {
        let list = scan.statements();
        if self.state.capabilities & capability::MULTI_STATEMENTS == 0 {
            let second = list.get(1).map_or(0, |scanned| scanned.span.start as usize);
            return Err(self.unexpected(sql, second).into());
        }
        let mut place = Place { more: true, ..self.first() };
        let dialect = self.dialect();
        for (number, scanned) in list.iter().enumerate() {
            place.more = number + 1 < list.len();
            self.told_up_to(place.sequence);
            if self.dialect() != dialect {
                // Where the statements behind it end was found under the old one.
                let text = "a change of sql_mode in front of other statements of the same text";
                self.tell_error(place, &MeshError::Unsupported(text.to_owned()));
                return Ok(());
            }
            let text = scanned.span.of(sql);
            let whole = Span { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
            let literals = scan.literals(scanned);
            let mut scanned = *scanned;
            scanned.span = whole;
            let seen = Seen { sql: text, scanned: &scanned, literals, whole: sql };
            match self.statement(&seen, None, place).await {
                Ok(done) if done.failed => return Ok(()),
                Ok(done) => {
                    place.sequence = done.sequence;
                    self.client.result_ended();
                }
                Err(Trouble::Told(error)) => {
                    self.tell_error(self.after_what_was_told(), &error);
                    return Ok(());
                }
                Err(Trouble::Server(payload)) => {
                    self.tell_server_error(self.after_what_was_told(), &payload);
                    return Ok(());
                }
                Err(trouble) => return Err(trouble),
            }
            self.release_free();
        }
        Ok(())
    }

    /// Runs one statement. `wire` is its packet if it holds nothing else.
    pub(super) async fn statement(&mut self, seen: &Seen<'_>, wire: Option<&[u8]>, place: Place) -> Outcome<Done> {
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.begin();
        let result = self.run_statement(seen, wire, place).await;
        self.count(seen.sql, seen.scanned.kind, &result);
        result
    }

    async fn run_statement(&mut self, seen: &Seen<'_>, wire: Option<&[u8]>, place: Place) -> Outcome<Done> {
        let (sql, scanned) = (seen.sql, seen.scanned);
        if scanned.flags.any(ASKS_BACK) {
            self.fetch_left().await?;
        } else {
            self.begin_diagnostics(sql, scanned).await?;
        }
        if scanned.flags.any(ASKS_BACK.with(Flags::SESSION_FUNCTION)) {
            self.transaction.admits().map_err(|r| super::trouble::refusal(&r))?;
            if let Some(done) = self.answer_here(sql, place) {
                return Ok(done);
            }
            if let Some(text) = self.with_own_names(sql, scanned.kind, true)? {
                let mut scan = self.mesh.scans.take(self.worker);
                self.read_text(&mut scan, &text)?;
                let [scanned] = scan.statements() else { return Err(super::single::internal("a text fell apart")) };
                let seen = Seen { sql: &text, scanned, literals: scan.literals(scanned), whole: &text };
                return self.run_as_written(&seen, None, place).await;
            }
        }
        self.run_as_written(seen, wire, place).await
    }

    /// Runs a statement in which nothing is left that servers would answer otherwise.
    async fn run_as_written(&mut self, seen: &Seen<'_>, wire: Option<&[u8]>, place: Place) -> Outcome<Done> {
        let (sql, scanned) = (seen.sql, seen.scanned);
        if has_verb(scanned.kind) {
            let said =
                verbs::verb(sql, scanned.span, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
            if matches!(scanned.kind, StatementKind::Set | StatementKind::SetTransaction) {
                return Box::pin(self.set(said, scanned, sql, wire, place)).await;
            }
            if let Some(said) = said
                && self.obey_verb(&said, place).await?
            {
                return Ok(Done::at(place));
            }
        }
        self.transaction.admits().map_err(|r| super::trouble::refusal(&r))?;
        if let Some(done) = self.diagnose(sql, scanned, place, false).await? {
            return Ok(done);
        }
        if scanned.kind == StatementKind::Show
            && let Some(done) = self.answer_here(sql, place)
        {
            return Ok(done);
        }
        self.send_statement(seen, wire, place).await
    }

    /// Runs a statement that shards answer.
    async fn send_statement(&mut self, seen: &Seen<'_>, wire: Option<&[u8]>, place: Place) -> Outcome<Done> {
        let (sql, scanned) = (seen.sql, seen.scanned);
        let facts = Facts::of(scanned, sql, b"");
        let base = access(scanned);
        self.settle_database(sql)?;
        if self.is_relay() {
            let shard = self.any_shard();
            return self.send_whole(shard, base, sql, wire, None, &facts, place).await;
        }
        let routed = self.route(seen, &[]).await?;
        let access = access_of(base, &routed.plan.effects, scanned.kind);
        match &routed.bound {
            Bound::Merge { .. } => Box::pin(self.scatter(&routed, sql, None, access, &facts, place)).await,
            Bound::Spread { .. } => Box::pin(self.spread(&routed, sql, None, &facts, place)).await,
            Bound::Single { .. } | Bound::Local => {
                let shard = self.single_shard(&routed, &facts)?;
                let text = self.text_for(&routed, sql, shard)?;
                let done = self.send_whole(shard, access, sql, wire, text, &facts, place).await?;
                if !done.failed {
                    self.note_ddl(&routed);
                }
                Ok(done)
            }
        }
    }

    /// Sends a statement to one shard: as it came, or with the text that it has there.
    #[allow(clippy::too_many_arguments)]
    async fn send_whole(
        &mut self,
        shard: ShardIndex,
        access: Access,
        sql: &[u8],
        wire: Option<&[u8]>,
        text: Option<Vec<u8>>,
        facts: &Facts<'_>,
        place: Place,
    ) -> Outcome<Done> {
        let outgoing = match (text, wire) {
            (Some(text), _) => Outgoing::Built(query_packet(&text)),
            (None, Some(wire)) => Outgoing::Wire(wire),
            (None, None) => Outgoing::Built(query_packet(sql)),
        };
        let passing = Passing::of(Answer::Query, place);
        let report = self.run_single(shard, Some(access), outgoing, passing, facts).await?;
        Ok(Done::of(&report))
    }

    /// The shard of a statement that goes to one.
    pub(super) fn single_shard(&self, routed: &Routed, facts: &Facts<'_>) -> Result<ShardIndex, MeshError> {
        let shard = match &routed.bound {
            Bound::Single { shard, anywhere: false } => *shard,
            _ => self.any_shard(),
        };
        self.refuse_state_elsewhere(&[shard], facts.flags)?;
        Ok(shard)
    }

    /// What only one backend knows cannot be read on another.
    pub(super) fn refuse_state_elsewhere(&self, shards: &[ShardIndex], flags: Flags) -> Result<(), MeshError> {
        let reads = flags.any(Flags::USER_VARIABLE_READ.with(Flags::NAMED_LOCK));
        let pinned = || self.held.iter().filter(|held| !held.pins.is_empty());
        if reads && pinned().any(|held| shards.iter().any(|shard| *shard != held.shard)) {
            let text = "a statement that reads state of the session which is on another shard";
            return Err(MeshError::Unsupported(text.to_owned()));
        }
        Ok(())
    }

    /// The text of a statement on a shard, if it is not the client's.
    pub(super) fn text_for(
        &self,
        routed: &Routed,
        sql: &[u8],
        shard: ShardIndex,
    ) -> Result<Option<Vec<u8>>, MeshError> {
        if routed.plan.edits.is_empty() {
            return Ok(None);
        }
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let text = routed.plan.rewrite_whole(&tokens, &routed.schema, shard);
        text.map(Some).map_err(|refusal| super::route::refused(&refusal))
    }

    /// A statement that changed the schema: it is read again.
    pub(super) fn note_ddl(&mut self, routed: &Routed) {
        if routed.plan.effects.changes_schema
            && let Some(catalog) = self.catalog()
        {
            catalog.note_ddl();
        }
    }

    pub(super) async fn obey_verb(&mut self, said: &Said, place: Place) -> Outcome<bool> {
        match said {
            Said::Use(name) => {
                self.use_schema(&name.text)?;
                self.put_ok_with_schema(place);
                Ok(true)
            }
            Said::Kill { query, id: Some(id) } => {
                self.kill_session(*id, *query, place)?;
                Ok(true)
            }
            Said::Kill { id: None, .. } => {
                Err(MeshError::Unsupported("KILL of an id that is not a number".to_owned()).into())
            }
            said => self.transaction_verb(said, place).await,
        }
    }
}

pub(super) fn has_verb(kind: StatementKind) -> bool {
    use StatementKind as K;
    matches!(
        kind,
        K::Begin
            | K::Commit
            | K::Rollback
            | K::Savepoint
            | K::RollbackTo
            | K::Release
            | K::Set
            | K::SetTransaction
            | K::Use
            | K::Kill
    )
}

/// What a statement does to the shard it goes to, as far as its text shows.
pub(super) fn access(scanned: &ScannedStatement) -> Access {
    use StatementKind as K;
    let flags = scanned.flags;
    match scanned.kind {
        K::Select | K::With | K::Values | K::Table | K::Show | K::Explain
            if !flags.any(Flags::WRITES.with(Flags::LOCKS_ROWS).with(Flags::UNKNOWN_FUNCTION)) =>
        {
            Access::Read
        }
        K::Ddl if flags.has(Flags::TEMPORARY) => Access::Write,
        K::Ddl | K::Truncate | K::Lock | K::Grant | K::Analyze | K::Flush => Access::CommitsImplicitly,
        _ => Access::Write,
    }
}

/// As [`access`], with what the plan knows.
pub(super) fn access_of(base: Access, effects: &Effects, kind: StatementKind) -> Access {
    let shows = matches!(kind, StatementKind::Show | StatementKind::Explain);
    if base == Access::Read && !shows && (effects.writes || effects.locks || effects.unknown) {
        return Access::Write;
    }
    base
}
