//! `dbmesh check`: the configuration, then what the shards say of themselves.

use std::path::Path;

use super::{Failure, runtime};
use crate::catalog::{Severity, Source, inspect};
use crate::config::Config;

/// Prints findings to stdout; fails if one is an error.
pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    println!("{}: the configuration is valid", file.display());
    let mut errors = 0;
    runtime(false)?.block_on(async {
        for database in &config.databases {
            let name = format!("{} {}", database.protocol, database.name);
            let findings = inspect(Source::of(&config, database)).await;
            if findings.is_empty() {
                println!("{name}: {} shards, nothing missing, no differences", database.shards.len());
            }
            for finding in findings {
                errors += usize::from(finding.severity == Severity::Error);
                println!("{name}: {finding}");
            }
        }
    });
    match errors {
        0 => Ok(()),
        1 => Err(Failure::line("1 error")),
        n => Err(Failure::line(format!("{n} errors"))),
    }
}
