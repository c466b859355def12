//! Settings changed inside a transaction that spans shards: the other shards get them before their next statement, as the
//! server itself tells them. What ROLLBACK or COMMIT makes of them each server knows for itself.
//! Out: settings outside transactions (`held`, `settle`).

use transaction::ShardIndex;

use super::Session;
use super::fault::Fault;

impl Session {
    /// Makes the settings of a shard's backend, inside a transaction, those of the shard where they were changed last.
    pub(super) async fn align(&mut self, shard: ShardIndex) -> Result<(), Fault> {
        let Some(source) = self.set_on.filter(|source| *source != shard) else { return Ok(()) };
        if !self.unlearnt || !self.is_branch(source) || !self.is_branch(shard) {
            return Ok(());
        }
        let index = self.held_index(shard)?;
        if self.held[index].aligned == self.set_epoch {
            return Ok(());
        }
        let wanted = {
            let index = self.held_index(source)?;
            self.read_settings(index).await?
        };
        let index = self.held_index(shard)?;
        let has = self.read_settings(index).await?;
        let index = self.held_index(shard)?;
        if let Some(sql) = has.change_to(&wanted) {
            self.held[index].lease.memory.unlearnt = true;
            self.ask(index, &sql, false).await?;
        }
        let index = self.held_index(shard)?;
        self.held[index].aligned = self.set_epoch;
        Ok(())
    }

    fn is_branch(&self, shard: ShardIndex) -> bool {
        self.transaction.branches().iter().any(|branch| branch.shard == shard)
    }

    /// Before a backend of another shard is taken outside a transaction: what the last statements have set must be known.
    pub(super) async fn learn_before_taking(&mut self) -> Result<(), Fault> {
        if !self.unlearnt || !self.transaction.branches().is_empty() {
            return Ok(());
        }
        let source = self.set_on.and_then(|shard| self.held.iter().position(|held| held.shard == shard));
        let Some(index) = source else { return Ok(()) };
        if self.batch.unsynced.contains(&self.held[index].shard) {
            let text = "dbmesh does not support a change of settings and a statement for another shard in one pipeline";
            return Err(crate::error_code::MeshError::Unsupported(text.to_owned()).into());
        }
        if self.held[index].lease.pipeline.is_clean() {
            self.learn(index).await?;
            (self.unlearnt, self.meaning.doubt) = (false, false);
        }
        Ok(())
    }
}
