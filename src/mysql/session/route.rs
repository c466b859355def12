//! From a statement to the shards it needs: schema, plan (cached), values of this execution.
//! Out: running it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use sharding::lexer::{self, Dialect, Fingerprint, Literal, LiteralClass, Scan};
use sharding::plan::{Bound, Plan, PlanContext, Values, literal};
use sharding::schema::Schema;
use sharding::value::Value;

use super::trouble::Outcome;
use super::{MeshError, Session};
use crate::catalog::DatabaseCatalog;
use crate::config::Protocol;
use crate::mysql::execution::parameters::text;

/// Plans kept by one worker. When there are more, all are forgotten: a flood of different texts must not grow memory.
const PLANS_MAX: usize = 4096;

type PlanKey = (Fingerprint, u64, Dialect);

thread_local! {
    static SCAN: RefCell<Scan> = RefCell::new(Scan::new());
    static PLANS: RefCell<HashMap<PlanKey, Arc<Plan>>> = RefCell::new(HashMap::new());
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
}

/// Values of one execution: literals where the scan found them, parameters as they were decoded.
struct ScannedValues<'a> {
    sql: &'a [u8],
    literals: &'a [Literal],
    dialect: Dialect,
    parameters: &'a [Value],
    placeholders: usize,
    utf8: bool,
}

impl Values for ScannedValues<'_> {
    fn literal(&self, index: usize) -> Value {
        let Some(found) = self.literals.get(index) else { return Value::Unknown };
        let bytes = self.sql.get(found.start as usize..found.end as usize).unwrap_or_default();
        match literal(bytes, found.class, self.dialect) {
            Value::Text(value) if found.class == LiteralClass::String => text(&value, self.utf8),
            other => other,
        }
    }

    fn parameter(&self, index: usize) -> Value {
        self.parameters.get(index).cloned().unwrap_or(Value::Unknown)
    }

    fn literal_count(&self) -> usize {
        self.literals.len()
    }

    fn parameter_count(&self) -> usize {
        self.placeholders
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
        let config = self.mesh.config.load();
        let name = &config.databases.get(number)?.name;
        let catalog = self.mesh.catalog.database(Protocol::MySql, name)?;
        self.catalogued.catalog = Some((number, Arc::clone(&catalog)));
        Some(catalog)
    }

    /// Whether every statement goes to the one shard there is, as it came.
    pub(super) fn is_relay(&self) -> bool {
        let config = self.mesh.config.load();
        config.databases.get(self.database()).is_none_or(|database| {
            database.shards.len() == 1 && database.shards.iter().all(|shard| shard.database == database.name)
        })
    }

    /// Plans one statement and binds its values.
    pub(super) async fn route(&mut self, sql: &[u8], parameters: &[Value]) -> Outcome<Routed> {
        let catalog = self.catalog().ok_or_else(|| MeshError::UnknownDatabase(String::new()))?;
        let schema = match catalog.current() {
            Some(schema) => schema,
            None => {
                let deadline = self.mesh.mysql.pools.wait_deadline();
                let wait = catalog.ready(deadline);
                match self.entry.interrupt.guard(crate::interrupt::Reason::Query, wait).await {
                    Ok(Ok(schema)) => schema,
                    Ok(Err(error)) => {
                        let shard = self.shard_name(self.default_shard());
                        return Err(MeshError::ShardDown { shard, cause: error.to_string() }.into());
                    }
                    Err(reason) => return Err(self.interrupted(reason)),
                }
            }
        };
        let (dialect, utf8) = (self.state.dialect(), self.client_speaks_utf8());
        let cacheable = !self.held.iter().any(|held| !held.pins.is_empty());
        SCAN.with_borrow_mut(|scan| {
            let syntax = |error: lexer::LexError| MeshError::Syntax(error.to_string());
            scan.scan(sql, dialect, &self.mesh.fingerprint_key).map_err(syntax)?;
            let [statement] = scan.statements() else {
                return Err(MeshError::Syntax("exactly one statement is expected".to_owned()).into());
            };
            let key = (statement.fingerprint, schema.version, dialect);
            let known = PLANS.with_borrow(|plans| plans.get(&key).cloned());
            let plan = match known.filter(|_| cacheable) {
                Some(plan) => plan,
                None => {
                    let tokens = lexer::tokens(sql, dialect).map_err(syntax)?;
                    let plan = Arc::new(sharding::plan::plan(&tokens, &schema, &PlanContext::default()));
                    if cacheable {
                        remember(key, &plan);
                    }
                    plan
                }
            };
            let values = ScannedValues {
                sql,
                literals: scan.literals(statement),
                dialect,
                parameters,
                placeholders: statement.placeholders as usize,
                utf8,
            };
            let bound = plan.bind(&schema, &values).map_err(|refusal| refused(&refusal))?;
            Ok(Routed { plan, bound, schema: Arc::clone(&schema) })
        })
    }
}

fn remember(key: PlanKey, plan: &Arc<Plan>) {
    PLANS.with_borrow_mut(|plans| {
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(key, Arc::clone(plan));
    });
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
