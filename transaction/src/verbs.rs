//! What the client's transaction statements mean, by the rules of its dialect.
//! In: BEGIN, SAVEPOINT, SET TRANSACTION and so on, and the answers to what they sent. Out: the order of commits (`ending`).

use std::sync::Arc;

use crate::branch::ShardIndex;
use crate::command::{Answer, Command, Flow, Reply, Tag, Verb, Warning};
use crate::ending::{After, Then, answer_of};
use crate::options::{Dialect, Options};
use crate::refusal::{Broken, Refusal};
use crate::savepoint::{Replay, SavepointName};
use crate::transaction::{Failed, Open, Origin, REPLAYS_MAX, State, Transaction};

/// A BEGIN that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    options: Options,
    tag: Tag,
    at_once: Arc<[ShardIndex]>,
}

/// A verb that was sent to all branches, and whose answers are awaited.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Marking {
    pub(crate) open: Open,
    /// Set if the transaction had failed before (ROLLBACK TO).
    pub(crate) failed: Option<(Broken, bool, bool)>,
    mark: Mark,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
enum Mark {
    Begin(Tag),
    Options(Options, Tag, Option<Warning>),
    Savepoint(SavepointName),
    RollbackTo(SavepointName),
    Release(SavepointName),
}

impl Transaction {
    /// A transaction statement of the client.
    pub fn verb(&mut self, verb: Verb) -> Flow {
        if matches!(self.state, State::Marking(_) | State::Ending(_)) {
            return Flow::Reply(Reply::Refuse(Refusal::Ending));
        }
        match verb {
            Verb::Begin { options, start, at_once } => {
                let tag = if start { Tag::StartTransaction } else { Tag::Begin };
                self.verb_begin(Beginning { options, tag, at_once })
            }
            Verb::Commit { chain, release } => self.verb_end(true, chain, release),
            Verb::Rollback { chain, release } => self.verb_end(false, chain, release),
            Verb::Savepoint(name) => self.verb_savepoint(name),
            Verb::RollbackTo(name) => self.verb_rollback_to(name),
            Verb::Release(name) => self.verb_release(name),
            Verb::SetTransaction(options) => self.verb_set_transaction(options),
            Verb::SetAutocommit(on) => self.verb_set_autocommit(on),
        }
    }

