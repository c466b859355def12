//! Messages over a stream: bounded reads, writes gathered until they are flushed. Every wait has a deadline.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::postgres::Message;
use protocol::postgres::wire;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::admin::MESSAGE_BYTES_MAX;

/// See the module.
pub(super) struct Link<S> {
    stream: S,
    read: BytesMut,
    /// Bytes for the client, sent by [`Link::flush`].
    pub(super) out: Vec<u8>,
    write_max: Duration,
}

/// A message that no longer needs the buffer.
pub(super) struct Held {
    bytes: Bytes,
}

impl Held {
    /// The message.
    pub(super) fn view(&self) -> Message<'_> {
        let total = self.bytes.len();
        let (head, body) = self.bytes.split_at(total.min(wire::HEADER_BYTES));
        Message { tag: head.first().copied().unwrap_or(0), body, total }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(super) fn new(stream: S, write_max: Duration) -> Self {
        Self { stream, read: BytesMut::new(), out: Vec::new(), write_max }
    }

    /// Bytes read and not yet taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.read
    }

    /// Drops bytes from the front.
    pub(super) fn take(&mut self, count: usize) {
        let _ = self.read.split_to(count.min(self.read.len()));
    }

    /// Reads more bytes; false at the end of the stream.
    pub(super) async fn read_more(&mut self) -> io::Result<bool> {
        self.read.reserve(4096);
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    /// Whether a whole message is there already.
    pub(super) fn has_message(&self) -> io::Result<bool> {
        let found = wire::message(&self.read, MESSAGE_BYTES_MAX).map_err(invalid)?;
        Ok(found.is_some())
    }

    /// The next message; `None` at the end of the stream.
    pub(super) async fn message(&mut self, idle: Option<Duration>) -> io::Result<Option<Held>> {
        loop {
            if let Some(message) = wire::message(&self.read, MESSAGE_BYTES_MAX).map_err(invalid)? {
                let total = message.total;
                return Ok(Some(Held { bytes: self.read.split_to(total).freeze() }));
            }
            let more = match idle {
                Some(idle) => tokio::time::timeout(idle, self.read_more()).await??,
                None => self.read_more().await?,
            };
            if !more {
                return match self.read.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Sends what was written.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(self.write_max, sent).await??;
        self.out.clear();
        Ok(())
    }
}

fn invalid(error: wire::WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
