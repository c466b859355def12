//! Reads shards side by side, each under its deadlines. Out: keeping and publishing what was read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::assemble::assemble;
use super::control::LoadError;
use super::facts::ShardFacts;
use super::finding::{Finding, Problem, Severity};
use super::source::Source;
use super::wanted::{MYSQL_TABLES_MAX, POSTGRES_TABLES_MAX, Wanted};
use super::{mysql, postgres};
use crate::config::Protocol;

/// Longest time for reading one shard once the connection stands.
const READ_WAIT: Duration = Duration::from_secs(60);

/// What came of reading one shard.
pub(super) type Outcome = (usize, Result<ShardFacts, LoadError>);

/// Begins to read these shards; outcomes arrive in any order. Dropping the set ends the reads.
pub(super) fn begin(source: &Arc<Source>, shards: impl IntoIterator<Item = usize>) -> JoinSet<Outcome> {
    let mut reads = JoinSet::new();
    let declared = source.rules.iter().map(|rule| source.rule_name(rule)).collect();
    let (only_declared, tables_max) = match source.protocol {
        Protocol::MySql => (source.shards.len() == 1, MYSQL_TABLES_MAX),
        Protocol::Postgres => (false, POSTGRES_TABLES_MAX),
    };
    let wanted = Arc::new(Wanted { declared, only_declared, tables_max });
    for shard in shards {
        let (source, wanted) = (Arc::clone(source), Arc::clone(&wanted));
        reads.spawn(async move { (shard, read(&source, shard, &wanted).await) });
    }
    reads
}

async fn read(source: &Source, shard: usize, wanted: &Wanted) -> Result<ShardFacts, LoadError> {
    let Some(shard) = source.shards.get(shard) else {
        return Err(LoadError::Connect("no such shard".to_owned()));
    };
    let connected = Instant::now() + source.connect_wait;
    let deadline = connected + READ_WAIT;
    match source.protocol {
        Protocol::MySql => mysql::load(shard, wanted, connected, deadline).await,
        Protocol::Postgres => postgres::load(shard, wanted, connected, deadline).await,
    }
}

/// The finding about a shard that could not be read.
pub(super) fn not_read(source: &Source, shard: usize, error: &LoadError) -> Finding {
    let shard = Some(source.shard_name(shard).to_owned());
    Finding { severity: Severity::Error, shard, problem: Problem::NotRead(error.to_string()) }
}

/// Reads a logical database once and says what is wrong with it: `dbmesh check`. Errors first.
pub async fn inspect(source: Source) -> Vec<Finding> {
    let source = Arc::new(source);
    let mut facts: Vec<Option<Arc<ShardFacts>>> = vec![None; source.shards.len()];
    let mut findings = Vec::new();
    let mut reads = begin(&source, 0..source.shards.len());
    while let Some(outcome) = reads.join_next().await {
        match outcome {
            Ok((shard, Ok(read))) => {
                if let Some(place) = facts.get_mut(shard) {
                    *place = Some(Arc::new(read));
                }
            }
            Ok((shard, Err(error))) => findings.push(not_read(&source, shard, &error)),
            Err(error) => {
                let problem = Problem::NotRead(format!("reading it failed: {error}"));
                findings.push(Finding { severity: Severity::Error, shard: None, problem });
            }
        }
    }
    findings.sort_by(|a, b| a.shard.cmp(&b.shard));
    findings.extend(assemble(&source, &facts, 1).findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}
