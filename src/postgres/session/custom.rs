//! Settings that no module has declared (`app.tenant`): servers take them and do not list them, so their names are kept
//! here, by which a server can be asked. Out: their values, which are learnt from the server like all others.

use protocol::postgres::frontend::Bind;
use sharding::lexer::verbs::{Target, Verb};
use sharding::lexer::{Dialect, Flags, Literal};
use sharding::plan::literal;
use sharding::value::Value;

use super::Session;
use crate::postgres::settings::{SETTINGS_MAX, is_custom};
use crate::postgres::statements::Lexed;

impl Session {
    /// Notes the names that this statement may set.
    pub(super) fn note_custom(&mut self, lexed: &Lexed, sql: &[u8], bind: Option<&Bind<'_>>) {
        if let Some(Verb::Set(assignments)) = &lexed.verb {
            for assignment in assignments {
                if let Target::Setting(name) = &assignment.target {
                    self.add_custom(name);
                }
            }
        }
        if !lexed.flags.any(Flags::SET_CONFIG) {
            return;
        }
        // Which argument is the name of set_config cannot be told here; a name too many does no harm.
        let dialect = Dialect::Postgres(self.modes);
        for &Literal { start, end, class } in &lexed.literals {
            let bytes = sql.get(start as usize..end as usize).unwrap_or_default();
            if let Value::Text(text) = literal(bytes, class, dialect) {
                self.add_custom(&text);
            }
        }
        for value in bind.into_iter().flat_map(|bind| bind.values.iter().flatten()) {
            self.add_custom(value);
        }
    }

    /// Notes one name, if it is one.
    pub(super) fn add_custom(&mut self, name: &[u8]) {
        if !is_custom(name) || self.custom.len() >= SETTINGS_MAX {
            return;
        }
        let name = String::from_utf8_lossy(name).to_lowercase();
        if !self.custom.contains(&name) {
            self.custom.push(name);
        }
    }
}
