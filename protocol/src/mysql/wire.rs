//! Integers and strings of the MySQL wire format: a bounded reader, and functions that append.
//! Out: packets and their meaning.

use thiserror::Error;

/// Why bytes of a peer cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// A field ends beyond its packet.
    #[error("packet is truncated")]
    Truncated,
    /// A field holds a value that the protocol does not allow.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// A packet is longer than the limit of the receiver.
    #[error("packet of {size} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the (logical) packet as far as known.
        size: usize,
        /// The limit that it exceeds.
        limit: usize,
    },
    /// A packet does not continue the sequence numbers of its exchange.
    #[error("packets out of order: expected {expected}, got {got}")]
    OutOfOrder {
        /// The number that had to come.
        expected: u8,
        /// The number that came.
        got: u8,
    },
}

/// A cursor over one packet's payload. Every step is checked against the end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Offset of the next byte from the start of the payload.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer are left; so do all methods below.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let end = self.position.checked_add(count).ok_or(WireError::Truncated)?;
        let taken = self.bytes.get(self.position..end).ok_or(WireError::Truncated)?;
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// An unsigned byte.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Three bytes, little-endian.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u24(&mut self) -> Result<u32, WireError> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer.
    ///
    /// # Errors
    /// See [`Reader::take`]; the bytes 0xfb (NULL) and 0xff start no integer.
    pub fn lenenc(&mut self) -> Result<u64, WireError> {
        match self.u8()? {
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => Ok(u64::from(self.u24()?)),
            0xfe => self.u64(),
            0xfb | 0xff => Err(WireError::Malformed("length-encoded integer")),
            small => Ok(u64::from(small)),
        }
    }

    /// A string with a length-encoded length before it.
    ///
    /// # Errors
    /// See [`Reader::lenenc`].
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.lenenc()?).map_err(|_| WireError::Truncated)?;
        self.take(length)
    }

    /// A string that ends with a zero byte, which is consumed and not returned.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when there is no zero byte.
    pub fn null_terminated(&mut self) -> Result<&'a [u8], WireError> {
        let rest = self.rest();
        let end = rest.iter().position(|b| *b == 0).ok_or(WireError::Truncated)?;
        self.position += end + 1;
        Ok(&rest[..end])
    }
}

/// Appends a length-encoded integer.
pub fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfa => out.push(bytes[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a string with its length before it.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_lenenc(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string and a zero byte; the string is cut at a zero byte of its own.
pub fn put_null_terminated(out: &mut Vec<u8>, bytes: &[u8]) {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    out.extend_from_slice(&bytes[..end]);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenenc_integers_round_trip_at_every_boundary() {
        for value in [0, 250, 251, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.lenenc(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_truncated_and_allocates_nothing() {
        let bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Reader::new(&bytes).lenenc_bytes(), Err(WireError::Truncated));
        assert_eq!(Reader::new(&[0xfb]).lenenc(), Err(WireError::Malformed("length-encoded integer")));
    }

    #[test]
    fn null_terminated_needs_its_zero() {
        assert_eq!(Reader::new(b"abc").null_terminated(), Err(WireError::Truncated));
        let mut reader = Reader::new(b"abc\0d");
        assert_eq!(reader.null_terminated(), Ok(&b"abc"[..]));
        assert_eq!(reader.rest(), b"d");
    }
}
