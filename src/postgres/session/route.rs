//! From a statement to the shards it needs: schema, plan (cached), values of this execution.
//! Out: running it.

use std::sync::Arc;

use protocol::postgres::row;
use sharding::lexer::{self, Dialect, Flags, StatementKind};
use sharding::plan::{Bound, Plan, PlanContext, Refusal, RouteRule, Several};
use sharding::schema::Schema;
use sharding::value::Value;
use transaction::{Access, ShardIndex};

use super::Session;
use super::fault::Fault;
use super::sequences::Taking;
use crate::catalog::DatabaseCatalog;
use crate::config::Protocol;
use crate::error_code::MeshError;
use crate::plans::{PlanLabel, PlanScope};
use crate::postgres::execution::parameters;
use crate::postgres::settings::split_path;
use crate::postgres::statements::Lexed;

/// What a plan takes besides what grows with its text.
const PLAN_BYTES: usize = 1024;

/// What the session's plans depend on besides the statements.
#[derive(Debug)]
pub struct Scope {
    version: u64,
    dialect: Dialect,
    path: Vec<String>,
    scope: PlanScope,
}

/// Where a statement goes.
#[derive(Debug)]
pub struct Routed {
    /// What it is and does.
    pub plan: Arc<Plan>,
    /// With these values.
    pub bound: Bound,
    /// What it was planned with.
    pub schema: Arc<Schema>,
}

/// A statement's way.
#[derive(Debug)]
pub enum Way {
    /// As it came, to one shard; and what it takes there from sequences.
    One(ShardIndex, Access, Option<Box<Taking>>),
    /// To several.
    Several(Box<Routed>),
}

/// A text and its values.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The text that `lexed` describes.
    pub sql: &'a [u8],
    /// What the lexer says.
    pub lexed: &'a Lexed,
    /// Parameters, decoded.
    pub parameters: &'a [Value],
}

/// Statements that go to whatever shard the session is on: they are about the connection, not about rows.
fn is_about_connection(kind: StatementKind) -> bool {
    use StatementKind as Kind;
    matches!(
        kind,
        Kind::Set
            | Kind::Reset
            | Kind::SetTransaction
            | Kind::Show
            | Kind::Discard
            | Kind::Listen
            | Kind::Unlisten
            | Kind::Notify
            | Kind::Execute
            | Kind::Deallocate
            | Kind::Fetch
            | Kind::Close
            | Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::RollbackTo
            | Kind::Release
            | Kind::TwoPhase
    )
}

impl Session {
    /// Whether every statement goes to the one shard there is, as it came.
    pub(super) fn is_relay(&self) -> bool {
        self.config.databases.get(self.database).is_none_or(|database| {
            database.shards.len() == 1 && database.shards.iter().all(|shard| shard.database == database.name)
        })
    }

    /// The catalog of the session's logical database.
    pub(super) fn catalog(&mut self) -> Option<Arc<DatabaseCatalog>> {
        if let Some(catalog) = self.catalog.as_ref().filter(|catalog| !catalog.is_retired()) {
            return Some(Arc::clone(catalog));
        }
        let name = &self.config.databases.get(self.database)?.name;
        self.catalog = self.mesh.catalog.database(Protocol::Postgres, name);
        self.catalog.clone()
    }

    async fn schema(&mut self) -> Result<Arc<Schema>, Fault> {
        let catalog = self.catalog().ok_or_else(|| MeshError::unknown_database(Protocol::Postgres, ""))?;
        if let Some(schema) = catalog.current() {
            return Ok(schema);
        }
        let wait = catalog.ready(self.front.pools.wait_deadline());
        match self.entry.interrupt.guard_statement(wait).await {
            Ok(Ok(schema)) => Ok(schema),
            Ok(Err(error)) => {
                let shard = self.shard_name(self.default_shard());
                Err(MeshError::ShardDown { shard, cause: error.to_string() }.into())
            }
            Err(halt) => Err(self.halted(halt)),
        }
    }

