//! Reads kind and flags of one statement from its tokens as they pass. Keeps a few tokens of memory, no list.
//! Out: names of tables, routes. Invariant: when in doubt a flag is set.

use super::cursor::Raw;
use super::functions::{self, FunctionClass};
use super::keyword::{Keyword, Word};
use super::{Flags, StatementKind, TokenKind, kind};

const NOWHERE: u32 = u32::MAX;

/// What is remembered of the token before.
#[derive(Clone, Copy)]
struct Previous {
    kind: TokenKind,
    word: Option<Word>,
    keyword: Keyword,
    packed: u64,
    start: usize,
    end: usize,
}

const NOTHING: Previous =
    Previous { kind: TokenKind::Semicolon, word: None, keyword: Keyword::None, packed: 0, start: 0, end: 0 };

/// What waits for the next token to be certain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    /// A verb that writes, unless a parenthesis makes it a function.
    Write,
    /// `last_insert_id(`: an argument sets the value.
    LastInsertId,
}

pub(super) struct Classifier<'a> {
    sql: &'a [u8],
    mysql: bool,
    flags: Flags,
    lead: [Keyword; 4],
    words: usize,
    pub(super) depth: u32,
    previous: Previous,
    before: Keyword,
    before_kind: TokenKind,
    verb: Keyword,
    pending: Pending,
    object: Keyword,
    /// A table's name is here: a parenthesis behind it opens a column list.
    table_name: bool,
    ordinals: u32,
    type_numbers: u32,
    atomic: u32,
    limited: bool,
    united: bool,
}

impl<'a> Classifier<'a> {
    pub(super) fn new(sql: &'a [u8], mysql: bool) -> Self {
        Classifier {
            sql,
            mysql,
            flags: Flags::NONE,
            lead: [Keyword::None; 4],
            words: 0,
            depth: 0,
            previous: NOTHING,
            before: Keyword::None,
            before_kind: TokenKind::Semicolon,
            verb: Keyword::None,
            pending: Pending::Nothing,
            object: Keyword::None,
            table_name: false,
            ordinals: NOWHERE,
            type_numbers: NOWHERE,
            atomic: 0,
            limited: false,
            united: false,
        }
    }

    /// The first word.
    pub(super) fn first(&self) -> Keyword {
        self.lead[0]
    }

    pub(super) fn after_dot(&self) -> bool {
        self.previous.kind == TokenKind::Dot
    }

    /// True when the token before ends at `start` and may be a function's name: MySQL takes `f(` and `f (` for different things.
    pub(super) fn glues(&self, start: usize) -> bool {
        let previous = &self.previous;
        self.mysql
            && previous.kind == TokenKind::Word
            && previous.end == start
            && previous.word.is_none_or(|word| word.may_be_function(true))
    }

    /// True when the number of an integer here is part of the statement's shape: `ORDER BY 2`, `CHAR(10)`.
    pub(super) fn number_is_shape(&self) -> bool {
        self.ordinals != NOWHERE || self.type_numbers != NOWHERE
    }

    /// True when the text of a string here may be a name: MySQL `AS 'x'`, `COLLATE 'x'`, `a 'x'`.
    pub(super) fn string_is_shape(&self) -> bool {
        if !self.mysql {
            return false;
        }
        match self.previous.kind {
            TokenKind::Word => match self.previous.word {
                None => self.sql.get(self.previous.start) != Some(&b'_'),
                // A word that is not reserved may be a column's name.
                Some(word) => {
                    matches!(word.keyword, Keyword::As | Keyword::Collate | Keyword::End)
                        || !(word.folds() || word.begins_typed_literal())
                }
            },
            TokenKind::QuotedIdentifier | TokenKind::RightParenthesis | TokenKind::Literal(_) => true,
            TokenKind::UserVariable | TokenKind::SystemVariable | TokenKind::Placeholder => true,
            _ => false,
        }
    }

    /// True when a `;` here belongs to the statement: the body of a routine or block.
    pub(super) fn keeps_semicolon(&self) -> bool {
        if self.mysql {
            return self.is_routine() || self.is_block();
        }
        self.atomic > 0 || (self.object == Keyword::Rule && self.depth > 0)
    }

