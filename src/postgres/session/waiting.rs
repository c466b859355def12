//! What a session does while it waits for its client: it listens to signals, to the clock and to one backend, whose batch may
//! have no end yet.
//! Out: what the client's messages mean; what becomes of backends afterwards (`settle`).

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::Buf;
use protocol::postgres::Segment;
use protocol::postgres::pipeline::CopyState;

use super::Session;
use super::fault::Stop;
use super::held::OUTPUT_MAX;
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::pool::CloseReason;

/// What a waiting session wakes up for.
enum Event {
    Client(io::Result<usize>),
    Signal(Reason),
    Timeout,
    Server(io::Result<usize>),
}

impl Session {
    /// Waits until the client sends something, or something else happens to the session.
    pub(super) async fn wait_for_client(&mut self, least: Reason) -> Result<(), Stop> {
        loop {
            let event = self.next_event(least).await;
            match event {
                Event::Client(Ok(count)) if count > 0 => return Ok(()),
                Event::Client(_) => return Err(Stop::Left),
                Event::Signal(Reason::Drain) => return Err(Stop::Fatal(MeshError::Shutdown)),
                Event::Signal(_) => return Err(Stop::Fatal(MeshError::SessionKilled)),
                Event::Timeout => {
                    let text = "terminating connection due to idle-session timeout";
                    return Err(Stop::Fatal(MeshError::SessionIdle(text.to_owned())));
                }
                Event::Server(read) => self.hear(&read).await?,
            }
        }
    }

    async fn next_event(&mut self, least: Reason) -> Event {
        let index = self.listened();
        let batch = !self.batch.is_empty();
        poll_fn(|cx| {
            // The answers of a batch first: a client that never stops sending shall hear of an error in time.
            if batch && let Poll::Ready(event) = self.poll_backend(index, cx) {
                return Poll::Ready(event);
            }
            if let Poll::Ready(read) = self.client.poll_fill(cx) {
                return Poll::Ready(Event::Client(read));
            }
            if let Poll::Ready(reason) = self.entry.interrupt.poll(least, cx) {
                return Poll::Ready(Event::Signal(reason));
            }
            if self.silence.poll(cx).is_ready() {
                return Poll::Ready(Event::Timeout);
            }
            if batch { Poll::Pending } else { self.poll_backend(index, cx) }
        })
        .await
    }

    /// Sends what waits for the backend and for the client, and hears what the backend says.
    fn poll_backend(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.client.output.is_empty()
            && let Poll::Ready(Err(error)) = self.client.poll_drain(cx)
        {
            return Poll::Ready(Event::Client(Err(error)));
        }
        let Some(held) = self.held.get_mut(index) else { return Poll::Pending };
        if !held.lease.output.is_empty()
            && let Poll::Ready(Err(_)) = held.lease.poll_drain(cx)
        {
            // Its last words may still be readable.
            held.lease.output.clear();
        }
        if self.client.output.len() < OUTPUT_MAX
            && let Poll::Ready(read) = held.lease.poll_fill(cx)
        {
            return Poll::Ready(Event::Server(read));
        }
        Poll::Pending
    }

    /// Index of the backend that is listened to while the client is waited for.
    fn listened(&self) -> usize {
        // Notifications come from the default shard.
        let shard = self.batch.copy.or(self.batch.target).or(self.pin.map(|_| self.default_shard()));
        shard.and_then(|shard| self.held.iter().position(|held| held.shard == shard)).unwrap_or(0)
    }

    /// A backend that is kept between statements spoke, or the one of a batch that has no end yet.
    async fn hear(&mut self, read: &io::Result<usize>) -> Result<(), Stop> {
        let index = self.listened();
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        self.notes.server = Some(held.lease.server());
        loop {
            match held.lease.pipeline_step(&mut self.notes) {
                Ok(Segment::Forward(count)) => {
                    self.client.output.extend_from_slice(&held.lease.input[..count]);
                    held.lease.input.advance(count);
                }
                Ok(Segment::Cut(count)) => held.lease.input.advance(count),
                Ok(Segment::Insert(bytes)) => self.client.output.extend_from_slice(&bytes),
                Ok(Segment::More) => break,
                // The server has given up something that had ended; who waits for nothing cannot be told.
                Err(error) => {
                    let (shard, cause) = (held.shard, error.to_string());
                    return Err(Stop::Fatal(MeshError::BackendLost { shard: self.shard_name(shard), cause }));
                }
            }
        }
        let ended = !matches!(read, Ok(count) if *count > 0);
        if !self.batch.is_empty() {
            return self.hear_batch(index, ended).await;
        }
        self.notes.parameters.clear();
        if ended {
            // What the session kept it for is gone with it.
            let shard = held.shard;
            self.drop_held(index, CloseReason::Broken);
            if self.pin.take().is_some() {
                self.entry.set_pin(None);
                if let Some(words) = self.notes.farewell.take() {
                    return Err(Stop::ServerFatal(words));
                }
                let cause = "the server closed the connection".to_owned();
                return Err(Stop::Fatal(MeshError::BackendLost { shard: self.shard_name(shard), cause }));
            }
        }
        self.drain_client().await
    }

    /// The backend of a batch that has no end yet spoke: the client may not read before it has sent all of it.
    async fn hear_batch(&mut self, index: usize, ended: bool) -> Result<(), Stop> {
        let shard = self.held[index].shard;
        if ended {
            let fault = self.lose(index, shard, "the server closed the connection".to_owned(), false);
            return self.fail_batch(fault).await;
        }
        let pipeline = &self.held[index].lease.pipeline;
        if pipeline.is_skipping() {
            self.conclude(index);
            self.batch.copy = None;
        } else if self.batch.copy == Some(shard) && pipeline.copy() == CopyState::None && pipeline.is_settled() {
            // The server has broken the COPY off, and has said so; in the simple protocol that is all.
            self.batch.copy = None;
            if !self.batch.begun
                && let Err(fault) = self.after(index)
            {
                return self.tell_fault(fault);
            }
        }
        Ok(())
    }
}
