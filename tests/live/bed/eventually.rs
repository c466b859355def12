//! Waiting for a condition, with a deadline; never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `holds`; panics with `what` when it does not within `most`.
#[track_caller]
pub fn eventually(what: &str, most: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + most;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {most:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

/// As [`eventually`], for a condition that waits itself.
#[allow(dead_code)]
pub async fn eventually_async<F, Fut>(what: &str, most: Duration, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + most;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {most:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
