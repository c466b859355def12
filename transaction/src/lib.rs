//! Commit protocols as state machines: events in, actions out. Out: sockets; time is an argument.
//!
//! A session has one [`Transaction`] from its first statement to its last. Its driver tells it what the client wants and what
//! the shards answered, and does what it says:
//!
//! ```
//! use transaction::{Access, Answer, Dialect, Flow, Ran, Reply, Transaction, TransactionType, Verb};
//!
//! let mut transaction = Transaction::new(Dialect::MySql, TransactionType::Atomic);
//!
//! // The client: BEGIN. Nothing is sent to any shard yet.
//! assert!(matches!(transaction.verb(Verb::begin()), Flow::Reply(Reply::Done { .. })));
//!
//! // The client: a statement that writes on shard 1. Shard 1 is begun first, and its OK awaited.
//! for send in transaction.touch(&[1], Access::Write).expect("the first writer") {
//!     assert_eq!((send.shard, transaction::sql::text(&send.command, Dialect::MySql).as_ref()), (1, "BEGIN"));
//! }
//! // Now the statement itself runs there. Then:
//! assert_eq!(transaction.statement_ended(Ran::Well), Flow::Reply(Reply::Statement));
//!
//! // The client: COMMIT. Rounds go out until there is a reply.
//! let mut flow = transaction.verb(Verb::commit());
//! let reply = loop {
//!     match flow {
//!         Flow::Round(sends) => {
//!             let answers: Vec<_> = sends.iter().map(|send| (send.shard, Answer::Done)).collect();
//!             flow = transaction.answered(&answers);
//!         }
//!         Flow::Reply(reply) => break reply,
//!     }
//! };
//! assert!(matches!(reply, Reply::Done { .. }));
//! // Backends of shards that are not in `branches()` any more may go back to the pool.
//! assert!(transaction.branches().is_empty());
//! ```
//!
//! Besides: [`Transaction::branch_gone`] when a backend broke, BEGIN failed, or the server says that no transaction is open;
//! [`Transaction::give_way`] when the pool refused the session as the youngest of a deadlock;
//! [`Transaction::open_pipeline`] and [`Transaction::close_pipeline`] around several statements of one PostgreSQL Query or
//! pipeline; [`Transaction::admits`] before a statement that needs no shard; [`Transaction::abandon`] when the session ends.
//! [`Transaction::status`] is the byte of ReadyForQuery and the flag of MySQL's OK.

mod branch;
mod command;
mod ending;
mod options;
mod refusal;
mod savepoint;
pub mod sql;
#[cfg(test)]
mod tests;
mod transaction;
mod verbs;

pub use branch::{Branch, Role, ShardIndex};
pub use command::{Access, Aftermath, Answer, Command, Flow, Gone, Ran, Reply, Send, Status, Tag, Verb, Warning};
pub use options::{Dialect, Isolation, Options, TransactionType};
pub use refusal::{Broken, Outcome, Refusal};
pub use savepoint::{Replay, SavepointName};
pub use transaction::{REPLAYS_MAX, Transaction};
