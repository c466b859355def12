//! From the first packet to a logged-in client: greeting, TLS, proof of the password; COM_CHANGE_USER likewise.
//! Out: commands.

use protocol::mysql::authentication::{FAST_SUCCESS, Method, Verifier, put_switch_request};
use protocol::mysql::capability::{self, Capabilities, status};
use protocol::mysql::greeting::{Greeting, SCRAMBLE};
use protocol::mysql::login::{FirstPacket, Login};
use protocol::mysql::packet::put_packet_with;

use super::client::{Client, ReadError};
use super::place::Place;
use crate::config::{Config, Credential, Protocol};
use crate::error_code::MeshError;
use crate::mesh::Mesh;

/// Login packets are short; connection attributes are at most 64 KiB.
const LOGIN_BYTES_MAX: usize = 128 * 1024;

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
    let offered = capability::OFFERED | if tls.is_some() { capability::SSL } else { 0 };
    let greeting = Greeting {
        server_version: version,
        connection_id: id,
        scramble: scramble()?,
        capabilities: offered,
        mariadb_capabilities: 0,
        collation: 45,
        status: status::AUTOCOMMIT,
        plugin: Method::Native.name().as_bytes().to_vec(),
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
                return match prove(&config, &mut client, login, &greeting.scramble, place.sequence).await? {
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
    client: &mut Client,
    mut login: Login,
    challenge: &[u8; SCRAMBLE],
    mut sequence: u8,
) -> Result<Result<Admitted, (u8, MeshError)>, LoginEnd> {
    let name = String::from_utf8_lossy(&login.user).into_owned();
    let user = config.user(&name);
    let peer = client.stream().peer_addr()?.ip();
    let trusted = user.is_some_and(|user| user.credential == Credential::Trust) && peer.is_loopback();
    let mut accepted = trusted;
    let mut fresh = *challenge;
    if !trusted {
        let named = if client.capabilities & capability::PLUGIN_AUTH == 0 {
            Some(Method::Native)
        } else {
            Method::named(&login.plugin)
        };
        let plausible = |method: Method, proof: &[u8]| match (method, proof.len()) {
            (_, 0) | (Method::Native, 20) | (Method::CachingSha2, 1 | 32) => Some(method),
            _ => None,
        };
        let method = match named.and_then(|method| plausible(method, &login.proof)) {
            Some(method) => method,
            None => {
                let method = named.unwrap_or(Method::Native);
                fresh = scramble()?;
                sequence = put_packet_with(&mut client.output, sequence, |out| put_switch_request(out, method, &fresh));
                client.flush().await?;
                let whole = match client.read_packet(sequence, LOGIN_BYTES_MAX).await {
                    Ok(whole) => whole,
                    Err(ReadError::Wire(error)) => {
                        return Ok(Err((sequence.wrapping_add(1), MeshError::Protocol(error.to_string()))));
                    }
                    Err(error) => return Err(error.into()),
                };
                login.proof = whole.payload(&client.input).into_owned();
                client.consume(whole.wire_length);
                sequence = sequence.wrapping_add(1);
                method
            }
        };
        // An unknown user costs the same work and gets the same answer as a wrong password.
        let verifier = match user.map(|user| &user.credential) {
            Some(Credential::Password(secret) | Credential::Md5(secret)) => {
                Some(Verifier::of_password(secret.expose().as_bytes()))
            }
            _ => None,
        };
        let decoy = Verifier::of_password(b"no such user");
        let right = verifier.as_ref().unwrap_or(&decoy).accepts(method, &fresh, &login.proof);
        accepted = right && verifier.is_some();
        if accepted && method == Method::CachingSha2 && !login.proof.is_empty() && login.proof != [0] {
            sequence = put_packet_with(&mut client.output, sequence, |out| out.extend_from_slice(&FAST_SUCCESS));
        }
    }
    let Some(user) = user.filter(|_| accepted) else {
        let with = if login.proof.is_empty() { "NO" } else { "YES" };
        let text = format!("Access denied for user '{name}'@'{peer}' (using password: {with})");
        return Ok(Err((sequence, MeshError::AccessDenied(text))));
    };
    let database = match login.database.as_deref().map(|name| choose_database(config, &user.name, name)).transpose() {
        Ok(database) => database,
        Err(error) => return Ok(Err((sequence, error))),
    };
    Ok(Ok(Admitted { user: name, database, login, sequence, challenge: fresh }))
}

/// Whether a login that came without a new challenge proves the password by an old one.
pub fn is_proven(config: &Config, login: &Login, challenge: &[u8; SCRAMBLE]) -> bool {
    let named = capability::PLUGIN_AUTH & login.capabilities != 0;
    let method = if named { Method::named(&login.plugin) } else { Some(Method::Native) };
    let user = config.user(&String::from_utf8_lossy(&login.user));
    match (method, user.map(|user| &user.credential)) {
        (Some(method), Some(Credential::Password(secret) | Credential::Md5(secret))) => {
            Verifier::of_password(secret.expose().as_bytes()).accepts(method, challenge, &login.proof)
        }
        _ => false,
    }
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
