//! Buffers of the lexer: a session takes one for a text and brings it back, so that they stay warm and idle sessions have none.
//! Out: what is read with them.

use std::sync::{Mutex, PoisonError};

use sharding::lexer::Scan;

use crate::pool::WorkerId;

/// Most buffers that a worker keeps; more are in use only while so many texts are read at once.
const KEPT_MAX: usize = 32;

/// One stack of buffers per worker. Only the worker itself takes its lock.
#[derive(Default)]
pub struct Scans(Box<[Mutex<Vec<Scan>>]>);

impl Scans {
    /// For so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Mutex::default()).collect())
    }

    /// A buffer.
    #[must_use]
    pub fn take(&self, worker: WorkerId) -> Scan {
        self.stack(worker).and_then(|stack| lock(stack).pop()).unwrap_or_default()
    }

    /// Brings one back.
    pub fn put(&self, worker: WorkerId, scan: Scan) {
        let Some(stack) = self.stack(worker) else { return };
        let mut stack = lock(stack);
        if stack.len() < KEPT_MAX {
            stack.push(scan);
        }
    }

    fn stack(&self, worker: WorkerId) -> Option<&Mutex<Vec<Scan>>> {
        self.0.get(usize::from(worker.0) % self.0.len().max(1))
    }
}

fn lock(stack: &Mutex<Vec<Scan>>) -> std::sync::MutexGuard<'_, Vec<Scan>> {
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}
