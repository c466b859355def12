//! From our tokens to a syntax tree of sqlparser, with locations that lead back to our tokens.
//! The parser never sees the text. Where it does not know a spelling that means the same as one it knows
//! (`LOCK IN SHARE MODE`), it is given the one it knows: nothing is ever printed from the tree.

use super::{Dialect, LexError, LiteralClass, Token, TokenKind, Tokens, depth, identifier_value, tokens, value};
use sqlparser::ast::{DollarQuotedString, Statement};
use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span, Token as Tree, TokenWithSpan, Word};
use thiserror::Error;

/// How deep the parser itself may recurse; its own guard grows the stack when it must.
const RECURSION_MAX: usize = 200;

/// How much of a text the parser may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text.
    pub sql_bytes_max: usize,
    /// Deepest tree of operators; walking and dropping a deeper one could overflow the stack.
    pub depth_max: usize,
    /// Deepest nesting of parentheses and the like.
    pub nesting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { sql_bytes_max: 16 << 20, depth_max: 2_000, nesting_max: 100 }
    }
}

/// Why a statement has no syntax tree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// The expression is too deep: refuse it.
    #[error("expression too complex: more than {limit} chained operators")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Parentheses are nested too deeply: refuse it.
    #[error("statement too complex: nested more than {limit} levels deep")]
    TooNested {
        /// The limit.
        limit: usize,
    },
    /// An identifier is not UTF-8, which the syntax tree cannot hold: the statement can only pass whole.
    #[error("identifier at byte {0} is not valid UTF-8")]
    NotUtf8(u32),
    /// The parser does not know this syntax: pass it whole or refuse it.
    #[error("{0}")]
    Syntax(String),
}

/// Lexes and parses the text.
///
/// # Errors
/// [`ParseError`]: only [`ParseError::Syntax`] and [`ParseError::NotUtf8`] may be passed to a server unread.
pub fn parse(sql: &[u8], dialect: Dialect, limits: &Limits) -> Result<(Vec<Statement>, Tokens), ParseError> {
    if sql.len() > limits.sql_bytes_max {
        return Err(LexError::TooLong { bytes: sql.len(), limit: limits.sql_bytes_max }.into());
    }
    let tokens = tokens(sql, dialect)?;
    let statements = tokens.parse(limits)?;
    Ok((statements, tokens))
}

impl Tokens {
    /// The syntax trees of the statements. Every span's `line` is a token's index plus one, its `column` a byte offset plus one.
    /// String contents in the tree are lossy when they are not UTF-8: read values by [`Tokens::literal_value`].
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(&self, limits: &Limits) -> Result<Vec<Statement>, ParseError> {
        depth::check(self, limits)?;
        let list = self.for_parser()?;
        let (my, pg) = (MySqlDialect {}, PostgreSqlDialect {});
        let parser = if self.dialect().is_mysql() { Parser::new(&my) } else { Parser::new(&pg) };
        let mut parser = parser.with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(list);
        parser.parse_statements().map_err(|error| ParseError::Syntax(self.readable(&error.to_string())))
    }

    /// Our locations are no lines and columns: they are cut from the parser's messages.
    fn readable(&self, message: &str) -> String {
        let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
        let end = message.find(" at Line: ").unwrap_or(message.len());
        message.get(..end).unwrap_or(message).to_owned()
    }

    fn for_parser(&self) -> Result<Vec<TokenWithSpan>, ParseError> {
        let mut out = Vec::with_capacity(self.list().len() + 4);
        let mut index = 0;
        while let Some(token) = self.list().get(index) {
            let at = Place { line: index as u64 + 1, start: token.span.start, end: token.span.end };
            match self.rewording(index) {
                Some((words, length)) => {
                    out.extend(words.iter().map(|word| at.with(word.clone())));
                    index += length;
                    continue;
                }
                None => self.push(token, at, &mut out)?,
            }
            index += 1;
        }
        Ok(out)
    }

    /// Words that stand for the `length` tokens at `index`, which the parser does not know.
    fn rewording(&self, index: usize) -> Option<(Vec<Tree>, usize)> {
        let is = |ahead: usize, word: &str| self.is_word(index + ahead, word);
        let words = |texts: &[&str]| texts.iter().map(|text| Tree::make_keyword(text)).collect::<Vec<_>>();
        if self.list().get(index)?.kind != TokenKind::Word {
            return None;
        }
        if self.dialect().is_mysql() {
            if is(0, "lock") && is(1, "in") && is(2, "share") && is(3, "mode") {
                return Some((words(&["FOR", "SHARE"]), 4));
            }
            if is(0, "for") && is(1, "update") && is(2, "wait") {
                return Some((words(&["FOR", "UPDATE"]), 4));
            }
            if is(0, "mod") && index.checked_sub(1).is_some_and(|before| self.is_operand(before)) {
                return Some((vec![Tree::Mod], 1));
            }
            return None;
        }
        if is(0, "for") && is(1, "no") && is(2, "key") && is(3, "update") {
            return Some((words(&["FOR", "UPDATE"]), 4));
        }
        if is(0, "for") && is(1, "key") && is(2, "share") {
            return Some((words(&["FOR", "SHARE"]), 3));
        }
        None
    }

