//! A constant hash table from words (ASCII case ignored) to values, for keywords and functions.
//! Out: allocation; the table is built by the compiler.
//! The last eight bytes of a word, with bit 5 set, are its *packed* form. Among the bytes that words are made of, this
//! bit tells apart only the cases of ASCII letters, so equal packed forms and lengths are equal words up to eight bytes.

/// Adds one byte of a word to its packed form; the lexer does it while it looks for the word's end.
#[inline(always)]
pub(super) const fn pack(packed: u64, byte: u8) -> u64 {
    packed << 8 | (byte | 0x20) as u64
}

/// The packed form of a whole word.
pub(super) const fn packed(word: &[u8]) -> u64 {
    let mut value = 0;
    let mut at = 0;
    while at < word.len() {
        value = pack(value, word[at]);
        at += 1;
    }
    value
}

/// One place of the table; length 0 marks a free one.
#[derive(Clone, Copy)]
struct Slot {
    packed: u64,
    length: u16,
    entry: u16,
}

/// `SLOTS` is a power of two, at least twice the number of entries.
pub(super) struct WordTable<V: 'static, const SLOTS: usize> {
    entries: &'static [(&'static str, V)],
    slots: [Slot; SLOTS],
}

#[inline(always)]
const fn slot(packed: u64, length: usize, slots: usize) -> usize {
    let mixed = (packed ^ length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize & (slots - 1)
}

impl<V: Copy, const SLOTS: usize> WordTable<V, SLOTS> {
    pub(super) const fn new(entries: &'static [(&'static str, V)]) -> Self {
        assert!(SLOTS.is_power_of_two() && entries.len() * 2 <= SLOTS);
        let mut slots = [Slot { packed: 0, length: 0, entry: 0 }; SLOTS];
        let mut at = 0;
        while at < entries.len() {
            let word = entries[at].0.as_bytes();
            let packed = packed(word);
            let mut place = slot(packed, word.len(), SLOTS);
            while slots[place].length != 0 {
                place = (place + 1) & (SLOTS - 1);
            }
            slots[place] = Slot { packed, length: word.len() as u16, entry: at as u16 };
            at += 1;
        }
        WordTable { entries, slots }
    }

    /// The entry of `word`, whose [`packed`] form is known.
    #[inline(always)]
    pub(super) fn find(&self, word: &[u8], packed: u64) -> Option<&'static (&'static str, V)> {
        let mut place = slot(packed, word.len(), SLOTS);
        loop {
            let slot = self.slots.get(place)?;
            if slot.length == 0 {
                return None;
            }
            if slot.packed == packed && slot.length as usize == word.len() {
                let entry = self.entries.get(slot.entry as usize)?;
                if word.len() <= 8 || entry.0.as_bytes().eq_ignore_ascii_case(word) {
                    return Some(entry);
                }
            }
            place = (place + 1) & (SLOTS - 1);
        }
    }
}
