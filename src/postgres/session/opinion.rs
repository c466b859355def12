//! Statements that we refuse, where a server would say what is wrong with them: it is asked, without running them.
//! Out: what is refused (the planner).

use protocol::postgres::{Audience, ErrorFields, Sent, write};
use transaction::Access;

use super::Session;
use super::fault::Fault;
use super::relay::Goal;
use crate::error_code::MeshError;
use crate::postgres::statements::Statement;

/// What a server can tell of a statement whatever tables it holds: syntax, columns and functions that are not there, types that
/// do not fit, grouping.
const TELLING: [&[u8; 5]; 9] =
    [b"42601", b"42701", b"42702", b"42703", b"42803", b"42804", b"42883", b"42P02", b"22P02"];

/// Whether it is worth asking.
fn may_be_wrong(refusal: &MeshError) -> bool {
    matches!(refusal, MeshError::Unsupported(_) | MeshError::Syntax(_))
}

impl Session {
    /// What the client is told instead of a refusal of a Query.
    pub(super) async fn opinion(&mut self, refusal: MeshError, sql: &[u8]) -> Fault {
        if !may_be_wrong(&refusal) {
            return refusal.into();
        }
        match self.ask_opinion(sql).await {
            Ok(Some(error)) => Fault::Server(error),
            Err(Fault::Stop(stop)) => stop.into(),
            Ok(None) | Err(_) => refusal.into(),
        }
    }

    async fn ask_opinion(&mut self, sql: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let index = self.enter(self.home_shard(), Access::Read).await?;
        let backend = &mut *self.held[index].lease;
        write::parse(&mut backend.output, b"", sql, std::iter::empty());
        write::sync(&mut backend.output);
        for sent in [Sent::Parse, Sent::Sync] {
            backend.pipeline.sent(sent, Audience::Mesh(0));
        }
        backend.memory.unnamed = None;
        self.notes.mesh_error = None;
        self.relay(index, Goal::Settled, false).await?;
        let error = self.notes.mesh_error.take();
        Ok(error.filter(|body| ErrorFields::decode(body).is_ok_and(|fields| TELLING.contains(&&fields.sqlstate()))))
    }

    /// The same for a statement in a batch: where its `Parse` has not been sent yet, the server answers that.
    pub(super) async fn opinion_in_batch(&mut self, refusal: MeshError, statement: &Statement) -> Fault {
        let deferred =
            self.batch.deferred.as_ref().is_some_and(|deferred| deferred.statement.number == statement.number);
        if !may_be_wrong(&refusal) || !deferred {
            return refusal.into();
        }
        let answered = match self.resolve_deferred(None).await {
            Ok(()) => self.flush_target().await,
            failed => failed,
        };
        match answered {
            Err(fault) => fault,
            Ok(()) if self.batch.failed => Fault::Told,
            Ok(()) => refusal.into(),
        }
    }
}
