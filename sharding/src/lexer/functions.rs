//! What the built-in functions of a server do beyond giving a value. Out: user-defined functions, which are unknown.

use super::functions_mysql::MYSQL;
use super::functions_postgres::POSTGRES;
use super::word_table::{WordTable, packed};
use super::{Dialect, Flags};

/// What a call of a function means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionClass {
    /// Depends on its arguments, settings and rows only.
    Plain,
    /// One value per statement: now().
    Stable,
    /// Another value at each call: random().
    Volatile,
    /// Describes the session, the server or its catalog: connection_id(), current_database().
    Session,
    /// PostgreSQL set_config().
    SetConfig,
    /// Takes or sets a sequence value.
    SequenceNext,
    /// Reads the session's sequence state.
    SequenceCurrent,
    /// An advisory lock of the session.
    AdvisorySession,
    /// An advisory lock of the transaction.
    AdvisoryTransaction,
    /// MySQL GET_LOCK and its family.
    NamedLock,
    /// LAST_INSERT_ID, which with an argument sets the value.
    LastInsertId,
    /// FOUND_ROWS.
    FoundRows,
    /// ROW_COUNT.
    RowCount,
    /// pg_notify().
    Notify,
    /// PostgreSQL pg_backend_pid().
    SessionNumber,
    /// PostgreSQL pg_cancel_backend(), pg_terminate_backend().
    SessionSignal,
}

impl FunctionClass {
    /// The flag that a statement gets which calls it.
    pub fn flag(self) -> Flags {
        match self {
            FunctionClass::Plain => Flags::NONE,
            FunctionClass::Stable => Flags::STABLE,
            FunctionClass::Volatile => Flags::VOLATILE,
            FunctionClass::Session => Flags::SESSION_FUNCTION,
            FunctionClass::SetConfig => Flags::SET_CONFIG,
            FunctionClass::SequenceNext => Flags::SEQUENCE_NEXT,
            FunctionClass::SequenceCurrent => Flags::SEQUENCE_CURRENT,
            FunctionClass::AdvisorySession => Flags::ADVISORY_LOCK_SESSION,
            FunctionClass::AdvisoryTransaction => Flags::ADVISORY_LOCK_TRANSACTION,
            FunctionClass::NamedLock => Flags::NAMED_LOCK,
            FunctionClass::LastInsertId => Flags::LAST_INSERT_ID,
            FunctionClass::FoundRows => Flags::FOUND_ROWS,
            FunctionClass::RowCount => Flags::ROW_COUNT,
            FunctionClass::Notify => Flags::NOTIFY,
            FunctionClass::SessionNumber => Flags::SESSION_FUNCTION.with(Flags::SESSION_NUMBER),
            FunctionClass::SessionSignal => Flags::UNKNOWN_FUNCTION.with(Flags::SESSION_NUMBER),
        }
    }
}

static MYSQL_TABLE: WordTable<FunctionClass, 1024> = WordTable::new(MYSQL);
static POSTGRES_TABLE: WordTable<FunctionClass, 4096> = WordTable::new(POSTGRES);

/// The class of a built-in function, ASCII case ignored; None: not built in, or nothing is promised about it.
pub fn function_class(name: &[u8], dialect: Dialect) -> Option<FunctionClass> {
    find(name, packed(name), dialect.is_mysql())
}

#[inline]
pub(super) fn find(name: &[u8], packed: u64, mysql: bool) -> Option<FunctionClass> {
    let entry = if mysql { MYSQL_TABLE.find(name, packed) } else { POSTGRES_TABLE.find(name, packed) };
    entry.map(|entry| entry.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_lower_case() {
        for table in [MYSQL, POSTGRES] {
            assert!(table.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b)));
            assert!(table.iter().all(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')));
        }
    }

    #[test]
    fn classes_of_well_known_functions() {
        let my = |name: &str| function_class(name.as_bytes(), Dialect::MYSQL);
        let pg = |name: &str| function_class(name.as_bytes(), Dialect::POSTGRES);
        assert_eq!(my("Count"), Some(FunctionClass::Plain));
        assert_eq!(my("NOW"), Some(FunctionClass::Stable));
        assert_eq!(my("sysdate"), Some(FunctionClass::Volatile));
        assert_eq!(my("get_lock"), Some(FunctionClass::NamedLock));
        assert_eq!(my("my_function"), None);
        assert_eq!(my("master_gtid_wait"), None);
        assert_eq!(pg("now"), Some(FunctionClass::Stable));
        assert_eq!(pg("clock_timestamp"), Some(FunctionClass::Volatile));
        assert_eq!(pg("pg_try_advisory_xact_lock"), Some(FunctionClass::AdvisoryTransaction));
        assert_eq!(pg("pg_advisory_unlock_all"), Some(FunctionClass::AdvisorySession));
        assert_eq!(pg("jsonb_build_object"), Some(FunctionClass::Plain));
        for unknown in ["dblink", "query_to_xml", "lo_create", "pg_reload_conf", "pg_read_file", "setseed"] {
            assert_eq!(pg(unknown), None, "{unknown}");
        }
    }
}
