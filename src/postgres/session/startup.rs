//! From an accepted socket to a logged-in client: TLS, cancel requests, the startup message, authentication.
//! Out: what the session does then. Every step is under one deadline.

use std::sync::Arc;

use bytes::Bytes;
use protocol::postgres::wire::WireError;
use protocol::postgres::{Startup, StartupMessage, password, scram, startup, wire, write};

use super::answer;
use super::client::Client;
use crate::config::{Config, Credential, Protocol};
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::postgres::front::Front;

/// Newest minor version of protocol 3 that we speak.
const MINOR_MAX: u16 = 2;
/// First byte of a TLS handshake, with which a client may begin at once.
const TLS_HANDSHAKE: u8 = 0x16;
/// Longest message of a client that has not logged in.
const LOGIN_BYTES_MAX: usize = 16 << 10;

/// A client that has proven who it is.
pub struct LoggedIn {
    /// Its stream.
    pub client: Client,
    /// What it asked for.
    pub message: StartupMessage,
    /// Number of the logical database.
    pub database: usize,
}

/// Why there is no session.
pub enum Refused {
    /// The client is told.
    Told(Box<(Client, MeshError)>),
    /// There is nobody to tell, or nothing to say.
    Silent,
}

fn told(client: Client, error: MeshError) -> Refused {
    Refused::Told(Box::new((client, error)))
}

/// Does the startup phase. `full`: no more sessions are taken.
pub async fn log_in(mesh: &Arc<Mesh>, front: &Front, stream: ClientStream, full: bool) -> Result<LoggedIn, Refused> {
    let (mut client, message) = opening(mesh, stream).await?;
    let config = mesh.config.load_full();
    if full {
        return Err(told(client, MeshError::TooManySessions));
    }
    if message.minor > MINOR_MAX || !message.extensions.is_empty() {
        let minor = u32::from(message.minor.min(MINOR_MAX));
        write::negotiate_protocol_version(&mut client.output, minor, &message.extensions);
    }
    if config.tls.as_ref().is_some_and(|tls| tls.require) && !client.stream().is_encrypted() {
        return Err(told(client, MeshError::AccessDenied("this server requires TLS (sslmode=require)".to_owned())));
    }
    if message.replication {
        return Err(told(client, MeshError::Unsupported("dbmesh does not support replication connections".to_owned())));
    }
    client = authenticate(&config, front, client, &message.user).await?;
    let Some((database, found)) = config.database(Protocol::Postgres, &message.database) else {
        let error = MeshError::unknown_database(Protocol::Postgres, &message.database);
        return Err(told(client, error));
    };
    if !config.user(&message.user).is_some_and(|user| user.may_use(&found.name)) {
        let error = MeshError::DatabaseDenied { user: message.user.clone(), database: message.database.clone() };
        return Err(told(client, error));
    }
    write::authentication_ok(&mut client.output);
    Ok(LoggedIn { client, message, database })
}

/// Everything before the startup message, and that.
async fn opening(mesh: &Arc<Mesh>, stream: ClientStream) -> Result<(Client, StartupMessage), Refused> {
    let mut client = Client::new(stream);
    loop {
        if client.input.first() == Some(&TLS_HANDSHAKE) && !client.stream().is_encrypted() {
            client = start_tls(mesh, client).await?;
            continue;
        }
        let (startup, total) = match startup::decode(&client.input) {
            Ok(Some((startup, total))) => (owned(startup), total),
            Ok(None) => {
                client.fill().await.map_err(|_| Refused::Silent)?;
                continue;
            }
            Err(error) => return Err(told(client, MeshError::Protocol(error.to_string()))),
        };
        let _ = client.input.split_to(total);
        match startup {
            Owned::Start(message) => return Ok((client, message)),
            Owned::Version(major, minor) => {
                let text =
                    format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{MINOR_MAX}");
                return Err(told(client, MeshError::Unsupported(text)));
            }
            Owned::Cancel(process_id, key) => {
                cancel(mesh, process_id, &key);
                return Err(Refused::Silent);
            }
            Owned::Ssl if mesh.tls.load().is_some() && !client.stream().is_encrypted() => {
                if !client.input.is_empty() {
                    // Someone put bytes behind the request that the client will take for encrypted ones.
                    let error = MeshError::Protocol("received unencrypted data after SSL request".to_owned());
                    return Err(told(client, error));
                }
                client.output.extend_from_slice(b"S");
                client.drain().await.map_err(|_| Refused::Silent)?;
                while client.input.is_empty() {
                    client.fill().await.map_err(|_| Refused::Silent)?;
                }
                client = start_tls(mesh, client).await?;
            }
            Owned::Ssl | Owned::Gssenc => {
                client.output.extend_from_slice(b"N");
                client.drain().await.map_err(|_| Refused::Silent)?;
            }
        }
    }
}

enum Owned {
    Ssl,
    Gssenc,
    Cancel(u32, Vec<u8>),
    Start(StartupMessage),
    Version(u16, u16),
}

