//! What lies between two `Sync` messages: where its messages go, what was promised to the client, which portals exist.
//! Out: sending and waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use protocol::postgres::wire;
use sharding::lexer::StatementKind;
use transaction::ShardIndex;

use super::effects::Effects;
use super::numbers::Aim;
use super::route::Routed;
use super::sequences::Taking;
use crate::postgres::statements::Statement;

/// Most portals of a session.
pub const PORTALS_MAX: usize = 10_000;

/// The messages since the last `Sync`.
#[derive(Debug, Default)]
pub struct Batch {
    /// There is a message.
    pub begun: bool,
    /// An error came: everything up to `Sync` is ignored.
    pub failed: bool,
    /// The error was ours: the server knows nothing of it.
    pub failed_here: bool,
    /// Where the messages go now.
    pub target: Option<ShardIndex>,
    /// Shards that got messages and no `Sync` behind them.
    pub unsynced: Vec<ShardIndex>,
    /// Something was executed, outside a transaction block.
    pub executed: bool,
    /// Shards for which a statement was bound that may write.
    pub wrote: Vec<ShardIndex>,
    /// What BEGIN says in a text that goes to a server as a whole.
    pub options: transaction::Options,
    /// The batch is a transaction on several shards.
    pub piped: bool,
    /// A `Parse` that was not sent yet, because the next message tells where it should go.
    pub deferred: Option<Deferred>,
    /// Statements that were sent in a `Parse` to the target, in order.
    pub parses: Vec<u64>,
    /// The statement that was bound last.
    pub bound: Option<u64>,
    /// What was executed leaves behind.
    pub effects: Effects,
    /// Behind the `Bind` that is handled come its Execute and a `Sync`, and nothing else.
    pub last_bind: bool,
    /// Behind the `Bind` that is handled comes a `Describe` of a portal.
    pub described: bool,
    /// Several statements were bound.
    pub mixed: bool,
    /// A COPY from the client goes to this shard.
    pub copy: Option<ShardIndex>,
    /// A transaction ended in the middle of it, and with it every portal.
    pub without_portals: bool,
}

/// Whether these bytes, which follow a `Bind`, run its portal and end the batch.
pub fn ends_next(mut rest: &[u8]) -> bool {
    let mut next = || {
        let header = wire::header(rest, wire::MESSAGE_BYTES_MAX).ok().flatten()?;
        rest = rest.get(header.total..)?;
        Some(header.tag)
    };
    let first = match next() {
        Some(b'D') => next(),
        first => first,
    };
    first == Some(b'E') && next() == Some(b'S')
}

/// Whether these bytes, which follow a `Bind`, ask what its portal gives.
pub fn describes_next(rest: &[u8]) -> bool {
    rest.first() == Some(&b'D') && rest.get(wire::HEADER_BYTES) == Some(&b'P')
}

/// A `Parse` that was not sent yet.
#[derive(Debug)]
pub struct Deferred {
    /// The client's name for it.
    pub name: Vec<u8>,
    /// The statement.
    pub statement: Arc<Statement>,
}

impl Batch {
    /// Whether nothing came since the last `Sync`.
    pub fn is_empty(&self) -> bool {
        !self.begun && self.copy.is_none()
    }

    /// Whether messages are to be ignored.
    pub fn skips(&self) -> bool {
        self.failed
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.begun = false;
        self.failed = false;
        self.failed_here = false;
        self.target = None;
        self.unsynced.clear();
        self.executed = false;
        self.wrote.clear();
        self.options = transaction::Options::default();
        self.piped = false;
        self.deferred = None;
        self.parses.clear();
        self.bound = None;
        self.effects = Effects::default();
        self.last_bind = false;
        self.described = false;
        self.mixed = false;
        self.copy = None;
        self.without_portals = false;
    }
}

/// A statement for several shards that was bound and not run yet.
#[derive(Debug)]
pub struct Parked {
    /// The statement.
    pub statement: Arc<Statement>,
    /// The whole `Bind` message.
    pub frame: Vec<u8>,
    /// Where it goes.
    pub routed: Arc<Routed>,
    /// What an Execute with a row limit has left over; `None` before the first one.
    pub rest: Mutex<Option<Rest>>,
}

/// Rows of a portal that the client has not asked for yet.
#[derive(Debug, Default)]
pub struct Rest {
    /// Whole `DataRow` messages.
    pub rows: VecDeque<Vec<u8>>,
    /// Their bytes.
    pub bytes: usize,
    /// There were more, which were not kept.
    pub cut: bool,
}

/// What a portal runs on.
#[derive(Debug, Clone)]
pub enum Portal {
    /// A backend's portal of the same name.
    Backend {
        /// Its shard.
        shard: ShardIndex,
        /// What its statement is.
        kind: StatementKind,
        /// What running it leaves behind.
        effects: Effects,
        /// What it takes from sequences, and whether the backend has none of others' values.
        taking: Option<(Arc<Taking>, bool)>,
        /// A session that it signals.
        aim: Option<Aim>,
        /// What sets again what it resets.
        restoring: Option<Arc<[u8]>>,
    },
    /// Several shards.
    Several(Arc<Parked>),
    /// This session itself: the statement is about the transaction or the session.
    Session {
        /// The statement.
        statement: Arc<Statement>,
        /// It was executed, which can be done once.
        ran: bool,
    },
}

/// The session's portals, few at a time.
#[derive(Debug, Default)]
pub struct Portals {
    list: Vec<(Vec<u8>, Portal)>,
    /// Those at and behind this place came in this batch.
    settled: usize,
}

impl Portals {
    /// Makes a portal, in place of one of the same name. False if there are too many.
    pub fn set(&mut self, name: &[u8], portal: Portal) -> bool {
        self.remove(name);
        let fits = self.list.len() < PORTALS_MAX;
        if fits {
            self.list.push((name.to_vec(), portal));
        }
        fits
    }

    /// The portal of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Portal> {
        self.list.iter().find(|(known, _)| known == name).map(|(_, portal)| portal)
    }

    /// Drops a portal.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some(at) = self.list.iter().position(|(known, _)| known == name) {
            self.list.remove(at);
            self.settled -= usize::from(at < self.settled);
        }
    }

    /// A batch is over. If it has failed, what was bound in it may not be there: its error may have come before.
    pub fn settle(&mut self, failed: bool) {
        if failed {
            self.list.truncate(self.settled);
        }
        self.settled = self.list.len();
    }

    /// Drops all: the transaction is over.
    pub fn clear(&mut self) {
        self.list.clear();
        self.settled = 0;
    }
}
