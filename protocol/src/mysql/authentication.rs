//! Proof of passwords: checking a client's answer, and answering a server's challenge.
//! Out: which users exist, sockets. Secrets are compared in constant time and never printed.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::greeting::SCRAMBLE;
use super::rsa_key;
use super::wire::{Reader, WireError, put_null_terminated};

/// Plugin name of SHA1 passwords.
pub const NATIVE: &str = "mysql_native_password";
/// Plugin name of SHA256 passwords, the default of MySQL 8.
pub const CACHING_SHA2: &str = "caching_sha2_password";
/// Plugin name of passwords in the clear.
pub const CLEAR: &str = "mysql_clear_password";

/// A method that a client may prove its password by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password`.
    CachingSha2,
}

impl Method {
    /// The method with this plugin name, if we know it.
    #[must_use]
    pub fn named(plugin: &[u8]) -> Option<Self> {
        match plugin {
            p if p == NATIVE.as_bytes() => Some(Self::Native),
            p if p == CACHING_SHA2.as_bytes() => Some(Self::CachingSha2),
            _ => None,
        }
    }

    /// The plugin name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => NATIVE,
            Self::CachingSha2 => CACHING_SHA2,
        }
    }
}

/// What a password is checked against: its double digests, as servers store them.
#[derive(Clone)]
pub struct Verifier {
    native: [u8; 20],
    sha2: [u8; 32],
    empty: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Verifier {
    /// The verifier of a password.
    #[must_use]
    pub fn of_password(password: &[u8]) -> Self {
        Self {
            native: Sha1::digest(Sha1::digest(password)).into(),
            sha2: Sha256::digest(Sha256::digest(password)).into(),
            empty: password.is_empty(),
        }
    }

    /// Whether `proof` shows knowledge of the password under this challenge.
    #[must_use]
    pub fn accepts(&self, method: Method, scramble: &[u8; SCRAMBLE], proof: &[u8]) -> bool {
        // An empty password is proven by an empty answer, and only so.
        if self.empty || proof.is_empty() || proof == [0] {
            return self.empty && (proof.is_empty() || proof == [0]);
        }
        match method {
            Method::Native => {
                let Ok(proof) = <[u8; 20]>::try_from(proof) else {
                    return false;
                };
                let mask: [u8; 20] = Sha1::new().chain_update(scramble).chain_update(self.native).finalize().into();
                let found: [u8; 20] = Sha1::digest(xor(proof, &mask)).into();
                found.ct_eq(&self.native).into()
            }
            Method::CachingSha2 => {
                let Ok(proof) = <[u8; 32]>::try_from(proof) else {
                    return false;
                };
                let mask: [u8; 32] = Sha256::new().chain_update(self.sha2).chain_update(scramble).finalize().into();
                let found: [u8; 32] = Sha256::digest(xor(proof, &mask)).into();
                found.ct_eq(&self.sha2).into()
            }
        }
    }

    /// Whether this is the password, sent in the clear (only ever over TLS); a closing zero byte is not part of it.
    #[must_use]
    pub fn accepts_clear(&self, password: &[u8]) -> bool {
        let password = password.strip_suffix(&[0]).unwrap_or(password);
        let digest: [u8; 32] = Sha256::digest(Sha256::digest(password)).into();
        digest.ct_eq(&self.sha2).into()
    }
}

fn xor<const N: usize>(mut left: [u8; N], right: &[u8; N]) -> [u8; N] {
    for (l, r) in left.iter_mut().zip(right) {
        *l ^= r;
    }
    left
}

/// Appends the payload of an AuthSwitchRequest.
pub fn put_switch_request(out: &mut Vec<u8>, method: Method, scramble: &[u8; SCRAMBLE]) {
    out.push(0xfe);
    put_null_terminated(out, method.name().as_bytes());
    out.extend_from_slice(scramble);
    out.push(0);
}

/// Payload by which a server says that the fast path of caching_sha2_password succeeded; OK follows.
pub const FAST_SUCCESS: [u8; 2] = [1, 3];
/// Payload by which a server asks for the password itself: in the clear by TLS, else encrypted.
pub const FULL_WANTED: [u8; 2] = [1, 4];
/// Payload by which a client asks for the key to encrypt its password with.
pub const KEY_REQUEST: [u8; 1] = [2];

/// Appends the payload that hands out the key (PEM) to encrypt a password with.
pub fn put_public_key(out: &mut Vec<u8>, pem: &str) {
    out.push(1);
    out.extend_from_slice(pem.as_bytes());
}

/// Why a login at a server cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginError {
    /// The server wants a plugin that we do not have.
    #[error("the server asks for the authentication plugin {0}, which is not supported")]
    Plugin(String),
    /// The server wants the password in the clear on a connection without TLS.
    #[error("the server asks for the password in the clear, which needs TLS")]
    NeedsTls,
    /// The server's key for the password is unusable.
    #[error("the server's public key is unusable")]
    Key,
    /// Bytes that make no sense.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What a client does next in the login exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginStep {
    /// Send this payload.
    Send(Vec<u8>),
    /// Read on.
    Wait,
    /// The packet was OK: logged in.
    Done,
    /// The packet was ERR: hand it to whoever asked.
    Refused,
}

