//! A statement on one shard: its transaction is begun there if need be, the statement is sent as it came, the answer is
//! passed on, and what the session must know of it is noted. Out: choosing the shard.

use protocol::mysql::command::code;
use protocol::mysql::packet::{Outline, put_packet};
use protocol::mysql::response::{Answer, Event};
use sharding::lexer::{self, Flags, ScannedStatement, StatementKind};
use transaction::{Access, Command, Gone, Ran, ShardIndex};

use super::Session;
use super::last::SHOW_WARNINGS;
use super::relay::{Passing, Report};
use super::trouble::{self, Outcome, Trouble};
use crate::error_code::MeshError;
use crate::metrics::Tier;
use crate::mysql::memory::UserVariables;

/// What is sent to a backend.
#[derive(Debug)]
pub(super) enum Outgoing<'a> {
    /// A packet as the client sent it.
    Wire(&'a [u8]),
    /// Packets of our own making.
    Built(Vec<u8>),
}

impl Outgoing<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Wire(bytes) => bytes,
            Self::Built(bytes) => bytes,
        }
    }
}

/// What leaves more behind than a temporary table.
const LEAVES_STATE: Flags = Flags::USER_VARIABLE_ASSIGN.with(Flags::NAMED_LOCK).with(Flags::LAST_INSERT_ID_SET);

/// What the text of a statement says about the state that it leaves behind.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    /// What it is.
    pub kind: StatementKind,
    /// What it touches.
    pub flags: Flags,
    /// SET of user variables to literals: names and texts. Other statements that set some leave it empty.
    pub user_variables: UserVariables,
    /// Its text.
    pub sql: &'a [u8],
    /// Its parameters as they came.
    pub parameters: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Of something that leaves nothing behind.
    pub(super) const NOTHING: Self = Self {
        kind: StatementKind::Other,
        flags: Flags::NONE,
        user_variables: UserVariables::new(),
        sql: b"",
        parameters: b"",
    };

    /// Whether it is a statement of the client's.
    fn is_statement(&self) -> bool {
        !self.sql.is_empty()
    }

    /// Of a statement with these parameters.
    pub(super) fn of(scanned: &ScannedStatement, sql: &'a [u8], parameters: &'a [u8]) -> Self {
        let user_variables = UserVariables::new();
        Self { kind: scanned.kind, flags: scanned.flags, user_variables, sql, parameters }
    }
}

/// What a statement leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// What its text shows.
    WhatItSays,
    /// Anything: the server's report is not taken.
    Unknown,
}

impl Session {
    /// A command that needs some shard and no transaction.
    pub(super) async fn run_plain(&mut self, outgoing: Outgoing<'_>, passing: Passing) -> Outcome<()> {
        let shard = self.any_shard();
        self.run_single(shard, None, outgoing, passing, &Facts::NOTHING).await.map(|_| ())
    }

    /// A shard for what every shard would answer alike: one that is held already, else the default one.
    pub(super) fn any_shard(&self) -> ShardIndex {
        let held = self.held.iter().find(|held| !held.pins.is_empty()).or(self.held.first());
        held.map_or_else(|| self.default_shard(), |held| held.shard)
    }

    /// Runs a statement on one shard and passes its answer. `access` is what it does there; `None` stays outside of
    /// transactions.
    pub(super) async fn run_single(
        &mut self,
        shard: ShardIndex,
        access: Option<Access>,
        outgoing: Outgoing<'_>,
        passing: Passing,
        facts: &Facts<'_>,
    ) -> Outcome<Report> {
        let for_one = self.set_for_one(facts);
        let passing = Passing { learns: for_one.is_none(), ..passing };
        let (index, swallow) = self.enter(shard, access, facts).await?;
        let outline = Outline::of(outgoing.bytes());
        self.refuse_large(index, outline.longest)?;
        let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
        if swallow {
            held.lease.put_query(b"BEGIN");
        }
        let sent = self.course.latest();
        if let Err(error) = held.lease.flush_with(outgoing.bytes()).await {
            let trouble = self.lose(index, &error);
            self.shard_gone(shard, Gone::Lost).await;
            return Err(trouble);
        }
        if swallow {
            self.swallow_begin(index).await?;
        }
        let relayed = self.relay(index, passing, outline.answered_from).await;
        self.course.served(Tier::Single, 1, sent);
        match relayed {
            Ok(report) => {
                if let Some(failure) = &report.failed {
                    self.course.server_error = true;
                    self.doubt_schema(failure.code);
                }
                self.after(shard, &report, facts, access).await?;
                if for_one == Some(Leaves::Unknown)
                    && let Some(held) = self.held.iter_mut().find(|held| held.shard == shard)
                {
                    held.unclean = true;
                }
                Ok(report)
            }
            Err(trouble) => {
                self.shard_gone(shard, Gone::Lost).await;
                Err(trouble)
            }
        }
    }

