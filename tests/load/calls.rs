//! System calls of the proxies per 1,000 point selects, counted by `strace`: a number that a busy machine leaves nearly
//! alone, where times are noise. Out: time; under `strace` a proxy is several times slower.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::arguments::Arguments;
use crate::load::LOADS;
use crate::places::Places;
use crate::proxies::Proxies;
use crate::report::{Table, count};

/// Clients that ask.
const CLIENTS: usize = 8;
/// Calls that are named in the table.
const NAMED: usize = 5;

/// Counts and prints the table; nothing where there is no `strace` or it may not look.
pub fn run(places: &Places, proxies: &Proxies, arguments: &Arguments) {
    let mut table = Table::new(&["protocol", "load", "way", "calls per 1,000", "of haproxy", "most of them"]);
    for load in LOADS.iter().filter(|load| !load.writes() && arguments.wants_protocol(load.protocol)) {
        let mut haproxy = None;
        let ways = proxies.ways(load.protocol, load.prepares(), arguments).into_iter();
        for way in ways.chain(proxies.sharded(load.protocol, arguments)) {
            let Some(pid) = way.pid.filter(|_| way.id != "haproxy-1") else { continue };
            let file = places.directory().join("strace.txt");
            let mut command = Command::new("strace");
            command.args(["-f", "-c", "-p", &pid.to_string(), "-o"]).arg(&file);
            let Ok(mut strace) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else { return };
            let figures = load.run(way.port, way.sharded, CLIENTS, 2, &places.directory());
            if strace.try_wait().expect("a child").is_none()
                && let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw)
            {
                kill_process(pid, Signal::INT).expect("strace can be told to stop");
            }
            strace.wait().expect("strace ends");
            let counted = read(&std::fs::read_to_string(&file).unwrap_or_default());
            let calls: f64 = counted.values().sum();
            if calls == 0.0 {
                eprintln!("strace saw nothing of {}", way.id);
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            let thousand = |calls: f64| calls * 1000.0 / figures.statements.max(1.0);
            if way.id == "haproxy" {
                haproxy = Some(thousand(calls));
            }
            let mut most: Vec<_> = counted.iter().collect();
            most.sort_by(|a, b| b.1.total_cmp(a.1));
            let most = most.iter().take(NAMED).map(|(name, calls)| format!("{name} {:.0}", thousand(**calls)));
            let most = most.collect::<Vec<_>>().join(", ");
            eprintln!("{} {}, {}: {:.0} calls per 1,000: {most}", load.protocol, load.name, way.id, thousand(calls));
            table.row(vec![
                load.protocol.to_owned(),
                load.name.to_owned(),
                way.id.to_owned(),
                count(thousand(calls) as u64),
                haproxy.map_or_else(String::new, |haproxy| format!("{:.2}x", thousand(calls) / haproxy)),
                most,
            ]);
        }
    }
    table.print(
        "System calls",
        &format!("Point selects of {CLIENTS} clients; calls of the proxy's process as strace counts them, connecting included."),
    );
}

/// Calls by name: in strace's table, the fourth column and the last.
fn read(text: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (calls, name) = (words.get(3)?.parse::<f64>().ok()?, words.last()?);
        (*name != "total").then(|| ((*name).to_owned(), calls))
    };
    text.lines().filter_map(line).collect()
}
