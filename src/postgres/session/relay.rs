//! Moves bytes between a client and one backend until the backend owes nothing, by message headers only.
//! Everything that can happen meanwhile is here: a slow client, a client that leaves, a cancel, a server that dies.
//! Out: what the statements are; what follows from their answers.
//! Invariant: what is held for the client is bounded by [`HIGH_WATER`] and one read, whatever the size of the result.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use protocol::postgres::pipeline::CopyState;
use protocol::postgres::{Audience, ErrorFields, Observer, Segment, Sent, Target, WireError, backend, write};
use tokio::time::{Instant, Sleep};

use super::client::Client;
use super::parts::Edited;
use super::stale::is_stale;
use crate::deadline::Deadline;
use crate::interrupt::{Halt, Interrupt};
use crate::postgres::backend::{Backend, Cancel};
use crate::postgres::peers::Peers;

/// No more is read from a server while so much waits for the client.
const HIGH_WATER: usize = 256 << 10;
/// No more is read from a client while so much waits to be handled.
const AHEAD_MAX: usize = 64 << 10;
/// At most so much of our own words waits for what a server has to say.
const WAITING_MAX: usize = 8 << 10;
/// Copying so much costs less than a buffer in place of the one that changes hands.
const COPIED_MAX: usize = 2 << 10;
/// A backend that ends so soon after it was taken from the pool was about to end before.
const UNTRIED_MAX: Duration = Duration::from_millis(100);
/// Marks what we send ahead of a client's statement without awaiting its answer: a plain BEGIN.
pub const AHEAD: Audience = Audience::Mesh(1);

/// The name on every backend of a prepared BEGIN: no statement has number 0.
const BEGIN: &[u8] = b"dm0";

/// Sends a statement ahead of a client's: by the extended protocol and without `Sync`, so that if it fails the server
/// skips what comes behind it, instead of running that on its own. Its answer comes with that of the statement: one write
/// of the server, one read here.
pub fn send_ahead(backend: &mut Backend, sql: &[u8]) {
    send_unnamed(backend, sql, false);
}

/// Sends a plain BEGIN ahead of a client's statement. It is prepared where its `Parse` cannot be skipped. `beside`: an unnamed
/// portal of the client is there and stays.
pub fn send_begin(backend: &mut Backend, beside: bool) {
    if !backend.pipeline.is_settled() || backend.pipeline.is_skipping() || backend.memory.untracked {
        return send_unnamed(backend, b"BEGIN", beside);
    }
    if !std::mem::replace(&mut backend.memory.begin, true) {
        write::parse(&mut backend.output, BEGIN, b"BEGIN", std::iter::empty());
        backend.pipeline.sent(Sent::Parse, AHEAD);
    }
    execute_ahead(backend, BEGIN, beside);
}

fn send_unnamed(backend: &mut Backend, sql: &[u8], beside: bool) {
    write::parse(&mut backend.output, b"", sql, std::iter::empty());
    backend.pipeline.sent(Sent::Parse, AHEAD);
    backend.memory.unnamed = None;
    execute_ahead(backend, b"", beside);
}

fn execute_ahead(backend: &mut Backend, statement: &[u8], beside: bool) {
    let portal: &[u8] = if beside { b"dmahead" } else { b"" };
    let out = &mut backend.output;
    write::bind(out, portal, statement, &[], std::iter::empty(), &[]);
    write::execute(out, portal, 0);
    let sent = [Sent::Bind, Sent::Execute, Sent::Close];
    if beside {
        write::close(out, Target::Portal, portal);
    }
    for &sent in sent.iter().take(2 + usize::from(beside)) {
        backend.pipeline.sent(sent, AHEAD);
    }
}

/// Why moving bytes ended early.
#[derive(Debug)]
pub enum Broken {
    /// The client is gone, or takes no bytes for too long.
    Client,
    /// The session shall end now.
    Killed,
    /// The server is gone or sends nonsense.
    Server(String),
}