/// The client's side of a login exchange, after the greeting.
pub struct ServerLogin {
    password: Vec<u8>,
    scramble: [u8; SCRAMBLE],
    plugin: Vec<u8>,
    secure: bool,
    key_asked: bool,
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogin").finish_non_exhaustive()
    }
}

impl ServerLogin {
    /// Starts from the greeting's plugin and challenge; `secure` says that the connection is encrypted or local.
    #[must_use]
    pub fn new(password: &[u8], plugin: &[u8], scramble: [u8; SCRAMBLE], secure: bool) -> Self {
        Self { password: password.to_vec(), scramble, plugin: plugin.to_vec(), secure, key_asked: false }
    }

    /// The plugin name and proof for the login packet. An unknown plugin gets no proof: the server switches.
    #[must_use]
    pub fn first_proof(&self) -> (Vec<u8>, Vec<u8>) {
        match Method::named(&self.plugin) {
            Some(method) => (self.plugin.clone(), self.proof(method)),
            None => (NATIVE.as_bytes().to_vec(), self.proof(Method::Native)),
        }
    }

    fn proof(&self, method: Method) -> Vec<u8> {
        use mysql_common::scramble::{scramble_native, scramble_sha256};
        match method {
            Method::Native => scramble_native(&self.scramble, &self.password).map(Vec::from),
            Method::CachingSha2 => scramble_sha256(&self.scramble, &self.password).map(Vec::from),
        }
        .unwrap_or_default()
    }

