//! The settings of a session right after its login. Sessions that log in with the same collation share them until one
//! changes a setting: an idle session holds none of its own, and backends are seen at a glance to have them.
//! Out: what changes them (`state`).

use std::sync::Arc;

use dashmap::DashMap;
use sharding::lexer::MySqlServer;

use super::charset::{self, Wanted};
use crate::mysql::memory::Settings;

/// By character set and collation; empty names for the server's default. No more entries than collations are known.
#[derive(Debug, Default)]
pub struct Fresh {
    known: DashMap<(&'static str, &'static str), Arc<Settings>>,
}

impl Fresh {
    /// The settings after a login with this collation.
    ///
    /// # Errors
    /// The name of a character set that is refused.
    pub fn settings(&self, collation: u16, server: MySqlServer) -> Result<Arc<Settings>, &'static str> {
        let names = match charset::wanted(collation, !matches!(server, MySqlServer::MySql(_))) {
            Wanted::Unsafe(name) => return Err(name),
            Wanted::ServerDefault => ("", ""),
            Wanted::Known(set, collation) => (set, collation),
        };
        if let Some(known) = self.known.get(&names) {
            return Ok(Arc::clone(&known));
        }
        Ok(Arc::clone(&self.known.entry(names).or_insert_with(|| Arc::new(settings(names)))))
    }
}

fn settings((set, collation): (&str, &str)) -> Settings {
    let mut settings = Settings::default();
    if !set.is_empty() {
        let names = [
            ("character_set_client", set),
            ("character_set_connection", set),
            ("character_set_results", set),
            ("collation_connection", collation),
        ];
        for (name, value) in names {
            settings.variables.insert(name.as_bytes().into(), value.as_bytes().into());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_log_in_alike_share_their_settings() {
        let fresh = Fresh::default();
        let server = MySqlServer::MariaDb(101_119);
        let of = |collation| fresh.settings(collation, server).expect("a safe character set");
        assert!(Arc::ptr_eq(&of(45), &of(45)));
        assert!(!Arc::ptr_eq(&of(45), &of(8)));
        assert_eq!(of(8).variables.get(&b"character_set_client"[..]).map(|set| &**set), Some(&b"latin1"[..]));
        // An id that nobody knows is the server's default.
        assert!(of(60_000).variables.is_empty());
        assert_eq!(fresh.settings(1, server), Err("big5"));
    }
}
