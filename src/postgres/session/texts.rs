//! The texts that a session has prepared lately: drivers without statement caches send the same few again and again.
//! Out: names (`names`); what a text means.

use std::sync::Arc;

use protocol::postgres::frontend::Parse;

use crate::postgres::statements::Statement;

/// So many are remembered.
const KEPT_MAX: usize = 8;
/// Longer texts are not worth being kept in memory for each session.
const BYTES_MAX: usize = 4 << 10;

/// Statements by their texts.
#[derive(Debug, Default)]
pub struct Texts {
    list: Vec<Arc<Statement>>,
    /// The next to be replaced.
    next: usize,
}

impl Texts {
    /// The statement that this message prepares, if it was prepared lately and still means the same; `read` and `epoch` as
    /// for [`Statement::is_of`].
    pub fn find(&self, parse: &Parse<'_>, read: (u64, u64), epoch: u64) -> Option<&Arc<Statement>> {
        self.list.iter().find(|known| *known.sql == *parse.sql && known.is_of(parse.types.iter(), read, epoch))
    }

    /// Remembers a statement.
    pub fn keep(&mut self, statement: &Arc<Statement>) {
        if statement.sql.len() > BYTES_MAX {
            return;
        }
        match self.list.get_mut(self.next) {
            Some(oldest) => *oldest = Arc::clone(statement),
            None => self.list.push(Arc::clone(statement)),
        }
        self.next = (self.next + 1) % KEPT_MAX;
    }
}

#[cfg(test)]
mod tests {
    use protocol::postgres::frontend::Oids;

    use super::*;
    use crate::postgres::statements::{Lexed, Statements};

    #[test]
    fn a_text_is_found_until_it_means_something_else_or_others_push_it_out() {
        let statements = Arc::new(Statements::default());
        let make = |sql: &[u8]| statements.intern(sql, Box::default(), Lexed::unknown(sql), (1, 1));
        let parse = |sql: &'static [u8]| Parse { name: b"", sql, types: Oids::default() };
        let mut texts = Texts::default();
        let first = make(b"select 1");
        texts.keep(&first);
        assert!(texts.find(&parse(b"select 1"), (1, 1), 0).is_some_and(|found| Arc::ptr_eq(found, &first)));
        assert!(texts.find(&parse(b"select 2"), (1, 1), 0).is_none());
        assert!(texts.find(&parse(b"select 1"), (2, 1), 0).is_none(), "other settings");
        assert!(texts.find(&parse(b"select 1"), (1, 2), 0).is_none(), "another schema");
        assert!(texts.find(&parse(b"select 1"), (1, 1), 1).is_none(), "DDL ran");
        for number in 0..KEPT_MAX {
            texts.keep(&make(format!("select 10{number}").as_bytes()));
        }
        assert!(texts.find(&parse(b"select 1"), (1, 1), 0).is_none());
        assert!(texts.find(&parse(b"select 107"), (1, 1), 0).is_some());
    }
}
