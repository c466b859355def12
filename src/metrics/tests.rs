//! Tests of counting and of the page.
#![allow(clippy::expect_used)]

use std::time::Duration;

use super::*;
use crate::admin::fixed;

fn times(total_us: u64) -> Times {
    Times { wait: Duration::ZERO, server: Duration::from_micros(40), total: Duration::from_micros(total_us) }
}

#[test]
fn the_page_adds_up_all_workers() {
    let metrics = Metrics::new(2).expect("distinct names");
    for (worker, total) in [(0, 60), (1, 60), (1, 20_000_000)] {
        metrics.worker(worker).statement(Protocol::MySql, StatementClass::Select, Tier::Single, &times(total));
    }
    metrics.worker(0).statement(Protocol::Postgres, StatementClass::Transaction, Tier::Local, &times(1));
    metrics.worker(7).bytes(Protocol::MySql, Direction::ToClient, 500);
    metrics.worker(0).plan(Protocol::MySql, true);
    metrics.worker(0).server_error(Protocol::Postgres);
    metrics.error(Protocol::MySql, &MeshError::Unsupported("HAVING".to_owned()));
    metrics.login(Protocol::Postgres, false);
    let page = metrics.page(fixed().as_ref());
    for line in [
        "dbmesh_statements_total{protocol=\"mysql\",kind=\"select\",tier=\"single\"} 3",
        "dbmesh_statements_total{protocol=\"postgres\",kind=\"transaction\",tier=\"local\"} 1",
        "dbmesh_statement_seconds_bucket{protocol=\"mysql\",stage=\"total\",le=\"0.00005\"} 0",
        "dbmesh_statement_seconds_bucket{protocol=\"mysql\",stage=\"total\",le=\"0.0001\"} 2",
        "dbmesh_statement_seconds_bucket{protocol=\"mysql\",stage=\"total\",le=\"10\"} 2",
        "dbmesh_statement_seconds_bucket{protocol=\"mysql\",stage=\"total\",le=\"+Inf\"} 3",
        "dbmesh_statement_seconds_count{protocol=\"mysql\",stage=\"server\"} 3",
        "dbmesh_statement_seconds_count{protocol=\"postgres\",stage=\"server\"} 0",
        "dbmesh_statement_seconds_count{protocol=\"postgres\",stage=\"total\"} 1",
        "dbmesh_bytes_total{protocol=\"mysql\",direction=\"to_client\"} 500",
        "dbmesh_plan_cache_hits_total{protocol=\"mysql\"} 1",
        "dbmesh_plan_cache_misses_total{protocol=\"mysql\"} 0",
        "dbmesh_server_errors_total{protocol=\"postgres\"} 1",
        "dbmesh_errors_total{blame=\"client\",protocol=\"mysql\",sqlstate=\"42000\"} 1",
        "dbmesh_logins_total{outcome=\"denied\",protocol=\"postgres\"} 1",
        "dbmesh_pool_size_max{protocol=\"mysql\",database=\"shop\",shard=\"s0\"} 100",
        "dbmesh_sessions{protocol=\"mysql\",state=\"idle\"} 1",
        "dbmesh_shard_up{protocol=\"mysql\",database=\"shop\",shard=\"s0\"} 0",
        "dbmesh_plan_cache_entries 500",
        "dbmesh_uptime_seconds 90",
        "# TYPE dbmesh_statement_seconds histogram",
        "# TYPE dbmesh_sessions gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\nnot in\n{page}");
    }
}

#[test]
fn every_family_has_help_and_a_prefix_and_is_there_once() {
    let metrics = Metrics::new(1).expect("distinct names");
    metrics.worker(0).statement(Protocol::MySql, StatementClass::Other, Tier::Spread, &Times::default());
    let page = metrics.page(fixed().as_ref());
    let mut names: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# HELP ")).filter_map(|l| l.split(' ').next()).collect();
    assert!(names.len() > 20 && names.iter().all(|name| name.starts_with("dbmesh_")), "{names:?}");
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}
