//! Portals of statements for several shards: described, executed at once or in portions; and the types of parameters,
//! which tell where a bound statement goes.
//! Out: the merge.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use protocol::postgres::frontend::{self, Bind};
use protocol::postgres::{Audience, FrontendMessage, RowDescription, Sent, Target, backend, wire, write};
use sharding::merge::Merged;
use sharding::plan::Bound;
use transaction::{Access, Status};

use super::Session;
use super::answer;
use super::batch::{Parked, Rest};
use super::fault::Fault;
use super::parts::Run;
use super::route::{Asked, Way};
use super::scatter::{put_row, wire_fault};
use crate::config;
use crate::error_code::MeshError;
use crate::postgres::execution::cells::ColumnType;
use crate::postgres::execution::parameters;
use crate::postgres::statements::Statement;

/// A part of the rows, for an Execute with a row limit.
pub struct Portion {
    /// Rows that the client wants now.
    pub most: usize,
    /// Whether the rest is kept for another Execute.
    pub keep: bool,
    /// The rest.
    pub rest: Rest,
}

impl Portion {
    /// Keeps a row for later.
    pub fn put(
        &mut self,
        row: &Merged<Arc<[u8]>>,
        visible: usize,
        columns: &[ColumnType],
        limits: &config::Limits,
    ) -> Result<(), Fault> {
        let mut message = bytes::BytesMut::new();
        put_row(&mut message, row, visible, columns).map_err(wire_fault)?;
        self.rest.bytes += message.len();
        if self.rest.rows.len() >= limits.merge_rows_max || self.rest.bytes > limits.merge_bytes_max {
            let text = "the rows left over by a row limit need more memory than limits.merge_rows_max and merge_bytes_max allow";
            return Err(MeshError::Limit(text.to_owned()).into());
        }
        self.rest.rows.push_back(message.to_vec());
        Ok(())
    }
}

impl Session {
    /// Describes a portal for several shards: its visible columns are those that one shard gives for the statement.
    pub(super) async fn describe_several(&mut self, parked: &Parked) -> Result<(), Fault> {
        self.learn_types(&parked.statement).await?;
        let Some(Some(columns)) = parked.statement.columns.get() else {
            self.say(answer::NO_DATA);
            return Ok(());
        };
        let bind = bind_of(&parked.frame)?;
        let description = RowDescription::decode(columns).map_err(wire_fault)?;
        let mut out = Vec::with_capacity(columns.len() + 8);
        let formatted: Vec<_> = (description.iter().enumerate())
            .map(|(index, column)| backend::Column { format: bind.result_formats.format_of(index), ..column })
            .collect();
        write::row_description(&mut out, formatted.into_iter());
        self.say(out);
        Ok(())
    }

