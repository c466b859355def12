//! The statement as the planner reads it: tokens beside the syntax tree, literals and parameters by number.
//! Out: tables and routes.

use std::collections::HashSet;

use sqlparser::ast::{CastKind, DataType, Expr, Ident, UnaryOperator, Value as AstValue};
use sqlparser::tokenizer::Span;

use crate::lexer::{LiteralClass, Token, TokenKind, Tokens, identifier_value};
use crate::plan::PlanContext;
use crate::route::{CastTo, Operand};
use crate::schema::{Protocol, Schema};
use crate::value::Value;

/// One statement and what it is read with.
pub(super) struct Source<'a> {
    pub tokens: &'a Tokens,
    pub schema: &'a Schema,
    pub context: &'a PlanContext<'a>,
    /// The parser may read the operators of this statement with other precedences than the server does: nothing may be
    /// concluded from AND and `=`.
    pub misread: bool,
    /// It holds a comment that a server may execute, or not.
    pub conditional: bool,
    literals: Vec<Option<u32>>,
    parameters: Vec<Option<u32>>,
}

impl<'a> Source<'a> {
    pub fn new(tokens: &'a Tokens, schema: &'a Schema, context: &'a PlanContext<'a>) -> Self {
        let mysql = schema.protocol == Protocol::MySql;
        let (mut literals, mut parameters) = (Vec::new(), Vec::new());
        let (mut literal, mut mark) = (0u32, 0u32);
        let mut misread = false;
        let mut conditional = false;
        let mut before = 0;
        for (at, token) in tokens.list().iter().enumerate() {
            let text = tokens.text(token);
            let gap = tokens.sql().get(before..token.span.start as usize).unwrap_or_default();
            before = token.span.end as usize;
            conditional |= mysql && executable(gap) && !is_cache_hint(tokens, at);
            let is_literal = matches!(token.kind, TokenKind::Literal(_));
            literals.push(is_literal.then_some(literal));
            literal += u32::from(is_literal);
            parameters.push((token.kind == TokenKind::Placeholder).then(|| {
                match mysql {
                    true => mark,
                    false => std::str::from_utf8(text.get(1..).unwrap_or_default())
                        .ok()
                        .and_then(|digits| digits.parse::<u32>().ok())
                        .map_or(u32::MAX, |n| n.wrapping_sub(1)),
                }
            }));
            mark += u32::from(token.kind == TokenKind::Placeholder);
            // MySQL: `||` is OR, and XOR binds weaker than AND; the parser has both bind stronger than `=`. `:=` binds
            // weakest of all.
            misread |= mysql
                && match token.kind {
                    TokenKind::Operator => matches!(text, b"||" | b"&&" | b":=" | b"!"),
                    TokenKind::Word => text.eq_ignore_ascii_case(b"xor") || text.eq_ignore_ascii_case(b"binary"),
                    _ => false,
                };
        }
        conditional |= mysql && executable(tokens.sql().get(before..).unwrap_or_default());
        Self { tokens, schema, context, misread, conditional, literals, parameters }
    }

    pub fn mysql(&self) -> bool {
        self.schema.protocol == Protocol::MySql
    }

