//! What MySQL fixes when a statement is prepared, wherever it runs later: how its text is read (sql_mode, character sets)
//! and what its names without a schema mean. Out: running it; everything else is as the session is set when it runs.

use std::sync::Arc;

use sharding::lexer::Dialect;

use super::state::FIXED_AT_PREPARE;
use super::trouble::Outcome;
use super::{MeshError, Session};
use crate::mysql::memory::Settings;

/// The part of a session's state that a statement keeps.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    dialect: Dialect,
    settings: Arc<Settings>,
    schema: Option<Arc<[u8]>>,
    system_schema: bool,
    database: usize,
}

impl Fixed {
    /// Whether nothing was set since, as far as that is quickly seen.
    fn is_certainly(&self, settings: &Arc<Settings>, schema: Option<&Arc<[u8]>>) -> bool {
        let same_schema = match (&self.schema, schema) {
            (Some(then), Some(now)) => Arc::ptr_eq(then, now),
            (then, now) => then.is_none() && now.is_none(),
        };
        same_schema && Arc::ptr_eq(&self.settings, settings)
    }
}

impl Session {
    /// What a statement that is prepared now keeps.
    pub(super) fn fixed_now(&self) -> Fixed {
        Fixed {
            dialect: self.state.dialect(),
            settings: Arc::clone(&self.state.settings),
            schema: self.state.schema.clone(),
            system_schema: self.state.system_schema,
            database: self.database(),
        }
    }

    /// Makes a statement be read as when it was prepared, until [`Session::read_as_now`]; `key` is what was fixed then.
    ///
    /// # Errors
    /// It belongs to another logical database, whose shards are others.
    pub(super) fn read_as_then(&mut self, fixed: &mut Fixed, key: &[u8]) -> Result<(), MeshError> {
        self.reads_as = None;
        let here = self.database();
        if fixed.database == here && fixed.is_certainly(&self.state.settings, self.state.schema.as_ref()) {
            return Ok(());
        }
        if fixed.database != here && !self.are_one(fixed.database, here) {
            let text =
                "running a statement that was prepared in another database, which is on other servers or sharded";
            return Err(MeshError::Unsupported(text.to_owned()));
        }
        if fixed.database == here && *key == *self.state.fixed_at_prepare() {
            *fixed = self.fixed_now();
            return Ok(());
        }
        self.reads_as = Some(Box::new(fixed.clone()));
        Ok(())
    }

    /// Statements are read as the session is set.
    pub(super) fn read_as_now(&mut self) {
        self.reads_as = None;
    }

    /// How the statement that runs is read.
    pub(super) fn dialect(&self) -> Dialect {
        self.reads_as.as_ref().map_or_else(|| self.state.dialect(), |fixed| fixed.dialect)
    }

    /// The schema of names without one, in the statement that runs, as the client knows it.
    pub(super) fn schema_of_names(&self) -> Option<&Arc<[u8]>> {
        self.reads_as.as_ref().map_or(self.state.schema.as_ref(), |fixed| fixed.schema.as_ref())
    }

    /// Whether names without a schema mean tables of the logical database, in the statement that runs.
    pub(super) fn in_own_schema(&self) -> bool {
        match &self.reads_as {
            Some(fixed) => fixed.schema.is_some() && !fixed.system_schema,
            None => self.state.schema.is_some() && !self.state.system_schema,
        }
    }

    /// Sets a backend to what the statement that runs was prepared under; true: it has to be brought back.
    pub(super) async fn bring_to_prepare(&mut self, index: usize) -> Outcome<bool> {
        let Some(fixed) = self.reads_as.take() else { return Ok(false) };
        let brought = self.bring_to(index, &fixed).await;
        self.reads_as = Some(fixed);
        brought.map(|()| true)
    }

    async fn bring_to(&mut self, index: usize, fixed: &Fixed) -> Outcome<()> {
        let mut settings = Settings::clone(&self.state.settings);
        for name in FIXED_AT_PREPARE {
            match fixed.settings.variables.get(name.as_bytes()) {
                Some(value) => settings.variables.insert(name.as_bytes().into(), value.clone()),
                None => settings.variables.remove(name.as_bytes()),
            };
        }
        // A server never goes back to no schema, and without one every name had its own.
        if fixed.schema.is_some() {
            let schema = if fixed.database == self.database() {
                self.physical_schema(index, fixed.schema.as_ref(), fixed.system_schema)
            } else {
                fixed.schema.clone()
            };
            self.bring_to_schema(index, schema).await?;
        }
        self.bring_to_settings(index, Arc::new(settings)).await
    }

    /// Whether two logical databases lie beside each other on one server, under their own names.
    fn are_one(&self, one: usize, other: usize) -> bool {
        let config = self.config();
        let server = |number: usize| match config.databases.get(number).map(|found| (&found.name, &*found.shards)) {
            Some((name, [shard])) if shard.database == *name => Some(shard.server),
            _ => None,
        };
        server(one).is_some_and(|found| server(other) == Some(found))
    }
}
