//! Questions about the session that a server would answer with its own names: ours are answered here.
//! Out: everything that names anything else; it goes to a server.

use super::Session;
use super::grid::{Cell, Shape};
use super::place::Place;
use super::query::Done;
use crate::config::Protocol;

impl Session {
    /// Answers the statement here, if it is one of the few that only ask for names of ours.
    pub(super) fn answer_here(&mut self, sql: &[u8], place: Place) -> Option<Done> {
        let text = std::str::from_utf8(sql).ok()?.trim().trim_end_matches(';').trim_end();
        let lower = text.to_ascii_lowercase();
        let label = text.get(lower.find(char::is_whitespace)?..)?.trim_start();
        match lower.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            ["select", "database()" | "schema()"] => {
                let schema = self.state.schema.clone();
                let cell = schema.as_deref().map_or(Cell::Null, Cell::Text);
                self.last.selected(1);
                Some(self.put_grid(place, &[(label.as_bytes(), Shape::Text(256))], [[cell]], false))
            }
            ["select", "connection_id()"] => {
                let cell = Cell::Number(u64::from(self.entry.id));
                self.last.selected(1);
                Some(self.put_grid(place, &[(label.as_bytes(), Shape::BigInt)], [[cell]], false))
            }
            ["show", "databases" | "schemas"] => {
                let names = self.visible_databases();
                let cells = names.iter().map(|name| [Cell::Text(name.as_bytes())]);
                self.last.selected(names.len() as u64);
                Some(self.put_grid(place, &[(b"Database", Shape::Text(256))], cells, false))
            }
            ["show", "processlist"] => Some(self.put_process_list(sql, false, place)),
            ["show", "full", "processlist"] => Some(self.put_process_list(sql, true, place)),
            _ => None,
        }
    }

    fn visible_databases(&self) -> Vec<String> {
        let config = self.config();
        let user = config.user(&self.user);
        let mut names: Vec<String> = config
            .databases
            .iter()
            .filter(|d| d.protocol == Protocol::MySql && user.is_none_or(|user| user.may_use(&d.name)))
            .map(|database| database.name.clone())
            .collect();
        names.push("information_schema".to_owned());
        names.sort_unstable();
        names.dedup();
        names
    }
}
