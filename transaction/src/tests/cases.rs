//! What is sent, word by word, and the corners of both dialects.

use std::sync::Arc;

use super::*;
use crate::{Isolation, Refusal, Status, Tag, Warning};

fn heard(session: &Session, shard: usize) -> Vec<&str> {
    session.servers[shard].heard.iter().map(String::as_str).collect()
}

fn done(tag: Tag) -> Reply {
    Reply::Done { tag, warning: None, disconnect: false }
}

fn warned(tag: Tag, warning: Warning) -> Reply {
    Reply::Done { tag, warning: Some(warning), disconnect: false }
}

fn open(dialect: Dialect, kind: TransactionType) -> Session {
    let mut session = Session::new(dialect, kind, 3);
    session.verb(Verb::begin());
    session
}

#[test]
fn a_transaction_on_one_shard_sends_what_a_direct_client_sends() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = open(dialect, TransactionType::Atomic);
        session.write(1, 1);
        session.read(1);
        assert_eq!(session.verb(Verb::commit()), done(Tag::Commit));
        assert_eq!(heard(&session, 1), ["BEGIN", "COMMIT"]);
        assert!(heard(&session, 0).is_empty() && heard(&session, 2).is_empty());
    }
}

#[test]
fn a_transaction_without_statements_sends_nothing() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = open(dialect, TransactionType::Atomic);
        assert_eq!(session.transaction.status(), Status::Open);
        session.verb(savepoint("a"));
        assert_eq!(session.verb(rollback_to("a")), done(Tag::Rollback));
        assert_eq!(session.verb(Verb::commit()), done(Tag::Commit));
        assert!((0..3).all(|shard| heard(&session, shard).is_empty()));
    }
}

#[test]
fn a_shard_that_joins_late_is_told_options_and_open_savepoints_in_order() {
    let options = Options {
        isolation: Some(Isolation::Serializable),
        read_only: Some(true),
        deferrable: Some(true),
        consistent_snapshot: false,
    };
    let mut session = Session::new(Dialect::Postgres, TransactionType::Atomic, 2);
    session.verb(begin_with(options));
    session.read(0);
    session.verb(savepoint("a"));
    session.verb(savepoint("b"));
    session.verb(savepoint("a"));
    session.verb(release("a"));
    session.verb(savepoint("odd \"name"));
    session.transaction.remember_setting("SET LOCAL work_mem = '1MB'").unwrap();
    session.read(1);
    assert_eq!(
        heard(&session, 1),
        ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SAVEPOINT \"a\"; SAVEPOINT \"b\"; \
          SAVEPOINT \"odd \"\"name\"; SET LOCAL work_mem = '1MB'"]
    );
}

#[test]
fn a_local_setting_is_undone_with_its_savepoint() {
    let mut session = open(Dialect::Postgres, TransactionType::Atomic);
    session.verb(savepoint("a"));
    session.transaction.remember_setting("SET LOCAL x = 1").unwrap();
    session.verb(rollback_to("a"));
    session.read(0);
    assert_eq!(heard(&session, 0), ["BEGIN; SAVEPOINT \"a\""]);
}

#[test]
fn mysql_options_go_before_and_into_start_transaction() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Atomic, 2);
    let isolation = Options { isolation: Some(Isolation::ReadCommitted), ..Options::default() };
    session.verb(Verb::SetTransaction(isolation));
    session.verb(begin_with(Options { read_only: Some(true), ..Options::default() }));
    assert!(session.transaction.is_read_only());
    assert_eq!(session.verb(Verb::SetTransaction(isolation)), Reply::Refuse(Refusal::InProgress));
    session.read(0);
    assert_eq!(heard(&session, 0), ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ ONLY"]);
    // The same characteristics hold after AND CHAIN, and not after that.
    session.verb(Verb::Commit { chain: true, release: false });
    session.read(1);
    assert_eq!(heard(&session, 1), heard(&session, 0)[..1]);
    session.verb(Verb::commit());
    session.verb(Verb::begin());
    session.read(1);
    assert_eq!(heard(&session, 1)[1..], ["COMMIT", "BEGIN"]);
}

#[test]
fn mysql_set_transaction_holds_for_one_statement_under_autocommit() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Atomic, 2);
    session.verb(Verb::SetTransaction(Options { isolation: Some(Isolation::Serializable), ..Options::default() }));
    session.verb(Verb::SetTransaction(Options { read_only: Some(true), ..Options::default() }));
    session.read(1);
    session.read(1);
    assert_eq!(heard(&session, 1), ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"]);
}

