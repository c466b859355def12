//! Framing in place: where a packet of the read buffer ends, and headers for what we write.
//! Out: what a payload means.

use std::borrow::Cow;

use super::wire::WireError;

/// Bytes of a packet header: three of length, one sequence number.
pub const HEADER: usize = 4;

/// A packet this long is continued by the next one.
pub const PAYLOAD_MAX: usize = 0xff_ffff;

/// A packet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload behind the header.
    pub length: usize,
    /// Sequence number.
    pub sequence: u8,
}

impl Header {
    /// The header at the start of `bytes`, or `None` while it is incomplete.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, sequence] = *bytes.first_chunk::<HEADER>()?;
        Some(Self { length: u32::from_le_bytes([a, b, c, 0]) as usize, sequence })
    }
}

/// A logical packet that is wholly in the buffer: one packet, or several where the payload reaches 16 MiB - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Bytes in the buffer, headers included.
    pub wire_length: usize,
    /// Bytes of payload, headers not counted.
    pub payload_length: usize,
    /// Sequence number of the last packet.
    pub last_sequence: u8,
}

impl Whole {
    /// Finds the logical packet at the start of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] as soon as the headers promise more than `limit` bytes of payload;
    /// [`WireError::OutOfOrder`] if sequence numbers do not count up from `sequence`.
    pub fn find(bytes: &[u8], sequence: u8, limit: usize) -> Result<Option<Self>, WireError> {
        let (mut at, mut payload_length, mut expected) = (0, 0usize, sequence);
        loop {
            let Some(header) = bytes.get(at..).and_then(Header::read) else {
                return Ok(None);
            };
            if header.sequence != expected {
                return Err(WireError::OutOfOrder { expected, got: header.sequence });
            }
            payload_length += header.length;
            if payload_length > limit {
                return Err(WireError::TooLarge { size: payload_length, limit });
            }
            at += HEADER + header.length;
            if at > bytes.len() {
                return Ok(None);
            }
            if header.length < PAYLOAD_MAX {
                return Ok(Some(Self { wire_length: at, payload_length, last_sequence: header.sequence }));
            }
            expected = expected.wrapping_add(1);
        }
    }

    /// The payload: borrowed where it is one packet, joined where it is several.
    ///
    /// `bytes` is the buffer that [`Whole::find`] looked at.
    #[must_use]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.payload_length < PAYLOAD_MAX {
            return Cow::Borrowed(bytes.get(HEADER..self.wire_length).unwrap_or_default());
        }
        let mut joined = Vec::with_capacity(self.payload_length);
        let mut rest = bytes.get(..self.wire_length).unwrap_or_default();
        while let Some(header) = Header::read(rest) {
            let end = HEADER + header.length;
            joined.extend_from_slice(rest.get(HEADER..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
        }
        Cow::Owned(joined)
    }
}

/// Appends `payload` as one logical packet; returns the sequence number after it.
pub fn put_packet(out: &mut Vec<u8>, mut sequence: u8, payload: &[u8]) -> u8 {
    let mut chunks = payload.chunks(PAYLOAD_MAX);
    loop {
        let chunk = chunks.next().unwrap_or_default();
        put_header(out, chunk.len(), sequence);
        out.extend_from_slice(chunk);
        sequence = sequence.wrapping_add(1);
        if chunk.len() < PAYLOAD_MAX {
            return sequence;
        }
    }
}

/// Appends one packet that `write` fills; returns the sequence number after it. A payload that outgrows one packet
/// is split afterwards.
pub fn put_packet_with(out: &mut Vec<u8>, sequence: u8, write: impl FnOnce(&mut Vec<u8>)) -> u8 {
    let start = out.len();
    put_header(out, 0, sequence);
    write(out);
    let length = out.len() - start - HEADER;
    if length >= PAYLOAD_MAX {
        let payload = out.split_off(start + HEADER);
        out.truncate(start);
        return put_packet(out, sequence, &payload);
    }
    let bytes = (length as u32).to_le_bytes();
    out[start..start + 3].copy_from_slice(&bytes[..3]);
    sequence.wrapping_add(1)
}

