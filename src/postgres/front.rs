//! What all PostgreSQL sessions share: pools, prepared statements, verifiers of passwords, what servers said to newcomers.
//! Out: what belongs to one session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use protocol::postgres::scram::Verifier;

use super::backend::Connector;
use super::scopes::Scopes;
use super::settings::Settings;
use super::statements::Statements;
use crate::config::Config;
use crate::pool::{PoolSettings, Pools};

/// Most sets of startup settings whose effect is remembered.
const WELCOMES_MAX: usize = 10_000;
/// Most verifiers that are remembered; more users than that derive theirs again at each login.
const VERIFIERS_MAX: usize = 10_000;

/// Settings as a client names them at the start, of the logical database of this number.
type WelcomeKey = (usize, Vec<(String, String)>);

/// What a session starts with.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// Its settings, as the server named and understood them.
    pub settings: Arc<Settings>,
    /// What the client is told about the server's parameters.
    pub parameters: Arc<Vec<(String, String)>>,
}

/// What all PostgreSQL sessions share.
pub struct Front {
    /// The backends.
    pub pools: Arc<Pools<Connector>>,
    /// Prepared statements.
    pub statements: Arc<Statements>,
    /// With whom a session can share them.
    pub scopes: Scopes,
    welcomes: DashMap<WelcomeKey, Welcome>,
    verifiers: DashMap<String, (String, Verifier)>,
    secret: [u8; 32],
    transactions: AtomicU64,
}

impl Front {
    /// Nothing is opened before it is asked for.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(config: Arc<ArcSwap<Config>>, pool: PoolSettings, workers: usize) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            pools: Pools::new(Connector::new(config), pool, workers),
            statements: Arc::default(),
            scopes: Scopes::default(),
            welcomes: DashMap::new(),
            verifiers: DashMap::new(),
            secret,
            transactions: AtomicU64::new(0),
        })
    }

    /// A number that grows with each transaction of this process.
    pub fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed)
    }

    /// The verifier of a user with this password. It is derived once: that takes thousands of hashes.
    #[must_use]
    pub fn verifier(&self, user: &str, password: &str) -> Option<Verifier> {
        if let Some(known) = self.verifiers.get(user)
            && known.0 == password
        {
            return Some(known.1.clone());
        }
        let verifier = Verifier::from_password(password.as_bytes())?;
        if self.verifiers.len() < VERIFIERS_MAX {
            self.verifiers.insert(user.to_owned(), (password.to_owned(), verifier.clone()));
        }
        Some(verifier)
    }

    /// The verifier that stands for a user who does not exist.
    #[must_use]
    pub fn mock_verifier(&self, user: &str) -> Verifier {
        Verifier::mock(user, &self.secret)
    }

    /// What a session with these startup settings starts with, if one like it has started before.
    #[must_use]
    pub fn welcome(&self, database: usize, settings: &[(String, String)]) -> Option<Welcome> {
        self.welcomes.get(&(database, settings.to_vec())).map(|welcome| welcome.clone())
    }

    /// Remembers what the server made of these startup settings.
    pub fn remember_welcome(&self, database: usize, settings: &[(String, String)], welcome: Welcome) {
        if self.welcomes.len() >= WELCOMES_MAX {
            self.welcomes.clear();
        }
        self.welcomes.insert((database, settings.to_vec()), welcome);
    }

    /// The configuration changed: servers may be others.
    pub fn forget_welcomes(&self) {
        self.welcomes.clear();
    }
}
