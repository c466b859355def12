//! A text cut into statements, each with what the lexer says about it.
//! Out: where they go.

use sharding::lexer::verbs::{self, Discard, Verb};
use sharding::lexer::{Dialect, LexError, Scan, ScannedStatement, StatementKind};

use super::Session;
use super::effects::Effects;
use super::meaning::changes_meanings;
use crate::postgres::statements::Lexed;

impl Lexed {
    /// What it leaves behind.
    pub fn effects(&self) -> Effects {
        let forgets_values = matches!(self.verb, Some(Verb::Discard(Discard::All | Discard::Sequences)));
        let effects = Effects { forgets_values, ..Effects::of(self.kind, self.flags) };
        Effects { meanings: effects.settings && changes_meanings(self), ..effects }
    }
}

/// The statements of a text.
#[derive(Debug)]
pub enum Pieces {
    /// None.
    Empty,
    /// One.
    One(Lexed),
    /// Several.
    Several(Vec<Lexed>),
}

impl Session {
    /// Cuts a text into statements.
    ///
    /// # Errors
    /// [`LexError`]: a literal or comment has no end, or a limit is passed.
    pub(super) fn cut(&self, sql: &[u8]) -> Result<Pieces, LexError> {
        let mut scan = self.mesh.scans.take(self.worker);
        let dialect = Dialect::Postgres(self.modes);
        let pieces = match scan.scan(sql, dialect, &self.mesh.fingerprint_key) {
            Ok(()) => sorted(&scan, sql, dialect),
            Err(error) => Err(error),
        };
        self.mesh.scans.put(self.worker, scan);
        pieces
    }

    /// The first statement of a text without its literals, for people.
    pub(super) fn display(&self, sql: &[u8]) -> String {
        let mut scan = self.mesh.scans.take(self.worker);
        let mut text = String::new();
        if scan.scan(sql, Dialect::Postgres(self.modes), &self.mesh.fingerprint_key).is_ok()
            && let Some(statement) = scan.statements().first()
        {
            text = scan.display(statement);
        }
        self.mesh.scans.put(self.worker, scan);
        text
    }
}

/// What the lexer has found, by its statements.
fn sorted(scan: &Scan, sql: &[u8], dialect: Dialect) -> Result<Pieces, LexError> {
    let piece = |statement: &ScannedStatement| {
        let verb = if is_verb(statement.kind) { verbs::verb(sql, statement.span, dialect)? } else { None };
        Ok(Lexed {
            kind: statement.kind,
            flags: statement.flags,
            span: statement.span,
            verb,
            fingerprint: statement.fingerprint,
            literals: scan.literals(statement).into(),
            placeholders: statement.placeholders as usize,
            known: true,
        })
    };
    match scan.statements() {
        [] => Ok(Pieces::Empty),
        [one] => piece(one).map(Pieces::One),
        several => several.iter().map(piece).collect::<Result<_, _>>().map(Pieces::Several),
    }
}

/// Whether a statement may ask something of the session itself.
fn is_verb(kind: StatementKind) -> bool {
    use StatementKind as Kind;
    !matches!(
        kind,
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete | Kind::With | Kind::Values | Kind::Ddl | Kind::Copy
    )
}