    pub fn token(&self, index: usize) -> Option<&'a Token> {
        self.tokens.list().get(index)
    }

    pub fn kind(&self, index: usize) -> Option<TokenKind> {
        self.token(index).map(|token| token.kind)
    }

    pub fn len(&self) -> usize {
        self.tokens.list().len()
    }

    /// True if the token is this unquoted word, which must be in upper case.
    pub fn is_word(&self, index: usize, word: &str) -> bool {
        self.token(index).is_some_and(|token| {
            token.kind == TokenKind::Word && self.tokens.text(token).eq_ignore_ascii_case(word.as_bytes())
        })
    }

    /// The token as an identifier, quotes undone; `None` for other tokens.
    pub fn name_at(&self, index: usize) -> Option<String> {
        let token = self.token(index)?;
        matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
            .then(|| String::from_utf8_lossy(&identifier_value(self.tokens.text(token))).into_owned())
    }

    /// True for PostgreSQL's `U&"..."`, whose escapes only the parser undoes.
    pub fn is_escaped_name(&self, index: usize) -> bool {
        self.token(index).is_some_and(|token| {
            let text = self.tokens.text(token);
            token.kind == TokenKind::QuotedIdentifier && matches!(text.first(), Some(b'u' | b'U'))
        })
    }

    pub fn literal_total(&self) -> usize {
        self.literals.iter().flatten().count()
    }

    /// Number of `?`, or the highest `$n`.
    pub fn parameter_total(&self) -> usize {
        self.parameters.iter().flatten().map(|n| *n as usize + 1).max().unwrap_or(0)
    }

    /// How often a parameter is used.
    pub fn parameter_uses(&self, number: usize) -> usize {
        self.parameters.iter().flatten().filter(|n| **n as usize == number).count()
    }

    pub fn at(&self, span: Span) -> Option<usize> {
        self.tokens.at(span)
    }

    /// Literals and parameters among the tokens of a range.
    pub fn counts(&self, first: usize, past: usize) -> (usize, usize) {
        let count = |list: &[Option<u32>]| list.get(first..past).map_or(0, |part| part.iter().flatten().count());
        (count(&self.literals), count(&self.parameters))
    }

    /// The token of a plain literal or parameter, and what it is.
    pub fn operand_at(&self, expr: &Expr) -> Option<(usize, Operand)> {
        match expr {
            Expr::Nested(inner) => self.operand_at(inner),
            Expr::Value(value) => {
                let at = self.at(value.span)?;
                match &value.value {
                    AstValue::Boolean(b) => Some((at, Operand::Constant(Value::Bool(*b)))),
                    AstValue::Null => Some((at, Operand::Constant(Value::Null))),
                    AstValue::Placeholder(_) => {
                        let number = (*self.parameters.get(at)?)?;
                        (number < 1 << 16).then_some((at, Operand::Parameter(number as usize)))
                    }
                    AstValue::Number(..)
                    | AstValue::SingleQuotedString(_)
                    | AstValue::DoubleQuotedString(_)
                    | AstValue::DollarQuotedString(_)
                    | AstValue::EscapedStringLiteral(_)
                    | AstValue::UnicodeStringLiteral(_)
                    | AstValue::HexStringLiteral(_) => {
                        let number = (*self.literals.get(at)?)?;
                        // 'a' 'b' is one string.
                        let joined = matches!(self.kind(at + 1), Some(TokenKind::Literal(_)));
                        (!joined).then_some((at, Operand::Literal(number as usize)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The value as routes understand it, if the expression is a constant.
    pub fn operand(&self, expr: &Expr) -> Option<Operand> {
        match expr {
            Expr::Nested(inner) => self.operand(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.operand_at(expr)? {
                (at, Operand::Literal(n)) => match self.kind(at)? {
                    TokenKind::Literal(LiteralClass::Int | LiteralClass::BigInt | LiteralClass::Decimal) => {
                        Some(Operand::NegatedLiteral(n))
                    }
                    _ => None,
                },
                _ => None,
            },
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None }
                if !self.mysql() =>
            {
                let to = match data_type {
                    DataType::SmallInt(None)
                    | DataType::Int2(None)
                    | DataType::Int(None)
                    | DataType::Int4(None)
                    | DataType::Integer(None)
                    | DataType::BigInt(None)
                    | DataType::Int8(None) => CastTo::Integer,
                    DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None) => CastTo::Text,
                    DataType::Uuid => CastTo::Uuid,
                    _ => return None,
                };
                Some(Operand::Cast(Box::new(self.operand_at(expr)?.1), to))
            }
            _ => self.operand_at(expr).map(|(_, operand)| operand),
        }
    }

    /// An identifier of a column or alias in canonical form.
    pub fn column_name(&self, ident: &Ident) -> String {
        match (self.mysql(), ident.quote_style) {
            (true, _) | (false, None) => ident.value.to_lowercase(),
            (false, Some(_)) => ident.value.clone(),
        }
    }

    /// An identifier of a table, alias or schema in canonical form.
    pub fn table_name(&self, ident: &Ident) -> String {
        match (self.mysql(), ident.quote_style) {
            (true, _) if !self.schema.names_fold => ident.value.clone(),
            (true, _) | (false, None) => ident.value.to_lowercase(),
            (false, Some(_)) => ident.value.clone(),
        }
    }
}

/// Whether the token is all that an executable comment holds, and makes no difference to the answer.
fn is_cache_hint(tokens: &Tokens, at: usize) -> bool {
    let Some(token) = tokens.list().get(at) else { return false };
    // Elsewhere it might be an alias, which is there or not.
    let first = at.checked_sub(1).is_some_and(|before| tokens.is_word(before, "SELECT"));
    let hint = first && ["SQL_NO_CACHE", "SQL_CACHE"].iter().any(|word| tokens.is_word(at, word));
    let end = tokens.list().get(at + 1).map_or(tokens.sql().len(), |next| next.span.start as usize);
    let behind = tokens.sql().get(token.span.end as usize..end).unwrap_or_default();
    hint && behind.trim_ascii_start().starts_with(b"*/")
}

/// True if the bytes between two tokens open a comment that MySQL or MariaDB executes.
fn executable(gap: &[u8]) -> bool {
    gap.windows(3).any(|bytes| bytes == b"/*!") || gap.windows(4).any(|bytes| bytes == b"/*M!")
}

/// Tokens of identifiers that the walk has understood.
pub(super) type Visited = HashSet<usize>;
