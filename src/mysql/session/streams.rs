//! One shard's part of a SELECT on several: its packets, one at a time, and its end, however it comes.
//! Out: merging (`scatter`).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use protocol::mysql::capability;
use protocol::mysql::packet::{HEADER, PAYLOAD_MAX, Whole};
use protocol::mysql::reply::{EofPacket, OkPacket};
use protocol::mysql::response::{Event, Scanner, Step};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use transaction::{Gone, ShardIndex};

use super::held::OWN_STATEMENT;
use super::single::{Facts, internal};
use super::trouble::{Outcome, Trouble};
use super::wait::{Woke, wait};
use super::{Session, kill};
use crate::interrupt::{Halt, Reason};
use crate::mysql::execution::rows::Rows;

/// How long the other shards have to end by themselves when one has failed.
const GRACE: Duration = Duration::from_millis(100);

/// One shard's answer.
pub(super) struct Stream {
    /// Its shard.
    pub shard: ShardIndex,
    pub scanner: Scanner,
    /// The answer to a BEGIN comes first.
    pub swallow: bool,
    pub rows: Option<Rows>,
    pub warnings: u16,
    /// It ended with an error.
    pub failed: bool,
}

impl Session {
    /// The next packet of a stream. An ERR of the server is an error here.
    pub(super) async fn stream_packet(&mut self, stream: &mut Stream, limit: usize) -> Outcome<(Event, Bytes)> {
        self.limit_answer();
        loop {
            let Some(index) = self.held.iter().position(|held| held.shard == stream.shard) else {
                return Err(internal("a backend vanished"));
            };
            let Self { client, held, entry, overdue, .. } = self;
            let Some(held) = held.get_mut(index) else { return Err(internal("a backend vanished")) };
            let step = match stream.scanner.next_packet(&mut held.lease.input, limit) {
                Ok(step) => step,
                Err(error) => {
                    stream.failed = true;
                    return Err(self.lose(index, &io::Error::other(error)));
                }
            };
            match step {
                Step::Packet { length, event } => {
                    held.status = stream.scanner.status();
                    let bytes = take_payload(&mut held.lease.input, length);
                    if event == Event::Err {
                        stream.failed = true;
                        return Err(Trouble::Server(bytes.to_vec()));
                    }
                    stream.note_end(event, &bytes, held.lease.capabilities);
                    return Ok((event, bytes));
                }
                Step::Done | Step::Pass(_) => return Err(internal("a stream was read beyond its end")),
                Step::NeedMore => {}
            }
            // What is merged so far must not wait for a slow shard.
            match wait(client, &mut held.lease, &entry.interrupt, overdue).await {
                Woke::Backend(Ok(_)) => {}
                Woke::Backend(Err(error)) => {
                    stream.failed = true;
                    return Err(self.lose(index, &error));
                }
                Woke::Client(Ok(count)) if count > 0 => {}
                Woke::Client(Ok(_)) => return Err(Trouble::Client(io::ErrorKind::UnexpectedEof.into())),
                Woke::Client(Err(error)) => return Err(Trouble::Client(error)),
                Woke::Halt(Halt::Query) | Woke::Late => {
                    entry.interrupt.clear_query();
                    overdue.lift();
                    self.kill_query(index).await;
                }
                Woke::Halt(Halt::Session) => return Err(Trouble::Interrupted(Reason::Session)),
            }
        }
    }

    /// Stops what runs on a backend, and waits until the server says that it did.
    pub(super) async fn kill_query(&mut self, index: usize) {
        let Some(held) = self.held.get_mut(index) else { return };
        let (key, kill) = (*held.lease.key(), held.lease.start_kill());
        // The KILL may come when the statement has ended: nobody else's next statement shall meet it.
        held.unclean = true;
        let limit = self.config().timeouts.cancel;
        match Box::pin(kill::kill(&self.mesh.mysql.pools, key, kill, true, limit)).await {
            Ok(landed) => {
                if let Some(held) = self.held.get_mut(index) {
                    held.lease.kill_landed(&landed);
                }
            }
            Err(error) => tracing::warn!(%error, "a statement could not be killed"),
        }
    }

    /// Reads a stream to its end; a backend on which that does not work is closed.
    pub(super) async fn drain(&mut self, stream: &mut Stream, failed: bool) {
        let Some(index) = self.held.iter().position(|held| held.shard == stream.shard) else { return };
        if stream.scanner.is_done() {
            return;
        }
        if stream.swallow {
            // It never came to this shard's turn to say whether it has begun.
            self.kill_and_close(index);
            return;
        }
        // What fails on one shard has mostly failed on the others too.
        if failed && self.drain_within(stream, index, GRACE).await.is_err() {
            self.kill_query(index).await;
        }
        match self.drain_within(stream, index, OWN_STATEMENT).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => drop(self.lose(index, &error)),
            Err(_) => self.kill_and_close(index),
        }
    }

    /// Reads what is left of a stream. Can be called again when the time was too short.
    async fn drain_within(
        &mut self,
        stream: &mut Stream,
        index: usize,
        limit: Duration,
    ) -> Result<io::Result<()>, Elapsed> {
        let Some(held) = self.held.get_mut(index) else { return Ok(Ok(())) };
        let deadline = Instant::now() + limit;
        let backend = &mut *held.lease;
        let work = async {
            loop {
                match stream.scanner.next(&mut backend.input).map_err(io::Error::other)? {
                    Step::NeedMore => drop(backend.read_more().await?),
                    Step::Pass(count) => backend.consume(count),
                    Step::Packet { length, event } => {
                        stream.failed |= event == Event::Err;
                        backend.consume(length);
                    }
                    Step::Done => return Ok(()),
                }
            }
        };
        let done = timeout_at(deadline, work).await;
        if let Ok(Ok(())) = done {
            held.status = stream.scanner.status();
        }
        done
    }

    pub(super) async fn note_stream(&mut self, stream: &Stream, facts: &Facts<'_>) {
        if let Some(index) = self.held.iter().position(|held| held.shard == stream.shard) {
            let unknown = self.held.get(index).is_some_and(|held| held.status.is_none());
            if unknown && self.ask_status(index).await.is_err() {
                self.shard_gone(stream.shard, Gone::Lost).await;
                return;
            }
            if let Some(index) = self.held.iter().position(|held| held.shard == stream.shard) {
                self.note_pins(index, facts, false, false);
            }
            self.check_branch(stream.shard, stream.failed).await;
        } else {
            self.shard_gone(stream.shard, Gone::Lost).await;
        }
    }
}

impl Stream {
    fn note_end(&mut self, event: Event, payload: &[u8], capabilities: capability::Capabilities) {
        let warnings = match event {
            Event::Ok => OkPacket::decode(payload, capabilities).map_or(0, |ok| ok.warnings),
            Event::Eof => EofPacket::decode(payload).map_or(0, |eof| eof.warnings),
            _ => return,
        };
        self.warnings = self.warnings.saturating_add(warnings);
    }
}

/// Takes a logical packet of this wire length from the buffer: without copying where it is one packet.
fn take_payload(input: &mut bytes::BytesMut, length: usize) -> Bytes {
    let packet = input.split_to(length.min(input.len())).freeze();
    if length < HEADER + PAYLOAD_MAX {
        return packet.slice(HEADER.min(packet.len())..);
    }
    let sequence = packet.get(3).copied().unwrap_or(0);
    match Whole::find(&packet, sequence, usize::MAX) {
        Ok(Some(whole)) => Bytes::from(whole.payload(&packet).into_owned()),
        _ => Bytes::new(),
    }
}
