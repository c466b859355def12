//! Refuses texts whose syntax tree would be too deep: a tree is walked and dropped by recursion, and dropping one of
//! 50,000 levels overflows a stack. Counts tokens only. Invariant: the tree's depth is at most about twice what is counted.

use super::{Limits, ParseError, TokenKind, Tokens};

/// The chain of operators at one level of parentheses since the last comma. A looser operator ends the chains of tighter ones.
#[derive(Clone, Copy, Default)]
struct Chain {
    or: usize,
    and: usize,
    tight: usize,
}

impl Chain {
    fn length(self) -> usize {
        self.or + self.and + self.tight
    }
}

/// Words that chain like operators do.
const TIGHT: [&[u8]; 19] = [
    b"is",
    b"in",
    b"like",
    b"ilike",
    b"between",
    b"collate",
    b"regexp",
    b"rlike",
    b"similar",
    b"div",
    b"mod",
    b"xor",
    b"at",
    b"not",
    b"overlaps",
    b"isnull",
    b"notnull",
    b"member",
    b"sounds",
];
const SET_OPERATIONS: [&[u8]; 4] = [b"union", b"intersect", b"except", b"minus"];

pub(super) fn check(tokens: &Tokens, limits: &Limits) -> Result<(), ParseError> {
    let too_deep = ParseError::TooDeep { limit: limits.depth_max };
    let mut levels: Vec<Chain> = vec![Chain::default()];
    let mut set_operations = 0;
    let mut cases = 0usize;
    for token in tokens.list() {
        let text = tokens.text(token);
        let is = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        let opens = token.kind == TokenKind::LeftParenthesis || matches!(text, b"[" | b"{");
        let closes = token.kind == TokenKind::RightParenthesis || matches!(text, b"]" | b"}");
        if opens {
            levels.push(Chain::default());
            if levels.len() + cases > limits.nesting_max + 1 {
                return Err(ParseError::TooNested { limit: limits.nesting_max });
            }
            continue;
        }
        if closes && levels.len() > 1 {
            levels.pop();
        }
        let Some(chain) = levels.last_mut() else { continue };
        match token.kind {
            TokenKind::Comma => *chain = Chain::default(),
            TokenKind::Semicolon => (*chain, set_operations, cases) = (Chain::default(), 0, 0),
            TokenKind::Operator => chain.tight += 1,
            TokenKind::Word if text.len() <= 9 => {
                if is(&[b"or"]) {
                    *chain = Chain { or: chain.or + 1, ..Chain::default() };
                } else if is(&[b"and"]) {
                    *chain = Chain { or: chain.or, and: chain.and + 1, tight: 0 };
                } else if is(&TIGHT) {
                    chain.tight += 1;
                } else if is(&SET_OPERATIONS) {
                    set_operations += 1;
                } else if is(&[b"case"]) {
                    cases += 1;
                } else if is(&[b"end"]) {
                    cases = cases.saturating_sub(1);
                }
            }
            _ => {}
        }
        if chain.length() > limits.depth_max || set_operations > limits.depth_max {
            return Err(too_deep);
        }
    }
    Ok(())
}