/// What was learnt from the answers that passed.
#[derive(Debug, Default)]
pub struct Notes {
    /// SQLSTATE of the last error that the client got.
    pub client_error: Option<[u8; 5]>,
    /// The server has told the client that it closes the connection.
    pub fatal: bool,
    /// The server has said so while nothing was asked: its words.
    pub farewell: Option<Vec<u8>>,
    /// A statement failed because DDL changed what it returns.
    pub stale_statement: bool,
    /// What was sent ahead of a statement has failed.
    pub ahead_failed: bool,
    /// The backend was just taken from the pool for what was sent then, and has answered nothing since: if it ends now, that
    /// was not meant for this session.
    pub untried: Option<Instant>,
    /// Such a backend has ended.
    pub ended_untried: bool,
    /// Body of the last error among the answers to what we injected.
    pub mesh_error: Option<Vec<u8>>,
    /// Rows among the answers to what we injected.
    pub mesh_rows: Vec<Vec<u8>>,
    /// Bodies of `RowDescription` and `ParameterDescription` among those.
    pub mesh_descriptions: Vec<(u8, Vec<u8>)>,
    /// Last command tag among those.
    pub mesh_tag: Vec<u8>,
    /// Parameters that the server reported, in order, and whether the client has got them.
    pub parameters: Vec<(String, String, bool)>,
    /// `Parse` messages that were answered well.
    pub parsed: usize,
    /// The client had the server forget every prepared statement, ours too.
    pub deallocated: bool,
    /// What the server was sent instead of the client's text.
    pub edited: Option<Edited>,
    /// The backends of all sessions.
    peers: Arc<Peers>,
    /// The server that is listened to.
    pub server: Option<SocketAddr>,
}

impl Notes {
    /// Nothing was learnt yet.
    pub fn new(peers: Arc<Peers>) -> Self {
        Self { peers, ..Self::default() }
    }

    /// Empties it for the next statement.
    pub fn clear(&mut self) {
        self.client_error = None;
        self.fatal = false;
        self.farewell = None;
        self.ended_untried = false;
        self.stale_statement = false;
        self.ahead_failed = false;
        self.mesh_error = None;
        self.mesh_rows.clear();
        self.mesh_descriptions.clear();
        self.mesh_tag.clear();
        self.parameters.clear();
        self.parsed = 0;
        self.deallocated = false;
        self.edited = None;
    }
}

impl Observer for Notes {
    fn on_message(&mut self, sent: Option<(Sent, Audience)>, tag: u8, body: &[u8]) {
        let for_mesh = matches!(sent, Some((_, Audience::Mesh(_))));
        match tag {
            // Nothing was asked: the server ends the connection, which is seen next.
            b'E' if sent.is_none() => self.farewell = Some(body.to_vec()),
            b'E' => {
                let Ok(fields) = ErrorFields::decode(body) else { return };
                if for_mesh {
                    self.mesh_error = Some(body.to_vec());
                } else if !self.ended_untried {
                    self.fatal |= fields.is_fatal();
                    self.client_error = Some(fields.sqlstate());
                    self.stale_statement |= is_stale(&fields);
                }
            }
            b'S' => {
                if let Ok((name, value)) = backend::parameter_status(body) {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    self.parameters.push((text(name), text(value), !for_mesh));
                }
            }
            b'D' if for_mesh => self.mesh_rows.push(body.to_vec()),
            b'T' | b't' | b'n' if for_mesh => self.mesh_descriptions.push((tag, body.to_vec())),
            b'C' if for_mesh => {
                self.mesh_tag.clear();
                self.mesh_tag.extend_from_slice(backend::command_tag(body).unwrap_or_default());
            }
            b'C' => {
                let tag = backend::command_tag(body).unwrap_or_default();
                self.deallocated |= tag == b"DEALLOCATE ALL" || tag == b"DISCARD ALL";
            }
            _ => {}
        }
    }

    fn edited(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.edited.as_ref().map(|edited| edited.error(body))
    }

    fn withholds(&mut self, body: &[u8]) -> bool {
        let soon = self.untried.is_some_and(|sent| sent.elapsed() < UNTRIED_MAX);
        self.ended_untried |= soon && ErrorFields::decode(body).is_ok_and(|fields| fields.is_fatal());
        self.ended_untried
    }

    fn notifier(&self, process_id: u32) -> u32 {
        self.server.and_then(|server| self.peers.session(server, process_id)).unwrap_or(process_id)
    }

