//! Rows of shards on their way to the client: hidden columns cut off, merged values put in.
//! Out: deciding which. Untouched rows keep their bytes.

use bytes::Bytes;
use protocol::mysql::row::{self, Field};
use sharding::merge::{Cell, Merged, Replacement};
use sharding::plan::CellSource;

use super::cells::{self, Column};

/// How the rows of one result are read and written.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Vec<Column>,
    types: Vec<u8>,
    hidden: usize,
    binary: bool,
}

/// A row that is not laid out as its columns say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of a shard does not fit its columns")]
pub struct BadRow;

impl Rows {
    /// For rows of these columns, of which the last `hidden` are not the client's.
    #[must_use]
    pub fn new(columns: Vec<Column>, hidden: usize, binary: bool) -> Self {
        let types = columns.iter().map(|column| column.kind).collect();
        Self { columns, types, hidden, binary }
    }

    /// How many columns the client sees.
    #[must_use]
    pub fn visible(&self) -> usize {
        self.columns.len().saturating_sub(self.hidden)
    }

    fn split(&self, payload: &[u8], fields: &mut Vec<Field>) -> Result<(), BadRow> {
        let split = if self.binary {
            row::split_binary(payload, &self.types, fields)
        } else {
            row::split_text(payload, self.columns.len(), fields)
        };
        split.map_err(|_| BadRow)
    }

    /// Decodes what the merge looks at into `cells`.
    ///
    /// # Errors
    /// The row does not fit its columns.
    pub fn cells(
        &self,
        payload: &[u8],
        sources: &[CellSource],
        fields: &mut Vec<Field>,
        cells: &mut Vec<Cell>,
    ) -> Result<(), BadRow> {
        if sources.is_empty() {
            return Ok(());
        }
        self.split(payload, fields)?;
        for source in sources {
            let index = source.column.index(self.columns.len(), self.hidden).ok_or(BadRow)?;
            let column = *self.columns.get(index).ok_or(BadRow)?;
            let field = fields.get(index).cloned().flatten().and_then(|range| payload.get(range));
            let cell = if self.binary { cells::from_binary(column, field) } else { cells::from_text(column, field) };
            cells.push(cell.ok_or(BadRow)?);
        }
        Ok(())
    }

    /// Appends a row's payload as the client gets it.
    ///
    /// # Errors
    /// The row does not fit its columns, or a merged value does not fit its column.
    pub fn put(&self, merged: &Merged<Bytes>, fields: &mut Vec<Field>, out: &mut Vec<u8>) -> Result<(), BadRow> {
        let payload = &merged.payload;
        if self.hidden == 0 && merged.replaced.is_empty() {
            out.extend_from_slice(payload);
            return Ok(());
        }
        self.split(payload, fields)?;
        let visible = self.visible();
        let bitmap = if self.binary { row::start_binary(out, visible) } else { 0 };
        for index in 0..visible {
            let replaced = merged.replaced.iter().find(|(column, _)| *column == index).map(|(_, value)| value);
            match replaced {
                None => self.put_field(payload, fields.get(index).cloned().flatten(), index, bitmap, out)?,
                Some(Replacement::Value(cell)) => self.put_cell(cell, index, bitmap, out)?,
                Some(Replacement::Taken(other)) => {
                    let mut others = Vec::new();
                    self.split(other, &mut others)?;
                    self.put_field(other, others.get(index).cloned().flatten(), index, bitmap, out)?;
                }
            }
        }
        Ok(())
    }

    fn put_field(
        &self,
        payload: &[u8],
        field: Field,
        index: usize,
        bitmap: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BadRow> {
        let bytes = field.map(|range| payload.get(range).ok_or(BadRow)).transpose()?;
        match (bytes, self.binary) {
            (Some(bytes), true) => out.extend_from_slice(bytes),
            (Some(bytes), false) => protocol::mysql::wire::put_lenenc_bytes(out, bytes),
            (None, true) => row::set_null(out, bitmap, index),
            (None, false) => out.push(0xfb),
        }
        Ok(())
    }

    fn put_cell(&self, cell: &Cell, index: usize, bitmap: usize, out: &mut Vec<u8>) -> Result<(), BadRow> {
        let column = *self.columns.get(index).ok_or(BadRow)?;
        let fits = match (self.binary, cell) {
            (true, Cell::Null) => {
                row::set_null(out, bitmap, index);
                true
            }
            (true, cell) => cells::put_binary(out, column, cell),
            (false, cell) => cells::put_text(out, column, cell),
        };
        if fits { Ok(()) } else { Err(BadRow) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::mysql::column::column_type as t;
    use sharding::plan::ColumnRef;
    use sharding::schema::ColumnKind;

    fn columns() -> Vec<Column> {
        [t::LONG, t::VAR_STRING, t::LONGLONG].map(|kind| Column { kind, unsigned: false, decimals: 0 }).to_vec()
    }

    fn source(column: ColumnRef) -> CellSource {
        CellSource { column, kind: ColumnKind::Other }
    }

    #[test]
    fn text_rows_are_cut_and_replaced() {
        let rows = Rows::new(columns(), 1, false);
        let payload = Bytes::from_static(b"\x017\xfb\x0242");
        let (mut fields, mut cells) = (Vec::new(), Vec::new());
        let sources = [source(ColumnRef::Visible(0)), source(ColumnRef::Hidden(0))];
        rows.cells(&payload, &sources, &mut fields, &mut cells).expect("valid");
        assert_eq!(cells, [Cell::Int(7), Cell::Int(42)]);
        let mut out = Vec::new();
        let merged = Merged { payload: payload.clone(), replaced: vec![(0, Replacement::Value(Cell::Int(100)))] };
        rows.put(&merged, &mut fields, &mut out).expect("valid");
        assert_eq!(out, b"\x03100\xfb");
    }

    #[test]
    fn binary_rows_are_cut_and_keep_their_nulls() {
        let rows = Rows::new(columns(), 1, true);
        let payload = Bytes::from_static(b"\x00\x08\x07\0\0\0\x2a\0\0\0\0\0\0\0");
        let mut fields = Vec::new();
        let mut out = Vec::new();
        rows.put(&Merged { payload, replaced: Vec::new() }, &mut fields, &mut out).expect("valid");
        assert_eq!(out, b"\x00\x08\x07\0\0\0");
    }

    #[test]
    fn rows_that_do_not_fit_are_errors() {
        let rows = Rows::new(columns(), 0, false);
        let (mut fields, mut cells) = (Vec::new(), Vec::new());
        let sources = [source(ColumnRef::Visible(0))];
        assert_eq!(rows.cells(b"\x017", &sources, &mut fields, &mut cells), Err(BadRow));
        assert_eq!(rows.cells(b"\x01x\xfb\xfb", &sources, &mut fields, &mut cells), Err(BadRow));
    }
}
