//! The block of session-state changes in an OK packet. Source: "OK_Packet", session state information.
//! Out: what a session does with them.

use super::wire::{Reader, WireError, put_lenenc_bytes};

/// One change that a server reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A system variable and its new value as text.
    Variable {
        /// Name.
        name: &'a [u8],
        /// Value.
        value: &'a [u8],
    },
    /// The current schema.
    Schema(&'a [u8]),
    /// Something that is not reported in detail changed: user variables, temporary tables, prepared statements.
    StateChanged,
    /// Statements that would restart the transaction with its characteristics; empty when there are none.
    TransactionCharacteristics(&'a [u8]),
    /// Eight letters: what the open transaction did so far.
    TransactionState(&'a [u8]),
    /// A kind that we do not use (GTIDs, later additions).
    Other(u8),
}

/// Iterates over the changes of a block. Ends after the first malformed one, which it reports.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    block: Reader<'a>,
    variables: Reader<'a>,
}

impl<'a> Changes<'a> {
    /// Over the bytes of a state block.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        Self { block: Reader::new(block), variables: Reader::new(&[]) }
    }

    fn variable(&mut self) -> Result<Change<'a>, WireError> {
        Ok(Change::Variable { name: self.variables.lenenc_bytes()?, value: self.variables.lenenc_bytes()? })
    }

    fn step(&mut self) -> Result<Change<'a>, WireError> {
        if !self.variables.is_empty() {
            return self.variable();
        }
        let kind = self.block.u8()?;
        let data = self.block.lenenc_bytes()?;
        let text = || Reader::new(data).lenenc_bytes();
        match kind {
            0 => {
                self.variables = Reader::new(data);
                self.variable()
            }
            1 => Ok(Change::Schema(text()?)),
            2 => Ok(Change::StateChanged),
            4 => Ok(Change::TransactionCharacteristics(text()?)),
            5 => Ok(Change::TransactionState(text()?)),
            other => Ok(Change::Other(other)),
        }
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.block.is_empty() && self.variables.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            *self = Self::new(&[]);
        }
        Some(step)
    }
}

/// Appends a variable's change to a block.
pub fn put_variable(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut data = Vec::with_capacity(name.len() + value.len() + 4);
    put_lenenc_bytes(&mut data, name);
    put_lenenc_bytes(&mut data, value);
    block.push(0);
    put_lenenc_bytes(block, &data);
}

/// Appends a change of schema to a block.
pub fn put_schema(block: &mut Vec<u8>, name: &[u8]) {
    let mut data = Vec::with_capacity(name.len() + 2);
    put_lenenc_bytes(&mut data, name);
    block.push(1);
    put_lenenc_bytes(block, &data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let block =
            b"\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04shop\x02\x02\x011\x05\x09\x08T_R_____\x04\x01\x00\x63\x00";
        let found: Result<Vec<_>, _> = Changes::new(block).collect();
        assert_eq!(
            found,
            Ok(vec![
                Change::Variable { name: b"autocommit", value: b"OFF" },
                Change::Schema(b"shop"),
                Change::StateChanged,
                Change::TransactionState(b"T_R_____"),
                Change::TransactionCharacteristics(b""),
                Change::Other(0x63),
            ])
        );
    }

    #[test]
    fn several_variables_in_one_entry_are_all_read() {
        let block = b"\x00\x08\x01a\x011\x01b\x012";
        let found: Vec<_> = Changes::new(block).flatten().collect();
        assert_eq!(found, [Change::Variable { name: b"a", value: b"1" }, Change::Variable { name: b"b", value: b"2" }]);
    }

    #[test]
    fn truncation_ends_the_iteration_with_one_error() {
        let block = b"\x00\x0f\x0aautocommit\x03OFF";
        for end in 1..block.len() {
            let found: Vec<_> = Changes::new(&block[..end]).collect();
            assert_eq!(found.len(), 1, "{end}");
            assert!(found[0].is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut block = Vec::new();
        put_variable(&mut block, b"x", b"");
        put_schema(&mut block, b"db");
        let found: Vec<_> = Changes::new(&block).flatten().collect();
        assert_eq!(found, [Change::Variable { name: b"x", value: b"" }, Change::Schema(b"db")]);
    }
}
