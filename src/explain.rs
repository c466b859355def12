//! How a statement would run, as lines: what `EXPLAIN ROUTE` and `dbmesh plan` print.
//! Out: where the schema comes from; running anything.

use sharding::lexer::{Dialect, tokens};
use sharding::plan::{PlanContext, plan};
use sharding::schema::{Protocol, Schema};

use crate::error_code::MeshError;

/// Plans `sql` with the default modes of the schema's protocol and says how it would run.
///
/// # Errors
/// The text cannot be cut into tokens. A statement that would be refused is no error: its plan says so.
pub fn explain(schema: &Schema, sql: &str) -> Result<Vec<String>, MeshError> {
    let dialect = match schema.protocol {
        Protocol::MySql => Dialect::MYSQL,
        Protocol::Postgres => Dialect::POSTGRES,
    };
    let tokens = tokens(sql.as_bytes(), dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
    let plan = plan(&tokens, schema, &PlanContext::default());
    Ok(plan.explain(&tokens, schema, &[]).lines().map(str::to_owned).collect())
}