    fn is_routine(&self) -> bool {
        use Keyword::{Event, Function, Package, Procedure, Trigger};
        self.first() == Keyword::Create && matches!(self.object, Procedure | Function | Trigger | Event | Package)
    }

    /// MariaDB's blocks outside of routines.
    fn is_block(&self) -> bool {
        use Keyword::{Begin, Case, Declare, For, If, Loop, Not, Repeat, While};
        matches!(self.lead, [Begin, Not, ..] | [If | Case | Loop | While | Repeat | For | Declare, ..])
    }

    /// A `;` was kept.
    pub(super) fn compound(&mut self) {
        self.flags.set(Flags::COMPOUND);
    }

    #[inline(always)]
    pub(super) fn token(&mut self, raw: &Raw, word: Option<Word>) {
        if self.pending != Pending::Nothing {
            self.settle(raw.kind);
        }
        let keyword = word.map_or(Keyword::None, |word| word.keyword);
        match raw.kind {
            TokenKind::Word => self.word(word, keyword),
            TokenKind::LeftParenthesis => self.open(raw),
            TokenKind::RightParenthesis => self.close(),
            TokenKind::Comma => {
                self.table_name = false;
                if self.before == Keyword::Limit && self.mysql {
                    self.flags.set(Flags::FOUND_ROWS_DIFFER);
                }
            }
            TokenKind::Literal(_) | TokenKind::Placeholder => self.table_name = false,
            TokenKind::QuotedIdentifier | TokenKind::Dot => {}
            TokenKind::UserVariable => self.user_variable(),
            TokenKind::SystemVariable => self.system_variable(raw),
            TokenKind::Operator => {
                self.table_name = false;
                if self.mysql && self.sql.get(raw.start..raw.end) == Some(b":=") {
                    self.flags.set(Flags::USER_VARIABLE_ASSIGN);
                }
            }
            TokenKind::Semicolon | TokenKind::Hint | TokenKind::MeshHint => {}
        }
        self.before = self.previous.keyword;
        self.before_kind = self.previous.kind;
        self.previous = Previous { kind: raw.kind, word, keyword, packed: raw.packed, start: raw.start, end: raw.end };
    }

    fn settle(&mut self, next: TokenKind) {
        match self.pending {
            Pending::Write if next != TokenKind::LeftParenthesis => self.flags.set(Flags::WRITES),
            Pending::LastInsertId if next != TokenKind::RightParenthesis => self.flags.set(Flags::LAST_INSERT_ID_SET),
            _ => {}
        }
        self.pending = Pending::Nothing;
    }

    #[inline(always)]
    fn word(&mut self, word: Option<Word>, keyword: Keyword) {
        if let Some(lead) = self.lead.get_mut(self.words) {
            *lead = keyword;
            self.words += 1;
        }
        if let Some(word) = word {
            self.known_word(keyword, word);
        }
    }

