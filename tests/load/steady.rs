//! Point selects and writes: every load by every way with every number of clients, and their table.
//! Out: how a load is run.

use crate::arguments::Arguments;
use crate::load::{LOADS, Load, ROWS, TABLES};
use crate::places::Places;
use crate::process::Watch;
use crate::proxies::Proxies;
use crate::report::{Series, Table, count};

/// What one way gave.
struct Cell {
    load: &'static str,
    protocol: &'static str,
    clients: usize,
    way: &'static str,
    rate: Series,
    p99: Series,
    cpu: Series,
    wake_ups: Series,
}

/// All so far.
#[derive(Default)]
pub struct Steady {
    cells: Vec<Cell>,
}

/// The loads that the arguments ask for, with their clients.
fn chosen(arguments: &Arguments) -> impl Iterator<Item = (&'static Load, usize)> {
    let wanted = |load: &&Load| arguments.wants_protocol(load.protocol) && arguments.wants(&[load.id, load.group]);
    let clients = |load: &'static Load| {
        let able = |clients: &&usize| !load.writes() || **clients <= arguments.scale;
        arguments.clients.iter().filter(able).map(move |clients| (load, *clients))
    };
    LOADS.iter().filter(wanted).flat_map(clients)
}

impl Steady {
    /// One more round.
    pub fn round(&mut self, places: &Places, proxies: &Proxies, arguments: &Arguments) {
        let directory = places.directory();
        for (load, clients) in chosen(arguments) {
            let mut ways = proxies.ways(load.protocol, load.prepares(), arguments);
            if load.writes() {
                ways.retain(|way| way.id != "haproxy-1");
            } else {
                ways.extend(proxies.sharded(load.protocol, arguments));
            }
            for way in ways {
                let watch = way.pid.map(Watch::begin);
                let figures = load.run(way.port, way.sharded, clients, arguments.seconds, &directory);
                let measured = figures.statements / figures.per_second;
                let work = watch.map(|watch| watch.last(measured).map(|sum| sum * 1000.0 / figures.statements));
                let (cpu, wake_ups) = (work.map(|[cpu, _]| cpu), work.map(|[_, wake_ups]| wake_ups));
                eprintln!(
                    "{} {}, {clients} clients, {}: {:.0}/s, p99 {:.2} ms, CPU ms per 1,000: {:.1}",
                    load.protocol,
                    load.name,
                    way.id,
                    figures.per_second,
                    figures.p99_ms,
                    cpu.unwrap_or(f64::NAN)
                );
                let cell = self.cell(load, clients, way.id);
                cell.rate.push(Some(figures.per_second));
                cell.p99.push(Some(figures.p99_ms));
                cell.cpu.push(cpu);
                cell.wake_ups.push(wake_ups);
            }
        }
    }

    fn cell(&mut self, load: &Load, clients: usize, way: &'static str) -> &mut Cell {
        let same = |cell: &Cell| {
            (cell.load, cell.protocol, cell.clients, cell.way) == (load.name, load.protocol, clients, way)
        };
        let at = self.cells.iter().position(same).unwrap_or(self.cells.len());
        if at == self.cells.len() {
            self.cells.push(Cell {
                load: load.name,
                protocol: load.protocol,
                clients,
                way,
                rate: Series::default(),
                p99: Series::default(),
                cpu: Series::default(),
                wake_ups: Series::default(),
            });
        }
        &mut self.cells[at]
    }

    /// Prints the table.
    pub fn report(&self, arguments: &Arguments) {
        let mut table = Table::new(&[
            "protocol",
            "load",
            "clients",
            "way",
            "1/s",
            "of direct",
            "of haproxy",
            "p99 ms",
            "p99 more than haproxy, ms",
            "CPU ms per 1,000",
            "of haproxy",
            "wake-ups per 1,000",
        ]);
        for cell in &self.cells {
            let of = |way: &str| {
                let same = |other: &&Cell| {
                    (other.load, other.protocol, other.clients, other.way)
                        == (cell.load, cell.protocol, cell.clients, way)
                };
                self.cells.iter().find(same)
            };
            let (direct, haproxy) = (of("direct"), of("haproxy"));
            table.row(vec![
                cell.protocol.to_owned(),
                cell.load.to_owned(),
                cell.clients.to_string(),
                cell.way.to_owned(),
                cell.rate.spread(0),
                cell.rate.by(direct.map(|other| &other.rate)).ratio(),
                cell.rate.by(haproxy.map(|other| &other.rate)).ratio(),
                cell.p99.spread(2),
                cell.p99.minus(haproxy.map(|other| &other.p99)).shown(2),
                cell.cpu.spread(1),
                cell.cpu.by(haproxy.map(|other| &other.cpu)).ratio(),
                cell.wake_ups.shown(0),
            ]);
        }
        table.print(
            "Point selects and writes",
            &format!(
                "Point selects: sysbench on a table of {0} rows, pgbench -S on 100,000. oltp_read_write: {TABLES} tables of \
                 {0} rows. TPC-B: scale {1}. The rate of writes counts transactions. CPU is that of the proxy per 1,000 \
                 statements or transactions, without what connecting took.",
                count(ROWS),
                arguments.scale
            ),
        );
    }

    /// How many runs of a load generator a round has.
    pub fn runs(proxies: &Proxies, arguments: &Arguments) -> usize {
        let ways = |load: &Load| {
            let ways = proxies.ways(load.protocol, load.prepares(), arguments);
            if load.writes() {
                ways.iter().filter(|way| way.id != "haproxy-1").count()
            } else {
                ways.len() + usize::from(proxies.sharded(load.protocol, arguments).is_some())
            }
        };
        chosen(arguments).map(|(load, _)| ways(load)).sum()
    }
}
