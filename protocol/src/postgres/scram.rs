//! SCRAM-SHA-256 from the server's side, with and without channel binding (`tls-server-end-point`).
//! Source: RFC 5802, RFC 7677, RFC 5929. Unknown users run the same exchange with a verifier that nothing matches, so
//! that they cannot be told from wrong passwords. Out: the client's side, which is postgres-protocol's `ScramSha256`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

/// Mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// Mechanism with channel binding.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// Longest message of the exchange that is read.
pub const MESSAGE_BYTES_MAX: usize = 8_192;
const ITERATIONS: u32 = 4_096;

/// Why an exchange fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScramError {
    /// The message does not have the form that the RFC gives it.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The proof does not match: wrong password, unknown user or another TLS channel.
    #[error("password authentication failed")]
    Denied,
}

/// What a server keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Verifier(..)")
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error case does not exist for it.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Verifier {
    /// Derives one from a password, with a random salt. Costs thousands of hashes: keep the result.
    #[must_use]
    pub fn from_password(password: &[u8]) -> Option<Self> {
        Self::parse(&postgres_protocol::password::scram_sha_256(password))
    }

    /// Reads the form in which PostgreSQL stores it: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let salt = BASE64.decode(salt).ok()?;
        let iterations: u32 = iterations.parse().ok()?;
        if salt.is_empty() || salt.len() > 1024 || iterations == 0 {
            return None;
        }
        Some(Self {
            iterations,
            salt,
            stored_key: BASE64.decode(stored_key).ok()?.try_into().ok()?,
            server_key: BASE64.decode(server_key).ok()?.try_into().ok()?,
        })
    }

    /// Whether this is the verifier of `password`, which came whole. Costs thousands of hashes.
    #[must_use]
    pub fn accepts(self, password: &[u8]) -> bool {
        let mut client = ScramSha256::new(password, ChannelBinding::unsupported());
        let begun = begin(self, true, SCRAM_SHA_256, None, client.message(), "own");
        let Ok((exchange, first)) = begun else { return false };
        client.update(&first).is_ok() && exchange.finish(client.message()).is_ok()
    }

    /// A verifier for a user that does not exist: the salt stays the same for one user and secret; no proof matches.
    #[must_use]
    pub fn mock(user: &str, secret: &[u8]) -> Self {
        let salt = hmac(secret, &[b"salt", user.as_bytes()])[..16].to_vec();
        Self {
            iterations: ITERATIONS,
            salt,
            stored_key: hmac(secret, &[b"stored", user.as_bytes()]),
            server_key: hmac(secret, &[b"server", user.as_bytes()]),
        }
    }
}

/// An exchange after the client's first message.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    genuine: bool,
    nonce: String,
    first_bare: String,
    server_first: String,
    /// What the client must repeat in `c=`, not yet encoded.
    binding: Vec<u8>,
}

/// Takes the client's first message; gives the exchange and the server's first message.
///
/// `mechanism` is the one the client chose, `channel` the hash of our TLS certificate if the connection has one (then both
/// mechanisms were offered), `server_nonce` random text without commas. `genuine` is false for a [`Verifier::mock`].
///
/// # Errors
/// [`ScramError::Malformed`].
pub fn begin(
    verifier: Verifier,
    genuine: bool,
    mechanism: &str,
    channel: Option<&[u8]>,
    client_first: &[u8],
    server_nonce: &str,
) -> Result<(Exchange, Vec<u8>), ScramError> {
    if client_first.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::Malformed("too long"));
    }
    let text = std::str::from_utf8(client_first).map_err(|_| ScramError::Malformed("not UTF-8"))?;
    let (flag, after) = text.split_once(',').ok_or(ScramError::Malformed("no channel-binding flag"))?;
    let (identity, bare) = after.split_once(',').ok_or(ScramError::Malformed("no authorization identity"))?;
    if !identity.is_empty() {
        return Err(ScramError::Malformed("authorization identities are not supported"));
    }
    let header = &text[..text.len() - bare.len()];
    let mut binding = header.as_bytes().to_vec();
    match (mechanism, flag) {
        (SCRAM_SHA_256, "n") => {}
        (SCRAM_SHA_256, "y") if channel.is_none() => {}
        (SCRAM_SHA_256, "y") => return Err(ScramError::Malformed("channel binding was offered but not seen")),
        (SCRAM_SHA_256_PLUS, "p=tls-server-end-point") => {
            binding.extend_from_slice(channel.ok_or(ScramError::Malformed("channel binding needs TLS"))?);
        }
        _ => return Err(ScramError::Malformed("channel-binding flag does not suit the mechanism")),
    }
    let mut fields = bare.split(',');
    if !fields.next().is_some_and(|field| field.starts_with("n=")) {
        return Err(ScramError::Malformed("no user name"));
    }
    let client_nonce = fields
        .next()
        .and_then(|field| field.strip_prefix("r="))
        .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(ScramError::Malformed("no nonce"))?;
    let nonce = format!("{client_nonce}{server_nonce}");
    let server_first = format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
    let reply = server_first.clone().into_bytes();
    Ok((Exchange { verifier, genuine, nonce, first_bare: bare.to_owned(), server_first, binding }, reply))
}

