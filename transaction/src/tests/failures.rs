//! COMMIT that fails at every place and in every way, branches that vanish: what is reported is what happened.

use super::*;
use crate::{Broken, Gone, Outcome, Refusal, Status, Tag};

fn started(dialect: Dialect, writers: &[ShardIndex], readers: &[ShardIndex], shards: usize) -> Session {
    let mut session = Session::new(dialect, TransactionType::Local, shards);
    session.verb(Verb::begin());
    for &shard in writers {
        assert_eq!(session.write(shard, 1), Reply::Statement);
    }
    for &shard in readers {
        assert_eq!(session.read(shard), Reply::Statement);
    }
    session
}

#[test]
fn every_failure_of_every_commit_of_three_branches_is_reported_as_it_was() {
    let says = [None, Some(Answer::Error), Some(Answer::RolledBack), Some(Answer::Lost)];
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        for roles in 0..8_u16 {
            for pattern in 0..64 {
                let writers: Vec<ShardIndex> = (0..3).filter(|shard| roles & (1 << shard) != 0).collect();
                let readers: Vec<ShardIndex> = (0..3).filter(|shard| roles & (1 << shard) == 0).collect();
                let mut session = started(dialect, &writers, &readers, 3);
                for shard in 0..3 {
                    session.servers[shard].commit_says = says[(pattern >> (2 * shard)) & 3];
                }
                let reply = session.verb(Verb::commit());
                let truly: Vec<ShardIndex> = writers
                    .iter()
                    .copied()
                    .filter(|&shard| session.servers[usize::from(shard)].committed == [1])
                    .collect();
                let context = format!("{dialect:?} writers {writers:?} pattern {pattern:06b}: {reply:?}");
                match &reply {
                    Reply::Done { tag: Tag::Commit, .. } => assert_eq!(truly, writers, "{context}"),
                    Reply::Done { tag: Tag::Rollback, .. } | Reply::Relay(_) => {
                        assert!(truly.is_empty(), "{context}");
                    }
                    Reply::Refuse(Refusal::Split(outcome) | Refusal::Unknown(outcome)) => {
                        check_outcome(outcome, &truly, &writers, &context);
                        let split = !outcome.committed.is_empty();
                        assert_eq!(matches!(reply, Reply::Refuse(Refusal::Split(_))), split, "{context}");
                    }
                    other => panic!("{context}: {other:?}"),
                }
                assert_eq!(session.transaction.status(), Status::Idle, "{context}");
            }
        }
    }
}

fn check_outcome(outcome: &Outcome, truly: &[ShardIndex], writers: &[ShardIndex], context: &str) {
    for shard in writers {
        let committed = truly.contains(shard);
        let unknown = outcome.unknown.contains(shard);
        assert_eq!(outcome.committed.contains(shard), committed && !unknown, "{context}");
        assert_eq!(outcome.rolled_back.contains(shard), !committed && !unknown, "{context}");
    }
}

#[test]
fn readers_commit_first_and_a_failure_there_stops_the_writers() {
    let mut session = started(Dialect::Postgres, &[0, 1], &[2], 3);
    session.servers[2].commit_says = Some(Answer::Error);
    assert_eq!(session.verb(Verb::commit()), Reply::Relay(2));
    assert_eq!(session.committed(), "[] [] []");
}

#[test]
fn a_split_names_its_shards() {
    let mut session = started(Dialect::MySql, &[0, 1, 2], &[], 3);
    session.servers[1].commit_says = Some(Answer::Error);
    let Reply::Refuse(refusal) = session.verb(Verb::commit()) else { panic!("split") };
    assert_eq!(
        refusal.to_string(),
        "the transaction ended differently on its shards: committed on shard 0, 2; rolled back on shard 1"
    );
}

#[test]
fn a_lost_answer_to_the_only_commit_is_an_unknown_outcome() {
    let mut session = started(Dialect::MySql, &[1], &[], 2);
    session.servers[1].commit_says = Some(Answer::Lost);
    let outcome = Outcome { unknown: vec![1], ..Outcome::default() };
    assert_eq!(session.verb(Verb::commit()), Reply::Refuse(Refusal::Unknown(outcome)));
}

