//! The hot path: one pass over the text gives statements, kinds, flags, fingerprints and literals.
//! Out: anything that allocates when the buffers are warm.

use super::classify::Classifier;
use super::cursor::{Cursor, Raw};
use super::fingerprint::{Fingerprint, FingerprintKey, Writer, display};
use super::keyword::{self, Keyword};
use super::quoted::mesh_hint;
use super::shapes::{Parts, Shapes};
use super::{Dialect, Flags, LexError, MAX_LITERALS, MAX_SQL_BYTES, MAX_STATEMENTS, Span, StatementKind, TokenKind};

/// Buffers larger than this are given back before the next scan.
const KEEP_BYTES: usize = 256 << 10;

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
    pub(super) shapes: Shapes,
    /// The text of a literal is part of a statement's shape.
    fixed: bool,
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
    pub fn scan(&mut self, sql: &[u8], dialect: Dialect, key: &FingerprintKey) -> Result<(), LexError> {
        self.clear();
        if sql.len() > MAX_SQL_BYTES {
            return Err(LexError::TooLong { bytes: sql.len(), limit: MAX_SQL_BYTES });
        }
        let mut parts =
            Parts { statements: &mut self.statements, literals: &mut self.literals, normalised: &mut self.normalised };
        if self.shapes.find(sql, dialect, key, &mut parts) {
            return Ok(());
        }
        let mut cursor = Cursor::new(sql, dialect);
        let done = loop {
            match self.statement(&mut cursor, key) {
                Ok(true) if self.statements.len() >= MAX_STATEMENTS => break Err(LexError::TooManyStatements),
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if done.is_err() {
            self.clear();
            return done;
        }
        let parts =
            Parts { statements: &mut self.statements, literals: &mut self.literals, normalised: &mut self.normalised };
        self.shapes.keep(sql, dialect, key, &parts, self.fixed);
        done
    }

    fn clear(&mut self) {
        self.fixed = false;
        self.statements.clear();
        self.literals.clear();
        self.normalised.clear();
        if self.normalised.capacity() > KEEP_BYTES {
            self.normalised = Vec::new();
        }
        if self.literals.capacity() > KEEP_BYTES / size_of::<Literal>() {
            self.literals = Vec::new();
        }
        if self.statements.capacity() > KEEP_BYTES / size_of::<ScannedStatement>() {
            self.statements = Vec::new();
        }
    }

    /// Reads up to and over the next `;`. False: the text has come to its end.
    fn statement(&mut self, cursor: &mut Cursor<'_>, key: &FingerprintKey) -> Result<bool, LexError> {
        let sql = cursor.sql;
        let first_literal = self.literals.len();
        let mut state = Statement::new(sql, cursor.modes.mysql, Writer::new(&mut self.normalised), first_literal);
        let mut raw = Raw::EMPTY;
        let more = loop {
            if !cursor.next(&mut raw)? {
                break false;
            }
            if raw.kind == TokenKind::Semicolon {
                if state.classifier.keeps_semicolon() {
                    state.semicolons += 1;
                    continue;
                }
                if cursor.inside_comment.is_some() {
                    return Err(LexError::SemicolonInComment(raw.start as u32));
                }
                break true;
            }
            state.token(&raw, &mut self.literals)?;
        };
        let fixed = state.fixed;
        let flags = cursor.take_flags();
        let marks = cursor.take_marks();
        if let Some(statement) = state.finish(flags, marks, key, self.literals.len()) {
            self.statements.push(statement);
        }
        self.fixed |= fixed;
        Ok(more)
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
        display(self.normalised(statement))
    }
}

/// The statement that is being read.
struct Statement<'a> {
    sql: &'a [u8],
    mysql: bool,
    classifier: Classifier<'a>,
    writer: Writer<'a>,
    rows: RowState,
    row_literals: (usize, usize),
    first_literal: usize,
    first: Option<usize>,
    last: usize,
    tokens: usize,
    semicolons: usize,
    placeholders: u32,
    hint: Option<Span>,
    /// The text of a literal is part of the shape.
    fixed: bool,
}

/// Where we are in the row list of an INSERT.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowState {
    /// No VALUES yet.
    Before,
    /// A row may begin.
    Expected,
    /// In a row.
    Inside,
    /// Behind a row.
    Between,
    /// Behind the list.
    Done,
}

impl<'a> Statement<'a> {
    fn new(sql: &'a [u8], mysql: bool, writer: Writer<'a>, first_literal: usize) -> Self {
        Statement {
            sql,
            mysql,
            classifier: Classifier::new(sql, mysql),
            writer,
            rows: RowState::Before,
            row_literals: (0, 0),
            first_literal,
            first: None,
            last: 0,
            tokens: 0,
            semicolons: 0,
            placeholders: 0,
            hint: None,
            fixed: false,
        }
    }

