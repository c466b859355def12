//! What the last statement left to be asked for: ROW_COUNT(), FOUND_ROWS(), its warnings and errors. It is the session's,
//! because the backend that ran the statement may be another session's by now. Out: the statements that ask (`diagnostics`).

use protocol::mysql::response::{Answer, Event};
use protocol::mysql::row::split_text;
use sharding::lexer::{Flags, ScannedStatement, StatementKind};
use transaction::ShardIndex;

use super::diagnostics::uses_tables;
use super::place::Place;
use super::relay::Report;
use super::single::Facts;
use super::trouble::Outcome;
use super::{MeshError, Session};

/// More than servers keep (max_error_count messages of 512 characters, by default 64).
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What is sent for the conditions of a backend.
pub(super) const SHOW_WARNINGS: &[u8] = b"SHOW WARNINGS";

/// How grave a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Note,
    Warning,
    Error,
}

impl Level {
    /// As SHOW WARNINGS says it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// A warning or error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub level: Level,
    pub code: u16,
    /// Known of the error that ended the statement.
    pub sqlstate: Option<[u8; 5]>,
    pub message: Box<[u8]>,
}

/// Where the conditions are.
#[derive(Debug)]
enum Conditions {
    Here(Vec<Condition>),
    /// On this shard's backend, which the session holds since.
    On(ShardIndex),
    /// There are too many of them, or their backend is gone.
    Lost,
}

/// FOUND_ROWS().
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoundRows {
    Known(u64),
    /// Only this shard's backend can say, which the session held.
    On(ShardIndex),
    Unknown,
}

/// What the last statement left.
#[derive(Debug)]
pub(super) struct Last {
    row_count: i64,
    found_rows: FoundRows,
    warnings: u64,
    conditions: Conditions,
}

impl Default for Last {
    fn default() -> Self {
        Self { row_count: 0, found_rows: FoundRows::Known(0), warnings: 0, conditions: Conditions::Here(Vec::new()) }
    }
}

impl Last {
    /// ROW_COUNT().
    pub(super) fn row_count(&self) -> i64 {
        self.row_count
    }

    /// FOUND_ROWS(), if it is known.
    pub(super) fn found_rows(&self) -> Option<u64> {
        match self.found_rows {
            FoundRows::Known(rows) => Some(rows),
            FoundRows::On(_) | FoundRows::Unknown => None,
        }
    }

    /// `@@warning_count`.
    pub(super) fn warning_count(&self) -> u64 {
        self.warnings
    }

    /// `@@error_count`, if it is known.
    pub(super) fn error_count(&self) -> Option<u64> {
        let list = self.conditions()?;
        Some(list.iter().filter(|one| one.level == Level::Error).count() as u64)
    }

    /// Warnings and errors, in order; `None`: they are not to be had any more.
    pub(super) fn conditions(&self) -> Option<&[Condition]> {
        match &self.conditions {
            Conditions::Here(list) => Some(list),
            Conditions::On(_) | Conditions::Lost => None,
        }
    }

    /// A statement without rows was answered.
    pub(super) fn affected(&mut self, rows: u64) {
        self.row_count = i64::try_from(rows).unwrap_or(i64::MAX);
    }

    /// A statement with rows was answered.
    pub(super) fn selected(&mut self, rows: u64) {
        self.row_count = -1;
        self.found_rows = FoundRows::Known(rows);
    }

    /// A statement on several shards was answered with rows; `None`: their number is not FOUND_ROWS().
    pub(super) fn merged(&mut self, rows: Option<u64>) {
        self.row_count = -1;
        self.found_rows = rows.map_or(FoundRows::Unknown, FoundRows::Known);
    }

    /// A statement with rows was answered that leaves FOUND_ROWS() as it was.
    pub(super) fn shown(&mut self) {
        self.row_count = -1;
    }

    /// What a statement on several shards was warned of.
    pub(super) fn warned(&mut self, count: u64, conditions: Vec<Condition>) {
        if count > 0 {
            self.warnings = count;
            self.conditions = Conditions::Here(conditions);
        }
    }

    /// A statement failed with this alone.
    pub(super) fn failed(&mut self, code: u16, sqlstate: [u8; 5], message: &[u8]) {
        self.row_count = -1;
        self.warnings = 1;
        let condition = Condition { level: Level::Error, code, sqlstate: Some(sqlstate), message: message.into() };
        self.conditions = Conditions::Here(vec![condition]);
    }

