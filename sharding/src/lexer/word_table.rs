//! A constant hash table from words (ASCII case ignored) to values, for keywords and functions.
//! Out: allocation; the table is built by the compiler.

/// Mixes one byte of a word into its hash; the lexer does it while it looks for the word's end.
pub(super) const fn mix(hash: u64, byte: u8) -> u64 {
    hash.rotate_left(5) ^ (byte | 0x20) as u64
}

/// The hash of a whole word.
pub(super) const fn hash(word: &[u8]) -> u64 {
    let mut hash = 0;
    let mut at = 0;
    while at < word.len() {
        hash = mix(hash, word[at]);
        at += 1;
    }
    hash
}

/// `SLOTS` is a power of two, at least twice the number of entries. Zero marks a free slot.
pub(super) struct WordTable<V: 'static, const SLOTS: usize> {
    entries: &'static [(&'static str, V)],
    slots: [u16; SLOTS],
}

const fn slot(hash: u64, slots: usize) -> usize {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & (slots - 1)
}

impl<V: Copy, const SLOTS: usize> WordTable<V, SLOTS> {
    pub(super) const fn new(entries: &'static [(&'static str, V)]) -> Self {
        assert!(SLOTS.is_power_of_two() && entries.len() * 2 <= SLOTS);
        let mut slots = [0u16; SLOTS];
        let mut at = 0;
        while at < entries.len() {
            let mut place = slot(hash(entries[at].0.as_bytes()), SLOTS);
            while slots[place] != 0 {
                place = (place + 1) & (SLOTS - 1);
            }
            at += 1;
            slots[place] = at as u16;
        }
        WordTable { entries, slots }
    }

    /// The value of `word`, whose [`hash`] is known.
    #[inline]
    pub(super) fn find(&self, word: &[u8], hash: u64) -> Option<V> {
        let mut place = slot(hash, SLOTS);
        loop {
            let (text, value) = self.entries.get((*self.slots.get(place)? as usize).checked_sub(1)?)?;
            if text.as_bytes().eq_ignore_ascii_case(word) {
                return Some(*value);
            }
            place = (place + 1) & (SLOTS - 1);
        }
    }
}
