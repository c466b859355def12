//! Which known names a piece of SQL mentions: what the text of a view, trigger or default may read.
//! Out: understanding the SQL. It errs on the safe side: any word that is a known name counts, also in a comment, a
//! string or as a column.

/// The words of a text, lower case: runs of letters, digits, `_`, `$` and everything beyond ASCII, and what stands
/// between backticks or double quotes.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| is_word(c) || c == '`' || c == '"') {
        rest = rest.get(start..).unwrap_or_default();
        let quote = rest.chars().next().filter(|c| *c == '`' || *c == '"');
        let (word, after) = match quote {
            Some(quote) => {
                let inside = rest.get(1..).unwrap_or_default();
                let end = end_of_name(inside, quote);
                // What follows the opening quote is read again as plain words too: the quote may be a stray one.
                words.push(inside.get(..end).unwrap_or_default().to_lowercase());
                rest = inside;
                continue;
            }
            None => {
                let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        words.push(word.to_lowercase());
        rest = after;
    }
    words
}

/// Where a quoted name ends; names are far shorter than this looks for.
fn end_of_name(inside: &str, quote: char) -> usize {
    let looked_at = inside.char_indices().take(NAME_CHARACTERS_MAX);
    let mut end = 0;
    for (at, c) in looked_at {
        if c == quote {
            return at;
        }
        end = at + c.len_utf8();
    }
    end
}

/// No server has longer names.
const NAME_CHARACTERS_MAX: usize = 128;

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(text: &str, name: &str) -> bool {
        words(text).iter().any(|word| word == name)
    }

    #[test]
    fn plain_and_quoted_names_are_found() {
        let text = "select `t`.`Tt`.`id` AS `id`,\"My Table\".x from Orders o where f(1)";
        for name in ["tt", "my table", "orders", "f", "t"] {
            assert!(mentions(text, name), "{name}");
        }
        assert!(!mentions(text, "order"));
        assert!(!mentions("orders_old", "orders"));
    }

    #[test]
    fn odd_texts_hide_nothing() {
        assert!(mentions("'`' orders", "orders"));
        assert!(mentions("/* \" */ orders", "orders"));
        assert!(mentions("gr\u{f6}\u{df}e", "gr\u{f6}\u{df}e"));
        assert!(words("").is_empty());
        assert!(mentions("`unterminated", "unterminated"));
    }
}
