//! The server's first packet (HandshakeV10): written for clients, read from servers.
//! Out: how the password is proven.

use super::capability::{self, Capabilities};
use super::wire::{Reader, WireError, put_null_terminated};

/// Length of the random challenge.
pub const SCRAMBLE: usize = 20;

/// HandshakeV10. Source: MySQL Client/Server Protocol, "Protocol::HandshakeV10".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Version string, as `SELECT VERSION()` would print it (MariaDB's `5.5.5-` prefix included when it is sent).
    pub server_version: Vec<u8>,
    /// Connection id of this side.
    pub connection_id: u32,
    /// Random challenge, without zero bytes.
    pub scramble: [u8; SCRAMBLE],
    /// Flags offered. MariaDB says that it has flags of its own by leaving out [`capability::LONG_PASSWORD`].
    pub capabilities: Capabilities,
    /// Default collation id.
    pub collation: u8,
    /// Status flags.
    pub status: u16,
    /// Name of the default authentication plugin.
    pub plugin: Vec<u8>,
}

impl Greeting {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flags = self.capabilities.to_le_bytes();
        out.push(10);
        put_null_terminated(out, &self.server_version);
        out.extend_from_slice(&self.connection_id.to_le_bytes());
        out.extend_from_slice(&self.scramble[..8]);
        out.push(0);
        out.extend_from_slice(&flags[..2]);
        out.push(self.collation);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&flags[2..4]);
        out.push(SCRAMBLE as u8 + 1);
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&flags[4..]);
        out.extend_from_slice(&self.scramble[8..]);
        out.push(0);
        put_null_terminated(out, &self.plugin);
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// A protocol version other than 10, a short challenge, or a field beyond the end.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 10 {
            return Err(WireError::Malformed("protocol version is not 10"));
        }
        let server_version = reader.null_terminated()?.to_vec();
        let connection_id = reader.u32()?;
        let mut scramble = [0; SCRAMBLE];
        scramble[..8].copy_from_slice(reader.take(8)?);
        reader.u8()?;
        let low = Capabilities::from(reader.u16()?);
        let collation = reader.u8()?;
        let status = reader.u16()?;
        let mut capabilities = low | (Capabilities::from(reader.u16()?) << 16);
        if capabilities & capability::PROTOCOL_41 == 0 || capabilities & capability::SECURE_CONNECTION == 0 {
            return Err(WireError::Malformed("server does not speak the 4.1 protocol"));
        }
        let length = usize::from(reader.u8()?);
        reader.take(6)?;
        let extended = Capabilities::from(reader.u32()?) << 32;
        if capabilities & capability::LONG_PASSWORD == 0 {
            capabilities |= extended;
        }
        let second = reader.take(length.saturating_sub(8).max(13).min(reader.rest().len()))?;
        let second = second.get(..SCRAMBLE - 8).ok_or(WireError::Truncated)?;
        scramble[8..].copy_from_slice(second);
        let plugin = if capabilities & capability::PLUGIN_AUTH == 0 {
            b"mysql_native_password".to_vec()
        } else {
            // Old servers left the closing zero byte out.
            let rest = reader.rest();
            rest.split(|b| *b == 0).next().unwrap_or_default().to_vec()
        };
        Ok(Self { server_version, connection_id, scramble, capabilities, collation, status, plugin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Greeting {
        Greeting {
            server_version: b"10.11.6-MariaDB".to_vec(),
            connection_id: 0x0102_0304,
            scramble: *b"abcdefghijklmnopqrst",
            capabilities: capability::OFFERED & !capability::LONG_PASSWORD | capability::MARIADB_OFFERED,
            collation: 45,
            status: 2,
            plugin: b"mysql_native_password".to_vec(),
        }
    }

    #[test]
    fn the_layout_is_that_of_the_manual() {
        let mut out = Vec::new();
        sample().encode(&mut out);
        assert_eq!(&out[..17], b"\x0a10.11.6-MariaDB\0");
        assert_eq!(&out[17..21], [4, 3, 2, 1]);
        assert_eq!(&out[21..30], b"abcdefgh\0");
        assert_eq!(out[32], 45);
        assert_eq!(out[37], 21, "a challenge of 20 bytes and a zero");
        assert_eq!(&out[48..61], b"ijklmnopqrst\0");
        assert!(out.ends_with(b"mysql_native_password\0"));
    }

    #[test]
    fn decode_undoes_encode_and_every_truncation_is_an_error_or_a_shorter_plugin_name() {
        let mut out = Vec::new();
        sample().encode(&mut out);
        assert_eq!(Greeting::decode(&out), Ok(sample()));
        for end in 0..60 {
            assert!(Greeting::decode(&out[..end]).is_err(), "{end}");
        }
    }
}
