//! A reader that yields at most one packet per read, with the sequence number and the command checked.
//!
//! Commands outside the allow-list become a query that the shim answers with the right error; those that have no answer are
//! swallowed. Out: answers. Invariant: what comes out is a whole packet that opensrv-mysql knows how to parse.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::gate::{Gate, Phase};
use crate::admin::MESSAGE_BYTES_MAX;

/// Longest packet before the login is done.
const LOGIN_BYTES_MAX: usize = 64 << 10;
/// A queries' text that stands for a command, never for SQL: it starts with a byte that no SQL has.
pub(super) const UNKNOWN_COMMAND: &str = "\0unknown command";
/// Stands for COM_STMT_EXECUTE and COM_STMT_RESET of a statement that does not exist.
pub(super) const UNKNOWN_STATEMENT: &str = "\0unknown statement";
/// Stands for COM_RESET_CONNECTION.
pub(super) const RESET: &str = "\0reset";
/// Stands for what succeeds without effect.
pub(super) const NOTHING: &str = "\0nothing";

const COM_QUIT: u8 = 0x01;
const COM_INIT_DB: u8 = 0x02;
const COM_QUERY: u8 = 0x03;
const COM_FIELD_LIST: u8 = 0x04;
const COM_PING: u8 = 0x0e;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_SEND_LONG_DATA: u8 = 0x18;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_STMT_RESET: u8 = 0x1a;
const COM_RESET_CONNECTION: u8 = 0x1f;

/// See the module.
pub(super) struct OnePacket<R> {
    inner: R,
    gate: Arc<Gate>,
    idle: Option<Duration>,
    deadline: Pin<Box<Sleep>>,
    state: State,
    /// Login packets so far: their sequence numbers are 1, then 3.
    logins: u8,
}

enum State {
    Header { bytes: [u8; 4], have: usize },
    Payload { sequence: u8, bytes: Vec<u8>, have: usize },
    Ready { bytes: Vec<u8>, at: usize },
}

impl<R> OnePacket<R> {
    pub(super) fn new(inner: R, gate: Arc<Gate>, login: Duration, idle: Option<Duration>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(login));
        Self { inner, gate, idle, deadline, state: State::Header { bytes: [0; 4], have: 0 }, logins: 0 }
    }

    /// The packet to hand out for one that arrived; `None` if it has no answer and is swallowed.
    fn checked(&mut self, sequence: u8, payload: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        if self.gate.phase() != Phase::Open {
            self.logins += 1;
            if self.logins > 2 || sequence != self.logins * 2 - 1 {
                return Err(violation("packet out of order during login"));
            }
            return Ok(Some(framed(sequence, &payload)));
        }
        if sequence != 0 {
            return Err(violation("a command does not start a sequence"));
        }
        let Some((command, rest)) = payload.split_first() else {
            return Err(violation("empty packet"));
        };
        let statement = rest.first_chunk::<4>().map(|id| u32::from_le_bytes(*id));
        let known = statement.is_some_and(|id| self.gate.has_statement(id));
        Ok(match *command {
            COM_QUIT | COM_PING => Some(framed(0, &[*command])),
            COM_FIELD_LIST => Some(framed(0, &payload)),
            COM_QUERY | COM_INIT_DB | COM_STMT_PREPARE => Some(match std::str::from_utf8(rest) {
                Ok(_) => framed(0, &payload),
                // opensrv-mysql would drop the connection; this way the text gets an error.
                Err(_) => text(*command, &String::from_utf8_lossy(rest)),
            }),
            COM_STMT_EXECUTE if known && rest.len() >= 9 => Some(framed(0, &payload)),
            COM_STMT_EXECUTE => Some(text(COM_QUERY, UNKNOWN_STATEMENT)),
            COM_STMT_RESET => Some(text(COM_QUERY, if known { NOTHING } else { UNKNOWN_STATEMENT })),
            COM_STMT_CLOSE if known && rest.len() == 4 => Some(framed(0, &payload)),
            COM_STMT_CLOSE | COM_STMT_SEND_LONG_DATA => None,
            COM_RESET_CONNECTION => Some(text(COM_QUERY, RESET)),
            _ => Some(text(COM_QUERY, UNKNOWN_COMMAND)),
        })
    }
}

fn violation(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn text(command: u8, text: &str) -> Vec<u8> {
    let mut payload = vec![command];
    payload.extend_from_slice(text.as_bytes());
    framed(0, &payload)
}

fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 4);
    protocol::mysql::packet::put_packet(&mut bytes, sequence, payload);
    bytes
}

