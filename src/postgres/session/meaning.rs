//! By which settings the session's texts are read at Parse: with whom it can share prepared statements.
//! Out: the settings themselves (`settle`, `align`).

use std::sync::Arc;

use protocol::postgres::frontend::Bind;
use sharding::lexer::verbs::{Assignment, Discard, Target, Verb, Which};
use sharding::lexer::{Dialect, Flags, Literal};
use sharding::plan::literal;
use sharding::value::Value;

use super::Session;
use super::effects::Effects;
use crate::postgres::scopes::is_harmless;
use crate::postgres::settings::Settings;
use crate::postgres::statements::{Lexed, Statement};

/// The scope of a session's statements, as it was looked up last.
#[derive(Debug, Default)]
pub struct Meaning {
    /// The number, and the settings it is for.
    known: Option<(u64, Arc<Settings>)>,
    /// Settings that count may have been changed, and were not learnt yet: the number, and since which change.
    private: Option<(u64, u64)>,
    /// That is so.
    pub doubt: bool,
    /// Version of the schema that was known last.
    version: u64,
}

/// Whether a statement may change what the texts behind it mean, as far as its words show.
pub fn changes_meanings(lexed: &Lexed) -> bool {
    let counts = |name: &[u8]| !std::str::from_utf8(name).is_ok_and(is_harmless);
    let assigns = |one: &Assignment| match &one.target {
        Target::Setting(name) => counts(name),
        _ => true,
    };
    match &lexed.verb {
        Some(Verb::Set(assignments)) => assignments.iter().any(assigns),
        Some(Verb::Reset(Which::One(name))) => counts(&name.text),
        Some(Verb::SetTransaction { .. }) => false,
        Some(Verb::Discard(discard)) => *discard == Discard::All,
        _ => true,
    }
}

impl Session {
    /// What a statement with these values leaves behind.
    pub(super) fn effects_of(&self, lexed: &Lexed, sql: &[u8], bind: Option<&Bind<'_>>) -> Effects {
        let effects = lexed.effects();
        if !(effects.meanings && lexed.flags.any(Flags::SET_CONFIG) && lexed.verb.is_none()) {
            return effects;
        }
        // Which argument of set_config is the name cannot be told here.
        let dialect = Dialect::Postgres(self.modes);
        let literals = lexed.literals.iter().filter_map(|&Literal { start, end, class }| {
            match literal(sql.get(start as usize..end as usize)?, class, dialect) {
                Value::Text(text) => Some(text),
                _ => None,
            }
        });
        let bound = bind.into_iter().flat_map(|bind| bind.values.iter().flatten().map(<[u8]>::to_vec));
        let harmless = literals.chain(bound).any(|text| std::str::from_utf8(&text).is_ok_and(is_harmless));
        Effects { meanings: !harmless, ..effects }
    }

    /// The number of the session's scope.
    pub(super) fn scope_number(&mut self) -> u64 {
        if self.unlearnt && self.meaning.doubt || self.batch.effects.meanings {
            let since = self.set_epoch;
            return match self.meaning.private {
                Some((number, known)) if known == since && !self.batch.effects.meanings => number,
                _ => {
                    let number = self.front.scopes.private();
                    self.meaning.private = Some((number, since));
                    number
                }
            };
        }
        match &self.meaning.known {
            Some((number, settings)) if Arc::ptr_eq(settings, &self.settings) => *number,
            _ => {
                let number = self.front.scopes.of(self.database, &self.settings);
                self.meaning.known = Some((number, Arc::clone(&self.settings)));
                number
            }
        }
    }

    /// The version of the schema that a statement which is prepared now is prepared for.
    pub(super) fn schema_version(&mut self) -> u64 {
        // Looked at, not taken: all workers would meet at its count of owners.
        let known = self.catalog.as_ref().filter(|catalog| !catalog.is_retired()).map(|catalog| catalog.version());
        let version = known.unwrap_or_else(|| self.catalog().map_or(0, |catalog| catalog.version()));
        if version != 0 {
            self.meaning.version = version;
        }
        self.meaning.version
    }

    /// A text as a statement of this session, like another one.
    pub(super) fn statement_like(&mut self, statement: &Statement, sql: &[u8]) -> Arc<Statement> {
        let scope = self.scope_number();
        self.front.statements.intern_like(statement, sql, scope)
    }

    /// The statement as it is read now, apart from those of sessions with other settings; `None`: as it was at its Parse.
    pub(super) fn rescoped(&mut self, statement: &Statement) -> Option<Arc<Statement>> {
        let scope = self.scope_number();
        (statement.scope() != scope).then(|| self.front.statements.intern_like(statement, &statement.sql, scope))
    }

    /// The statement as a backend shall have it: as it was read at its Parse if it is there, else as it is read now.
    pub(super) fn as_read(&mut self, index: usize, statement: &Arc<Statement>) -> Arc<Statement> {
        if self.held[index].lease.memory.statements.contains_key(&statement.number) {
            return Arc::clone(statement);
        }
        self.rescoped(statement).unwrap_or_else(|| Arc::clone(statement))
    }
}
