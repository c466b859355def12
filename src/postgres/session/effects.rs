//! What a statement leaves behind on its backend, as far as its words show.
//! Out: rows. Every doubt counts as an effect.

use sharding::lexer::{Flags, StatementKind};

/// What a statement leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// State that cannot be moved to another backend, by its visible reason.
    pub pin: Option<&'static str>,
    /// Settings may have changed.
    pub settings: bool,
    /// It may have done anything to the connection.
    pub untracked: bool,
    /// The schema may have changed.
    pub ddl: bool,
}

impl Effects {
    /// The effects of a statement.
    #[must_use]
    pub fn of(kind: StatementKind, flags: Flags) -> Self {
        use StatementKind as Kind;
        let pin = if flags.any(Flags::TEMPORARY) {
            Some("temporary table")
        } else if flags.any(Flags::ADVISORY_LOCK_SESSION) {
            Some("session advisory lock")
        } else if flags.any(Flags::WITH_HOLD) {
            Some("cursor WITH HOLD")
        } else if flags.any(Flags::SEQUENCE_CURRENT) {
            Some("sequence state (currval, lastval)")
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
            untracked: matches!(kind, Kind::Call | Kind::Do | Kind::Other | Kind::Execute)
                || flags.any(Flags::UNKNOWN_FUNCTION),
            ddl: matches!(kind, Kind::Ddl | Kind::Do | Kind::Call | Kind::Other),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pin: self.pin.or(other.pin),
            settings: self.settings || other.settings,
            untracked: self.untracked || other.untracked,
            ddl: self.ddl || other.ddl,
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