    /// Whether this is SET STATEMENT ... FOR another, and what that may leave behind.
    fn set_for_one(&self, facts: &Facts<'_>) -> Option<Leaves> {
        if facts.kind != StatementKind::Other || !facts.is_statement() {
            return None;
        }
        let tokens = lexer::tokens(facts.sql, self.dialect()).ok()?;
        if !(tokens.is_word(0, "SET") && tokens.is_word(1, "STATEMENT")) {
            return None;
        }
        let plain = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "SHOW"];
        let mut places = (2..tokens.list().len()).filter(|at| tokens.is_word(*at, "FOR"));
        let inner = places.next().map_or(0, |at| at + 1);
        let known = plain.iter().any(|word| tokens.is_word(inner, word));
        Some(if known { Leaves::WhatItSays } else { Leaves::Unknown })
    }

    /// What a server would not take is not sent there. As with a server, the session ends.
    pub(super) fn refuse_large(&self, index: usize, payload: usize) -> Outcome<()> {
        match self.held.get(index).map(|held| held.lease.packet_limit) {
            Some(limit) if payload as u64 >= limit => Err(Trouble::Broken(MeshError::PacketTooLarge(limit))),
            _ => Ok(()),
        }
    }

    /// Makes a shard part of the transaction, if there is one, and its backend ready for a statement. True: a BEGIN
    /// goes with the statement, and its answer must be read before the statement's.
    pub(super) async fn enter(
        &mut self,
        shard: ShardIndex,
        access: Option<Access>,
        facts: &Facts<'_>,
    ) -> Outcome<(usize, bool)> {
        let sends = match access {
            Some(access) => self.transaction.touch(&[shard], access).map_err(|r| trouble::refusal(&r))?,
            None => Vec::new(),
        };
        let begins = sends.iter().any(|send| matches!(send.command, Command::Begin { .. }));
        match self.make_ready(shard, &sends, facts).await {
            Ok(done) => Ok(done),
            Err(trouble) => {
                if begins {
                    self.shard_gone(shard, Gone::NeverBegan).await;
                }
                Err(trouble)
            }
        }
    }

    pub(super) async fn make_ready(
        &mut self,
        shard: ShardIndex,
        sends: &[transaction::Send],
        facts: &Facts<'_>,
    ) -> Outcome<(usize, bool)> {
        let index = self.backend(shard).await?;
        if facts.flags.has(Flags::LAST_INSERT_ID) {
            self.bring_insert_id(index).await?;
        }
        let mut pipelined = false;
        for send in sends {
            let Some(held) = self.held.get_mut(index) else { return Err(internal("a backend vanished")) };
            let text = transaction::sql::text(&send.command, transaction::Dialect::MySql);
            if text == "BEGIN" {
                // A plain BEGIN cannot fail on a backend that was just found healthy: it goes with the statement.
                pipelined = true;
                continue;
            }
            held.lease.put_query(text.as_bytes());
            self.own_answer(index, Answer::Query).await?;
        }
        Ok((index, pipelined))
    }

    async fn bring_insert_id(&mut self, index: usize) -> Outcome<()> {
        let wanted = self.state.last_insert_id;
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        if held.insert_id != Some(wanted) {
            held.lease.put_query(format!("SET last_insert_id={wanted}").as_bytes());
            self.own_answer(index, Answer::Query).await?;
            if let Some(held) = self.held.get_mut(index) {
                held.insert_id = Some(wanted);
            }
        }
        Ok(())
    }

    /// Reads the answer to a BEGIN that was sent ahead of a statement.
    pub(super) async fn swallow_begin(&mut self, index: usize) -> Outcome<()> {
        let mut refused = None;
        let read = self
            .own_packets(index, Answer::Query, |event, payload| {
                if event == Event::Err {
                    refused = Some(super::held::error_text(payload));
                }
            })
            .await;
        let text = match (read, refused) {
            (Ok(()), None) => return Ok(()),
            (Ok(()), Some(text)) => text,
            (Err(error), _) => error.to_string(),
        };
        // The statement is on its way, outside of any transaction: stop it, and say that its outcome is not known.
        let shard = self.held.get(index).map_or(0, |held| held.shard);
        let name = self.shard_name(shard);
        self.kill_and_close(index);
        self.shard_gone(shard, Gone::Lost).await;
        Err(MeshError::BackendLost { shard: name, cause: format!("BEGIN failed: {text}") }.into())
    }

    /// Notes what an answer said: transaction, settings, and what keeps the backend with this session.
    pub(super) async fn after(
        &mut self,
        shard: ShardIndex,
        report: &Report,
        facts: &Facts<'_>,
        access: Option<Access>,
    ) -> Outcome<()> {
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else { return Ok(()) };
        let failed = report.failed.is_some();
        let mut learnt = report.learnt;
        let ask = report.state_pending || self.held.get(index).is_some_and(|held| held.status.is_none());
        let read_left = facts.is_statement() && self.note_left(shard, report, facts);
        if let Some(held) = self.held.get_mut(index) {
            // Both in one write.
            if ask {
                put_packet(&mut held.lease.output, 0, &[code::PING]);
            }
            if read_left {
                held.lease.put_query(SHOW_WARNINGS);
            }
        }
        if ask {
            let more = self.read_status(index).await?;
            learnt.hidden_change |= more.hidden_change;
            learnt.one_shot |= more.one_shot;
            learnt.collation_unknown |= more.collation_unknown;
        }
        if read_left {
            self.read_left(shard, report).await?;
        }
        if facts.flags.has(Flags::CALC_FOUND_ROWS) && !failed && !report.has_cursor() {
            self.ask_found_rows(shard).await?;
        }
        if report.last_insert_id != 0 {
            self.note_insert_id(index, report.last_insert_id, facts).await?;
        }
        if learnt.collation_unknown {
            self.ask_collation(index).await?;
        }
        if !failed {
            self.note_user_variables(index, facts);
            self.note_temporary(index, facts);
        }
        self.note_pins(index, facts, learnt.hidden_change, learnt.one_shot);
        if access.is_some() {
            self.note_transaction(shard, failed).await;
        }
        Ok(())
    }

    fn note_user_variables(&mut self, index: usize, facts: &Facts<'_>) {
        if facts.user_variables.is_empty() {
            return;
        }
        let settings = std::sync::Arc::make_mut(&mut self.state.settings);
        for (name, value) in &facts.user_variables {
            settings.user_variables.insert(name.clone(), value.clone());
        }
        if let Some(held) = self.held.get_mut(index) {
            held.lease.memory.settings = std::sync::Arc::clone(&self.state.settings);
        }
    }

    pub(super) fn note_pins(&mut self, index: usize, facts: &Facts<'_>, hidden_change: bool, one_shot: bool) {
        let flags = facts.flags;
        let literal_set = !facts.user_variables.is_empty();
        let reason = match facts.kind {
            StatementKind::Lock => Some("LOCK TABLES"),
            StatementKind::Handler => Some("HANDLER"),
            StatementKind::Prepare => Some("PREPARE"),
            StatementKind::Xa => Some("XA"),
            StatementKind::Unlock => {
                self.unpin(index, "LOCK TABLES");
                None
            }
            _ if flags.has(Flags::TEMPORARY) && !flags.any(LEAVES_STATE) => None,
            _ if flags.has(Flags::NAMED_LOCK) => Some("named lock"),
            _ if flags.has(Flags::USER_VARIABLE_ASSIGN) && !literal_set => Some("computed user variable"),
            _ if flags.has(Flags::LAST_INSERT_ID_SET) => Some("LAST_INSERT_ID(expression)"),
            _ if one_shot => Some("SET of a value for the next statement"),
            _ if hidden_change && !literal_set => Some("state that the server does not report in detail"),
            _ => None,
        };
        if let Some(reason) = reason {
            self.pin(index, reason);
        }
        if flags.any(Flags::UNKNOWN_FUNCTION) || facts.kind == StatementKind::Call {
            // A routine may leave locks behind that no report shows.
            if let Some(held) = self.held.get_mut(index) {
                held.unclean = true;
            }
        }
    }

    async fn ask_collation(&mut self, index: usize) -> Outcome<()> {
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        held.lease.put_query(b"SELECT @@character_set_client, @@collation_connection");
        let mut row = Vec::new();
        let read = self
            .own_packets(index, Answer::Query, |event, payload| {
                if event == Event::Row {
                    row = payload.to_vec();
                }
            })
            .await;
        if let Err(error) = read {
            return Err(self.lose(index, &error));
        }
        let mut fields = Vec::new();
        if protocol::mysql::row::split_text(&row, 2, &mut fields).is_err() {
            return Ok(());
        }
        let text = |n: usize| fields.get(n).cloned().flatten().and_then(|range| row.get(range)).unwrap_or_default();
        self.state.set_variable(b"collation_connection", text(1));
        let set = String::from_utf8_lossy(text(0)).into_owned();
        if let Some(held) = self.held.get_mut(index) {
            held.lease.memory.settings = std::sync::Arc::clone(&self.state.settings);
            if !super::charset::is_safe(&set) {
                held.unclean = true;
                let text = format!("the character set {set}: bytes of its characters can look like quotes");
                return Err(Trouble::Broken(MeshError::Unsupported(text)));
            }
        }
        Ok(())
    }

    /// Compares what the server says about its transaction with what the session's transaction expects.
    async fn note_transaction(&mut self, shard: ShardIndex, failed: bool) {
        self.check_branch(shard, failed).await;
        let ran = if failed { Ran::Failed { others_changed: false } } else { Ran::Well };
        let flow = self.transaction.statement_ended(ran);
        self.drive(flow).await;
    }

    /// Tells the transaction when the server has ended its part by itself.
    pub(super) async fn check_branch(&mut self, shard: ShardIndex, failed: bool) {
        let open = self.held.iter().any(|held| held.shard == shard && held.in_transaction());
        let branch = self.transaction.branches().iter().any(|branch| branch.shard == shard);
        if branch && !open {
            self.shard_gone(shard, if failed { Gone::RolledBack } else { Gone::Ended }).await;
        }
    }

    /// Tells the transaction of branches whose backends were lost on the way to a statement: nothing more may run there as
    /// if it had begun.
    pub(super) async fn note_lost(&mut self) {
        let lost = |branch: &&transaction::Branch| !self.held.iter().any(|held| held.shard == branch.shard);
        let lost: Vec<ShardIndex> =
            self.transaction.branches().iter().filter(lost).map(|branch| branch.shard).collect();
        for shard in lost {
            self.shard_gone(shard, Gone::Lost).await;
        }
    }

    /// A branch is gone: the others are rolled back if the transaction says so.
    pub(super) async fn shard_gone(&mut self, shard: ShardIndex, how: Gone) {
        if how == Gone::NeverBegan
            && let Some(index) = self.held.iter().position(|held| held.shard == shard && held.in_transaction())
        {
            // It was begun, but what belongs to its beginning failed: nobody else would end it.
            let _ = self.lose(index, &std::io::Error::other("a transaction that could not be begun whole"));
        }
        let aftermath = self.transaction.branch_gone(shard, how);
        if let Some(refusal) = &aftermath.refusal {
            // The client is told by its next statement, which the transaction refuses.
            tracing::error!(session = self.entry.id, shard = %self.shard_name(shard), %refusal, "a transaction was cut");
        }
        for send in &aftermath.rollbacks {
            self.roll_back_on(send).await;
        }
        if how == Gone::Lost {
            let flow = self.transaction.statement_ended(Ran::Failed { others_changed: false });
            self.drive(flow).await;
        }
    }
}

pub(super) fn internal(what: &str) -> Trouble {
    MeshError::Internal(what.to_owned()).into()
}
