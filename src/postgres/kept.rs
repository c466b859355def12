//! Texts that a backend is sent again and again as parts of statements on several shards: from the second time on it keeps
//! them prepared, which spares the server reading and planning them.
//! Out: which texts may be kept (`session::scatter`), the prepared statements of clients (`statements`).

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::backend::Memory;

/// Most texts that a backend keeps.
const KEPT_MAX: usize = 16;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// How many texts a text may be followed by until it is sent again, to be kept then.
const SEEN_MAX: usize = 32;

/// By which settings a text is read, and for which schema: only where both are equal it means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The scope of the session's statements.
    pub scope: u64,
    /// The version of the schema.
    pub version: u64,
}

/// What a backend has of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing, and it stays so: the text is sent as the unnamed statement.
    Not,
    /// It is to be prepared as the statement of this number.
    Anew(u64),
    /// It is prepared as the statement of this number.
    There(u64),
}

#[derive(Debug)]
struct Text {
    sql: Box<[u8]>,
    types: Box<[u32]>,
    reading: Reading,
    number: u64,
}

/// The texts of one backend.
#[derive(Debug, Default)]
pub struct Texts {
    kept: VecDeque<Text>,
    /// Hashes of those that came last.
    seen: VecDeque<u64>,
}

impl Memory {
    /// What the backend has of a text with parameters of these types. It keeps no text beside `most` statements; `number` gives
    /// one that no other statement has.
    pub fn keep(
        &mut self,
        sql: &[u8],
        types: &[u32],
        reading: Reading,
        most: usize,
        number: impl FnOnce() -> u64,
    ) -> Kept {
        if sql.len() > TEXT_BYTES_MAX {
            return Kept::Not;
        }
        let same = |text: &Text| *text.sql == *sql && *text.types == *types && text.reading == reading;
        if let Some(at) = self.texts.kept.iter().position(same) {
            let there = self.texts.kept.get(at).map(|text| text.number).filter(|number| self.uses_again(*number));
            if let Some(number) = there {
                return Kept::There(number);
            }
            // The server was told to forget it.
            self.texts.kept.remove(at);
        } else {
            let mut hasher = DefaultHasher::new();
            (sql, types, reading).hash(&mut hasher);
            let hash = hasher.finish();
            if !self.texts.seen.contains(&hash) {
                self.texts.seen.truncate(SEEN_MAX - 1);
                self.texts.seen.push_front(hash);
                return Kept::Not;
            }
        }
        if self.statements.len() >= most {
            return Kept::Not;
        }
        let number = number();
        self.uses(number);
        self.texts.kept.truncate(KEPT_MAX);
        self.texts.kept.push_front(Text { sql: sql.into(), types: types.into(), reading, number });
        Kept::Anew(number)
    }

    /// A text that the server is to close, where more are kept than there is room for.
    pub fn surplus_text(&mut self) -> Option<u64> {
        if self.texts.kept.len() <= KEPT_MAX {
            return None;
        }
        let number = self.texts.kept.pop_back()?.number;
        self.statements.remove(&number).map(|_| number)
    }

    /// The text of this number is not prepared after all, or not any more.
    pub fn forget_text(&mut self, number: u64) {
        self.statements.remove(&number);
        self.texts.kept.retain(|text| text.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading = Reading { scope: 1, version: 1 };

    #[test]
    fn a_text_is_kept_from_its_second_time_on_and_only_as_it_was_read() {
        let mut memory = Memory::default();
        let mut last = 0;
        let mut keep = |memory: &mut Memory, sql: &[u8], reading| {
            memory.keep(sql, &[], reading, 100, || {
                last += 1;
                last
            })
        };
        assert_eq!(keep(&mut memory, b"a", READING), Kept::Not);
        assert_eq!(keep(&mut memory, b"a", READING), Kept::Anew(1));
        assert_eq!(keep(&mut memory, b"a", READING), Kept::There(1));
        let other = Reading { scope: 2, ..READING };
        assert_eq!(keep(&mut memory, b"a", other), Kept::Not);
        assert_eq!(keep(&mut memory, b"a", other), Kept::Anew(2));
        assert_eq!(keep(&mut memory, b"a", READING), Kept::There(1));
        // DEALLOCATE ALL.
        memory.statements.clear();
        assert_eq!(keep(&mut memory, b"a", READING), Kept::Anew(3));
        memory.forget_text(3);
        assert_eq!(keep(&mut memory, b"a", READING), Kept::Anew(4));
        assert_eq!(keep(&mut memory, &[b'x'; TEXT_BYTES_MAX + 1], READING), Kept::Not);
        assert_eq!(keep(&mut memory, &[b'x'; TEXT_BYTES_MAX + 1], READING), Kept::Not);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut memory = Memory::default();
        let mut closed = Vec::new();
        for number in 0..100 {
            let sql = format!("SELECT {number}").into_bytes();
            assert_eq!(memory.keep(&sql, &[], READING, 100, || number), Kept::Not);
            assert_eq!(memory.keep(&sql, &[], READING, 100, || number), Kept::Anew(number));
            closed.extend(memory.surplus_text());
        }
        assert_eq!(closed, (0..100 - KEPT_MAX as u64).collect::<Vec<_>>());
        assert_eq!((memory.texts.kept.len(), memory.statements.len()), (KEPT_MAX, KEPT_MAX));
        assert!(memory.texts.seen.len() <= SEEN_MAX);
        // Nor beside as many statements as a backend may have.
        for _ in 0..3 {
            assert_eq!(memory.keep(b"SELECT", &[], READING, KEPT_MAX, || 100), Kept::Not);
        }
        assert_eq!(memory.keep(b"SELECT", &[], READING, KEPT_MAX + 1, || 100), Kept::Anew(100));
    }
}
