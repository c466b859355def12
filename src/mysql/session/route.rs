//! From a statement to the shards it needs: schema, plan (cached), values of this execution.
//! Out: running it.

use std::sync::Arc;

use sharding::lexer::{self, Dialect, Flags, Literal, LiteralClass, ScannedStatement};
use sharding::plan::{Bound, Plan, PlanContext, Several, Values, literal};
use sharding::schema::Schema;
use sharding::value::Value;

use super::trouble::Outcome;
use super::{MeshError, Session};
use crate::catalog::DatabaseCatalog;
use crate::config::Protocol;
use crate::mysql::execution::parameters::text;
use crate::plans::{PlanLabel, PlanScope};

/// What a cached plan takes, besides what grows with its text.
const PLAN_BYTES: usize = 1024;

/// One statement as the lexer saw it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    /// Its text.
    pub sql: &'a [u8],
    /// What it is; its span is that of `sql`.
    pub scanned: &'a ScannedStatement,
    /// Its literals.
    pub literals: &'a [Literal],
    /// The text in which the literals stand: that of all statements that came together.
    pub whole: &'a [u8],
}

/// Where a statement goes.
#[derive(Debug)]
pub(super) struct Routed {
    /// What it is and does.
    pub plan: Arc<Plan>,
    /// With these values.
    pub bound: Bound,
    /// What it was planned with.
    pub schema: Arc<Schema>,
}

/// The schema that a session plans with.
#[derive(Debug, Default)]
pub(super) struct Catalogued {
    catalog: Option<(usize, Arc<DatabaseCatalog>)>,
    scope: Option<Scope>,
}

/// The part of a plan's key that a session computes once.
#[derive(Debug)]
struct Scope {
    database: usize,
    version: u64,
    dialect: Dialect,
    current: Option<Arc<[u8]>>,
    scope: PlanScope,
}

/// Values of one execution: literals where the scan found them, parameters as they were decoded.
struct ScannedValues<'a> {
    seen: &'a Seen<'a>,
    dialect: Dialect,
    parameters: &'a [Value],
    utf8: bool,
}

impl Values for ScannedValues<'_> {
    fn literal(&self, index: usize) -> Value {
        let Some(found) = self.seen.literals.get(index) else { return Value::Unknown };
        let bytes = self.seen.whole.get(found.start as usize..found.end as usize).unwrap_or_default();
        match literal(bytes, found.class, self.dialect) {
            Value::Text(value) if found.class == LiteralClass::String => text(&value, self.utf8),
            other => other,
        }
    }

    fn parameter(&self, index: usize) -> Value {
        self.parameters.get(index).cloned().unwrap_or(Value::Unknown)
    }

    fn literal_count(&self) -> usize {
        self.seen.literals.len()
    }

    fn parameter_count(&self) -> usize {
        self.seen.scanned.placeholders as usize
    }
}

impl Session {
    /// Whether the client's text is UTF-8.
    pub(super) fn client_speaks_utf8(&self) -> bool {
        let set = self.state.variable("character_set_client");
        set.is_some_and(|set| set.starts_with(b"utf8"))
    }

    /// The catalog of the session's logical database.
    pub(super) fn catalog(&mut self) -> Option<Arc<DatabaseCatalog>> {
        let number = self.database();
        if let Some((of, catalog)) = &self.catalogued.catalog
            && *of == number
            && !catalog.is_retired()
        {
            return Some(Arc::clone(catalog));
        }
        let name = &self.config().databases.get(number)?.name;
        let catalog = self.mesh.catalog.database(Protocol::MySql, name)?;
        self.catalogued.catalog = Some((number, Arc::clone(&catalog)));
        Some(catalog)
    }

    /// An error of a server may mean that tables or columns are other ones than we know.
    pub(super) fn doubt_schema(&mut self, code: u16) {
        const UNKNOWN_COLUMN: u16 = 1054;
        const NO_SUCH_TABLE: u16 = 1146;
        if matches!(code, UNKNOWN_COLUMN | NO_SUCH_TABLE)
            && let Some(catalog) = self.catalog()
        {
            catalog.suspect();
        }
    }

    /// Plans one statement and binds its values.
    pub(super) async fn route(&mut self, seen: &Seen<'_>, parameters: &[Value]) -> Outcome<Routed> {
        let schema = self.schema().await?;
        let dialect = self.dialect();
        let cacheable = self.temporary.is_empty() && !seen.scanned.flags.has(Flags::MIXED_ROWS);
        let mut plan = None;
        if cacheable {
            let key = self.scope(&schema, dialect).key(seen.scanned.fingerprint);
            plan = self.mesh.plans.get(self.worker.0, &key);
            self.counters.plan(Protocol::MySql, plan.is_some());
        }
        let plan = match plan {
            Some(plan) => plan,
            None => self.make_plan(seen, &schema, dialect, cacheable)?,
        };
        let values = ScannedValues { seen, dialect, parameters, utf8: self.client_speaks_utf8() };
        let bound = plan.bind(&schema, &values).map_err(|refusal| refused(&refusal))?;
        if let Some(text) = self.changes_reads(&bound) {
            return Err(MeshError::Unsupported(text.to_owned()).into());
        }
        Ok(Routed { plan, bound, schema })
    }

