//! A signal from anywhere to the task of one session: stop the statement, or end. Cheap to wait for on every read.
//! Out: what the session does about it; how the statement is stopped on a server.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Why a session is interrupted. Later variants win over earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The running statement shall stop; the session goes on.
    Query,
    /// dbmesh shuts down: end at the next transaction boundary.
    Drain,
    /// The session shall end now.
    Session,
}

const NONE: u8 = 0;
const QUERY: u8 = 1;
const DRAIN: u8 = 2;
const SESSION: u8 = 3;

/// The receiving end belongs to one task at a time: a session's own.
#[derive(Debug, Default)]
pub struct Interrupt {
    reason: AtomicU8,
    waker: AtomicWaker,
}

impl Interrupt {
    /// Raises the signal; a stronger reason that is already there stays.
    pub fn raise(&self, reason: Reason) {
        let value = match reason {
            Reason::Query => QUERY,
            Reason::Drain => DRAIN,
            Reason::Session => SESSION,
        };
        self.reason.fetch_max(value, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The reason that is raised now, if any.
    #[must_use]
    pub fn raised(&self) -> Option<Reason> {
        match self.reason.load(Ordering::Acquire) {
            QUERY => Some(Reason::Query),
            DRAIN => Some(Reason::Drain),
            SESSION => Some(Reason::Session),
            _ => None,
        }
    }

    /// Takes back a [`Reason::Query`]: the statement that it meant has ended. Stronger reasons stay.
    pub fn clear_query(&self) {
        let _ = self.reason.compare_exchange(QUERY, NONE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Ready when a reason of at least `least` is raised. The task is woken by the next one in any case: a task that is
    /// not stopped by this reason may be stopped by a stronger one.
    pub fn poll(&self, least: Reason, cx: &mut Context<'_>) -> Poll<Reason> {
        self.waker.register(cx.waker());
        self.raised().filter(|reason| *reason >= least).map_or(Poll::Pending, Poll::Ready)
    }

    /// Runs `work` until it is done or a reason of at least `least` is raised. Finished work wins over the signal.
    ///
    /// # Errors
    /// The reason, when it came first; `work` is dropped then, so it must be cancel-safe.
    pub async fn guard<F: Future>(&self, least: Reason, work: F) -> Result<F::Output, Reason> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll(least, cx).map(Err),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_task_that_a_drain_does_not_stop_is_woken_by_what_does() {
        let interrupt = Arc::new(Interrupt::default());
        interrupt.raise(Reason::Drain);
        let other = Arc::clone(&interrupt);
        let running = tokio::spawn(poll_fn(move |cx| match other.poll(Reason::Query, cx) {
            Poll::Ready(Reason::Session) => Poll::Ready(()),
            _ => Poll::Pending,
        }));
        tokio::task::yield_now().await;
        interrupt.raise(Reason::Session);
        tokio::time::timeout(std::time::Duration::from_secs(10), running).await.expect("woken").expect("no panic");
    }

    #[tokio::test]
    async fn a_raised_reason_ends_the_wait_and_query_can_be_cleared() {
        let interrupt = Arc::new(Interrupt::default());
        assert_eq!(interrupt.guard(Reason::Query, async { 7 }).await, Ok(7));
        let other = Arc::clone(&interrupt);
        let waiting = tokio::spawn(async move { other.guard(Reason::Query, std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        interrupt.raise(Reason::Query);
        assert_eq!(waiting.await.expect("task"), Err(Reason::Query));
        interrupt.clear_query();
        assert_eq!(interrupt.raised(), None);
        interrupt.raise(Reason::Session);
        interrupt.raise(Reason::Query);
        interrupt.clear_query();
        assert_eq!(interrupt.raised(), Some(Reason::Session));
    }
}
