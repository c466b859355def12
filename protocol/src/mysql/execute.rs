//! COM_STMT_EXECUTE: reading it from a client, writing it for a backend's statement.
//! Out: which statement it is.

use super::command::code;
use super::value::{BinaryValue, read_value, skip_value};
use super::wire::{Reader, WireError};

/// Flag of a parameter's type: unsigned.
const UNSIGNED: u8 = 0x80;

/// COM_STMT_EXECUTE as it came. Source: "COM_STMT_EXECUTE", without query attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The client's statement id.
    pub statement: u32,
    /// 0, or a cursor type.
    pub flags: u8,
    /// One bit per parameter.
    pub nulls: &'a [u8],
    /// Two bytes per parameter, if the client sent types.
    pub types: Option<&'a [u8]>,
    /// The values one after the other, those that are NULL or came as long data left out.
    pub values: &'a [u8],
}

impl<'a> Execute<'a> {
    /// Reads the payload behind the command byte, for a statement with this number of parameters.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode(body: &'a [u8], parameters: usize) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let statement = reader.u32()?;
        let flags = reader.u8()?;
        reader.u32()?;
        let mut execute = Self { statement, flags, nulls: &[], types: None, values: &[] };
        if parameters > 0 {
            execute.nulls = reader.take(parameters.div_ceil(8))?;
            if reader.u8()? == 1 {
                execute.types = Some(reader.take(parameters * 2)?);
            }
            execute.values = reader.rest();
        }
        Ok(execute)
    }

    /// Decodes the values with these types (two bytes each: those of the packet, or those the client sent before).
    /// `long_data(n)` gives what came for parameter `n` by COM_STMT_SEND_LONG_DATA.
    ///
    /// # Errors
    /// A value beyond the end, an unknown type, bytes behind the last value.
    pub fn parameters<'b>(
        &self,
        types: &[u8],
        long_data: impl Fn(usize) -> Option<&'b [u8]>,
    ) -> Result<Vec<BinaryValue<'b>>, WireError>
    where
        'a: 'b,
    {
        let mut reader = Reader::new(self.values);
        let mut values = Vec::with_capacity(types.len() / 2);
        for (n, kind) in types.chunks_exact(2).enumerate() {
            values.push(if let Some(bytes) = long_data(n) {
                BinaryValue::Bytes(bytes)
            } else if self.is_null(n) {
                BinaryValue::Null
            } else {
                read_value(&mut reader, kind[0], kind[1] & UNSIGNED != 0)?
            });
        }
        if reader.is_empty() { Ok(values) } else { Err(WireError::Malformed("bytes behind the last parameter")) }
    }

    /// Checks that the values fit the types, as [`Execute::parameters`] does, without keeping them.
    ///
    /// # Errors
    /// Those of [`Execute::parameters`].
    pub fn check(&self, types: &[u8], long_data: impl Fn(usize) -> bool) -> Result<(), WireError> {
        let mut reader = Reader::new(self.values);
        for (n, kind) in types.chunks_exact(2).enumerate() {
            if !long_data(n) && !self.is_null(n) {
                skip_value(&mut reader, kind[0])?;
            }
        }
        if reader.is_empty() { Ok(()) } else { Err(WireError::Malformed("bytes behind the last parameter")) }
    }

    fn is_null(&self, n: usize) -> bool {
        self.nulls.get(n / 8).is_some_and(|byte| byte & (1 << (n % 8)) != 0)
    }

    /// Appends the payload for a backend's statement. Types are always sent, so that it does not matter who bound
    /// what on that backend before.
    pub fn encode(&self, out: &mut Vec<u8>, statement: u32, types: &[u8]) {
        out.push(code::STATEMENT_EXECUTE);
        out.extend_from_slice(&statement.to_le_bytes());
        out.push(self.flags);
        out.extend_from_slice(&1u32.to_le_bytes());
        if !self.nulls.is_empty() {
            out.extend_from_slice(self.nulls);
            out.push(1);
            out.extend_from_slice(types);
            out.extend_from_slice(self.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::column::column_type as t;

    const TYPES: [u8; 6] = [t::LONG, 0, t::VAR_STRING, 0, t::TINY, UNSIGNED];
    const BODY: &[u8] = b"\x07\0\0\0\x00\x01\0\0\0\x02\x01\x03\x00\xfd\x00\x01\x80\xff\xff\xff\xff\xc8";

    #[test]
    fn values_are_decoded_with_the_types_of_the_packet() {
        let execute = Execute::decode(BODY, 3).expect("valid");
        assert_eq!((execute.statement, execute.flags), (7, 0));
        assert_eq!(execute.types, Some(&TYPES[..]));
        assert_eq!(
            execute.parameters(&TYPES, |_| None),
            Ok(vec![BinaryValue::Int(-1), BinaryValue::Null, BinaryValue::UInt(200)])
        );
        assert_eq!(execute.check(&TYPES, |_| false), Ok(()));
    }

    #[test]
    fn types_left_out_are_put_back_for_the_backend() {
        let mut short = BODY.to_vec();
        short[10] = 0;
        short.drain(11..17);
        let execute = Execute::decode(&short, 3).expect("valid");
        assert_eq!(execute.types, None);
        let mut out = Vec::new();
        execute.encode(&mut out, 7, &TYPES);
        assert_eq!(out[0], 0x17);
        assert_eq!(&out[1..], BODY);
    }

    #[test]
    fn long_data_takes_the_place_of_a_value() {
        let body = b"\x01\0\0\0\x00\x01\0\0\0\x00\x01\xfc\x00\x03\x00\x05\0\0\0";
        let types = [t::BLOB, 0, t::LONG, 0];
        let execute = Execute::decode(body, 2).expect("valid");
        assert_eq!(
            execute.parameters(&types, |n| (n == 0).then_some(&b"long"[..])),
            Ok(vec![BinaryValue::Bytes(b"long"), BinaryValue::Int(5)])
        );
        assert!(execute.check(&types, |_| false).is_err());
    }

    #[test]
    fn truncated_bodies_are_errors() {
        for end in 0..BODY.len() {
            let result = Execute::decode(&BODY[..end], 3).and_then(|e| e.check(&TYPES, |_| false));
            assert!(result.is_err(), "{end}");
        }
        assert!(Execute::decode(&BODY[..9], 0).is_ok());
        assert!(Execute::decode(BODY, usize::from(u16::MAX)).is_err());
    }
}
