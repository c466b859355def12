//! Passwords that come whole (full authentication of caching_sha2_password): the key that they are encrypted with where
//! there is no TLS, their check against a user's verifier, and what was learnt from those that were right.
//! Out: the exchange (`session::full_proof`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use protocol::mysql::authentication::Verifier;
use protocol::postgres::scram;
use rsa::PrivateKey;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::{TryCryptoRng, TryRng};
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Bits of the key, as servers have it: every client library has been tried with them.
const KEY_BITS: usize = 2048;
/// Bytes of a password encrypted with the key.
pub const ENCRYPTED: usize = KEY_BITS / 8;
/// Checks at a time; each takes milliseconds of a core, and whoever can connect can ask for one.
const CHECKS_MAX: usize = 2;
/// Most users whose passwords are remembered by a digest; more than that prove theirs in full at each login.
const KNOWN_MAX: usize = 10_000;

/// What logins by whole passwords share.
pub struct Passwords {
    key: OnceLock<Option<Key>>,
    known: DashMap<String, (Secret, Verifier)>,
    checks: Semaphore,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { key: OnceLock::new(), known: DashMap::new(), checks: Semaphore::new(CHECKS_MAX) }
    }
}

struct Key {
    private: PrivateKey,
    public: String,
}

impl Passwords {
    /// The public key (PEM). It is made when the first client asks, and kept as long as the process lives.
    pub async fn public_key(self: &Arc<Self>) -> Option<String> {
        self.work(|passwords| passwords.key().map(|key| key.public.clone())).await?
    }

    /// What a client encrypted with the public key.
    pub async fn decrypt(self: &Arc<Self>, encrypted: Vec<u8>) -> Option<Vec<u8>> {
        self.work(move |passwords| passwords.key()?.private.oaep_decrypt::<sha1::Sha1>(&encrypted).ok()).await?
    }

    /// What the user's digest is checked against, if its password is known since an earlier login under this verifier.
    pub fn known(&self, user: &str, stored: &Secret) -> Option<Verifier> {
        self.known.get(user).filter(|known| known.0 == *stored).map(|known| known.1.clone())
    }

    /// Whether this is the password of the user with this SCRAM verifier. The next login by it is quick.
    pub async fn is_right(self: &Arc<Self>, user: &str, stored: &Secret, password: Vec<u8>) -> bool {
        let secret = stored.clone();
        let work = move |_: &Self| {
            let right = scram::Verifier::parse(secret.expose()).is_some_and(|stored| stored.accepts(&password));
            right.then(|| Verifier::of_password(&password))
        };
        let Some(Some(verifier)) = self.work(work).await else { return false };
        if self.known.len() < KNOWN_MAX || self.known.contains_key(user) {
            self.known.insert(user.to_owned(), (stored.clone(), verifier));
        }
        true
    }

    fn key(&self) -> Option<&Key> {
        let made = self.key.get_or_init(|| {
            let private = PrivateKey::new(&mut SystemRandom, KEY_BITS).ok()?;
            let public = private.to_public_key().to_public_key_pem(LineEnding::LF).ok()?;
            Some(Key { private, public })
        });
        made.as_ref()
    }

    /// Runs what takes milliseconds beside the sessions of this worker. It ends even if nobody waits for it any more.
    async fn work<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Self) -> T + Send + 'static) -> Option<T> {
        let _turn = self.checks.acquire().await.ok()?;
        let own = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&own)).await.ok()
    }
}

/// The system's random numbers.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = getrandom::Error;

    fn try_next_u32(&mut self) -> Result<u32, getrandom::Error> {
        getrandom::u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, getrandom::Error> {
        getrandom::u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        getrandom::fill(bytes)
    }
}

impl TryCryptoRng for SystemRandom {}
