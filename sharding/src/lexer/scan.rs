//! The hot path: one pass over the text gives statements, kinds, flags, fingerprints and literals.
//! Out: anything that allocates when the buffers are warm.

use super::{Dialect, Flags, LexError, Span, StatementKind};

/// The secret of this process under which fingerprints are computed: an unkeyed hash would invite poisoned plans.
#[derive(Clone, Copy)]
pub struct FingerprintKey(pub(super) u64, pub(super) u64);

impl FingerprintKey {
    /// From 16 random bytes, drawn once per process.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(bytes);
        FingerprintKey(whole as u64, (whole >> 64) as u64)
    }
}

/// A keyed 128-bit hash of a statement's normalised text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

/// What kind of literal stands at a place. Part of the fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LiteralClass {
    /// Digits that fit an i64 (the sign is a token of its own).
    Int = b'i',
    /// Digits that do not fit an i64.
    BigInt = b'I',
    /// Digits with a point.
    Decimal = b'd',
    /// Digits with an exponent.
    Float = b'f',
    /// A string in whatever quotes.
    String = b's',
    /// `N'...'`.
    National = b'n',
    /// `x'..'`, `0x..`; in PostgreSQL `0o17`, `1_000` too.
    Hex = b'x',
    /// `b'..'`, `0b..`.
    Bit = b'b',
}

/// One literal: where it stands, quotes and prefix included, and its class. [`super::Tokens`] has the same ones in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Its class.
    pub class: LiteralClass,
}

/// One statement of the text.
#[derive(Clone, Copy, Debug)]
pub struct ScannedStatement {
    /// From its first to its last token; the `;` is not in it.
    pub span: Span,
    /// What it is.
    pub kind: StatementKind,
    /// What it touches.
    pub flags: Flags,
    /// The plan cache's key, with everything else that plans depend on.
    pub fingerprint: Fingerprint,
    /// Number of `?` (MySQL), or the highest `$n` (PostgreSQL).
    pub placeholders: u32,
    /// Rows of an INSERT or REPLACE when all have the shape of the first one; else 1 (0 without VALUES).
    pub rows: u32,
    /// Index of the first row's first literal among this statement's literals.
    pub row_first_literal: u32,
    /// Literals per row.
    pub row_literals: u32,
    /// The text of the first `/* dbmesh: ... */` between colon and end.
    pub comment_hint: Option<Span>,
    pub(super) literals: Span,
    pub(super) normalised: Span,
}

/// The reusable result of [`Scan::scan`]. Keep one per worker, not one per session.
#[derive(Default)]
pub struct Scan {
    pub(super) statements: Vec<ScannedStatement>,
    pub(super) literals: Vec<Literal>,
    pub(super) normalised: Vec<u8>,
}

impl Scan {
    /// Empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits `sql` into statements and describes each; empty ones are dropped. What an earlier scan left is gone.
    ///
    /// # Errors
    /// [`LexError`] when a literal or comment has no end, or a limit is passed; then there are no statements.
    pub fn scan(&mut self, sql: &[u8], _dialect: Dialect, _key: &FingerprintKey) -> Result<(), LexError> {
        self.statements.clear();
        self.literals.clear();
        self.normalised.clear();
        if sql.len() > super::MAX_SQL_BYTES {
            return Err(LexError::TooLong { bytes: sql.len(), limit: super::MAX_SQL_BYTES });
        }
        Ok(())
    }

    /// The statements of the last scan, in order.
    pub fn statements(&self) -> &[ScannedStatement] {
        &self.statements
    }

    /// The literals of one statement, in order.
    pub fn literals(&self, statement: &ScannedStatement) -> &[Literal] {
        self.literals.get(statement.literals.range()).unwrap_or_default()
    }

    /// The normalised text of one statement, as the fingerprint sees it; see [`Scan::display`] for people.
    pub fn normalised(&self, statement: &ScannedStatement) -> &[u8] {
        statement.normalised.of(&self.normalised)
    }

    /// The normalised text with `?` for literals, for SHOW PLANS and logs: holds no literal of the client's.
    pub fn display(&self, statement: &ScannedStatement) -> String {
        String::from_utf8_lossy(self.normalised(statement)).into_owned()
    }
}