    fn known_word(&mut self, keyword: Keyword, word: Word) {
        use Keyword as K;
        if word.is_time_of_statement() {
            self.flags.set(Flags::STABLE);
        }
        if word.describes_session() && (!self.mysql || word.folds()) {
            self.flags.set(Flags::SESSION_FUNCTION);
        }
        if keyword == K::Plain {
            return;
        }
        self.table_name = matches!(keyword, K::Into | K::Table | K::As | K::Recursive)
            || (keyword == K::With && self.words == 1)
            || (self.words == 1 && matches!(keyword, K::Insert | K::Replace));
        let previous = self.previous.keyword;
        match keyword {
            K::Select => {
                self.verb = keyword;
                if self.mysql && matches!(self.first(), K::Insert | K::Replace | K::Create) {
                    self.flags.set(Flags::FOUND_ROWS_DIFFER);
                }
            }
            K::Offset if self.mysql => self.flags.set(Flags::FOUND_ROWS_DIFFER),
            K::Limit if self.mysql => {
                self.limited = true;
                if self.united {
                    self.flags.set(Flags::FOUND_ROWS_DIFFER);
                }
            }
            K::Union | K::Except | K::Intersect if self.mysql => {
                self.united = true;
                if self.limited {
                    self.flags.set(Flags::FOUND_ROWS_DIFFER);
                }
            }
            K::Insert | K::Delete | K::Replace | K::Merge if previous != K::On => {
                self.pending = Pending::Write;
                self.verb = keyword;
            }
            K::Update => match previous {
                K::For => self.flags.set(Flags::LOCKS_ROWS),
                K::Key if self.before == K::No => {}
                K::Key | K::On => {}
                _ => self.pending = Pending::Write,
            },
            K::No if previous == K::For => self.flags.set(Flags::LOCKS_ROWS),
            K::Key if previous == K::For => self.flags.set(Flags::LOCKS_ROWS.with(Flags::LOCKS_ROWS_SHARED)),
            K::Share if previous == K::For || (previous == K::In && self.before == K::Lock) => {
                self.flags.set(Flags::LOCKS_ROWS.with(Flags::LOCKS_ROWS_SHARED));
            }
            K::Load => self.verb = keyword,
            K::Into if self.verb == K::Select => self.flags.set(Flags::INTO),
            K::Outfile | K::Dumpfile if previous == K::Into => self.flags.set(Flags::INTO_FILE),
            K::Temporary | K::Temp
                if previous == K::Into || matches!(self.first(), K::Create | K::Drop | K::Truncate | K::Alter) =>
            {
                self.flags.set(Flags::TEMPORARY);
            }
            K::PgPrepared => self.flags.set(Flags::PREPARED_STATEMENTS),
            K::PgTemp => self.flags.set(Flags::TEMPORARY),
            K::Hold if previous == K::With => self.flags.set(Flags::WITH_HOLD),
            K::CalcFoundRows => self.flags.set(Flags::CALC_FOUND_ROWS),
            K::Returning => self.flags.set(Flags::RETURNING),
            K::For if previous == K::Value && self.before == K::Next => self.flags.set(Flags::SEQUENCE_NEXT),
            K::For if previous == K::Value && self.before == K::Previous => self.flags.set(Flags::SEQUENCE_CURRENT),
            K::Warnings | K::Errors if self.first() == K::Show => self.flags.set(Flags::DIAGNOSTICS),
            K::Diagnostics if self.first() == K::Get => self.flags.set(Flags::DIAGNOSTICS),
            _ => {}
        }
        self.clauses(keyword, previous);
        self.bodies(keyword, previous);
    }

    /// Follows ORDER BY and GROUP BY lists, in which an integer is the number of a column.
    fn clauses(&mut self, keyword: Keyword, previous: Keyword) {
        use Keyword as K;
        match keyword {
            K::By if matches!(previous, K::Order | K::Group) && self.ordinals == NOWHERE => self.ordinals = self.depth,
            K::Limit
            | K::Having
            | K::For
            | K::Union
            | K::Except
            | K::Intersect
            | K::Offset
            | K::Fetch
            | K::Window
            | K::Lock
            | K::Into
            | K::Where
                // Behind BY or a comma it is a name: OFFSET, WINDOW ... are not reserved in MySQL.
                if self.depth == self.ordinals
                    && previous != K::By
                    && self.previous.kind != TokenKind::Comma
                    && self.previous.kind != TokenKind::Operator =>
            {
                self.ordinals = NOWHERE;
            }
            _ => {}
        }
    }

    /// Finds the object of a DDL statement, and follows PostgreSQL's BEGIN ATOMIC ... END.
    fn bodies(&mut self, keyword: Keyword, previous: Keyword) {
        use Keyword as K;
        if self.first() != K::Create {
            return;
        }
        if self.object == K::None {
            match keyword {
                K::Table | K::View | K::Index | K::Database | K::Schema | K::User | K::Role | K::Sequence => {
                    self.object = keyword;
                }
                K::Server | K::Procedure | K::Function | K::Trigger | K::Event | K::Package | K::Rule => {
                    self.object = keyword;
                }
                _ => {}
            }
            return;
        }
        match keyword {
            K::Atomic if previous == K::Begin && matches!(self.object, K::Function | K::Procedure) => {
                self.atomic = self.atomic.max(1);
            }
            K::Case if self.atomic > 0 && previous != K::End => self.atomic += 1,
            K::End if self.atomic > 0 => self.atomic -= 1,
            _ => {}
        }
    }

