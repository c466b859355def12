//! Words of an admin statement with their places. Lenient: what it does not know becomes a symbol, and the grammar refuses it.
//! Out: the SQL behind EXPLAIN ROUTE, which is taken as text.

/// A token and the byte where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub kind: Kind<'t>,
    pub start: usize,
    pub end: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    /// Letters, digits, `_`, `$`: keyword, name or number.
    Word(&'t str),
    /// `@@name` or `@@scope.name`, without the signs.
    System(&'t str),
    /// A name in backticks or double quotes, as it stands between them.
    Name(&'t str),
    /// A literal in single quotes, as it stands between them.
    Literal(&'t str),
    /// Anything else, one character.
    Symbol(char),
}

impl<'t> Token<'t> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self.kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether it is this symbol.
    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// Cuts `text`; comments and white space are left out.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        let rest = &text[at..];
        let kind = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |n| n + 2);
            continue;
        } else if rest.starts_with("--") || first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if let Some(after) = rest.strip_prefix("@@") {
            let len = after.find(|c: char| !is_word(c) && c != '.').unwrap_or(after.len());
            at += 2 + len;
            Kind::System(&after[..len])
        } else if is_word(first) {
            let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            at += len;
            Kind::Word(&rest[..len])
        } else if let '\'' | '"' | '`' = first {
            let inside = quoted(rest, first);
            at += inside.len() + 2;
            if first == '\'' { Kind::Literal(inside) } else { Kind::Name(inside) }
        } else {
            at += first.len_utf8();
            Kind::Symbol(first)
        };
        at = at.min(text.len());
        tokens.push(Token { kind, start, end: at });
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// What stands between the quote at the front of `rest` and the one that closes it (a doubled quote does not), or the end.
fn quoted(rest: &str, quote: char) -> &str {
    let inside = &rest[1..];
    let mut from = 0;
    while let Some(found) = inside[from..].find(quote) {
        let end = from + found;
        if !inside[end + 1..].starts_with(quote) {
            return &inside[..end];
        }
        from = end + 2;
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text).into_iter().map(|t| t.kind).collect()
    }

    #[test]
    fn words_quotes_comments_and_symbols() {
        assert_eq!(
            kinds("SHOW /* x */ Pools; -- y\nuse `my.shop` 'it''s' @@session.x # z"),
            [
                Kind::Word("SHOW"),
                Kind::Word("Pools"),
                Kind::Symbol(';'),
                Kind::Word("use"),
                Kind::Name("my.shop"),
                Kind::Literal("it''s"),
                Kind::System("session.x"),
            ]
        );
    }

    #[test]
    fn unfinished_and_odd_text_ends_quietly() {
        for text in ["'", "\"", "`", "/*", "--", "@@", "'a''", "\u{e9}'\u{e9}", "a/*\u{e9}", "@", "''''", "\0"] {
            let found = tokens(text);
            assert!(found.iter().all(|t| t.start < t.end && t.end <= text.len()), "{text:?} {found:?}");
        }
    }
}
