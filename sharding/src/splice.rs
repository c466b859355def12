//! Edits of a statement's text: byte ranges replaced, everything else as the client wrote it.
//! SQL is never printed from a syntax tree. Also maps a server's error position back to the client's text.

use std::ops::Range;
use thiserror::Error;

/// One replacement. An empty range inserts before its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the original.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: Vec<u8>,
}

/// Edits that do not fit together or the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpliceError {
    /// Two edits touch the same bytes.
    #[error("edits overlap at byte {0}")]
    Overlap(usize),
    /// An edit ends behind the text, or before it starts.
    #[error("edit at byte {0} is outside the text")]
    Outside(usize),
}

/// A set of edits, ordered and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<Edit>);

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces `range` by `text`. Insertions at one place keep the order of the calls.
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<Vec<u8>>) {
        self.0.push(Edit { range, text: text.into() });
    }

    /// Inserts `text` before the byte at `at`.
    pub fn insert(&mut self, at: usize, text: impl Into<Vec<u8>>) {
        self.replace(at..at, text);
    }

    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edited text.
    ///
    /// # Errors
    /// [`SpliceError`]: the caller's mistake, never a client's.
    pub fn apply(&self, original: &[u8]) -> Result<Spliced, SpliceError> {
        let mut order: Vec<&Edit> = self.0.iter().collect();
        order.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let mut text = Vec::with_capacity(original.len() + order.iter().map(|edit| edit.text.len()).sum::<usize>());
        let mut pieces = Vec::with_capacity(order.len());
        let mut copied = 0;
        for edit in order {
            let (start, end) = (edit.range.start, edit.range.end);
            if start > end || end > original.len() {
                return Err(SpliceError::Outside(start));
            }
            if start < copied {
                return Err(SpliceError::Overlap(start));
            }
            text.extend_from_slice(original.get(copied..start).unwrap_or_default());
            let at = text.len();
            text.extend_from_slice(&edit.text);
            pieces.push(Piece { original: edit.range.clone(), rewritten: at..text.len() });
            copied = end;
        }
        text.extend_from_slice(original.get(copied..).unwrap_or_default());
        Ok(Spliced { text, positions: Positions(pieces) })
    }
}

/// The edited text and the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// What to send.
    pub text: Vec<u8>,
    /// Where its bytes come from.
    pub positions: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    original: Range<usize>,
    rewritten: Range<usize>,
}

/// Maps places of an edited text to the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<Piece>);

impl Positions {
    /// The original byte of byte `at` of the edited text; the start of the edit for bytes inside a replacement.
    pub fn original_byte(&self, at: usize) -> usize {
        let index = self.0.partition_point(|piece| piece.rewritten.start <= at);
        match index.checked_sub(1).and_then(|last| self.0.get(last)) {
            None => at,
            Some(piece) if at < piece.rewritten.end => piece.original.start,
            Some(piece) => piece.original.end + (at - piece.rewritten.end),
        }
    }

    /// PostgreSQL's error field P counts characters from 1: maps one of the edited text to one of the original.
    /// `characters` of bytes that are not UTF-8 count one each.
    pub fn original_position(&self, edited: &[u8], original: &[u8], position: usize) -> usize {
        let byte = byte_of_character(edited, position.saturating_sub(1));
        let back = self.original_byte(byte).min(original.len());
        1 + characters(original.get(..back).unwrap_or_default())
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !is_continuation(**byte)).count()
}

fn byte_of_character(bytes: &[u8], number: usize) -> usize {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| !is_continuation(**byte));
    starts.map(|(at, _)| at).nth(number).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_text_order() {
        let mut edits = Edits::new();
        edits.replace(19..21, "30");
        edits.replace(7..8, "`t_1`");
        edits.insert(8, ", hidden");
        let spliced = edits.apply(b"select a from limit 5x").expect("edits fit");
        assert_eq!(String::from_utf8_lossy(&spliced.text), "select `t_1`, hidden from limit30x");
    }

    #[test]
    fn insertions_at_one_place_keep_their_order() {
        let mut edits = Edits::new();
        edits.insert(1, "1");
        edits.insert(1, "2");
        assert_eq!(edits.apply(b"ab").expect("edits fit").text, b"a12b");
    }

    #[test]
    fn bad_edits_are_errors() {
        let mut overlap = Edits::new();
        overlap.replace(0..3, "x");
        overlap.replace(2..4, "y");
        assert_eq!(overlap.apply(b"abcdef"), Err(SpliceError::Overlap(2)));
        let mut outside = Edits::new();
        outside.replace(3..9, "x");
        assert_eq!(outside.apply(b"abc"), Err(SpliceError::Outside(3)));
    }

    #[test]
    fn positions_go_back_to_the_original() {
        let mut edits = Edits::new();
        edits.replace(7..9, "long_name");
        edits.insert(14, "??");
        let original = "select äb from öx".as_bytes();
        let mut edits_on_words = Edits::new();
        let at = original.windows(4).position(|word| word == b"from").expect("word is there");
        edits_on_words.insert(at, "/* x */ ");
        let spliced = edits_on_words.apply(original).expect("edits fit");
        let wanted = String::from_utf8_lossy(&spliced.text).chars().position(|c| c == 'ö').expect("is there") + 1;
        assert_eq!(spliced.positions.original_position(&spliced.text, original, wanted), 16);
        assert_eq!(spliced.positions.original_position(&spliced.text, original, 1), 1);
        let inside = spliced.positions.original_position(&spliced.text, original, 13);
        assert_eq!(inside, 11, "a place inside an insertion is the place of the insertion");
        assert_eq!(spliced.positions.original_position(&spliced.text, original, 9_999), 18);
    }
}