    /// Takes the next payload from the server.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub fn on_packet(&mut self, payload: &[u8]) -> Result<LoginStep, LoginError> {
        match payload.first() {
            Some(0x00) => Ok(LoginStep::Done),
            Some(0xff) => Ok(LoginStep::Refused),
            Some(0xfe) => self.on_switch(payload).map(LoginStep::Send),
            Some(0x01) => self.on_more_data(payload.get(1..).unwrap_or_default()),
            _ => Err(WireError::Malformed("unexpected packet during login").into()),
        }
    }

    fn on_switch(&mut self, payload: &[u8]) -> Result<Vec<u8>, LoginError> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        if reader.is_empty() {
            return Err(LoginError::Plugin("mysql_old_password".to_owned()));
        }
        self.plugin = reader.null_terminated()?.to_vec();
        if self.plugin == CLEAR.as_bytes() {
            return self.clear_password();
        }
        let Some(method) = Method::named(&self.plugin) else {
            return Err(LoginError::Plugin(String::from_utf8_lossy(&self.plugin).into_owned()));
        };
        self.scramble.copy_from_slice(reader.take(SCRAMBLE)?);
        Ok(self.proof(method))
    }

    fn on_more_data(&mut self, data: &[u8]) -> Result<LoginStep, LoginError> {
        if Method::named(&self.plugin) != Some(Method::CachingSha2) {
            return Err(WireError::Malformed("unexpected authentication data").into());
        }
        if self.key_asked {
            let mut masked = self.password.clone();
            masked.push(0);
            for (byte, mask) in masked.iter_mut().zip(self.scramble.iter().cycle()) {
                *byte ^= mask;
            }
            self.key_asked = false;
            return rsa_key::encrypt(data, &masked).map(LoginStep::Send).ok_or(LoginError::Key);
        }
        match data {
            [3] => Ok(LoginStep::Wait),
            [4] if self.secure => self.clear_password().map(LoginStep::Send),
            [4] => {
                self.key_asked = true;
                Ok(LoginStep::Send(KEY_REQUEST.to_vec()))
            }
            _ => Err(WireError::Malformed("unexpected authentication data").into()),
        }
    }

    fn clear_password(&self) -> Result<Vec<u8>, LoginError> {
        if !self.secure {
            return Err(LoginError::NeedsTls);
        }
        let mut clear = self.password.clone();
        clear.push(0);
        Ok(clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: [u8; SCRAMBLE] = *b"01234567890123456789";

    fn login(plugin: &str, password: &[u8]) -> ServerLogin {
        ServerLogin::new(password, plugin.as_bytes(), CHALLENGE, false)
    }

    #[test]
    fn both_sides_agree_for_each_method() {
        for method in [Method::Native, Method::CachingSha2] {
            let verifier = Verifier::of_password(b"secret");
            let (plugin, proof) = login(method.name(), b"secret").first_proof();
            assert_eq!(plugin, method.name().as_bytes());
            assert!(verifier.accepts(method, &CHALLENGE, &proof));
            let (_, wrong) = login(method.name(), b"Secret").first_proof();
            assert!(!verifier.accepts(method, &CHALLENGE, &wrong));
            assert!(!verifier.accepts(method, b"x1234567890123456789", &proof));
            assert!(!verifier.accepts(method, &CHALLENGE, &proof[1..]));
            assert!(!verifier.accepts(method, &CHALLENGE, b""));
        }
    }

    #[test]
    fn an_empty_password_needs_an_empty_proof() {
        let verifier = Verifier::of_password(b"");
        assert!(verifier.accepts(Method::Native, &CHALLENGE, b""));
        assert!(verifier.accepts(Method::CachingSha2, &CHALLENGE, &[0]));
        assert!(!verifier.accepts(Method::Native, &CHALLENGE, &[7; 20]));
        assert!(verifier.accepts_clear(b"\0"));
        assert!(!Verifier::of_password(b"x").accepts(Method::Native, &CHALLENGE, b""));
    }

    #[test]
    fn a_switch_uses_the_new_challenge() {
        let mut exchange = login(CACHING_SHA2, b"pw");
        let mut packet = Vec::new();
        put_switch_request(&mut packet, Method::Native, b"abcdefghijklmnopqrst");
        let Ok(LoginStep::Send(proof)) = exchange.on_packet(&packet) else { panic!("a proof must be sent") };
        assert!(Verifier::of_password(b"pw").accepts(Method::Native, b"abcdefghijklmnopqrst", &proof));
    }

    #[test]
    fn full_authentication_is_in_the_clear_only_when_secure() {
        let mut secure = ServerLogin::new(b"pw", CACHING_SHA2.as_bytes(), CHALLENGE, true);
        assert_eq!(secure.on_packet(&[1, 4]), Ok(LoginStep::Send(b"pw\0".to_vec())));
        let mut open = login(CACHING_SHA2, b"pw");
        assert_eq!(open.on_packet(&[1, 4]), Ok(LoginStep::Send(vec![2])));
        assert_eq!(open.on_packet(b"\x01-----BEGIN nonsense"), Err(LoginError::Key));
        let clear = b"\xfemysql_clear_password\0";
        assert_eq!(login(NATIVE, b"pw").on_packet(clear), Err(LoginError::NeedsTls));
    }

    #[test]
    fn unknown_plugins_and_nonsense_are_named() {
        let unknown = b"\xfedialog\0abc\0";
        assert_eq!(login(NATIVE, b"pw").on_packet(unknown), Err(LoginError::Plugin("dialog".to_owned())));
        assert!(login(NATIVE, b"pw").on_packet(b"").is_err());
        assert!(login(NATIVE, b"pw").on_packet(&[0xfe]).is_err());
        assert!(login(NATIVE, b"pw").on_packet(&[1, 3]).is_err());
        assert_eq!(login(NATIVE, b"pw").on_packet(&[0, 0, 0]), Ok(LoginStep::Done));
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", Verifier::of_password(b"hunter2")), "Verifier(..)");
        assert!(!format!("{:?}", login(NATIVE, b"hunter2")).contains("hunter"));
    }
}
