//! What a statement leaves behind on its backend, as far as its words show.
//! Out: rows. Every doubt counts as an effect.

use sharding::lexer::{Flags, StatementKind};

/// Why a session with temporary tables is pinned.
pub const TEMPORARY: &str = "temporary table";

/// Why a session is pinned whose settings could not be learnt yet.
pub const SETTINGS: &str = "settings that the server has not told yet";

/// Asks a backend what it holds that cannot be moved, in the words of the reasons. A temporary object of whatever kind (a type,
/// a function) depends on the schema that holds it.
pub const PINS: &[u8] = b"SELECT 'temporary table' FROM pg_catalog.pg_depend \
WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = pg_catalog.pg_my_temp_schema() \
UNION SELECT 'session advisory lock' FROM pg_catalog.pg_locks \
WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() \
UNION SELECT 'LISTEN' FROM pg_catalog.pg_listening_channels() \
UNION SELECT 'cursor WITH HOLD' FROM pg_catalog.pg_cursors WHERE is_holdable AND name <> '' \
UNION SELECT 'PREPARE' FROM pg_catalog.pg_prepared_statements WHERE from_sql";

/// The reason of this text, if a backend can be asked whether it still holds.
pub fn reason(text: &str) -> Option<&'static str> {
    [TEMPORARY, "session advisory lock", "LISTEN", "cursor WITH HOLD", "PREPARE"]
        .into_iter()
        .find(|known| *known == text)
}

/// Whether a backend can be asked whether this reason still holds.
pub fn can_be_asked(pin: &str) -> bool {
    pin != SETTINGS
}

/// What a statement leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// State that cannot be moved to another backend, by its visible reason.
    pub pin: Option<&'static str>,
    /// Settings may have changed.
    pub settings: bool,
    /// Settings may have changed by which a server reads what is prepared.
    pub meanings: bool,
    /// It may have done anything to the connection.
    pub untracked: bool,
    /// The schema may have changed.
    pub ddl: bool,
    /// It may have ended what a pin is for.
    pub unpins: bool,
    /// It asks for the last value of a sequence.
    pub asks_values: bool,
    /// What was taken from sequences is forgotten.
    pub forgets_values: bool,
}

impl Effects {
    /// The effects of a statement.
    #[must_use]
    pub fn of(kind: StatementKind, flags: Flags) -> Self {
        use StatementKind as Kind;
        let pin = if flags.any(Flags::TEMPORARY) {
            Some(TEMPORARY)
        } else if flags.any(Flags::ADVISORY_LOCK_SESSION) {
            Some("session advisory lock")
        } else if flags.any(Flags::WITH_HOLD) {
            Some("cursor WITH HOLD")
        } else {
            match kind {
                Kind::Listen => Some("LISTEN"),
                Kind::Prepare => Some("PREPARE"),
                _ => None,
            }
        };
        Self {
            pin,
            settings: matches!(kind, Kind::Set | Kind::Reset | Kind::SetTransaction | Kind::Discard)
                || flags.any(Flags::SET_CONFIG),
            meanings: false,
            untracked: matches!(kind, Kind::Call | Kind::Do | Kind::Other | Kind::Execute)
                || flags.any(Flags::UNKNOWN_FUNCTION),
            ddl: matches!(kind, Kind::Ddl | Kind::Do | Kind::Call | Kind::Other),
            unpins: pin.is_some()
                || matches!(kind, Kind::Ddl | Kind::Unlisten | Kind::Close | Kind::Deallocate | Kind::Discard),
            asks_values: flags.any(Flags::SEQUENCE_CURRENT),
            forgets_values: false,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pin: self.pin.or(other.pin),
            settings: self.settings || other.settings,
            meanings: self.meanings || other.meanings,
            untracked: self.untracked || other.untracked,
            ddl: self.ddl || other.ddl,
            unpins: self.unpins || other.unpins,
            asks_values: self.asks_values || other.asks_values,
            forgets_values: self.forgets_values || other.forgets_values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_is_an_effect() {
        let plain = Effects::of(StatementKind::Select, Flags::NONE);
        assert_eq!(plain, Effects::default());
        assert!(Effects::of(StatementKind::Select, Flags::UNKNOWN_FUNCTION).untracked);
        assert!(Effects::of(StatementKind::Other, Flags::NONE).untracked);
        assert!(Effects::of(StatementKind::Set, Flags::NONE).settings);
        assert_eq!(plain.and(Effects::of(StatementKind::Listen, Flags::NONE)).pin, Some("LISTEN"));
    }
}
