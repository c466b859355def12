//! From what a file says to what is true: references resolved, contradictions found, units turned into types.
//! Every fault is added to the list; nothing here stops at the first.

mod credentials;
mod databases;
mod listeners;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::error::{Faults, NOWHERE, Place};
use super::model::{Config, Limits, Log, Pool, Timeouts, Versions};
use super::raw::{At, RawConfig, RawLimits, RawLog, RawPool, RawTimeouts};
use super::{LogFormat, LogLevel, TransactionType};

/// The checked configuration; `None` if some part has no value at all, and then a fault says so.
pub(super) fn check(raw: Option<RawConfig>, file: &Path, faults: &mut Faults<'_>) -> Option<Config> {
    let raw = raw?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let listen = listeners::listen(&raw.listen, faults);
    let tls = listeners::tls(&raw.tls, folder, faults);
    let admin = credentials::admin(&raw.admin, &listen, folder, faults);
    let servers = databases::servers(&raw.server, folder, faults);
    let databases = databases::databases(&raw.database, &raw.server, faults);
    let users = credentials::users(&raw.user, &raw.database, &listen, folder, faults);
    Some(Config {
        file: file.to_owned(),
        workers: match raw.workers.into_inner() {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => count(n),
        },
        transaction_type: TransactionType::from_word(raw.transaction_type.get_ref())?,
        listen,
        tls,
        admin,
        users,
        servers,
        databases,
        pool: pool(&raw.pool, faults),
        limits: limits(&raw.limits),
        timeouts: timeouts(&raw.timeouts),
        log: log(&raw.log)?,
        versions: Versions {
            mysql: raw.versions.mysql.map(At::into_inner),
            postgres: raw.versions.postgres.map(At::into_inner),
        },
    })
}

fn pool(raw: &RawPool, faults: &mut Faults<'_>) -> Pool {
    if raw.size_min.get_ref() > raw.size_max.get_ref() {
        let message = format!(
            "`pool.size_min` ({}) is above `pool.size_max` ({})",
            raw.size_min.get_ref(),
            raw.size_max.get_ref()
        );
        faults.add(&written_place(&raw.size_min, &raw.size_max), message);
    }
    Pool {
        size_max: count(*raw.size_max.get_ref()),
        size_min: count(*raw.size_min.get_ref()),
        waiters_max: count(*raw.waiters_max.get_ref()),
        wait_max: ms(&raw.wait_ms_max),
        age_max: ms(&raw.age_ms_max),
        idle_max: ms(&raw.idle_ms_max),
        reserved: count(*raw.reserved.get_ref()),
    }
}

fn limits(raw: &RawLimits) -> Limits {
    let count = |value: &At<u64>| count(*value.get_ref());
    Limits {
        sessions_max: count(&raw.sessions_max),
        admin_sessions_max: count(&raw.admin_sessions_max),
        sql_bytes_max: count(&raw.sql_bytes_max),
        operators_max: count(&raw.operators_max),
        merge_rows_max: count(&raw.merge_rows_max),
        merge_bytes_max: count(&raw.merge_bytes_max),
        plan_entries_max: count(&raw.plan_entries_max),
        plan_bytes_max: count(&raw.plan_bytes_max),
        session_statements_max: count(&raw.session_statements_max),
        backend_statements_max: count(&raw.backend_statements_max),
    }
}

fn timeouts(raw: &RawTimeouts) -> Timeouts {
    Timeouts {
        connect: ms(&raw.connect_ms),
        handshake: ms(&raw.handshake_ms),
        statement: ms_or_none(&raw.statement_ms),
        session_idle: ms_or_none(&raw.session_idle_ms),
        transaction_idle: ms_or_none(&raw.transaction_idle_ms),
        client_write: ms(&raw.client_write_ms),
        cancel: ms(&raw.cancel_ms),
        probe_interval: ms(&raw.probe_interval_ms),
        shutdown: ms(&raw.shutdown_ms),
    }
}

fn log(raw: &RawLog) -> Option<Log> {
    Some(Log {
        level: LogLevel::from_word(raw.level.get_ref())?,
        format: LogFormat::from_word(raw.format.get_ref())?,
        slow: ms_or_none(&raw.slow_ms),
        literals: *raw.literals.get_ref(),
    })
}

/// The key table bounds every number far below `usize::MAX`.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn ms(value: &At<u64>) -> Duration {
    Duration::from_millis(*value.get_ref())
}

fn ms_or_none(value: &At<u64>) -> Option<Duration> {
    match *value.get_ref() {
        0 => None,
        n => Some(Duration::from_millis(n)),
    }
}

/// Where to point when two values contradict each other: at the one that somebody wrote.
fn written_place<T>(first: &At<T>, second: &At<T>) -> Place {
    match first.span() {
        NOWHERE => second.span(),
        place => place,
    }
}

/// A name that must be there and not be empty.
fn name<'r>(value: Option<&'r At<String>>, what: &str, owner: &Place, faults: &mut Faults<'_>) -> Option<&'r str> {
    match value {
        None => {
            if !faults.was_taken_out(what, owner) {
                faults.add(owner, format!("`{what}` is missing"));
            }
            None
        }
        Some(text) if text.get_ref().is_empty() => {
            faults.add(&text.span(), format!("`{what}` is empty"));
            None
        }
        Some(text) => Some(text.get_ref()),
    }
}

/// Reports a name used twice.
fn once<K: std::hash::Hash + Eq>(
    seen: &mut HashSet<K>,
    key: K,
    place: &Place,
    message: impl FnOnce() -> String,
    faults: &mut Faults<'_>,
) {
    if !seen.insert(key) {
        faults.add(place, message());
    }
}
