//! A session's transaction: which shards are part of it, and what each statement needs before it runs.
//! In: joining shards, the rule about writers, statements that fail, branches that vanish. Out: verbs (`verbs`), ending (`ending`).

use crate::branch::{Branch, Role, ShardIndex};
use crate::command::{Access, Aftermath, Command, Flow, Gone, Ran, Reply, Send, Status};
use crate::ending::Ending;
use crate::options::{Dialect, Isolation, Options, TransactionType};
use crate::refusal::{Broken, Refusal};
use crate::savepoint::{Replay, Replays};
use crate::verbs::Marking;

/// Most savepoints and local settings that one transaction keeps for shards that join late.
pub const REPLAYS_MAX: usize = 10_000;

/// A session's transaction, from the first statement of the session to the last.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Transaction {
    pub(crate) dialect: Dialect,
    /// The type of the next transaction.
    pub(crate) kind: TransactionType,
    pub(crate) autocommit: bool,
    /// MySQL: what SET TRANSACTION said about the next transaction.
    pub(crate) next: Options,
    pub(crate) state: State,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) enum State {
    Idle,
    Open(Open),
    /// Only a rollback helps.
    Failed(Failed),
    /// A verb other than an end was sent to the branches.
    Marking(Marking),
    /// COMMIT or ROLLBACK was sent to branches.
    Ending(Ending),
}