    fn on_answered(&mut self, sent: Sent, audience: Audience, failed: bool) {
        self.ahead_failed |= failed && audience == AHEAD;
        if sent == Sent::Parse && !failed && audience != AHEAD {
            self.parsed += 1;
        }
    }
}

/// When moving bytes has reached its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The server owes nothing, or waits for COPY data.
    Settled,
    /// So few bytes wait to be sent to the server that more can be added.
    Drained(usize),
}

/// The limits under which bytes are moved.
pub struct Watch<'s> {
    /// The session's signal.
    pub interrupt: &'s Interrupt,
    /// Longest a write to the client may make no progress.
    pub client_write: Duration,
    /// Patience with a cancel request.
    pub cancel: Duration,
    /// A COMMIT is on its way: neither a cancel nor a client that leaves may disturb it.
    pub undisturbed: bool,
}

/// The cancel request of a relay; there is at most one at a time.
enum Cancelling {
    Unasked,
    Running(Cancel),
    /// It has arrived; or it is unknown whether and when it will: the backend knows.
    Over,
}

/// What a relay says about itself when its goal is reached.
#[derive(Debug, Default)]
pub struct Relayed {
    /// A cancel request was sent: a signal asked for it, or the deadline passed.
    pub cancelled: bool,
}

struct Relay<'r, 's> {
    client: &'r mut Client,
    backend: &'r mut Backend,
    notes: &'r mut Notes,
    watch: &'r Watch<'s>,
    goal: Goal,
    cancel: Cancelling,
    relayed: Relayed,
    /// So much of what the client has to get was there before: it waits for what the server says, as it would in a server.
    waiting: usize,
    stalled: Option<Pin<Box<Sleep>>>,
    /// When the statement has run too long: it is cancelled; what must not be disturbed is given up. `None`: it has.
    deadline: Option<&'r mut Deadline>,
    /// The deadline has passed.
    late: bool,
    client_closed: bool,
}

/// Moves bytes until `goal` is reached. What the client still has to get may be left in its output buffer.
///
/// # Errors
/// [`Broken`]: the session ends, or the backend is closed.
pub async fn relay(
    client: &mut Client,
    backend: &mut Backend,
    notes: &mut Notes,
    watch: &Watch<'_>,
    deadline: &mut Deadline,
    goal: Goal,
) -> Result<Relayed, Broken> {
    let waiting = if client.output.len() <= WAITING_MAX { client.output.len() } else { 0 };
    let mut relay = Relay {
        client,
        backend,
        notes,
        watch,
        goal,
        cancel: Cancelling::Unasked,
        relayed: Relayed::default(),
        waiting,
        stalled: None,
        deadline: Some(deadline),
        late: false,
        client_closed: false,
    };
    poll_fn(|cx| relay.poll(cx)).await?;
    if let Cancelling::Running(running) = &mut relay.cancel
        && let Ok(arrived) = running.await
    {
        // The statement had ended by itself; now the request cannot hit the next one any more.
        relay.backend.cancel_arrived(&arrived);
    }
    if relay.client_closed && !relay.watch.undisturbed {
        return Err(Broken::Client);
    }
    Ok(relay.relayed)
}