impl<R: AsyncRead + Unpin> OnePacket<R> {
    /// Reads into `into[*have..]`; false at the end of the stream.
    fn fill(inner: &mut R, cx: &mut Context<'_>, into: &mut [u8], have: &mut usize) -> Poll<io::Result<bool>> {
        while *have < into.len() {
            let mut buffer = ReadBuf::new(&mut into[*have..]);
            ready!(Pin::new(&mut *inner).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => return Poll::Ready(Ok(false)),
                n => *have += n,
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Moves on to the next state; ready when there is something to hand out (true) or nothing more (false).
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match &mut self.state {
                State::Ready { bytes, at } if *at < bytes.len() => return Poll::Ready(Ok(true)),
                State::Ready { .. } => {
                    self.state = State::Header { bytes: [0; 4], have: 0 };
                    if self.gate.phase() == Phase::Open {
                        // A century is as good as no limit.
                        let idle = self.idle.unwrap_or(Duration::from_secs(100 * 365 * 86_400));
                        self.deadline.as_mut().reset(Instant::now() + idle);
                    }
                }
                State::Header { bytes, have } => {
                    if !ready!(Self::fill(&mut self.inner, cx, bytes, have))? {
                        return match *have {
                            0 => Poll::Ready(Ok(false)),
                            _ => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        };
                    }
                    let length = usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16;
                    let max = if self.gate.phase() == Phase::Open { MESSAGE_BYTES_MAX } else { LOGIN_BYTES_MAX };
                    if length > max {
                        return Poll::Ready(Err(violation("packet too large")));
                    }
                    self.state = State::Payload { sequence: bytes[3], bytes: vec![0; length], have: 0 };
                }
                State::Payload { sequence, bytes, have } => {
                    if !ready!(Self::fill(&mut self.inner, cx, bytes, have))? {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    let (sequence, payload) = (*sequence, std::mem::take(bytes));
                    let bytes = self.checked(sequence, payload)?.unwrap_or_default();
                    self.state = State::Ready { bytes, at: 0 };
                }
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for OnePacket<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.step(cx) {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                ready!(this.deadline.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "silent for too long")));
            }
        }
        if let State::Ready { bytes, at } = &mut this.state {
            let end = bytes.len().min(*at + into.remaining());
            into.put_slice(&bytes[*at..end]);
            *at = end;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn adapter(input: &'static [u8], phase: Phase) -> OnePacket<&'static [u8]> {
        let gate = Arc::new(Gate::default());
        gate.decide(phase);
        gate.add_statement(7);
        OnePacket::new(input, gate, Duration::from_secs(60), None)
    }

    async fn all(mut adapter: OnePacket<&'static [u8]>) -> io::Result<Vec<Vec<u8>>> {
        let mut packets = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match adapter.read(&mut buffer).await? {
                0 => return Ok(packets),
                n => packets.push(buffer[..n].to_vec()),
            }
        }
    }

    #[tokio::test]
    async fn packets_of_one_read_come_out_one_by_one() {
        let input = b"\x02\0\0\0\x03a\x01\0\0\0\x0e\x01\0\0\0\x01";
        let packets = all(adapter(input, Phase::Open)).await.expect("well formed");
        assert_eq!(packets, [&b"\x02\0\0\0\x03a"[..], b"\x01\0\0\0\x0e", b"\x01\0\0\0\x01"]);
    }

    #[tokio::test]
    async fn commands_outside_the_list_become_a_query_that_fails() {
        for command in (0x00..=0xff_u8).filter(|c| ![1, 2, 3, 4, 0x0e, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1f].contains(c))
        {
            let input: &'static [u8] = Box::leak(Box::new([1, 0, 0, 0, command]));
            let packets = all(adapter(input, Phase::Open)).await.expect("well formed");
            assert_eq!(packets, [text(COM_QUERY, UNKNOWN_COMMAND)], "command {command:#x}");
        }
    }

    #[tokio::test]
    async fn statements_that_do_not_exist_never_reach_the_parser() {
        let long_data = b"\x07\0\0\0\x18\x09\0\0\0\0\0\x05\0\0\0\x19\x09\0\0\0\x01\0\0\0\x0e";
        assert_eq!(all(adapter(long_data, Phase::Open)).await.expect("well formed"), [b"\x01\0\0\0\x0e"]);
        let unknown = b"\x0a\0\0\0\x17\x09\0\0\0\0\x01\0\0\0";
        assert_eq!(all(adapter(unknown, Phase::Open)).await.expect("well formed"), [text(3, UNKNOWN_STATEMENT)]);
        let known = b"\x0a\0\0\0\x17\x07\0\0\0\0\x01\0\0\0";
        assert_eq!(all(adapter(known, Phase::Open)).await.expect("well formed"), [&known[..]]);
        let short = b"\x05\0\0\0\x17\x07\0\0\0";
        assert_eq!(all(adapter(short, Phase::Open)).await.expect("well formed"), [text(3, UNKNOWN_STATEMENT)]);
    }

    #[tokio::test]
    async fn text_that_is_not_utf8_is_made_so() {
        let packets = all(adapter(b"\x03\0\0\0\x03a\xff", Phase::Open)).await.expect("well formed");
        assert_eq!(packets, [text(COM_QUERY, "a\u{fffd}")]);
    }

    #[tokio::test]
    async fn violations_end_the_connection() {
        for (input, phase) in [
            (&b"\x01\0\0\x01\x0e"[..], Phase::Open),
            (b"\0\0\0\0", Phase::Open),
            (b"\xff\xff\xff\0", Phase::Open),
            (b"\x05\0\0\0\x03", Phase::Open),
            (b"\x05\0", Phase::Open),
            (b"\x01\0\0\0\x0e", Phase::Login),
            (b"\xff\xff\x7f\x01", Phase::Login),
            (b"\x01\0\0\x01a\x01\0\0\x03b\x01\0\0\x05c", Phase::Login),
        ] {
            assert!(all(adapter(input, phase)).await.is_err(), "{input:?}");
        }
    }

    #[tokio::test]
    async fn silence_ends_the_connection() {
        let (mut client, server) = tokio::io::duplex(64);
        let gate = Arc::new(Gate::default());
        let idle = Some(Duration::from_millis(50));
        let mut adapter = OnePacket::new(server, Arc::clone(&gate), Duration::from_millis(50), idle);
        let error = adapter.read_u8().await.expect_err("no login");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        gate.decide(Phase::Open);
        adapter.state = State::Ready { bytes: Vec::new(), at: 0 };
        client.write_all(b"\x01\0\0\0\x0e").await.expect("written");
        let mut packet = [0; 5];
        adapter.read_exact(&mut packet).await.expect("ping");
        assert_eq!(adapter.read_u8().await.expect_err("idle").kind(), io::ErrorKind::TimedOut);
    }
}
