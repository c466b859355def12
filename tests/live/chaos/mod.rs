//! Chaos: well-behaved sessions share a few backends with clients that cancel, die, time out, break the protocol and
//! leave everything behind. Whatever a session gets must be its own, and afterwards nothing may be left.
//!
//! The choices follow from a seed, so that a run can be repeated as far as time allows: `DBMESH_CHAOS_SEED`. A run of
//! the suite is short; `make chaos SECONDS=600` is as long as wanted and kills servers too.

mod arena;
mod dice;
mod drivers;
mod mysql;
mod postgres;
mod settled;
mod tally;

use std::time::Duration;

use crate::bed::ServerKind;
use arena::{Arena, Shape};

/// Longest wait of a client for anything. A session that waits so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// User that needs no password.
const RAW_USER: &str = "raw";

/// How many share how few.
const SHAPES: [Shape; 3] = [
    Shape { shards: 1, pool: 1, honest: 8, rude: 4 },
    Shape { shards: 1, pool: 4, honest: 16, rude: 8 },
    Shape { shards: 2, pool: 2, honest: 8, rude: 6 },
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn chaos(kind: ServerKind) {
    let seed = number("DBMESH_CHAOS_SEED").unwrap_or(20_261_123);
    let asked = number("DBMESH_CHAOS_SECONDS");
    // Servers die only in the long form: they take their time to come back.
    let storms: &[bool] = if asked.is_some() { &[false, true] } else { &[false] };
    let runs = (SHAPES.len() * storms.len()) as u64;
    let time = Duration::from_millis(asked.unwrap_or(20) * 1000 / runs);
    for storm in storms {
        for shape in SHAPES {
            Arena::open(kind, shape, *storm, time, seed).await.run().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_foreign_reaches_a_mysql_session() {
    chaos(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_foreign_reaches_a_postgres_session() {
    chaos(ServerKind::Postgres).await;
}
