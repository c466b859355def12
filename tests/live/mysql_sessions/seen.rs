//! What is seen of statements from outside: counters, the plan cache, sessions, the line of a slow statement.

use mysql_async::prelude::Queryable as _;

use super::Split;

fn number(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[tokio::test]
async fn statements_are_counted_by_what_they_do_and_how_they_ran() {
    let split = Split::new(|config| config.key("workers = 1").section("[log]\nslow_ms = 200")).await;
    let mut session = split.session().await;
    let (_, before) = split.mesh.page("/metrics");
    for _ in 0..5 {
        session.query_drop("SELECT n FROM t WHERE id = 3").await.unwrap();
        session.exec_drop("SELECT s FROM t WHERE id = ?", (4,)).await.unwrap();
        session.query_drop("SELECT n FROM t ORDER BY id").await.unwrap();
    }
    session.query_drop("SELECT AVG(n) FROM t").await.expect_err("refused");
    session.query_drop("SELECT nothing FROM t WHERE id = 1").await.expect_err("no such column");
    session.query_drop("SELECT n, SLEEP(0.4), 'secret' FROM t WHERE id = 1").await.unwrap();
    // A statement is counted behind its answer, so the next answer says that it is.
    session.query_drop("SELECT 1").await.unwrap();
    let (_, after) = split.mesh.page("/metrics");
    let statements =
        |tier: &str| format!("dbmesh_statements_total{{protocol=\"mysql\",kind=\"select\",tier=\"{tier}\"}}");
    let grown = |name: &str| {
        let old = if before.contains(name) { number(&before, name) } else { 0.0 };
        number(&after, name) - old
    };
    assert!(grown(&statements("single")) >= 12.0, "{after}");
    assert!((grown(&statements("scatter")) - 5.0).abs() < 0.1, "{after}");
    assert!((grown(&statements("refuse")) - 1.0).abs() < 0.1, "{after}");
    assert!((grown("dbmesh_server_errors_total{protocol=\"mysql\"}") - 1.0).abs() < 0.1, "{after}");
    assert!(grown("dbmesh_plan_cache_hits_total{protocol=\"mysql\"}") >= 12.0, "{after}");
    assert!(grown("dbmesh_bytes_total{protocol=\"mysql\",direction=\"to_client\"}") > 500.0, "{after}");
    assert!(grown("dbmesh_bytes_total{protocol=\"mysql\",direction=\"from_server\"}") > 500.0, "{after}");
    let text = "dbmesh_errors_total{blame=\"client\",protocol=\"mysql\",sqlstate=\"42000\"}";
    assert!(grown(text) >= 1.0, "{after}");
    assert!(number(&after, "dbmesh_logins_total{outcome=\"accepted\",protocol=\"mysql\"}") >= 2.0, "{after}");
    // On a busy machine others can be slow too.
    let slow = |line: &&str| line.contains("slow statement") && line.to_ascii_lowercase().contains("sleep");
    let log = split.mesh.log();
    let line = log.lines().find(slow).expect("a line for the slow statement");
    assert!(!line.contains("secret"), "{line}");
}
