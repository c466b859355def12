//! A text cut into statements, each with what the lexer says about it.
//! Out: where they go.

use std::cell::RefCell;

use sharding::lexer::verbs;
use sharding::lexer::{Dialect, LexError, PostgresModes, Scan, ScannedStatement, StatementKind};

use super::effects::Effects;
use crate::mesh::Mesh;
use crate::postgres::statements::Lexed;

impl Lexed {
    /// What it leaves behind.
    pub fn effects(&self) -> Effects {
        Effects::of(self.kind, self.flags)
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

thread_local! {
    /// Warm buffers of the lexer, one set for each worker.
    static SCAN: RefCell<Scan> = RefCell::new(Scan::new());
}

/// Cuts a text into statements.
///
/// # Errors
/// [`LexError`]: a literal or comment has no end, or a limit is passed.
pub fn cut(mesh: &Mesh, sql: &[u8], modes: PostgresModes) -> Result<Pieces, LexError> {
    let dialect = Dialect::Postgres(modes);
    SCAN.with_borrow_mut(|scan| {
        scan.scan(sql, dialect, &mesh.fingerprint_key)?;
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
    })
}

/// The first statement of a text without its literals, for people.
pub fn display(mesh: &Mesh, sql: &[u8], modes: PostgresModes) -> String {
    SCAN.with_borrow_mut(|scan| {
        if scan.scan(sql, Dialect::Postgres(modes), &mesh.fingerprint_key).is_err() {
            return String::new();
        }
        scan.statements().first().map(|statement| scan.display(statement)).unwrap_or_default()
    })
}

/// Whether a statement may ask something of the session itself.
fn is_verb(kind: StatementKind) -> bool {
    use StatementKind as Kind;
    !matches!(
        kind,
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete | Kind::With | Kind::Values | Kind::Ddl | Kind::Copy
    )
}