#[test]
fn a_consistent_snapshot_is_taken_at_once() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Atomic, 2);
    let options = Options { consistent_snapshot: true, ..Options::default() };
    let reply = session.verb(Verb::Begin { options, start: true, at_once: Arc::from([0, 1]) });
    assert_eq!(reply, done(Tag::StartTransaction));
    assert_eq!(heard(&session, 0), ["START TRANSACTION WITH CONSISTENT SNAPSHOT"]);
    assert_eq!(heard(&session, 1), heard(&session, 0));
    session.read(1);
    session.verb(Verb::commit());
    assert_eq!(heard(&session, 0)[1..], ["COMMIT"]);
}

#[test]
fn a_consistent_snapshot_that_fails_on_one_shard_begins_nowhere() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Atomic, 2);
    let options = Options { consistent_snapshot: true, ..Options::default() };
    let flow = session.transaction.verb(Verb::Begin { options, start: true, at_once: Arc::from([0, 1]) });
    let Flow::Round(sends) = flow else { panic!("a round") };
    session.send(&sends[..1]);
    let flow = session.transaction.answered(&[(0, Answer::Done), (1, Answer::Error)]);
    assert_eq!(session.drive(flow), Reply::Relay(1));
    assert_eq!(session.transaction.status(), Status::Idle);
}

#[test]
fn a_second_writer_is_refused_and_what_follows_is_the_dialect_s() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = open(dialect, TransactionType::Atomic);
        session.write(1, 1);
        assert_eq!(session.read(0), Reply::Statement);
        assert_eq!(session.write(2, 1), Reply::Refuse(Refusal::SecondWriter { wrote: 1, now: 2 }));
        assert!(heard(&session, 2).is_empty());
        match dialect {
            Dialect::MySql => assert_eq!(session.verb(Verb::commit()), done(Tag::Commit)),
            Dialect::Postgres => assert_eq!(session.verb(Verb::commit()), done(Tag::Rollback)),
        }
        let kept: &[u32] = if dialect == Dialect::MySql { &[1] } else { &[] };
        assert_eq!(session.servers[1].committed, kept);
    }
}

#[test]
fn a_write_that_was_rolled_back_to_a_savepoint_is_no_write() {
    let mut session = open(Dialect::MySql, TransactionType::Atomic);
    session.verb(savepoint("a"));
    session.write(0, 1);
    session.verb(rollback_to("a"));
    assert_eq!(session.write(1, 2), Reply::Statement);
    session.verb(savepoint("b"));
    session.write(1, 3);
    session.verb(rollback_to("b"));
    assert_eq!(session.write(0, 4), Reply::Refuse(Refusal::SecondWriter { wrote: 1, now: 0 }));
}

#[test]
fn writes_in_a_read_only_transaction_get_the_server_s_own_error() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Atomic, 2);
    session.verb(begin_with(Options { read_only: Some(true), ..Options::default() }));
    for shard in [0, 1] {
        let reply = session.run(&[shard], Access::Write, Some(1), Some(shard));
        assert_eq!(reply, Reply::Relay(shard));
    }
}

#[test]
fn a_statement_that_writes_on_several_shards_needs_the_opt_in() {
    for dialect in [Dialect::MySql, Dialect::Postgres] {
        let mut session = Session::new(dialect, TransactionType::Atomic, 3);
        let refused = session.run(&[2, 0], Access::Write, Some(1), None);
        assert_eq!(refused, Reply::Refuse(Refusal::SecondWriter { wrote: 2, now: 0 }));
        session.transaction.set_transaction_type(TransactionType::Local).unwrap();
        assert_eq!(session.run(&[2, 0], Access::Write, Some(1), None), Reply::Statement);
        assert_eq!(session.committed(), "[1] [] [1]");
        assert_eq!(session.run(&[0, 1], Access::Write, Some(2), Some(1)), Reply::Relay(1));
        assert_eq!(session.committed(), "[1] [] [1]");
        assert_eq!(session.transaction.status(), Status::Idle);
    }
}

#[test]
fn the_type_cannot_change_once_a_shard_was_touched() {
    let mut session = open(Dialect::MySql, TransactionType::Atomic);
    assert_eq!(session.transaction.set_transaction_type(TransactionType::Local), Ok(()));
    session.write(0, 1);
    assert_eq!(session.transaction.set_transaction_type(TransactionType::Local), Ok(()));
    assert_eq!(session.transaction.set_transaction_type(TransactionType::Atomic), Err(Refusal::TypeFixed));
    assert_eq!(session.transaction.transaction_type(), TransactionType::Local);
}

