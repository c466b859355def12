//! Small results that we make ourselves: columns of texts and numbers, as text or in the binary form of prepared statements.
//! Out: what is in them.

use protocol::mysql::capability::{self, status};
use protocol::mysql::column::{ColumnDefinition, column_flag, column_type};
use protocol::mysql::packet::put_packet_with;
use protocol::mysql::reply::{EofPacket, OkPacket};
use protocol::mysql::row;
use protocol::mysql::wire::{put_lenenc, put_lenenc_bytes};

use super::Session;
use super::place::Place;
use super::query::Done;

/// utf8mb4_general_ci.
const TEXT_COLLATION: u16 = 45;
/// binary, the collation of numbers.
const NUMBER_COLLATION: u16 = 63;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Null,
    Text(&'a [u8]),
    Number(u64),
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text of at most so many bytes.
    Text(u32),
    /// INT UNSIGNED.
    Int,
    /// BIGINT UNSIGNED.
    BigInt,
}

impl Session {
    /// Puts a result into the client's output; `binary`: it answers a COM_STMT_EXECUTE.
    pub(super) fn put_grid<'a, R: IntoIterator<Item = Cell<'a>>>(
        &mut self,
        place: Place,
        columns: &[(&[u8], Shape)],
        rows: impl IntoIterator<Item = R>,
        binary: bool,
    ) -> Done {
        let status = self.status();
        let capabilities = self.client.capabilities;
        let deprecate_eof = capabilities & capability::DEPRECATE_EOF != 0;
        let out = &mut self.client.output;
        let mut sequence = put_packet_with(out, place.sequence, |out| put_lenenc(out, columns.len() as u64));
        for (label, shape) in columns {
            sequence = put_packet_with(out, sequence, |out| definition(label, *shape).encode(out, capabilities));
        }
        if !deprecate_eof {
            let status = if place.more { status | status::MORE_RESULTS } else { status };
            sequence = put_packet_with(out, sequence, |out| EofPacket { warnings: 0, status }.encode(out));
        }
        for cells in rows {
            sequence = put_packet_with(out, sequence, |out| {
                let bitmap = if binary { row::start_binary(out, columns.len()) } else { 0 };
                for (index, (cell, (_, shape))) in cells.into_iter().zip(columns).enumerate() {
                    match (cell, binary) {
                        (Cell::Null, false) => out.push(0xfb),
                        (Cell::Null, true) => row::set_null(out, bitmap, index),
                        (Cell::Text(bytes), _) => put_lenenc_bytes(out, bytes),
                        (Cell::Number(number), false) => put_lenenc_bytes(out, number.to_string().as_bytes()),
                        (Cell::Number(number), true) => {
                            let width = if *shape == Shape::Int { 4 } else { 8 };
                            out.extend_from_slice(number.to_le_bytes().get(..width).unwrap_or_default());
                        }
                    }
                }
            });
        }
        let place = Place { sequence, ..place };
        self.client.put_end_of_rows(place, &OkPacket { status, ..OkPacket::default() });
        Done::at(place)
    }
}

fn definition(label: &[u8], shape: Shape) -> ColumnDefinition<'_> {
    let (kind, length) = match shape {
        Shape::Text(length) => (column_type::VAR_STRING, length),
        Shape::Int => (column_type::LONG, 10),
        Shape::BigInt => (column_type::LONGLONG, 21),
    };
    let number = kind != column_type::VAR_STRING;
    ColumnDefinition {
        schema: b"",
        table: b"",
        original_table: b"",
        name: label,
        original_name: b"",
        collation: if number { NUMBER_COLLATION } else { TEXT_COLLATION },
        length,
        kind,
        flags: if number { column_flag::NOT_NULL | column_flag::UNSIGNED | column_flag::BINARY } else { 0 },
        decimals: if number { 0 } else { 39 },
    }
}
