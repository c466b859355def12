//! How much a merge may hold in memory, and the count of what it holds. Out: what the rows are.

use super::error::MergeError;

/// What one merge may hold at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows and groups.
    pub rows_max: usize,
    /// Bytes of their payloads and keys.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows_max: 1_000_000, bytes_max: 256 << 20 }
    }
}

/// What is held now. Every row is taken once and released once.
#[derive(Debug)]
pub(super) struct Held {
    limits: Limits,
    rows: usize,
    bytes: usize,
}

impl Held {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, rows: 0, bytes: 0 }
    }

    /// Takes one more row of this size, unless a limit forbids it.
    pub(super) fn take_row(&mut self, bytes: usize) -> Result<(), MergeError> {
        if self.rows >= self.limits.rows_max {
            return Err(MergeError::TooManyRows { limit: self.limits.rows_max });
        }
        self.take_bytes(bytes)?;
        self.rows += 1;
        Ok(())
    }

    /// Takes more bytes for a row that is held already.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), MergeError> {
        let sum = self.bytes.saturating_add(bytes);
        if sum > self.limits.bytes_max {
            return Err(MergeError::TooManyBytes { limit: self.limits.bytes_max });
        }
        self.bytes = sum;
        Ok(())
    }

    pub(super) fn release_row(&mut self, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.release_bytes(bytes);
    }

    pub(super) fn release_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Rows and bytes held now.
    pub(super) fn now(&self) -> (usize, usize) {
        (self.rows, self.bytes)
    }
}
