//! What became of each statement, for the counters and the slow log: how it ran, where its time went.
//! Out: the counters themselves (`metrics`).

use std::time::Duration;

use sharding::lexer::StatementKind;
use tokio::time::Instant;

use super::place::Place;
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};
use crate::config::Protocol;
use crate::log;
use crate::metrics::{Direction, Tier, Times};

/// The course of one statement.
#[derive(Debug)]
pub(super) struct Course {
    began: Instant,
    /// The last look at the clock: every look costs, so one serves several purposes.
    latest: Instant,
    tier: Tier,
    shards: usize,
    /// Waiting for backends.
    pub wait: Duration,
    server: Duration,
    /// A server's error went to the client.
    pub server_error: bool,
}

impl Course {
    pub(super) fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(began: Instant) -> Self {
        let (wait, server) = (Duration::ZERO, Duration::ZERO);
        Self { began, latest: began, tier: Tier::Local, shards: 0, wait, server, server_error: false }
    }

    /// A statement begins: it has just come, or the one before it in the same text has just ended.
    pub(super) fn begin(&mut self) {
        *self = Self::since(self.latest);
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self) -> Instant {
        self.latest = Instant::now();
        self.latest
    }

    /// The last look at the clock.
    pub(super) fn latest(&self) -> Instant {
        self.latest
    }

    /// Shards answered, from `sent` until now.
    pub(super) fn served(&mut self, tier: Tier, shards: usize, sent: Instant) {
        self.tier = tier;
        self.shards = shards;
        let took = self.look().saturating_duration_since(sent);
        self.server += took;
    }
}

impl Session {
    /// Counts a statement that ended, and logs it if it was slow.
    pub(super) fn count<T>(&mut self, sql: &[u8], kind: StatementKind, result: &Outcome<T>) {
        let refused = matches!(result, Err(Trouble::Told(_))) && self.course.shards == 0;
        let tier = if refused { Tier::Refuse } else { self.course.tier };
        if tier != Tier::Single {
            self.course.look();
        }
        let total = self.course.latest.saturating_duration_since(self.course.began);
        let times = Times { wait: self.course.wait, server: self.course.server, total };
        self.counters.statement(Protocol::MySql, kind.into(), tier, &times);
        if self.course.server_error || matches!(result, Err(Trouble::Server(_))) {
            self.counters.server_error(Protocol::MySql);
        }
        let config = self.config();
        if config.log.slow.is_some_and(|slow| times.total >= slow) {
            let database = self.state.schema.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let statement = log::Statement {
                protocol: Protocol::MySql,
                session: self.entry.id,
                user: &self.user,
                database: &database,
                tier: tier.as_str(),
                shards: self.course.shards,
                took: times.total,
                waited: times.wait,
                sql,
            };
            log::slow(&config.log, &statement, || self.normalised(sql));
        }
    }

    /// Puts an error of ours into the client's output, and counts it.
    pub(super) fn tell_error(&mut self, place: Place, error: &MeshError) {
        self.mesh.metrics.error(Protocol::MySql, error);
        self.note_error(error);
        self.client.put_error(place, error);
    }

    /// Counts what went over the wire since the last time.
    pub(super) fn count_bytes(&mut self) {
        let (read, written) = (std::mem::take(&mut self.client.read), std::mem::take(&mut self.client.written));
        self.counters.bytes(Protocol::MySql, Direction::FromClient, read);
        self.counters.bytes(Protocol::MySql, Direction::ToClient, written);
        for held in &mut self.held {
            let read = std::mem::take(&mut held.lease.read);
            let written = std::mem::take(&mut held.lease.written);
            self.counters.bytes(Protocol::MySql, Direction::FromServer, read);
            self.counters.bytes(Protocol::MySql, Direction::ToServer, written);
        }
    }
}
