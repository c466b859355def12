//! LAST_INSERT_ID() over shared backends: what a server says of it, and when it must be asked.
//! Out: the ids themselves (servers make them).

use protocol::mysql::response::{Answer, Event};
use sharding::lexer::StatementKind;

use super::Session;
use super::single::Facts;
use super::trouble::Outcome;

impl Session {
    /// An OK named an id. It is LAST_INSERT_ID() if the server made it, but not if the statement gave it: servers
    /// report both alike.
    pub(super) async fn note_insert_id(&mut self, index: usize, reported: u64, facts: &Facts<'_>) -> Outcome<()> {
        // One that was given leaves LAST_INSERT_ID() as it was, be it this session's or that of another before it.
        if may_be_given(reported, facts) && self.ask_insert_id(index).await? != Some(reported) {
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
fn may_be_given(id: u64, facts: &Facts<'_>) -> bool {
    if !matches!(facts.kind, StatementKind::Insert | StatementKind::Replace) {
        return true;
    }
    let text = id.to_string();
    let bytes = id.to_le_bytes();
    let short = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let has = |text: &[u8], part: &[u8]| text.windows(part.len().max(1)).any(|window| window == part);
    // Sums, variables and rows of a SELECT can make any number.
    let computed = facts.sql.iter().any(|byte| b"+-*/%&|^~<@".contains(byte))
        || facts.sql.windows(6).any(|word| word.eq_ignore_ascii_case(b"select"));
    computed
        || has(facts.sql, text.as_bytes())
        || has(facts.parameters, text.as_bytes())
        || has(facts.parameters, bytes.get(..short).unwrap_or_default())
}
