//! The steady loads: sysbench for MySQL, pgbench for PostgreSQL; running them and reading what they print.
//! Out: servers and proxies, tables of figures.

use std::path::Path;
use std::process::Command;

/// What is run.
pub struct Load {
    /// For the arguments.
    pub id: &'static str,
    /// For the arguments: `points` or `writes`.
    pub group: &'static str,
    /// For the report and the arguments.
    pub protocol: &'static str,
    /// For the report.
    pub name: &'static str,
    generator: Generator,
}

enum Generator {
    /// Its script, and `--db-ps-mode`.
    Sysbench(&'static str, &'static str),
    /// Whether it only selects, and `-M`.
    Pgbench(bool, &'static str),
}

/// What a run gave.
pub struct Figures {
    /// Statements (point selects) or transactions in all.
    pub statements: f64,
    /// The same per second.
    pub per_second: f64,
    /// 99th percentile of latency, in milliseconds.
    pub p99_ms: f64,
}

/// Rows of each of sysbench's tables.
pub const ROWS: u32 = 25_000;
/// Tables of `oltp_read_write`; point selects read the first.
pub const TABLES: u32 = 4;

/// All, in the order of the report.
pub const LOADS: [Load; 10] = [
    mysql("point-text", "points", "point select, text", Generator::Sysbench("oltp_point_select", "disable")),
    mysql("point-prepared", "points", "point select, prepared", Generator::Sysbench("oltp_point_select", "auto")),
    mysql("write-text", "writes", "oltp_read_write, text", Generator::Sysbench("oltp_read_write", "disable")),
    mysql("write-prepared", "writes", "oltp_read_write, prepared", Generator::Sysbench("oltp_read_write", "auto")),
    postgres("point-simple", "points", "point select, simple", Generator::Pgbench(true, "simple")),
    postgres("point-extended", "points", "point select, extended", Generator::Pgbench(true, "extended")),
    postgres("point-prepared", "points", "point select, prepared", Generator::Pgbench(true, "prepared")),
    postgres("tpcb-simple", "writes", "TPC-B, simple", Generator::Pgbench(false, "simple")),
    postgres("tpcb-extended", "writes", "TPC-B, extended", Generator::Pgbench(false, "extended")),
    postgres("tpcb-prepared", "writes", "TPC-B, prepared", Generator::Pgbench(false, "prepared")),
];

const fn mysql(id: &'static str, group: &'static str, name: &'static str, generator: Generator) -> Load {
    Load { id, group, protocol: "mysql", name, generator }
}

const fn postgres(id: &'static str, group: &'static str, name: &'static str, generator: Generator) -> Load {
    Load { id, group, protocol: "postgres", name, generator }
}

impl Load {
    /// Whether it writes: transactions that span shards, so unsharded only.
    pub fn writes(&self) -> bool {
        self.group == "writes"
    }

    /// Whether it uses statements prepared on the server.
    pub fn prepares(&self) -> bool {
        matches!(self.generator, Generator::Sysbench(_, "auto") | Generator::Pgbench(_, "prepared"))
    }

    /// Runs it for so long against 127.0.0.1:`port`; files of its own go into `directory`.
    pub fn run(&self, port: u16, sharded: bool, clients: usize, seconds: u64, directory: &Path) -> Figures {
        match self.generator {
            Generator::Sysbench(script, prepared) => {
                let mut command = sysbench(script, port, if sharded { "sharded" } else { "plain" });
                command.arg(format!("--tables={}", if self.writes() { TABLES } else { 1 }));
                command.args([format!("--threads={clients}"), format!("--time={seconds}")]);
                // Deadlocks are the server's own under this load; sysbench runs such a transaction again.
                command.args(["--percentile=99", "--mysql-ignore-errors=1213,1205"]);
                sysbench_figures(&output(command.arg(format!("--db-ps-mode={prepared}")).arg("run")))
            }
            Generator::Pgbench(selects, mode) => {
                let database = match (sharded, selects) {
                    (true, _) => "sharded",
                    (_, true) => "plain",
                    (_, false) => "tpcb",
                };
                let log = directory.join("pgbench-log");
                let mut command = pgbench("bench_md5", port);
                command.args(["-n", "-j", "1", "-M", mode, "-c", &clients.to_string()]);
                // Its clock begins before its clients connect, which is left out of what it prints.
                command.args(["-T", &(seconds + clients as u64 / 128).to_string()]);
                command.arg("-l").arg(format!("--log-prefix={}", log.display()));
                if selects {
                    // Every tenth is enough for a percentile, and costs the generator little.
                    command.args(["-S", "--sampling-rate=0.1"]);
                }
                let out = output(command.arg(database));
                let number = |start: &str| printed(&out, start);
                assert!(out.contains("failed transactions: 0 "), "{out}");
                let (statements, p99_ms) =
                    (number("number of transactions actually processed:"), p99_of_logs(directory, "pgbench-log."));
                // On a machine that is too busy for any, there is no rate.
                let per_second = if statements > 0.0 { number("tps =") } else { f64::NAN };
                Figures { statements, per_second, p99_ms }
            }
        }
    }
}

/// sysbench with what every run of it needs.
pub fn sysbench(script: &str, port: u16, database: &str) -> Command {
    let mut command = Command::new("sysbench");
    command.arg(script);
    command.args(["--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-user=bench", "--mysql-password=bench"]);
    command.args([format!("--mysql-port={port}"), format!("--mysql-db={database}"), format!("--table-size={ROWS}")]);
    command
}

/// pgbench with what every run of it needs.
pub fn pgbench(user: &str, port: u16) -> Command {
    let mut command = Command::new("pgbench");
    command.env("PGPASSWORD", "bench").env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable");
    command.args(["-h", "127.0.0.1", "-U", user, "-p", &port.to_string()]);
    command
}

fn sysbench_figures(out: &str) -> Figures {
    let line = |start: &str| {
        let line = out.lines().map(str::trim).find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("sysbench printed no '{start}':\n{out}")).to_owned()
    };
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("no number: {text}"));
    let transactions = line("transactions:");
    let (count, rate) = transactions["transactions:".len()..].split_once('(').expect("a rate in brackets");
    Figures {
        statements: number(count),
        per_second: number(rate.split_whitespace().next().expect("a rate")),
        p99_ms: number(&line("99th percentile:")["99th percentile:".len()..]),
    }
}

/// The number behind `start` in what pgbench printed.
pub fn printed(out: &str, start: &str) -> f64 {
    let line = out.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("pgbench printed no '{start}':\n{out}"));
    let word = line[start.len()..].split_whitespace().next().unwrap_or_default();
    word.split('/').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("no number: {line}"))
}

/// The 99th percentile, in milliseconds, of pgbench's logs of single transactions, which are removed. Their third word
/// is the latency in microseconds.
fn p99_of_logs(directory: &Path, prefix: &str) -> f64 {
    let mut latencies: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the bench's folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let text = std::fs::read_to_string(entry.path()).expect("a log of pgbench");
            latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
            std::fs::remove_file(entry.path()).expect("a log of pgbench");
        }
    }
    latencies.sort_unstable();
    latencies.get(latencies.len() * 99 / 100).map_or(f64::NAN, |microseconds| *microseconds as f64 / 1000.0)
}

/// Runs to the end; a failure ends the bench with what the program said.
pub fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
    out.into_owned()
}
