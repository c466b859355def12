//! What the two sides of the adapter and the shim know of each other: how far the login is, which statements exist.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far the login is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not decided yet.
    #[default]
    Login,
    /// Refused; the text is the error that the client gets.
    Denied(String),
    /// Logged in.
    Open,
}

/// Shared by one connection's parts.
#[derive(Debug, Default)]
pub(super) struct Gate {
    phase: Mutex<Phase>,
    statements: Mutex<HashSet<u32>>,
}

impl Gate {
    pub(super) fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    pub(super) fn decide(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    pub(super) fn add_statement(&self, id: u32) {
        lock(&self.statements).insert(id);
    }

    pub(super) fn remove_statement(&self, id: u32) {
        lock(&self.statements).remove(&id);
    }

    pub(super) fn has_statement(&self, id: u32) -> bool {
        lock(&self.statements).contains(&id)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
