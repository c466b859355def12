//! `currval` and `lastval` on shared backends: no session is told a value that another one took.
//! A session that asks outside a transaction is pinned from then on; inside one, its backend is its own anyway.

use protocol::postgres::{Audience, Sent, Target, write};
use transaction::Access;

use super::Session;
use super::effects::Effects;
use super::relay::AHEAD;
use crate::postgres::backend::Sequences;

const DISCARD: &[u8] = b"DISCARD SEQUENCES";
/// The name of the statement and of the portal by which it is sent in the middle of a batch.
const NAME: &[u8] = b"dmseq";

impl Session {
    /// Before a statement with these effects is sent to a backend: makes it forget the values that others took there.
    pub(super) fn guard_sequences(&mut self, index: usize, effects: Effects, access: Access, batched: bool) {
        let me = Sequences::Of(self.entry.id);
        let held = &mut self.held[index];
        let here = (held.shard, held.lease.process_id());
        let backend = &mut *held.lease;
        let state = backend.memory.sequences;
        // Also a value of our own is forgotten, if we have taken another one elsewhere since.
        let own = state == me && self.sequences_at == Some(here);
        if (effects.takes_values || effects.asks_values) && !own && state != Sequences::Untouched {
            if batched {
                let out = &mut backend.output;
                write::parse(out, NAME, DISCARD, std::iter::empty());
                write::bind(out, NAME, NAME, &[], std::iter::empty(), &[]);
                write::execute(out, NAME, 0);
                write::close(out, Target::Portal, NAME);
                write::close(out, Target::Statement, NAME);
                for sent in [Sent::Parse, Sent::Bind, Sent::Execute, Sent::Close, Sent::Close] {
                    backend.pipeline.sent(sent, Audience::ClientErrors);
                }
            } else {
                write::query(&mut backend.output, DISCARD);
                backend.pipeline.sent(Sent::Query, AHEAD);
            }
            backend.memory.sequences = Sequences::Untouched;
        }
        if access == Access::Write {
            let memory = &mut backend.memory;
            memory.sequences = match memory.sequences {
                Sequences::Untouched => me,
                known if known == me => me,
                _ => Sequences::Mixed,
            };
            if effects.takes_values {
                self.sequences_at = Some(here);
            }
        }
    }
}
