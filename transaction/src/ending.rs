//! COMMIT and ROLLBACK of all branches, and the honest report of how it went.
//! In: the order of commits and what follows from each answer. Out: which verb asked for it (`verbs`).
//!
//! Order: branches that only read are committed first (one that fails there, as a serialization failure, still stops the
//! rest), then the writers one by one in the order in which they joined. Until one has committed, a failure rolls back all;
//! after that, the rest is committed, because that is what the client asked for, and the split is reported.

use crate::branch::ShardIndex;
use crate::command::{Answer, Command, Flow, Reply, Send, Tag, Warning};
use crate::options::Dialect;
use crate::refusal::{Broken, Outcome, Refusal};
use crate::transaction::{Failed, Open, Origin, State, Transaction};
use crate::verbs::Beginning;

/// What happens once the transaction has ended as asked.
#[derive(Clone, Debug)]
pub(crate) struct After {
    pub(crate) reply: Reply,
    pub(crate) chain: bool,
    pub(crate) then: Then,
}

#[derive(Clone, Debug)]
pub(crate) enum Then {
    Nothing,
    /// MySQL: BEGIN inside a transaction commits it and begins the next.
    Begin(Beginning),
    /// MySQL: SET autocommit = 1.
    Autocommit,
}

impl After {
    pub(crate) fn reply(reply: Reply) -> Self {
        Self { reply, chain: false, then: Then::Nothing }
    }
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Ending {
    pub(crate) open: Open,
    stage: Stage,
    after: After,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
enum Stage {
    /// COMMIT went to all branches that only read.
    Readers,
    /// COMMIT went to one writer; `rest` follow.
    Writer { shard: ShardIndex, outcome: Outcome },
    /// ROLLBACK went to all that are left.
    Rollback { broken: Option<Broken> },
}

impl Ending {
    fn next_writer(&self, outcome: &Outcome) -> Option<ShardIndex> {
        let over = |shard: &ShardIndex| {
            outcome.committed.contains(shard) || outcome.rolled_back.contains(shard) || outcome.unknown.contains(shard)
        };
        self.open.branches.iter().filter(|branch| branch.wrote()).map(|branch| branch.shard).find(|shard| !over(shard))
    }
}

impl Transaction {
    /// COMMIT. The caller has dealt with what a verb means outside a transaction.
    pub(crate) fn start_commit(&mut self, after: After) -> Flow {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.conclude(None, after),
            State::Open(open) => {
                let ending = Ending { open, stage: Stage::Readers, after };
                let readers: Vec<Send> = (ending.open.branches.iter().filter(|branch| !branch.wrote()))
                    .map(|branch| Send { shard: branch.shard, command: Command::Commit })
                    .collect();
                if readers.is_empty() {
                    return self.commit_next(ending, Outcome::default());
                }
                self.state = State::Ending(ending);
                Flow::Round(readers)
            }
            State::Failed(failed) => self.commit_failed(failed, after),
            busy @ (State::Marking(_) | State::Ending(_)) => {
                self.state = busy;
                Flow::Reply(Reply::Refuse(Refusal::Ending))
            }
        }
    }

    /// COMMIT of what can only be rolled back: PostgreSQL does that and says so in the tag, which drivers do not look at: a
    /// client that knows of no error gets one, as under MySQL.
    fn commit_failed(&mut self, failed: Failed, after: After) -> Flow {
        let after = match (self.dialect, after.reply) {
            (Dialect::Postgres, Reply::Done { .. }) if !failed.told => {
                After::reply(Reply::Refuse(Refusal::RolledBack(failed.why)))
            }
            (Dialect::Postgres, Reply::Done { disconnect, .. }) => {
                After { reply: Reply::Done { tag: Tag::Rollback, warning: None, disconnect }, ..after }
            }
            (Dialect::Postgres, reply) => After { reply, ..after },
            (Dialect::MySql, _) => After::reply(Reply::Refuse(Refusal::RolledBack(failed.why))),
        };
        self.roll_back(failed.open, after, None)
    }

    pub(crate) fn start_rollback(&mut self, after: After) -> Flow {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.conclude(None, after),
            State::Open(open) => self.roll_back(open, after, None),
            State::Failed(failed) => self.roll_back(failed.open, after, None),
            busy @ (State::Marking(_) | State::Ending(_)) => {
                self.state = busy;
                Flow::Reply(Reply::Refuse(Refusal::Ending))
            }
        }
    }

    /// Commits what was opened for one statement or one pipeline.
    pub(crate) fn commit_implicit(&mut self) -> Flow {
        self.start_commit(After::reply(Reply::Statement))
    }

    /// Rolls it back.
    pub(crate) fn rollback_implicit(&mut self) -> Flow {
        self.start_rollback(After::reply(Reply::Statement))
    }

