//! Cursors of prepared statements: rows in portions, from the backend that has the cursor open and is pinned for it.
//! Out: opening one (`statements`).

use protocol::mysql::capability::status;
use protocol::mysql::command::code;
use protocol::mysql::response::Answer;

use super::Session;
use super::commands::command_packet;
use super::relay::Passing;
use super::single::{Facts, Outgoing};
use super::statements::{Prepared, unknown};
use super::trouble::Outcome;

/// Why the backend is pinned.
pub(super) const CURSOR: &str = "open cursor";

impl Session {
    pub(super) async fn statement_fetch(&mut self, asked: u32, rows: u32) -> Outcome<()> {
        let id = self.meant(asked);
        let mut prepared = self.statements.open.remove(&id).ok_or_else(|| unknown(asked, "mysqld_stmt_fetch"))?;
        let result = self.fetch(&mut prepared, rows).await;
        self.statements.open.insert(id, prepared);
        result
    }

    async fn fetch(&mut self, prepared: &mut Prepared, rows: u32) -> Outcome<()> {
        let found = prepared.cursor.as_ref().and_then(|(shard, key)| {
            let held = self.held.iter().find(|held| held.shard == *shard)?;
            Some((*shard, held.lease.memory.statement(key)?))
        });
        let Some((shard, backend_id)) = found else {
            self.client.put_err(self.first, 1421, *b"HY000", b"The statement has no open cursor");
            return Ok(());
        };
        let body = [backend_id.to_le_bytes(), rows.to_le_bytes()].concat();
        let packet = Outgoing::Built(command_packet(code::STATEMENT_FETCH, &body));
        let report =
            self.run_single(shard, None, packet, Passing::of(Answer::Fetch, self.first()), &Facts::NOTHING).await?;
        if report.failed.is_some() || report.status.is_some_and(|flags| flags & status::LAST_ROW_SENT != 0) {
            self.cursor_closed(prepared);
        }
        Ok(())
    }

    /// Closes the statement's cursor on its backend, if it has one.
    pub(super) async fn close_cursor(&mut self, prepared: &mut Prepared) -> Outcome<()> {
        let Some((shard, key)) = &prepared.cursor else { return Ok(()) };
        let found = self.held.iter().position(|held| held.shard == *shard);
        if let Some(index) = found
            && let Some(held) = self.held.get_mut(index)
            && let Some(backend_id) = held.lease.memory.statement(key)
        {
            let packet = command_packet(code::STATEMENT_RESET, &backend_id.to_le_bytes());
            held.lease.output.extend_from_slice(&packet);
            self.own_answer(index, Answer::Simple).await?;
        }
        self.cursor_closed(prepared);
        Ok(())
    }

    fn cursor_closed(&mut self, prepared: &mut Prepared) {
        let Some((shard, _)) = prepared.cursor.take() else { return };
        let mut others = self.statements.open.values();
        let other = others.any(|other| other.cursor.as_ref().is_some_and(|(at, _)| *at == shard));
        if !other && let Some(index) = self.held.iter().position(|held| held.shard == shard) {
            self.unpin(index, CURSOR);
        }
    }
}
