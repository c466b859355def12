//! One operator's session: runs statements against the source, remembers what USE chose. The same behind both protocols.
//! Out: bytes.

use std::sync::Arc;

use crate::config::{Config, Protocol};
use crate::error_code::MeshError;

use super::grammar::{self, Item, ShardName, Statement, Target};
use super::rows::{AdminRows, Column, Value};
use super::source::{AdminSource, ShardPlace};
use super::{DATABASE, by_clients, tables};

/// What a statement gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Rows.
    Rows(AdminRows),
    /// Done, nothing to show; the tag is what PostgreSQL's CommandComplete says.
    Done(&'static str),
}

/// An operator's session.
pub struct AdminSession {
    source: Arc<dyn AdminSource>,
    id: u32,
    user: String,
    protocol: Protocol,
    target: Option<(Protocol, String)>,
    in_transaction: bool,
}

impl AdminSession {
    /// A session of `user`, who came by `protocol`.
    pub fn new(source: Arc<dyn AdminSource>, id: u32, user: &str, protocol: Protocol) -> Self {
        Self { source, id, user: user.to_owned(), protocol, target: None, in_transaction: false }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What `SELECT DATABASE()` says.
    pub(super) fn database(&self) -> String {
        match &self.target {
            Some((protocol, name)) => format!("{protocol}.{name}"),
            None => DATABASE.to_owned(),
        }
    }

    /// Whether the client opened a transaction; nothing depends on it but what PostgreSQL clients are told.
    pub(super) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Back to the state after login.
    pub(super) fn reset(&mut self) {
        self.target = None;
        self.in_transaction = false;
    }

    /// Runs every statement of `text`, up to the first that fails. No statement at all gives no answer.
    pub async fn run(&mut self, text: &str) -> (Vec<Answer>, Option<MeshError>) {
        let statements = match grammar::parse(text) {
            Ok(statements) => statements,
            Err(error) => return (Vec::new(), Some(error)),
        };
        if statements.len() > 1 && self.protocol == Protocol::MySql {
            // The admin greeting offers no multi-statements: passing them on would open SQL injection.
            let error = "expected the end of the statement, found another one behind ';'".to_owned();
            return (Vec::new(), Some(MeshError::Syntax(error)));
        }
        let mut answers = Vec::new();
        for statement in statements {
            match self.answer(statement).await {
                Ok(answer) => answers.push(answer),
                Err(error) => return (answers, Some(error)),
            }
        }
        (answers, None)
    }

    /// The columns that `text` will give, without running it: `None` for no rows.
    ///
    /// # Errors
    /// The text is no statement, or more than one.
    pub fn describe(&self, text: &str) -> Result<Option<Vec<Column>>, MeshError> {
        let mut statements = grammar::parse(text)?;
        if statements.len() > 1 {
            return Err(MeshError::Syntax("cannot insert multiple commands into a prepared statement".to_owned()));
        }
        Ok(statements.pop().and_then(|statement| match statement {
            Statement::Show(table) => Some(tables::columns(table)),
            Statement::ExplainRoute { .. } => Some(vec![Column::text("plan")]),
            Statement::Reload => Some(reload_columns()),
            Statement::Help => Some(tables::help().columns),
            Statement::ShowSetting(name) => Some(by_clients::setting(&name).columns),
            Statement::Select(items) => Some(self.select(&items).columns),
            _ => None,
        }))
    }

    async fn answer(&mut self, statement: Statement) -> Result<Answer, MeshError> {
        Ok(match statement {
            Statement::Show(table) => Answer::Rows(tables::show(table, self.source.as_ref())),
            Statement::ExplainRoute { target, sql } => {
                let (protocol, database) = self.explained(target.as_ref())?;
                let lines = self.source.explain_route(protocol, &database, &sql).await?;
                Answer::Rows(AdminRows::lines("plan", lines))
            }
            Statement::Use(target) => {
                self.use_database(&target)?;
                Answer::Done("USE")
            }
            Statement::Reload => Answer::Rows(self.reload().await?),
            Statement::KillSession(id) => {
                if !self.source.kill_session(id) {
                    return Err(MeshError::UnknownSession(u64::from(id)));
                }
                tracing::info!(admin = %self.user, session = id, "session killed");
                Answer::Done("KILL SESSION")
            }
            Statement::Pause(name) => {
                let shard = self.shard(&name)?;
                self.source.pause_shard(&shard).await?;
                tracing::info!(admin = %self.user, database = shard.database, shard = shard.name, "shard paused");
                Answer::Done("PAUSE SHARD")
            }
            Statement::Resume(name) => {
                let shard = self.shard(&name)?;
                self.source.resume_shard(&shard);
                tracing::info!(admin = %self.user, database = shard.database, shard = shard.name, "shard resumed");
                Answer::Done("RESUME SHARD")
            }
            Statement::Shutdown => {
                tracing::info!(admin = %self.user, "shutdown ordered");
                self.source.shutdown();
                Answer::Done("SHUTDOWN")
            }
            Statement::Help => Answer::Rows(tables::help()),
            Statement::Begin => {
                self.in_transaction = true;
                Answer::Done("BEGIN")
            }
            Statement::End(tag) => {
                self.in_transaction = false;
                Answer::Done(tag)
            }
            Statement::Ignored(tag) => Answer::Done(tag),
            Statement::ShowSetting(name) => Answer::Rows(by_clients::setting(&name)),
            Statement::Select(items) => Answer::Rows(self.select(&items)),
        })
    }

    /// Chooses the logical database that EXPLAIN ROUTE plans for; `admin` chooses none.
    pub(super) fn use_database(&mut self, target: &Target) -> Result<(), MeshError> {
        self.target = match target {
            Target { protocol: None, database } if database.eq_ignore_ascii_case(DATABASE) => None,
            _ => Some(found(&self.source.config(), target)?),
        };
        Ok(())
    }

    /// As [`AdminSession::use_database`], with the name as a client gives it at login: `admin`, `shop`, `mysql.shop`.
    pub(super) fn use_named(&mut self, name: &str) -> Result<(), MeshError> {
        let known = name.split_once('.').and_then(|(word, rest)| Some((Protocol::from_word(word)?, rest)));
        let target = match known {
            Some((protocol, database)) => Target { protocol: Some(protocol), database: database.to_owned() },
            None => Target { protocol: None, database: name.to_owned() },
        };
        self.use_database(&target)
    }

    /// The logical database to explain for: as written, or as chosen by USE, or the only one.
    fn explained(&self, target: Option<&Target>) -> Result<(Protocol, String), MeshError> {
        if let Some(target) = target {
            return found(&self.source.config(), target);
        }
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let config = self.source.config();
        match config.databases.as_slice() {
            [only] => Ok((only.protocol, only.name.clone())),
            several => {
                let names: Vec<String> = several.iter().map(|d| format!("{}.{}", d.protocol, d.name)).collect();
                Err(MeshError::Syntax(format!(
                    "expected FOR <database> after EXPLAIN ROUTE, or USE <database> before it; there are: {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// The shard that is meant: of the database as written, or as chosen by USE, or the only one of that name.
    fn shard(&self, name: &ShardName) -> Result<ShardPlace, MeshError> {
        let config = self.source.config();
        let within = match &name.target {
            Some(target) => Some(found(&config, target)?),
            None => self.target.clone(),
        };
        let mut places = Vec::new();
        for (database_index, database) in config.databases.iter().enumerate() {
            if within.as_ref().is_some_and(|(protocol, name)| *protocol != database.protocol || *name != database.name)
            {
                continue;
            }
            if let Some(index) = database.shards.iter().position(|shard| shard.name == name.shard) {
                let (protocol, database) = (database.protocol, database.name.clone());
                places.push(ShardPlace { protocol, database, name: name.shard.clone(), database_index, index });
            }
        }
        if places.len() > 1 {
            let names: Vec<String> =
                places.iter().map(|place| format!("FOR {}.{}", place.protocol, place.database)).collect();
            let error = format!("several databases have a shard '{}': expected {}", name.shard, names.join(" or "));
            return Err(MeshError::Syntax(error));
        }
        places
            .pop()
            .ok_or_else(|| MeshError::UnknownShard(format!("Unknown shard '{}' (names: SHOW SHARDS)", name.shard)))
    }

    async fn reload(&self) -> Result<AdminRows, MeshError> {
        let reloaded = self.source.reload().await;
        let changes = reloaded.map_err(|why| MeshError::BadSetting(format!("nothing is changed: {why}")))?;
        tracing::info!(admin = %self.user, live = ?changes.live, restart = ?changes.restart, "configuration reloaded");
        let mut rows = AdminRows::new(reload_columns());
        for (settings, applied) in [(changes.live, "now"), (changes.restart, "after a restart")] {
            for setting in settings {
                rows.push([setting.into(), applied.into()]);
            }
        }
        Ok(rows)
    }

    fn select(&self, items: &[Item]) -> AdminRows {
        let (columns, row): (Vec<Column>, Vec<Value>) = items
            .iter()
            .map(|item| {
                let (kind, value) = by_clients::value(&item.value, self);
                (Column { name: item.label.clone(), kind }, value)
            })
            .unzip();
        AdminRows { columns, rows: vec![row] }
    }
}

fn reload_columns() -> Vec<Column> {
    vec![Column::text("setting"), Column::text("applied")]
}

/// The logical database that a target names.
fn found(config: &Config, target: &Target) -> Result<(Protocol, String), MeshError> {
    let fits = |d: &&crate::config::Database| {
        d.name == target.database && target.protocol.is_none_or(|protocol| d.protocol == protocol)
    };
    let mut all = config.databases.iter().filter(fits);
    match (all.next(), all.next()) {
        (Some(one), None) => Ok((one.protocol, one.name.clone())),
        (Some(_), Some(_)) => Err(MeshError::Syntax(format!(
            "'{0}' is served by both protocols: expected mysql.{0} or postgres.{0}",
            target.database
        ))),
        (None, _) => Err(MeshError::UnknownDatabase(match target.protocol {
            Some(protocol) => format!("Unknown database '{protocol}.{}'", target.database),
            None => format!("Unknown database '{}'", target.database),
        })),
    }
}
