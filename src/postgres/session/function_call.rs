//! The `FunctionCall` message, by which libpq's large objects work: to the one server that a database has.
//! Out: functions called in SQL.

use protocol::postgres::{Audience, Sent};
use transaction::Access;

use super::Session;
use super::effects::Effects;
use super::fault::{self, Fault, Stop};
use super::sequences::Taking;
use super::simple::{Done, Forwarded};
use crate::error_code::MeshError;
use crate::metrics::Tier;
use sharding::lexer::StatementKind;

/// The functions of large objects, by their numbers, which every server has: what they leave behind ends with the transaction.
const LARGE_OBJECTS: [u32; 14] = [715, 764, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172];

impl Session {
    /// Passes a call to the server, as a statement of its own.
    pub(super) async fn on_function_call(&mut self, frame: &[u8], body: &[u8]) -> Result<(), Stop> {
        let shards = self.config.databases.get(self.database).map_or(0, |database| database.shards.len());
        if shards != 1 {
            let text = "dbmesh does not support the FunctionCall message in a database of several shards";
            return self.refuse_query(&MeshError::Unsupported(text.to_owned())).await;
        }
        if self.batch.skips() {
            return Ok(());
        }
        self.settle_batch().await?;
        if self.batch.skips() {
            return Ok(());
        }
        self.notes.clear();
        self.entry.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.course.begin();
        self.course.statement(StatementKind::Call);
        match self.function_call(frame, body).await {
            Ok(Done::Server) => {}
            Ok(Done::Here) => self.ready(),
            Err(fault) => {
                self.tell_fault(fault)?;
                self.fail_transaction();
                self.ready();
            }
        }
        self.count(None);
        Ok(())
    }

    async fn function_call(&mut self, frame: &[u8], body: &[u8]) -> Result<Done, Fault> {
        self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        let number = body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let opaque = !number.is_some_and(|number| LARGE_OBJECTS.contains(&number));
        let taking = opaque.then(Taking::anything);
        let effects = Effects { untracked: opaque, settings: opaque, ..Effects::default() };
        let what = Forwarded {
            effects,
            taking: taking.as_ref(),
            asks: false,
            audience: Audience::Client,
            sent: Sent::FunctionCall,
            ready: None,
        };
        self.course.runs(Tier::Single, 1);
        self.forward(frame, self.home_shard(), Access::Write, what).await
    }
}
