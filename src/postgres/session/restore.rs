//! RESET and SET TO DEFAULT of what the client has set at the start: its value comes back. To the server, whose connection was
//! opened by us, it is a setting like any other, of which it knows another default.
//! Out: how a session's settings move from backend to backend (`settle`).

use protocol::postgres::{Audience, Sent, Target as Closed, write};
use sharding::lexer::verbs::{Scope, Target, ValueShape, Verb, Which};

use super::Session;
use super::fault::Fault;
use crate::postgres::settings::literal;

/// The name of the statement and of the portal by which it is sent in the middle of a batch.
const NAME: &[u8] = b"dmset";

impl Session {
    /// What is sent behind such a statement.
    pub(super) fn restoring(&self, verb: Option<&Verb>) -> Option<Box<[u8]>> {
        if self.startup.is_empty() {
            return None;
        }
        let mut calls = Vec::new();
        let mut restore = |wanted: Option<&[u8]>, local: bool| {
            for (name, value) in self.startup.iter() {
                let meant = wanted.map_or(name != "role", |wanted| name.as_bytes().eq_ignore_ascii_case(wanted));
                if meant {
                    calls.push(format!("pg_catalog.set_config({},{},{local})", literal(name), literal(value)));
                }
            }
        };
        match verb? {
            Verb::Reset(Which::All) => restore(None, false),
            Verb::Reset(Which::One(name)) => restore(Some(&name.text), false),
            Verb::Set(assignments) => {
                for one in assignments.iter().filter(|one| one.shape == ValueShape::Default) {
                    let local = one.scope == Scope::Transaction;
                    match &one.target {
                        Target::Setting(name) => restore(Some(name), local),
                        Target::TimeZone => restore(Some(b"timezone"), local),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        (!calls.is_empty()).then(|| format!("SELECT {}", calls.join(",")).into_bytes().into())
    }

    /// Sends it behind a Query that went well, before anything else.
    pub(super) async fn restore(&mut self, sql: &[u8]) -> Result<(), Fault> {
        let shard = self.set_on.unwrap_or_else(|| self.home_shard());
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else { return Ok(()) };
        if self.notes.client_error.is_some() || !self.held[index].lease.pipeline.is_settled() {
            return Ok(());
        }
        self.notes.parameters.clear();
        self.ask(index, sql, false).await?;
        self.tell_parameters();
        Ok(())
    }

    /// Sends it in the middle of a batch.
    pub(super) fn restore_in_batch(&mut self, index: usize, sql: &[u8]) {
        let backend = &mut *self.held[index].lease;
        let out = &mut backend.output;
        write::parse(out, NAME, sql, std::iter::empty());
        write::bind(out, NAME, NAME, &[], std::iter::empty(), &[]);
        write::execute(out, NAME, 0);
        write::close(out, Closed::Portal, NAME);
        write::close(out, Closed::Statement, NAME);
        for sent in [Sent::Parse, Sent::Bind, Sent::Execute, Sent::Close, Sent::Close] {
            backend.pipeline.sent(sent, Audience::ClientErrors);
        }
        self.batch.parses.push(0);
    }
}
