//! Between the session and its transaction: verbs of the client in, commands for the shards out.
//! Out: what follows from what (the transaction room decides).

use std::sync::Arc;

use protocol::mysql::response::Answer as Kind;
use sharding::lexer::verbs::{Completion, Isolation, Name, TransactionModes, Verb as Said};
use transaction::{Answer, Command, Flow, Options, Reply, Send, ShardIndex, Verb};

use super::place::Place;
use super::trouble::{self, Outcome, Trouble};
use super::{MeshError, Session};

impl Session {
    /// Obeys a transaction statement; false if it is none.
    pub(super) async fn transaction_verb(&mut self, said: &Said, place: Place) -> Outcome<bool> {
        let verb = match said {
            Said::Begin(modes) => Verb::Begin {
                options: options(modes),
                start: false,
                at_once: if modes.consistent_snapshot { self.all_shards() } else { Arc::default() },
            },
            Said::Commit(completion) => {
                let (chain, release) = self.completion(*completion);
                Verb::Commit { chain, release }
            }
            Said::Rollback(completion) => {
                let (chain, release) = self.completion(*completion);
                Verb::Rollback { chain, release }
            }
            Said::Savepoint(name) => Verb::Savepoint(savepoint(name)?),
            Said::RollbackTo(name) => Verb::RollbackTo(savepoint(name)?),
            Said::Release(name) => Verb::Release(savepoint(name)?),
            _ => return Ok(false),
        };
        self.obey(verb, place).await?;
        Ok(true)
    }

    /// Has the transaction obey a verb, and tells the client how it went.
    pub(super) async fn obey(&mut self, verb: Verb, place: Place) -> Outcome<()> {
        let flow = self.transaction.verb(verb);
        let reply = self.drive(flow).await;
        self.tell(reply, place).await
    }

    /// Tells the client what the transaction replied.
    pub(super) async fn tell(&mut self, reply: Reply, place: Place) -> Outcome<()> {
        match reply {
            Reply::Done { disconnect, .. } => {
                self.put_ok(place);
                if disconnect {
                    let _ = self.client.flush().await;
                    return Err(Trouble::Client(std::io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(())
            }
            Reply::Statement => Ok(()),
            Reply::Refuse(refusal) => Err(trouble::refusal(&refusal).into()),
            Reply::Relay(shard) => {
                if let Some(trouble) = self.begin_failed.take() {
                    return Err(trouble);
                }
                let held = self.held.iter_mut().find(|held| held.shard == shard);
                match held.and_then(|held| held.last_error.take()) {
                    Some(payload) => Err(Trouble::Server(payload)),
                    None => {
                        let (shard, cause) = (self.shard_name(shard), "the connection broke".to_owned());
                        Err(MeshError::BackendLost { shard, cause }.into())
                    }
                }
            }
        }
    }

    /// Sends rounds of commands until the transaction has a reply.
    pub(super) async fn drive(&mut self, mut flow: Flow) -> Reply {
        self.begin_failed = None;
        loop {
            match flow {
                Flow::Reply(reply) => return reply,
                Flow::Round(sends) => {
                    let mut answers: Vec<(ShardIndex, Answer)> = Vec::with_capacity(sends.len());
                    for send in &sends {
                        answers.push((send.shard, self.send_command(send).await));
                    }
                    flow = self.transaction.answered(&answers);
                }
            }
        }
    }

    /// Sends a command to its shard and waits for the answer. A backend that does not answer is closed.
    pub(super) async fn send_command(&mut self, send: &Send) -> Answer {
        let index = match self.held.iter().position(|held| held.shard == send.shard) {
            Some(index) => index,
            None if matches!(send.command, Command::Begin { .. }) => match self.backend(send.shard).await {
                Ok(index) => index,
                Err(trouble) => {
                    self.begin_failed = Some(trouble);
                    return Answer::Lost;
                }
            },
            None => return Answer::Lost,
        };
        let Some(held) = self.held.get_mut(index) else { return Answer::Lost };
        let text = transaction::sql::text(&send.command, transaction::Dialect::MySql);
        held.lease.put_query(text.as_bytes());
        let round = match send.command {
            Command::Commit => self.commit_round(index).await,
            _ => self.own_round(index, Kind::Query).await,
        };
        match round {
            Ok(None) => Answer::Done,
            Ok(Some(_)) => match self.ask_status(index).await {
                Ok(_) => Answer::Error,
                Err(_) => Answer::Lost,
            },
            Err(error) => {
                let _ = self.lose(index, &error);
                Answer::Lost
            }
        }
    }

    /// Ends whatever is open by ROLLBACK: the session ends or is reset.
    pub(super) async fn roll_back_all(&mut self) {
        for send in self.transaction.abandon() {
            self.roll_back_on(&send).await;
        }
    }

    /// The pool refused this session because others wait for what it holds: its transaction lets go of all.
    pub(super) async fn give_way(&mut self) {
        for send in self.transaction.give_way().rollbacks {
            self.roll_back_on(&send).await;
        }
    }

    /// Ends a shard's part of a transaction that is over. Where ROLLBACK does not work, closing the connection does.
    pub(super) async fn roll_back_on(&mut self, send: &Send) {
        let Some(index) = self.held.iter().position(|held| held.shard == send.shard) else { return };
        let Some(held) = self.held.get_mut(index) else { return };
        let text = transaction::sql::text(&send.command, transaction::Dialect::MySql);
        held.lease.put_query(text.as_bytes());
        let failed = match self.own_round(index, Kind::Query).await {
            Ok(None) => return,
            Ok(Some(payload)) => std::io::Error::other(super::held::error_text(&payload)),
            Err(error) => error,
        };
        let _ = self.lose(index, &failed);
    }

    fn all_shards(&self) -> Arc<[ShardIndex]> {
        let config = self.config();
        let count = config.databases.get(self.database()).map_or(1, |database| database.shards.len());
        (0..count).filter_map(|shard| ShardIndex::try_from(shard).ok()).collect()
    }

    /// CHAIN and RELEASE as written, else as completion_type says.
    fn completion(&self, written: Completion) -> (bool, bool) {
        let usual = self.state.variable("completion_type").unwrap_or_default().to_ascii_uppercase();
        let chain = written.chain.unwrap_or(matches!(&*usual, b"CHAIN" | b"1") && written.release != Some(true));
        let release = written.release.unwrap_or(matches!(&*usual, b"RELEASE" | b"2") && written.chain != Some(true));
        (chain, release)
    }
}

/// The options of a transaction in the words of the transaction room.
pub(super) fn options(modes: &TransactionModes) -> Options {
    let isolation = modes.isolation.map(|level| match level {
        Isolation::ReadUncommitted => transaction::Isolation::ReadUncommitted,
        Isolation::ReadCommitted => transaction::Isolation::ReadCommitted,
        Isolation::RepeatableRead => transaction::Isolation::RepeatableRead,
        Isolation::Serializable => transaction::Isolation::Serializable,
    });
    Options { isolation, read_only: modes.read_only, deferrable: None, consistent_snapshot: modes.consistent_snapshot }
}

fn savepoint(name: &Name) -> Result<Arc<str>, MeshError> {
    let text = std::str::from_utf8(&name.text);
    text.map(Arc::from).map_err(|_| MeshError::Unsupported("savepoint names that are not UTF-8".to_owned()))
}
