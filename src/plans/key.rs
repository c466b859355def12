//! What a plan is found by. Everything that a plan depends on is in it, hashed with the key of the process,
//! so that nobody can aim at another's plan. Out: the statement's values.

use sharding::lexer::{Dialect, Fingerprint, FingerprintKey};

use crate::config::Protocol;

/// All that a plan depends on besides the statement: made once per session and setting, not per statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanScope(u128);

impl PlanScope {
    /// `path` is the current schema (MySQL) or the search_path; `schema_version` that of the schema the plan is made from.
    #[must_use]
    pub fn new(
        key: &FingerprintKey,
        protocol: Protocol,
        database: &str,
        path: &[impl AsRef<str>],
        schema_version: u64,
        dialect: Dialect,
    ) -> Self {
        let mut text = Vec::with_capacity(64);
        let mut part = |bytes: &[u8]| {
            text.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            text.extend_from_slice(bytes);
        };
        part(protocol.as_str().as_bytes());
        part(database.as_bytes());
        part(&schema_version.to_le_bytes());
        part(format!("{dialect:?}").as_bytes());
        for schema in path {
            part(schema.as_ref().as_bytes());
        }
        Self(key.hash(&text).0)
    }

    /// The key of a statement in this scope.
    #[must_use]
    pub fn key(&self, fingerprint: Fingerprint) -> PlanKey {
        PlanKey { fingerprint: fingerprint.0, scope: self.0 }
    }
}

/// What a plan is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanKey {
    fingerprint: u128,
    scope: u128,
}

impl PlanKey {
    /// The statement's part.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// Bits to spread keys over tables: both parts are keyed hashes already.
    pub(super) fn spread(&self) -> u64 {
        let mixed = self.fingerprint ^ self.scope;
        (mixed >> 64) as u64 ^ mixed as u64
    }
}
