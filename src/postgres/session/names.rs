//! The session's own names of prepared statements. Changes take effect in the order of the answers: what stands behind an
//! error did not happen.
//! Out: what the statements are.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;

use crate::postgres::statements::Statement;

/// Names of prepared statements; the unnamed one has the empty name.
#[derive(Debug, Default)]
pub struct Names {
    settled: HashMap<Vec<u8>, (Arc<Statement>, Instant)>,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    name: Vec<u8>,
    statement: Option<Arc<Statement>>,
    /// Its place among the answers that are awaited; `None` if nothing is.
    place: Option<u64>,
    since: Instant,
}

impl Names {
    /// The statement of this name, as the client will see it when everything before has been answered well.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        match self.pending.iter().rev().find(|pending| pending.name == name) {
            Some(pending) => pending.statement.as_ref(),
            None => self.settled.get(name).map(|(statement, _)| statement),
        }
    }

    /// All of them with the time since when they are there, as [`Self::get`] finds them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Arc<Statement>, Instant)> {
        let newer = |at: usize, name: &[u8]| self.pending[at..].iter().any(|pending| pending.name == name);
        let settled = (self.settled.iter())
            .filter(move |(name, _)| !newer(0, name))
            .map(|(name, (statement, since))| (name.as_slice(), statement, *since));
        let pending = (self.pending.iter().enumerate())
            .filter(move |(at, pending)| !newer(at + 1, &pending.name))
            .filter_map(|(_, pending)| Some((pending.name.as_slice(), pending.statement.as_ref()?, pending.since)));
        settled.chain(pending)
    }

    /// How many names there are, at most.
    pub fn len(&self) -> usize {
        self.settled.len() + self.pending.len()
    }

    /// A name is given (or taken away) once the answer at `place` has come.
    pub fn change(&mut self, name: &[u8], statement: Option<Arc<Statement>>, place: Option<u64>) {
        self.pending.push(Pending { name: name.to_vec(), statement, place, since: Instant::now() });
    }

    /// Everything was answered; what stands at or behind `error_at` did not happen.
    pub fn settle(&mut self, error_at: Option<u64>) {
        for pending in self.pending.drain(..) {
            if let (Some(error_at), Some(place)) = (error_at, pending.place)
                && place >= error_at
            {
                // A Parse of the unnamed statement forgets the one before, also where it fails itself.
                if place == error_at && pending.name.is_empty() {
                    self.settled.remove(b"".as_slice());
                }
                continue;
            }
            match pending.statement {
                Some(statement) => drop(self.settled.insert(pending.name, (statement, pending.since))),
                None => drop(self.settled.remove(&pending.name)),
            }
        }
    }

    /// Whether there is one of this name, for certain.
    pub fn has(&self, name: &[u8]) -> bool {
        self.settled.contains_key(name)
    }

    /// DEALLOCATE ALL, DISCARD ALL.
    pub fn clear(&mut self) {
        self.settled.clear();
        self.pending.clear();
    }

    /// DEALLOCATE of one. False if there is none.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.settled.remove(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::statements::{Lexed, Statements};

    #[test]
    fn what_stands_behind_an_error_did_not_happen() {
        let statements = Arc::new(Statements::default());
        let make = |sql: &[u8]| statements.intern(sql, Box::default(), Lexed::unknown(sql), (0, 0));
        let mut names = Names::default();
        names.change(b"a", Some(make(b"select 1")), Some(0));
        names.change(b"b", Some(make(b"select 2")), Some(3));
        names.change(b"a", None, Some(4));
        assert!(names.get(b"a").is_none() && names.get(b"b").is_some());
        names.settle(Some(3));
        assert!(names.get(b"a").is_some() && names.get(b"b").is_none());
        names.change(b"", Some(make(b"select 3")), Some(5));
        names.settle(Some(6));
        names.change(b"", Some(make(b"select 4")), Some(8));
        names.settle(Some(7));
        assert!(names.get(b"").is_some());
        names.change(b"", Some(make(b"select nothing")), Some(9));
        names.settle(Some(9));
        assert!(names.get(b"").is_none(), "the new one failed, and the old one is gone");
        names.change(b"a", None, Some(9));
        names.settle(None);
        assert_eq!(names.len(), 0);
        assert!(!names.remove(b"a"));
    }
}
