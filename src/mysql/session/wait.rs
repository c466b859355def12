//! Waiting while a backend works: for it, for the client, for whoever wants the statement to end, for the end of its time.
//! Out: what follows.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::client::Client;
use crate::deadline::Deadline;
use crate::interrupt::{Halt, Interrupt};
use crate::mysql::backend::MySqlBackend;

/// So much of a client's pipelined commands is read ahead while a statement runs.
const AHEAD_MAX: usize = 64 * 1024;

/// What came first.
pub(super) enum Woke {
    /// The backend sent something, or broke.
    Backend(io::Result<usize>),
    /// The client sent something, or left.
    Client(io::Result<usize>),
    /// Somebody wants the statement or the session to end.
    Halt(Halt),
    /// The statement runs for too long.
    Late,
}

/// Waits for whatever comes first while a backend works.
pub(super) async fn wait(
    client: &mut Client,
    backend: &mut MySqlBackend,
    interrupt: &Interrupt,
    overdue: &mut Deadline,
) -> Woke {
    let room = client.input.len() < AHEAD_MAX;
    poll_fn(|cx| {
        if let Poll::Ready(read) = backend.poll_read(cx) {
            return Poll::Ready(Woke::Backend(read));
        }
        // A session that is to end at the next boundary is not interrupted in the middle of a statement.
        if let Poll::Ready(halt) = interrupt.poll_halt(cx) {
            return Poll::Ready(Woke::Halt(halt));
        }
        if room && let Poll::Ready(read) = client.poll_read(cx) {
            return Poll::Ready(Woke::Client(read));
        }
        overdue.poll(cx).map(|()| Woke::Late)
    })
    .await
}