    /// True for what can only be the left side of an infix operator.
    fn is_operand(&self, index: usize) -> bool {
        self.list().get(index).is_some_and(|token| match token.kind {
            TokenKind::Word => {
                super::keyword::find(self.text(token), super::word_table::packed(self.text(token))).is_none()
            }
            TokenKind::Literal(_) | TokenKind::QuotedIdentifier | TokenKind::RightParenthesis => true,
            TokenKind::Placeholder | TokenKind::UserVariable | TokenKind::SystemVariable => true,
            _ => false,
        })
    }

    fn push(&self, token: &Token, at: Place, out: &mut Vec<TokenWithSpan>) -> Result<(), ParseError> {
        let text = self.text(token);
        let tree = match token.kind {
            TokenKind::Hint | TokenKind::MeshHint => return Ok(()),
            TokenKind::Word => Tree::make_word(utf8(text, at)?, None),
            TokenKind::QuotedIdentifier => self.quoted(token, at)?,
            TokenKind::Literal(class) => self.literal(token, class),
            TokenKind::Placeholder => Tree::Placeholder(utf8(text, at)?.to_owned()),
            TokenKind::UserVariable => {
                let name = identifier_value(text.get(1..).unwrap_or_default());
                Tree::make_word(&format!("@{}", utf8(&name, at)?), None)
            }
            TokenKind::SystemVariable => {
                for (number, part) in utf8(text, at)?.split('.').enumerate() {
                    if number > 0 {
                        out.push(at.with(Tree::Period));
                    }
                    out.push(at.with(Tree::make_word(part.trim_matches('`'), None)));
                }
                return Ok(());
            }
            TokenKind::LeftParenthesis => Tree::LParen,
            TokenKind::RightParenthesis => Tree::RParen,
            TokenKind::Comma => Tree::Comma,
            TokenKind::Dot => Tree::Period,
            TokenKind::Semicolon => Tree::SemiColon,
            TokenKind::Operator if text == b".." => {
                out.push(at.with(Tree::Period));
                Tree::Period
            }
            TokenKind::Operator => operator(text),
        };
        out.push(at.with(tree));
        Ok(())
    }

    fn quoted(&self, token: &Token, at: Place) -> Result<Tree, ParseError> {
        let text = self.text(token);
        let quote = if text.first() == Some(&b'`') { '`' } else { '"' };
        let name = match text.first() {
            Some(b'u' | b'U') => {
                let plain = identifier_value(text.get(2..).unwrap_or_default());
                value::unicode_escapes(&plain).ok_or(ParseError::NotUtf8(at.start))?
            }
            _ => identifier_value(text),
        };
        let name = utf8(&name, at)?.to_owned();
        Ok(Tree::Word(Word { value: name, quote_style: Some(quote), keyword: sqlparser::keywords::Keyword::NoKeyword }))
    }

    fn literal(&self, token: &Token, class: LiteralClass) -> Tree {
        let text = self.text(token);
        let plain = String::from_utf8_lossy(text).into_owned();
        let digits = || String::from_utf8_lossy(value::digits_of(text).unwrap_or_default()).into_owned();
        let content = || String::from_utf8_lossy(&self.literal_value(token).unwrap_or_default()).into_owned();
        match class {
            LiteralClass::Hex if text.first().is_some_and(u8::is_ascii_digit) && !plain.starts_with("0x") => {
                Tree::Number(plain, false)
            }
            LiteralClass::Hex => Tree::HexStringLiteral(digits()),
            LiteralClass::Bit => Tree::SingleQuotedByteStringLiteral(digits()),
            LiteralClass::National => Tree::NationalStringLiteral(content()),
            LiteralClass::String => match text.first() {
                Some(b'"') => Tree::DoubleQuotedString(content()),
                Some(b'$') => Tree::DollarQuotedString(DollarQuotedString { value: content(), tag: None }),
                Some(b'e' | b'E') => Tree::EscapedStringLiteral(content()),
                Some(b'u' | b'U') => Tree::UnicodeStringLiteral(content()),
                _ => Tree::SingleQuotedString(content()),
            },
            LiteralClass::Int | LiteralClass::BigInt | LiteralClass::Decimal | LiteralClass::Float => {
                Tree::Number(plain, false)
            }
        }
    }
}