    /// One more error, of a statement that reads the diagnostics.
    pub(super) fn add(&mut self, code: u16, sqlstate: [u8; 5], message: &[u8]) {
        self.warnings += 1;
        if let Conditions::Here(list) = &mut self.conditions {
            list.push(Condition { level: Level::Error, code, sqlstate: Some(sqlstate), message: message.into() });
        }
    }

    /// A backend goes back to its pool: what is only there is lost.
    pub(super) fn forget(&mut self, shard: ShardIndex) {
        if matches!(self.conditions, Conditions::On(on) if on == shard) {
            self.conditions = Conditions::Lost;
        }
        if self.found_rows == FoundRows::On(shard) {
            self.found_rows = FoundRows::Unknown;
        }
    }

    fn clear(&mut self) {
        self.warnings = 0;
        self.conditions = Conditions::Here(Vec::new());
    }
}

impl Session {
    /// A statement begins that does not ask for what the one before it left: warnings stay only where servers keep them.
    pub(super) async fn begin_diagnostics(&mut self, sql: &[u8], scanned: &ScannedStatement) -> Outcome<()> {
        if self.last.warnings == 0 {
            return Ok(());
        }
        if uses_tables(sql, scanned, self.dialect()) {
            self.last.clear();
            return Ok(());
        }
        self.fetch_conditions().await
    }

    /// Brings what the last statement left from its backend, if it is still there.
    pub(super) async fn fetch_left(&mut self) -> Outcome<()> {
        self.fetch_conditions().await?;
        if let FoundRows::On(shard) = self.last.found_rows {
            self.ask_found_rows(shard).await?;
        }
        Ok(())
    }

    async fn fetch_conditions(&mut self) -> Outcome<()> {
        let Conditions::On(shard) = self.last.conditions else { return Ok(()) };
        let (list, _) = self.conditions_on(shard).await?;
        self.last.conditions = list.map_or(Conditions::Lost, Conditions::Here);
        Ok(())
    }

    /// Notes what a statement that one shard answered has left; true: its conditions are to be read from there now.
    pub(super) fn note_left(&mut self, shard: ShardIndex, report: &Report, facts: &Facts<'_>) -> bool {
        use StatementKind as K;
        let reads = matches!(facts.kind, K::Select | K::With | K::Table);
        if report.failed.is_some() {
            self.last.row_count = -1;
            self.last.warnings = 1;
            self.last.conditions = Conditions::On(shard);
            return true;
        }
        if report.with_rows {
            self.last.row_count = -1;
        } else {
            self.last.affected(report.affected_rows);
        }
        let sure = !facts.flags.any(Flags::FOUND_ROWS_DIFFER.with(Flags::CALC_FOUND_ROWS)) && !report.has_cursor();
        match facts.kind {
            // SELECT ... INTO answers with the number of its rows.
            _ if reads && sure => {
                let rows = if report.with_rows { report.rows } else { report.affected_rows };
                self.last.found_rows = FoundRows::Known(rows);
            }
            K::Show | K::Explain | K::Call | K::Execute | K::Other => self.last.found_rows = FoundRows::On(shard),
            _ if reads || !sure => self.last.found_rows = FoundRows::On(shard),
            _ => {}
        }
        if report.warnings == 0 {
            return false;
        }
        self.last.warnings = u64::from(report.warnings);
        self.last.conditions = Conditions::On(shard);
        let changes_rows = matches!(facts.kind, K::Insert | K::Update | K::Delete | K::Replace);
        // Within a transaction most warnings are asked for by nobody.
        let stays = (reads || changes_rows) && report.last_insert_id == 0 && self.is_kept(shard);
        !stays
    }

    /// Reads the answer to a SHOW WARNINGS that was sent because of [`Session::note_left`].
    pub(super) async fn read_left(&mut self, shard: ShardIndex, report: &Report) -> Outcome<()> {
        let (list, count) = self.read_conditions(shard).await?;
        let Some(failure) = &report.failed else {
            self.last.conditions = list.map_or(Conditions::Lost, Conditions::Here);
            return Ok(());
        };
        let mut list = list.unwrap_or_default();
        match list.iter_mut().rev().find(|one| one.level == Level::Error && one.code == failure.code) {
            Some(found) => {
                found.sqlstate = Some(failure.sqlstate);
                self.last.warnings = count;
                self.last.conditions = Conditions::Here(list);
            }
            None => self.last.failed(failure.code, failure.sqlstate, &failure.message),
        }
        Ok(())
    }

