//! From the first byte to a logged-in operator: startup packets and SCRAM-SHA-256.

use std::io;
use std::net::SocketAddr;

use protocol::postgres::frontend::{self, FrontendMessage};
use protocol::postgres::scram::{self, SCRAM_SHA_256, Verifier};
use protocol::postgres::startup::{self, Startup, StartupMessage};
use protocol::postgres::wire::Reader;
use protocol::postgres::write;
use tokio::io::{AsyncRead, AsyncWrite};

use super::link::Link;
use super::put_error;
use crate::admin::by_clients::POSTGRES_VERSION;
use crate::config::Admin;
use crate::error_code::MeshError;

/// TLS and GSS are asked for at most once each; anything more is not a client.
const REQUESTS_MAX: usize = 4;

/// Logs a client in; `None` if it left, wanted something else, or was denied (and told so).
pub(super) async fn login<S>(link: &mut Link<S>, peer: SocketAddr, admin: &Admin) -> io::Result<Option<StartupMessage>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(startup) = startup(link).await? else {
        return Ok(None);
    };
    if startup.replication {
        let error = MeshError::Unsupported("the admin interface has no replication".to_owned());
        put_error(&mut link.out, "FATAL", &error);
        link.flush().await?;
        return Ok(None);
    }
    if startup.minor > 0 || !startup.extensions.is_empty() {
        write::negotiate_protocol_version(&mut link.out, 0, &startup.extensions);
    }
    if proven(link, &startup.user, admin).await? {
        return Ok(Some(startup));
    }
    tracing::warn!(%peer, user = %startup.user, "admin login denied");
    let text = format!("password authentication failed for user \"{}\"", startup.user);
    put_error(&mut link.out, "FATAL", &MeshError::AccessDenied(text));
    link.flush().await?;
    Ok(None)
}

async fn startup<S>(link: &mut Link<S>) -> io::Result<Option<StartupMessage>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..REQUESTS_MAX {
        let decoded = loop {
            match startup::decode(link.unread()) {
                Ok(Some((decoded, used))) => {
                    // What is kept owns its bytes; a cancel request has nobody to cancel here.
                    let decoded = match decoded {
                        Startup::Start(message) => Some(message),
                        Startup::Ssl | Startup::Gssenc => None,
                        Startup::Cancel { .. } => return Ok(None),
                        Startup::UnknownProtocol { major, minor } => {
                            let text = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0");
                            put_error(&mut link.out, "FATAL", &MeshError::Unsupported(text));
                            link.flush().await?;
                            return Ok(None);
                        }
                    };
                    link.take(used);
                    break decoded;
                }
                Ok(None) => {
                    if !link.read_more().await? {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    put_error(&mut link.out, "FATAL", &MeshError::Protocol(error.to_string()));
                    link.flush().await?;
                    return Ok(None);
                }
            }
        };
        match decoded {
            Some(message) => return Ok(Some(message)),
            None => {
                link.out.push(b'N');
                link.flush().await?;
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no startup message"))
}

/// The SCRAM exchange; false if it fails. An unknown user goes through all of it, so that it cannot be told from a wrong password.
async fn proven<S>(link: &mut Link<S>, user: &str, admin: &Admin) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = user == admin.user;
    let password = admin.password.expose();
    let verifier = match known {
        true => Verifier::from_password(password.as_bytes()),
        false => Some(Verifier::mock(user, password.as_bytes())),
    };
    let (Some(verifier), Some(nonce)) = (verifier, nonce()) else {
        return Err(io::Error::other("no random numbers"));
    };
    write::authentication_sasl(&mut link.out, &[SCRAM_SHA_256]);
    let Some(first) = password_message(link).await? else {
        return Ok(false);
    };
    let mut reader = Reader::new(&first);
    let (Ok(mechanism), Ok(Some(data))) = (reader.cstr(), reader.value()) else {
        return Ok(false);
    };
    let mechanism = String::from_utf8_lossy(mechanism);
    let Ok((exchange, reply)) = scram::begin(verifier, known, &mechanism, None, data, &nonce) else {
        return Ok(false);
    };
    write::authentication_sasl_continue(&mut link.out, &reply);
    let Some(last) = password_message(link).await? else {
        return Ok(false);
    };
    match exchange.finish(&last) {
        Ok(reply) => {
            write::authentication_sasl_final(&mut link.out, &reply);
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

async fn password_message<S>(link: &mut Link<S>) -> io::Result<Option<Vec<u8>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    link.flush().await?;
    // The whole login has a deadline.
    let Some(message) = link.message(None).await? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    match frontend::decode(&message.view()) {
        Ok(FrontendMessage::Password(body)) => Ok(Some(body.to_vec())),
        _ => Ok(None),
    }
}

/// 24 random characters that SCRAM allows.
fn nonce() -> Option<String> {
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random).ok()?;
    Some(random.iter().map(|byte| char::from(b'A' + byte % 26)).collect())
}

/// What follows the login.
pub(super) fn greet<S>(link: &mut Link<S>, id: u32) {
    let out = &mut link.out;
    write::authentication_ok(out);
    let settings = [
        ("server_version", POSTGRES_VERSION),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "off"),
    ];
    for (name, value) in settings {
        write::parameter_status(out, name.as_bytes(), value.as_bytes());
    }
    // No statement here is long enough to be cancelled.
    write::key_data(out, id, &[0; 4]);
}
