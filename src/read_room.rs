//! How much room a read from a socket is given: little while messages are small, since a small buffer costs next to nothing
//! to take and give back, and much while they fill it, so that a large result needs few reads. Out: whose buffers they are.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a connection begins with, and goes back to: what allocators hand out from a list of the thread's own.
const LEAST: usize = 1000;
/// Room grows this much when it was filled.
const GROWTH: usize = 4;
/// A read of less than a part of this size lets room shrink.
const SPARE: usize = 8;

/// The room of the next read.
#[derive(Debug, Clone, Copy)]
pub struct ReadRoom {
    bytes: usize,
    most: usize,
}

impl ReadRoom {
    /// Of a connection that has read nothing yet; `most` bounds what one read takes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { bytes: LEAST, most }
    }

    /// Reads what is there behind what `input` has; ready with 0 at the end of the stream.
    pub fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        input: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.bytes;
        input.reserve(room);
        // Buffers change hands and grow: a read that filled one would make the next one larger still.
        let mut space = input.limit(room);
        // Not `try_read`: only this way a read that leaves room counts as the last one, which saves asking in vain.
        let count = ready!(pin!(stream.read_buf(&mut space)).poll(cx))?;
        self.took(count, room);
        Poll::Ready(Ok(count))
    }

    /// A read into this much room gave so many bytes.
    fn took(&mut self, count: usize, room: usize) {
        if count >= room {
            self.bytes = (self.bytes * GROWTH).min(self.most);
        } else if count < self.bytes / SPARE {
            self.bytes = (self.bytes / 2).max(LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_get_much_room_and_small_ones_little() {
        let mut room = ReadRoom::new(64 << 10);
        room.took(100, room.bytes);
        assert_eq!(room.bytes, LEAST);
        for _ in 0..10 {
            room.took(room.bytes, room.bytes);
        }
        assert_eq!(room.bytes, 64 << 10);
        room.took(room.bytes / 2, room.bytes);
        assert_eq!(room.bytes, 64 << 10);
        for _ in 0..10 {
            room.took(50, room.bytes);
        }
        assert_eq!(room.bytes, LEAST);
    }
}
