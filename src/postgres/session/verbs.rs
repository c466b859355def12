//! Statements that the session itself obeys: transactions, its own settings, DEALLOCATE.
//! In: what each means here. Out: the rules of transactions, which are the transaction room's.

use sharding::lexer::verbs::{Discard, Isolation, TransactionModes, TransactionType, Verb, Which};
use transaction::{Answer, Command, Flow, Options, Refusal, Reply, ShardIndex};

use super::Session;
use super::answer;
use super::batch::Portal;
use super::fault::{self, Fault};
use super::relay::send_begin;
use crate::error_code::MeshError;
use crate::pool::CloseReason;
use protocol::postgres::{Audience, Sent, write};

/// Whether the session obeys this statement itself; all others are for a server.
pub fn is_own(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Begin(_)
            | Verb::Commit(_)
            | Verb::Rollback(_)
            | Verb::Savepoint(_)
            | Verb::RollbackTo(_)
            | Verb::Release(_)
            | Verb::SetTransactionType(_)
    ) || matches!(verb, Verb::SetTransaction { snapshot: false, scope, .. } if is_this_transaction(*scope))
}

fn is_this_transaction(scope: sharding::lexer::verbs::Scope) -> bool {
    use sharding::lexer::verbs::Scope;
    matches!(scope, Scope::Default | Scope::Transaction)
}

/// Whether the statement may run in a transaction that has failed.
pub fn ends_failure(verb: Option<&Verb>) -> bool {
    matches!(verb, Some(Verb::Commit(_) | Verb::Rollback(_) | Verb::RollbackTo(_)))
}

/// The modes in the words of the transaction room.
pub fn options(modes: &TransactionModes) -> Options {
    let isolation = modes.isolation.map(|isolation| match isolation {
        Isolation::ReadUncommitted => transaction::Isolation::ReadUncommitted,
        Isolation::ReadCommitted => transaction::Isolation::ReadCommitted,
        Isolation::RepeatableRead => transaction::Isolation::RepeatableRead,
        Isolation::Serializable => transaction::Isolation::Serializable,
    });
    Options { isolation, read_only: modes.read_only, deferrable: modes.deferrable, consistent_snapshot: false }
}