    /// Rolls the branches back; then the transaction is over, or is left without branches as `broken`.
    pub(crate) fn roll_back(&mut self, mut open: Open, after: After, broken: Option<Broken>) -> Flow {
        let round = open.everywhere(&Command::Rollback);
        if round.is_empty() {
            if let Some(why) = broken {
                open.branches.clear();
                self.state = State::Failed(Failed { open, why, intact: false, told: true });
                return Flow::Reply(after.reply);
            }
            return self.conclude(Some(open), after);
        }
        self.state = State::Ending(Ending { open, stage: Stage::Rollback { broken }, after });
        Flow::Round(round)
    }

    fn commit_next(&mut self, mut ending: Ending, outcome: Outcome) -> Flow {
        if let Some(shard) = ending.next_writer(&outcome) {
            ending.stage = Stage::Writer { shard, outcome };
            self.state = State::Ending(ending);
            return Flow::Round(vec![Send { shard, command: Command::Commit }]);
        }
        if outcome.rolled_back.is_empty() && outcome.unknown.is_empty() {
            return self.conclude(Some(ending.open), ending.after);
        }
        self.state = State::Idle;
        Flow::Reply(Reply::Refuse(Refusal::Split(outcome)))
    }

    /// The answers to a round of COMMIT or ROLLBACK.
    pub(crate) fn ending_answered(&mut self, mut ending: Ending, answers: &[(ShardIndex, Answer)]) -> Flow {
        match std::mem::replace(&mut ending.stage, Stage::Readers) {
            Stage::Readers => {
                let bad = (ending.open.branches.iter().filter(|branch| !branch.wrote()))
                    .map(|branch| (branch.shard, answer_of(answers, branch.shard)))
                    .find(|(_, answer)| *answer != Answer::Done);
                match bad {
                    None => self.commit_next(ending, Outcome::default()),
                    Some((shard, answer)) => {
                        ending.open.branches.retain(crate::branch::Branch::wrote);
                        self.abort_commit(ending, shard, answer)
                    }
                }
            }
            Stage::Writer { shard, outcome } => self.writer_answered(ending, shard, outcome, answer_of(answers, shard)),
            Stage::Rollback { broken } => match broken {
                None => self.conclude(Some(ending.open), ending.after),
                Some(why) => {
                    let mut open = ending.open;
                    open.branches.clear();
                    self.state = State::Failed(Failed { open, why, intact: false, told: true });
                    Flow::Reply(ending.after.reply)
                }
            },
        }
    }

    fn writer_answered(&mut self, mut ending: Ending, shard: ShardIndex, mut outcome: Outcome, answer: Answer) -> Flow {
        match answer {
            Answer::Done => outcome.committed.push(shard),
            Answer::Lost => outcome.unknown.push(shard),
            Answer::Error | Answer::RolledBack if outcome.committed.is_empty() => {
                ending.open.branches.retain(|branch| branch.wrote() && branch.shard != shard);
                return self.abort_commit(ending, shard, answer);
            }
            Answer::Error | Answer::RolledBack => outcome.rolled_back.push(shard),
        }
        if !outcome.committed.is_empty() {
            return self.commit_next(ending, outcome);
        }
        // The answer of the first one was lost: nothing else is committed on top of a doubt.
        ending.open.branches.retain(|branch| branch.wrote() && branch.shard != shard);
        outcome.rolled_back = ending.open.branches.iter().map(|branch| branch.shard).collect();
        self.roll_back(ending.open, After::reply(Reply::Refuse(Refusal::Unknown(outcome))), None)
    }

    /// Nothing has committed yet and `shard` will not: rolls back what is left in `ending`.
    fn abort_commit(&mut self, ending: Ending, shard: ShardIndex, answer: Answer) -> Flow {
        let after = match (answer, ending.after.reply) {
            (Answer::RolledBack, Reply::Done { disconnect, .. }) => {
                let reply = Reply::Done { tag: Tag::Rollback, warning: None, disconnect };
                After { reply, chain: ending.after.chain, then: Then::Nothing }
            }
            _ => After::reply(Reply::Relay(shard)),
        };
        self.roll_back(ending.open, after, None)
    }

    /// The transaction is over.
    pub(crate) fn conclude(&mut self, ended: Option<Open>, after: After) -> Flow {
        self.state = State::Idle;
        if after.chain {
            let options = ended.map(|open| crate::options::Options { consistent_snapshot: false, ..open.options });
            self.open(Origin::Explicit, options.unwrap_or_default());
        }
        match after.then {
            Then::Nothing => {}
            Then::Begin(beginning) => return self.begin(beginning),
            Then::Autocommit => self.autocommit = true,
        }
        Flow::Reply(after.reply)
    }

    pub(crate) fn done(tag: Tag, warning: Option<Warning>) -> Reply {
        Reply::Done { tag, warning, disconnect: false }
    }
}

/// What `shard` answered; a missing answer is a lost one.
pub(crate) fn answer_of(answers: &[(ShardIndex, Answer)], shard: ShardIndex) -> Answer {
    answers.iter().find(|(from, _)| *from == shard).map_or(Answer::Lost, |(_, answer)| *answer)
}
