//! The normalised text of a statement and its keyed 128-bit hash.
//! SipHash-1-3 with 128 bits of output: a keyed pseudo-random function, so a client that does not know the key of this
//! process cannot make two texts collide; by chance, 2^32 different texts collide with a probability of 2^-65.
//! Invariant: one text per sequence of tokens. Tokens are joined by spaces; only self-delimited ones may hold spaces.

use super::LiteralClass;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// The secret of this process under which fingerprints are computed: an unkeyed hash would invite poisoned plans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FingerprintKey(u64, u64);

impl FingerprintKey {
    /// From 16 random bytes, drawn once per process.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(bytes);
        FingerprintKey(whole as u64, (whole >> 64) as u64)
    }

    /// The keyed hash of any text, for the other parts of a plan cache's key.
    pub fn hash(&self, text: &[u8]) -> Fingerprint {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(text);
        Fingerprint(hasher.finish128().as_u128())
    }
}

/// A keyed 128-bit hash of a statement's normalised text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

/// Stands for a literal: followed by its class.
const LITERAL: u8 = 1;
/// Stands for "and more rows like this one".
const MORE_ROWS: &[u8] = b" \x02+";
/// Stands for a literal whose text is part of the shape: class, length, text follow.
const LITERAL_WITH_TEXT: u8 = 3;

/// Appends tokens to a statement's normalised text.
pub(super) struct Writer<'a> {
    text: &'a mut Vec<u8>,
    start: usize,
    rows: Rows,
}

/// The rows of an INSERT as far as they were seen, as ranges of the normalised text.
#[derive(Clone, Copy, Default)]
struct Rows {
    count: usize,
    start: usize,
    end: usize,
    current: usize,
    mixed: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(text: &'a mut Vec<u8>) -> Self {
        let start = text.len();
        Writer { text, start, rows: Rows::default() }
    }

    #[inline(always)]
    pub(super) fn token(&mut self, bytes: &[u8], lower: bool) {
        self.text.push(b' ');
        self.glued(bytes, lower);
    }

    /// A token whose neighbourhood to the one before it matters.
    #[inline(always)]
    pub(super) fn glued(&mut self, bytes: &[u8], lower: bool) {
        let at = self.text.len();
        self.text.extend_from_slice(bytes);
        if lower && let Some(word) = self.text.get_mut(at..) {
            word.make_ascii_lowercase();
        }
    }

    #[inline]
    pub(super) fn literal(&mut self, class: LiteralClass) {
        self.text.extend_from_slice(&[b' ', LITERAL, class as u8]);
    }

    pub(super) fn literal_with_text(&mut self, class: LiteralClass, bytes: &[u8]) {
        self.text.extend_from_slice(&[b' ', LITERAL_WITH_TEXT, class as u8]);
        self.text.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.text.extend_from_slice(bytes);
    }

    /// Before the parenthesis that opens a row.
    pub(super) fn begin_row(&mut self) {
        self.rows.current = self.text.len();
    }

    /// After the parenthesis that closes a row. A row like the first one leaves no trace but a mark; from the first row
    /// that is different on, every row is written out.
    pub(super) fn end_row(&mut self) {
        let rows = &mut self.rows;
        if rows.count == 0 {
            (rows.start, rows.end, rows.count) = (rows.current, self.text.len(), 1);
            return;
        }
        if rows.mixed {
            rows.count += 1;
            return;
        }
        let first = self.text.get(rows.start..rows.end);
        if first == self.text.get(rows.current..) {
            self.text.truncate(rows.end);
            self.text.extend_from_slice(MORE_ROWS);
            rows.count += 1;
            return;
        }
        let tail: Vec<u8> = self.text.get(rows.current..).unwrap_or_default().to_vec();
        self.text.truncate(rows.end);
        for _ in 1..rows.count {
            self.text.extend_from_slice(b" ,");
            self.text.extend_from_within(rows.start..rows.end);
        }
        self.text.extend_from_slice(b" ,");
        self.text.extend_from_slice(&tail);
        rows.count += 1;
        rows.mixed = true;
    }

    /// How many rows there were, and whether they had different shapes.
    pub(super) fn rows(&self) -> (usize, bool) {
        (self.rows.count, self.rows.mixed)
    }

    /// Where the text of this statement begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

/// The normalised text as people read it: `?` for literals, nothing of what the client's values were.
pub(super) fn display(normalised: &[u8]) -> String {
    let mut out = Vec::with_capacity(normalised.len());
    let mut rest = normalised.strip_prefix(b" ").unwrap_or(normalised);
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            LITERAL if after.first().is_some_and(|class| *class != b' ') => {
                out.push(b'?');
                after.get(1..).unwrap_or_default()
            }
            LITERAL_WITH_TEXT if after.len() >= 5 => {
                let (class, length) = (after.first(), after.get(1..5).and_then(|bytes| bytes.try_into().ok()));
                let length = length.map_or(0, u32::from_le_bytes) as usize;
                match class {
                    Some(b'i') => out.extend_from_slice(after.get(5..5 + length).unwrap_or_default()),
                    _ => out.push(b'?'),
                }
                after.get(5 + length..).unwrap_or_default()
            }
            2 if after.first() == Some(&b'+') => {
                out.extend_from_slice(b", ...");
                after.get(1..).unwrap_or_default()
            }
            byte => {
                out.push(byte);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}