impl Exchange {
    /// Takes the client's final message; gives the server's final message if the proof is right.
    ///
    /// # Errors
    /// [`ScramError::Denied`] if it is not, [`ScramError::Malformed`].
    pub fn finish(self, client_final: &[u8]) -> Result<Vec<u8>, ScramError> {
        if client_final.len() > MESSAGE_BYTES_MAX {
            return Err(ScramError::Malformed("too long"));
        }
        let text = std::str::from_utf8(client_final).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed("no proof"))?;
        let proof: [u8; 32] =
            BASE64.decode(proof).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(ScramError::Malformed("proof"))?;
        let mut fields = without_proof.split(',');
        let binding = fields
            .next()
            .and_then(|field| field.strip_prefix("c="))
            .and_then(|encoded| BASE64.decode(encoded).ok())
            .ok_or(ScramError::Malformed("channel binding"))?;
        let nonce =
            fields.next().and_then(|field| field.strip_prefix("r=")).ok_or(ScramError::Malformed("no nonce"))?;
        if nonce != self.nonce {
            return Err(ScramError::Malformed("nonce"));
        }
        let message = [self.first_bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac(&self.verifier.stored_key, &message);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let right: Choice = Sha256::digest(client_key).as_slice().ct_eq(self.verifier.stored_key.as_slice())
            & binding.ct_eq(&self.binding)
            & Choice::from(u8::from(self.genuine));
        if !bool::from(right) {
            return Err(ScramError::Denied);
        }
        Ok(format!("v={}", BASE64.encode(hmac(&self.verifier.server_key, &message))).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        verifier: Verifier,
        genuine: bool,
        password: &[u8],
        ours: Option<&[u8]>,
        theirs: Option<&[u8]>,
    ) -> Result<(), ScramError> {
        let binding =
            theirs.map_or(ChannelBinding::unsupported(), |hash| ChannelBinding::tls_server_end_point(hash.to_vec()));
        let mechanism = if theirs.is_some() { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 };
        let mut client = ScramSha256::new(password, binding);
        let (exchange, first) = begin(verifier, genuine, mechanism, ours, client.message(), "server")?;
        client.update(&first).expect("the client takes our first message");
        let last = exchange.finish(client.message())?;
        client.finish(&last).expect("the client takes our proof");
        Ok(())
    }

    #[test]
    fn right_and_wrong_passwords() {
        let verifier = Verifier::from_password("pässword".as_bytes()).expect("derived");
        assert_eq!(run(verifier.clone(), true, "pässword".as_bytes(), None, None), Ok(()));
        assert_eq!(run(verifier.clone(), true, b"password", None, None), Err(ScramError::Denied));
        assert_eq!(run(verifier, false, "pässword".as_bytes(), None, None), Err(ScramError::Denied));
        let stored = Verifier::from_password("pässword".as_bytes()).expect("derived");
        assert!(stored.clone().accepts("pässword".as_bytes()));
        assert!(!stored.clone().accepts(b"password") && !stored.accepts(b""));
        let mock = Verifier::mock("nobody", b"secret");
        assert_eq!(mock, Verifier::mock("nobody", b"secret"));
        assert_ne!(mock.salt, Verifier::mock("somebody", b"secret").salt);
        assert_eq!(run(mock, false, b"x", None, None), Err(ScramError::Denied));
    }

    #[test]
    fn channel_binding() {
        let verifier = Verifier::from_password(b"x").expect("derived");
        assert_eq!(run(verifier.clone(), true, b"x", Some(b"hash"), Some(b"hash")), Ok(()));
        assert_eq!(run(verifier.clone(), true, b"x", Some(b"hash"), Some(b"other")), Err(ScramError::Denied));
        assert!(matches!(run(verifier.clone(), true, b"x", None, Some(b"hash")), Err(ScramError::Malformed(_))));
        // A client that can bind but believes that we cannot, although we offered it: someone took the offer out.
        let downgraded = begin(verifier, true, SCRAM_SHA_256, Some(b"hash"), b"y,,n=,r=abc", "s");
        assert!(matches!(downgraded, Err(ScramError::Malformed(_))));
    }

    #[test]
    fn rfc_7677_example() {
        // The example of RFC 7677, section 3: user `user`, password `pencil`.
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let mut salted = hmac(b"pencil", &[&salt, &1_u32.to_be_bytes()]);
        let mut block = salted;
        for _ in 1..ITERATIONS {
            block = hmac(b"pencil", &[&block]);
            salted.iter_mut().zip(block).for_each(|(left, right)| *left ^= right);
        }
        let verifier = Verifier {
            iterations: ITERATIONS,
            salt,
            stored_key: Sha256::digest(hmac(&salted, &[b"Client Key"])).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        };
        let (exchange, first) = begin(
            verifier,
            true,
            SCRAM_SHA_256,
            None,
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .expect("well-formed");
        assert_eq!(first, b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert_eq!(
            exchange.finish(
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            ),
            Ok(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_vec())
        );
    }

    #[test]
    fn malformed_messages() {
        let verifier = Verifier::mock("x", b"y");
        for first in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=",
            "n,,n=,r=",
            "n,a=x,n=,r=a",
            "p=tls-unique,,n=,r=a",
            "n,,r=a",
            "n,,n=,r=\u{7}",
        ] {
            let begun = begin(verifier.clone(), true, SCRAM_SHA_256, None, first.as_bytes(), "s");
            assert!(matches!(begun, Err(ScramError::Malformed(_))), "{first}");
        }
        for last in [
            "",
            "c=biws",
            "c=biws,r=as",
            "c=biws,r=as,p=",
            "c=biws,r=as,p=AAAA",
            "c=!,r=as,p=x",
            "c=biws,r=b,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        ] {
            let (exchange, _) =
                begin(verifier.clone(), true, SCRAM_SHA_256, None, b"n,,n=,r=a", "s").expect("well-formed");
            assert!(matches!(exchange.finish(last.as_bytes()), Err(ScramError::Malformed(_))), "{last}");
        }
        for text in
            ["", "md5x", "SCRAM-SHA-256$0:AAAA$A:A", "SCRAM-SHA-256$4096:$A:A", "SCRAM-SHA-256$4096:AAAA$AA==:AA=="]
        {
            assert_eq!(Verifier::parse(text), None, "{text}");
        }
    }
}
