//! From the first packet to a logged-in client: greeting, TLS, proof of the password; COM_CHANGE_USER likewise.
//! Out: commands.

use std::sync::Arc;

use protocol::mysql::authentication::{CACHING_SHA2, FAST_SUCCESS, Method, Verifier, put_switch_request};
use protocol::mysql::capability::{self, Capabilities, status};
use protocol::mysql::greeting::{Greeting, SCRAMBLE};
use protocol::mysql::login::{FirstPacket, Login};
use protocol::mysql::packet::put_packet_with;

use super::client::{Client, ReadError};
use super::full_proof::{is_proven_in_full, reply};
use super::place::Place;
use crate::config::{Config, Credential, Protocol, User};
use crate::error_code::MeshError;
use crate::mesh::Mesh;
use crate::mysql::passwords::Passwords;

/// Login packets are short; connection attributes are at most 64 KiB.
pub const LOGIN_BYTES_MAX: usize = 128 * 1024;

/// The method that the greeting names.
const GREETED: Method = Method::Native;

/// A user that proved itself.
#[derive(Debug)]
pub struct Admitted {
    /// User name.
    pub user: String,
    /// Index of the logical database, and the schema's name, if one was named.
    pub database: Option<(usize, String)>,
    /// The login as it came.
    pub login: Login,
    /// Sequence number for the OK.
    pub sequence: u8,
    /// The last challenge that the client was sent: COM_CHANGE_USER answers it again.
    pub challenge: [u8; SCRAMBLE],
}

