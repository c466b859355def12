//! One lexer for everything: classifies a statement, fingerprints it, finds its literals, reads the verbs
//! that the session itself obeys, and feeds sqlparser its tokens with byte offsets.
//! SQL is bytes, not `str`. Out: schema, routes, anything that knows what a shard is.
//! Invariant: agrees with the server on where a literal or comment ends, or fails with a [`LexError`]; never panics.

mod bytes;
mod classify;
mod cursor;
mod depth;
mod error;
mod fingerprint;
mod flags;
mod functions;
mod functions_mysql;
mod functions_postgres;
mod keyword;
mod kind;
mod number;
mod quoted;
mod scan;
mod shapes;
mod syntax;
mod tokens;
mod value;
pub mod verbs;
mod word_table;

pub use error::LexError;
pub use fingerprint::{Fingerprint, FingerprintKey};
pub use flags::Flags;
pub use functions::{FunctionClass, function_class};
pub use kind::StatementKind;
pub use scan::{Literal, LiteralClass, Scan, ScannedStatement};
pub use syntax::{Limits, ParseError, parse};
pub use tokens::{Token, TokenKind, Tokens, tokens};
pub use value::{identifier_value, literal_value};

/// The longest text that is ever lexed; offsets are 32 bits wide.
pub const MAX_SQL_BYTES: usize = 1 << 30;
/// The most statements in one text.
pub const MAX_STATEMENTS: usize = 10_000;
/// The most literals in one text; bounds the memory that a scan may take.
pub const MAX_LITERALS: usize = 1 << 22;

/// A half-open byte range of the text that was lexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes of `sql` that this span covers; empty when it does not fit.
    pub fn of<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.range()).unwrap_or_default()
    }

    /// As a range of `usize`.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The SQL dialect with the settings that move the ends of literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MySQL or MariaDB.
    MySql(MySqlModes),
    /// PostgreSQL.
    Postgres(PostgresModes),
}

impl Dialect {
    /// MySQL with default modes and an unknown server version.
    pub const MYSQL: Dialect = Dialect::MySql(MySqlModes::DEFAULT);
    /// PostgreSQL with default modes.
    pub const POSTGRES: Dialect = Dialect::Postgres(PostgresModes::DEFAULT);

    /// True for MySQL and MariaDB.
    pub fn is_mysql(self) -> bool {
        matches!(self, Dialect::MySql(_))
    }
}

/// MySQL settings that change how bytes become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MySqlModes {
    /// sql_mode has ANSI_QUOTES: `"x"` is an identifier.
    pub ansi_quotes: bool,
    /// sql_mode has NO_BACKSLASH_ESCAPES.
    pub no_backslash_escapes: bool,
    /// Which server decides about `/*!50700 ... */`.
    pub server: MySqlServer,
}

impl MySqlModes {
    /// No special sql_mode, server unknown.
    pub const DEFAULT: MySqlModes =
        MySqlModes { ansi_quotes: false, no_backslash_escapes: false, server: MySqlServer::Unknown };
}

/// The server as far as versioned comments depend on it. Versions as in comments: 8.0.36 is 80036, 10.11.6 is 101106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MySqlServer {
    /// Not known: versioned comments count as executed and set [`Flags::CONDITIONAL_COMMENT`].
    Unknown,
    /// MySQL of this version.
    MySql(u32),
    /// MariaDB of this version.
    MariaDb(u32),
}

/// PostgreSQL settings that change how bytes become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PostgresModes {
    /// False makes a backslash an escape in plain `'...'`.
    pub standard_conforming_strings: bool,
}

impl PostgresModes {
    /// What every server since 9.1 starts with.
    pub const DEFAULT: PostgresModes = PostgresModes { standard_conforming_strings: true };
}

#[cfg(test)]
pub(crate) mod tests;
