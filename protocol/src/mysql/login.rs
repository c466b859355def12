//! The client's answer to the greeting (HandshakeResponse41), the TLS request before it, and COM_CHANGE_USER.
//! Out: whether the password is right.

use super::capability::{self, Capabilities};
use super::wire::{Reader, WireError, put_lenenc, put_lenenc_bytes, put_null_terminated};

/// Most connection attributes are short; servers keep at most this many bytes of them (performance_schema).
const ATTRIBUTES_MAX: usize = 64 * 1024;

/// HandshakeResponse41. Source: MySQL Client/Server Protocol, "Protocol::HandshakeResponse41".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login {
    /// The client's flags.
    pub capabilities: Capabilities,
    /// Largest packet that the client takes.
    pub packet_max: u32,
    /// Collation id. The handshake has one byte for it, COM_CHANGE_USER two.
    pub collation: u16,
    /// User name.
    pub user: Vec<u8>,
    /// Answer to the challenge.
    pub proof: Vec<u8>,
    /// Database, if one is named.
    pub database: Option<Vec<u8>>,
    /// Authentication plugin of the proof; empty if none is named.
    pub plugin: Vec<u8>,
    /// Connection attributes in the order they came.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The first packet of a client: a login, or the wish for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket {
    /// TLS starts behind this packet.
    Tls {
        /// The client's flags.
        capabilities: Capabilities,
    },
    /// The login.
    Login(Login),
}

impl FirstPacket {
    /// Reads the payload of a client's first packet.
    ///
    /// # Errors
    /// A client without the 4.1 protocol, or a field beyond the end.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let mut capabilities = Capabilities::from(reader.u32()?);
        if capabilities & capability::PROTOCOL_41 == 0 {
            return Err(WireError::Malformed("client does not speak the 4.1 protocol"));
        }
        let packet_max = reader.u32()?;
        let collation = u16::from(reader.u8()?);
        reader.take(19)?;
        let extended = Capabilities::from(reader.u32()?) << 32;
        if capabilities & capability::LONG_PASSWORD == 0 {
            capabilities |= extended;
        }
        if reader.is_empty() && capabilities & capability::SSL != 0 {
            return Ok(Self::Tls { capabilities });
        }
        let user = reader.null_terminated()?.to_vec();
        let proof = if capabilities & capability::PLUGIN_AUTH_LENENC != 0 {
            reader.lenenc_bytes()?.to_vec()
        } else if capabilities & capability::SECURE_CONNECTION != 0 {
            let length = usize::from(reader.u8()?);
            reader.take(length)?.to_vec()
        } else {
            reader.null_terminated()?.to_vec()
        };
        let mut login = Login { capabilities, packet_max, collation, user, proof, ..Login::default() };
        if capabilities & capability::CONNECT_WITH_DB != 0 && !reader.is_empty() {
            let name = until_zero(&mut reader)?;
            login.database = (!name.is_empty()).then(|| name.to_vec());
        }
        login.read_tail(&mut reader)?;
        Ok(Self::Login(login))
    }
}

fn until_zero<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    // Some clients leave out the zero of a last string.
    if reader.rest().contains(&0) { reader.null_terminated() } else { reader.take(reader.rest().len()) }
}

