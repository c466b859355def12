//! A client's stream in the compressed protocol of MySQL: a layer over plain TCP or TLS that begins after the login.
//! Out: what goes over it.
//!
//! Packets have two numbers there, their own and that of the compressed packet. Servers set their own to the other's where
//! they flush, at the end of each result; so do clients. Above this layer packets are numbered as without compression.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use protocol::mysql::compression::{Follower, HEADER, PIECE_MAX, PieceHeader, put_piece};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client_stream::ClientStream;

/// Bytes read from below in one go.
const READ: usize = 16 * 1024;
/// Bytes taken from a write in one go.
const WRITE: usize = 128 * 1024;
/// Buffers that grew beyond this are given back when they are empty.
const KEPT: usize = 64 * 1024;

/// A compressed stream.
#[derive(Debug)]
pub struct Compressed {
    below: ClientStream,
    /// The login is done: what follows is compressed.
    begun: bool,
    packed: BytesMut,
    /// What was unpacked and not taken yet; its first `numbered` bytes are ready to be taken.
    plain: BytesMut,
    numbered: usize,
    incoming: Follower,
    /// Number of the client's next packet, as the session counts.
    expected: u8,
    /// Number of the compressed packet that came last.
    came: u8,
    /// The beginning of a packet to the client: some clients want a packet in no more than two compressed ones.
    held: Vec<u8>,
    output: BytesMut,
    outgoing: Follower,
    /// Number of the next packet to the client, as it counts.
    number: u8,
    /// The next packet to the client has the number of its compressed packet.
    level: bool,
    /// Number of the next compressed packet to the client.
    sequence: u8,
}

impl Compressed {
    /// Over this stream, on which the login is still going on.
    #[must_use]
    pub fn over(below: ClientStream) -> Self {
        let (incoming, outgoing) = (Follower::default(), Follower::default());
        let (packed, plain, output) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        Self {
            below,
            begun: false,
            packed,
            plain,
            numbered: 0,
            incoming,
            expected: 0,
            came: 0,
            held: Vec::new(),
            output,
            outgoing,
            number: 1,
            level: true,
            sequence: 1,
        }
    }

    /// The stream below.
    #[must_use]
    pub fn below(&self) -> &ClientStream {
        &self.below
    }

    /// From here on both sides compress; `ahead` was read already.
    pub fn begin(&mut self, ahead: BytesMut) {
        self.begun = true;
        self.packed = ahead;
    }

    /// The client's next command is answered by packets numbered from 1.
    pub fn expect_command(&mut self) {
        self.sequence = 1;
        self.level = true;
        self.expected = 0;
    }

    /// The packet that was put last ended a result, and another follows.
    pub fn result_ended(&mut self) {
        self.level = true;
    }

    /// Unpacks a packet, if a whole one is there.
    fn unpack(&mut self) -> io::Result<bool> {
        let Some(header) = PieceHeader::read(&self.packed) else { return Ok(false) };
        let Some(content) = self.packed.get(HEADER..HEADER + header.length) else { return Ok(false) };
        let mut plain = Vec::new();
        header.unpack(content, &mut plain).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.packed.advance(HEADER + header.length);
        if self.packed.is_empty() && self.packed.capacity() > KEPT {
            self.packed = BytesMut::new();
        }
        let wrapped = self.came == u8::MAX && header.sequence == 0;
        if header.sequence == 0 && !wrapped {
            // A command, maybe sent ahead while another is answered.
            if self.incoming.is_between_packets() && self.plain.len() == self.numbered {
                self.expected = 0;
            }
        } else {
            // More of a command, or a file: the answer is numbered on.
            self.sequence = header.sequence.wrapping_add(1);
            self.level = true;
        }
        self.came = header.sequence;
        self.plain.extend_from_slice(&plain);
        let expected = &mut self.expected;
        let fresh = self.plain.get_mut(self.numbered..).unwrap_or_default();
        self.numbered += self.incoming.follow(fresh, |_, number| {
            *number = *expected;
            *expected = expected.wrapping_add(1);
        });
        Ok(true)
    }

    /// Takes bytes to the client and numbers their packets as it counts; how many were taken. What makes whole packets is
    /// put into the output.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.level && self.outgoing.is_between_packets() {
            self.number = self.sequence;
            self.level = false;
        }
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        let mut begun = None;
        let (number, expected) = (&mut self.number, &mut self.expected);
        let fresh = self.held.get_mut(before..).unwrap_or_default();
        let count = self.outgoing.follow(fresh, |at, own| {
            *expected = own.wrapping_add(1);
            *own = *number;
            *number = number.wrapping_add(1);
            begun = Some(at);
        });
        self.held.truncate(before + count);
        let whole = match begun {
            _ if self.outgoing.is_between_packets() => self.held.len(),
            Some(at) => before + at,
            None => 0,
        };
        self.put(whole);
        if self.held.len() >= PIECE_MAX {
            self.put(PIECE_MAX);
        }
        count
    }

    /// Puts so many of the bytes that are held into the output.
    fn put(&mut self, count: usize) {
        let mut packed = Vec::new();
        for piece in self.held.get(..count).unwrap_or_default().chunks(PIECE_MAX) {
            put_piece(&mut packed, self.sequence, piece);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.output.extend_from_slice(&packed);
        self.held.drain(..count.min(self.held.len()));
        if self.held.is_empty() && self.held.capacity() > KEPT {
            self.held = Vec::new();
        }
    }

    /// Writes what waits to be written.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let count = ready!(Pin::new(&mut self.below).poll_write(cx, &self.output))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(count);
        }
        self.output = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Compressed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if !own.begun {
            return Pin::new(&mut own.below).poll_read(cx, buf);
        }
        loop {
            if own.numbered > 0 {
                let count = own.numbered.min(buf.remaining());
                buf.put_slice(&own.plain.split_to(count));
                own.numbered -= count;
                if own.plain.is_empty() {
                    own.plain = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if own.unpack()? {
                continue;
            }
            let mut room = [0; READ];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut own.below).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            own.packed.extend_from_slice(read.filled());
        }
    }
}

impl AsyncWrite for Compressed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        if !own.begun {
            return Pin::new(&mut own.below).poll_write(cx, bytes);
        }
        ready!(own.poll_drain(cx))?;
        let count = own.take(bytes.get(..WRITE).unwrap_or(bytes));
        if count == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, "a part of a packet header")));
        }
        // What the socket does not take now waits for the next write, or a flush.
        if let Poll::Ready(Err(error)) = own.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        ready!(own.poll_drain(cx))?;
        Pin::new(&mut own.below).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        ready!(own.poll_drain(cx))?;
        Pin::new(&mut own.below).poll_shutdown(cx)
    }
}
