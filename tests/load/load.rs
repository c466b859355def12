//! The load generators: sysbench for MySQL, pgbench for PostgreSQL; running them and reading what they print.
//! Out: servers and proxies.

use std::process::Command;

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// sysbench oltp_point_select, text protocol.
    MysqlPointText,
    /// sysbench oltp_point_select, prepared statements.
    MysqlPointPrepared,
    /// sysbench oltp_read_write, prepared statements (unsharded only: its ranges and writes span shards).
    MysqlReadWrite,
    /// pgbench -S -M simple.
    PostgresPointSimple,
    /// pgbench -S -M prepared.
    PostgresPointPrepared,
    /// pgbench TPC-B like, -M prepared (unsharded only).
    PostgresTpcB,
}

/// What a run gave.
pub struct Figures {
    /// Statements (point selects) or transactions in all.
    pub statements: f64,
    /// The same per second.
    pub per_second: f64,
    /// 99th percentile of latency, in milliseconds; not a number where the generator does not say.
    pub p99_ms: f64,
}

/// Rows of the table that is read.
pub const ROWS: u32 = 10_000;

impl Load {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] = [
        Self::MysqlPointText,
        Self::MysqlPointPrepared,
        Self::MysqlReadWrite,
        Self::PostgresPointSimple,
        Self::PostgresPointPrepared,
        Self::PostgresTpcB,
    ];

    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::MysqlPointText => "point select, text",
            Self::MysqlPointPrepared => "point select, prepared",
            Self::MysqlReadWrite => "oltp_read_write",
            Self::PostgresPointSimple => "point select, simple",
            Self::PostgresPointPrepared => "point select, prepared",
            Self::PostgresTpcB => "TPC-B, prepared",
        }
    }

    /// For the report and the arguments.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::MysqlPointText | Self::MysqlPointPrepared | Self::MysqlReadWrite => "mysql",
            Self::PostgresPointSimple | Self::PostgresPointPrepared | Self::PostgresTpcB => "postgres",
        }
    }

    /// Whether it makes sense on a table sharded by key.
    pub fn routes_by_key(self) -> bool {
        !matches!(self, Self::MysqlReadWrite | Self::PostgresTpcB)
    }

    /// Runs it for so long against 127.0.0.1:`port`.
    pub fn run(self, port: u16, sharded: bool, clients: usize, seconds: u64) -> Figures {
        let database = if sharded { "sharded" } else { "plain" };
        match self.protocol() {
            "mysql" => self.sysbench(port, database, clients, seconds),
            _ => self.pgbench(port, database, clients, seconds),
        }
    }

    fn sysbench(self, port: u16, database: &str, clients: usize, seconds: u64) -> Figures {
        let script = if self == Self::MysqlReadWrite { "oltp_read_write" } else { "oltp_point_select" };
        let prepared = if self == Self::MysqlPointText { "disable" } else { "auto" };
        let out = output(
            Command::new("sysbench")
                .arg(script)
                .args(["--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-user=bench", "--mysql-password=bench"])
                // Deadlocks are the server's own under this load; sysbench runs such a transaction again.
                .args(["--tables=1", "--percentile=99", "--mysql-ignore-errors=1213,1205"])
                .arg(format!("--mysql-port={port}"))
                .arg(format!("--mysql-db={database}"))
                .arg(format!("--table-size={ROWS}"))
                .arg(format!("--threads={clients}"))
                .arg(format!("--time={seconds}"))
                .arg(format!("--db-ps-mode={prepared}"))
                .arg("run"),
        );
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

    fn pgbench(self, port: u16, database: &str, clients: usize, seconds: u64) -> Figures {
        let mut command = Command::new("pgbench");
        command.env("PGPASSWORD", "bench").args(["-h", "127.0.0.1", "-U", "bench", "-n"]);
        command.args(["-M", if self == Self::PostgresPointSimple { "simple" } else { "prepared" }]);
        if self != Self::PostgresTpcB {
            command.arg("-S");
        }
        command.args(["-p", &port.to_string(), "-c", &clients.to_string(), "-j", "1", "-T", &seconds.to_string()]);
        let out = output(command.arg(database));
        let number = |start: &str| -> f64 {
            let line = out.lines().find(|line| line.starts_with(start));
            let line = line.unwrap_or_else(|| panic!("pgbench printed no '{start}':\n{out}"));
            let word = line[start.len()..].split_whitespace().next().unwrap_or_default();
            word.split('/').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("no number: {line}"))
        };
        assert_eq!(number("number of failed transactions:"), 0.0, "{out}");
        Figures {
            statements: number("number of transactions actually processed:"),
            per_second: number("tps ="),
            p99_ms: f64::NAN,
        }
    }
}

/// Runs to the end; a failure ends the bench with what the program said.
pub fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{out}\n{err}", done.status);
    out.into_owned()
}
