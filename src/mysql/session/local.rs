//! Questions about the session that a server would answer with its own names: ours are answered here.
//! Out: everything that names anything else; it goes to a server.

use protocol::mysql::capability;
use protocol::mysql::column::{ColumnDefinition, column_flag, column_type};
use protocol::mysql::packet::put_packet_with;
use protocol::mysql::reply::{EofPacket, OkPacket};
use protocol::mysql::wire::{put_lenenc, put_lenenc_bytes};

use super::Session;
use super::client::Place;
use super::query::Done;
use crate::config::Protocol;

/// utf8mb4_general_ci.
const TEXT_COLLATION: u16 = 45;
/// binary, the collation of numbers.
const NUMBER_COLLATION: u16 = 63;

impl Session {
    /// Answers the statement here, if it is one of the few that only ask for names of ours.
    pub(super) fn answer_here(&mut self, sql: &[u8], place: Place) -> Option<Done> {
        let text = std::str::from_utf8(sql).ok()?.trim().trim_end_matches(';').trim_end();
        let lower = text.to_ascii_lowercase();
        let label = text.get(lower.find(char::is_whitespace)?..)?.trim_start();
        match lower.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            ["select", "database()" | "schema()"] => {
                let value = self.state.schema.as_deref().map(<[u8]>::to_vec);
                Some(self.put_column(place, label.as_bytes(), column_type::VAR_STRING, &[value]))
            }
            ["select", "connection_id()"] => {
                let value = self.entry.id.to_string().into_bytes();
                Some(self.put_column(place, label.as_bytes(), column_type::LONGLONG, &[Some(value)]))
            }
            ["show", "databases" | "schemas"] => {
                let names = self.visible_databases();
                Some(self.put_column(place, b"Database", column_type::VAR_STRING, &names))
            }
            _ => None,
        }
    }

    fn visible_databases(&self) -> Vec<Option<Vec<u8>>> {
        let config = self.mesh.config.load();
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
        names.into_iter().map(|name| Some(name.into_bytes())).collect()
    }

    /// A result of one column.
    fn put_column(&mut self, place: Place, label: &[u8], kind: u8, values: &[Option<Vec<u8>>]) -> Done {
        let number = kind == column_type::LONGLONG;
        let column = ColumnDefinition {
            schema: b"",
            table: b"",
            original_table: b"",
            name: label,
            original_name: b"",
            collation: if number { NUMBER_COLLATION } else { TEXT_COLLATION },
            length: if number { 10 } else { 256 },
            kind,
            flags: if number { column_flag::NOT_NULL | column_flag::UNSIGNED | column_flag::BINARY } else { 0 },
            decimals: if number { 0 } else { 39 },
        };
        let status = self.status();
        let deprecate_eof = self.client.capabilities & capability::DEPRECATE_EOF != 0;
        let out = &mut self.client.output;
        let mut sequence = put_packet_with(out, place.sequence, |out| put_lenenc(out, 1));
        sequence = put_packet_with(out, sequence, |out| column.encode(out));
        if !deprecate_eof {
            sequence = put_packet_with(out, sequence, |out| EofPacket { warnings: 0, status }.encode(out));
        }
        for value in values {
            sequence = put_packet_with(out, sequence, |out| match value {
                Some(bytes) => put_lenenc_bytes(out, bytes),
                None => out.push(0xfb),
            });
        }
        let place = Place { sequence, ..place };
        self.client.put_end_of_rows(place, &OkPacket { status, ..OkPacket::default() });
        Done::at(place)
    }
}