#[test]
fn postgres_verbs_outside_and_inside_a_block() {
    let mut session = Session::new(Dialect::Postgres, TransactionType::Atomic, 2);
    assert_eq!(session.verb(Verb::commit()), warned(Tag::Commit, Warning::NoTransaction));
    assert_eq!(session.verb(Verb::rollback()), warned(Tag::Rollback, Warning::NoTransaction));
    assert_eq!(session.verb(savepoint("a")), Reply::Refuse(Refusal::NoTransaction("SAVEPOINT")));
    let chain = session.verb(Verb::Commit { chain: true, release: false });
    assert_eq!(chain, Reply::Refuse(Refusal::NoTransaction("COMMIT AND CHAIN")));
    let set = Verb::SetTransaction(Options { read_only: Some(true), ..Options::default() });
    assert_eq!(session.verb(set.clone()), warned(Tag::Set, Warning::SetOutsideTransaction));
    assert_eq!(session.transaction.status(), Status::Idle);
    session.verb(Verb::begin());
    assert_eq!(session.verb(Verb::begin()), warned(Tag::Begin, Warning::AlreadyInTransaction));
    assert_eq!(session.verb(set.clone()), done(Tag::Set));
    session.read(0);
    assert_eq!(heard(&session, 0), ["BEGIN READ ONLY"]);
    assert_eq!(session.verb(set), done(Tag::Set));
    assert_eq!(heard(&session, 0)[1..], ["SET TRANSACTION READ ONLY"]);
    session.read(1);
    assert_eq!(heard(&session, 1), ["BEGIN READ ONLY; SET TRANSACTION READ ONLY"]);
}

#[test]
fn a_postgres_error_fails_the_transaction_also_before_any_shard_was_touched() {
    let mut session = open(Dialect::Postgres, TransactionType::Atomic);
    assert_eq!(session.verb(rollback_to("x")), Reply::Refuse(Refusal::NoSuchSavepoint("x".into())));
    assert_eq!(session.transaction.status(), Status::Failed);
    assert_eq!(session.read(0), Reply::Refuse(Refusal::Aborted));
    assert_eq!(session.transaction.admits(), Err(Refusal::Aborted));
    for verb in [Verb::begin(), savepoint("a"), release("a"), Verb::SetTransaction(Options::default())] {
        assert_eq!(session.verb(verb), Reply::Refuse(Refusal::Aborted));
    }
    let chain = session.verb(Verb::Commit { chain: true, release: false });
    assert_eq!(chain, done(Tag::Rollback));
    assert_eq!(session.transaction.status(), Status::Open);
    assert!(heard(&session, 0).is_empty());
}

#[test]
fn postgres_rollback_to_heals_a_failed_transaction_on_all_shards() {
    let mut session = open(Dialect::Postgres, TransactionType::Local);
    session.write(0, 1);
    session.verb(savepoint("a"));
    assert_eq!(session.run(&[1, 0], Access::Write, Some(2), Some(0)), Reply::Relay(0));
    assert_eq!(session.transaction.status(), Status::Failed);
    assert_eq!(session.verb(rollback_to("a")), done(Tag::Rollback));
    assert_eq!(session.transaction.status(), Status::Open);
    session.write(1, 3);
    assert_eq!(session.verb(Verb::commit()), done(Tag::Commit));
    assert_eq!(session.committed(), "[1] [3] []");
}

#[test]
fn a_postgres_pipeline_is_one_transaction() {
    let mut session = Session::new(Dialect::Postgres, TransactionType::Local, 3);
    for shard in [0, 1] {
        session.transaction.open_pipeline();
        session.write(shard, 1);
    }
    assert_eq!(session.transaction.status(), Status::Idle);
    let flow = session.transaction.close_pipeline();
    assert_eq!(session.drive(flow), Reply::Statement);
    assert_eq!(session.committed(), "[1] [1] []");

    session.transaction.open_pipeline();
    session.write(0, 2);
    session.run(&[1], Access::Write, Some(2), Some(1));
    let flow = session.transaction.close_pipeline();
    assert_eq!(session.drive(flow), Reply::Statement);
    assert_eq!(session.committed(), "[1] [1] []");
}

