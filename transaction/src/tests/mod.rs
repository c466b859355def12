//! The transaction against simulated servers, and against one naive server that holds all rows.
#![allow(clippy::unwrap_used)]

mod against_one_server;
mod cases;
mod failures;

use crate::{
    Access, Answer, Command, Dialect, Flow, Options, Ran, Replay, Reply, Send, ShardIndex, Transaction,
    TransactionType, Verb,
};

/// A server with one table of numbers, which insists on being spoken to in a sensible order.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub dialect: Dialect,
    pub committed: Vec<u32>,
    pub open: Option<Work>,
    /// What it says to its next COMMIT, if not what is true.
    pub commit_says: Option<Answer>,
    pub heard: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    pub rows: Vec<u32>,
    pub savepoints: Vec<(String, Vec<u32>)>,
    pub failed: bool,
}

impl Server {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, committed: Vec::new(), open: None, commit_says: None, heard: Vec::new() }
    }

    pub fn rows(&self) -> &[u32] {
        self.open.as_ref().map_or(&self.committed, |work| &work.rows)
    }

    /// A statement that inserts `row`, if any, and fails, if told so.
    pub fn statement(&mut self, row: Option<u32>, fails: bool) -> bool {
        match &mut self.open {
            Some(work) => {
                assert!(!work.failed, "a statement in a failed transaction");
                work.failed = fails && self.dialect == Dialect::Postgres;
                work.rows.extend(row.filter(|_| !fails));
            }
            None => self.committed.extend(row.filter(|_| !fails)),
        }
        !fails
    }

    pub fn command(&mut self, command: &Command) -> Answer {
        self.heard.push(crate::sql::text(command, self.dialect).into_owned());
        match command {
            Command::Begin { replays, .. } => {
                assert!(self.open.is_none(), "BEGIN inside a transaction: {:?}", self.heard);
                self.open = Some(Work { rows: self.committed.clone(), ..Work::default() });
                for replay in replays {
                    if let Replay::Savepoint(name) = replay {
                        self.savepoint(name);
                    }
                }
                Answer::Done
            }
            Command::Characteristics(_) => Answer::Done,
            Command::Savepoint(name) => {
                self.savepoint(name);
                Answer::Done
            }
            Command::RollbackTo(name) => self.back_to(name, true),
            Command::Release(name) => self.back_to(name, false),
            Command::Commit => {
                let work = self.open.take().expect("COMMIT outside a transaction");
                if work.failed {
                    return Answer::RolledBack;
                }
                match self.commit_says.take() {
                    None | Some(Answer::Done) => {}
                    Some(refused @ (Answer::Error | Answer::RolledBack)) => return refused,
                    // Lost: it did commit, and nobody heard it.
                    Some(Answer::Lost) => {
                        self.committed = work.rows;
                        return Answer::Lost;
                    }
                }
                self.committed = work.rows;
                Answer::Done
            }
            Command::Rollback => {
                assert!(self.open.take().is_some(), "ROLLBACK outside a transaction: {:?}", self.heard);
                Answer::Done
            }
        }
    }

    fn savepoint(&mut self, name: &str) {
        let work = self.open.as_mut().expect("SAVEPOINT outside a transaction");
        if self.dialect == Dialect::MySql {
            work.savepoints.retain(|(other, _)| other != name);
        }
        work.savepoints.push((name.to_owned(), work.rows.clone()));
    }

    fn back_to(&mut self, name: &str, undo: bool) -> Answer {
        let work = self.open.as_mut().expect("a savepoint verb outside a transaction");
        let Some(index) = work.savepoints.iter().rposition(|(other, _)| other == name) else {
            work.failed = self.dialect == Dialect::Postgres;
            return Answer::Error;
        };
        if undo {
            work.rows.clone_from(&work.savepoints[index].1);
            work.failed = false;
            work.savepoints.truncate(index + 1);
        } else {
            work.savepoints.truncate(index);
        }
        Answer::Done
    }
}

/// A session: the transaction, its servers, and a driver between them.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub transaction: Transaction,
    pub servers: Vec<Server>,
}

impl Session {
    pub fn new(dialect: Dialect, kind: TransactionType, shards: usize) -> Self {
        Self { transaction: Transaction::new(dialect, kind), servers: vec![Server::new(dialect); shards] }
    }

    pub fn send(&mut self, sends: &[Send]) -> Vec<(ShardIndex, Answer)> {
        sends.iter().map(|send| (send.shard, self.servers[usize::from(send.shard)].command(&send.command))).collect()
    }

    pub fn drive(&mut self, mut flow: Flow) -> Reply {
        for _ in 0..20 {
            match flow {
                Flow::Reply(reply) => {
                    self.check();
                    return reply;
                }
                Flow::Round(sends) => {
                    assert!(!sends.is_empty(), "a round without a command");
                    let answers = self.send(&sends);
                    flow = self.transaction.answered(&answers);
                }
            }
        }
        panic!("rounds without end");
    }

    pub fn verb(&mut self, verb: Verb) -> Reply {
        let flow = self.transaction.verb(verb);
        self.drive(flow)
    }

    /// A statement on `shards` that inserts `row` on each; it fails on `fails`, after the others did it.
    pub fn run(&mut self, shards: &[ShardIndex], access: Access, row: Option<u32>, fails: Option<ShardIndex>) -> Reply {
        match self.transaction.touch(shards, access) {
            Ok(sends) => self.send(&sends),
            Err(refusal) => {
                self.check();
                return Reply::Refuse(refusal);
            }
        };
        for &shard in shards {
            self.servers[usize::from(shard)].statement(row, fails == Some(shard));
        }
        let others_changed = access == Access::Write && shards.len() > 1;
        let ran = if fails.is_some() { Ran::Failed { others_changed } } else { Ran::Well };
        let flow = self.transaction.statement_ended(ran);
        let reply = self.drive(flow);
        match (reply, fails) {
            (Reply::Statement, Some(shard)) => Reply::Relay(shard),
            (reply, _) => reply,
        }
    }

    pub fn write(&mut self, shard: ShardIndex, row: u32) -> Reply {
        self.run(&[shard], Access::Write, Some(row), None)
    }

    pub fn read(&mut self, shard: ShardIndex) -> Reply {
        self.run(&[shard], Access::Read, None, None)
    }

    /// Exactly the branches have a transaction open, the first is the primary, and all have the same savepoints.
    pub fn check(&self) {
        let branches = self.transaction.branches();
        for (shard, server) in self.servers.iter().enumerate() {
            let branch = branches.iter().any(|branch| usize::from(branch.shard) == shard);
            assert_eq!(branch, server.open.is_some(), "shard {shard}: {:?}", self.transaction);
        }
        for (index, branch) in branches.iter().enumerate() {
            assert_eq!(branch.role == crate::Role::Primary, index == 0);
        }
    }

    /// The rows of all shards, as text.
    pub fn committed(&self) -> String {
        let rows: Vec<String> = self.servers.iter().map(|server| format!("{:?}", server.committed)).collect();
        rows.join(" ")
    }
}

pub(super) fn begin_with(options: Options) -> Verb {
    Verb::Begin { options, start: false, at_once: std::sync::Arc::default() }
}

pub(super) fn savepoint(name: &str) -> Verb {
    Verb::Savepoint(name.into())
}

pub(super) fn rollback_to(name: &str) -> Verb {
    Verb::RollbackTo(name.into())
}

pub(super) fn release(name: &str) -> Verb {
    Verb::Release(name.into())
}
