//! `make bench`: real servers and real load generators; every round runs each way in turn and prints ratios of the round.
//! Ways: straight to the server, through HAProxy (`mode tcp`), through dbmesh unsharded, through dbmesh with a table
//! sharded over two servers by key. Out: assertions on time (a bench reports, it does not judge).
//!
//!     cargo bench --bench side_by_side -- [--rounds 5] [--seconds 5] [--clients 8,32] [--only mysql|postgres]

#![allow(clippy::expect_used, missing_docs)]

mod load;
mod places;
mod proxies;

use std::collections::BTreeMap;

use load::{Figures, Load};
use places::Places;
use proxies::{Cpu, Proxies};

/// What the command line asks for.
pub struct Arguments {
    rounds: usize,
    seconds: u64,
    clients: Vec<usize>,
    only: Option<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut arguments = Self { rounds: 5, seconds: 5, clients: vec![8, 32], only: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => arguments.rounds = value().parse().expect("--rounds: a number"),
                "--seconds" => arguments.seconds = value().parse().expect("--seconds: a number"),
                "--clients" => {
                    arguments.clients = value().split(',').map(|n| n.parse().expect("--clients: numbers")).collect();
                }
                "--only" => arguments.only = Some(value()),
                // What cargo adds.
                "--bench" => {}
                other => panic!("unknown argument {other}"),
            }
        }
        arguments
    }
}

/// One row of the report.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Row {
    protocol: &'static str,
    load: &'static str,
    clients: usize,
    way: &'static str,
}

/// What one run of a way gave.
struct Sample {
    figures: Figures,
    /// CPU milliseconds of the proxy per 1,000 statements; `None` without a proxy.
    cpu_ms: Option<f64>,
}

fn main() {
    let arguments = Arguments::read();
    let places = Places::make();
    let proxies = Proxies::start(&places);
    let mut samples: BTreeMap<Row, Vec<Sample>> = BTreeMap::new();
    for round in 0..arguments.rounds {
        for load in Load::ALL {
            if arguments.only.as_ref().is_some_and(|only| only != load.protocol()) {
                continue;
            }
            for &clients in &arguments.clients {
                for way in proxies.ways(load) {
                    let before = Cpu::of(way.pid);
                    let figures = load.run(way.port, way.sharded, clients, arguments.seconds);
                    let cpu_ms = Cpu::of(way.pid).since(before).map(|ms| ms * 1000.0 / figures.statements.max(1.0));
                    eprintln!(
                        "{} {}, {clients} clients, {}: {:.0}/s, CPU ms per 1,000: {:.1}",
                        load.protocol(),
                        load.name(),
                        way.name,
                        figures.per_second,
                        cpu_ms.unwrap_or(f64::NAN)
                    );
                    let row = Row { protocol: load.protocol(), load: load.name(), clients, way: way.name };
                    samples.entry(row).or_default().push(Sample { figures, cpu_ms });
                }
            }
        }
        eprintln!("round {} of {} done", round + 1, arguments.rounds);
    }
    report(&samples, &arguments);
    drop(proxies);
    places.close();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(samples: &BTreeMap<Row, Vec<Sample>>, arguments: &Arguments) {
    println!(
        "medians of {} rounds of {} s; ratios are medians of the rounds' own",
        arguments.rounds, arguments.seconds
    );
    println!(
        "{:9} {:22} {:>7} {:16} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10}",
        "protocol", "load", "clients", "way", "stmts/s", "x direct", "x haproxy", "p99 ms", "CPU ms/1k", "x haproxy"
    );
    for (row, runs) in samples {
        let of = |way: &'static str| samples.get(&Row { way, ..row.clone() });
        let ratio = |other: Option<&Vec<Sample>>, figure: fn(&Sample) -> Option<f64>| {
            let ratios = runs.iter().zip(other?).filter_map(|(a, b)| Some(figure(a)? / figure(b)?)).collect::<Vec<_>>();
            (!ratios.is_empty()).then(|| median(ratios))
        };
        let rate = |sample: &Sample| Some(sample.figures.per_second);
        let cpu = |sample: &Sample| sample.cpu_ms;
        let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        println!(
            "{:9} {:22} {:>7} {:16} {:>10.0} {:>10} {:>10} {:>8.2} {:>10} {:>10}",
            row.protocol,
            row.load,
            row.clients,
            row.way,
            median(runs.iter().map(|run| run.figures.per_second).collect()),
            show(ratio(of("direct"), rate)),
            show(ratio(of("haproxy"), rate)),
            median(runs.iter().map(|run| run.figures.p99_ms).collect()),
            show(Some(median(runs.iter().filter_map(|run| run.cpu_ms).collect())).filter(|value| !value.is_nan())),
            show(ratio(of("haproxy"), cpu)),
        );
    }
}
