//! What a statement touches beyond its rows, as far as tokens show it. Every flag means "may": it is set when in doubt.

/// A set of facts about one statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u64);

macro_rules! flags {
    ($($bit:literal $name:ident $doc:literal)*) => {
        impl Flags {
            $(#[doc = $doc] pub const $name: Flags = Flags(1 << $bit);)*
            const NAMES: &'static [(Flags, &'static str)] = &[$((Flags::$name, stringify!($name))),*];
        }
    };
}

flags! {
    0 EXECUTABLE_COMMENT "Has `/*! ... */` or `/*M! ... */` text that the server executes."
    1 CONDITIONAL_COMMENT "Has a versioned comment and the server's version is not known."
    2 HINT "Has an optimizer hint `/*+ ... */`."
    3 MESH_HINT "Has a hint for us, `/* dbmesh: ... */`."
    4 INTO "SELECT ... INTO anything."
    5 INTO_FILE "INTO OUTFILE or INTO DUMPFILE."
    6 LOCKS_ROWS "FOR UPDATE, FOR SHARE, FOR NO KEY UPDATE, FOR KEY SHARE, LOCK IN SHARE MODE."
    7 LOCKS_ROWS_SHARED "The row lock is a shared one (also set with [`Flags::LOCKS_ROWS`])."
    8 USER_VARIABLE_READ "Names `@x`."
    9 USER_VARIABLE_ASSIGN "May assign a user variable: `@x := ..`, `INTO @x`, `SET @x =`, `CALL p(@x)`."
    10 SYSTEM_VARIABLE "Names `@@x`."
    11 LAST_INSERT_ID "Calls LAST_INSERT_ID() (or reads @@last_insert_id, @@identity)."
    12 LAST_INSERT_ID_SET "Calls LAST_INSERT_ID(n), which sets it."
    13 FOUND_ROWS "Calls FOUND_ROWS()."
    14 ROW_COUNT "Calls ROW_COUNT()."
    15 CALC_FOUND_ROWS "Has SQL_CALC_FOUND_ROWS."
    16 NAMED_LOCK "Calls GET_LOCK, RELEASE_LOCK, RELEASE_ALL_LOCKS, IS_FREE_LOCK or IS_USED_LOCK."
    17 ADVISORY_LOCK_SESSION "Calls a PostgreSQL advisory lock function of session level."
    18 ADVISORY_LOCK_TRANSACTION "Calls a PostgreSQL advisory lock function of transaction level."
    19 TEMPORARY "Creates or drops a temporary object, or SELECT INTO TEMP."
    20 WITH_HOLD "A cursor WITH HOLD."
    21 SET_CONFIG "Calls set_config()."
    22 SEQUENCE_NEXT "Takes or sets a sequence value: nextval, setval, NEXT VALUE FOR."
    23 SEQUENCE_CURRENT "Reads the session's sequence state: currval, lastval, PREVIOUS VALUE FOR."
    24 VOLATILE "Calls a volatile built-in: random, uuid, sleep ..."
    25 STABLE "Calls a built-in with one value per statement: now, current_date ..."
    26 SESSION_FUNCTION "Calls a built-in that describes the session or server: connection_id, current_user, database ..."
    27 UNKNOWN_FUNCTION "Calls something that is not on the list of built-in functions without side effects."
    28 WRITES "Has INSERT, UPDATE, DELETE, REPLACE or MERGE, also in a CTE or behind EXPLAIN."
    29 COMPOUND "A routine body or block holds `;`: the statement was taken up to the end of the text or of the body."
    30 MIXED_ROWS "INSERT rows of different shapes: the fingerprint is not worth caching."
    31 RETURNING "Has RETURNING."
    32 NOTIFY "Calls pg_notify()."
    33 DIAGNOSTICS "Reads the diagnostics area: SHOW WARNINGS, SHOW ERRORS, GET DIAGNOSTICS, @@warning_count, @@error_count."
    34 FOUND_ROWS_DIFFER "MySQL: FOUND_ROWS() after it may differ from the number of its rows: OFFSET, LIMIT with UNION, SELECT in a write."
    35 SESSION_NUMBER "PostgreSQL: pg_backend_pid(), pg_cancel_backend() or pg_terminate_backend(): names a session by its number."
    36 PREPARED_STATEMENTS "PostgreSQL: names pg_prepared_statements."
}

impl Flags {
    /// No facts.
    pub const NONE: Flags = Flags(0);

    /// True when all of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when one of `other` is set.
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Adds `other`.
    pub fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// True when nothing is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of what is set, for logs and tests.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| *name)
    }
}
