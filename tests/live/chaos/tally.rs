//! What was found: how much went through, and everything that a session got which was not its own.
//! Out: how it is found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Rows of another session, or other rows than there are.
    Row,
    /// A setting, variable or id that this session has not.
    Setting,
    /// An error that this session has not caused.
    Error,
    /// The answer to another statement of this session, or of none.
    Order,
}

/// Only so many are kept in words.
const KEPT: usize = 12;

/// The counts of one run.
#[derive(Debug, Default)]
pub struct Tally {
    answers: AtomicU64,
    rows: AtomicU64,
    rude: AtomicU64,
    lost: AtomicU64,
    wrong: [AtomicU64; 4],
    words: Mutex<Vec<String>>,
}

impl Tally {
    /// An answer with so many rows was checked.
    pub fn answer(&self, rows: usize) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// A rude client has done its deed.
    pub fn rude(&self) {
        self.rude.fetch_add(1, Ordering::Relaxed);
    }

    /// A well-behaved session failed as it may when a server dies.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Something is wrong.
    pub fn wrong(&self, what: Wrong, words: String) {
        self.wrong[what as usize].fetch_add(1, Ordering::Relaxed);
        let mut all = self.words.lock().expect("words");
        if all.len() < KEPT {
            all.push(format!("{what:?}: {words:.600}"));
        }
    }

    /// Something is wrong unless both are the same.
    pub fn same<T: PartialEq + std::fmt::Debug>(&self, what: Wrong, about: &str, got: &T, expected: &T) {
        if got != expected {
            self.wrong(what, format!("{about}: got {got:?}, expected {expected:?}"));
        }
    }

    /// Nothing was wrong, and there was something to see.
    pub fn judge(&self, about: &str) {
        let [answers, rows, rude, lost] =
            [&self.answers, &self.rows, &self.rude, &self.lost].map(|count| count.load(Ordering::Relaxed));
        let [row, setting, error, order] = [0, 1, 2, 3].map(|at: usize| self.wrong[at].load(Ordering::Relaxed));
        let words = self.words.lock().expect("words").join("\n");
        eprintln!(
            "{about}: {answers} answers with {rows} rows checked beside {rude} rude clients; foreign rows {row}, foreign \
             settings {setting}, foreign errors {error}, answers out of order {order}; {lost} lost with a server"
        );
        assert_eq!([row, setting, error, order], [0; 4], "{about}: foreign rows, settings, errors, order\n{words}");
        assert!(answers > 50 && rows > 500 && rude > 10, "{about}: too little happened");
    }
}
