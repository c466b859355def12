//! Random choices that are the same in every run with the same seed. Out: anything else.

use std::time::Duration;

/// A generator; a copy of its own for every session, so that one does not depend on how fast another is.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed of the run and the number of the user.
    pub fn new(seed: u64, user: u64) -> Self {
        Self(seed ^ user.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of some.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// A time of at most so many milliseconds, with very short ones as often as long ones.
    pub fn pause(&mut self, most_ms: u64) -> Duration {
        let most = [0, 1, most_ms / 4, most_ms][usize::try_from(self.below(4)).expect("an index")];
        Duration::from_micros(self.below(most * 1000 + 1))
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
