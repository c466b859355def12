//! What a session is set to, learnt from what servers report: system variables, schema, last insert id.
//! Out: sending it to backends (`memory` computes the difference), transactions.

use std::sync::Arc;
use std::time::Duration;

use protocol::mysql::capability::{Capabilities, status};
use protocol::mysql::reply::OkPacket;
use protocol::mysql::session_state::{Change, Changes, put_schema, put_variable};
use sharding::lexer::{Dialect, MySqlModes, MySqlServer};

use crate::mysql::memory::Settings;

/// Variables that a server reports to any client that tracks sessions, unless told otherwise.
const TRACKED_BY_DEFAULT: [&[u8]; 5] =
    [b"autocommit", b"character_set_client", b"character_set_connection", b"character_set_results", b"time_zone"];
/// Variables that are no setting but a value for the next statement, or whose report is not what to send back.
const ONE_SHOT: [&[u8]; 6] =
    [b"timestamp", b"insert_id", b"rand_seed1", b"rand_seed2", b"pseudo_thread_id", b"pseudo_slave_mode"];

/// Variables that MySQL fixes when a statement is prepared.
pub const FIXED_AT_PREPARE: [&str; 4] =
    ["sql_mode", "character_set_client", "character_set_connection", "collation_connection"];

/// What an OK said beyond the settings themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Something that is not reported in detail changed, and nothing else was reported.
    pub hidden_change: bool,
    /// A value that only this backend has was set.
    pub one_shot: bool,
    /// The collation of the connection may have changed without a report.
    pub collation_unknown: bool,
    /// The schema of the backend changed.
    pub schema: bool,
}

/// The state of one session.
#[derive(Debug)]
pub struct State {
    /// The client's flags.
    pub capabilities: Capabilities,
    /// Index of the logical database, if one is chosen.
    pub database: Option<usize>,
    /// Name of the schema as the client knows it: the logical database, or one of the server's own.
    pub schema: Option<Arc<[u8]>>,
    /// Whether `schema` is one of the server's own (`information_schema` ...), the same on every server.
    pub system_schema: bool,
    /// Settings that move from backend to backend.
    pub settings: Arc<Settings>,
    /// The last generated id.
    pub last_insert_id: u64,
    /// Its wait_timeout, if it set one: nobody else ends it when it is silent for longer.
    pub wait_timeout: Option<Duration>,
    modes: MySqlModes,
}

impl State {
    /// The state right after a login, with the settings of one (`fresh`).
    pub fn new(capabilities: Capabilities, settings: Arc<Settings>, server: MySqlServer) -> Self {
        let modes = MySqlModes { server, ..MySqlModes::DEFAULT };
        Self {
            capabilities,
            database: None,
            schema: None,
            system_schema: false,
            settings,
            last_insert_id: 0,
            wait_timeout: None,
            modes,
        }
    }