#[test]
fn verbs_inside_a_postgres_pipeline() {
    let mut session = Session::new(Dialect::Postgres, TransactionType::Local, 2);
    session.transaction.open_pipeline();
    session.write(0, 1);
    assert_eq!(session.verb(Verb::commit()), warned(Tag::Commit, Warning::NoTransaction));
    assert_eq!(session.servers[0].committed, [1]);
    session.transaction.open_pipeline();
    session.write(0, 2);
    assert_eq!(session.verb(savepoint("a")), Reply::Refuse(Refusal::NoTransaction("SAVEPOINT")));
    let flow = session.transaction.close_pipeline();
    assert_eq!(session.drive(flow), Reply::Statement);
    assert_eq!(session.servers[0].committed, [1]);
    // BEGIN takes over what the pipeline has done so far, and stays open after it.
    session.transaction.open_pipeline();
    session.write(0, 3);
    assert_eq!(session.verb(Verb::begin()), done(Tag::Begin));
    let flow = session.transaction.close_pipeline();
    assert_eq!(session.drive(flow), Reply::Statement);
    assert_eq!(session.transaction.status(), Status::Open);
    session.verb(Verb::rollback());
    assert_eq!(session.servers[0].committed, [1]);
}

#[test]
fn a_pipeline_of_atomic_type_may_write_on_one_shard() {
    let mut session = Session::new(Dialect::Postgres, TransactionType::Atomic, 2);
    session.transaction.open_pipeline();
    session.write(0, 1);
    assert!(matches!(session.write(1, 1), Reply::Refuse(Refusal::SecondWriter { .. })));
    let flow = session.transaction.close_pipeline();
    session.drive(flow);
    assert_eq!(session.committed(), "[] []");
}

#[test]
fn mysql_release_disconnects() {
    let mut session = open(Dialect::MySql, TransactionType::Atomic);
    session.write(0, 1);
    let reply = session.verb(Verb::Rollback { chain: false, release: true });
    assert_eq!(reply, Reply::Done { tag: Tag::Rollback, warning: None, disconnect: true });
}

#[test]
fn mysql_implicit_commits_are_refused_once_another_shard_is_part() {
    let mut session = Session::new(Dialect::MySql, TransactionType::Local, 2);
    assert_eq!(session.transaction.touch(&[1], Access::CommitsImplicitly), Ok(Vec::new()));
    session.verb(Verb::begin());
    session.write(0, 1);
    assert_eq!(session.transaction.touch(&[1], Access::CommitsImplicitly), Err(Refusal::CommitsImplicitly));
    session.read(1);
    assert_eq!(session.transaction.touch(&[0], Access::CommitsImplicitly), Err(Refusal::CommitsImplicitly));
    assert_eq!(session.verb(Verb::commit()), done(Tag::Commit));
}

#[test]
fn a_server_that_is_alone_is_asked_about_a_savepoint_that_we_do_not_know() {
    let mut session = open(Dialect::MySql, TransactionType::Local);
    assert_eq!(session.verb(rollback_to("p")), Reply::Refuse(Refusal::NoSuchSavepoint("p".into())));
    session.write(0, 1);
    assert_eq!(session.verb(rollback_to("p")), Reply::Relay(0));
    assert_eq!(session.transaction.status(), Status::Open);
    session.write(1, 1);
    assert_eq!(session.verb(rollback_to("p")), Reply::Refuse(Refusal::NoSuchSavepoint("p".into())));
}

#[test]
fn mysql_savepoint_names_ignore_case_and_replace() {
    let mut session = open(Dialect::MySql, TransactionType::Local);
    session.verb(savepoint("One"));
    session.verb(savepoint("two"));
    session.verb(savepoint("ONE"));
    session.read(0);
    assert_eq!(heard(&session, 0), ["BEGIN; SAVEPOINT `two`; SAVEPOINT `ONE`"]);
}

#[test]
fn savepoints_have_a_limit() {
    let mut session = open(Dialect::Postgres, TransactionType::Local);
    for _ in 0..crate::REPLAYS_MAX {
        assert_eq!(session.verb(savepoint("s")), done(Tag::Savepoint));
    }
    assert_eq!(session.verb(savepoint("s")), Reply::Refuse(Refusal::TooManySavepoints(crate::REPLAYS_MAX)));
    assert_eq!(session.transaction.remember_setting("SET LOCAL x = 1"), Ok(()));
    assert_eq!(session.transaction.status(), Status::Failed);
}
