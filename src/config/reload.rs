//! Settings by key name: the rows of `SHOW CONFIG`, what differs between two configurations, and what a reload applies.
//! Out: applying it; the process does that with the [`Config`] made here.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::keys::{self, Reload};
use super::{Config, Database, Server, User};

/// What differs between a running configuration and a new one. Each entry is a key or, for what is repeated, `section name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Applied by a reload.
    pub live: Vec<String>,
    /// Applied at the next start.
    pub restart: Vec<String>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

impl Config {
    /// The value of every key whose section is not repeated, as text that [`Config::parse`] would read; secrets hidden, no
    /// value as `""`. In the order of the key table.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let listen = &self.listen;
        let (pool, limits, timeouts, log) = (&self.pool, &self.limits, &self.timeouts, &self.log);
        let tls = self.tls.as_ref();
        vec![
            ("workers", self.workers.to_string()),
            ("transaction_type", self.transaction_type.to_string()),
            ("listen.mysql", address(listen.mysql)),
            ("listen.postgres", address(listen.postgres)),
            ("listen.admin_mysql", address(listen.admin_mysql)),
            ("listen.admin_postgres", address(listen.admin_postgres)),
            ("listen.http", address(listen.http)),
            ("tls.certificate", tls.map_or(String::new(), |t| path(&t.certificate))),
            ("tls.key", tls.map_or(String::new(), |t| path(&t.key))),
            ("tls.require", tls.is_some_and(|t| t.require).to_string()),
            ("admin.user", self.admin.user.clone()),
            ("admin.password", self.admin.password.to_string()),
            ("pool.size_max", pool.size_max.to_string()),
            ("pool.size_min", pool.size_min.to_string()),
            ("pool.waiters_max", pool.waiters_max.to_string()),
            ("pool.wait_ms_max", ms(pool.wait_max)),
            ("pool.age_ms_max", ms(pool.age_max)),
            ("pool.idle_ms_max", ms(pool.idle_max)),
            ("pool.reserved", pool.reserved.to_string()),
            ("limits.sessions_max", limits.sessions_max.to_string()),
            ("limits.admin_sessions_max", limits.admin_sessions_max.to_string()),
            ("limits.sql_bytes_max", limits.sql_bytes_max.to_string()),
            ("limits.operators_max", limits.operators_max.to_string()),
            ("limits.merge_rows_max", limits.merge_rows_max.to_string()),
            ("limits.merge_bytes_max", limits.merge_bytes_max.to_string()),
            ("limits.plan_entries_max", limits.plan_entries_max.to_string()),
            ("limits.plan_bytes_max", limits.plan_bytes_max.to_string()),
            ("limits.session_statements_max", limits.session_statements_max.to_string()),
            ("limits.backend_statements_max", limits.backend_statements_max.to_string()),
            ("timeouts.connect_ms", ms(timeouts.connect)),
            ("timeouts.handshake_ms", ms(timeouts.handshake)),
            ("timeouts.statement_ms", ms_or_none(timeouts.statement)),
            ("timeouts.session_idle_ms", ms_or_none(timeouts.session_idle)),
            ("timeouts.transaction_idle_ms", ms_or_none(timeouts.transaction_idle)),
            ("timeouts.client_write_ms", ms(timeouts.client_write)),
            ("timeouts.cancel_ms", ms(timeouts.cancel)),
            ("timeouts.probe_interval_ms", ms(timeouts.probe_interval)),
            ("timeouts.shutdown_ms", ms(timeouts.shutdown)),
            ("log.level", log.level.to_string()),
            ("log.format", log.format.to_string()),
            ("log.slow_ms", ms_or_none(log.slow)),
            ("log.literals", log.literals.to_string()),
            ("versions.mysql", self.versions.mysql.clone().unwrap_or_default()),
            ("versions.postgres", self.versions.postgres.clone().unwrap_or_default()),
        ]
    }

    /// What differs in `new`.
    pub fn changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for ((name, old_value), (_, new_value)) in self.settings().iter().zip(new.settings()) {
            let secret_changed = *name == "admin.password" && self.admin.password != new.admin.password;
            if *old_value != new_value || secret_changed {
                changes.put(name, (*name).to_owned());
            }
        }
        differing(&named_users(self), &named_users(new), |name| {
            changes.put("user.name", format!("user {name}"));
        });
        differing(&named_servers(self), &named_servers(new), |name| {
            changes.put("server.name", format!("server {name}"));
        });
        differing(&named_databases(self), &named_databases(new), |name| {
            changes.put("database.name", format!("database {name}"));
        });
        changes
    }

    /// The configuration after a reload: `new` where a reload applies it, the running one elsewhere.
    pub fn reloaded(&self, new: &Self) -> Self {
        Self {
            transaction_type: new.transaction_type,
            admin: new.admin.clone(),
            users: new.users.clone(),
            pool: new.pool.clone(),
            limits: new.limits.clone(),
            timeouts: new.timeouts.clone(),
            log: super::Log { format: self.log.format, ..new.log.clone() },
            ..self.clone()
        }
    }
}

impl Changes {
    fn put(&mut self, key: &str, what: String) {
        match keys::key(key).map(|k| k.reload) {
            Some(Reload::Live) => self.live.push(what),
            _ => self.restart.push(what),
        }
    }
}

/// Things that a file names, each with its name.
type Named<T> = Vec<(String, T)>;

fn named_users(config: &Config) -> Named<&User> {
    config.users.iter().map(|u| (u.name.clone(), u)).collect()
}

fn named_servers(config: &Config) -> Named<&Server> {
    config.servers.iter().map(|s| (s.name.clone(), s)).collect()
}

/// Databases with the names of their servers in place of indices, so that moving a server in the file is no change.
fn named_databases(config: &Config) -> Named<(Database, Vec<&str>)> {
    let named = |database: &Database| {
        let mut rest = database.clone();
        let shards = database.shards.iter();
        let servers = shards.map(|s| config.server_of(s).name.as_str()).collect();
        rest.shards.iter_mut().for_each(|s| s.server = 0);
        let name = format!("{} {}", database.protocol, database.name);
        (name, (rest, servers))
    };
    config.databases.iter().map(named).collect()
}

/// Calls `found` with the name of everything that is only on one side, or not the same on both.
fn differing<T: PartialEq>(old: &Named<T>, new: &Named<T>, mut found: impl FnMut(&str)) {
    let on = |side: &Named<T>, name: &str| side.iter().position(|(n, _)| n == name);
    for (name, item) in old {
        if on(new, name).is_none_or(|at| new[at].1 != *item) {
            found(name);
        }
    }
    for (name, _) in new {
        if on(old, name).is_none() {
            found(name);
        }
    }
}

fn address(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "off".to_owned(), |a| a.to_string())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn ms_or_none(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "0".to_owned(), ms)
}
