//! SET: what the session itself obeys (autocommit, the next transaction, the type of transactions), what must not reach
//! a server (its reports to us), and what is learnt from the server. Out: replaying it (`memory`).

use sharding::lexer::ScannedStatement;
use sharding::lexer::verbs::{Assignment, Scope, Target, TransactionType, ValueShape, Verb as Said};
use transaction::Verb;

use super::commands::query_packet;
use super::place::Place;
use super::query::Done;
use super::relay::Passing;
use super::single::{Facts, Outgoing};
use super::trouble::{self, Outcome};
use super::{MeshError, Session, transaction as glue};
use crate::mysql::memory::UserVariables;
use protocol::mysql::response::Answer;

impl Session {
    /// Obeys SET in all its forms. `sql` is this statement alone.
    pub(super) async fn set(
        &mut self,
        said: Option<Said>,
        scanned: &ScannedStatement,
        sql: &[u8],
        wire: Option<&[u8]>,
        place: Place,
    ) -> Outcome<Done> {
        let mut user_variables = UserVariables::new();
        let mut rewritten = None;
        match said {
            Some(Said::SetTransactionType(kind)) => {
                let kind = match kind {
                    TransactionType::Atomic => transaction::TransactionType::Atomic,
                    TransactionType::Local => transaction::TransactionType::Local,
                };
                self.transaction.set_transaction_type(kind).map_err(|r| trouble::refusal(&r))?;
                self.put_ok(place);
                return Ok(Done::at(place));
            }
            Some(Said::SetTransaction { scope: Scope::Default, modes, .. }) => {
                self.obey(Verb::SetTransaction(glue::options(&modes)), place).await?;
                return Ok(Done::at(place));
            }
            Some(Said::SetTransaction { scope: Scope::Global | Scope::Persist | Scope::PersistOnly, .. }) => {
                self.refuse_global()?;
            }
            Some(Said::Set(assignments)) => {
                if assignments.iter().any(|a| matches!(a.scope, Scope::Global | Scope::Persist | Scope::PersistOnly)) {
                    self.refuse_global()?;
                }
                if let [only] = &*assignments
                    && let Some(on) = autocommit(only)
                {
                    self.obey(Verb::SetAutocommit(on), place).await?;
                    self.state.set_variable(b"autocommit", if on { b"ON" } else { b"OFF" });
                    return Ok(Done::at(place));
                }
                for on in assignments.iter().filter_map(autocommit) {
                    let flow = self.transaction.verb(Verb::SetAutocommit(on));
                    if let transaction::Reply::Refuse(refusal) = self.drive(flow).await {
                        return Err(trouble::refusal(&refusal).into());
                    }
                }
                match without_tracking(&assignments, sql) {
                    Kept::All => {}
                    Kept::Nothing => {
                        self.put_ok(place);
                        return Ok(Done::at(place));
                    }
                    Kept::Some(text) => rewritten = Some(text),
                }
                user_variables = literal_user_variables(&assignments, sql).unwrap_or_default();
            }
            _ => {}
        }
        let facts = Facts { user_variables, ..Facts::of(scanned, sql, b"") };
        let shard = self.any_shard();
        let outgoing = match (rewritten, wire) {
            (Some(text), _) => Outgoing::Built(query_packet(&text)),
            (None, Some(wire)) => Outgoing::Wire(wire),
            (None, None) => Outgoing::Built(query_packet(sql)),
        };
        let passing = Passing::of(Answer::Query, place);
        let report = self.run_single(shard, None, outgoing, passing, &facts).await?;
        self.follow_autocommit().await;
        Ok(Done::of(&report))
    }

    /// A SET that reached a server may have changed autocommit in a way that its text does not show.
    async fn follow_autocommit(&mut self) {
        let on = match self.state.variable("autocommit") {
            Some(value) => value.eq_ignore_ascii_case(b"ON") || value == b"1",
            None => return,
        };
        if on != self.transaction.autocommit() {
            let flow = self.transaction.verb(Verb::SetAutocommit(on));
            let _ = self.drive(flow).await;
        }
    }

    fn refuse_global(&self) -> Outcome<()> {
        let config = self.config();
        let shards = config.databases.get(self.database()).map_or(1, |database| database.shards.len());
        if shards > 1 {
            return Err(MeshError::Unsupported("SET GLOBAL over several shards".to_owned()).into());
        }
        Ok(())
    }
}

/// The value, if this sets the session's autocommit to one that is plain to see.
fn autocommit(assignment: &Assignment) -> Option<bool> {
    let session = matches!(assignment.scope, Scope::Default | Scope::Session);
    let named = matches!(&assignment.target, Target::Setting(name) if name == b"autocommit");
    if !session || !named || !matches!(assignment.shape, ValueShape::Literal | ValueShape::Word) {
        return None;
    }
    match &*assignment.plain.to_ascii_lowercase() {
        b"1" | b"on" | b"true" => Some(true),
        b"0" | b"off" | b"false" => Some(false),
        _ => None,
    }
}

enum Kept {
    All,
    Some(Vec<u8>),
    Nothing,
}

/// The SET without what says how servers report to us: the client gets the reports that servers give by default.
fn without_tracking(assignments: &[Assignment], sql: &[u8]) -> Kept {
    let tracking = |a: &&Assignment| matches!(&a.target, Target::Setting(name) if name.starts_with(b"session_track_"));
    let kept: Vec<&[u8]> = assignments.iter().filter(|a| !tracking(a)).map(|a| a.span.of(sql)).collect();
    if kept.len() == assignments.len() {
        Kept::All
    } else if kept.is_empty() {
        Kept::Nothing
    } else {
        Kept::Some([b"SET ", &*kept.join(&b", "[..])].concat())
    }
}

/// Names and texts, if every user variable in it is set to a literal whose meaning no setting changes.
fn literal_user_variables(assignments: &[Assignment], sql: &[u8]) -> Option<UserVariables> {
    let mut found = UserVariables::new();
    for assignment in assignments {
        let Target::UserVariable(name) = &assignment.target else { continue };
        let text = assignment.value.of(sql);
        let plain = text.is_ascii() && !text.contains(&b'\\') && !text.contains(&b'"');
        match assignment.shape {
            ValueShape::Literal | ValueShape::Null if plain => found.insert(name[..].into(), text.into()),
            _ => return None,
        };
    }
    Some(found)
}
