//! Capability flags and status flags: which bits mean what, and which of them we offer or ask for.
//! Out: layouts that depend on them.

/// A set of `CLIENT_*` flags; those from bit 32 on are MariaDB's.
pub type Capabilities = u64;

/// Improved version of Old Password Authentication; on MariaDB a server that leaves it out has extended capabilities.
pub const LONG_PASSWORD: Capabilities = 1;
/// Affected rows counts matched rows.
pub const FOUND_ROWS: Capabilities = 1 << 1;
/// Longer flags in column definitions.
pub const LONG_FLAG: Capabilities = 1 << 2;
/// The login names a database.
pub const CONNECT_WITH_DB: Capabilities = 1 << 3;
/// Compressed protocol.
pub const COMPRESS: Capabilities = 1 << 5;
/// Special behaviour for ODBC.
pub const ODBC: Capabilities = 1 << 6;
/// LOAD DATA LOCAL.
pub const LOCAL_FILES: Capabilities = 1 << 7;
/// Spaces before `(`.
pub const IGNORE_SPACE: Capabilities = 1 << 8;
/// The 4.1 protocol, the only one we speak.
pub const PROTOCOL_41: Capabilities = 1 << 9;
/// `interactive_timeout` instead of `wait_timeout`.
pub const INTERACTIVE: Capabilities = 1 << 10;
/// A TLS upgrade follows the greeting.
pub const SSL: Capabilities = 1 << 11;
/// Status flags of transactions.
pub const TRANSACTIONS: Capabilities = 1 << 13;
/// 4.1 authentication.
pub const SECURE_CONNECTION: Capabilities = 1 << 15;
/// Several statements in one COM_QUERY.
pub const MULTI_STATEMENTS: Capabilities = 1 << 16;
/// Several result sets.
pub const MULTI_RESULTS: Capabilities = 1 << 17;
/// Several result sets of a prepared statement.
pub const PS_MULTI_RESULTS: Capabilities = 1 << 18;
/// Authentication plugins.
pub const PLUGIN_AUTH: Capabilities = 1 << 19;
/// Connection attributes.
pub const CONNECT_ATTRS: Capabilities = 1 << 20;
/// Authentication data with a length-encoded length.
pub const PLUGIN_AUTH_LENENC: Capabilities = 1 << 21;
/// Session state in OK packets.
pub const SESSION_TRACK: Capabilities = 1 << 23;
/// OK in place of EOF.
pub const DEPRECATE_EOF: Capabilities = 1 << 24;
/// COM_STMT_BULK_EXECUTE (MariaDB).
pub const BULK_OPERATIONS: Capabilities = 1 << 34;
/// Column definitions with names of types that share a type code: JSON, UUID, INET6, geometries (MariaDB).
pub const EXTENDED_METADATA: Capabilities = 1 << 35;

/// What our greeting offers besides, if all servers are known to have it. Progress reports, metadata caching and results
/// per row of a bulk execution are not offered: we do not do them.
pub const MARIADB_OFFERED: Capabilities = BULK_OPERATIONS | EXTENDED_METADATA;

/// What our greeting offers (TLS apart). Query attributes, optional metadata and compression by zstd are not offered: we do
/// not do them.
pub const OFFERED: Capabilities = LONG_PASSWORD
    | FOUND_ROWS
    | LONG_FLAG
    | CONNECT_WITH_DB
    | COMPRESS
    | ODBC
    | LOCAL_FILES
    | IGNORE_SPACE
    | PROTOCOL_41
    | INTERACTIVE
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_STATEMENTS
    | MULTI_RESULTS
    | PS_MULTI_RESULTS
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | PLUGIN_AUTH_LENENC
    | SESSION_TRACK
    | DEPRECATE_EOF;

/// The client's flags that change what a backend means or how its answers are laid out: backends are shared only
/// between sessions that agree on them.
pub const MEANINGFUL: Capabilities = FOUND_ROWS
    | ODBC
    | LOCAL_FILES
    | IGNORE_SPACE
    | MULTI_RESULTS
    | PS_MULTI_RESULTS
    | DEPRECATE_EOF
    | EXTENDED_METADATA;

/// What we ask of every server, if it offers it, beside the meaningful flags of the session.
pub const ASKED: Capabilities = LONG_PASSWORD
    | LONG_FLAG
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_STATEMENTS
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | PLUGIN_AUTH_LENENC
    | SESSION_TRACK
    | BULK_OPERATIONS;

/// Status flags of OK and EOF packets.
pub mod status {
    /// A transaction is open.
    pub const IN_TRANSACTION: u16 = 1;
    /// Autocommit is on.
    pub const AUTOCOMMIT: u16 = 1 << 1;
    /// Another result follows.
    pub const MORE_RESULTS: u16 = 1 << 3;
    /// No good index was used.
    pub const NO_GOOD_INDEX: u16 = 1 << 4;
    /// No index was used.
    pub const NO_INDEX: u16 = 1 << 5;
    /// A cursor is open; rows are fetched.
    pub const CURSOR_EXISTS: u16 = 1 << 6;
    /// The cursor is at its end.
    pub const LAST_ROW_SENT: u16 = 1 << 7;
    /// The database was dropped.
    pub const DATABASE_DROPPED: u16 = 1 << 8;
    /// sql_mode NO_BACKSLASH_ESCAPES is on.
    pub const NO_BACKSLASH_ESCAPES: u16 = 1 << 9;
    /// A statement's metadata changed at a re-prepare on the server.
    pub const METADATA_CHANGED: u16 = 1 << 10;
    /// The statement was slow.
    pub const QUERY_WAS_SLOW: u16 = 1 << 11;
    /// OUT parameters of a procedure.
    pub const PS_OUT_PARAMS: u16 = 1 << 12;
    /// The open transaction is read only.
    pub const IN_TRANSACTION_READ_ONLY: u16 = 1 << 13;
    /// Session state follows in the OK packet.
    pub const SESSION_STATE_CHANGED: u16 = 1 << 14;
    /// sql_mode ANSI_QUOTES is on (MariaDB).
    pub const ANSI_QUOTES: u16 = 1 << 15;
}
