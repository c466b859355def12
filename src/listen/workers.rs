//! Worker threads, each with a runtime of its own; a session stays on the worker that got it.
//! Out: what runs on them. Why not one shared runtime: a wake-up across threads costs more than the whole work on a
//! point select, so that a session and the backends that it drives live on one thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::pool::WorkerId;

/// More than any machine that a sidecar runs on has cores.
const COUNT_MAX: usize = 1024;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = Box<dyn FnOnce() -> Task + Send>;

/// The threads that sessions run on.
#[derive(Debug)]
pub struct Workers {
    doors: Vec<mpsc::UnboundedSender<Start>>,
    threads: Vec<JoinHandle<()>>,
    /// How many seats of each are taken.
    taken: Arc<[AtomicUsize]>,
}

/// A session's place on a worker, until this is dropped.
#[derive(Debug)]
pub struct Seat {
    taken: Arc<[AtomicUsize]>,
    worker: WorkerId,
}

impl Seat {
    /// Where.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.get(usize::from(self.worker.0)) {
            taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Workers {
    /// Starts `count` threads (at least one).
    ///
    /// # Errors
    /// The system gave no thread or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        let count = count.clamp(1, COUNT_MAX);
        let taken = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let mut workers = Self { doors: Vec::new(), threads: Vec::new(), taken };
        for number in 0..count {
            let (door, mut tasks) = mpsc::unbounded_channel::<Start>();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(async move {
                    while let Some(start) = tasks.recv().await {
                        tokio::spawn(start());
                    }
                });
                // Sessions that are left are dropped with the runtime, and with them their sockets.
            })?;
            workers.doors.push(door);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.doors.len()
    }

    /// A seat on the worker that has the fewest taken. Where others have no fewer it is `own`: what runs there already needs
    /// not wake another thread.
    #[must_use]
    pub fn seat(&self, own: WorkerId) -> Seat {
        let taken = |number: usize| self.taken.get(number).map_or(usize::MAX, |taken| taken.load(Ordering::Relaxed));
        let own = usize::from(own.0) % self.taken.len();
        let fewest = (0..self.taken.len()).min_by_key(|number| (taken(*number), *number != own)).unwrap_or(own);
        if let Some(taken) = self.taken.get(fewest) {
            taken.fetch_add(1, Ordering::Relaxed);
        }
        Seat { taken: Arc::clone(&self.taken), worker: WorkerId(u16::try_from(fewest).unwrap_or(0)) }
    }

    /// Runs `start` on this worker (modulo their number). The future is made there, so that sockets register with its
    /// events.
    pub fn spawn_on<F, Fut>(&self, worker: WorkerId, start: F)
    where
        F: FnOnce(WorkerId) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let number = usize::from(worker.0) % self.doors.len();
        let worker = WorkerId(u16::try_from(number).unwrap_or(0));
        let start: Start = Box::new(move || Box::pin(start(worker)));
        // A send fails only after the thread ended, at shutdown: then the session's socket closes with the closure.
        let _ = self.doors[number].send(start);
    }

    /// Ends all workers and what still runs on them, and waits for the threads.
    pub fn stop(self) {
        drop(self.doors);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_spread_and_near_where_they_are_asked_for() {
        let workers = Workers::start(3).expect("threads");
        let mut seats: Vec<Seat> = (0..6).map(|_| workers.seat(WorkerId(1))).collect();
        let of = |seats: &[Seat]| seats.iter().map(|seat| seat.worker().0).collect::<Vec<_>>();
        assert_eq!(of(&seats), [1, 0, 2, 1, 0, 2]);
        // Two sessions of one worker end: it has room for two more.
        seats.retain(|seat| seat.worker().0 != 2);
        seats.extend((0..2).map(|_| workers.seat(WorkerId(0))));
        assert_eq!(of(&seats), [1, 0, 1, 0, 2, 2]);
        workers.stop();
    }

    #[test]
    fn tasks_run_where_they_are_put() {
        let workers = Workers::start(2).expect("threads");
        let (report, seen) = std::sync::mpsc::channel();
        for number in 0..4 {
            let report = report.clone();
            workers.spawn_on(WorkerId(number), move |worker| async move { report.send(worker.0).expect("it is read") });
        }
        let mut numbers: Vec<u16> = seen.iter().take(4).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 0, 1, 1]);
        workers.stop();
    }
}
