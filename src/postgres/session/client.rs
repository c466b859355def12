//! The client's side of a session: its stream and the two buffers, which exist only while bytes are in flight.
//! Out: what the messages mean.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use protocol::postgres::wire::{self, WireError};
use tokio::io::AsyncWrite;

use crate::listen::client_stream::ClientStream;
use crate::read_room::ReadRoom;

/// How much is read from a client at most in one go.
const READ_MAX: usize = 16 << 10;

/// A client's stream with its buffers.
pub struct Client {
    stream: ClientStream,
    /// Bytes that came and were not consumed.
    pub input: BytesMut,
    /// Bytes to be sent.
    pub output: BytesMut,
    /// Bytes of an oversized message that are still to be dropped.
    skip: usize,
    room: ReadRoom,
    /// Bytes read that were not counted yet.
    pub read: usize,
    /// Bytes written that were not counted yet.
    pub written: usize,
}

/// What is at the front of the input.
#[derive(Debug)]
pub enum Next {
    /// A whole message of so many bytes.
    Message(usize),
    /// More bytes are needed.
    More,
    /// A message above the limit; it is being dropped as it comes. Its type and size.
    TooLarge(u8, usize),
}

impl Client {
    /// A client with nothing read yet.
    pub fn new(stream: ClientStream) -> Self {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { stream, input, output, skip: 0, room: ReadRoom::new(READ_MAX), read: 0, written: 0 }
    }

    /// The stream below.
    pub fn stream(&self) -> &ClientStream {
        &self.stream
    }

    /// Takes the parts; used to start TLS.
    pub fn into_parts(self) -> (ClientStream, BytesMut) {
        (self.stream, self.input)
    }

    /// Takes out the bytes that came, so that messages can be read where they lie while more is read ahead.
    pub fn take_input(&mut self) -> BytesMut {
        std::mem::take(&mut self.input)
    }

    /// Puts back what is left of them. True if more came meanwhile.
    pub fn put_back(&mut self, mut rest: BytesMut) -> bool {
        let more = !self.input.is_empty();
        if rest.is_empty() && more {
            return true;
        }
        rest.extend_from_slice(&self.input);
        self.input = rest;
        more
    }

    /// What is at the front of `bytes`, the session's input; messages of more than `max` bytes are dropped.
    ///
    /// # Errors
    /// [`WireError`] if the stream makes no sense: the session must end.
    pub fn next(&mut self, bytes: &mut BytesMut, max: usize) -> Result<Next, WireError> {
        if self.skip > 0 {
            let here = self.skip.min(bytes.len());
            bytes.advance(here);
            self.skip -= here;
            if self.skip > 0 {
                return Ok(Next::More);
            }
        }
        let Some(header) = wire::header(bytes, wire::MESSAGE_BYTES_MAX)? else {
            return Ok(Next::More);
        };
        if header.total > max {
            self.skip = header.total;
            return Ok(Next::TooLarge(header.tag, header.total));
        }
        if bytes.len() < header.total {
            // One growth to the final size instead of many.
            bytes.reserve(header.total - bytes.len());
            return Ok(Next::More);
        }
        Ok(Next::Message(header.total))
    }

    /// Reads what is there. Ready with 0 at the end of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let ClientStream::Tcp(tcp) = &self.stream {
            // No memory before there is something to put into it.
            ready!(tcp.poll_read_ready(cx))?;
        }
        let count = ready!(self.room.poll_read(&mut self.stream, &mut self.input, cx))?;
        self.read += count;
        Poll::Ready(Ok(count))
    }

    /// Sends all of `output`.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(sent);
            self.written += sent;
        }
        match &self.stream {
            ClientStream::Tcp(_) => Poll::Ready(Ok(())),
            ClientStream::Tls(_) | ClientStream::Compressed(_) => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    /// Sends all of `output`.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn drain(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_drain(cx)).await
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// The client is gone, also if it has closed its side.
    pub async fn fill(&mut self) -> io::Result<()> {
        match std::future::poll_fn(|cx| self.poll_fill(cx)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Gives back the memory of buffers that hold nothing.
    pub fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }
}
