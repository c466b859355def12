//! Where an answer stands in its exchange: which sequence number the next packet to the client has.
//! Out: the packets.

use super::Session;
use super::trouble::Trouble;
use crate::error_code::MeshError;
use crate::interrupt::Reason;

/// Where an answer of ours stands in the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Sequence number of the next packet.
    pub sequence: u8,
    /// Whether another result follows (several statements in one text).
    pub more: bool,
}

impl Session {
    /// Tells the client why its session ends, if it can be told.
    pub(super) async fn say_farewell(&mut self, trouble: Trouble) -> Trouble {
        let error = match &trouble {
            Trouble::Interrupted(Reason::Drain) => MeshError::Shutdown,
            Trouble::Interrupted(_) => MeshError::SessionKilled,
            Trouble::Broken(error) => error.clone(),
            _ => return trouble,
        };
        if self.next.is_some() {
            self.tell_error(self.after_what_was_told(), &error);
            let _ = self.client.flush().await;
        }
        trouble
    }

    /// A command came: its answer begins with this sequence number.
    pub(super) fn answers_from(&mut self, sequence: u8) {
        self.first = sequence;
        self.next = Some(sequence);
    }

    /// Where the answer to the command begins.
    pub(super) fn first(&self) -> Place {
        Place { sequence: self.first, more: false }
    }

    /// The client has got whole packets up to before this sequence number.
    pub(super) fn told_up_to(&mut self, sequence: u8) {
        self.next = Some(sequence);
    }

    /// Where an error stands that ends what the client has got so far.
    pub(super) fn after_what_was_told(&self) -> Place {
        Place { sequence: self.next.unwrap_or(self.first), more: false }
    }
}