/// Where a token stands, as the tree tells it.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    start: u32,
    end: u32,
}

impl Place {
    fn with(self, token: Tree) -> TokenWithSpan {
        let start = Location::new(self.line, u64::from(self.start) + 1);
        let end = Location::new(self.line, u64::from(self.end) + 1);
        TokenWithSpan { token, span: Span::new(start, end) }
    }
}

fn utf8(bytes: &[u8], at: Place) -> Result<&str, ParseError> {
    std::str::from_utf8(bytes).map_err(|_| ParseError::NotUtf8(at.start))
}

fn operator(text: &[u8]) -> Tree {
    match text {
        b"=" => Tree::Eq,
        b"==" => Tree::DoubleEq,
        b"<>" | b"!=" => Tree::Neq,
        b"<" => Tree::Lt,
        b">" => Tree::Gt,
        b"<=" => Tree::LtEq,
        b">=" => Tree::GtEq,
        b"<=>" => Tree::Spaceship,
        b"+" => Tree::Plus,
        b"-" => Tree::Minus,
        b"*" => Tree::Mul,
        b"/" => Tree::Div,
        b"%" => Tree::Mod,
        b"||" => Tree::StringConcat,
        b"&&" => Tree::Overlap,
        b"!" => Tree::ExclamationMark,
        b"!!" => Tree::DoubleExclamationMark,
        b"&" => Tree::Ampersand,
        b"|" => Tree::Pipe,
        b"^" => Tree::Caret,
        b"~" => Tree::Tilde,
        b"<<" => Tree::ShiftLeft,
        b">>" => Tree::ShiftRight,
        b":" => Tree::Colon,
        b"::" => Tree::DoubleColon,
        b":=" => Tree::Assignment,
        b"=>" => Tree::RArrow,
        b"[" => Tree::LBracket,
        b"]" => Tree::RBracket,
        b"{" => Tree::LBrace,
        b"}" => Tree::RBrace,
        b"\\" => Tree::Backslash,
        b"\\N" => Tree::make_keyword("NULL"),
        b"->" => Tree::Arrow,
        b"->>" => Tree::LongArrow,
        b"#>" => Tree::HashArrow,
        b"#>>" => Tree::HashLongArrow,
        b"#-" => Tree::HashMinus,
        b"#" => Tree::Sharp,
        b"##" => Tree::DoubleSharp,
        b"@" => Tree::AtSign,
        b"@@" => Tree::AtAt,
        b"@>" => Tree::AtArrow,
        b"<@" => Tree::ArrowAt,
        b"@?" => Tree::AtQuestion,
        b"@-@" => Tree::AtDashAt,
        b"?" => Tree::Question,
        b"?&" => Tree::QuestionAnd,
        b"?|" => Tree::QuestionPipe,
        b"?#" => Tree::QuestionMarkSharp,
        b"?-" => Tree::QuestionMarkDash,
        b"?-|" => Tree::QuestionMarkDashVerticalBar,
        b"?||" => Tree::QuestionMarkDoubleVerticalBar,
        b"~*" => Tree::TildeAsterisk,
        b"!~" => Tree::ExclamationMarkTilde,
        b"!~*" => Tree::ExclamationMarkTildeAsterisk,
        b"~~" => Tree::DoubleTilde,
        b"~~*" => Tree::DoubleTildeAsterisk,
        b"!~~" => Tree::ExclamationMarkDoubleTilde,
        b"!~~*" => Tree::ExclamationMarkDoubleTildeAsterisk,
        b"~=" => Tree::TildeEqual,
        b"^@" => Tree::CaretAt,
        b"|/" => Tree::PGSquareRoot,
        b"||/" => Tree::PGCubeRoot,
        b"<->" => Tree::TwoWayArrow,
        b"&<" => Tree::AmpersandLeftAngleBracket,
        b"&>" => Tree::AmpersandRightAngleBracket,
        b"&<|" => Tree::AmpersandLeftAngleBracketVerticalBar,
        b"|&>" => Tree::VerticalBarAmpersandRightAngleBracket,
        b"<^" => Tree::LeftAngleBracketCaret,
        b">^" => Tree::RightAngleBracketCaret,
        b"<<|" => Tree::ShiftLeftVerticalBar,
        b"|>>" => Tree::VerticalBarShiftRight,
        other => match std::str::from_utf8(other) {
            Ok(text) if other.iter().all(|byte| super::bytes::is_operator(*byte)) => {
                Tree::CustomBinaryOperator(text.to_owned())
            }
            _ => Tree::Char(other.first().map_or(' ', |byte| char::from(*byte))),
        },
    }
}
