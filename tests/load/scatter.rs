//! A statement that both shards answer and whose rows are merged, against each shard's own time for it.
//! Out: load; one client asks, each way in turn.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::client::{Client, Target};
use crate::load::ROWS;
use crate::places::{ACCOUNTS, Places};
use crate::proxies::Proxies;
use crate::report::{Series, Table, count};

/// Protocol, name, statement, how often in a round.
const STATEMENTS: [(&str, &str, &str, usize); 4] = [
    ("mysql", "by the key's index", "SELECT id, c FROM sbtest1 ORDER BY id LIMIT 10", 1_000),
    ("mysql", "by a scan", "SELECT id, k FROM sbtest1 ORDER BY k DESC, id LIMIT 10", 100),
    ("postgres", "by the key's index", "SELECT aid, filler FROM pgbench_accounts ORDER BY aid LIMIT 10", 1_000),
    ("postgres", "by a scan", "SELECT aid, abalance FROM pgbench_accounts ORDER BY abalance DESC, aid LIMIT 10", 100),
];
const WAYS: [&str; 5] = ["shard 0", "shard 1", "both at once", "shard 0 through haproxy", "dbmesh-2"];

/// Milliseconds of each way of one statement.
type Cell = [Series; WAYS.len()];

/// All so far.
#[derive(Default)]
pub struct Scatter {
    cells: [Cell; STATEMENTS.len()],
}

impl Scatter {
    /// One more round.
    pub fn round(&mut self, places: &Places, proxies: &Proxies, arguments: &Arguments) {
        for ((protocol, name, sql, times), cell) in STATEMENTS.into_iter().zip(&mut self.cells) {
            let servers = places.servers(protocol);
            let haproxy = proxies.ways(protocol, false, arguments).into_iter().find(|way| way.id == "haproxy");
            let Some(dbmesh) = proxies.sharded(protocol, arguments).filter(|_| arguments.wants_protocol(protocol))
            else {
                continue;
            };
            let haproxy = haproxy.map_or(servers[0].port, |way| way.port);
            let [first, second] = [servers[0].port, servers[1].port];
            let mut clients = [vec![first], vec![second], vec![first, second], vec![haproxy], vec![dbmesh.port]];
            let mut clients = clients.each_mut().map(|ports| {
                let target = |port| Target { protocol, port, user: "bench", database: "sharded", tls: None };
                ports.iter().map(|port| Client::open(&target(*port), 64 << 10).expect("a session")).collect::<Vec<_>>()
            });
            let mut taken: [Series; WAYS.len()] = Default::default();
            for time in 0..times + times / 10 {
                for (asked, taken) in clients.iter_mut().zip(&mut taken) {
                    let begun = Instant::now();
                    for client in &mut *asked {
                        client.say(sql).expect("a question");
                    }
                    for client in asked {
                        assert_eq!(client.rows().expect("an answer"), 10);
                    }
                    // The first tenth is for warming up.
                    if time >= times / 10 {
                        taken.push(Some(begun.elapsed().as_secs_f64() * 1000.0));
                    }
                }
            }
            for ((way, series), taken) in WAYS.iter().zip(cell).zip(&taken) {
                eprintln!("scatter, {protocol} {name}, {way}: {} ms", taken.shown(3));
                series.push(taken.median());
            }
        }
    }

    /// Prints the table.
    pub fn report(&self) {
        let mut table = Table::new(&[
            "protocol",
            "ORDER BY ... LIMIT 10",
            "way",
            "ms",
            "of the slower shard",
            "of both at once",
            "of haproxy",
        ]);
        for ((protocol, name, ..), cell) in STATEMENTS.into_iter().zip(&self.cells) {
            let slower = cell[0].greater(&cell[1]);
            for (way, series) in WAYS.iter().zip(cell).filter(|(_, series)| series.median().is_some()) {
                table.row(vec![
                    protocol.to_owned(),
                    name.to_owned(),
                    (*way).to_owned(),
                    series.spread(3),
                    series.by(Some(&slower)).ratio(),
                    series.by(Some(&cell[2])).ratio(),
                    series.by(Some(&cell[3])).ratio(),
                ]);
            }
        }
        table.print(
            "Two shards asked, rows merged",
            &format!(
                "One client; medians of single statements. {} rows (MySQL) and {} (PostgreSQL) over 2 shards; \
                 a shard's own time is that of the same statement on its part of the rows. Both at once: the client itself asks \
                 both and waits for both, which is what two shards cost where they share the cores.",
                count(ROWS),
                count(ACCOUNTS)
            ),
        );
    }
}
