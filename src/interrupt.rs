//! A signal from anywhere to the task of one session: stop the statement, or end. Cheap to wait for on every read.
//! Out: what the session does about it; how the statement is stopped on a server.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Why a session is interrupted. Several can be raised at once; later variants win over earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The running statement shall stop; the session goes on.
    Query,
    /// dbmesh shuts down: end at the next transaction boundary.
    Drain,
    /// The session shall end now.
    Session,
}

impl Reason {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What shall stop while a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The statement.
    Query,
    /// The session with it.
    Session,
}

/// The receiving end belongs to one task at a time: a session's own.
#[derive(Debug, Default)]
pub struct Interrupt {
    /// A bit for each reason that is raised.
    raised: AtomicU8,
    waker: AtomicWaker,
}

impl Interrupt {
    /// Raises the signal.
    pub fn raise(&self, reason: Reason) {
        self.raised.fetch_or(reason.bit(), Ordering::AcqRel);
        self.waker.wake();
    }

    /// The strongest reason that is raised now, if any.
    #[must_use]
    pub fn raised(&self) -> Option<Reason> {
        let raised = self.raised.load(Ordering::Acquire);
        [Reason::Session, Reason::Drain, Reason::Query].into_iter().find(|reason| raised & reason.bit() != 0)
    }

    /// Takes back a [`Reason::Query`]: the statement that it meant has ended, or none was running. Other reasons stay.
    pub fn clear_query(&self) {
        // Looked at first: writing to memory that others read costs more than reading, and this is asked with every command.
        if self.raised.load(Ordering::Acquire) & Reason::Query.bit() != 0 {
            self.raised.fetch_and(!Reason::Query.bit(), Ordering::AcqRel);
        }
    }

    /// Ready when a reason of at least `least` is raised. The task is woken by the next one in any case: a task that is
    /// not stopped by this reason may be stopped by a stronger one.
    pub fn poll(&self, least: Reason, cx: &mut Context<'_>) -> Poll<Reason> {
        self.waker.register(cx.waker());
        self.raised().filter(|reason| *reason >= least).map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready when the running statement shall stop: for itself, or because the session ends now. A drain lets it end.
    pub fn poll_halt(&self, cx: &mut Context<'_>) -> Poll<Halt> {
        self.waker.register(cx.waker());
        let raised = self.raised.load(Ordering::Acquire);
        if raised & Reason::Session.bit() != 0 {
            Poll::Ready(Halt::Session)
        } else if raised & Reason::Query.bit() != 0 {
            Poll::Ready(Halt::Query)
        } else {
            Poll::Pending
        }
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

    /// Runs `work`, which is part of a statement, until it is done or the statement shall stop. Finished work wins.
    ///
    /// # Errors
    /// What shall stop, when that came first; `work` is dropped then, so it must be cancel-safe.
    pub async fn guard_statement<F: Future>(&self, work: F) -> Result<F::Output, Halt> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_halt(cx).map(Err),
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
        let running = tokio::spawn(async move { other.guard_statement(std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        interrupt.raise(Reason::Session);
        let woken = tokio::time::timeout(std::time::Duration::from_secs(10), running).await;
        assert_eq!(woken.expect("woken").expect("no panic"), Err(Halt::Session));
    }

    #[tokio::test]
    async fn a_statement_can_be_stopped_during_a_drain() {
        let interrupt = Interrupt::default();
        interrupt.raise(Reason::Drain);
        interrupt.raise(Reason::Query);
        assert_eq!(interrupt.guard_statement(std::future::pending::<()>()).await, Err(Halt::Query));
        interrupt.clear_query();
        assert_eq!(interrupt.raised(), Some(Reason::Drain));
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
