//! `dbmesh plan`: how a statement would run. The same lines as `EXPLAIN ROUTE`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sharding::schema::{
    self, Function, Placement, RowsWhere, Schema, ShardIndex, ShardInfo, Table, TableName, TableRule,
};
use tokio::time::Instant;

use super::{Failure, ProtocolArgument, runtime};
use crate::catalog::Catalog;
use crate::config::{Config, Database, Protocol, ShardFunction, TablePlacement};
use crate::explain::explain;

/// Longest wait for the shards' table definitions.
const LOAD_WAIT: Duration = Duration::from_secs(20);

/// Arguments of the command.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Configuration file; table definitions are read from its shards.
    #[arg(short = 'c', long = "config", value_name = "FILE", required_unless_present = "schema")]
    config: Option<PathBuf>,
    /// CREATE TABLE statements to plan with, without any server.
    #[arg(long, value_name = "FILE.sql", conflicts_with = "config", requires = "rules")]
    schema: Option<PathBuf>,
    /// Configuration file that says where the rows of these tables are; its servers are not contacted.
    #[arg(long, value_name = "FILE", requires = "schema")]
    rules: Option<PathBuf>,
    /// Logical database.
    #[arg(long, value_name = "NAME")]
    database: String,
    /// Protocol of the logical database.
    #[arg(long)]
    protocol: ProtocolArgument,
    /// The statement.
    #[arg(value_name = "SQL")]
    sql: String,
}

/// Prints the plan to stdout.
pub(super) fn run(arguments: &PlanArguments) -> Result<(), Failure> {
    let protocol = Protocol::from(arguments.protocol);
    let nowhere = || Failure::line(format!("there is no {protocol} database {}", arguments.database));
    let lines = match (&arguments.config, &arguments.schema, &arguments.rules) {
        (_, Some(schema), Some(rules)) => {
            let config = Config::load(rules)?;
            let (_, database) = config.database(protocol, &arguments.database).ok_or_else(nowhere)?;
            let sql = std::fs::read_to_string(schema)
                .map_err(|error| Failure::line(format!("{}: cannot read the file: {error}", schema.display())))?;
            let schema = offline(database, &sql).map_err(|faults| {
                Failure(faults.iter().map(|fault| format!("{}: {fault}", schema.display())).collect())
            })?;
            explain(&schema, &arguments.sql).map_err(Failure::line)?
        }
        (Some(file), ..) => {
            let config = Config::load(file)?;
            runtime(false)?.block_on(async {
                let catalog = Catalog::start(&config);
                let database = catalog.database(protocol, &arguments.database).ok_or_else(nowhere)?;
                let schema = database.ready(Instant::now() + LOAD_WAIT).await.map_err(Failure::line)?;
                explain(&schema, &arguments.sql).map_err(Failure::line)
            })?
        }
        _ => return Err(Failure::line("expected -c FILE, or --schema FILE.sql and --rules FILE")),
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

/// The schema of `sql`'s tables, placed as `database` declares them.
fn offline(database: &Database, sql: &str) -> Result<Schema, Vec<String>> {
    let shard = |index: usize| ShardIndex::try_from(index).unwrap_or(ShardIndex::MAX);
    let shards = database.shards.iter();
    let shards = shards.map(|s| ShardInfo { name: s.name.clone(), database: s.database.clone() }).collect();
    let rule = |table: &crate::config::TableRule| TableRule {
        schema: table.schema.clone(),
        name: table.name.clone(),
        rows: match &table.placement {
            TablePlacement::Reference => RowsWhere::Reference,
            TablePlacement::Single { shard: index } => RowsWhere::Single(shard(*index)),
            TablePlacement::Sharded { key, function: ShardFunction::Hash, unique_per_shard } => {
                let (key, unique_per_shard) = (key.clone(), *unique_per_shard);
                RowsWhere::Sharded { key, function: Function::Hash, unique_per_shard }
            }
        },
    };
    let rules: Vec<TableRule> = database.tables.iter().map(rule).collect();
    let protocol = match database.protocol {
        Protocol::MySql => schema::Protocol::MySql,
        Protocol::Postgres => schema::Protocol::Postgres,
    };
    let mut schema = Schema::from_sql(protocol, &database.name, shards, sql, &rules)?;
    // `from_sql` knows of no other default than the first shard.
    let default = shard(database.default_shard);
    schema.default_shard = default;
    let declared = |table: &TableName| {
        let schema = |rule: &TableRule| match protocol {
            schema::Protocol::MySql => None,
            schema::Protocol::Postgres => Some(rule.schema.clone().unwrap_or_else(|| "public".to_owned())),
        };
        rules.iter().any(|rule| rule.name == table.name && schema(rule) == table.schema)
    };
    let undeclared: Vec<Table> =
        schema.tables().filter(|table| !declared(&table.name)).map(|table| (**table).clone()).collect();
    for table in undeclared {
        schema.insert(Table { placement: Placement::Single(default), ..table });
    }
    Ok(schema)
}
