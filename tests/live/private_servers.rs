//! Private servers: they answer, crash and come back, and none outlives the one who asked for it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bed::{self, ServerKind, bed, eventually, open_servers};

/// How long the end of a keeper may take.
const END_MAX: Duration = Duration::from_secs(20);

/// The processes that belong to a folder: named in their command line, or working in it.
pub fn processes_of(folder: &Path) -> Vec<u32> {
    let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
    let entries = std::fs::read_dir("/proc").expect("/proc can be read");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let works_in = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(name) || works_in.starts_with(folder)
        })
        .collect()
}

fn kill_9(pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    assert!(Command::new("kill").arg("-9").args(pids).status().expect("kill runs").success());
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data() {
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let server = bed().own_server(kind, &[]);
        let database = bed::Database::on(vec![server.clone()]).await;
        database.everywhere("CREATE TABLE kept (id INT PRIMARY KEY)").await;
        database.everywhere("INSERT INTO kept VALUES (1)").await;
        bed().servers().kill(&server).expect("killed");
        bed().servers().restart(&server).expect("restarted");
        // The row is there, so that the same one cannot be added: the statement fails unless it is removed first.
        database.everywhere("DELETE FROM kept WHERE id = 1").await;
        database.everywhere("INSERT INTO kept VALUES (1)").await;
        bed().servers().stop(&server).expect("stopped");
    }
}

#[test]
fn no_server_outlives_its_keepers_master() {
    let servers = open_servers("closed");
    let folder = servers.directory().to_owned();
    servers.start(ServerKind::MariaDb, "m", &[]).expect("MariaDB starts");
    servers.start(ServerKind::Postgres, "p", &[]).expect("PostgreSQL starts");
    assert!(processes_of(&folder).len() >= 3, "keeper, MariaDB and PostgreSQL run");
    drop(servers);
    eventually("all processes are gone", END_MAX, || processes_of(&folder).is_empty());
    assert!(!folder.exists(), "the folder goes with the servers");
}

#[test]
fn no_server_outlives_a_keeper_killed_by_sigkill() {
    let servers = open_servers("orphans");
    let folder = servers.directory().to_owned();
    servers.start(ServerKind::MariaDb, "m", &[]).expect("MariaDB starts");
    servers.start(ServerKind::Postgres, "p", &[]).expect("PostgreSQL starts");
    kill_9(&[servers.keeper_pid()]);
    eventually("all servers are gone", END_MAX, || processes_of(&folder).is_empty());
    let error = servers.start(ServerKind::MariaDb, "late", &[]).expect_err("the keeper is gone").to_string();
    assert!(error.contains("gone"), "{error}");
    servers.close();
    assert!(!folder.exists(), "the folder is removed by whoever is left");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let servers = open_servers("faulty");
    let error = servers.start(ServerKind::MariaDb, "m", &["--no-such-option".to_owned()]).expect_err("it fails");
    assert!(error.to_string().contains("no-such-option"), "{error}");
    let error = servers.start(ServerKind::Postgres, "p", &["no_such_setting=1".to_owned()]).expect_err("it fails");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