    fn is_kept(&self, shard: ShardIndex) -> bool {
        let pinned = self.held.iter().any(|held| held.shard == shard && !held.pins.is_empty());
        pinned || self.transaction.branches().iter().any(|branch| branch.shard == shard)
    }

    /// The conditions that a backend has, if it has not too many, and their number.
    pub(super) async fn conditions_on(&mut self, shard: ShardIndex) -> Outcome<(Option<Vec<Condition>>, u64)> {
        if let Some(held) = self.held.iter_mut().find(|held| held.shard == shard) {
            held.lease.put_query(SHOW_WARNINGS);
        }
        self.read_conditions(shard).await
    }

    async fn read_conditions(&mut self, shard: ShardIndex) -> Outcome<(Option<Vec<Condition>>, u64)> {
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else { return Ok((None, 0)) };
        let (mut list, mut bytes, mut count, mut whole) = (Vec::new(), 0, 0, true);
        let read = self
            .own_packets(index, Answer::Query, |event, payload| {
                if event == Event::Row {
                    bytes += payload.len();
                    count += 1;
                    match condition(payload).filter(|_| bytes <= KEPT_BYTES_MAX) {
                        Some(one) => list.push(one),
                        None => whole = false,
                    }
                }
            })
            .await;
        match read {
            Ok(()) => Ok((whole.then_some(list), count)),
            Err(error) => Err(self.lose(index, &error)),
        }
    }

    /// Asks a backend for FOUND_ROWS().
    pub(super) async fn ask_found_rows(&mut self, shard: ShardIndex) -> Outcome<()> {
        self.last.found_rows = FoundRows::Unknown;
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else { return Ok(()) };
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        held.lease.put_query(b"SELECT FOUND_ROWS()");
        let mut found = None;
        let read = self
            .own_packets(index, Answer::Query, |event, payload| {
                if event == Event::Row {
                    found = payload.get(1..).and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
                }
            })
            .await;
        if let Err(error) = read {
            return Err(self.lose(index, &error));
        }
        self.last.found_rows = found.map_or(FoundRows::Unknown, FoundRows::Known);
        Ok(())
    }

    /// Puts an ERR of a server into the client's output.
    pub(super) fn tell_server_error(&mut self, place: Place, payload: &[u8]) {
        if let Ok(err) = protocol::mysql::reply::ErrPacket::decode(payload) {
            self.last.failed(err.code, err.sqlstate, err.message);
            self.doubt_schema(err.code);
        }
        protocol::mysql::packet::put_packet(&mut self.client.output, place.sequence, payload);
    }

    /// Notes an error of ours as what the statement left.
    pub(super) fn note_error(&mut self, error: &MeshError) {
        let code = error.code();
        let state = <[u8; 5]>::try_from(code.mysql_state.as_bytes()).unwrap_or(*b"HY000");
        self.last.failed(code.errno, state, error.to_string().as_bytes());
    }
}

/// A row of SHOW WARNINGS.
fn condition(row: &[u8]) -> Option<Condition> {
    let mut fields = Vec::new();
    split_text(row, 3, &mut fields).ok()?;
    let field = |n: usize| fields.get(n).cloned().flatten().and_then(|range| row.get(range));
    let level = match field(0)? {
        b"Error" => Level::Error,
        b"Note" => Level::Note,
        _ => Level::Warning,
    };
    let code = std::str::from_utf8(field(1)?).ok()?.parse().ok()?;
    Some(Condition { level, code, sqlstate: None, message: field(2)?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_show_warnings_are_read() {
        let read = condition(b"\x07Warning\x041265\x03abc");
        let expected = Condition { level: Level::Warning, code: 1265, sqlstate: None, message: b"abc"[..].into() };
        assert_eq!(read, Some(expected));
        assert_eq!(condition(b"\x07Warning\x05x1265\x03abc"), None);
    }
}
