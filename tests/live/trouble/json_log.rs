//! The log as JSON: one object a line, whatever is in a statement; slow statements with their fields and without literals.

use mysql_async::prelude::Queryable as _;

use super::SOON;
use crate::bed::{Database, MeshConfig, ServerKind, eventually_async};

#[tokio::test]
async fn slow_statements_are_objects_with_fields_and_without_literals() {
    let mysql = Database::new(ServerKind::MariaDb, 1).await;
    let postgres = Database::new(ServerKind::Postgres, 1).await;
    for literals in [false, true] {
        let section = format!("[log]\nformat = \"json\"\nslow_ms = 150\nliterals = {literals}");
        let mesh = MeshConfig::with(&mysql).and(&postgres).section(&section).start();
        let mut connection = mesh.mysql(&mysql.name).await;
        connection.query_drop("SELECT 'my\n\"secret\"', SLEEP(0.2)").await.expect("slow");
        connection.exec_drop("SELECT ?, 'my secret', SLEEP(0.2)", ("my hidden",)).await.expect("slow");
        let client = mesh.postgres(&postgres.name).await;
        client.simple_query("SELECT 'my\n\"secret\"', pg_sleep(0.2)").await.expect("slow");
        client.query("SELECT $1::text, 'my secret', pg_sleep(0.2)", &[&"my hidden"]).await.expect("slow");
        // Each is logged behind its answer.
        let slow = |log: &str| log.lines().filter(|line| line.to_lowercase().contains("sleep")).count();
        eventually_async("all are logged", SOON, || async { slow(&mesh.log()) >= 4 }).await;
        let log = mesh.log();
        let mut seen = Vec::new();
        for line in log.lines() {
            let object: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
            let fields = &object["fields"];
            if fields["message"] == "slow statement" && fields["sql"].as_str().is_some_and(|sql| sql.contains('(')) {
                assert!(fields["took_ms"].as_u64().is_some_and(|took| took >= 150), "{line}");
                assert!(
                    fields["session"].is_u64() && fields["shards"].is_u64() && fields["waited_ms"].is_u64(),
                    "{line}"
                );
                assert_eq!((&fields["user"], &fields["tier"]), (&"app".into(), &"single".into()), "{line}");
                seen.push(fields["protocol"].as_str().expect("a text").to_owned());
            }
        }
        for protocol in ["mysql", "postgres"] {
            assert!(seen.iter().filter(|seen| *seen == protocol).count() >= 2, "{seen:?} in\n{log}");
        }
        assert_eq!(log.contains("secret"), literals, "{log}");
        assert!(!log.contains("my hidden"), "bound values are never logged: {log}");
    }
}