impl Relay<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            let mut lost = None;
            if !self.backend.output.is_empty() {
                match self.backend.poll_drain(cx) {
                    // Its last words may still be readable.
                    Poll::Ready(Err(error)) => {
                        self.backend.output.clear();
                        lost = Some(error.to_string());
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            self.advance().map_err(|error| Broken::Server(error.to_string()))?;
            if self.notes.ahead_failed {
                // The server has skipped the statement behind it, and goes on skipping.
                return Poll::Ready(Err(Broken::Server("BEGIN failed".to_owned())));
            }
            if self.reached() {
                return Poll::Ready(Ok(()));
            }
            if self.client.output.len() < HIGH_WATER {
                match self.backend.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => {
                        let cause = lost.unwrap_or_else(|| "the server closed the connection".to_owned());
                        return Poll::Ready(Err(Broken::Server(cause)));
                    }
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Server(error.to_string()))),
                    Poll::Pending => {}
                }
            }
            if let Some(cause) = lost {
                return Poll::Ready(Err(Broken::Server(cause)));
            }
            let progress = self.serve_client(cx)?;
            self.poll_signals(cx)?;
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Sorts what the server sent.
    fn advance(&mut self) -> Result<(), WireError> {
        while self.client.output.len() < HIGH_WATER && !self.notes.ahead_failed {
            let backend = &mut *self.backend;
            match backend.pipeline.advance(&backend.input, self.notes)? {
                Segment::More => break,
                Segment::Cut(count) => backend.input.advance(count),
                Segment::Insert(bytes) => self.client.output.extend_from_slice(&bytes),
                Segment::Forward(count) => hand_over(&mut backend.input, &mut self.client.output, count),
            }
        }
        Ok(())
    }

    fn reached(&self) -> bool {
        let pipeline = &self.backend.pipeline;
        let settled = pipeline.is_settled() || pipeline.copy() == CopyState::In;
        match self.goal {
            Goal::Settled => settled && self.backend.output.is_empty(),
            Goal::Drained(most) => self.backend.output.len() <= most || pipeline.is_settled(),
        }
    }

    /// Writes to the client what waits for it, and reads ahead, also to notice that it leaves.
    fn serve_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        let mut progress = false;
        if self.client_closed {
            self.client.output.clear();
            return Ok(false);
        }
        if self.client.output.len() > self.waiting {
            let before = self.client.output.len();
            self.waiting = 0;
            match self.client.poll_drain(cx) {
                Poll::Ready(Ok(())) => {
                    self.stalled = None;
                    progress = before >= HIGH_WATER;
                }
                Poll::Ready(Err(_)) => return self.leave(),
                Poll::Pending => {
                    if self.client.output.len() < before {
                        self.stalled = None;
                    }
                    let patience = self.watch.client_write;
                    let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                    if stalled.as_mut().poll(cx).is_ready() {
                        return self.leave();
                    }
                    progress = before >= HIGH_WATER && self.client.output.len() < HIGH_WATER;
                }
            }
        }
        if self.client.input.len() < AHEAD_MAX {
            match self.client.poll_fill(cx) {
                Poll::Ready(Ok(count)) if count > 0 => progress = true,
                Poll::Ready(_) => return self.leave(),
                Poll::Pending => {}
            }
        }
        Ok(progress)
    }

    fn leave(&mut self) -> Result<bool, Broken> {
        self.client_closed = true;
        if self.watch.undisturbed { Ok(true) } else { Err(Broken::Client) }
    }

    fn poll_signals(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        if let Some(deadline) = &mut self.deadline
            && deadline.poll(cx).is_ready()
        {
            self.deadline = None;
            self.late = true;
        }
        if self.watch.undisturbed {
            return match self.late {
                true => Err(Broken::Server("no answer in time".to_owned())),
                false => Ok(()),
            };
        }
        self.poll_cancel(cx);
        let asked = match self.watch.interrupt.poll_halt(cx) {
            // The client is not told what becomes of the statement.
            Poll::Ready(Halt::Session) => return Err(Broken::Killed),
            asked => asked.is_ready(),
        };
        if !(self.late || asked) || matches!(self.cancel, Cancelling::Running(_)) {
            return Ok(());
        }
        // A request that comes before the server has begun hits nothing: then another signal makes another one.
        self.watch.interrupt.clear_query();
        self.late = false;
        self.cancel = Cancelling::Running(self.backend.start_cancel(self.watch.cancel));
        self.relayed.cancelled = true;
        self.poll_cancel(cx);
        Ok(())
    }

    fn poll_cancel(&mut self, cx: &mut Context<'_>) {
        if let Cancelling::Running(running) = &mut self.cancel
            && let Poll::Ready(done) = running.as_mut().poll(cx)
        {
            if let Ok(arrived) = done {
                self.backend.cancel_arrived(&arrived);
            }
            self.cancel = Cancelling::Over;
        }
    }
}

/// Moves `count` bytes; without copying them where they are many and the whole buffer can change hands.
fn hand_over(from: &mut BytesMut, to: &mut BytesMut, count: usize) {
    if to.is_empty() && count == from.len() && count > COPIED_MAX {
        std::mem::swap(from, to);
    } else {
        to.extend_from_slice(&from[..count]);
        from.advance(count);
    }
}
