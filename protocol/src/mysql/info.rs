//! The text of an OK that counts what a statement did (`Records: 3  Duplicates: 0  Warnings: 0`), in whatever language the
//! server has: counts of several answers add up, the words stay.
//! Out: which answers belong together.

/// A text with counts in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What stands before, between and behind the counts: one more than there are.
    words: Vec<Vec<u8>>,
    counts: Vec<u64>,
}

impl Info {
    /// What a server says of an INSERT.
    #[must_use]
    pub fn of_insert(records: u64, duplicates: u64, warnings: u64) -> Self {
        let words = [&b"Records: "[..], b"  Duplicates: ", b"  Warnings: ", b""].map(<[u8]>::to_vec).to_vec();
        Self { words, counts: vec![records, duplicates, warnings] }
    }

    /// Reads a text; `None` if it has no counts, or such that are none.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let (mut words, mut counts) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
            let (word, tail) = rest.split_at(start);
            let end = tail.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len());
            let (digits, tail) = tail.split_at(end);
            words.push(word.to_vec());
            counts.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
            rest = tail;
        }
        words.push(rest.to_vec());
        (!counts.is_empty()).then_some(Self { words, counts })
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Adds another's counts; false if that speaks of other things.
    #[must_use]
    pub fn add(&mut self, other: &Self) -> bool {
        if self.counts.len() != other.counts.len() {
            return false;
        }
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum = sum.saturating_add(*more);
        }
        true
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (word, count) in self.words.iter().zip(&self.counts) {
            out.extend_from_slice(word);
            out.extend_from_slice(count.to_string().as_bytes());
        }
        out.extend_from_slice(self.words.last().map(Vec::as_slice).unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_words_stay() {
        let mut sum = Info::read("Datensätze: 3  Duplikate: 1  Warnungen: 0".as_bytes()).expect("counts");
        assert!(sum.add(&Info::of_insert(1, 1, 2)));
        assert_eq!(sum.text(), "Datensätze: 4  Duplikate: 2  Warnungen: 2".as_bytes());
        let matched = Info::read(b"Rows matched: 2  Changed: 1  Warnings: 0").expect("counts");
        assert_eq!(matched.counts(), [2, 1, 0]);
        assert_eq!(Info::of_insert(2, 0, 1).text(), b"Records: 2  Duplicates: 0  Warnings: 1");
    }

    #[test]
    fn texts_without_counts_are_none() {
        assert_eq!(Info::read(b""), None);
        assert_eq!(Info::read(b"done"), None);
        assert_eq!(Info::read(b"99999999999999999999999"), None);
        let mut sum = Info::of_insert(1, 0, 0);
        assert!(!sum.add(&Info::read(b"Rows: 1").expect("a count")));
    }
}