/// Who opened the transaction, hence who closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The client, by BEGIN.
    Explicit,
    /// A statement under autocommit=0.
    Autocommit,
    /// PostgreSQL: several statements of one Query, or up to one Sync.
    Pipeline,
    /// One statement that writes on several shards.
    Statement,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Open {
    pub(crate) origin: Origin,
    pub(crate) kind: TransactionType,
    /// With which a branch begins.
    pub(crate) options: Options,
    /// Whether it is read only by now.
    pub(crate) read_only: bool,
    pub(crate) branches: Vec<Branch>,
    pub(crate) replays: Replays,
    /// Grows with each first write and each savepoint.
    pub(crate) clock: u64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Failed {
    pub(crate) open: Open,
    pub(crate) why: Broken,
    /// Every branch is still open and has all savepoints: ROLLBACK TO heals.
    pub(crate) intact: bool,
    /// The client had an error since. Until then nothing may look as if it went well: COMMIT neither, which PostgreSQL answers
    /// without an error once the client knows.
    pub(crate) told: bool,
}

impl Failed {
    /// What a statement is told: under PostgreSQL why it has failed only if nothing has said so yet.
    pub(crate) fn refusal(&self, dialect: Dialect) -> Refusal {
        match dialect {
            Dialect::Postgres if self.told => Refusal::Aborted,
            Dialect::Postgres | Dialect::MySql => Refusal::RollbackOnly(self.why),
        }
    }
}

impl Open {
    pub(crate) fn new(origin: Origin, kind: TransactionType, options: Options) -> Self {
        Self {
            origin,
            kind,
            options,
            read_only: options.read_only.unwrap_or(false),
            branches: Vec::new(),
            replays: Replays::default(),
            clock: 0,
        }
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn everywhere(&self, command: &Command) -> Vec<Send> {
        self.branches.iter().map(|branch| Send { shard: branch.shard, command: command.clone() }).collect()
    }

    fn writer_apart_from(&self, shards: &[ShardIndex]) -> Option<(ShardIndex, ShardIndex)> {
        let first = *shards.first()?;
        let wrote = self.branches.iter().find(|branch| branch.wrote()).map_or(first, |branch| branch.shard);
        let now = shards.iter().copied().find(|&shard| shard != wrote)?;
        Some((wrote, now))
    }

    /// Makes `shards` part of the transaction; what the new ones are to be sent first.
    pub(crate) fn join(&mut self, shards: &[ShardIndex], writes: bool) -> Vec<Send> {
        let mut sends = Vec::new();
        for &shard in shards {
            let index = match self.branches.iter().position(|branch| branch.shard == shard) {
                Some(index) => index,
                None => {
                    let role = if self.branches.is_empty() { Role::Primary } else { Role::Branch };
                    self.branches.push(Branch { shard, role, wrote_at: None });
                    let replays = self.replays.list();
                    sends.push(Send { shard, command: Command::Begin { options: self.options, replays } });
                    self.branches.len() - 1
                }
            };
            if writes && self.branches.get(index).is_some_and(|branch| !branch.wrote()) {
                let now = self.tick();
                if let Some(branch) = self.branches.get_mut(index) {
                    branch.wrote_at = Some(now);
                }
            }
        }
        sends
    }
}

impl Transaction {
    /// A session that has just logged in: no transaction, autocommit on.
    #[must_use]
    pub fn new(dialect: Dialect, kind: TransactionType) -> Self {
        Self { dialect, kind, autocommit: true, next: Options::default(), state: State::Idle }
    }

    /// The isolation that the open transaction was told to have, or the next one; `None`: the default of the session.
    #[must_use]
    pub fn isolation(&self) -> Option<Isolation> {
        let options = match &self.state {
            State::Idle => &self.next,
            State::Open(open) => &open.options,
            State::Failed(failed) => &failed.open.options,
            State::Marking(marking) => &marking.open.options,
            State::Ending(ending) => &ending.open.options,
        };
        options.isolation
    }

    /// The branches, the primary first. Their backends are the session's until they are gone from this list.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        match &self.state {
            State::Idle => &[],
            State::Open(open) => &open.branches,
            State::Failed(failed) => &failed.open.branches,
            State::Marking(marking) => &marking.open.branches,
            State::Ending(ending) => &ending.open.branches,
        }
    }

    /// Where the client stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let (open, failed) = match &self.state {
            State::Idle => return Status::Idle,
            State::Open(open) => (open, false),
            State::Failed(failed) => (&failed.open, true),
            State::Marking(marking) => (&marking.open, marking.failed.is_some()),
            State::Ending(ending) => (&ending.open, false),
        };
        match open.origin {
            Origin::Pipeline | Origin::Statement => Status::Idle,
            Origin::Explicit | Origin::Autocommit if failed => Status::Failed,
            Origin::Explicit | Origin::Autocommit => Status::Open,
        }
    }

    /// Whether the transaction was begun READ ONLY (MySQL has a status flag for it).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.read_only)
    }

    /// MySQL's autocommit, which is kept here and not on the backends.
    #[must_use]
    pub fn autocommit(&self) -> bool {
        self.autocommit
    }

    /// The type that the current transaction has, or the next will have.
    #[must_use]
    pub fn transaction_type(&self) -> TransactionType {
        match &self.state {
            State::Open(open) => open.kind,
            _ => self.kind,
        }
    }

    /// `SET dbmesh.transaction_type`: for this transaction if no shard was touched yet, and for those that follow.
    ///
    /// # Errors
    /// [`Refusal::TypeFixed`] once a shard was touched.
    pub fn set_transaction_type(&mut self, kind: TransactionType) -> Result<(), Refusal> {
        if !self.branches().is_empty() && kind != self.transaction_type() {
            self.fail();
            return Err(Refusal::TypeFixed);
        }
        if let State::Open(open) = &mut self.state {
            open.kind = kind;
        }
        self.kind = kind;
        Ok(())
    }

    /// Whether any statement but the end of the transaction may run now, also one that needs no shard.
    ///
    /// # Errors
    /// [`Refusal::Aborted`] or [`Refusal::RollbackOnly`] after a failure.
    pub fn admits(&self) -> Result<(), Refusal> {
        match &self.state {
            State::Idle | State::Open(_) => Ok(()),
            State::Failed(failed) => Err(failed.refusal(self.dialect)),
            State::Marking(_) | State::Ending(_) => Err(Refusal::Ending),
        }
    }

    /// Whether a statement for this shard alone can run with nothing sent ahead of it: outside transactions, or where this shard
    /// and no other is part of the one that is open. [`Self::touch`] has no commands and no refusal then.
    #[must_use]
    pub fn has_joined(&self, shard: ShardIndex) -> bool {
        match &self.state {
            State::Idle => self.autocommit && self.next.is_default(),
            State::Open(open) => matches!(&*open.branches, [branch] if branch.shard == shard),
            State::Failed(_) | State::Marking(_) | State::Ending(_) => false,
        }
    }

    /// The client had an error: if the transaction has failed, it knows.
    pub fn client_told(&mut self) {
        if let State::Failed(failed) = &mut self.state {
            failed.told = true;
        }
    }

    /// A statement is about to run on `shards`: what is to be sent to which of them first.
    ///
    /// The answer to each is awaited before the statement is sent (or both go as one text that stops at the first error):
    /// a statement after a BEGIN that failed would commit by itself. Nothing is allocated if nothing is to be sent.
    ///
    /// # Errors
    /// The statement must not be sent; under PostgreSQL the transaction has failed.
    pub fn touch(&mut self, shards: &[ShardIndex], access: Access) -> Result<Vec<Send>, Refusal> {
        self.admits()?;
        if matches!(self.state, State::Idle) && !self.open_for(shards, access)? {
            return Ok(self.single_statement(shards));
        }
        let State::Open(open) = &mut self.state else { return Err(Refusal::Ending) };
        let refusal = match access {
            Access::Read => None,
            Access::Write if open.kind == TransactionType::Local || open.read_only => None,
            Access::Write => open.writer_apart_from(shards).map(|(wrote, now)| Refusal::SecondWriter { wrote, now }),
            Access::CommitsImplicitly => {
                let alone = shards.len() == 1 && open.branches.iter().all(|branch| shards.contains(&branch.shard));
                (!alone).then_some(Refusal::CommitsImplicitly)
            }
        };
        if let Some(refusal) = refusal {
            self.fail();
            return Err(refusal);
        }
        Ok(open.join(shards, access != Access::Read))
    }

    /// Outside a transaction: opens one if the statement needs it, and says whether it did.
    fn open_for(&mut self, shards: &[ShardIndex], access: Access) -> Result<bool, Refusal> {
        let spread = access == Access::Write && shards.len() > 1;
        let origin = match access {
            Access::CommitsImplicitly => return Ok(false),
            Access::Read | Access::Write if !self.autocommit => Origin::Autocommit,
            Access::Write if spread => Origin::Statement,
            Access::Read | Access::Write => return Ok(false),
        };
        if let (true, TransactionType::Atomic, [wrote, now, ..]) = (spread, self.kind, shards) {
            return Err(Refusal::SecondWriter { wrote: *wrote, now: *now });
        }
        self.open(origin, Options::default());
        Ok(true)
    }

    fn single_statement(&mut self, shards: &[ShardIndex]) -> Vec<Send> {
        if self.next.is_default() {
            return Vec::new();
        }
        let options = std::mem::take(&mut self.next);
        shards.iter().map(|&shard| Send { shard, command: Command::Characteristics(options) }).collect()
    }

    pub(crate) fn open(&mut self, origin: Origin, options: Options) {
        let options = std::mem::take(&mut self.next).merged(options);
        self.state = State::Open(Open::new(origin, self.kind, options));
    }

    /// A setting that ends with the transaction (SET LOCAL) succeeded: shards that join later are told it, in order.
    ///
    /// # Errors
    /// [`Refusal::TooManySavepoints`].
    pub fn remember_setting(&mut self, sql: &str) -> Result<(), Refusal> {
        let State::Open(open) = &mut self.state else { return Ok(()) };
        if open.replays.len() >= REPLAYS_MAX {
            self.fail();
            return Err(Refusal::TooManySavepoints(REPLAYS_MAX));
        }
        let now = open.clock;
        open.replays.push(Replay::Setting(sql.into()), now);
        Ok(())
    }

    /// The statement has ended on all its shards. If a transaction was opened for it alone, this ends that too:
    /// [`Flow::Reply`] with [`Reply::Statement`] means that the statement's own answer goes to the client.
    pub fn statement_ended(&mut self, ran: Ran) -> Flow {
        let (origin, already_failed) = match &self.state {
            State::Idle => return Flow::Reply(Reply::Statement),
            State::Open(open) => (open.origin, false),
            State::Failed(failed) => (failed.open.origin, true),
            State::Marking(_) | State::Ending(_) => return Flow::Reply(Reply::Refuse(Refusal::Ending)),
        };
        if origin == Origin::Statement {
            return if ran == Ran::Well && !already_failed { self.commit_implicit() } else { self.rollback_implicit() };
        }
        match (ran, self.dialect) {
            (Ran::Well, _) => {}
            (Ran::Failed { .. }, Dialect::Postgres) => self.fail(),
            (Ran::Failed { others_changed }, Dialect::MySql) => {
                if others_changed {
                    self.break_open(Broken::FailedOnSome, true);
                }
            }
        }
        Flow::Reply(Reply::Statement)
    }

    /// PostgreSQL: the next statement shares its Query, or its pipeline up to Sync, with others. Call it before each of them;
    /// inside a transaction it does nothing.
    pub fn open_pipeline(&mut self) {
        if matches!(self.state, State::Idle) {
            self.open(Origin::Pipeline, Options::default());
        }
    }

    /// PostgreSQL: the Query is over, or Sync arrived. Commits what [`Self::open_pipeline`] opened, or rolls it back if
    /// a statement failed; a reply other than [`Reply::Statement`] goes to the client as an error.
    pub fn close_pipeline(&mut self) -> Flow {
        match &self.state {
            State::Open(open) if open.origin == Origin::Pipeline => self.commit_implicit(),
            State::Failed(failed) if failed.open.origin == Origin::Pipeline => self.rollback_implicit(),
            _ => Flow::Reply(Reply::Statement),
        }
    }

    /// A branch is gone without a command of ours. What is left of the transaction follows from how.
    ///
    /// MySQL's ERR packet does not say whether the transaction is still open: after an error inside a transaction ask
    /// (COM_PING), and call this with [`Gone::RolledBack`] if it is not. Not while answers of a round are awaited.
    pub fn branch_gone(&mut self, shard: ShardIndex, how: Gone) -> Aftermath {
        let nothing = Aftermath { rollbacks: Vec::new(), refusal: None };
        let open = match &mut self.state {
            State::Open(open) => open,
            State::Failed(failed) => &mut failed.open,
            State::Idle | State::Marking(_) | State::Ending(_) => return nothing,
        };
        let Some(index) = open.branches.iter().position(|branch| branch.shard == shard) else { return nothing };
        open.branches.remove(index);
        if how == Gone::NeverBegan {
            if let Some(first) = open.branches.first_mut() {
                first.role = Role::Primary;
            }
            self.fail();
            return nothing;
        }
        let rollbacks = open.everywhere(&Command::Rollback);
        open.branches.clear();
        let mut refusal = None;
        match how {
            Gone::Ended if rollbacks.is_empty() => self.state = State::Idle,
            Gone::RolledBack if self.dialect == Dialect::MySql => self.state = State::Idle,
            Gone::Ended => {
                refusal = Some(Refusal::EndedByServer(shard));
                self.break_open(Broken::EndedByServer, false);
            }
            Gone::RolledBack => self.break_open(Broken::EndedByServer, false),
            Gone::Lost | Gone::NeverBegan => self.break_open(Broken::ConnectionLost, false),
        }
        Aftermath { rollbacks, refusal }
    }

    /// The session waits for others that wait for it (the pool refused it as the youngest), so its transaction must let go of
    /// all it holds, at once: an error alone would leave the others waiting. Under MySQL it is over, as after error 1213;
    /// under PostgreSQL it has failed, and ROLLBACK TO cannot heal it.
    pub fn give_way(&mut self) -> Aftermath {
        let open = match &mut self.state {
            State::Open(open) => open,
            State::Failed(failed) => &mut failed.open,
            State::Idle | State::Marking(_) | State::Ending(_) => {
                return Aftermath { rollbacks: Vec::new(), refusal: None };
            }
        };
        let rollbacks = open.everywhere(&Command::Rollback);
        open.branches.clear();
        match self.dialect {
            Dialect::MySql => self.state = State::Idle,
            Dialect::Postgres => self.break_open(Broken::Deadlock, false),
        }
        Aftermath { rollbacks, refusal: None }
    }

    /// The session ends, or is reset (COM_RESET_CONNECTION, COM_CHANGE_USER, DISCARD ALL outside a transaction):
    /// what to roll back. Nothing is awaited; a backend on which it fails is closed.
    pub fn abandon(&mut self) -> Vec<Send> {
        let rollbacks =
            self.branches().iter().map(|branch| Send { shard: branch.shard, command: Command::Rollback }).collect();
        *self = Self::new(self.dialect, self.kind);
        rollbacks
    }

    /// PostgreSQL: an error inside a transaction makes it fail.
    pub(crate) fn fail(&mut self) {
        if self.dialect == Dialect::Postgres {
            self.break_open(Broken::StatementFailed, true);
        }
    }

    pub(crate) fn break_open(&mut self, why: Broken, intact: bool) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(open) => State::Failed(Failed { open, why, intact, told: why == Broken::StatementFailed }),
            State::Failed(failed) => {
                let intact = failed.intact && intact;
                let told = failed.told || why == Broken::StatementFailed;
                let why = if intact { failed.why } else { why };
                State::Failed(Failed { open: failed.open, why, intact, told })
            }
            other => other,
        };
    }
}