    /// The answers to the last [`Flow::Round`]; a shard that is missing is taken as [`Answer::Lost`].
    pub fn answered(&mut self, answers: &[(ShardIndex, Answer)]) -> Flow {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Ending(ending) => self.ending_answered(ending, answers),
            State::Marking(marking) => self.marking_answered(marking, answers),
            other => {
                self.state = other;
                Flow::Reply(Reply::Refuse(Refusal::Ending))
            }
        }
    }

    fn verb_begin(&mut self, beginning: Beginning) -> Flow {
        match (&mut self.state, self.dialect) {
            (State::Idle, _) => self.begin(beginning),
            (State::Open(_) | State::Failed(_), Dialect::MySql) => {
                let reply = Self::done(beginning.tag, None);
                self.start_commit(After { reply, chain: false, then: Then::Begin(beginning) })
            }
            (State::Open(open), Dialect::Postgres) => {
                let pipeline = open.origin == Origin::Pipeline;
                open.origin = Origin::Explicit;
                let warning = (!pipeline).then_some(Warning::AlreadyInTransaction);
                self.change_options(beginning.options, beginning.tag, warning)
            }
            (State::Failed(failed), dialect @ Dialect::Postgres) => {
                let refusal = failed.refusal(dialect);
                self.refuse(refusal)
            }
            (State::Marking(_) | State::Ending(_), _) => self.refuse(Refusal::Ending),
        }
    }

    /// Opens the transaction; nothing is sent before its first statement, unless a snapshot was asked for.
    pub(crate) fn begin(&mut self, beginning: Beginning) -> Flow {
        self.open(Origin::Explicit, beginning.options);
        if beginning.options.consistent_snapshot
            && !beginning.at_once.is_empty()
            && let State::Open(mut open) = std::mem::replace(&mut self.state, State::Idle)
        {
            let round = open.join(&beginning.at_once, false);
            self.state = State::Marking(Marking { open, failed: None, mark: Mark::Begin(beginning.tag) });
            return Flow::Round(round);
        }
        Flow::Reply(Self::done(beginning.tag, None))
    }

    fn verb_end(&mut self, commit: bool, chain: bool, release: bool) -> Flow {
        let block = match &self.state {
            State::Open(open) => open.origin != Origin::Pipeline,
            State::Failed(failed) => failed.open.origin != Origin::Pipeline,
            _ => false,
        };
        let outside = self.dialect == Dialect::Postgres && !block;
        if outside && chain {
            return self.refuse(Refusal::NoTransaction(if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" }));
        }
        let tag = if commit { Tag::Commit } else { Tag::Rollback };
        let warning = outside.then_some(Warning::NoTransaction);
        let after = After { reply: Reply::Done { tag, warning, disconnect: release }, chain, then: Then::Nothing };
        if commit { self.start_commit(after) } else { self.start_rollback(after) }
    }

    fn verb_savepoint(&mut self, name: SavepointName) -> Flow {
        if let Err(flow) = self.in_block("SAVEPOINT", Tag::Savepoint) {
            return flow;
        }
        if let State::Open(open) = &self.state
            && open.replays.len() >= REPLAYS_MAX
        {
            return self.refuse(Refusal::TooManySavepoints(REPLAYS_MAX));
        }
        let command = Command::Savepoint(Arc::clone(&name));
        self.mark(&command, Mark::Savepoint(name))
    }

    fn verb_rollback_to(&mut self, name: SavepointName) -> Flow {
        if let State::Failed(failed) = &self.state {
            if !failed.intact {
                return Flow::Reply(Reply::Refuse(failed.refusal(self.dialect)));
            }
        } else if let Err(flow) = self.in_block("ROLLBACK TO SAVEPOINT", Tag::Rollback) {
            return self.without_block(flow, &name);
        }
        if !self.knows(&name) {
            return self.refuse(Refusal::NoSuchSavepoint(name.to_string()));
        }
        let command = Command::RollbackTo(Arc::clone(&name));
        self.mark(&command, Mark::RollbackTo(name))
    }

    fn verb_release(&mut self, name: SavepointName) -> Flow {
        if let Err(flow) = self.in_block("RELEASE SAVEPOINT", Tag::Release) {
            return self.without_block(flow, &name);
        }
        if !self.knows(&name) {
            return self.refuse(Refusal::NoSuchSavepoint(name.to_string()));
        }
        let command = Command::Release(Arc::clone(&name));
        self.mark(&command, Mark::Release(name))
    }

    fn verb_set_transaction(&mut self, options: Options) -> Flow {
        match (&self.state, self.dialect) {
            (State::Idle, Dialect::MySql) => {
                self.next = self.next.merged(options);
                Flow::Reply(Self::done(Tag::Set, None))
            }
            (_, Dialect::MySql) => self.refuse(Refusal::InProgress),
            (State::Idle, Dialect::Postgres) => Flow::Reply(Self::done(Tag::Set, Some(Warning::SetOutsideTransaction))),
            (State::Failed(failed), dialect @ Dialect::Postgres) => {
                let refusal = failed.refusal(dialect);
                self.refuse(refusal)
            }
            (_, Dialect::Postgres) => self.change_options(options, Tag::Set, None),
        }
    }

    fn verb_set_autocommit(&mut self, on: bool) -> Flow {
        let reply = Self::done(Tag::Set, None);
        if on && !self.autocommit {
            return self.start_commit(After { reply, chain: false, then: Then::Autocommit });
        }
        self.autocommit = on;
        Flow::Reply(reply)
    }

    /// PostgreSQL: SET TRANSACTION, or BEGIN with options, inside a transaction.
    fn change_options(&mut self, options: Options, tag: Tag, warning: Option<Warning>) -> Flow {
        if let State::Open(open) = &mut self.state
            && open.branches.is_empty()
            && open.replays.len() == 0
        {
            open.options = open.options.merged(options);
            open.read_only = open.options.read_only.unwrap_or(false);
            return Flow::Reply(Self::done(tag, warning));
        }
        if options.is_default() {
            return Flow::Reply(Self::done(tag, warning));
        }
        self.mark(&Command::Characteristics(options), Mark::Options(options, tag, warning))
    }

    /// Whether a savepoint verb may go on: PostgreSQL wants a transaction block, MySQL under autocommit does nothing outside.
    fn in_block(&mut self, verb: &'static str, tag: Tag) -> Result<(), Flow> {
        match (&self.state, self.dialect) {
            (State::Open(open), Dialect::Postgres) if open.origin == Origin::Pipeline => {
                Err(self.refuse(Refusal::NoTransaction(verb)))
            }
            (State::Open(_), _) => Ok(()),
            (State::Failed(failed), _) => Err(Flow::Reply(Reply::Refuse(failed.refusal(self.dialect)))),
            (State::Idle, Dialect::Postgres) => Err(self.refuse(Refusal::NoTransaction(verb))),
            (State::Idle, Dialect::MySql) if self.autocommit => Err(Flow::Reply(Self::done(tag, None))),
            (State::Idle, Dialect::MySql) => {
                self.open(Origin::Autocommit, Options::default());
                Ok(())
            }
            (State::Marking(_) | State::Ending(_), _) => Err(Flow::Reply(Reply::Refuse(Refusal::Ending))),
        }
    }

    /// MySQL outside a transaction: SAVEPOINT does nothing, but ROLLBACK TO and RELEASE miss the savepoint.
    fn without_block(&self, flow: Flow, name: &SavepointName) -> Flow {
        match flow {
            Flow::Reply(Reply::Done { .. }) => Flow::Reply(Reply::Refuse(Refusal::NoSuchSavepoint(name.to_string()))),
            other => other,
        }
    }

    /// Whether the savepoint may exist. With one branch the server is asked: a procedure, or a text of several statements,
    /// can have set it.
    fn knows(&self, name: &str) -> bool {
        let (State::Open(open) | State::Failed(Failed { open, .. })) = &self.state else { return false };
        open.replays.contains(name, self.dialect) || open.branches.len() == 1
    }

    /// Sends a verb to all branches; without branches it is done.
    fn mark(&mut self, command: &Command, mark: Mark) -> Flow {
        let (open, failed) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(open) => (open, None),
            State::Failed(failed) => (failed.open, Some((failed.why, failed.intact, failed.told))),
            other => {
                self.state = other;
                return Flow::Reply(Reply::Refuse(Refusal::Ending));
            }
        };
        let round = open.everywhere(command);
        let marking = Marking { open, failed, mark };
        if round.is_empty() {
            return self.marked(marking);
        }
        self.state = State::Marking(marking);
        Flow::Round(round)
    }

    fn marking_answered(&mut self, mut marking: Marking, answers: &[(ShardIndex, Answer)]) -> Flow {
        let all: Vec<(ShardIndex, Answer)> =
            marking.open.branches.iter().map(|branch| (branch.shard, answer_of(answers, branch.shard))).collect();
        let Some(&(shard, _)) = all.iter().find(|(_, answer)| *answer != Answer::Done) else {
            return self.marked(marking);
        };
        let relay = After::reply(Reply::Relay(shard));
        if let Some(&(lost, _)) = all.iter().find(|(_, answer)| *answer == Answer::Lost) {
            let relay = After::reply(Reply::Relay(lost));
            let begun = |branch: &crate::branch::Branch| answer_of(answers, branch.shard) != Answer::Lost;
            marking.open.branches.retain(begun);
            let broken = if matches!(marking.mark, Mark::Begin(_)) { None } else { Some(Broken::ConnectionLost) };
            return self.roll_back(marking.open, relay, broken);
        }
        if matches!(marking.mark, Mark::Begin(_)) {
            marking.open.branches.retain(|branch| answer_of(answers, branch.shard) == Answer::Done);
            return self.roll_back(marking.open, relay, None);
        }
        let agree = all.iter().all(|(_, answer)| *answer != Answer::Done);
        self.state = match marking.failed {
            Some((why, intact, told)) => State::Failed(Failed { open: marking.open, why, intact, told }),
            None => State::Open(marking.open),
        };
        if agree || matches!(marking.mark, Mark::Options(..)) {
            self.fail();
        } else {
            self.break_open(Broken::SavepointDiffers, false);
        }
        Flow::Reply(relay.reply)
    }

    /// All branches did it.
    fn marked(&mut self, marking: Marking) -> Flow {
        let Marking { mut open, failed, mark } = marking;
        let dialect = self.dialect;
        let mut heals = false;
        let reply = match mark {
            Mark::Begin(tag) => Self::done(tag, None),
            Mark::Options(options, tag, warning) => {
                let now = open.clock;
                open.read_only = options.read_only.unwrap_or(open.read_only);
                open.replays.push(Replay::Options(options), now);
                Self::done(tag, warning)
            }
            Mark::Savepoint(name) => {
                let now = open.tick();
                open.replays.savepoint(name, now, dialect);
                Self::done(Tag::Savepoint, None)
            }
            Mark::RollbackTo(name) => {
                heals = true;
                if let Some(at) = open.replays.rollback_to(&name, dialect) {
                    for branch in &mut open.branches {
                        branch.wrote_at = branch.wrote_at.filter(|wrote| *wrote < at);
                    }
                }
                Self::done(Tag::Rollback, None)
            }
            Mark::Release(name) => {
                open.replays.release(&name, dialect);
                Self::done(Tag::Release, None)
            }
        };
        self.state = match failed {
            Some((why, intact, told)) if !heals => State::Failed(Failed { open, why, intact, told }),
            _ => State::Open(open),
        };
        Flow::Reply(reply)
    }

    /// Says no; under PostgreSQL that makes the transaction fail.
    fn refuse(&mut self, refusal: Refusal) -> Flow {
        self.fail();
        Flow::Reply(Reply::Refuse(refusal))
    }
}
