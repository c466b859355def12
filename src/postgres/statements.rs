//! Prepared statements: one object per text and parameter types, shared by all sessions of the process, so that sessions
//! share them on a backend too. The names on backends are ours.
//! Out: which session calls a statement by which name.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use dashmap::DashMap;
use sharding::lexer::verbs::Verb;
use sharding::lexer::{Fingerprint, Flags, Literal, Span, StatementKind};

/// A prepared statement.
#[derive(Debug)]
pub struct Statement {
    /// Never used again in this process.
    pub number: u64,
    name: Box<[u8]>,
    /// Its text, as the client sent it.
    pub sql: Box<[u8]>,
    /// Parameter types that the client prescribed.
    pub types: Box<[u32]>,
    /// What the lexer says about it.
    pub lexed: Lexed,
    /// Parameter types as a server told them.
    pub server_types: OnceLock<Box<[u32]>>,
    /// Body of the `RowDescription` that a server told (text formats), `None` inside for a statement without rows.
    pub columns: OnceLock<Option<Box<[u8]>>>,
    /// DDL changed what it returns: who has had it described would read the rows of a new one by the old columns.
    stale: AtomicBool,
    origin: Weak<Statements>,
    identity: Identity,
}

/// What the lexer says about a statement.
#[derive(Debug, Clone)]
pub struct Lexed {
    /// What it is.
    pub kind: StatementKind,
    /// What it touches.
    pub flags: Flags,
    /// Where it stands.
    pub span: Span,
    /// What it asks of the session itself.
    pub verb: Option<Verb>,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its literals, in order.
    pub literals: Box<[Literal]>,
    /// The highest `$n`.
    pub placeholders: usize,
    /// The lexer has read it: it may be routed.
    pub known: bool,
}

impl Lexed {
    /// A text that the lexer makes nothing of: it may do anything.
    #[must_use]
    pub fn unknown(sql: &[u8]) -> Self {
        let end = u32::try_from(sql.len()).unwrap_or(u32::MAX);
        let flags = Flags::UNKNOWN_FUNCTION.with(Flags::WRITES);
        Self {
            kind: StatementKind::Other,
            flags,
            span: Span { start: 0, end },
            verb: None,
            fingerprint: Fingerprint::default(),
            literals: Box::default(),
            placeholders: 0,
            known: false,
        }
    }
}

impl Lexed {
    /// A text without a statement: any server can answer it.
    #[must_use]
    pub fn nothing() -> Self {
        let span = Span { start: 0, end: 0 };
        Self { kind: StatementKind::Show, flags: Flags::NONE, span, known: true, ..Self::unknown(b"") }
    }
}

/// What two equal statements share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    sql: Box<[u8]>,
    types: Box<[u32]>,
    /// DDL that ran through us since the start: a statement prepared after it is another one than before, since a server
    /// keeps the result type that a statement had when it was prepared.
    epoch: u64,
    /// The version of the schema that was known then: others make changes too.
    version: u64,
    /// By which settings it was read.
    scope: u64,
}

impl Statement {
    /// By which settings it was read.
    #[must_use]
    pub fn scope(&self) -> u64 {
        self.identity.scope
    }

    /// Whether it is what a text with these types means by now: `read` is the scope and the schema's version, `epoch` that of
    /// [`Statements::epoch`].
    #[must_use]
    pub fn is_of(&self, types: impl Iterator<Item = u32>, read: (u64, u64), epoch: u64) -> bool {
        let Identity { types: own, epoch: born, version, scope, .. } = &self.identity;
        (*scope, *version) == read && *born == epoch && own.iter().copied().eq(types)
    }

    /// Whether DDL changed what it returns since it was prepared.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// A server said so.
    pub fn set_stale(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Its name on every backend.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }
}

/// The name on every backend of the statement of this number.
#[must_use]
pub fn name_of(number: u64) -> Vec<u8> {
    format!("dm{number:x}").into_bytes()
}

/// Whether a statement on a backend may have this name because we gave it.
#[must_use]
pub fn is_mesh_name(name: &[u8]) -> bool {
    name.strip_prefix(b"dm").is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_hexdigit))
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Some(statements) = self.origin.upgrade() {
            statements.known.remove_if(&self.identity, |_, known| known.strong_count() == 0);
        }
    }
}

/// All prepared statements that any session has.
#[derive(Debug, Default)]
pub struct Statements {
    known: DashMap<Identity, Weak<Statement>>,
    last: AtomicU64,
    epoch: AtomicU64,
}

impl Statements {
    /// The statement of this text and these types: the one that exists, or a new one.
    #[must_use]
    pub fn intern(
        self: &Arc<Self>,
        sql: &[u8],
        types: Box<[u32]>,
        lexed: Lexed,
        (scope, version): (u64, u64),
    ) -> Arc<Statement> {
        let epoch = self.epoch();
        let identity = Identity { sql: sql.into(), types: types.clone(), epoch, version, scope };
        let mut place = self.known.entry(identity.clone()).or_default();
        if let Some(known) = place.upgrade() {
            return known;
        }
        let number = self.next_number();
        let statement = Arc::new(Statement {
            number,
            name: name_of(number).into(),
            sql: sql.into(),
            types,
            lexed,
            server_types: OnceLock::new(),
            columns: OnceLock::new(),
            stale: AtomicBool::new(false),
            origin: Arc::downgrade(self),
            identity,
        });
        *place = Arc::downgrade(&statement);
        statement
    }

    /// A number that no other statement of this process gets.
    pub fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A statement that is sent in place of `statement`.
    #[must_use]
    pub fn intern_like(self: &Arc<Self>, statement: &Statement, sql: &[u8], scope: u64) -> Arc<Statement> {
        self.intern(sql, statement.types.clone(), statement.lexed.clone(), (scope, statement.identity.version))
    }

    /// DDL ran: statements prepared from now on are not those from before.
    pub fn schema_changed(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// How often DDL has run.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_until_ddl_runs_and_the_last_drop_forgets() {
        let statements = Arc::new(Statements::default());
        let intern = |sql: &[u8]| statements.intern(sql, Box::default(), Lexed::unknown(sql), (0, 0));
        let first = intern(b"select 1");
        assert_eq!(first.number, intern(b"select 1").number);
        assert_ne!(first.number, intern(b"select 2").number);
        statements.schema_changed();
        let later = intern(b"select 1");
        assert_ne!(first.number, later.number);
        assert_eq!(later.name(), name_of(later.number));
        drop((first, later));
        assert!(statements.is_empty());
    }
}
