//! `dbmesh plan`: how a statement would run. The same lines as `EXPLAIN ROUTE`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::{Failure, ProtocolArgument, runtime};
use crate::catalog::Catalog;
use crate::config::{Config, Protocol};
use crate::explain::explain;

/// Longest wait for the shards' table definitions.
const LOAD_WAIT: Duration = Duration::from_secs(20);

/// Arguments of the command.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Configuration file; table definitions are read from its shards.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: PathBuf,
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
    let config = Config::load(&arguments.config)?;
    let protocol = Protocol::from(arguments.protocol);
    let lines = runtime(false)?.block_on(async {
        let catalog = Catalog::start(&config);
        let Some(database) = catalog.database(protocol, &arguments.database) else {
            return Err(Failure::line(format!("there is no {protocol} database {}", arguments.database)));
        };
        let schema = database.ready(Instant::now() + LOAD_WAIT).await.map_err(Failure::line)?;
        explain(&schema, &arguments.sql).map_err(Failure::line)
    })?;
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