    /// Where a statement goes with these values.
    pub(super) async fn way(&mut self, asked: Asked<'_>) -> Result<Way, Fault> {
        let lexed = asked.lexed;
        let access = super::simple::access_of(lexed.kind, lexed.flags);
        if self.is_relay() {
            let taking = self.taking_of_relay(asked).await?.map(Box::new);
            return Ok(Way::One(self.home_shard(), access, taking));
        }
        if is_about_connection(lexed.kind) {
            let cursor = matches!(lexed.kind, StatementKind::Fetch | StatementKind::Close);
            // Who listens and who notifies must meet.
            let meets = matches!(lexed.kind, StatementKind::Listen | StatementKind::Unlisten | StatementKind::Notify);
            let home = if meets { self.default_shard() } else { self.home_shard() };
            let shard = self.cursor_shard.filter(|_| cursor).unwrap_or(home);
            let taking = super::sequences::may_take(lexed).then(|| Box::new(Taking::anything()));
            return Ok(Way::One(shard, access, taking));
        }
        let routed = self.route(asked).await?;
        let effects = routed.plan.effects;
        let access = if effects.writes || effects.locks || effects.unknown || effects.changes_schema {
            Access::Write
        } else {
            access
        };
        match &routed.bound {
            Bound::Single { shard, anywhere } => {
                if !routed.plan.edits.is_empty() {
                    return Err(MeshError::Unsupported(
                        "dbmesh does not support table names qualified by the database".to_owned(),
                    )
                    .into());
                }
                let asks = lexed.flags.any(Flags::SEQUENCE_CURRENT);
                let home = asks.then(|| self.home_of_sequences()).flatten();
                let shard = match anywhere {
                    true if lexed.flags.any(Flags::NOTIFY) => self.default_shard(),
                    true => home.unwrap_or_else(|| self.home_shard()),
                    false => *shard,
                };
                if lexed.kind == StatementKind::Declare {
                    self.cursor_shard = Some(shard);
                }
                let taking = self.taking(asked, &routed.plan.draws).map(Box::new);
                Ok(Way::One(shard, access, taking))
            }
            Bound::Merge { .. } | Bound::Spread { .. } => Ok(Way::Several(Box::new(routed))),
            Bound::Local => Err(MeshError::Unsupported("dbmesh does not support this statement".to_owned()).into()),
        }
    }

