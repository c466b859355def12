//! The byte stream of a client: plain TCP, or TLS over it, or compression over either. The TLS handshake may start with bytes already read.
//! Out: messages, buffers of a session.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::compressed::Compressed;

/// A client's connection.
#[derive(Debug)]
pub enum ClientStream {
    /// Unencrypted.
    Tcp(TcpStream),
    /// Encrypted; boxed, since the state of TLS is large and most sessions beside an application have none.
    Tls(Box<Encrypted>),
    /// In the compressed protocol of MySQL, over one of the others.
    Compressed(Box<Compressed>),
}

/// An encrypted connection. When it goes, the client is told that the end is meant: libpq takes a connection that just
/// stops for a broken one, even after a cancel request, which has no answer.
#[derive(Debug)]
pub struct Encrypted(TlsStream<Rewound>);

impl Drop for Encrypted {
    fn drop(&mut self) {
        let (rewound, tls) = self.0.get_mut();
        tls.send_close_notify();
        let mut now = Now(&rewound.tcp);
        // What does not fit into the socket now is not sent: nobody waits for this client any more.
        while tls.wants_write() && tls.write_tls(&mut now).is_ok_and(|count| count > 0) {}
    }
}

/// Writes what fits, without waiting.
struct Now<'a>(&'a TcpStream);

impl io::Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TCP stream that first yields bytes which were read ahead of the TLS handshake.
#[derive(Debug)]
pub struct Rewound {
    ahead: Bytes,
    tcp: TcpStream,
}

impl ClientStream {
    /// The client's address.
    ///
    /// # Errors
    /// As of `getpeername`: the client has gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }

    /// Whether the bytes are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(_) => true,
            Self::Compressed(compressed) => compressed.below().is_encrypted(),
        }
    }

    /// The TCP stream below.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => &tls.0.get_ref().0.tcp,
            Self::Compressed(compressed) => compressed.below().tcp(),
        }
    }

    /// Does the server side of a TLS handshake. `ahead`: bytes of the handshake that were already read.
    ///
    /// # Errors
    /// The handshake failed, or the stream is already encrypted.
    pub async fn into_tls(self, acceptor: &TlsAcceptor, ahead: Bytes) -> io::Result<Self> {
        match self {
            Self::Tcp(tcp) => Ok(Self::Tls(Box::new(Encrypted(acceptor.accept(Rewound { ahead, tcp }).await?)))),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the stream has another layer already")),
        }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_read(cx, buf),
            Self::Compressed(compressed) => Pin::new(compressed.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_write(cx, buf),
            Self::Compressed(compressed) => Pin::new(compressed.as_mut()).poll_write(cx, buf),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_flush(cx),
            Self::Compressed(compressed) => Pin::new(compressed.as_mut()).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.0).poll_shutdown(cx),
            Self::Compressed(compressed) => Pin::new(compressed.as_mut()).poll_shutdown(cx),
        }
    }
}
