//! The first packets of a connection, which have no type byte.
//! Source: PostgreSQL documentation, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use super::options;
use super::wire::{Reader, WireError};

/// Longest startup packet, as in the server (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// Most parameters in one startup packet.
pub const PARAMETERS_MAX: usize = 200;
/// Longest secret key of a cancel request (protocol 3.2).
pub const CANCEL_KEY_BYTES_MAX: usize = 256;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// What a client may open a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup<'a> {
    /// Asks for TLS: one byte answers, `S` or `N`.
    Ssl,
    /// Asks for GSS encryption: one byte answers, `G` or `N`.
    Gssenc,
    /// Asks for another connection's statement to be cancelled; nothing answers.
    Cancel {
        /// Process id as told in `BackendKeyData`.
        process_id: u32,
        /// Secret key as told in `BackendKeyData`: 4 bytes, or up to 256 since protocol 3.2.
        key: &'a [u8],
    },
    /// Opens a session.
    Start(StartupMessage),
    /// A major version that is not 3.
    UnknownProtocol {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
}

/// `StartupMessage` with its parameters sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartupMessage {
    /// Minor version of protocol 3 that the client asks for.
    pub minor: u16,
    /// The user; required by the protocol.
    pub user: String,
    /// The database; the user's name if the client names none.
    pub database: String,
    /// The client asks for a replication connection (any value but `false`).
    pub replication: bool,
    /// Settings of the session: `options` first, then the others in their order.
    pub settings: options::Settings,
    /// Protocol extensions (`_pq_.*`), none of which exists yet.
    pub extensions: Vec<String>,
}

/// Reads the startup packet at the front of `bytes` and its length; `None` if more bytes are needed.
///
/// # Errors
/// [`WireError`] if it is none: the connection must be closed.
pub fn decode(bytes: &[u8]) -> Result<Option<(Startup<'_>, usize)>, WireError> {
    let Some((head, _)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*head);
    let total = usize::try_from(length).unwrap_or(0);
    if total < 8 {
        return Err(WireError::BadLength { tag: 0, length: i64::from(length) });
    }
    if total > STARTUP_BYTES_MAX {
        return Err(WireError::TooLarge { tag: 0, length: total, max: STARTUP_BYTES_MAX });
    }
    let Some(body) = bytes.get(4..total) else {
        return Ok(None);
    };
    let mut reader = Reader::new(body);
    let code = reader.u32()?;
    let startup = match code {
        SSL_REQUEST | GSSENC_REQUEST => {
            reader.finish()?;
            if code == SSL_REQUEST { Startup::Ssl } else { Startup::Gssenc }
        }
        CANCEL_REQUEST => {
            let process_id = reader.u32()?;
            let key = reader.rest();
            if key.len() < 4 || key.len() > CANCEL_KEY_BYTES_MAX {
                return Err(WireError::Invalid("cancel key length"));
            }
            Startup::Cancel { process_id, key }
        }
        _ => {
            let [major_high, major_low, minor_high, minor_low] = code.to_be_bytes();
            let major = u16::from_be_bytes([major_high, major_low]);
            let minor = u16::from_be_bytes([minor_high, minor_low]);
            if major == 3 {
                Startup::Start(parameters(minor, reader)?)
            } else {
                Startup::UnknownProtocol { major, minor }
            }
        }
    };
    Ok(Some((startup, total)))
}

fn text(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Invalid("startup parameter: not UTF-8"))
}

fn parameters(minor: u16, mut reader: Reader<'_>) -> Result<StartupMessage, WireError> {
    let mut message = StartupMessage { minor, ..StartupMessage::default() };
    let mut from_options = options::Settings::new();
    for _ in 0..=PARAMETERS_MAX {
        let name = text(reader.cstr()?)?;
        if name.is_empty() {
            // Settings given as parameters of their own win over those in `options`, as in the server.
            from_options.append(&mut message.settings);
            message.settings = from_options;
            if message.user.is_empty() {
                return Err(WireError::Invalid("startup packet: no PostgreSQL user name specified"));
            }
            if message.database.is_empty() {
                message.database.clone_from(&message.user);
            }
            reader.finish()?;
            return Ok(message);
        }
        let value = text(reader.cstr()?)?;
        match name.as_str() {
            "user" => message.user = value,
            "database" => message.database = value,
            "replication" => {
                message.replication = !matches!(value.as_str(), "false" | "off" | "no" | "0" | "f" | "n");
            }
            "options" => from_options = options::parse(&value)?,
            _ if name.starts_with("_pq_.") => message.extensions.push(name),
            _ => message.settings.push((name, value)),
        }
    }
    Err(WireError::Invalid("startup packet: too many parameters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(rest.len() + 8).expect("short").to_be_bytes().to_vec();
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn requests() {
        assert_eq!(decode(&packet(SSL_REQUEST, b"")), Ok(Some((Startup::Ssl, 8))));
        assert_eq!(decode(&packet(GSSENC_REQUEST, b"")), Ok(Some((Startup::Gssenc, 8))));
        assert_eq!(
            decode(&packet(CANCEL_REQUEST, &[0, 0, 0, 7, 1, 2, 3, 4])),
            Ok(Some((Startup::Cancel { process_id: 7, key: &[1, 2, 3, 4] }, 16)))
        );
        let long = [&[0, 0, 0, 7][..], &[9; 256][..]].concat();
        assert!(matches!(decode(&packet(CANCEL_REQUEST, &long)), Ok(Some((Startup::Cancel { .. }, 268)))));
        let longer = [&[0, 0, 0, 7][..], &[9; 257][..]].concat();
        assert!(decode(&packet(CANCEL_REQUEST, &longer)).is_err());
        assert!(decode(&packet(CANCEL_REQUEST, &[0, 0, 0, 7, 1])).is_err());
        assert_eq!(decode(&packet(2 << 16, b"x")), Ok(Some((Startup::UnknownProtocol { major: 2, minor: 0 }, 9))));
    }

    #[test]
    fn start_one_byte_at_a_time() {
        let bytes = packet((3 << 16) | 2, b"user\0app\0application_name\0psql\0options\0-c geqo=off\0_pq_.x\0\x31\0\0");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None));
        }
        let Ok(Some((Startup::Start(message), total))) = decode(&bytes) else {
            panic!("not a startup message");
        };
        assert_eq!(total, bytes.len());
        assert_eq!((message.minor, message.user.as_str(), message.database.as_str()), (2, "app", "app"));
        assert_eq!(message.extensions, ["_pq_.x"]);
        assert_eq!(
            message.settings,
            [("geqo".to_owned(), "off".to_owned()), ("application_name".to_owned(), "psql".to_owned())]
        );
    }

    #[test]
    fn bad_starts() {
        let version = 3 << 16;
        assert!(decode(&packet(version, b"\0")).is_err(), "no user");
        assert!(decode(&packet(version, b"user\0a\0")).is_err(), "no terminator");
        assert!(decode(&packet(version, b"user\0a\0\0x")).is_err(), "trailing");
        assert!(decode(&packet(version, b"user\0\xff\0\0")).is_err(), "not UTF-8");
        assert!(decode(&[0, 0, 0, 7, 0, 0, 0]).is_err());
        assert!(decode(&[0, 0, 0x40, 0]).is_err());
        assert!(decode(&[0xff, 0xff, 0xff, 0xff]).is_err());
        let many = [b"user\0a\0".to_vec(), b"a\0b\0".repeat(PARAMETERS_MAX + 1), vec![0]].concat();
        assert!(decode(&packet(version, &many)).is_err());
    }
}
