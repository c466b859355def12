//! Reads the answer of one shard of several, as far as it is wanted, and watches the client and the session's signal.
//! Out: what the rows mean.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use futures_util::future::join_all;
use protocol::postgres::Segment;
use tokio::time::{Instant, Sleep};
use transaction::ShardIndex;

use super::Session;
use super::fault::{Fault, Stop};
use super::parts::Answer;
use crate::error_code::MeshError;
use crate::interrupt::{Halt, Reason};
use crate::pool::CloseReason;

/// No more is read ahead from a client.
const AHEAD_MAX: usize = 64 << 10;

/// Until when a statement on several shards may run.
#[derive(Debug, Default)]
pub struct Patience {
    until: Option<Instant>,
    /// It has passed: the shards were told to stop, and `until` is for that.
    passed: bool,
}

impl Patience {
    /// From now on so long.
    pub fn new(most: Option<Duration>) -> Self {
        Self { until: most.map(|most| Instant::now() + most), passed: false }
    }
}

/// Clocks of one wait, made when there is something to wait for.
#[derive(Default)]
struct Clocks {
    late: Option<Pin<Box<Sleep>>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// What ended a wait.
enum Pulled {
    /// There is a row, or the answer is complete.
    There,
    /// The statement shall stop.
    Interrupted,
    /// It has run too long.
    Late,
    /// The client is gone.
    Gone,
    /// The server is.
    Lost(String),
}

impl Session {
    /// Waits until the shard has sent a row that was not taken yet, or its whole answer.
    pub(super) async fn pull(&mut self, shard: ShardIndex, answer: &mut Answer) -> Result<(), Fault> {
        loop {
            let index = self.held_index(shard)?;
            let mut clocks = Clocks::default();
            let pulled = poll_fn(|cx| self.poll_pull(index, answer, &mut clocks, cx)).await;
            match pulled {
                Pulled::There => return Ok(()),
                Pulled::Interrupted => self.cancel_all().await?,
                Pulled::Late if self.patience.passed => {
                    return Err(self.lost_of_several(shard, "no answer to a cancel in time".to_owned()));
                }
                Pulled::Late => {
                    self.patience =
                        Patience { until: Some(Instant::now() + self.config.timeouts.cancel), passed: true };
                    self.cancel_all().await?;
                }
                Pulled::Gone => {
                    while !self.held.is_empty() {
                        self.abandon_backend(0);
                    }
                    return Err(Stop::Left.into());
                }
                Pulled::Lost(cause) => {
                    let fault = self.lost_of_several(shard, cause);
                    // Where the cancel request has hit what was sent ahead, the statement was stopped as it should be.
                    let stopped = answer.ahead_failed && self.cancelled;
                    return Err(if stopped { self.halted(Halt::Query) } else { fault });
                }
            }
        }
    }

    fn poll_pull(
        &mut self,
        index: usize,
        answer: &mut Answer,
        clocks: &mut Clocks,
        cx: &mut Context<'_>,
    ) -> Poll<Pulled> {
        let backend = &mut *self.held[index].lease;
        loop {
            match backend.pipeline.advance(&backend.input, answer) {
                Ok(Segment::Cut(count)) => backend.input.advance(count),
                // What a server says unasked, between two of its messages.
                Ok(Segment::Forward(count)) => {
                    self.client.output.extend_from_slice(&backend.input[..count]);
                    backend.input.advance(count);
                }
                Ok(Segment::Insert(bytes)) => self.client.output.extend_from_slice(&bytes),
                Ok(_) if answer.ahead_failed => return Poll::Ready(Pulled::Lost("BEGIN failed".to_owned())),
                Ok(Segment::More) => {
                    let described = answer.description.is_some() && !answer.rows.is_empty();
                    if described || backend.pipeline.is_settled() {
                        return Poll::Ready(Pulled::There);
                    }
                    match backend.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => {
                            return Poll::Ready(Pulled::Lost("the server closed the connection".to_owned()));
                        }
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Pulled::Lost(error.to_string())),
                        Poll::Pending => break,
                    }
                }
                Err(error) => return Poll::Ready(Pulled::Lost(error.to_string())),
            }
        }
        if !self.client.output.is_empty() {
            let before = self.client.output.len();
            match self.client.poll_drain(cx) {
                Poll::Ready(Ok(())) => clocks.stalled = None,
                Poll::Ready(Err(_)) => return Poll::Ready(Pulled::Gone),
                Poll::Pending => {
                    if self.client.output.len() < before {
                        clocks.stalled = None;
                    }
                    let patience = self.config.timeouts.client_write;
                    let stalled = clocks.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                    if stalled.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Pulled::Gone);
                    }
                }
            }
        }
        if let Some(until) = self.patience.until {
            let late = clocks.late.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if late.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Pulled::Late);
            }
        }
        while self.client.input.len() < AHEAD_MAX {
            match self.client.poll_fill(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Pulled::Gone),
                Poll::Pending => break,
            }
        }
        self.entry.interrupt.poll_halt(cx).map(|_| Pulled::Interrupted)
    }

    /// Cancels what runs on every backend that owes an answer, on all at once.
    async fn cancel_all(&mut self) -> Result<(), Fault> {
        let patience = self.config.timeouts.cancel;
        let session = self.entry.interrupt.raised() == Some(Reason::Session);
        self.cancelled = true;
        let busy = self.held.iter_mut().filter(|held| !held.lease.pipeline.is_settled());
        let requests = busy.map(|held| {
            let (shard, request) = (held.shard, held.lease.start_cancel(patience));
            async move { (shard, request.await) }
        });
        for (shard, done) in join_all(requests.collect::<Vec<_>>()).await {
            let Some(index) = self.held.iter().position(|held| held.shard == shard) else { continue };
            match done {
                Ok(arrived) => self.held[index].lease.cancel_arrived(&arrived),
                // It is unknown when the request will hit.
                Err(_) => self.drop_held(index, CloseReason::NotClean),
            }
        }
        self.entry.interrupt.clear_query();
        if session { Err(Stop::Fatal(MeshError::SessionKilled).into()) } else { Ok(()) }
    }

    /// A backend broke while several worked on one statement: the others are not worth reading out.
    pub(super) fn lost_of_several(&mut self, shard: ShardIndex, cause: String) -> Fault {
        let mut index = 0;
        while index < self.held.len() {
            let held = &self.held[index];
            if held.shard == shard || !held.lease.pipeline.is_settled() {
                self.drop_held(index, CloseReason::Broken);
                // Others of the same transaction may have gone with it.
                index = 0;
            } else {
                index += 1;
            }
        }
        MeshError::BackendLost { shard: self.shard_name(shard), cause }.into()
    }
}