/// Why a login ended. The client was told, if it could be.
#[derive(Debug, thiserror::Error)]
pub enum LoginEnd {
    /// The client left, or sent what makes no sense.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system has no random numbers, the TLS handshake failed, the client cannot be written to.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The client was refused.
    #[error(transparent)]
    Refused(#[from] MeshError),
}

/// A challenge without zero bytes and without `$`, which some clients read as an end.
///
/// # Errors
/// The system has no random numbers.
pub fn scramble() -> std::io::Result<[u8; SCRAMBLE]> {
    let mut bytes = [0; SCRAMBLE];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    // 93 printable characters: 20 of them have over 130 bits.
    Ok(bytes.map(|byte| match byte % 93 {
        n if n + 33 < b'$' => n + 33,
        n => n + 34,
    }))
}

/// Greets the client and logs it in.
///
/// # Errors
/// See [`LoginEnd`].
pub async fn log_in(
    mesh: &Mesh,
    mut client: Client,
    id: u32,
    version: Vec<u8>,
) -> Result<(Client, Admitted), LoginEnd> {
    let tls = mesh.tls.load_full();
    let offered = mesh.mysql.offered(&version) | if tls.is_some() { capability::SSL } else { 0 };
    let greeting = Greeting {
        server_version: version,
        connection_id: id,
        scramble: scramble()?,
        capabilities: offered,
        collation: 45,
        status: status::AUTOCOMMIT,
        plugin: GREETED.name().as_bytes().to_vec(),
    };
    put_packet_with(&mut client.output, 0, |out| greeting.encode(out));
    client.flush().await?;
    let mut sequence = 1;
    loop {
        let whole = match client.read_packet(sequence, LOGIN_BYTES_MAX).await {
            Ok(whole) => whole,
            Err(ReadError::Wire(error)) => {
                let place = Place { sequence: sequence.wrapping_add(1), more: false };
                return refuse(client, place, MeshError::Protocol(error.to_string())).await;
            }
            Err(error) => return Err(error.into()),
        };
        let decoded = FirstPacket::decode(&whole.payload(&client.input));
        client.consume(whole.wire_length);
        let place = Place { sequence: sequence.wrapping_add(1), more: false };
        match decoded {
            Ok(FirstPacket::Tls { .. }) => {
                let Some(acceptor) = tls.as_ref().filter(|_| !client.stream().is_encrypted()) else {
                    return refuse(client, place, MeshError::Protocol("TLS is not offered here".to_owned())).await;
                };
                client = client.into_tls(acceptor).await?;
                sequence = sequence.wrapping_add(1);
            }
            Ok(FirstPacket::Login(login)) => {
                client.capabilities = login.capabilities & offered;
                let config = mesh.config.load_full();
                if config.tls.as_ref().is_some_and(|tls| tls.require) && !client.stream().is_encrypted() {
                    let text = "Connections using insecure transport are prohibited: use TLS";
                    return refuse(client, place, MeshError::AccessDenied(text.to_owned())).await;
                }
                let passwords = &mesh.mysql.passwords;
                let scramble = &greeting.scramble;
                return match prove(&config, passwords, &mut client, login, scramble, place.sequence).await? {
                    Ok(admitted) => Ok((client, admitted)),
                    Err((sequence, error)) => refuse(client, Place { sequence, more: false }, error).await,
                };
            }
            Err(error) => return refuse(client, place, MeshError::Protocol(error.to_string())).await,
        }
    }
}

async fn refuse<T>(mut client: Client, place: Place, error: MeshError) -> Result<T, LoginEnd> {
    client.put_error(place, &error);
    client.flush().await?;
    Err(error.into())
}

/// Checks the proof of a login or COM_CHANGE_USER, asking for another one where that is needed. The inner error is
/// for the client, with its sequence number.
///
/// # Errors
/// The client broke off.
pub async fn prove(
    config: &Config,
    passwords: &Arc<Passwords>,
    client: &mut Client,
    mut login: Login,
    challenge: &[u8; SCRAMBLE],
    mut sequence: u8,
) -> Result<Result<Admitted, (u8, MeshError)>, LoginEnd> {
    let name = String::from_utf8_lossy(&login.user).into_owned();
    let user = config.user(&name);
    let mut accepted = user.is_some_and(|user| user.credential == Credential::Trust)
        && client.stream().peer_addr()?.ip().is_loopback();
    let mut fresh = *challenge;
    if !accepted {
        let method = match first_method(user, client.capabilities, &login) {
            Ok(method) => method,
            Err(method) => {
                fresh = scramble()?;
                sequence = put_packet_with(&mut client.output, sequence, |out| put_switch_request(out, method, &fresh));
                login.proof = match reply(client, &mut sequence).await? {
                    Ok(proof) => proof,
                    Err(error) => return Ok(Err((sequence, error))),
                };
                method
            }
        };
        let empty = login.proof.is_empty() || login.proof == [0];
        // An unknown user costs the same work and gets the same answer as a wrong password.
        let verifier = verifier_of(user, passwords, method);
        let exists = verifier.is_some();
        let verifier = verifier.unwrap_or_else(|| Verifier::of_password(b"no such user"));
        accepted = verifier.accepts(method, &fresh, &login.proof) && exists;
        if accepted && method == Method::CachingSha2 && !empty {
            sequence = put_packet_with(&mut client.output, sequence, |out| out.extend_from_slice(&FAST_SUCCESS));
        }
        if let Some(Credential::ScramVerifier(stored)) = user.map(|user| &user.credential)
            && method == Method::CachingSha2
            && !accepted
            && !empty
        {
            match is_proven_in_full(passwords, client, &name, stored, &fresh, &mut sequence).await? {
                Ok(right) => accepted = right,
                Err(error) => return Ok(Err((sequence, error))),
            }
        }
    }
    let Some(user) = user.filter(|_| accepted) else {
        let with = if login.proof.is_empty() { "NO" } else { "YES" };
        let peer = client.stream().peer_addr()?.ip();
        let text = format!("Access denied for user '{name}'@'{peer}' (using password: {with})");
        return Ok(Err((sequence, MeshError::AccessDenied(text))));
    };
    let database = match login.database.as_deref().map(|name| choose_database(config, &user.name, name)).transpose() {
        Ok(database) => database,
        Err(error) => return Ok(Err((sequence, error))),
    };
    Ok(Ok(Admitted { user: name, database, login, sequence, challenge: fresh }))
}

/// The method by which a login's first proof is to be checked, or that it is to be asked for another proof of.
fn first_method(user: Option<&User>, capabilities: Capabilities, login: &Login) -> Result<Method, Method> {
    if capabilities & capability::PLUGIN_AUTH == 0 {
        return if matches!(login.proof.len(), 0 | 20) { Ok(Method::Native) } else { Err(Method::Native) };
    }
    if matches!(user.map(|user| &user.credential), Some(Credential::ScramVerifier(_))) {
        // Only this method can hand over a password as a whole.
        let named = login.plugin == CACHING_SHA2.as_bytes() && login.proof.len() == 32;
        return if named { Ok(Method::CachingSha2) } else { Err(Method::CachingSha2) };
    }
    let named = Method::named(&login.plugin);
    match (named, login.proof.len()) {
        (Some(Method::Native), 0 | 20) => Ok(Method::Native),
        (Some(Method::CachingSha2), 1 | 32) => Ok(Method::CachingSha2),
        // Nothing may mean no password, or that the client's method is not the one greeted with: it is asked.
        _ => Err(named.unwrap_or(GREETED)),
    }
}

/// What a user's first proof is checked against.
fn verifier_of(user: Option<&User>, passwords: &Passwords, method: Method) -> Option<Verifier> {
    let user = user?;
    match &user.credential {
        Credential::Password(secret) | Credential::Md5(secret) => {
            Some(Verifier::of_password(secret.expose().as_bytes()))
        }
        Credential::ScramVerifier(stored) if method == Method::CachingSha2 => passwords.known(&user.name, stored),
        Credential::ScramVerifier(_) | Credential::Trust => None,
    }
}

/// Whether a login that came without a new challenge proves the password by an old one.
pub fn is_proven(config: &Config, passwords: &Passwords, login: &Login, challenge: &[u8; SCRAMBLE]) -> bool {
    let named = capability::PLUGIN_AUTH & login.capabilities != 0;
    let method = if named { Method::named(&login.plugin) } else { Some(Method::Native) };
    let user = config.user(&String::from_utf8_lossy(&login.user));
    method.is_some_and(|method| {
        let verifier = verifier_of(user, passwords, method);
        verifier.is_some_and(|verifier| verifier.accepts(method, challenge, &login.proof))
    })
}

/// The logical database of this name, if the user may use it.
///
/// # Errors
/// It does not exist, or is not for this user.
pub fn choose_database(config: &Config, user: &str, name: &[u8]) -> Result<(usize, String), MeshError> {
    let name = String::from_utf8_lossy(name).into_owned();
    let Some((number, _)) = config.database(Protocol::MySql, &name) else {
        return Err(MeshError::unknown_database(Protocol::MySql, &name));
    };
    if !config.user(user).is_some_and(|user| user.may_use(&name)) {
        return Err(MeshError::DatabaseDenied { user: user.to_owned(), database: name });
    }
    Ok((number, name))
}

/// The flags that backends of this client must have.
#[must_use]
pub fn meaningful(capabilities: Capabilities) -> Capabilities {
    capabilities & capability::MEANINGFUL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_printable_and_differ() {
        let (one, other) = (scramble().expect("random"), scramble().expect("random"));
        assert_ne!(one, other);
        assert!(one.iter().chain(&other).all(|b| (33..=126).contains(b) && *b != b'$'));
    }
}
