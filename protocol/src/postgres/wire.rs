//! Framing and the byte reader that every view is built on.
//! In: headers, big-endian integers, zero-terminated strings. Out: what a message means.
//! Invariant: works on whatever prefix of the stream is there; feeding one byte at a time gives the same messages.

use thiserror::Error;

/// Longest message that a server of ours may send as one piece that must be held whole (not `DataRow`, not `CopyData`).
pub const HELD_BYTES_MAX: usize = 16 << 20;
/// PostgreSQL's own limit of one message (`PQ_LARGE_MESSAGE_LIMIT`).
pub const MESSAGE_BYTES_MAX: usize = (1 << 30) - 1;
/// Bytes of tag and length in front of a body.
pub const HEADER_BYTES: usize = 5;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// A field ends after its message does.
    #[error("message ends inside a field")]
    Truncated,
    /// Bytes are left over after the last field.
    #[error("message has bytes after its last field")]
    Trailing,
    /// A length field is smaller than what it counts itself.
    #[error("invalid message length {length} in message type 0x{tag:02x}")]
    BadLength {
        /// Type byte of the message, 0 in the startup phase.
        tag: u8,
        /// The length as sent.
        length: i64,
    },
    /// A message is longer than is allowed here.
    #[error("message of type 0x{tag:02x} has {length} bytes, at most {max} are allowed")]
    TooLarge {
        /// Type byte of the message, 0 in the startup phase.
        tag: u8,
        /// The length as sent.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The type byte is not one of this direction.
    #[error("unknown message type 0x{0:02x}")]
    UnknownTag(u8),
    /// A message came where it may not.
    #[error("unexpected message type 0x{0:02x}")]
    Unexpected(u8),
    /// A field has a value that is not allowed.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

/// Type and size of a message of which at least five bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Type byte.
    pub tag: u8,
    /// Bytes of the whole message, header included.
    pub total: usize,
}

/// One whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Type byte.
    pub tag: u8,
    /// What follows the length field.
    pub body: &'a [u8],
    /// Bytes of the whole message, header included.
    pub total: usize,
}

/// Reads the header at the front of `bytes`; `None` if more bytes are needed.
///
/// # Errors
/// [`WireError::BadLength`] or [`WireError::TooLarge`], which leave no way to find the next message.
pub fn header(bytes: &[u8], max: usize) -> Result<Option<Header>, WireError> {
    let Some((head, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let tag = head[0];
    let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let counted = usize::try_from(length).unwrap_or(0);
    if counted < 4 {
        return Err(WireError::BadLength { tag, length: i64::from(length) });
    }
    let total = counted + 1;
    if total > max {
        return Err(WireError::TooLarge { tag, length: total, max });
    }
    Ok(Some(Header { tag, total }))
}

/// Reads the whole message at the front of `bytes`; `None` if more bytes are needed.
///
/// # Errors
/// As [`header`].
pub fn message(bytes: &[u8], max: usize) -> Result<Option<Message<'_>>, WireError> {
    let Some(Header { tag, total }) = header(bytes, max)? else {
        return Ok(None);
    };
    Ok(bytes.get(HEADER_BYTES..total).map(|body| Message { tag, body, total }))
}

/// Reads the fields of one body in order.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `body`.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The bytes up to the next zero byte, which is consumed.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if there is none.
    pub fn cstr(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(WireError::Truncated)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// A value with its length in front; `None` is NULL (length -1).
    ///
    /// # Errors
    /// [`WireError::Truncated`], or [`WireError::Invalid`] for another negative length.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| WireError::Invalid("value length"))?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// # Errors
    /// [`WireError::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_needs_five_bytes_and_a_sane_length() {
        let bytes = [b'Z', 0, 0, 0, 5, b'I'];
        for end in 0..HEADER_BYTES {
            assert_eq!(header(&bytes[..end], 100), Ok(None));
        }
        assert_eq!(header(&bytes[..5], 100), Ok(Some(Header { tag: b'Z', total: 6 })));
        assert_eq!(message(&bytes[..5], 100), Ok(None));
        assert_eq!(message(&bytes, 100), Ok(Some(Message { tag: b'Z', body: b"I", total: 6 })));
        assert_eq!(header(&[b'Z', 0, 0, 0, 3], 100), Err(WireError::BadLength { tag: b'Z', length: 3 }));
        assert!(header(&[b'Z', 0xff, 0, 0, 3], 100).is_err());
        assert_eq!(header(&[b'D', 0, 0, 1, 0], 100), Err(WireError::TooLarge { tag: b'D', length: 257, max: 100 }));
    }

    #[test]
    fn reader_never_reads_past_the_end() {
        let mut reader = Reader::new(b"ab\0\0\x01x");
        assert_eq!(reader.cstr(), Ok(&b"ab"[..]));
        assert_eq!(reader.u16(), Ok(1));
        assert_eq!(reader.u32(), Err(WireError::Truncated));
        assert_eq!(reader.cstr(), Err(WireError::Truncated));
        assert_eq!(reader.finish(), Err(WireError::Trailing));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xfe]).value(), Err(WireError::Invalid("value length")));
        assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).value(), Err(WireError::Truncated));
    }
}
