//! The writing side: passes everything, except that a denied login gets the error that clients know (1045, 28000) in place of
//! opensrv-mysql's own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::gate::{Gate, Phase};

/// See the module.
pub(super) struct Out<W> {
    inner: W,
    gate: Arc<Gate>,
    denial: Vec<u8>,
    written: usize,
}

impl<W> Out<W> {
    pub(super) fn new(inner: W, gate: Arc<Gate>) -> Self {
        Self { inner, gate, denial: Vec::new(), written: 0 }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Out<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Phase::Denied(message) = self.gate.phase() {
            if self.denial.is_empty() {
                let sequence = bytes.get(3).copied().unwrap_or(2);
                let mut payload = vec![0xff];
                payload.extend_from_slice(&1045_u16.to_le_bytes());
                payload.extend_from_slice(b"#28000");
                payload.extend_from_slice(message.as_bytes());
                protocol::mysql::packet::put_packet(&mut self.denial, sequence, &payload);
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.written < this.denial.len() {
            match ready!(Pin::new(&mut this.inner).poll_write(cx, &this.denial[this.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => this.written += n,
            }
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
