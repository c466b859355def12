//! The client's side of a session: its stream, read buffer and write buffer, and the small packets that we write ourselves.
//! Out: what commands mean.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use protocol::mysql::capability::{self, Capabilities, status};
use protocol::mysql::packet::{Whole, put_packet_with};
use protocol::mysql::reply::{EofPacket, ErrPacket, OkPacket};
use protocol::mysql::wire::WireError;
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::place::Place;
use crate::error_code::MeshError;
use crate::listen::client_stream::ClientStream;
use crate::listen::compressed::Compressed;
use crate::read_room::ReadRoom;

/// How much is read from a client at most in one go.
const READ_MAX: usize = 16 * 1024;
/// Bytes up to here are copied behind what is to be written anyway, to save a write.
const COPIED_MAX: usize = 8 * 1024;
/// A write buffer that grew beyond this is given back after a write.
const BUFFER_KEPT: usize = 64 * 1024;

/// The client's connection.
pub struct Client {
    stream: ClientStream,
    /// Bytes that were read and not consumed yet.
    pub input: BytesMut,
    /// Bytes that go out with the next write.
    pub output: Vec<u8>,
    /// The client's flags, as far as we offered them.
    pub capabilities: Capabilities,
    write_timeout: Duration,
    room: ReadRoom,
    /// Bytes read and not counted yet.
    pub read: usize,
    /// Bytes written and not counted yet.
    pub written: usize,
}

impl Client {
    /// A client that has just connected.
    #[must_use]
    pub fn new(stream: ClientStream, write_timeout: Duration) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            capabilities: 0,
            write_timeout,
            room: ReadRoom::new(READ_MAX),
            read: 0,
            written: 0,
        }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &ClientStream {
        &self.stream
    }

    /// Upgrades to TLS; what was read ahead belongs to the handshake.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn into_tls(self, acceptor: &tokio_rustls::TlsAcceptor) -> io::Result<Self> {
        let stream = self.stream.into_tls(acceptor, self.input.freeze()).await?;
        Ok(Self { stream, input: BytesMut::new(), ..self })
    }

    /// Gets ready for the compressed protocol, which begins with [`Client::begin_compression`].
    #[must_use]
    pub fn into_compressed(self) -> Self {
        Self { stream: ClientStream::Compressed(Box::new(Compressed::over(self.stream))), ..self }
    }

    /// The login is done. A client that did not ask for compression goes on as it is.
    pub fn begin_compression(&mut self) {
        if let ClientStream::Compressed(compressed) = &mut self.stream {
            compressed.begin(std::mem::take(&mut self.input));
        }
    }

    /// The packet that was put last ended a result, and another follows.
    pub fn result_ended(&mut self) {
        if let ClientStream::Compressed(compressed) = &mut self.stream {
            compressed.result_ended();
        }
    }

    /// What is sent now answers the client's next command.
    pub fn expect_command(&mut self) {
        if let ClientStream::Compressed(compressed) = &mut self.stream {
            compressed.expect_command();
        }
    }

    /// Waits for bytes and appends them to `input`; 0 is the end. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// As [`Client::read_more`]. An idle client holds no buffer.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let ClientStream::Tcp(tcp) = &self.stream {
            if self.input.is_empty() && self.input.capacity() > 0 {
                self.input = BytesMut::new();
            }
            ready!(tcp.poll_read_ready(cx))?;
        }
        let count = ready!(self.room.poll_read(&mut self.stream, &mut self.input, cx))?;
        self.read += count;
        Poll::Ready(Ok(count))
    }

    /// Waits until a whole packet with this sequence number is in `input`.
    ///
    /// # Errors
    /// The connection broke or ended; the packet is too large or out of order.
    pub async fn read_packet(&mut self, sequence: u8, limit: usize) -> Result<Whole, ReadError> {
        loop {
            if let Some(whole) = Whole::find(&self.input, sequence, limit)? {
                return Ok(whole);
            }
            if self.read_more().await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Drops `count` bytes from the start of `input`.
    pub fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
    }

    /// Sends `output`, then `bytes`. A client that takes nothing for too long is an error.
    ///
    /// # Errors
    /// The connection broke, or made no progress.
    pub async fn flush_with(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.is_empty() {
            self.written += bytes.len();
            return write(&mut self.stream, bytes, self.write_timeout).await;
        }
        if bytes.len() <= COPIED_MAX {
            self.output.extend_from_slice(bytes);
            return self.flush().await;
        }
        self.flush().await?;
        self.written += bytes.len();
        write(&mut self.stream, bytes, self.write_timeout).await
    }

    /// Sends `output`.
    ///
    /// # Errors
    /// As of [`Client::flush_with`].
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.written += self.output.len();
        let result = write(&mut self.stream, &self.output, self.write_timeout).await;
        self.output.clear();
        if self.output.capacity() > BUFFER_KEPT {
            self.output = Vec::new();
        }
        result
    }

    /// Puts an OK into `output`.
    pub fn put_ok(&mut self, place: Place, ok: &OkPacket<'_>) {
        let mut ok = *ok;
        if place.more {
            ok.status |= status::MORE_RESULTS;
        }
        let capabilities = self.capabilities;
        put_packet_with(&mut self.output, place.sequence, |out| ok.encode(out, 0, capabilities));
    }

    /// Puts what ends rows into `output`: an EOF, or an OK in its place.
    pub fn put_end_of_rows(&mut self, place: Place, ok: &OkPacket<'_>) {
        let mut ok = *ok;
        if place.more {
            ok.status |= status::MORE_RESULTS;
        }
        let capabilities = self.capabilities;
        put_packet_with(&mut self.output, place.sequence, |out| {
            if capabilities & capability::DEPRECATE_EOF != 0 {
                ok.encode(out, 0xfe, capabilities);
            } else {
                EofPacket { warnings: ok.warnings, status: ok.status }.encode(out);
            }
        });
    }

    /// Puts an error of ours into `output`.
    pub fn put_error(&mut self, place: Place, error: &MeshError) {
        let code = error.code();
        let state = <[u8; 5]>::try_from(code.mysql_state.as_bytes()).unwrap_or(*b"HY000");
        self.put_err(place.sequence, code.errno, state, error.to_string().as_bytes());
    }

    /// Puts an ERR into `output`.
    pub fn put_err(&mut self, sequence: u8, code: u16, sqlstate: [u8; 5], message: &[u8]) {
        put_packet_with(&mut self.output, sequence, |out| ErrPacket { code, sqlstate, message }.encode(out));
    }
}

async fn write(stream: &mut ClientStream, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
    // Most writes fit into the socket's buffer: no timer for those.
    if let ClientStream::Tcp(tcp) = stream {
        // Not `try_write`: that would wait to be told that a socket which was just accepted can be written to.
        match rustix::net::send(&*tcp, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    while !bytes.is_empty() {
        let count = timeout(limit, stream.write(bytes)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    if !matches!(stream, ClientStream::Tcp(_)) {
        timeout(limit, stream.flush()).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}

/// Why a packet of the client could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
}
