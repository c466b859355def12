//! The values of a statement's literals, read from its text. Out: bound parameters (the process decodes them).

use super::Values;
use crate::lexer::{Dialect, LiteralClass, TokenKind, Tokens, literal_value};
use crate::value::Value;

/// The value of one literal as written.
#[must_use]
pub fn literal(text: &[u8], class: LiteralClass, dialect: Dialect) -> Value {
    let number = || std::str::from_utf8(text).ok();
    match class {
        LiteralClass::Int | LiteralClass::BigInt => match number() {
            // Most fit in 64 bits, which are read much faster.
            Some(digits) => match digits.parse::<i64>().map(i128::from).or_else(|_| digits.parse()) {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Decimal(digits.to_owned()),
            },
            None => Value::Unknown,
        },
        LiteralClass::Decimal => number().map_or(Value::Unknown, |digits| Value::Decimal(digits.to_owned())),
        LiteralClass::Float => number().and_then(|text| text.parse().ok()).map_or(Value::Unknown, Value::Float),
        LiteralClass::String | LiteralClass::National => match literal_value(text, class, dialect) {
            Some(bytes) if std::str::from_utf8(&bytes).is_ok() => Value::Text(bytes),
            _ => Value::Unknown,
        },
        LiteralClass::Hex | LiteralClass::Bit => match literal_value(text, class, dialect) {
            Some(bytes) if dialect.is_mysql() => Value::Bytes(bytes),
            _ => Value::Unknown,
        },
    }
}

/// The values of one execution, the literals read from tokens.
#[derive(Debug)]
pub struct TextValues<'a> {
    tokens: &'a Tokens,
    literals: Vec<usize>,
    marks: usize,
    parameters: &'a [Value],
}

impl<'a> TextValues<'a> {
    /// Literals of these tokens and these parameters; those that are missing are unknown.
    #[must_use]
    pub fn new(tokens: &'a Tokens, parameters: &'a [Value]) -> Self {
        let mysql = tokens.dialect().is_mysql();
        let (mut literals, mut marks) = (Vec::new(), 0usize);
        for (index, token) in tokens.list().iter().enumerate() {
            match token.kind {
                TokenKind::Literal(_) => literals.push(index),
                TokenKind::Placeholder if mysql => marks += 1,
                TokenKind::Placeholder => {
                    let digits = tokens.text(token).get(1..).and_then(|digits| std::str::from_utf8(digits).ok());
                    marks = marks.max(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0));
                }
                _ => {}
            }
        }
        Self { tokens, literals, marks, parameters }
    }
}

impl Values for TextValues<'_> {
    fn literal(&self, index: usize) -> Value {
        let token = self.literals.get(index).and_then(|at| self.tokens.list().get(*at));
        match token.map(|token| (token, token.kind)) {
            Some((token, TokenKind::Literal(class))) => literal(self.tokens.text(token), class, self.tokens.dialect()),
            _ => Value::Unknown,
        }
    }

    fn parameter(&self, index: usize) -> Value {
        self.parameters.get(index).cloned().unwrap_or(Value::Unknown)
    }

    fn literal_count(&self) -> usize {
        self.literals.len()
    }

    fn parameter_count(&self) -> usize {
        self.marks
    }
}
