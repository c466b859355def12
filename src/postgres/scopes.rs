//! What a prepared statement means besides its text: a server reads literals, names and types at Parse by the settings in force
//! then, so that sessions share a statement only where these are equal.
//! Out: which session has which settings (`settings`).

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::settings::Settings;

/// Settings that change when and how a statement runs, not what its text means.
const HARMLESS: [&str; 27] = [
    "application_name",
    "client_min_messages",
    "commit_delay",
    "cursor_tuple_fraction",
    "deadlock_timeout",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "geqo",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "jit",
    "lock_timeout",
    "log_min_duration_statement",
    "log_min_messages",
    "log_statement",
    "maintenance_work_mem",
    "random_page_cost",
    "statement_timeout",
    "synchronous_commit",
    "temp_buffers",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
    "work_mem",
];

/// Most scopes that are remembered.
const SCOPES_MAX: usize = 10_000;

/// Whether this setting can be another one without any statement meaning something else.
#[must_use]
pub fn is_harmless(name: &str) -> bool {
    // Those with a dot belong to applications and extensions, which read them when a statement runs.
    name.contains('.') || name.starts_with("enable_") || HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A logical database and the settings that count.
type Key = (usize, Vec<(String, String)>);

/// Numbers of all scopes. A number is never given twice.
#[derive(Debug, Default)]
pub struct Scopes {
    known: DashMap<Key, u64>,
    last: AtomicU64,
}

impl Scopes {
    /// The number that sessions of this database with these settings share.
    #[must_use]
    pub fn of(&self, database: usize, settings: &Settings) -> u64 {
        let pairs = settings.iter().filter(|(name, _)| !is_harmless(name));
        let key = (database, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.known.len() >= SCOPES_MAX {
            self.known.clear();
        }
        *self.known.entry(key).or_insert_with(|| self.private())
    }

    /// A number that nobody shares.
    #[must_use]
    pub fn private(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_meanings_counts() {
        let scopes = Scopes::default();
        let of = |database: usize, pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            scopes.of(database, &Settings::new(pairs))
        };
        let plain = of(0, &[]);
        assert_eq!(plain, of(0, &[("work_mem", "7MB"), ("app.tenant", "x"), ("enable_seqscan", "off")]));
        assert_ne!(plain, of(1, &[]));
        let zone = of(0, &[("TimeZone", "UTC")]);
        assert_ne!(plain, zone);
        assert_eq!(zone, of(0, &[("TimeZone", "UTC"), ("application_name", "x")]));
        assert_ne!(scopes.private(), zone);
    }
}
