//! Every short sequence of verbs and statements over two shards, against one naive server with the rows of both:
//! the same rows, the same state, the same successes and failures.

use super::*;
use crate::{Refusal, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    Commit,
    CommitChain,
    Rollback,
    Savepoint(&'static str),
    RollbackTo(&'static str),
    Release(&'static str),
    Autocommit(bool),
    /// Insert on these shards.
    Write(&'static [ShardIndex]),
    /// The same, but it fails on the last of them.
    Fail(&'static [ShardIndex]),
    Read(ShardIndex),
}

/// One server, or what one would do: `None` as the answer is an error.
#[derive(Clone, Debug)]
struct One {
    dialect: Dialect,
    kind: TransactionType,
    autocommit: bool,
    committed: [Vec<u32>; 2],
    open: Option<OneWork>,
}

#[derive(Clone, Debug)]
struct OneWork {
    rows: [Vec<u32>; 2],
    savepoints: Vec<(&'static str, [Vec<u32>; 2])>,
    failed: bool,
}

impl One {
    fn open(&mut self) {
        let rows = self.committed.clone();
        self.open = Some(OneWork { rows, savepoints: Vec::new(), failed: false });
    }

    fn status(&self) -> Status {
        match &self.open {
            None => Status::Idle,
            Some(work) if work.failed => Status::Failed,
            Some(_) => Status::Open,
        }
    }

    fn end(&mut self, commit: bool) -> bool {
        match self.open.take() {
            Some(work) if commit && !work.failed => {
                self.committed = work.rows;
                true
            }
            // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK; ours on MySQL is an error.
            Some(work) if commit && work.failed => self.dialect == Dialect::Postgres,
            _ => true,
        }
    }

    /// Whether it succeeds.
    fn step(&mut self, step: Step, row: u32) -> bool {
        let postgres = self.dialect == Dialect::Postgres;
        let failed = self.open.as_ref().is_some_and(|work| work.failed);
        match step {
            Step::Begin if postgres => {
                if self.open.is_none() {
                    self.open();
                }
                !failed
            }
            Step::Begin => {
                if !self.end(true) {
                    return false;
                }
                self.open();
                true
            }
            Step::Commit => self.end(true),
            Step::Rollback => self.end(false),
            Step::CommitChain if postgres && self.open.is_none() => false,
            Step::CommitChain => {
                let well = self.end(true);
                if well {
                    self.open();
                }
                well
            }
            Step::Autocommit(on) => {
                if on && !self.autocommit && !self.end(true) {
                    return false;
                }
                self.autocommit = on;
                true
            }
            Step::Savepoint(name) => {
                if failed {
                    return false;
                }
                if self.open.is_none() && !postgres && !self.autocommit {
                    self.open();
                }
                let Some(work) = &mut self.open else { return !postgres };
                if !postgres {
                    work.savepoints.retain(|(other, _)| *other != name);
                }
                work.savepoints.push((name, work.rows.clone()));
                true
            }
            Step::RollbackTo(name) | Step::Release(name) => {
                let undo = matches!(step, Step::RollbackTo(_));
                if failed && !undo {
                    return false;
                }
                if self.open.is_none() && !postgres && !self.autocommit {
                    self.open();
                }
                let Some(work) = &mut self.open else { return false };
                let Some(index) = work.savepoints.iter().rposition(|(other, _)| *other == name) else {
                    work.failed |= postgres;
                    return false;
                };
                if undo {
                    work.rows = work.savepoints[index].1.clone();
                    work.failed = false;
                    work.savepoints.truncate(index + 1);
                } else {
                    work.savepoints.truncate(index);
                }
                true
            }
            Step::Write(shards) => self.statement(shards, Some(row), false),
            Step::Fail(shards) => self.statement(shards, Some(row), true),
            Step::Read(shard) => self.statement(&[shard], None, false),
        }
    }

    fn statement(&mut self, shards: &[ShardIndex], row: Option<u32>, fails: bool) -> bool {
        let postgres = self.dialect == Dialect::Postgres;
        let atomic = self.kind == TransactionType::Atomic && row.is_some();
        if self.open.is_none() && atomic && shards.len() > 1 {
            return false;
        }
        if self.open.is_none() && !self.autocommit {
            self.open();
        }
        let Some(work) = &mut self.open else {
            for &shard in shards.iter().filter(|_| !fails) {
                self.committed[usize::from(shard)].extend(row);
            }
            return !fails;
        };
        if work.failed {
            return false;
        }
        if atomic {
            let touched = |shard: usize| {
                work.rows[shard].len() > self.committed[shard].len() || shards.contains(&(shard as ShardIndex))
            };
            if touched(0) && touched(1) {
                work.failed = postgres;
                return false;
            }
        }
        if fails {
            // One server undoes the statement. Ours on MySQL cannot undo it on the other shards, and says so.
            work.failed = postgres || shards.len() > 1;
            return false;
        }
        for &shard in shards {
            work.rows[usize::from(shard)].extend(row);
        }
        true
    }
}

fn apply(session: &mut Session, step: Step, row: u32) -> Reply {
    match step {
        Step::Begin => session.verb(Verb::begin()),
        Step::Commit => session.verb(Verb::commit()),
        Step::CommitChain => session.verb(Verb::Commit { chain: true, release: false }),
        Step::Rollback => session.verb(Verb::rollback()),
        Step::Savepoint(name) => session.verb(savepoint(name)),
        Step::RollbackTo(name) => session.verb(rollback_to(name)),
        Step::Release(name) => session.verb(release(name)),
        Step::Autocommit(on) => session.verb(Verb::SetAutocommit(on)),
        Step::Write(shards) => session.run(shards, Access::Write, Some(row), None),
        Step::Fail(shards) => session.run(shards, Access::Write, Some(row), shards.last().copied()),
        Step::Read(shard) => session.read(shard),
    }
}

fn explore(session: &Session, one: &One, steps: &[Step], path: &mut Vec<Step>, depth: usize, seen: &mut u64) {
    if depth == 0 {
        return;
    }
    for &step in steps {
        let (mut session, mut one) = (session.clone(), one.clone());
        path.push(step);
        *seen += 1;
        let row = u32::try_from(path.len()).unwrap();
        let reply = apply(&mut session, step, row);
        let well = one.step(step, row);
        let got_well = matches!(reply, Reply::Done { .. } | Reply::Statement);
        assert_eq!(got_well, well, "{path:?}: {reply:?}");
        // MySQL has no failed state; a transaction of ours that can only be rolled back shows as one.
        assert_eq!(session.transaction.status(), one.status(), "{path:?}");
        for (shard, server) in session.servers.iter().enumerate() {
            assert_eq!(server.committed, one.committed[shard], "{path:?}: committed on {shard}");
            if let Some(work) = &one.open
                && !work.failed
            {
                assert_eq!(server.rows(), work.rows[shard], "{path:?}: rows on {shard}");
            }
        }
        if matches!(reply, Reply::Refuse(Refusal::SecondWriter { .. })) {
            assert!(one.kind == TransactionType::Atomic, "{path:?}");
        }
        explore(&session, &one, steps, path, depth - 1, seen);
        path.pop();
    }
}

fn run(dialect: Dialect, kind: TransactionType, steps: &[Step], depth: usize) -> u64 {
    let session = Session::new(dialect, kind, 2);
    let one = One { dialect, kind, autocommit: true, committed: [Vec::new(), Vec::new()], open: None };
    let mut seen = 0;
    explore(&session, &one, steps, &mut Vec::new(), depth, &mut seen);
    seen
}

const BOTH: &[Step] = &[
    Step::Begin,
    Step::Commit,
    Step::CommitChain,
    Step::Rollback,
    Step::Savepoint("a"),
    Step::Savepoint("b"),
    Step::RollbackTo("a"),
    Step::RollbackTo("b"),
    Step::Release("a"),
    Step::Write(&[0]),
    Step::Write(&[1]),
    Step::Write(&[0, 1]),
    Step::Fail(&[0]),
    Step::Fail(&[0, 1]),
    Step::Read(1),
];

const MYSQL: &[Step] = &[
    Step::Begin,
    Step::Commit,
    Step::Rollback,
    Step::Savepoint("a"),
    Step::RollbackTo("a"),
    Step::Autocommit(false),
    Step::Autocommit(true),
    Step::Write(&[0]),
    Step::Write(&[1]),
    Step::Fail(&[1, 0]),
];

const SAVEPOINTS: &[Step] = &[
    Step::Savepoint("a"),
    Step::Savepoint("b"),
    Step::RollbackTo("a"),
    Step::RollbackTo("b"),
    Step::Release("a"),
    Step::Write(&[0]),
    Step::Write(&[1]),
];

#[test]
fn all_sequences_of_four_steps_are_as_on_one_server() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let seen = run(dialect, TransactionType::Local, BOTH, 4);
        assert_eq!(seen, 15 + 15_u64.pow(2) + 15_u64.pow(3) + 15_u64.pow(4));
        // A write that failed still makes its shard a writer, which is stricter than one server: not compared here.
        let without: Vec<Step> = BOTH.iter().copied().filter(|step| !matches!(step, Step::Fail(_))).collect();
        run(dialect, TransactionType::Atomic, &without, 4);
    }
}

#[test]
fn mysql_autocommit_is_as_on_one_server() {
    run(Dialect::MySql, TransactionType::Local, MYSQL, 5);
    run(Dialect::MySql, TransactionType::Atomic, MYSQL, 4);
}

#[test]
fn savepoints_and_shards_that_join_late_are_as_on_one_server() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = Session::new(dialect, TransactionType::Local, 2);
        let mut one = One {
            dialect,
            kind: TransactionType::Local,
            autocommit: true,
            committed: [Vec::new(), Vec::new()],
            open: None,
        };
        apply(&mut session, Step::Begin, 0);
        one.step(Step::Begin, 0);
        explore(&session, &one, SAVEPOINTS, &mut vec![Step::Begin], 6, &mut 0);
    }
}