    /// Plans a statement and binds its values.
    async fn route(&mut self, asked: Asked<'_>) -> Result<Routed, Fault> {
        let dialect = Dialect::Postgres(self.modes);
        if !asked.lexed.known {
            let error = lexer::tokens(asked.sql, dialect).err();
            let text = error.map_or_else(|| "exactly one statement is expected".to_owned(), |error| error.to_string());
            return Err(MeshError::Syntax(text).into());
        }
        if self.settings.reading().null_equals {
            // `key = NULL` would mean other rows than the route is made for.
            let text = "dbmesh does not support transform_null_equals = on with several shards";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        let (plan, schema) = self.planned(asked).await?;
        let values = parameters::Bound {
            sql: asked.sql,
            lexed: asked.lexed,
            dialect,
            parameters: asked.parameters,
            utf8: self.speaks_utf8(),
        };
        let bound = plan.bind(&schema, &values).map_err(|refusal| refused(&refusal))?;
        Ok(Routed { plan, bound, schema })
    }

    /// The plan of a statement, and the schema that it was made with.
    pub(super) async fn planned(&mut self, asked: Asked<'_>) -> Result<(Arc<Plan>, Arc<Schema>), Fault> {
        let dialect = Dialect::Postgres(self.modes);
        let mut schema = self.schema().await?;
        let path = self.search_path().await?;
        let temporary = self.temporary_tables().await?;
        let cacheable = temporary.is_empty() && !asked.lexed.flags.has(Flags::MIXED_ROWS);
        if cacheable {
            let scope = self.scope(&schema, dialect, &path).key(asked.lexed.fingerprint);
            let known = self.mesh.plans.get(self.worker.0, &scope);
            self.counters.plan(Protocol::Postgres, known.is_some());
            if let Some(plan) = known {
                return Ok((plan, schema));
            }
        }
        let text = asked.lexed.span.of(asked.sql);
        let tokens = lexer::tokens(text, dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let context = PlanContext { search_path: &path, temporary: &temporary };
        let mut plan = sharding::plan::plan(&tokens, &schema, &context);
        if plan.draws.untold && temporary.is_empty() {
            // A table that nobody has told of: it may be new.
            schema = self.newer_schema(schema).await?;
            plan = sharding::plan::plan(&tokens, &schema, &context);
        }
        let plan = Arc::new(plan);
        if cacheable {
            let label = PlanLabel {
                protocol: Protocol::Postgres,
                database: Arc::from(&*schema.database),
                kind: kind(&plan),
                statement: self.display(text),
            };
            let key = self.scope(&schema, dialect, &path).key(asked.lexed.fingerprint);
            self.mesh.plans.insert(key, Arc::clone(&plan), PLAN_BYTES + 4 * text.len(), label);
        }
        Ok((plan, schema))
    }

    /// The schema as the shards have it now; the one there is if they cannot be asked.
    async fn newer_schema(&mut self, schema: Arc<Schema>) -> Result<Arc<Schema>, Fault> {
        let Some(catalog) = self.catalog() else { return Ok(schema) };
        let wait = catalog.refresh(self.front.pools.wait_deadline());
        match self.entry.interrupt.guard_statement(wait).await {
            Ok(newer) => Ok(newer.unwrap_or(schema)),
            Err(halt) => Err(self.halted(halt)),
        }
    }

    pub(super) fn scope(&mut self, schema: &Schema, dialect: Dialect, path: &[String]) -> PlanScope {
        if let Some(known) = &self.scope
            && known.version == schema.version
            && known.dialect == dialect
            && known.path == path
        {
            return known.scope;
        }
        let key = &self.mesh.fingerprint_key;
        let scope = PlanScope::new(key, Protocol::Postgres, &schema.database, path, schema.version, dialect);
        self.scope = Some(Scope { version: schema.version, dialect, path: path.to_vec(), scope });
        scope
    }

    /// Whether the client's text is UTF-8.
    pub(super) fn speaks_utf8(&self) -> bool {
        !self.settings.reading().other_encoding
    }

    /// The schemas in which names are looked up; empty for the usual ones.
    async fn search_path(&mut self) -> Result<Vec<String>, Fault> {
        if !self.unlearnt {
            // Mostly the usual one, which costs nothing to copy.
            return Ok(self.settings.reading().path.clone());
        }
        let shard = self.home_shard();
        let index = self.enter(shard, Access::Read).await?;
        self.ask(index, b"SHOW search_path", false).await?;
        Ok(split_path(&self.first_column().pop().unwrap_or_default()))
    }

    /// The session's temporary tables, which hide others of their names.
    async fn temporary_tables(&mut self) -> Result<Vec<sharding::plan::TemporaryTable>, Fault> {
        if self.pin != Some(super::effects::TEMPORARY) {
            return Ok(Vec::new());
        }
        let Some(index) = self.held.iter().position(|held| held.lease.pipeline.is_settled()) else {
            return Ok(Vec::new());
        };
        let sql = b"SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()";
        self.ask(index, sql, false).await?;
        let shard = self.held[index].shard;
        let names = self.first_column();
        Ok(names.into_iter().map(|name| sharding::plan::TemporaryTable { name, shard }).collect())
    }

    /// The first column of the rows that a query of ours gave.
    pub(super) fn first_column(&self) -> Vec<String> {
        let mut fields = Vec::new();
        let mut column = Vec::with_capacity(self.notes.mesh_rows.len());
        for body in &self.notes.mesh_rows {
            if row::fields(body, &mut fields).is_ok()
                && let Some(bytes) = fields.first().and_then(|&field| row::field(body, field))
            {
                column.push(String::from_utf8_lossy(bytes).into_owned());
            }
        }
        column
    }
}

/// What a plan does, in a word.
fn kind(plan: &Plan) -> &'static str {
    match (&plan.route, &plan.several) {
        (RouteRule::Local, _) => "local",
        (RouteRule::Keys { uses, .. }, Several::Refuse(_)) if uses.is_empty() => "refuse",
        (_, Several::Merge(_)) => "merge",
        (_, Several::Spread(_)) => "spread",
        (_, Several::Refuse(_)) => "single",
    }
}

/// A refusal of the planner in the words of the error table.
pub fn refused(refusal: &Refusal) -> MeshError {
    let text = refusal.to_string();
    match refusal {
        Refusal::Unsupported(_) | Refusal::Ambiguous { .. } => MeshError::Unsupported(text),
        Refusal::TooComplex(_) => MeshError::Limit(text),
        Refusal::Malformed(_) => MeshError::Syntax(text),
        #[allow(unreachable_patterns)]
        _ => MeshError::Unsupported(text),
    }
}
