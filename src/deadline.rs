//! How long something may take that begins again and again: the silence of a client, the answer of a server. One timer
//! that is set anew only when it goes off, so that what ends in time costs no work on timers. Out: what happens then.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A limit that begins anew with every turn.
#[derive(Debug, Default)]
pub struct Deadline {
    /// Goes off at the end of some earlier turn at the earliest, and never later than this one's.
    timer: Option<Pin<Box<Sleep>>>,
    due: Option<Instant>,
}

impl Deadline {
    /// A turn began at `since` and may take `limit`; `None`: for ever.
    pub fn begin(&mut self, since: Instant, limit: Option<Duration>) {
        self.due = limit.map(|limit| since + limit);
    }

    /// This turn has no limit any more.
    pub fn lift(&mut self) {
        self.due = None;
    }

    /// Runs `work` until it is done, or this turn is over its limit: then it is dropped, and there is nothing. Finished
    /// work wins.
    pub async fn guard<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }

    /// Ready when this turn is over its limit.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn each_turn_has_its_whole_limit() {
        let mut deadline = Deadline::default();
        let begin = Instant::now();
        for _ in 0..5 {
            deadline.begin(Instant::now(), Some(MINUTE));
            let early = timeout(MINUTE / 2, poll_fn(|cx| deadline.poll(cx))).await;
            assert!(early.is_err(), "over after half its time, {:?} after the start", begin.elapsed());
        }
        deadline.begin(Instant::now(), Some(MINUTE));
        let since = Instant::now();
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(since.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_given_its_time_and_no_more() {
        let mut deadline = Deadline::default();
        deadline.begin(Instant::now(), Some(MINUTE));
        assert_eq!(deadline.guard(async { sleep(MINUTE / 2).await }).await, Some(()));
        assert_eq!(deadline.guard(std::future::pending::<()>()).await, None);
        // Another turn, by the same timer.
        deadline.begin(Instant::now(), Some(MINUTE * 2));
        assert_eq!(deadline.guard(async { sleep(MINUTE + MINUTE / 2).await }).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_can_become_shorter_or_none() {
        let mut deadline = Deadline::default();
        deadline.begin(Instant::now(), Some(MINUTE));
        assert!(timeout(MINUTE / 2, poll_fn(|cx| deadline.poll(cx))).await.is_err());
        let since = Instant::now();
        deadline.begin(since, Some(MINUTE / 60));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(since.elapsed().as_secs(), 1);
        deadline.begin(Instant::now(), None);
        sleep(MINUTE * 2).await;
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx))).await.is_pending());
    }
}