impl Login {
    /// Reads COM_CHANGE_USER (the command byte already taken off); `capabilities` are those of the login.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode_change_user(payload: &[u8], capabilities: Capabilities) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let user = reader.null_terminated()?.to_vec();
        let length = usize::from(reader.u8()?);
        let proof = reader.take(length)?.to_vec();
        let name = until_zero(&mut reader)?;
        let database = (!name.is_empty()).then(|| name.to_vec());
        let collation = if reader.is_empty() { 0 } else { reader.u16()? };
        let mut login = Self { capabilities, collation, user, proof, database, ..Self::default() };
        login.read_tail(&mut reader)?;
        Ok(login)
    }

    fn read_tail(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        if self.capabilities & capability::PLUGIN_AUTH != 0 && !reader.is_empty() {
            self.plugin = until_zero(reader)?.to_vec();
        }
        if self.capabilities & capability::CONNECT_ATTRS != 0 && !reader.is_empty() {
            let block = reader.lenenc_bytes()?;
            if block.len() > ATTRIBUTES_MAX {
                return Err(WireError::TooLarge { size: block.len(), limit: ATTRIBUTES_MAX });
            }
            let mut pairs = Reader::new(block);
            while !pairs.is_empty() {
                let key = pairs.lenenc_bytes()?.to_vec();
                let value = pairs.lenenc_bytes()?.to_vec();
                self.attributes.push((key, value));
            }
        }
        Ok(())
    }

    /// Appends the payload of a login. The flags decide which fields are written.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_start(out, self.capabilities);
        put_null_terminated(out, &self.user);
        if self.capabilities & capability::PLUGIN_AUTH_LENENC != 0 {
            put_lenenc_bytes(out, &self.proof);
        } else {
            let proof = self.proof.get(..255).unwrap_or(&self.proof);
            out.push(proof.len() as u8);
            out.extend_from_slice(proof);
        }
        if self.capabilities & capability::CONNECT_WITH_DB != 0 {
            put_null_terminated(out, self.database.as_deref().unwrap_or_default());
        }
        if self.capabilities & capability::PLUGIN_AUTH != 0 {
            put_null_terminated(out, &self.plugin);
        }
        if self.capabilities & capability::CONNECT_ATTRS != 0 {
            let mut block = Vec::new();
            for (key, value) in &self.attributes {
                put_lenenc_bytes(&mut block, key);
                put_lenenc_bytes(&mut block, value);
            }
            put_lenenc(out, block.len() as u64);
            out.extend_from_slice(&block);
        }
    }

    /// Appends the payload of the TLS request that goes before the login.
    pub fn encode_tls_request(&self, out: &mut Vec<u8>) {
        self.encode_start(out, self.capabilities | capability::SSL);
    }

    fn encode_start(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        let flags = capabilities.to_le_bytes();
        out.extend_from_slice(&flags[..4]);
        out.extend_from_slice(&self.packet_max.to_le_bytes());
        // Collations above 255 do not fit; SET NAMES follows in any case.
        out.push(u8::try_from(self.collation).unwrap_or(45));
        out.extend_from_slice(&[0; 19]);
        out.extend_from_slice(&flags[4..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Login {
        Login {
            capabilities: capability::OFFERED,
            packet_max: 1 << 24,
            collation: 45,
            user: b"app".to_vec(),
            proof: vec![1, 0, 3],
            database: Some(b"shop".to_vec()),
            plugin: b"mysql_native_password".to_vec(),
            attributes: vec![(b"_pid".to_vec(), b"77".to_vec()), (b"x".to_vec(), Vec::new())],
        }
    }

    #[test]
    fn a_login_round_trips_with_every_set_of_optional_fields() {
        let mariadb = capability::OFFERED & !capability::LONG_PASSWORD | capability::MARIADB_OFFERED;
        for flags in [capability::OFFERED, capability::OFFERED & !capability::PLUGIN_AUTH_LENENC, mariadb] {
            let login = Login { capabilities: flags, ..sample() };
            let mut out = Vec::new();
            login.encode(&mut out);
            assert_eq!(FirstPacket::decode(&out), Ok(FirstPacket::Login(login)));
        }
    }

    #[test]
    fn a_tls_request_is_32_bytes() {
        let mut out = Vec::new();
        sample().encode_tls_request(&mut out);
        assert_eq!(out.len(), 32);
        assert!(matches!(FirstPacket::decode(&out), Ok(FirstPacket::Tls { .. })));
    }

    #[test]
    fn truncated_logins_are_errors() {
        let mut out = Vec::new();
        sample().encode(&mut out);
        for end in 0..40 {
            assert!(FirstPacket::decode(&out[..end]).is_err(), "{end}");
        }
        for end in 40..out.len() {
            let _ = FirstPacket::decode(&out[..end]);
        }
    }

    #[test]
    fn change_user_reads_its_own_layout() {
        let payload = b"bob\0\x02xyshop\0\x2d\0mysql_native_password\0";
        let login = Login::decode_change_user(payload, capability::OFFERED).expect("valid");
        assert_eq!(login.user, b"bob");
        assert_eq!(login.proof, b"xy");
        assert_eq!(login.database.as_deref(), Some(&b"shop"[..]));
        assert_eq!(login.collation, 45);
        assert_eq!(login.plugin, b"mysql_native_password");
        assert!(Login::decode_change_user(b"bob\0\x09xy", capability::OFFERED).is_err());
    }
}