/// What stands in bytes that are sent in one go: whole packets, the last of which is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Payload of the longest logical packet.
    pub longest: usize,
    /// Sequence number of the answer.
    pub answered_from: u8,
}

impl Outline {
    /// Of these bytes, by their headers.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut outline = Self { longest: 0, answered_from: 0 };
        let (mut at, mut payload) = (0, 0);
        while let Some(header) = bytes.get(at..).and_then(Header::read) {
            at += HEADER + header.length;
            payload += header.length;
            outline.longest = outline.longest.max(payload);
            outline.answered_from = header.sequence.wrapping_add(1);
            if header.length < PAYLOAD_MAX {
                payload = 0;
            }
        }
        outline
    }
}

fn put_header(out: &mut Vec<u8>, length: usize, sequence: u8) {
    let bytes = (length as u32).to_le_bytes();
    out.extend_from_slice(&[bytes[0], bytes[1], bytes[2], sequence]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_tells_the_longest_packet_and_who_is_answered() {
        let mut bytes = Vec::new();
        put_packet(&mut bytes, 0, &vec![1; PAYLOAD_MAX + 5]);
        put_packet(&mut bytes, 0, b"ab");
        assert_eq!(Outline::of(&bytes), Outline { longest: PAYLOAD_MAX + 5, answered_from: 1 });
        let first = bytes.len() - HEADER - 2;
        assert_eq!(Outline::of(&bytes[..first]), Outline { longest: PAYLOAD_MAX + 5, answered_from: 2 });
        assert_eq!(Outline::of(b""), Outline { longest: 0, answered_from: 0 });
    }

    #[test]
    fn a_packet_is_found_only_when_its_last_byte_is_there() {
        let wire = [3, 0, 0, 0, b'a', b'b', b'c', 9];
        for end in 0..7 {
            assert_eq!(Whole::find(&wire[..end], 0, 100), Ok(None), "{end}");
        }
        let whole = Whole::find(&wire, 0, 100).expect("valid").expect("whole");
        assert_eq!((whole.wire_length, whole.last_sequence), (7, 0));
        assert_eq!(&*whole.payload(&wire), b"abc");
    }

    #[test]
    fn limits_and_order_are_checked_from_the_header_alone() {
        assert_eq!(Whole::find(&[0, 0, 1, 0], 0, 1000), Err(WireError::TooLarge { size: 0x1_0000, limit: 1000 }));
        assert_eq!(Whole::find(&[1, 0, 0, 3, 1], 0, 1000), Err(WireError::OutOfOrder { expected: 0, got: 3 }));
    }

    #[test]
    fn a_payload_of_exactly_the_maximum_is_followed_by_an_empty_packet() {
        for extra in [0, 5] {
            let payload = vec![7u8; PAYLOAD_MAX + extra];
            let mut wire = Vec::new();
            assert_eq!(put_packet(&mut wire, 0, &payload), 2);
            assert_eq!(wire.len(), payload.len() + 2 * HEADER);
            assert_eq!(Whole::find(&wire[..wire.len() - 1], 0, usize::MAX), Ok(None));
            let whole = Whole::find(&wire, 0, usize::MAX).expect("valid").expect("whole");
            assert_eq!(whole.payload_length, payload.len());
            assert_eq!(&*whole.payload(&wire), &payload[..]);
            let mut filled = Vec::new();
            assert_eq!(put_packet_with(&mut filled, 0, |out| out.extend_from_slice(&payload)), 2);
            assert_eq!(filled, wire);
        }
    }

    #[test]
    fn an_empty_packet_is_a_packet() {
        let mut wire = Vec::new();
        assert_eq!(put_packet(&mut wire, 255, b""), 0);
        assert_eq!(wire, [0, 0, 0, 255]);
        let whole = Whole::find(&wire, 255, 0).expect("valid").expect("whole");
        assert_eq!(whole.payload_length, 0);
    }
}
