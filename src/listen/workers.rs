//! Worker threads, each with a runtime of its own; a session stays on the worker that got it.
//! Out: what runs on them. Why not one shared runtime: a wake-up across threads costs more than the whole work on a
//! point select, so that a session and the backends that it drives live on one thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
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
    next: AtomicUsize,
}

impl Workers {
    /// Starts `count` threads (at least one).
    ///
    /// # Errors
    /// The system gave no thread or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self { doors: Vec::new(), threads: Vec::new(), next: AtomicUsize::new(0) };
        for number in 0..count.clamp(1, COUNT_MAX) {
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

    /// Runs `start` on the next worker in turn. The future is made there, so that sockets register with its events.
    pub fn spawn<F, Fut>(&self, start: F)
    where
        F: FnOnce(WorkerId) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.doors.len();
        self.spawn_on(WorkerId(u16::try_from(number).unwrap_or(0)), start);
    }

    /// Runs `start` on this worker (modulo their number).
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
    fn tasks_run_on_workers_in_turn() {
        let workers = Workers::start(2).expect("threads");
        let (report, seen) = std::sync::mpsc::channel();
        for _ in 0..4 {
            let report = report.clone();
            workers.spawn(move |worker| async move { report.send(worker.0).expect("receiver lives") });
        }
        let mut numbers: Vec<u16> = seen.iter().take(4).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 0, 1, 1]);
        workers.stop();
    }
}
