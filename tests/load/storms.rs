//! Storms: connect, `SELECT 1`, disconnect, over and over. Out: everything after the login.
//!
//! PostgreSQL's generator is `pgbench -C`, whose own key derivation is what SCRAM costs most; MySQL's is a blocking client of
//! the bench's own, and the table shows what either costs.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::client::{Client, Target};
use crate::load::{output, pgbench, printed};
use crate::places::Places;
use crate::process::{children_ms, cpu_ms, thread_ms};
use crate::proxies::{self, Proxies, Way};
use crate::report::{Series, Table};

/// Name, protocol, user.
const STORMS: [(&str, &str, &str); 3] = [
    ("MySQL, native password", "mysql", "bench"),
    ("PostgreSQL, SCRAM", "postgres", "bench"),
    ("PostgreSQL, md5", "postgres", "bench_md5"),
];
/// Clients that connect at the same time.
const CLIENTS: usize = 8;

/// What one way gave.
struct Cell {
    storm: &'static str,
    way: &'static str,
    rate: Series,
    cpu: Series,
    generator: Series,
}

/// All so far.
#[derive(Default)]
pub struct Storms {
    cells: Vec<Cell>,
}

impl Storms {
    /// One more round.
    pub fn round(&mut self, places: &Places, proxies: &Proxies, arguments: &Arguments) {
        for (storm, protocol, user) in STORMS {
            if !arguments.wants_protocol(protocol) {
                continue;
            }
            for way in proxies.ways(protocol, false, arguments) {
                if way.id == "haproxy-1" {
                    continue;
                }
                let before = way.pid.map(cpu_ms);
                let (connects, generator, seconds) = if protocol == "mysql" {
                    own(&way, user, arguments.seconds)
                } else {
                    with_pgbench(&way, user, arguments.seconds, places)
                };
                let used = way.pid.map(cpu_ms).zip(before).map(|(after, before)| after - before);
                let per_thousand = |ms: f64| ms * 1000.0 / connects.max(1.0);
                let (rate, cpu) = (connects / seconds, used.map(per_thousand));
                eprintln!(
                    "storm, {storm}, {}: {rate:.0}/s, CPU ms per 1,000: {:.0}, of the generator: {:.0}",
                    way.id,
                    cpu.unwrap_or(f64::NAN),
                    per_thousand(generator)
                );
                let cell = self.cell(storm, way.id);
                cell.rate.push(Some(rate));
                cell.cpu.push(cpu);
                cell.generator.push(Some(per_thousand(generator)));
            }
        }
    }

    fn cell(&mut self, storm: &'static str, way: &'static str) -> &mut Cell {
        let at = self.cells.iter().position(|cell| (cell.storm, cell.way) == (storm, way)).unwrap_or(self.cells.len());
        if at == self.cells.len() {
            let (rate, cpu, generator) = Default::default();
            self.cells.push(Cell { storm, way, rate, cpu, generator });
        }
        &mut self.cells[at]
    }

    /// Prints the table.
    pub fn report(&self) {
        let mut table = Table::new(&[
            "login",
            "way",
            "1/s",
            "of direct",
            "of haproxy",
            "of direct by SCRAM",
            "CPU ms per 1,000",
            "of haproxy",
            "CPU ms of the generator",
        ]);
        for cell in &self.cells {
            let of = |storm: &str, way: &str| self.cells.iter().find(|other| (other.storm, other.way) == (storm, way));
            let (direct, haproxy) = (of(cell.storm, "direct"), of(cell.storm, "haproxy"));
            let scram = of(STORMS[1].0, "direct").filter(|_| cell.storm != STORMS[0].0);
            table.row(vec![
                cell.storm.to_owned(),
                cell.way.to_owned(),
                cell.rate.spread(0),
                cell.rate.by(direct.map(|other| &other.rate)).ratio(),
                cell.rate.by(haproxy.map(|other| &other.rate)).ratio(),
                cell.rate.by(scram.map(|other| &other.rate)).ratio(),
                cell.cpu.spread(0),
                cell.cpu.by(haproxy.map(|other| &other.cpu)).ratio(),
                cell.generator.shown(0),
            ]);
        }
        table.print(
            "Connect, SELECT 1, disconnect",
            &format!(
                "{CLIENTS} clients. CPU per 1,000 connects. Generators: pgbench -C for PostgreSQL, a client of the bench's \
                 own for MySQL."
            ),
        );
    }
}

/// Connects, the generator's processor time in milliseconds, seconds.
fn with_pgbench(way: &Way, user: &str, seconds: u64, places: &Places) -> (f64, f64, f64) {
    let script = proxies::write(places, "select-1.sql", "SELECT 1;\n");
    let clients = CLIENTS.to_string();
    let mut command: Command = pgbench(user, way.port);
    command.args(["-n", "-C", "-c", &clients, "-j", &clients, "-T", &seconds.to_string()]);
    let before = children_ms();
    let out = output(command.arg("-f").arg(script).arg("plain"));
    assert_eq!(printed(&out, "number of failed transactions:"), 0.0, "{out}");
    let connects = printed(&out, "number of transactions actually processed:");
    (connects, children_ms() - before, connects / printed(&out, "tps =").max(f64::MIN_POSITIVE))
}

/// The same by threads of our own.
fn own(way: &Way, user: &'static str, seconds: u64) -> (f64, f64, f64) {
    let target = Target { protocol: "mysql", port: way.port, user, database: "plain", tls: None };
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(seconds);
    let run = || {
        let mut connects = 0.0;
        while Instant::now() < deadline {
            let mut client = Client::open(&target, 4096).unwrap_or_else(|error| panic!("{}: {error}", way.id));
            assert_eq!(client.ask("SELECT 1").expect("an answer"), 1);
            client.close().expect("a goodbye");
            connects += 1.0;
        }
        (connects, thread_ms())
    };
    let each: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let connects = each.iter().map(|(connects, _)| connects).sum();
    (connects, each.iter().map(|(_, ms)| ms).sum(), begun.elapsed().as_secs_f64())
}