    /// A variable of the session that makes this statement read other rows than it was planned for.
    fn changes_reads(&self, bound: &Bound) -> Option<&'static str> {
        let set_to = |name, usual: &[&[u8]]| self.state.variable(name).is_some_and(|value| !usual.contains(&value));
        if set_to("sql_auto_is_null", &[b"OFF", b"0"]) {
            return Some("dbmesh does not support sql_auto_is_null with several shards");
        }
        let several = matches!(bound, Bound::Merge { .. });
        (several && set_to("sql_select_limit", &[b"18446744073709551615"]))
            .then_some("dbmesh does not support sql_select_limit over several shards")
    }

    async fn schema(&mut self) -> Outcome<Arc<Schema>> {
        let catalog = self.catalog().ok_or_else(|| MeshError::unknown_database(Protocol::MySql, ""))?;
        if let Some(schema) = catalog.current() {
            return Ok(schema);
        }
        let deadline = self.mesh.mysql.pools.wait_deadline();
        let wait = catalog.ready(deadline);
        match self.entry.interrupt.guard_statement(wait).await {
            Ok(Ok(schema)) => Ok(schema),
            Ok(Err(error)) => {
                let shard = self.shard_name(self.default_shard());
                Err(MeshError::ShardDown { shard, cause: error.to_string() }.into())
            }
            Err(halt) => Err(self.halted(halt)),
        }
    }

    fn scope(&mut self, schema: &Schema, dialect: Dialect) -> PlanScope {
        let database = self.database();
        let elsewhere = !self.in_own_schema();
        if let Some(known) = &self.catalogued.scope
            && known.database == database
            && known.version == schema.version
            && known.dialect == dialect
            && known.current.as_ref() == self.schema_of_names()
        {
            return known.scope;
        }
        let current = match self.schema_of_names() {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => String::new(),
        };
        let path = if elsewhere { vec!["another".to_owned(), current] } else { vec![current] };
        let name = &schema.database;
        let key = &self.mesh.fingerprint_key;
        let scope = PlanScope::new(key, Protocol::MySql, name, &path, schema.version, dialect);
        let current = self.schema_of_names().cloned();
        self.catalogued.scope = Some(Scope { database, version: schema.version, dialect, current, scope });
        scope
    }

    fn make_plan(
        &mut self,
        seen: &Seen<'_>,
        schema: &Arc<Schema>,
        dialect: Dialect,
        cacheable: bool,
    ) -> Result<Arc<Plan>, MeshError> {
        let syntax = |error: lexer::LexError| MeshError::Syntax(error.to_string());
        let tokens = lexer::tokens(seen.sql, dialect).map_err(syntax)?;
        let current = self.schema_of_names().map(|name| String::from_utf8_lossy(name).into_owned());
        let elsewhere = [current.unwrap_or_default()];
        let context = PlanContext {
            search_path: if self.in_own_schema() { &[] } else { &elsewhere },
            temporary: self.temporary.tables(),
        };
        let plan = Arc::new(sharding::plan::plan(&tokens, schema, &context));
        if cacheable {
            let label = PlanLabel {
                protocol: Protocol::MySql,
                database: Arc::from(&*schema.database),
                kind: kind(&plan),
                statement: self.normalised(seen.sql),
            };
            let bytes = PLAN_BYTES + 4 * seen.sql.len();
            let key = self.scope(schema, dialect).key(seen.scanned.fingerprint);
            self.mesh.plans.insert(key, Arc::clone(&plan), bytes, label);
        }
        Ok(plan)
    }

    /// The text of a statement without its literals.
    pub(super) fn normalised(&self, sql: &[u8]) -> String {
        let mut scan = self.mesh.scans.take(self.worker);
        let read = scan.scan(sql, self.dialect(), &self.mesh.fingerprint_key);
        let statement = scan.statements().first();
        let text = statement.filter(|_| read.is_ok()).map(|statement| scan.display(statement)).unwrap_or_default();
        self.mesh.scans.put(self.worker, scan);
        text
    }
}

/// What a plan does, in a word.
fn kind(plan: &Plan) -> &'static str {
    use sharding::plan::RouteRule as R;
    match (&plan.route, &plan.several) {
        (R::Local, _) => "local",
        (R::Keys { uses, .. }, Several::Refuse(_)) if uses.is_empty() => "refuse",
        (_, Several::Merge(_)) => "merge",
        (_, Several::Spread(_)) => "spread",
        (_, Several::Refuse(_)) => "single",
    }
}

/// A refusal of the planner in the words of the error table.
pub(super) fn refused(refusal: &sharding::plan::Refusal) -> MeshError {
    use sharding::plan::Refusal as R;
    let text = refusal.to_string();
    match refusal {
        R::Unsupported(_) | R::Ambiguous { .. } | R::Unusable { .. } => MeshError::Unsupported(text),
        R::TooComplex(_) => MeshError::Limit(text),
        R::Malformed(_) => MeshError::Syntax(text),
    }
}