    /// Executes a portal for several shards.
    pub(super) async fn execute_several(&mut self, parked: &Parked, rows_max: i32) -> Result<(), Fault> {
        self.flush().await?;
        if self.batch.failed {
            return Ok(());
        }
        let most = usize::try_from(rows_max).unwrap_or(0);
        let left = parked.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bind = bind_of(&parked.frame)?;
        let reads = matches!(parked.routed.bound, Bound::Merge { .. });
        if let Some(rest) = left {
            if !reads {
                return Err(MeshError::SpentPortal(String::from_utf8_lossy(bind.portal).into_owned()).into());
            }
            return self.execute_rest(parked, rest, most);
        }
        let statement = &parked.statement;
        let types = self.known_types(statement);
        let parameters = parameters::decode(&bind, &types, self.speaks_utf8());
        let asked = Asked { sql: &statement.sql, lexed: &statement.lexed, parameters: &parameters };
        let run = Run { asked, bind: Some(&bind), types: &types };
        if most == 0 || !reads {
            // Nothing is left over, also when the portal is executed again.
            *parked.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rest::default());
            return Box::pin(self.run_several(&run, &parked.routed)).await;
        }
        let Bound::Merge { shards } = &parked.routed.bound else { return Ok(()) };
        // Outside a transaction the portal ends with this batch, and what is left over with it.
        let keep = self.transaction.status() != Status::Idle;
        let mut portion = Portion { most, keep, rest: Rest::default() };
        let count = Box::pin(self.gather(&run, &parked.routed, shards, Some(&mut portion))).await?;
        self.end_portion(parked, portion.rest, count, most);
        Ok(())
    }

    /// Gives the client more of the rows that an earlier Execute has left over.
    fn execute_rest(&mut self, parked: &Parked, mut rest: Rest, most: usize) -> Result<(), Fault> {
        let mut count = 0;
        while (most == 0 || count < most)
            && let Some(row) = rest.rows.pop_front()
        {
            rest.bytes -= row.len();
            self.client.output.extend_from_slice(&row);
            count += 1;
        }
        if rest.cut && rest.rows.is_empty() && (most == 0 || count < most) {
            let text = "dbmesh does not support fetching more rows from several shards outside a transaction";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        self.end_portion(parked, rest, u64::try_from(count).unwrap_or(u64::MAX), most);
        Ok(())
    }

    fn end_portion(&mut self, parked: &Parked, rest: Rest, count: u64, most: usize) {
        if most > 0 && usize::try_from(count).is_ok_and(|count| count >= most) {
            write::bare(&mut self.client.output, b's');
        } else {
            write::command_complete(&mut self.client.output, format!("SELECT {count}").as_bytes());
        }
        *parked.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    /// Where a bound statement goes.
    pub(super) async fn bound_way(&mut self, statement: &Arc<Statement>, bind: &Bind<'_>) -> Result<Way, Fault> {
        if statement.lexed.placeholders > 0 && self.known_types(statement).contains(&0) {
            self.learn_types(statement).await?;
        }
        let types = self.known_types(statement);
        let parameters = parameters::decode(bind, &types, self.speaks_utf8());
        self.way(Asked { sql: &statement.sql, lexed: &statement.lexed, parameters: &parameters }).await
    }

    /// The types of a statement's parameters: as a server told them, else as the client did; 0 if neither.
    pub(super) fn known_types<'s>(&self, statement: &'s Statement) -> Cow<'s, [u32]> {
        if let Some(types) = statement.server_types.get() {
            return Cow::Borrowed(types);
        }
        let mut types = statement.types.to_vec();
        types.resize(statement.lexed.placeholders.max(types.len()), 0);
        types.into()
    }

    /// Asks a server what a statement takes and gives, unless it is known.
    pub(super) async fn learn_types(&mut self, statement: &Arc<Statement>) -> Result<(), Fault> {
        if statement.server_types.get().is_some() {
            return Ok(());
        }
        let shard = self.current_shard();
        let index = self.target(shard, Access::Read).await?;
        let place = self.held[index].lease.pipeline.place();
        self.supply(index, b"s", statement, Audience::ClientErrors).await?;
        let backend = &mut *self.held[index].lease;
        write::describe(&mut backend.output, Target::Statement, statement.name());
        backend.pipeline.sent(Sent::DescribeStatement, Audience::Mesh(0));
        self.notes.mesh_descriptions.clear();
        self.flush_target().await?;
        if let Some(body) = self.notes.mesh_error.take() {
            return Err(Fault::Server(body));
        }
        if self.batch.failed {
            let error_at = self.held_index(shard).ok().and_then(|index| self.held[index].lease.pipeline.error_at());
            let itself = error_at.is_some_and(|error_at| error_at >= place);
            if itself && self.batch.deferred.take_if(|deferred| deferred.name.is_empty()).is_some() {
                // It is the Parse that was held back which has failed: the unnamed statement before it is gone.
                self.names.remove(b"");
            }
            return Err(Fault::Told);
        }
        for (tag, body) in std::mem::take(&mut self.notes.mesh_descriptions) {
            if tag == b't' {
                let types = backend::parameter_description(&body).map_err(wire_fault)?;
                let _ = statement.server_types.set(types.iter().collect());
            } else {
                let _ = statement.columns.set((tag == b'T').then(|| body.into()));
            }
        }
        Ok(())
    }
}

fn bind_of(frame: &[u8]) -> Result<Bind<'_>, Fault> {
    let body = frame.get(wire::HEADER_BYTES..).unwrap_or_default();
    match frontend::decode(&wire::Message { tag: b'B', body, total: frame.len() }) {
        Ok(FrontendMessage::Bind(bind)) => Ok(bind),
        _ => Err(MeshError::Internal("a portal without its Bind".to_owned()).into()),
    }
}
