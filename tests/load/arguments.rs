//! What the command line asks for: how long, how many clients, which parts. Out: running them.

use std::path::PathBuf;

/// See `USAGE`.
pub struct Arguments {
    /// How often everything is measured.
    pub rounds: usize,
    /// How long one run of a load generator takes.
    pub seconds: u64,
    /// Clients of the point selects; writes run with those that are not more than `scale`.
    pub clients: Vec<usize>,
    /// Scale of the TPC-B database: 100,000 accounts each.
    pub scale: usize,
    /// Idle sessions, ascending.
    pub sessions: Vec<usize>,
    /// The dbmesh program that is measured.
    pub dbmesh: PathBuf,
    only: Option<String>,
    loads: Vec<String>,
    ways: Vec<String>,
}

const USAGE: &str = "\
arguments of the bench (make bench ARGS=\"...\"):
  --rounds N       how often everything is measured; medians of these are reported (5)
  --seconds N      how long one run of a load generator takes (3)
  --clients LIST   clients of the point selects (8,32,256); writes run with those up to the scale
  --scale N        scale of pgbench's TPC-B database, at least the clients that write (32)
  --sessions LIST  idle sessions (1000,10000)
  --only PROTOCOL  mysql or postgres alone
  --loads LIST     some of: points, writes, storms, large, scatter, calls, idle; or single loads:
                   point-text, point-prepared, write-text, write-prepared (mysql),
                   point-simple, point-extended, point-prepared, tpcb-simple, tpcb-extended, tpcb-prepared (postgres)
  --ways LIST      some of: direct, haproxy, haproxy-1, pgbouncer, dbmesh, dbmesh-2
  --dbmesh FILE    measure this program instead of the one that was built along";

impl Arguments {
    /// Reads the process's own; a wrong one ends it with the usage.
    pub fn read() -> Self {
        match Self::parse(std::env::args().skip(1)) {
            Ok(arguments) => arguments,
            Err(what) => {
                eprintln!("{what}\n{USAGE}");
                std::process::exit(2);
            }
        }
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            rounds: 5,
            seconds: 3,
            clients: vec![8, 32, 256],
            scale: 32,
            sessions: vec![1_000, 10_000],
            dbmesh: PathBuf::from(env!("CARGO_BIN_EXE_dbmesh")),
            only: None,
            loads: Vec::new(),
            ways: Vec::new(),
        };
        while let Some(word) = words.next() {
            // What cargo adds.
            if word == "--bench" {
                continue;
            }
            if word == "--help" {
                return Err(String::new());
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{word}: {text} is no number"));
            let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match word.as_str() {
                "--rounds" => arguments.rounds = number(&value)?,
                "--seconds" => arguments.seconds = number(&value)? as u64,
                "--clients" => arguments.clients = list().iter().map(|text| number(text)).collect::<Result<_, _>>()?,
                "--scale" => arguments.scale = number(&value)?,
                "--sessions" => {
                    arguments.sessions = list().iter().map(|text| number(text)).collect::<Result<_, _>>()?;
                    arguments.sessions.sort_unstable();
                }
                "--only" => arguments.only = Some(value),
                "--loads" => arguments.loads = list(),
                "--ways" => arguments.ways = list(),
                "--dbmesh" => arguments.dbmesh = PathBuf::from(value),
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(arguments)
    }

    /// Whether a load is asked for that goes by any of these `names`.
    pub fn wants(&self, names: &[&str]) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|load| names.contains(&load.as_str()))
    }

    /// Whether this protocol is asked for.
    pub fn wants_protocol(&self, protocol: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == protocol)
    }

    /// Whether this way is asked for.
    pub fn wants_way(&self, way: &str) -> bool {
        self.ways.is_empty() || self.ways.iter().any(|one| one == way)
    }
}