#[test]
fn chain_does_not_chain_after_a_commit_that_failed() {
    let mut session = started(Dialect::MySql, &[1], &[], 2);
    session.servers[1].commit_says = Some(Answer::Error);
    assert_eq!(session.verb(Verb::Commit { chain: true, release: false }), Reply::Relay(1));
    assert_eq!(session.transaction.status(), Status::Idle);
}

#[test]
fn a_mysql_deadlock_on_one_shard_ends_the_transaction_on_all() {
    let mut session = started(Dialect::MySql, &[0, 1], &[], 2);
    session.servers[1].open = None;
    let aftermath = session.transaction.branch_gone(1, Gone::RolledBack);
    assert_eq!(aftermath.refusal, None);
    session.send(&aftermath.rollbacks);
    session.check();
    assert_eq!(
        session.transaction.statement_ended(Ran::Failed { others_changed: false }),
        Flow::Reply(Reply::Statement)
    );
    assert_eq!(session.transaction.status(), Status::Idle);
    // As on one server the next statement commits by itself.
    session.write(0, 7);
    assert_eq!(session.committed(), "[7] []");
}

#[test]
fn a_lost_connection_leaves_a_transaction_that_can_only_be_rolled_back() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = started(dialect, &[0, 1], &[], 2);
        session.verb(savepoint("a"));
        session.servers[1].open = None;
        let aftermath = session.transaction.branch_gone(1, Gone::Lost);
        session.send(&aftermath.rollbacks);
        assert!(matches!(session.transaction.statement_ended(Ran::Failed { others_changed: false }), Flow::Reply(_)));
        session.check();
        let expected = match dialect {
            Dialect::MySql => Refusal::RollbackOnly(Broken::ConnectionLost),
            Dialect::Postgres => Refusal::Aborted,
        };
        assert_eq!(session.write(0, 2), Reply::Refuse(expected.clone()));
        assert_eq!(session.verb(rollback_to("a")), Reply::Refuse(expected));
        let reply = session.verb(Verb::commit());
        match dialect {
            Dialect::MySql => assert_eq!(reply, Reply::Refuse(Refusal::RolledBack(Broken::ConnectionLost))),
            Dialect::Postgres => assert!(matches!(reply, Reply::Done { tag: Tag::Rollback, .. })),
        }
        assert_eq!(session.committed(), "[] []");
        session.write(0, 3);
        assert_eq!(session.servers[0].committed, [3]);
    }
}

#[test]
fn a_branch_lost_between_two_statements_is_never_passed_over() {
    // The next thing that the client does is COMMIT.
    let mut session = started(Dialect::Postgres, &[0], &[], 1);
    session.servers[0].open = None;
    let aftermath = session.transaction.branch_gone(0, Gone::Lost);
    assert_eq!(aftermath.rollbacks.len(), 0);
    assert_eq!(session.verb(Verb::commit()), Reply::Refuse(Refusal::RolledBack(Broken::ConnectionLost)));
    assert_eq!(session.transaction.status(), Status::Idle);
    // It is another statement: that says so, and then COMMIT need not.
    let mut session = started(Dialect::Postgres, &[0], &[], 1);
    session.servers[0].open = None;
    let _ = session.transaction.branch_gone(0, Gone::Lost);
    assert_eq!(session.transaction.admits(), Err(Refusal::RollbackOnly(Broken::ConnectionLost)));
    session.transaction.client_told();
    assert_eq!(session.transaction.admits(), Err(Refusal::Aborted));
    assert!(matches!(session.verb(Verb::commit()), Reply::Done { tag: Tag::Rollback, .. }));
    assert_eq!(session.committed(), "[]");
}

#[test]
fn a_server_that_ends_its_part_while_others_are_open_is_an_alarm() {
    let mut session = started(Dialect::MySql, &[0, 1], &[], 2);
    session.servers[1].open = None;
    let aftermath = session.transaction.branch_gone(1, Gone::Ended);
    assert_eq!(aftermath.refusal, Some(Refusal::EndedByServer(1)));
    session.send(&aftermath.rollbacks);
    assert_eq!(session.write(0, 2), Reply::Refuse(Refusal::RollbackOnly(Broken::EndedByServer)));
    assert!(matches!(session.verb(Verb::rollback()), Reply::Done { .. }));
}

