//! LAST_INSERT_ID() over shared backends: what a server says of it, and when it must be asked.
//! Out: the ids themselves (servers make them).

use protocol::mysql::response::{Answer, Event};
use sharding::lexer::{self, Dialect, LiteralClass, StatementKind, TokenKind};

use super::Session;
use super::single::Facts;
use super::trouble::Outcome;

impl Session {
    /// An OK named an id. It is LAST_INSERT_ID() if the server made it, but not if the statement gave it: servers
    /// report both alike.
    pub(super) async fn note_insert_id(&mut self, index: usize, reported: u64, facts: &Facts<'_>) -> Outcome<()> {
        // One that was given leaves LAST_INSERT_ID() as it was, be it this session's or that of another before it.
        if may_be_given(reported, facts, self.dialect()) && self.ask_insert_id(index).await? != Some(reported) {
            return Ok(());
        }
        self.state.last_insert_id = reported;
        if let Some(held) = self.held.get_mut(index) {
            held.insert_id = Some(reported);
        }
        Ok(())
    }

    async fn ask_insert_id(&mut self, index: usize) -> Outcome<Option<u64>> {
        let Some(held) = self.held.get_mut(index) else { return Ok(None) };
        held.lease.put_query(b"SELECT LAST_INSERT_ID()");
        let mut found = None;
        let read = self
            .own_packets(index, Answer::Query, |event, payload| {
                if event == Event::Row {
                    found = payload.get(1..).and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
                }
            })
            .await;
        match read {
            Ok(()) => Ok(found),
            Err(error) => Err(self.lose(index, &error)),
        }
    }
}

/// Whether the statement may have named this id itself.
fn may_be_given(id: u64, facts: &Facts<'_>, dialect: Dialect) -> bool {
    if !matches!(facts.kind, StatementKind::Insert | StatementKind::Replace) {
        return true;
    }
    let Ok(tokens) = lexer::tokens(facts.sql, dialect) else { return true };
    let digits = id.to_string();
    let in_text = tokens.list().iter().enumerate().any(|(at, token)| match token.kind {
        TokenKind::Literal(LiteralClass::Int) => tokens.text(token) == digits.as_bytes(),
        TokenKind::Literal(LiteralClass::String) => {
            let value = tokens.literal_value(token).unwrap_or_default();
            let text = String::from_utf8_lossy(&value);
            // A server reads the number that a text begins with.
            text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                && text.parse::<u64>().map_or(text.contains(&digits) || text.contains(['.', 'e', 'E']), |n| n == id)
        }
        // Sums, variables and rows of a SELECT can make any number.
        TokenKind::Literal(_) | TokenKind::UserVariable | TokenKind::SystemVariable => true,
        TokenKind::Operator => tokens.text(token) != b"=",
        _ => tokens.is_word(at, "SELECT") || tokens.is_word(at, "TABLE"),
    });
    let bytes = id.to_le_bytes();
    let short = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let has = |part: &[u8]| facts.parameters.windows(part.len().max(1)).any(|window| window == part);
    in_text || has(digits.as_bytes()) || has(bytes.get(..short).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharding::lexer::{FingerprintKey, Scan};

    fn given(id: u64, sql: &str, parameters: &[u8]) -> bool {
        let mut scan = Scan::new();
        scan.scan(sql.as_bytes(), Dialect::MYSQL, &FingerprintKey::from_bytes([1; 16])).expect("valid");
        let facts = Facts::of(&scan.statements()[0], sql.as_bytes(), parameters);
        may_be_given(id, &facts, Dialect::MYSQL)
    }

    #[test]
    fn only_ids_that_the_statement_may_have_given_are_asked_for() {
        assert!(!given(700, "INSERT INTO a (v, d) VALUES (1, '2024-05-07 10:00:00')", b""));
        assert!(!given(700, "INSERT INTO a (v) VALUES (70), (7000)", b""));
        assert!(given(700, "INSERT INTO a (id, v) VALUES (700, 1)", b""));
        assert!(given(700, "INSERT INTO a (id) VALUES ('700')", b""));
        assert!(given(700, "INSERT INTO a (id) VALUES (350 + 350)", b""));
        assert!(given(700, "INSERT INTO a (id) VALUES (@x)", b""));
        assert!(given(700, "INSERT INTO a SELECT * FROM b", b""));
        assert!(given(700, "INSERT INTO a (id) VALUES (?)", &[0xbc, 2, 0, 0]));
        assert!(!given(700, "INSERT INTO a (v) VALUES (?)", &[0xbd, 2, 0, 0]));
        assert!(given(700, "UPDATE a SET id = LAST_INSERT_ID(id)", b""));
    }
}
