//! SHOW PROCESSLIST: the sessions here, by the ids that KILL takes. What a server lists are backends, whose ids mean nothing
//! here. Out: information_schema.processlist, which stays the server's.

use sharding::lexer::MySqlServer;

use super::Session;
use super::grid::{Cell, Shape};
use super::place::Place;
use super::query::Done;
use crate::config::Protocol;
use crate::sessions::Activity;

/// How much of its own text a session is shown without FULL.
const INFO_MAX: usize = 100;

impl Session {
    /// Lists the sessions of this user, as a server does for who has no right to see others. `sql` is the statement itself:
    /// what other sessions run is not noted.
    pub(super) fn put_process_list(&mut self, sql: &[u8], full: bool, place: Place) -> Done {
        struct Row {
            id: u32,
            host: String,
            database: String,
            command: &'static str,
            own: bool,
        }
        let mut rows: Vec<Row> = Vec::new();
        for session in self.mesh.sessions.list() {
            let identity = session.identity();
            if session.protocol != Protocol::MySql || identity.user != self.user {
                continue;
            }
            let command = match session.activity() {
                Activity::Starting => "Connect",
                Activity::Idle | Activity::IdleInTransaction => "Sleep",
                Activity::WaitingForBackend | Activity::Active => "Query",
            };
            let own = session.id == self.entry.id;
            rows.push(Row {
                id: session.id,
                host: session.peer.to_string(),
                database: identity.database,
                command,
                own,
            });
        }
        rows.sort_unstable_by_key(|row| row.id);
        let shown = if full { sql } else { sql.get(..INFO_MAX).unwrap_or(sql) };
        let mut columns = vec![
            (&b"Id"[..], Shape::BigInt),
            (b"User", Shape::Text(512)),
            (b"Host", Shape::Text(256)),
            (b"db", Shape::Text(256)),
            (b"Command", Shape::Text(64)),
            (b"Time", Shape::Int),
            (b"State", Shape::Text(120)),
            (b"Info", Shape::Text(if full { 65_535 } else { 400 })),
        ];
        if matches!(self.server, MySqlServer::MariaDb(_)) {
            columns.push((b"Progress", Shape::Text(7)));
        }
        let width = columns.len();
        let user = self.user.clone();
        let cells = rows.iter().map(|row| {
            let database = if row.database.is_empty() { Cell::Null } else { Cell::Text(row.database.as_bytes()) };
            let all = [
                Cell::Number(u64::from(row.id)),
                Cell::Text(user.as_bytes()),
                Cell::Text(row.host.as_bytes()),
                database,
                Cell::Text(row.command.as_bytes()),
                // Since when is not noted.
                Cell::Number(0),
                Cell::Text(if row.own { b"starting" } else { b"" }),
                if row.own { Cell::Text(shown) } else { Cell::Null },
                Cell::Text(b"0.000"),
            ];
            all.into_iter().take(width)
        });
        self.last.selected(rows.len() as u64);
        self.put_grid(place, &columns, cells, false)
    }
}
