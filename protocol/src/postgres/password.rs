//! Password checks other than SCRAM, from the server's side, and what a client answers to a server's request.

use md5::{Digest, Md5};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::backend::AuthenticationRequest;
use super::{scram, write};

fn md5_hex(parts: &[&[u8]]) -> String {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to an MD5 request: `md5` and md5(md5(password, user), salt).
#[must_use]
pub fn md5_answer(user: &str, password: &[u8], salt: [u8; 4]) -> String {
    let stored = md5_hex(&[password, user.as_bytes()]);
    format!("md5{}", md5_hex(&[stored.as_bytes(), &salt]))
}

/// Whether `answer` (the body of the client's message) is the right one to an MD5 request.
#[must_use]
pub fn md5_matches(user: &str, password: &[u8], salt: [u8; 4], answer: &[u8]) -> bool {
    let answer = answer.strip_suffix(b"\0").unwrap_or(answer);
    md5_answer(user, password, salt).as_bytes().ct_eq(answer).into()
}

/// Whether `answer` (the body of the client's message) is this password.
#[must_use]
pub fn cleartext_matches(password: &[u8], answer: &[u8]) -> bool {
    let answer = answer.strip_suffix(b"\0").unwrap_or(answer);
    password.ct_eq(answer).into()
}

/// Why we cannot log in to a server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginError {
    /// The server asks for something that we do not speak.
    #[error("the server asks for an authentication method that is not supported ({0})")]
    Method(String),
    /// The server's side of the exchange is wrong: it does not know the password, or someone sits in between.
    #[error("the server's answer in the SCRAM exchange is wrong")]
    Server,
}

/// A client's side of authentication.
pub struct Login<'a> {
    user: &'a str,
    password: &'a [u8],
    exchange: Option<ScramSha256>,
}

impl<'a> Login<'a> {
    /// Starts.
    #[must_use]
    pub fn new(user: &'a str, password: &'a [u8]) -> Self {
        Self { user, password, exchange: None }
    }

    /// Takes what the server asks for and appends the answer. True when the server is satisfied.
    ///
    /// # Errors
    /// [`LoginError`].
    pub fn on(&mut self, request: AuthenticationRequest<'_>, out: &mut impl write::Sink) -> Result<bool, LoginError> {
        match request {
            // A server that asked for a proof and then forgot its own is not the server that we know.
            AuthenticationRequest::Ok if self.exchange.is_some() => return Err(LoginError::Server),
            AuthenticationRequest::Ok => return Ok(true),
            AuthenticationRequest::Cleartext => write::password(out, self.password),
            AuthenticationRequest::Md5(salt) => {
                write::password(out, md5_answer(self.user, self.password, salt).as_bytes());
            }
            AuthenticationRequest::Sasl(mechanisms) => {
                if !mechanisms.split(|&byte| byte == 0).any(|name| name == scram::SCRAM_SHA_256.as_bytes()) {
                    return Err(LoginError::Method(String::from_utf8_lossy(mechanisms).replace('\0', " ")));
                }
                let exchange = ScramSha256::new(self.password, ChannelBinding::unsupported());
                write::sasl_initial_response(out, scram::SCRAM_SHA_256, exchange.message());
                self.exchange = Some(exchange);
            }
            AuthenticationRequest::SaslContinue(data) => {
                let exchange = self.exchange.as_mut().ok_or(LoginError::Server)?;
                exchange.update(data).map_err(|_| LoginError::Server)?;
                write::sasl_response(out, exchange.message());
            }
            AuthenticationRequest::SaslFinal(data) => {
                let mut exchange = self.exchange.take().ok_or(LoginError::Server)?;
                exchange.finish(data).map_err(|_| LoginError::Server)?;
            }
            AuthenticationRequest::Other(code) => return Err(LoginError::Method(format!("code {code}"))),
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_as_libpq_does() {
        // Agrees with postgres-protocol, whose own tests pin it.
        let expected = postgres_protocol::authentication::md5_hash(b"md5_user", b"password", [0x2a, 0x3d, 0x8f, 0xe0]);
        assert_eq!(md5_answer("md5_user", b"password", [0x2a, 0x3d, 0x8f, 0xe0]), expected);
        assert!(md5_matches("md5_user", b"password", [0x2a, 0x3d, 0x8f, 0xe0], format!("{expected}\0").as_bytes()));
        assert!(!md5_matches("md5_user", b"password", [0; 4], expected.as_bytes()));
        assert!(cleartext_matches(b"pw", b"pw\0"));
        assert!(!cleartext_matches(b"pw", b"pwx\0"));
        assert!(!cleartext_matches(b"pw", b""));
    }

    #[test]
    fn login_by_scram_to_our_own_server_side() {
        let verifier = scram::Verifier::from_password(b"pw").expect("derived");
        let mut login = Login::new("u", b"pw");
        let mut out = Vec::new();
        login.on(AuthenticationRequest::Sasl(b"SCRAM-SHA-256\0\0"), &mut out).expect("offered");
        let first = &out[5 + 14 + 4..];
        let (exchange, reply) =
            scram::begin(verifier, true, scram::SCRAM_SHA_256, None, first, "nonce").expect("well-formed");
        out.clear();
        login.on(AuthenticationRequest::SaslContinue(&reply), &mut out).expect("continues");
        let last = exchange.finish(&out[5..]).expect("proof is right");
        assert_eq!(login.on(AuthenticationRequest::SaslFinal(&last), &mut out), Ok(false));
        assert_eq!(login.on(AuthenticationRequest::Ok, &mut out), Ok(true));
    }

    #[test]
    fn a_server_without_proof_is_not_believed() {
        let mut login = Login::new("u", b"pw");
        let mut out = Vec::new();
        login.on(AuthenticationRequest::Sasl(b"SCRAM-SHA-256\0\0"), &mut out).expect("offered");
        assert_eq!(login.on(AuthenticationRequest::Ok, &mut out), Err(LoginError::Server));
        assert_eq!(login.on(AuthenticationRequest::SaslFinal(b"v=AAAA"), &mut out), Err(LoginError::Server));
        assert!(login.on(AuthenticationRequest::Sasl(b"OTHER\0\0"), &mut out).is_err());
        assert!(login.on(AuthenticationRequest::Other(7), &mut out).is_err());
    }
}