impl Session {
    /// Obeys a statement; its command tag goes to the client.
    pub(super) async fn obey(&mut self, verb: &Verb, sql: &[u8]) -> Result<(), Fault> {
        let name = |name: &sharding::lexer::verbs::Name| String::from_utf8_lossy(&name.text).into_owned().into();
        let verb = match verb {
            Verb::Begin(modes) => {
                let start = sql.trim_ascii_start().first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b's'));
                transaction::Verb::Begin { options: options(modes), start, at_once: std::sync::Arc::default() }
            }
            Verb::Commit(completion) => {
                transaction::Verb::Commit { chain: completion.chain == Some(true), release: false }
            }
            Verb::Rollback(completion) => {
                transaction::Verb::Rollback { chain: completion.chain == Some(true), release: false }
            }
            Verb::Savepoint(savepoint) => transaction::Verb::Savepoint(name(savepoint)),
            Verb::RollbackTo(savepoint) => transaction::Verb::RollbackTo(name(savepoint)),
            Verb::Release(savepoint) => transaction::Verb::Release(name(savepoint)),
            Verb::SetTransaction { modes, .. } => transaction::Verb::SetTransaction(options(modes)),
            Verb::SetTransactionType(kind) => return self.set_transaction_type(*kind),
            _ => return Err(MeshError::Internal("a statement that is for a server".to_owned()).into()),
        };
        // What was set may be undone, on each shard for itself.
        self.set_epoch += 1;
        let flow = self.transaction.verb(verb);
        let reply = self.follow(flow).await?;
        if let Told::Reply(Reply::Done { tag, warning: Some(_), disconnect }) = reply
            && !self.wants_warnings().await?
        {
            return self.tell_reply(Told::Reply(Reply::Done { tag, warning: None, disconnect }));
        }
        self.tell_reply(reply)
    }

    /// Whether the client wants to be told of warnings.
    async fn wants_warnings(&mut self) -> Result<bool, Fault> {
        let level = if self.unlearnt {
            let shard = self.home_shard();
            let index = self.enter(shard, transaction::Access::Read).await?;
            match self.ask(index, b"SHOW client_min_messages", false).await {
                Ok(()) => self.first_column().pop(),
                Err(Fault::Server(_)) => None,
                Err(fault) => return Err(fault),
            }
        } else {
            self.settings.get("client_min_messages").map(str::to_owned)
        };
        Ok(level.is_none_or(|level| level != "error"))
    }

    fn set_transaction_type(&mut self, kind: TransactionType) -> Result<(), Fault> {
        self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        let kind = match kind {
            TransactionType::Atomic => transaction::TransactionType::Atomic,
            TransactionType::Local => transaction::TransactionType::Local,
        };
        self.transaction.set_transaction_type(kind).map_err(|refusal| fault::of_refusal(&refusal))?;
        write::command_complete(&mut self.client.output, b"SET");
        Ok(())
    }

    pub(super) fn tell_reply(&mut self, reply: Told) -> Result<(), Fault> {
        match reply {
            Told::Reply(Reply::Done { tag, warning, .. }) => {
                if let Some(warning) = warning
                    && self.settings.get("client_min_messages") != Some("error")
                {
                    answer::warning(&mut self.client.output, warning.sqlstate(), warning.text());
                }
                self.tell_parameters();
                write::command_complete(&mut self.client.output, tag.word().as_bytes());
                Ok(())
            }
            Told::Reply(Reply::Refuse(refusal)) => Err(self.refused(&refusal).into()),
            Told::Reply(Reply::Statement) => Ok(()),
            Told::Reply(Reply::Relay(shard)) => {
                Err(MeshError::TransactionLost(format!("shard {} gave no answer", self.shard_name(shard))).into())
            }
            Told::Error(fault) => Err(fault),
        }
    }

    fn refused(&self, refusal: &Refusal) -> MeshError {
        let names = |shards: &[ShardIndex]| {
            let names: Vec<String> = shards.iter().map(|&shard| self.shard_name(shard)).collect();
            names.join(", ")
        };
        match refusal {
            Refusal::Split(outcome) => MeshError::OutcomeSplit {
                committed: names(&outcome.committed),
                failed: names(&[outcome.rolled_back.as_slice(), outcome.unknown.as_slice()].concat()),
                cause: refusal.to_string(),
            },
            Refusal::Unknown(outcome) => MeshError::OutcomeUnknown(names(&outcome.unknown)),
            _ => fault::of_refusal(refusal),
        }
    }

    /// Sends what the transaction asks for until it has an answer for the client.
    pub(super) async fn follow(&mut self, mut flow: Flow) -> Result<Told, Fault> {
        let mut errors: Vec<(ShardIndex, Fault)> = Vec::new();
        loop {
            let round = match flow {
                Flow::Round(round) => round,
                Flow::Reply(Reply::Relay(shard)) => {
                    let error = errors.iter().position(|(failed, _)| *failed == shard);
                    return Ok(match error {
                        Some(index) => Told::Error(errors.swap_remove(index).1),
                        None => Told::Reply(Reply::Relay(shard)),
                    });
                }
                Flow::Reply(reply) => return Ok(Told::Reply(reply)),
            };
            let mut answers = Vec::with_capacity(round.len());
            for send in &round {
                let (said, error) = self.command(send.shard, &send.command).await?;
                answers.push((send.shard, said));
                errors.extend(error.map(|error| (send.shard, error)));
            }
            flow = self.transaction.answered(&answers);
        }
    }

    /// Sends one command of the transaction to a shard.
    async fn command(&mut self, shard: ShardIndex, command: &Command) -> Result<(Answer, Option<Fault>), Fault> {
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else {
            return Ok((Answer::Lost, None));
        };
        let commit = matches!(command, Command::Commit);
        let sql = transaction::sql::text(command, transaction::Dialect::Postgres);
        let backend = &mut *self.held[index].lease;
        if backend.pipeline.is_skipping() {
            // Behind an error in a batch the server would skip the command too.
            write::sync(&mut backend.output);
            backend.pipeline.sent(Sent::Sync, Audience::Mesh(0));
        }
        match self.ask(index, sql.as_bytes(), commit).await {
            Ok(()) if commit && self.notes.mesh_tag.starts_with(b"ROLLBACK") => Ok((Answer::RolledBack, None)),
            Ok(()) => Ok((Answer::Done, None)),
            Err(Fault::Server(body)) => Ok((Answer::Error, Some(Fault::Server(body)))),
            Err(Fault::Stop(stop)) => Err(Fault::Stop(stop)),
            Err(fault) => Ok((Answer::Lost, Some(fault))),
        }
    }

    /// Begins the transaction on a backend. A plain BEGIN cannot fail and goes ahead of the statement without waiting.
    pub(super) async fn begin(&mut self, index: usize, command: &Command) -> Result<(), Fault> {
        let sql = transaction::sql::text(command, transaction::Dialect::Postgres);
        if sql == "BEGIN" {
            self.begin_ahead(index);
            return Ok(());
        }
        let shard = self.held[index].shard;
        let begun = self.ask(index, sql.as_bytes(), false).await;
        if let (Err(Fault::Server(_)), Some(index)) = (&begun, self.held.iter().position(|held| held.shard == shard)) {
            // Part of the text may have been done: the connection is not worth finding out.
            let held = self.held.swap_remove(index);
            held.lease.close(CloseReason::NotClean);
            let _ = self.transaction.branch_gone(shard, transaction::Gone::NeverBegan);
        }
        begun
    }

    /// Sends a plain BEGIN ahead of what follows; an unnamed portal that the client has there stays.
    pub(super) fn begin_ahead(&mut self, index: usize) {
        let beside = self.has_unnamed_portal(self.held[index].shard);
        send_begin(&mut self.held[index].lease, beside);
    }

    /// Whether the client's unnamed portal is on this shard.
    pub(super) fn has_unnamed_portal(&self, shard: ShardIndex) -> bool {
        matches!(self.portals.get(b""), Some(Portal::Backend { shard: other, .. }) if *other == shard)
    }

    /// DEALLOCATE and DISCARD ALL as far as they concern names that this session keeps. True if that is all there is to do.
    pub(super) fn forget_names(&mut self, verb: &Verb) -> bool {
        match verb {
            Verb::Deallocate(Which::One(name)) => {
                let known = self.names.remove(&name.text);
                if known {
                    write::command_complete(&mut self.client.output, b"DEALLOCATE");
                }
                known
            }
            Verb::Deallocate(Which::All) if self.pin.is_none() => {
                self.names.clear();
                write::command_complete(&mut self.client.output, b"DEALLOCATE ALL");
                true
            }
            _ => false,
        }
    }

    /// Whether the statement resets everything.
    pub(super) fn is_discard_all(verb: Option<&Verb>) -> bool {
        matches!(verb, Some(Verb::Discard(Discard::All)))
    }
}

/// What the client is to be told in the end.
pub enum Told {
    /// The transaction's reply.
    Reply(Reply),
    /// A shard's error.
    Error(Fault),
}