    fn open(&mut self, raw: &Raw) {
        self.depth = self.depth.saturating_add(1);
        let previous = self.previous;
        if previous.word.is_some_and(Word::is_type) && self.type_numbers == NOWHERE {
            self.type_numbers = self.depth;
        }
        let callable = match previous.kind {
            TokenKind::Word => previous.word.is_none_or(|word| word.may_be_function(self.mysql)),
            TokenKind::QuotedIdentifier => true,
            _ => false,
        };
        if callable && !self.table_name {
            self.call(previous, raw);
        }
        self.table_name = false;
    }

    fn call(&mut self, previous: Previous, raw: &Raw) {
        let name = self.sql.get(previous.start..previous.end).unwrap_or_default();
        let qualified = self.before_kind == TokenKind::Dot;
        let found = match previous.kind {
            TokenKind::Word if !qualified || self.in_catalog(previous.start) => {
                functions::find(name, previous.packed, self.mysql)
            }
            _ => None,
        };
        match found {
            Some(FunctionClass::LastInsertId) => {
                self.flags.set(Flags::LAST_INSERT_ID);
                self.pending = Pending::LastInsertId;
            }
            Some(class) => self.flags.set(class.flag()),
            None => self.flags.set(Flags::UNKNOWN_FUNCTION),
        }
        debug_assert!(previous.end <= raw.start);
    }

    /// PostgreSQL: true when `pg_catalog.` stands right before the name at `start`.
    fn in_catalog(&self, start: usize) -> bool {
        let before = self.sql.get(..start).unwrap_or_default();
        !self.mysql
            && before.len() >= 11
            && before.get(start - 11..).is_some_and(|b| b.eq_ignore_ascii_case(b"pg_catalog."))
    }

    fn close(&mut self) {
        self.table_name = false;
        self.depth = self.depth.saturating_sub(1);
        if self.ordinals != NOWHERE && self.depth < self.ordinals {
            self.ordinals = NOWHERE;
        }
        if self.type_numbers != NOWHERE && self.depth < self.type_numbers {
            self.type_numbers = NOWHERE;
        }
    }

    fn user_variable(&mut self) {
        self.table_name = false;
        if self.previous.keyword == Keyword::Into && self.verb == Keyword::Select {
            self.flags.set(Flags::USER_VARIABLE_ASSIGN);
            return;
        }
        self.flags.set(Flags::USER_VARIABLE_READ);
        // An argument of a CALL may be an OUT parameter; LOAD DATA reads fields into variables.
        if matches!(self.first(), Keyword::Set | Keyword::Call | Keyword::Load) {
            self.flags.set(Flags::USER_VARIABLE_ASSIGN);
        }
    }

    fn system_variable(&mut self, raw: &Raw) {
        self.table_name = false;
        self.flags.set(Flags::SYSTEM_VARIABLE);
        let text = self.sql.get(raw.start..raw.end).unwrap_or_default().to_ascii_lowercase();
        let text = text.strip_suffix(b"`").unwrap_or(&text);
        if text.ends_with(b"last_insert_id") || text.ends_with(b"identity") {
            self.flags.set(Flags::LAST_INSERT_ID);
        }
        if text.ends_with(b"warning_count") || text.ends_with(b"error_count") {
            self.flags.set(Flags::DIAGNOSTICS);
        }
    }

    /// The end of the statement.
    pub(super) fn finish(mut self) -> (StatementKind, Flags) {
        self.settle(TokenKind::Semicolon);
        let kind = kind::of(&self.lead, self.mysql);
        if self.is_block() && self.mysql {
            self.flags.set(Flags::COMPOUND);
            return (StatementKind::Other, self.flags);
        }
        (kind, self.flags)
    }
}