fn owned(startup: Startup<'_>) -> Owned {
    match startup {
        Startup::Ssl => Owned::Ssl,
        Startup::Gssenc => Owned::Gssenc,
        Startup::Cancel { process_id, key } => Owned::Cancel(process_id, key.to_vec()),
        Startup::Start(message) => Owned::Start(message),
        Startup::UnknownProtocol { major, minor } => Owned::Version(major, minor),
    }
}

async fn start_tls(mesh: &Arc<Mesh>, client: Client) -> Result<Client, Refused> {
    let Some(acceptor) = mesh.tls.load_full() else {
        return Err(Refused::Silent);
    };
    let (stream, ahead) = client.into_parts();
    match stream.into_tls(&acceptor, Bytes::from(ahead)).await {
        Ok(stream) => Ok(Client::new(stream)),
        Err(_) => Err(Refused::Silent),
    }
}

/// A cancel request: tells the session that its statement shall stop. It is never answered, whether it fits or not.
fn cancel(mesh: &Mesh, process_id: u32, key: &[u8]) {
    if let Some(session) = mesh.sessions.get(process_id)
        && session.protocol == Protocol::Postgres
        && same(&session.cancel_key.to_be_bytes(), key)
    {
        session.interrupt.raise(Reason::Query);
    }
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

async fn authenticate(config: &Config, front: &Front, mut client: Client, user: &str) -> Result<Client, Refused> {
    let denied = || MeshError::AccessDenied(format!("password authentication failed for user \"{user}\""));
    let known = config.user(user);
    let passed = match known.map(|user| &user.credential) {
        Some(Credential::Trust) => Ok(client.stream().peer_addr().is_ok_and(|peer| peer.ip().is_loopback())),
        Some(Credential::Md5(secret)) => {
            let mut salt = [0; 4];
            if getrandom::fill(&mut salt).is_err() {
                return Err(told(client, MeshError::Internal("no random numbers".to_owned())));
            }
            write::authentication_md5(&mut client.output, salt);
            answer(&mut client, |body| password::md5_matches(user, secret.expose().as_bytes(), salt, body)).await
        }
        Some(Credential::Password(secret)) => match front.verifier(user, secret.expose()) {
            Some(verifier) => scram(&mut client, verifier, true).await,
            None => Ok(false),
        },
        Some(Credential::ScramVerifier(secret)) => match scram::Verifier::parse(secret.expose()) {
            Some(verifier) => scram(&mut client, verifier, true).await,
            None => Ok(false),
        },
        None => scram(&mut client, front.mock_verifier(user), false).await,
    };
    match passed {
        Ok(true) => Ok(client),
        Ok(false) => Err(told(client, denied())),
        Err(Login::Gone) => Err(Refused::Silent),
        Err(Login::Malformed(text)) => Err(told(client, MeshError::Protocol(text))),
    }
}

enum Login {
    Gone,
    Malformed(String),
}

impl From<WireError> for Login {
    fn from(error: WireError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Sends what was asked and gives the client's next password message to `check`.
async fn answer<T>(client: &mut Client, check: impl FnOnce(&[u8]) -> T) -> Result<T, Login> {
    client.drain().await.map_err(|_| Login::Gone)?;
    loop {
        if let Some(message) = wire::message(&client.input, LOGIN_BYTES_MAX)? {
            if message.tag != b'p' {
                return Err(WireError::Unexpected(message.tag).into());
            }
            let total = message.total;
            let checked = check(message.body);
            let _ = client.input.split_to(total);
            return Ok(checked);
        }
        client.fill().await.map_err(|_| Login::Gone)?;
    }
}

async fn scram(client: &mut Client, verifier: scram::Verifier, genuine: bool) -> Result<bool, Login> {
    let mut random = [0; 18];
    getrandom::fill(&mut random).map_err(|_| Login::Malformed("no random numbers".to_owned()))?;
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let nonce: String = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()).collect();
    write::authentication_sasl(&mut client.output, &[scram::SCRAM_SHA_256]);
    let begun = answer(client, |body| {
        let mut reader = wire::Reader::new(body);
        let mechanism = reader.cstr()?;
        let first = reader.value()?.unwrap_or_default();
        let mechanism = std::str::from_utf8(mechanism).unwrap_or_default();
        Ok::<_, WireError>(scram::begin(verifier, genuine, mechanism, None, first, &nonce))
    })
    .await??;
    let malformed = |error: scram::ScramError| Login::Malformed(error.to_string());
    let (exchange, first) = begun.map_err(malformed)?;
    write::authentication_sasl_continue(&mut client.output, &first);
    match answer(client, |body| exchange.finish(body)).await? {
        Ok(last) => {
            write::authentication_sasl_final(&mut client.output, &last);
            Ok(true)
        }
        Err(scram::ScramError::Denied) => Ok(false),
        Err(error) => Err(malformed(error)),
    }
}

/// Tells a client why it is not served, and waits until it knows.
pub async fn dismiss(mut client: Client, error: &MeshError) {
    answer::fatal(&mut client.output, error);
    let _ = client.drain().await;
}