    /// How statements are to be read.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::MySql(self.modes)
    }

    /// The value of a variable, if the session set it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        self.settings.variables.get(name.as_bytes()).map(|value| &**value)
    }

    /// What MySQL fixes when a statement is prepared, as one key.
    #[must_use]
    pub fn fixed_at_prepare(&self) -> Vec<u8> {
        let mut key = self.schema.as_deref().unwrap_or_default().to_vec();
        for name in FIXED_AT_PREPARE {
            key.push(0);
            key.extend_from_slice(self.variable(name).unwrap_or(b"\x01"));
        }
        key
    }

    /// Sets a variable.
    pub fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        if self.settings.variables.get(name).is_none_or(|old| **old != *value) {
            Arc::make_mut(&mut self.settings).variables.insert(name.into(), value.into());
        }
        self.after_change(name);
    }

    fn after_change(&mut self, name: &[u8]) {
        if name == b"sql_mode" {
            let mode = self.variable("sql_mode").unwrap_or_default();
            let has = |word: &[u8]| mode.split(|b| *b == b',').any(|m| m.eq_ignore_ascii_case(word));
            let (ansi_quotes, no_backslash_escapes) = (has(b"ANSI_QUOTES"), has(b"NO_BACKSLASH_ESCAPES"));
            self.modes = MySqlModes { ansi_quotes, no_backslash_escapes, ..self.modes };
        }
        if name == b"wait_timeout" {
            let seconds = self.variable("wait_timeout").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            self.wait_timeout = seconds.map(Duration::from_secs);
        }
    }

    /// Takes the flags of an answer: they say how literals are to be read, also where the server's default says so.
    pub fn learn_status(&mut self, flags: u16) {
        self.modes.no_backslash_escapes = flags & status::NO_BACKSLASH_ESCAPES != 0;
        if matches!(self.modes.server, MySqlServer::MariaDb(_)) {
            self.modes.ansi_quotes = flags & status::ANSI_QUOTES != 0;
        }
    }

    /// Takes the changes that an OK reports.
    pub fn learn(&mut self, ok: &OkPacket<'_>) -> Learnt {
        let mut learnt = Learnt::default();
        let (mut hidden, mut reported, mut connection, mut collation) = (false, false, false, false);
        for change in Changes::new(ok.state).flatten() {
            match change {
                Change::StateChanged => hidden = true,
                Change::Schema(_) => {
                    reported = true;
                    learnt.schema = true;
                }
                Change::Variable { name, .. } if name.starts_with(b"session_track_") => reported = true,
                Change::Variable { name, .. } if ONE_SHOT.contains(&name) => {
                    reported = true;
                    learnt.one_shot = true;
                }
                Change::Variable { name: b"last_insert_id" | b"identity", value } => {
                    reported = true;
                    let id = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.last_insert_id = id.unwrap_or(self.last_insert_id);
                }
                Change::Variable { name, value } => {
                    reported = true;
                    connection |= name == b"character_set_connection";
                    collation |= name == b"collation_connection";
                    self.set_variable(name, value);
                }
                Change::TransactionCharacteristics(_) | Change::TransactionState(_) | Change::Other(_) => {}
            }
        }
        learnt.hidden_change = hidden && !reported;
        learnt.collation_unknown = connection && !collation;
        learnt
    }

    /// The changes of an OK as this session's client may see them: what servers report by default, schemas by the
    /// name that the client knows.
    #[must_use]
    pub fn visible_changes(&self, ok: &OkPacket<'_>) -> Vec<u8> {
        let mut block = Vec::new();
        for change in Changes::new(ok.state).flatten() {
            match change {
                Change::Variable { name, value } if TRACKED_BY_DEFAULT.contains(&name) => {
                    put_variable(&mut block, name, value);
                }
                Change::Schema(_) => put_schema(&mut block, self.schema.as_deref().unwrap_or_default()),
                _ => {}
            }
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::new(0, Arc::default(), MySqlServer::MariaDb(101_119))
    }

    fn ok(state: &[u8]) -> OkPacket<'_> {
        OkPacket { state, ..OkPacket::default() }
    }

    #[test]
    fn variables_are_learnt_and_sql_mode_changes_the_lexer() {
        let mut session = state();
        let mut block = Vec::new();
        put_variable(&mut block, b"sql_mode", b"STRICT_TRANS_TABLES,ANSI_QUOTES");
        block.extend_from_slice(b"\x02\x02\x011");
        let learnt = session.learn(&ok(&block));
        assert_eq!(learnt, Learnt::default());
        assert_eq!(session.variable("sql_mode"), Some(&b"STRICT_TRANS_TABLES,ANSI_QUOTES"[..]));
        let Dialect::MySql(modes) = session.dialect() else { panic!("MySQL") };
        assert!(modes.ansi_quotes && !modes.no_backslash_escapes);
    }

    #[test]
    fn the_longest_silence_is_learnt() {
        let mut session = state();
        assert_eq!(session.wait_timeout, None);
        session.set_variable(b"wait_timeout", b"5");
        assert_eq!(session.wait_timeout, Some(Duration::from_secs(5)));
        session.set_variable(b"wait_timeout", b"31536000");
        assert_eq!(session.wait_timeout, Some(Duration::from_secs(31_536_000)));
    }

    #[test]
    fn what_cannot_move_is_noticed() {
        let mut session = state();
        assert!(session.learn(&ok(b"\x02\x02\x011")).hidden_change);
        let mut block = Vec::new();
        put_variable(&mut block, b"timestamp", b"5.000000");
        assert!(session.learn(&ok(&block)).one_shot);
        assert_eq!(session.variable("timestamp"), None);
        let mut block = Vec::new();
        put_variable(&mut block, b"character_set_connection", b"latin1");
        assert!(session.learn(&ok(&block)).collation_unknown);
    }

    #[test]
    fn clients_see_what_servers_show_by_default() {
        let mut session = state();
        session.schema = Some(Arc::from(&b"shop"[..]));
        let mut block = Vec::new();
        put_variable(&mut block, b"wait_timeout", b"5");
        put_variable(&mut block, b"autocommit", b"OFF");
        put_schema(&mut block, b"shop_0");
        let visible = session.visible_changes(&ok(&block));
        let seen: Vec<_> = Changes::new(&visible).flatten().collect();
        assert_eq!(seen, [Change::Variable { name: b"autocommit", value: b"OFF" }, Change::Schema(b"shop")]);
    }
}
