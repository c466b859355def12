//! A connection to a MySQL or MariaDB server: its socket, its read buffer, and what we remember of its state.
//! Out: logging in (`connect`), which session uses it, what its answers mean.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use protocol::mysql::capability::Capabilities;
use protocol::mysql::command::code;
use protocol::mysql::packet::put_packet;
use protocol::mysql::response::{Answer, Event, Scanner, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::memory::Memory;
use crate::pool;

/// How much room a read is given; a result passes in pieces of at most this.
const READ_ROOM: usize = 32 * 1024;
/// A read buffer that grew beyond this is given back when it is empty.
const BUFFER_KEPT: usize = 64 * 1024;
/// The longest packet that is held whole (rows that are merged, prepared statements' heads, errors).
pub const PACKET_MAX: usize = 64 * 1024 * 1024;

/// A connection to a server, logged in.
#[derive(Debug)]
pub struct MySqlBackend {
    stream: TcpStream,
    /// Bytes that were read and not consumed yet.
    pub input: BytesMut,
    /// Bytes that go out with the next write.
    pub output: Vec<u8>,
    /// What both sides agreed on.
    pub capabilities: Capabilities,
    /// The server's id of this connection.
    pub connection_id: u32,
    /// The server's max_allowed_packet: it takes less.
    pub packet_limit: u64,
    /// What state the connection has.
    pub memory: Memory,
    /// Bytes read and not counted yet.
    pub read: usize,
    /// Bytes written and not counted yet.
    pub written: usize,
    /// Kills that were begun and not proven to have landed.
    kills: usize,
}

/// The right to kill what a backend runs. Its backend cannot go back to a pool before [`MySqlBackend::kill_landed`] has the
/// proof that comes of it: who drops it, or gets an error instead, has a backend that is closed after use.
#[derive(Debug)]
#[must_use]
pub struct Kill {
    /// The server's id of the connection.
    pub connection_id: u32,
}

/// Proof that a server has obeyed a KILL, which it does before it answers: what it then finds idle it leaves alone.
#[derive(Debug)]
pub struct Landed {
    connection_id: u32,
}

impl Kill {
    /// The server has answered.
    pub fn landed(self) -> Landed {
        Landed { connection_id: self.connection_id }
    }
}

impl MySqlBackend {
    /// A kill is about to be sent.
    pub fn start_kill(&mut self) -> Kill {
        self.kills += 1;
        Kill { connection_id: self.connection_id }
    }

    /// A kill of this backend can hit nothing any more.
    pub fn kill_landed(&mut self, proof: &Landed) {
        if proof.connection_id == self.connection_id {
            self.kills = self.kills.saturating_sub(1);
        }
    }

    pub(super) fn new(stream: TcpStream, connection_id: u32, memory: Memory) -> Self {
        let (input, output) = (BytesMut::new(), Vec::new());
        Self {
            stream,
            input,
            output,
            capabilities: 0,
            connection_id,
            packet_limit: u64::MAX,
            memory,
            read: 0,
            written: 0,
            kills: 0,
        }
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Waits for bytes from the server and appends them to `input`. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke; its end is an error too.
    pub async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// As [`MySqlBackend::read_more`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_ROOM);
        // Limited, since the buffer may be one that has grown.
        let mut room = (&mut self.input).limit(READ_ROOM);
        match ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            count => {
                self.read += count;
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Drops `count` bytes from the start of `input`, and its memory when it is empty and large.
    pub fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
        if self.input.is_empty() && self.input.capacity() > BUFFER_KEPT {
            self.input = BytesMut::new();
        }
    }

    /// Sends what is in `output`.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.written += self.output.len();
        let result = self.stream.write_all(&self.output).await;
        self.output.clear();
        if self.output.capacity() > BUFFER_KEPT {
            self.output = Vec::new();
        }
        result
    }

    /// Sends `output`, then `bytes`: in one write where they are short.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn flush_with(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.is_empty() {
            self.written += bytes.len();
            return self.stream.write_all(bytes).await;
        }
        if bytes.len() <= READ_ROOM {
            self.output.extend_from_slice(bytes);
            return self.flush().await;
        }
        self.flush().await?;
        self.written += bytes.len();
        self.stream.write_all(bytes).await
    }

    /// Puts a COM_QUERY into `output`.
    pub fn put_query(&mut self, sql: &[u8]) {
        let mut payload = Vec::with_capacity(sql.len() + 1);
        payload.push(code::QUERY);
        payload.extend_from_slice(sql);
        put_packet(&mut self.output, 0, &payload);
    }

    /// Reads one answer to its end and hands each whole packet's payload to `on_packet`.
    ///
    /// # Errors
    /// The connection broke, or the server sent what no server sends.
    pub async fn read_answer(
        &mut self,
        answer: Answer,
        mut on_packet: impl FnMut(Event, &[u8]) + Send,
    ) -> io::Result<Scanner> {
        let mut scanner = Scanner::new(answer, self.capabilities);
        loop {
            match scanner.next_packet(&mut self.input, PACKET_MAX).map_err(io::Error::other)? {
                Step::NeedMore | Step::Pass(_) => {
                    self.read_more().await?;
                }
                Step::Packet { length, event } => {
                    let payload = self.input.get(protocol::mysql::packet::HEADER..length).unwrap_or_default();
                    on_packet(event, payload);
                    self.consume(length);
                    if event == Event::Infile {
                        return Err(io::Error::other("the server asked for a file"));
                    }
                }
                Step::Done => return Ok(scanner),
            }
        }
    }
}

impl pool::Backend for MySqlBackend {
    fn looks_alive(&mut self) -> bool {
        // Bytes that wait in `output` (statements to be closed) go with the next write.
        if !self.input.is_empty() {
            return false;
        }
        let mut byte = [0];
        matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn rehome(self) -> io::Result<Self> {
        let stream = TcpStream::from_std(self.stream.into_std()?)?;
        Ok(Self { stream, ..self })
    }

    fn is_out_of_reach(&self) -> bool {
        self.kills == 0
    }

    fn farewell(&mut self) {
        // COM_QUIT; the socket buffer of an idle connection is empty, so this never waits.
        let _ = self.stream.try_write(&[1, 0, 0, 0, code::QUIT]);
    }
}