#[test]
fn a_server_that_ends_the_only_part_ends_the_transaction() {
    let mut session = started(Dialect::MySql, &[0], &[], 2);
    assert_eq!(session.transaction.touch(&[0], Access::CommitsImplicitly), Ok(Vec::new()));
    session.servers[0].open = None;
    let aftermath = session.transaction.branch_gone(0, Gone::Ended);
    assert_eq!((aftermath.rollbacks, aftermath.refusal), (Vec::new(), None));
    assert_eq!(session.transaction.status(), Status::Idle);
}

#[test]
fn a_branch_that_never_began_is_forgotten_and_may_join_again() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Local, 2);
    session.verb(Verb::begin());
    assert_eq!(session.transaction.touch(&[0], Access::Write).unwrap().len(), 1);
    let aftermath = session.transaction.branch_gone(0, Gone::NeverBegan);
    assert!(aftermath.rollbacks.is_empty());
    assert!(matches!(session.transaction.statement_ended(Ran::Failed { others_changed: false }), Flow::Reply(_)));
    session.check();
    session.write(0, 1);
    session.verb(Verb::commit());
    assert_eq!(session.servers[0].committed, [1]);
}

#[test]
fn a_savepoint_that_fails_on_one_of_several_shards_leaves_only_rollback() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = started(dialect, &[0, 1], &[], 2);
        session.verb(savepoint("a"));
        let Flow::Round(sends) = session.transaction.verb(savepoint("b")) else { panic!("a round") };
        session.send(&sends);
        let flow = session.transaction.answered(&[(0, Answer::Done), (1, Answer::Error)]);
        assert_eq!(flow, Flow::Reply(Reply::Relay(1)));
        assert!(matches!(session.verb(rollback_to("a")), Reply::Refuse(_)));
        assert!(matches!(session.verb(Verb::rollback()), Reply::Done { .. }));
        session.check();
    }
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut session = started(Dialect::MySql, &[0], &[], 2);
    assert_eq!(session.transaction.answered(&[(0, Answer::Done)]), Flow::Reply(Reply::Refuse(Refusal::Ending)));
    session.check();
    let Flow::Round(_) = session.transaction.verb(Verb::commit()) else { panic!("a round") };
    assert_eq!(session.transaction.verb(Verb::begin()), Flow::Reply(Reply::Refuse(Refusal::Ending)));
    assert_eq!(session.transaction.touch(&[0], Access::Read), Err(Refusal::Ending));
    assert!(matches!(session.transaction.answered(&[(0, Answer::Done)]), Flow::Reply(Reply::Done { .. })));
}

#[test]
fn a_session_that_ends_rolls_everything_back() {
    let mut session = started(Dialect::MySql, &[0, 1], &[], 2);
    session.verb(Verb::SetAutocommit(false));
    let sends = session.transaction.abandon();
    session.send(&sends);
    session.check();
    assert!(session.transaction.autocommit());
    assert_eq!(session.committed(), "[] []");
}

#[test]
fn the_youngest_of_a_deadlock_lets_go_of_everything_at_once() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = started(dialect, &[0, 1], &[], 3);
        session.verb(savepoint("a"));
        assert!(session.transaction.touch(&[2], Access::Read).is_ok());
        assert_eq!(session.transaction.branch_gone(2, Gone::NeverBegan).rollbacks, []);
        let aftermath = session.transaction.give_way();
        session.send(&aftermath.rollbacks);
        session.check();
        match dialect {
            Dialect::MySql => assert_eq!(session.transaction.status(), Status::Idle),
            Dialect::Postgres => {
                assert_eq!(session.transaction.status(), Status::Failed);
                assert_eq!(session.verb(rollback_to("a")), Reply::Refuse(Refusal::Aborted));
                assert!(matches!(session.verb(Verb::commit()), Reply::Done { tag: Tag::Rollback, .. }));
            }
        }
        assert_eq!(session.committed(), "[] [] []");
    }
}
