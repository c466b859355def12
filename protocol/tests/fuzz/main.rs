//! Fuzz targets of every decoder of bytes that clients or servers send: arbitrary bytes, and damaged valid messages. No panic, no
//! endless loop, nothing that depends on how the bytes were cut when they were read. `make fuzz` runs them for long; with
//! `cargo bolero` they run under a coverage-guided engine. Out: statements (the sharding room has its own).

#![allow(clippy::expect_used, missing_docs)]

mod mysql;
mod postgres;

/// How many inputs each target gets in the short form.
const ITERATIONS: usize = 20_000;
/// Longest arbitrary input, in bytes.
const LENGTH_MAX: usize = 256;

/// Changes to a valid message: places and what they are overwritten with; how much is cut from its start and its end.
type Damage = (Vec<(u16, u8)>, u8, u8);

fn damaged(valid: &[u8], (changes, start, end): &Damage) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for (at, value) in changes.iter().take(4) {
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(usize::from(*at) % length.max(1)) {
            *byte = *value;
        }
    }
    // Most stay whole: what is cut is refused early.
    let (start, end) = (usize::from(start.saturating_sub(200)), usize::from(end.saturating_sub(200)));
    bytes.drain(..start.min(bytes.len()));
    bytes.truncate(bytes.len().saturating_sub(end));
    bytes
}
