//! What is read off the process when the page is asked for: pools, sessions, shards, plan cache.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;

use super::families::{Family, precise};
use crate::admin::{AdminSource, PoolRow};

/// The value of one column of a pool.
type Pick = fn(&PoolRow) -> u64;

fn of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const LEVELS: [(&str, &str, Pick); 8] = [
    ("dbmesh_pool_size_max", "Most backends to a shard.", |p| of(p.size_max)),
    ("dbmesh_pool_size", "Backends to a shard.", |p| of(p.size)),
    ("dbmesh_pool_idle", "Backends nobody uses.", |p| of(p.idle)),
    ("dbmesh_pool_leased", "Backends that sessions hold.", |p| of(p.leased)),
    ("dbmesh_pool_opening", "Backends being opened.", |p| of(p.opening)),
    ("dbmesh_pool_waiting", "Sessions waiting for a backend.", |p| of(p.waiting)),
    ("dbmesh_pool_paused", "Whether PAUSE SHARD holds a shard.", |p| u64::from(p.paused)),
    ("dbmesh_pool_quarantined", "Backends kept aside until a kill is resolved.", |p| of(p.quarantined)),
];

const COUNTS: [(&str, &str, Pick); 7] = [
    ("dbmesh_pool_leases_total", "Leases of backends.", |p| p.leases_total),
    ("dbmesh_pool_waits_total", "Leases that had to wait.", |p| p.waits_total),
    ("dbmesh_pool_wait_timeouts_total", "Waits that ended at their deadline.", |p| p.wait_timeouts_total),
    ("dbmesh_pool_deadlocks_total", "Waits refused because they would deadlock.", |p| p.deadlocks_total),
    ("dbmesh_pool_opened_total", "Backends opened.", |p| p.opened_total),
    ("dbmesh_pool_closed_total", "Backends closed.", |p| p.closed_total),
    ("dbmesh_pool_connect_errors_total", "Attempts to connect that failed.", |p| p.connect_errors_total),
];

pub(super) fn families(source: &dyn AdminSource) -> Vec<MetricFamily> {
    let pools = source.pools();
    let labels = |p: &'_ PoolRow| {
        [("protocol", p.protocol.to_owned()), ("database", p.database.clone()), ("shard", p.shard.clone())]
    };
    let mut families = Vec::new();
    for (name, help, pick) in LEVELS {
        let mut family = Family::gauge(name, help);
        for pool in &pools {
            let labels = labels(pool);
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            family.level(&labels, precise(pick(pool)));
        }
        families.push(family);
    }
    for (name, help, pick) in COUNTS {
        let mut family = Family::counter(name, help);
        for pool in &pools {
            let labels = labels(pool);
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            family.count(&labels, pick(pool));
        }
        families.push(family);
    }
    families.push(sessions(source));
    families.push(shards(source));
    families.extend(process(source));
    families.into_iter().map(Family::done).collect()
}

fn sessions(source: &dyn AdminSource) -> Family {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let sessions = source.sessions();
    for session in &sessions {
        *counts.entry((session.protocol.as_str(), session.state)).or_default() += 1;
    }
    let mut family = Family::gauge("dbmesh_sessions", "Open sessions of applications by what they do.");
    for ((protocol, state), count) in counts {
        family.level(&[("protocol", protocol), ("state", state)], precise(count));
    }
    family
}

fn shards(source: &dyn AdminSource) -> Family {
    let mut family =
        Family::gauge("dbmesh_shard_up", "Whether a shard's server can be reached (unknown is not shown).");
    for shard in source.shards() {
        let up = match shard.state {
            "up" => 1.0,
            "down" => 0.0,
            _ => continue,
        };
        let labels = [
            ("protocol", shard.protocol.as_str()),
            ("database", shard.database.as_str()),
            ("shard", shard.shard.as_str()),
        ];
        family.level(&labels, up);
    }
    family
}

fn process(source: &dyn AdminSource) -> [Family; 4] {
    let (entries, bytes) = source.plan_cache();
    let mut plans = Family::gauge("dbmesh_plan_cache_entries", "Cached plans.");
    plans.level(&[], precise(of(entries)));
    let mut plan_bytes = Family::gauge("dbmesh_plan_cache_bytes", "Bytes of cached plans.");
    plan_bytes.level(&[], precise(of(bytes)));
    let mut uptime = Family::gauge("dbmesh_uptime_seconds", "How long the process has run.");
    uptime.level(&[], source.uptime().as_secs_f64());
    let mut version = Family::gauge("dbmesh_info", "The version, as a label.");
    version.level(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    [plans, plan_bytes, uptime, version]
}
