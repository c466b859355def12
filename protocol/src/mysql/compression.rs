//! The compressed protocol: packets of a sequence of their own, whose content is a piece of the stream of ordinary packets.
//! Out: when it begins (after the login), what the stream says.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::packet;
use super::wire::WireError;

/// Bytes of a header: three of the content's length, one sequence number, three of its length without compression.
pub const HEADER: usize = 7;
/// Shorter pieces are not worth compressing: servers send them as they are.
const COMPRESSED_MIN: usize = 50;
/// So many bytes go into one packet at most when we write; compressed or not, its length has three bytes.
pub const PIECE_MAX: usize = 0xff_0000;

/// Appends one packet with a piece of the stream, of at most [`PIECE_MAX`] bytes.
pub fn put_piece(out: &mut Vec<u8>, sequence: u8, piece: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let mut plain_length = 0;
    if piece.len() >= COMPRESSED_MIN {
        // Writing to memory does not fail.
        let mut encoder = ZlibEncoder::new(&mut *out, Compression::fast());
        if encoder.write_all(piece).and_then(|()| encoder.finish().map(|_| ())).is_ok() {
            plain_length = piece.len();
        }
    }
    if plain_length == 0 || out.len() - start - HEADER >= piece.len() {
        plain_length = 0;
        out.truncate(start + HEADER);
        out.extend_from_slice(piece);
    }
    let length = ((out.len() - start - HEADER) as u32).to_le_bytes();
    let plain = (plain_length as u32).to_le_bytes();
    if let Some(header) = out.get_mut(start..start + HEADER) {
        header.copy_from_slice(&[length[0], length[1], length[2], sequence, plain[0], plain[1], plain[2]]);
    }
}

/// A packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceHeader {
    /// Bytes that follow.
    pub length: usize,
    /// Sequence number.
    pub sequence: u8,
    /// Bytes of the piece; 0: it follows as it is.
    plain_length: usize,
}

impl PieceHeader {
    /// The header at the start of `bytes`, or `None` while it is incomplete.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, sequence, d, e, f] = *bytes.first_chunk::<HEADER>()?;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        Some(Self { length, sequence, plain_length: u32::from_le_bytes([d, e, f, 0]) as usize })
    }

    /// Appends the piece to `out`, from the content that followed the header. Never more than the header says.
    ///
    /// # Errors
    /// The content is no compressed data, or not of the length that the header says.
    pub fn unpack(&self, content: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        if self.plain_length == 0 {
            out.extend_from_slice(content);
            return Ok(());
        }
        let before = out.len();
        let limit = self.plain_length as u64 + 1;
        let read = ZlibDecoder::new(content).take(limit).read_to_end(out);
        if read.is_err() || out.len() - before != self.plain_length {
            out.truncate(before);
            return Err(WireError::Malformed("compressed data"));
        }
        Ok(())
    }
}

/// Follows the ordinary packets in a stream that comes piece by piece.
#[derive(Debug, Clone, Copy, Default)]
pub struct Follower {
    /// Bytes of the packet that is not over yet.
    left: usize,
}

impl Follower {
    /// Whether the next byte begins a packet.
    #[must_use]
    pub fn is_between_packets(&self) -> bool {
        self.left == 0
    }

    /// Hands the place and the sequence number of each packet that begins in `bytes` to `number`. Returns how many of the
    /// bytes were understood: all, or all before a header that is not whole.
    pub fn follow(&mut self, bytes: &mut [u8], mut number: impl FnMut(usize, &mut u8)) -> usize {
        let mut at = self.left.min(bytes.len());
        self.left -= at;
        while let Some(header) = bytes.get(at..).and_then(packet::Header::read) {
            if let Some(sequence) = bytes.get_mut(at + 3) {
                number(at, sequence);
            }
            let end = at + packet::HEADER + header.length;
            self.left = end.saturating_sub(bytes.len());
            at = end.min(bytes.len());
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_the_stream_is_cut() {
        let mut wire = Vec::new();
        for (sequence, length) in [(0, 5), (1, 0), (2, 300), (3, 1)] {
            packet::put_packet(&mut wire, sequence, &vec![b'x'; length]);
        }
        for cut in 0..=wire.len() {
            let (mut follower, mut found, mut bytes) = (Follower::default(), Vec::new(), wire.clone());
            let understood = follower.follow(&mut bytes[..cut], |_, number| found.push(*number));
            assert!(cut - understood < packet::HEADER);
            let rest = follower.follow(&mut bytes[understood..], |_, number| found.push(*number));
            assert_eq!((understood + rest, &found[..]), (wire.len(), &[0, 1, 2, 3][..]), "{cut}");
            assert!(follower.is_between_packets());
        }
    }

    fn round_trip(piece: &[u8]) -> usize {
        let mut wire = Vec::new();
        put_piece(&mut wire, 7, piece);
        let header = PieceHeader::read(&wire).expect("a header");
        assert_eq!((header.sequence, header.length), (7, wire.len() - HEADER));
        let mut back = Vec::new();
        header.unpack(&wire[HEADER..], &mut back).expect("well packed");
        assert_eq!(back, piece);
        wire.len()
    }

    #[test]
    fn pieces_round_trip_and_shrink_where_that_helps() {
        assert_eq!(round_trip(b"short"), 5 + HEADER);
        assert!(round_trip(&vec![7; PIECE_MAX]) < PIECE_MAX / 50);
        let mut noise = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        })
        .take(500)
        .collect();
        assert_eq!(round_trip(&noise), 500 + HEADER, "what does not shrink goes as it is");
        assert_eq!(round_trip(b""), HEADER);
    }

    #[test]
    fn lies_about_the_length_are_errors_and_take_no_room() {
        let mut wire = Vec::new();
        put_piece(&mut wire, 0, &[1; 10_000]);
        for claimed in [1_u32, 9_999, 10_001, 0xff_ffff] {
            wire[4..7].copy_from_slice(&claimed.to_le_bytes()[..3]);
            let mut out = Vec::new();
            let header = PieceHeader::read(&wire).expect("a header");
            assert!(header.unpack(&wire[HEADER..], &mut out).is_err(), "{claimed}");
            assert!(out.is_empty());
        }
        assert_eq!(PieceHeader::read(&wire[..6]), None);
        let header = PieceHeader { length: 3, sequence: 0, plain_length: 100 };
        assert!(header.unpack(b"abc", &mut Vec::new()).is_err());
    }
}