    #[inline(always)]
    fn token(&mut self, raw: &Raw, literals: &mut Vec<Literal>) -> Result<(), LexError> {
        let text = self.sql.get(raw.start..raw.end).unwrap_or_default();
        self.first.get_or_insert(raw.start);
        self.last = raw.end;
        if self.semicolons > 0 {
            self.classifier.compound();
            for _ in 0..std::mem::take(&mut self.semicolons) {
                self.writer.token(b";", false);
            }
        }
        let mut word = None;
        match raw.kind {
            TokenKind::Word => {
                let known = if self.classifier.after_dot() { None } else { keyword::find(text, raw.packed) };
                match known {
                    Some((lower, known)) => {
                        word = Some(*known);
                        let folds = !self.mysql || known.folds();
                        self.writer.token(if folds { lower.as_bytes() } else { text }, false);
                    }
                    None => self.writer.token(text, !self.mysql),
                }
            }
            TokenKind::Literal(class) => self.literal(class, raw, text, literals)?,
            TokenKind::LeftParenthesis => {
                if self.rows == RowState::Expected && self.classifier.depth == 0 {
                    self.writer.begin_row();
                    self.rows = RowState::Inside;
                    if self.writer.rows().0 == 0 {
                        self.row_literals = (literals.len(), 0);
                    }
                }
                if self.classifier.glues(raw.start) {
                    self.writer.glued(text, false);
                } else {
                    self.writer.token(text, false);
                }
            }
            TokenKind::Placeholder => {
                self.writer.token(text, false);
                let number = std::str::from_utf8(text.get(1..).unwrap_or_default()).ok().and_then(|n| n.parse().ok());
                self.placeholders = match number {
                    _ if self.mysql => self.placeholders.saturating_add(1),
                    Some(number) => self.placeholders.max(number),
                    None => u32::MAX,
                };
            }
            TokenKind::MeshHint => {
                self.writer.token(text, false);
                self.mesh_hint(raw, text);
            }
            _ => self.writer.token(text, false),
        }
        if !matches!(raw.kind, TokenKind::Hint | TokenKind::MeshHint) {
            self.tokens += 1;
            self.classifier.token(raw, word);
            if self.rows != RowState::Done {
                self.row_list(raw.kind, word, literals.len());
            }
        }
        Ok(())
    }

    fn literal(
        &mut self,
        class: LiteralClass,
        raw: &Raw,
        text: &[u8],
        literals: &mut Vec<Literal>,
    ) -> Result<(), LexError> {
        if literals.len() >= MAX_LITERALS {
            return Err(LexError::TooManyLiterals);
        }
        literals.push(Literal { start: raw.start as u32, end: raw.end as u32, class });
        let shape = match class {
            LiteralClass::Int | LiteralClass::BigInt => self.classifier.number_is_shape(),
            LiteralClass::String | LiteralClass::National => self.classifier.string_is_shape(),
            _ => false,
        };
        if shape {
            self.fixed = true;
            self.writer.literal_with_text(class, text);
        } else {
            self.writer.literal(class);
        }
        Ok(())
    }

    fn mesh_hint(&mut self, raw: &Raw, text: &[u8]) {
        let body = text.get(2..text.len().saturating_sub(2)).unwrap_or_default();
        if let Some(rest) = mesh_hint(body)
            && self.hint.is_none()
        {
            let end = raw.end - 2;
            self.hint = Some(Span { start: (end - rest.len()) as u32, end: end as u32 });
        }
    }

    /// Follows `VALUES (..), (..)` of INSERT and REPLACE.
    #[inline]
    fn row_list(&mut self, kind: TokenKind, word: Option<keyword::Word>, literals: usize) {
        let depth = self.classifier.depth;
        match (self.rows, kind) {
            (RowState::Before, TokenKind::Word) => {
                let keyword = word.map_or(Keyword::None, |word| word.keyword);
                if !matches!(self.classifier.first(), Keyword::Insert | Keyword::Replace) {
                    self.rows = RowState::Done;
                } else if matches!(keyword, Keyword::Values | Keyword::Value) && depth == 0 {
                    self.rows = RowState::Expected;
                } else if matches!(keyword, Keyword::Select | Keyword::Set) {
                    self.rows = RowState::Done;
                }
            }
            (RowState::Inside, TokenKind::RightParenthesis) if depth == 0 => {
                if self.writer.rows().0 == 0 {
                    self.row_literals.1 = literals - self.row_literals.0;
                }
                self.writer.end_row();
                self.rows = RowState::Between;
            }
            (RowState::Between, TokenKind::Comma) => self.rows = RowState::Expected,
            (RowState::Between, _) => self.rows = RowState::Done,
            (RowState::Expected, kind) if kind != TokenKind::LeftParenthesis => {
                let again = word.is_some_and(|word| word.keyword == Keyword::Values) && self.writer.rows().0 == 0;
                self.rows = if again { RowState::Expected } else { RowState::Done };
            }
            _ => {}
        }
    }

    fn finish(
        mut self,
        noted: Flags,
        marks: Option<(usize, usize)>,
        key: &FingerprintKey,
        literals: usize,
    ) -> Option<ScannedStatement> {
        let (start, end) = (self.first.filter(|_| self.tokens > 0)?, self.last);
        let (start, end) = marks.map_or((start, end), |(first, last)| (start.min(first), end.max(last)));
        if noted.has(Flags::EXECUTABLE_COMMENT) {
            // The same tokens mean something else when another server decides what is executed.
            self.writer.token(b"\x04", false);
        }
        let (rows, mixed) = self.writer.rows();
        let (kind, mut flags) = self.classifier.finish();
        flags.set(noted);
        if mixed && literals > self.first_literal {
            flags.set(Flags::MIXED_ROWS);
        }
        let normalised =
            Span { start: self.writer.start() as u32, end: (self.writer.start() + self.writer.bytes().len()) as u32 };
        Some(ScannedStatement {
            span: Span { start: start as u32, end: end as u32 },
            kind,
            flags,
            fingerprint: key.hash(self.writer.bytes()),
            placeholders: self.placeholders,
            rows: if mixed { 1 } else { rows as u32 },
            row_first_literal: self.row_literals.0.saturating_sub(self.first_literal) as u32,
            row_literals: self.row_literals.1 as u32,
            comment_hint: self.hint,
            literals: Span { start: self.first_literal as u32, end: literals as u32 },
            normalised,
        })
    }
}
