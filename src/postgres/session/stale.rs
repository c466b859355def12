//! Prepared statements after DDL that changed what they return, whoever ran it. A server refuses to run such a one; prepared
//! anew it runs, and gives other columns. Which a client may get depends on what it was told.
//! Out: how a server's error is noticed (`relay`), which statements are the same (`postgres::statements`).

use std::sync::Arc;

use protocol::postgres::frontend::Bind;
use protocol::postgres::{Audience, ErrorFields, Sent, write};
use transaction::Status;

use super::Session;
use super::fault::Fault;
use super::relay::Goal;
use crate::postgres::statements::Statement;

/// The function of the server that finds it: clients know the error by it.
const FOUND_BY: &[u8] = b"RevalidateCachedQuery";
/// The error, as a server tells it.
const ERROR: &[u8] =
    b"SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0Fplancache.c\0RRevalidateCachedQuery\0\0";

/// Whether an error says that DDL changed what a prepared statement returns.
pub fn is_stale(fields: &ErrorFields<'_>) -> bool {
    fields.sqlstate() == *b"0A000" && fields.get(b'R') == Some(FOUND_BY)
}

impl Session {
    /// The statement anew, for a client that asks for the columns behind this Bind. One that does not would read the rows by
    /// the columns that it was told before, so that it gets the server's error.
    pub(super) fn renewed(&mut self, name: &[u8], statement: &Statement) -> Result<Arc<Statement>, Fault> {
        if !self.batch.described {
            return Err(Fault::Server(ERROR.to_vec()));
        }
        Ok(self.anew(name, statement))
    }

    fn anew(&mut self, name: &[u8], statement: &Statement) -> Arc<Statement> {
        let renewed = self.statement_like(statement, &statement.sql);
        let place = self.place();
        self.names.change(name, Some(Arc::clone(&renewed)), place);
        renewed
    }

    /// Before a statement is run for the first time whose Parse the backend was spared, because it had the statement of other
    /// sessions: a server would not have refused it to this client, for which it is new. Costs a trip, once.
    pub(super) async fn prove(
        &mut self,
        index: usize,
        statement: Arc<Statement>,
        bind: &Bind<'_>,
    ) -> Result<Arc<Statement>, Fault> {
        let Some(at) = self.unproven.iter().position(|number| *number == statement.number) else {
            return Ok(statement);
        };
        self.unproven.swap_remove(at);
        let alone = self.transaction.status() == Status::Idle && self.transaction.branches().is_empty();
        if !alone || self.batch.executed || !self.batch.described || bind.statement.is_empty() {
            return Ok(statement);
        }
        self.flush_target().await?;
        if self.batch.failed {
            return Err(Fault::Told);
        }
        let backend = &mut *self.held[index].lease;
        write::bind_as(&mut backend.output, b"", statement.name(), bind.tail);
        write::sync(&mut backend.output);
        for sent in [Sent::Bind, Sent::Sync] {
            backend.pipeline.sent(sent, Audience::Mesh(0));
        }
        self.notes.mesh_error = None;
        self.relay(index, Goal::Settled, false).await?;
        // Whatever else is wrong is told by the Bind itself.
        let error = self.notes.mesh_error.take();
        if !error.is_some_and(|body| ErrorFields::decode(&body).is_ok_and(|fields| is_stale(&fields))) {
            return Ok(statement);
        }
        statement.set_stale();
        self.front.statements.schema_changed();
        if let Some(catalog) = self.catalog() {
            catalog.suspect();
        }
        // The stale one stays on the backend for those who were told its columns; no other session gets a stale one's place.
        let renewed = self.anew(bind.statement, &statement);
        self.supply(index, bind.statement, &renewed, Audience::ClientErrors).await?;
        Ok(renewed)
    }
}
