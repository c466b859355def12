//! One SELECT of a million rows: its time, the proxy's processor time, and how much the proxy's memory grows meanwhile.
//! Out: slow readers, merging.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::client::{Client, Target};
use crate::places::LARGE_ROWS;
use crate::process::{cpu_ms, forget_peak, peak_kb, resident_kb};
use crate::proxies::Proxies;
use crate::report::{Series, Table, count};

/// What one way gave.
struct Cell {
    protocol: &'static str,
    way: &'static str,
    ms: Series,
    cpu: Series,
    growth: Series,
}

/// All so far.
#[derive(Default)]
pub struct Large {
    cells: Vec<Cell>,
}

impl Large {
    /// One more round.
    pub fn round(&mut self, proxies: &Proxies, arguments: &Arguments) {
        for protocol in ["mysql", "postgres"] {
            if !arguments.wants_protocol(protocol) {
                continue;
            }
            for way in proxies.ways(protocol, false, arguments) {
                let target = Target { protocol, port: way.port, user: "bench", database: "plain", tls: None };
                let mut client = Client::open(&target, 256 << 10).expect("a session");
                client.ask("SELECT 1").expect("an answer");
                if let Some(pid) = way.pid {
                    forget_peak(pid);
                }
                let before = way.pid.map(|pid| (cpu_ms(pid), resident_kb(pid)));
                let begun = Instant::now();
                assert_eq!(client.ask("SELECT c FROM large").expect("an answer"), LARGE_ROWS);
                let ms = begun.elapsed().as_secs_f64() * 1000.0;
                let after = way.pid.map(|pid| (cpu_ms(pid), peak_kb(pid)));
                client.close().expect("a goodbye");
                let used = after.zip(before).map(|(after, before)| (after.0 - before.0, after.1 - before.1));
                let (cpu, growth) = used.unwrap_or((f64::NAN, f64::NAN));
                eprintln!("{protocol} {LARGE_ROWS} rows, {}: {ms:.0} ms, CPU {cpu:.0} ms, {growth:.0} KB", way.id);
                let cell = self.cell(protocol, way.id);
                cell.ms.push(Some(ms));
                cell.cpu.push(Some(cpu));
                cell.growth.push(Some(growth));
            }
        }
    }

    fn cell(&mut self, protocol: &'static str, way: &'static str) -> &mut Cell {
        let same = |cell: &Cell| (cell.protocol, cell.way) == (protocol, way);
        let at = self.cells.iter().position(same).unwrap_or(self.cells.len());
        if at == self.cells.len() {
            let (ms, cpu, growth) = Default::default();
            self.cells.push(Cell { protocol, way, ms, cpu, growth });
        }
        &mut self.cells[at]
    }

    /// Prints the table.
    pub fn report(&self) {
        let mut table =
            Table::new(&["protocol", "way", "ms", "of direct", "CPU ms", "of haproxy", "memory grew by, KB"]);
        for cell in &self.cells {
            let of = |way: &str| self.cells.iter().find(|other| (other.protocol, other.way) == (cell.protocol, way));
            table.row(vec![
                cell.protocol.to_owned(),
                cell.way.to_owned(),
                cell.ms.spread(0),
                cell.ms.by(of("direct").map(|other| &other.ms)).ratio(),
                cell.cpu.spread(0),
                cell.cpu.by(of("haproxy").map(|other| &other.cpu)).ratio(),
                cell.growth.spread(0),
            ]);
        }
        let note = format!(
            "{} rows of 100 bytes; memory: the peak meanwhile, minus what was resident before.",
            count(LARGE_ROWS)
        );
        table.print("One large result", &note);
    }
}
