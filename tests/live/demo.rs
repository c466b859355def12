//! `dbmesh demo` as a newcomer starts it, and every way it can end: no server is left behind.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::bed::{Tool, bed, eventually, new_folder, program};
use crate::private_servers::processes_of;

/// How long a demo of 2 + 2 servers may take until it serves, in an unoptimised build on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);
/// How long its end may take.
const END_MAX: Duration = Duration::from_secs(40);

/// A demo on ports of its own.
struct Demo {
    child: Child,
    mysql: u16,
    postgres: u16,
    admin: u16,
    lines: mpsc::Receiver<String>,
    /// All it printed until it was ready.
    printed: String,
    folder: PathBuf,
}

impl Demo {
    fn command(ports: [u16; 5], more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("demo");
        let flags = ["--mysql", "--postgres", "--admin-mysql", "--admin-postgres", "--http"];
        for (flag, port) in flags.iter().zip(ports) {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    fn start(more: &[&str]) -> Self {
        let ports = [0; 5].map(|_| bed().port());
        let mut child = Self::command(ports, more).spawn().expect("dbmesh runs");
        let out = child.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let [mysql, postgres, admin, ..] = ports;
        let mut demo = Self { child, mysql, postgres, admin, lines, printed: String::new(), folder: PathBuf::new() };
        let deadline = Instant::now() + START_MAX;
        while !demo.printed.contains("Ctrl-C") {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = demo.lines.recv_timeout(left).unwrap_or_else(|_| panic!("not ready:\n{}", demo.printed));
            demo.printed.push_str(&line);
            demo.printed.push('\n');
        }
        let file = demo.printed.lines().find_map(|line| line.trim().strip_prefix("configuration: "));
        demo.folder = Path::new(file.expect("the configuration is named")).parent().expect("a folder").to_owned();
        demo
    }

    /// Sums of the shop, by both protocols, through `mariadb` and `psql`.
    fn ask(&self) -> (String, String) {
        let sql = "SELECT COUNT(*), SUM(total) FROM orders";
        let port = self.mysql.to_string();
        let mysql = Tool::new("mariadb")
            .args([
                "--no-defaults",
                "--protocol=tcp",
                "-h127.0.0.1",
                "-P",
                &port,
                "-uapp",
                "-papp",
                "shop",
                "-N",
                "-e",
                sql,
            ])
            .ok();
        let address = format!("postgresql://app:app@127.0.0.1:{}/shop", self.postgres);
        let postgres = Tool::new("psql").args(["-X", "-At", "-F", "\t", "-d", &address, "-c", sql]).ok();
        (mysql.trim().to_owned(), postgres.trim().to_owned())
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// Waits for its end; true when it ended with 0.
    fn end(&mut self) -> bool {
        let deadline = Instant::now() + END_MAX;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.success();
            }
            assert!(Instant::now() < deadline, "the demo does not end within {END_MAX:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn leaves_nothing(&self, folder_too: bool) {
        eventually("every server is gone", END_MAX, || processes_of(&self.folder).is_empty());
        assert!(!folder_too || !self.folder.exists(), "{} is left", self.folder.display());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SUMS: &str = "5000\t4047532.62";

#[test]
fn it_serves_the_shop_by_both_protocols_and_ends_at_ctrl_c() {
    let mut demo = Demo::start(&[]);
    assert_eq!(demo.ask(), (SUMS.to_owned(), SUMS.to_owned()));
    // What it tells newcomers to try does work.
    let mut tried = 0;
    for line in demo.printed.lines() {
        let line = line.trim();
        if line.starts_with("mariadb ") || line.starts_with("psql ") {
            let said = Tool::new("sh").args(["-c", line]).ok();
            assert!(said.lines().count() > 2, "{line}\n{said}");
            tried += 1;
        }
    }
    assert_eq!(tried, 3, "{}", demo.printed);
    for table in ["customers", "orders", "order_items", "products", "settings"] {
        let port = demo.admin.to_string();
        let said = Tool::new("mariadb")
            .args(["--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P", &port, "-uadmin", "-padmin", "admin"])
            .args(["-e", "SHOW TABLES"])
            .ok();
        assert!(said.contains(table), "{said}");
    }
    assert!(processes_of(&demo.folder).len() >= 5, "a keeper and four servers run");
    demo.signal("-INT");
    assert!(demo.end(), "it ends with 0");
    demo.leaves_nothing(true);
}

#[test]
fn two_at_once_and_sigterm_and_sigkill_leave_no_server() {
    let mut first = Demo::start(&["--shards", "1"]);
    let mut second = Demo::start(&["--shards", "3"]);
    assert_eq!(first.ask(), second.ask());
    first.signal("-TERM");
    assert!(first.end(), "it ends with 0");
    first.leaves_nothing(true);
    assert_eq!(second.ask().0, SUMS);
    second.signal("-KILL");
    assert!(!second.end());
    second.leaves_nothing(false);
    eventually("the folder is gone", END_MAX, || !second.folder.exists());
}

#[test]
fn a_folder_of_its_own_is_kept_and_found_again() {
    let folder = new_folder("kept-demo");
    let name = folder.to_str().expect("a name in UTF-8").to_owned();
    for _ in 0..2 {
        let mut demo = Demo::start(&["--dir", &name, "--shards", "1"]);
        assert_eq!(demo.ask(), (SUMS.to_owned(), SUMS.to_owned()));
        demo.signal("-TERM");
        assert!(demo.end(), "it ends with 0");
        demo.leaves_nothing(false);
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_taken_address_is_said_in_one_line() {
    let ports = [0; 5].map(|_| bed().port());
    let _taken = TcpListener::bind(("127.0.0.1", ports[1])).expect("the port is free");
    let mut child = Demo::command(ports, &[]).stderr(Stdio::piped()).spawn().expect("dbmesh runs");
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("it can be read");
    assert!(!child.wait().expect("it ends").success());
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains(&format!("127.0.0.1:{}", ports[1])), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
