//! What became of each statement, for the counters and the slow log: how it ran, where its time went.
//! Out: the counters themselves (`metrics`).

use std::sync::Arc;
use std::time::Duration;

use sharding::lexer::StatementKind;
use tokio::time::Instant;

use super::Session;
use crate::config::Protocol;
use crate::log;
use crate::metrics::{Direction, Tier, Times};
use crate::postgres::statements::Statement;

/// Most statements of one message or pipeline that are told apart; what comes after is counted with them at the end.
const KINDS_MAX: usize = 1000;

/// Longer texts are not kept in memory for each session.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// The course of the statements of one Query, or up to one `Sync`: their times are taken together.
#[derive(Debug)]
pub struct Course {
    began: Instant,
    /// The last look at the clock: each costs, so one serves several purposes.
    latest: Instant,
    /// What ran, and how.
    ran: Vec<(StatementKind, Tier)>,
    /// On how many shards, at most.
    shards: usize,
    /// Waiting for backends.
    pub wait: Duration,
    /// Waiting for servers.
    pub server: Duration,
    /// The prepared statement that ran last, if it is not large.
    last: Option<Arc<Statement>>,
    /// It is part of what runs now.
    prepared: bool,
}

impl Course {
    /// Nothing has run.
    pub fn new() -> Self {
        let now = Instant::now();
        let (wait, server) = (Duration::ZERO, Duration::ZERO);
        Self { began: now, latest: now, ran: Vec::new(), shards: 0, wait, server, last: None, prepared: false }
    }

    /// A Query or a batch begins: it has just come, or the one before it has just ended.
    pub fn begin(&mut self) {
        self.began = self.latest;
        self.ran.clear();
        self.shards = 0;
        self.wait = Duration::ZERO;
        self.server = Duration::ZERO;
        self.prepared = false;
    }

    /// This prepared statement is part of what runs now.
    pub fn prepared_is(&mut self, statement: Arc<Statement>) {
        (self.last, self.prepared) = (Some(statement), true);
    }

    /// Puts back what [`Self::again`] gave, though it is not part of what runs now.
    pub fn keep(&mut self, statement: Arc<Statement>) {
        (self.last, self.prepared) = (Some(statement), false);
    }

    /// The prepared statement that is part of what runs now, the last if there are several.
    pub fn prepared(&self) -> Option<&Arc<Statement>> {
        self.last.as_ref().filter(|_| self.prepared)
    }

    /// What ran has been counted.
    fn ended(&mut self) {
        self.ran.clear();
        self.prepared = false;
        self.last.take_if(|last| last.sql.len() > KEPT_BYTES_MAX);
    }

    /// A statement that is used again, without counting another owner where the last one was the same: sessions share statements,
    /// and all workers would meet at that count.
    pub fn again(&mut self, statement: &Arc<Statement>) -> Arc<Statement> {
        self.last.take_if(|last| Arc::ptr_eq(last, statement)).unwrap_or_else(|| Arc::clone(statement))
    }

    /// Looks at the clock.
    pub fn look(&mut self) -> Instant {
        self.latest = Instant::now();
        self.latest
    }

    /// The last look at the clock: at the latest when something was waited for.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// A server has answered what was sent at `sent`; how long that took.
    pub fn served(&mut self, sent: Instant) -> Duration {
        let took = self.look().saturating_duration_since(sent);
        self.server += took;
        took
    }

    /// A statement is about to run; nothing says yet that a server is needed for it.
    pub fn statement(&mut self, kind: StatementKind) {
        if self.ran.len() < KINDS_MAX {
            self.ran.push((kind, Tier::Local));
        }
    }

    /// How the statement runs that was named last.
    pub fn runs(&mut self, tier: Tier, shards: usize) {
        if let Some(last) = self.ran.last_mut() {
            last.1 = tier;
        }
        self.shards = self.shards.max(shards);
    }

    /// An error of ours came.
    pub fn refused(&mut self) {
        if let Some((_, tier @ Tier::Local)) = self.ran.last_mut() {
            *tier = Tier::Refuse;
        }
    }
}

impl Session {
    /// Counts what ended, and logs it if it was slow. `sql` is the text of a Query.
    pub(super) fn count(&mut self, sql: Option<&[u8]>) {
        if let Some(state) = self.notes.client_error {
            self.counters.server_error(Protocol::Postgres);
            self.doubt_schema(state);
        }
        let course = &self.course;
        if course.ran.is_empty() {
            return;
        }
        let times = Times {
            wait: course.wait,
            server: course.server,
            total: course.latest.saturating_duration_since(course.began),
        };
        for (kind, tier) in &course.ran {
            self.counters.statement(Protocol::Postgres, (*kind).into(), *tier, &times);
        }
        if self.config.log.slow.is_some_and(|slow| times.total >= slow) {
            self.log_slow(sql, &times);
        }
        self.course.ended();
    }

    fn log_slow(&self, sql: Option<&[u8]>, times: &Times) {
        let prepared = self.course.prepared().map(|statement| &*statement.sql);
        let sql = sql.or(prepared).unwrap_or_default();
        let identity = self.entry.identity();
        let statement = log::Statement {
            protocol: Protocol::Postgres,
            session: self.entry.id,
            user: &identity.user,
            database: &identity.database,
            tier: self.course.ran.last().map_or(Tier::Local, |(_, tier)| *tier).as_str(),
            shards: self.course.shards,
            took: times.total,
            waited: times.wait,
            sql,
        };
        log::slow(&self.config.log, &statement, || self.display(sql));
    }

    /// Counts what went over the wire since the last time.
    pub(super) fn count_bytes(&mut self) {
        let count = |direction, bytes: &mut usize| {
            if *bytes > 0 {
                self.counters.bytes(Protocol::Postgres, direction, std::mem::take(bytes));
            }
        };
        count(Direction::FromClient, &mut self.client.read);
        count(Direction::ToClient, &mut self.client.written);
        for held in &mut self.held {
            count(Direction::FromServer, &mut held.lease.read);
            count(Direction::ToServer, &mut held.lease.written);
        }
    }
}
