//! Waits until a server would let a client in, without being a client: reads its first bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Server, ServerKind};

/// How often a server that starts is asked.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Why a server does not answer.
#[derive(Debug)]
pub(super) enum NotReady {
    /// Its process ended.
    Ended,
    /// Its process runs, and the deadline passed.
    Silent,
}

/// Waits until `server`, which runs as process `pid`, answers.
pub(super) fn wait(server: &Server, pid: u32, deadline: Instant) -> Result<(), NotReady> {
    let process = format!("/proc/{pid}");
    while Instant::now() < deadline {
        // In this order: whoever else answers on the port, it is not a process that has ended.
        let answers = match server.kind {
            ServerKind::MariaDb => greets(server.port),
            ServerKind::Postgres => asks_for_a_password(server.port),
        };
        if !Path::new(&process).exists() {
            return Err(NotReady::Ended);
        }
        if answers {
            return Ok(());
        }
        std::thread::sleep(ASK_EVERY);
    }
    Err(NotReady::Silent)
}

/// The reason in one line: the first error in what the server logged since `already` bytes, or its last line.
pub(super) fn explain(log: &Path, already: u64, reason: &NotReady) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let new = bytes.get(usize::try_from(already).unwrap_or(usize::MAX)..).unwrap_or_default();
    let text = String::from_utf8_lossy(new);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().find(|line| line.contains("ERROR") || line.contains("FATAL"));
    let said = error.or(lines.last()).copied().unwrap_or("it says nothing");
    match reason {
        NotReady::Ended => format!("{said} (see {})", log.display()),
        NotReady::Silent => format!("no answer in time; {said} (see {})", log.display()),
    }
}

fn open(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, ANSWER_MAX).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    stream.set_write_timeout(Some(ANSWER_MAX)).ok()?;
    Some(stream)
}

/// A MySQL server speaks first: a packet header of 4 bytes, then the protocol version 10.
fn greets(port: u16) -> bool {
    let mut start = [0_u8; 5];
    open(port).is_some_and(|mut stream| stream.read_exact(&mut start).is_ok() && start[4] == 10)
}

/// A PostgreSQL server that lets clients in answers a start-up message by `R`; one that starts, by `E`.
fn asks_for_a_password(port: u16) -> bool {
    let mut message = Vec::new();
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&196_608_u32.to_be_bytes());
    message.extend_from_slice(b"user\0");
    message.extend_from_slice(super::SERVER_USER.as_bytes());
    message.extend_from_slice(b"\0database\0postgres\0\0");
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    message[..4].copy_from_slice(&length);
    let mut answer = [0_u8; 1];
    open(port).is_some_and(|mut stream| {
        stream.write_all(&message).is_ok() && stream.read_exact(&mut answer).is_ok() && answer[0] == b'R'
    })
}
