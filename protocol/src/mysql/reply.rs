//! OK, ERR and EOF: decode and encode, with the flags that alter their layout as arguments.
//! Out: result sets.

use super::capability::{self, Capabilities, status};
use super::wire::{Reader, WireError, put_lenenc, put_lenenc_bytes};

/// OK packet. Source: "OK_Packet". With DEPRECATE_EOF it also ends result sets, then with the first byte 0xfe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OkPacket<'a> {
    /// Rows affected.
    pub affected_rows: u64,
    /// First generated id.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: u16,
    /// Count of warnings.
    pub warnings: u16,
    /// Text for humans.
    pub info: &'a [u8],
    /// Block of session-state changes, see [`super::session_state`].
    pub state: &'a [u8],
}

impl<'a> OkPacket<'a> {
    /// Reads a payload, whose first byte (0x00 or 0xfe) the caller has looked at.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let mut ok = OkPacket {
            affected_rows: reader.lenenc()?,
            last_insert_id: reader.lenenc()?,
            status: reader.u16()?,
            warnings: reader.u16()?,
            ..OkPacket::default()
        };
        // The manual gives the text no length where state is not tracked; servers send one all the same.
        if !reader.is_empty() {
            ok.info = reader.lenenc_bytes()?;
            let tracked = capabilities & capability::SESSION_TRACK != 0;
            if tracked && ok.status & status::SESSION_STATE_CHANGED != 0 && !reader.is_empty() {
                ok.state = reader.lenenc_bytes()?;
            }
        }
        Ok(ok)
    }

    /// Appends a payload with this first byte (0x00, or 0xfe where it ends a result set).
    pub fn encode(&self, out: &mut Vec<u8>, first: u8, capabilities: Capabilities) {
        let tracked = capabilities & capability::SESSION_TRACK != 0;
        let with_state = tracked && !self.state.is_empty();
        let mut flags = self.status & !status::SESSION_STATE_CHANGED;
        if with_state {
            flags |= status::SESSION_STATE_CHANGED;
        }
        out.push(first);
        put_lenenc(out, self.affected_rows);
        put_lenenc(out, self.last_insert_id);
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        if with_state || !self.info.is_empty() {
            put_lenenc_bytes(out, self.info);
            if with_state {
                put_lenenc_bytes(out, self.state);
            }
        }
    }
}

/// Where the two bytes of status flags lie in the payload of an OK (or, if `eof`, an EOF).
#[must_use]
pub fn status_position(payload: &[u8], eof: bool) -> Option<usize> {
    if eof {
        return (payload.len() >= 5).then_some(3);
    }
    let mut reader = Reader::new(payload);
    reader.u8().ok()?;
    reader.lenenc().ok()?;
    reader.lenenc().ok()?;
    let position = reader.position();
    reader.u16().ok()?;
    Some(position)
}

/// EOF packet. Source: "EOF_Packet"; only without DEPRECATE_EOF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EofPacket {
    /// Count of warnings.
    pub warnings: u16,
    /// Status flags.
    pub status: u16,
}

impl EofPacket {
    /// Reads a payload.
    ///
    /// # Errors
    /// A first byte other than 0xfe, or a field beyond the end.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 0xfe {
            return Err(WireError::Malformed("EOF packet expected"));
        }
        Ok(Self { warnings: reader.u16()?, status: reader.u16()? })
    }

    /// Appends a payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xfe);
        out.extend_from_slice(&self.warnings.to_le_bytes());
        out.extend_from_slice(&self.status.to_le_bytes());
    }
}

/// ERR packet. Source: "ERR_Packet"; the SQLSTATE is there after the login was read, before it may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    /// MySQL error number, e.g. 1045.
    pub code: u16,
    /// Five letters.
    pub sqlstate: [u8; 5],
    /// Text.
    pub message: &'a [u8],
}

impl<'a> ErrPacket<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// A first byte other than 0xff, or a field beyond the end.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 0xff {
            return Err(WireError::Malformed("ERR packet expected"));
        }
        let code = reader.u16()?;
        let mut sqlstate = *b"HY000";
        if reader.rest().first() == Some(&b'#') {
            reader.u8()?;
            sqlstate.copy_from_slice(reader.take(5)?);
        }
        Ok(Self { code, sqlstate, message: reader.rest() })
    }

    /// Appends a payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(0xff);
        out.extend_from_slice(&self.code.to_le_bytes());
        out.push(b'#');
        out.extend_from_slice(&self.sqlstate);
        // Servers cut messages at 512 bytes; clients have buffers of that size.
        out.extend_from_slice(self.message.get(..512).unwrap_or(self.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_of_a_plain_insert() {
        let ok = OkPacket::decode(&[0, 1, 7, 2, 0, 0, 0], 0).expect("valid");
        assert_eq!((ok.affected_rows, ok.last_insert_id, ok.status), (1, 7, 2));
        let mut out = Vec::new();
        ok.encode(&mut out, 0, capability::SESSION_TRACK);
        assert_eq!(out, [0, 1, 7, 2, 0, 0, 0]);
    }

    #[test]
    fn state_is_dropped_with_its_flag_for_a_client_that_does_not_track() {
        let wire = b"\x00\x00\x00\x02\x40\x00\x00\x02hi\x03\x02\x01x";
        let ok = OkPacket::decode(wire, capability::SESSION_TRACK).expect("valid");
        assert_eq!(ok.info, b"hi");
        assert_eq!(ok.state, b"\x02\x01x");
        let mut same = Vec::new();
        ok.encode(&mut same, 0, capability::SESSION_TRACK);
        assert_eq!(same, wire);
        let mut plain = Vec::new();
        ok.encode(&mut plain, 0, 0);
        assert_eq!(plain, b"\x00\x00\x00\x02\x00\x00\x00\x02hi");
    }

    #[test]
    fn the_text_has_a_length_for_every_client() {
        // MariaDB 10.11 to a client without SESSION_TRACK, after an UPDATE of one row.
        let wire = b"\x00\x01\x00\x02\x00\x00\x00\x28Rows matched: 1  Changed: 1  Warnings: 0";
        let ok = OkPacket::decode(wire, 0).expect("valid");
        assert_eq!((ok.affected_rows, ok.info), (1, &b"Rows matched: 1  Changed: 1  Warnings: 0"[..]));
        let mut same = Vec::new();
        ok.encode(&mut same, 0, 0);
        assert_eq!(same, wire);
    }

    #[test]
    fn err_and_eof_round_trip() {
        let wire = b"\xff\x15\x04#28000Access denied";
        let err = ErrPacket::decode(wire).expect("valid");
        assert_eq!((err.code, &err.sqlstate, err.message), (1045, b"28000", &b"Access denied"[..]));
        let mut out = Vec::new();
        err.encode(&mut out);
        assert_eq!(out, wire);
        let early = ErrPacket::decode(b"\xff\x10\x04Too many connections").expect("valid");
        assert_eq!((early.code, &early.sqlstate), (1040, b"HY000"));
        let eof = EofPacket::decode(&[0xfe, 1, 0, 2, 0]).expect("valid");
        let mut out = Vec::new();
        eof.encode(&mut out);
        assert_eq!(out, [0xfe, 1, 0, 2, 0]);
    }

    #[test]
    fn status_flags_are_found_in_place() {
        let mut wire = vec![0, 0xfc, 0, 1, 7, 2, 0, 0, 0];
        assert_eq!(status_position(&wire, false), Some(5));
        assert_eq!(status_position(&[0xfe, 0, 0, 2, 0], true), Some(3));
        wire.truncate(6);
        assert_eq!(status_position(&wire, false), None);
        assert_eq!(status_position(&[0xfe, 0], true), None);
    }

    #[test]
    fn truncated_packets_are_errors() {
        for end in 0..7 {
            assert!(OkPacket::decode(&[0, 1, 7, 2, 0, 0, 0][..end], 0).is_err(), "{end}");
        }
        for end in 0..5 {
            assert!(EofPacket::decode(&[0xfe, 1, 0, 2, 0][..end]).is_err(), "{end}");
        }
        for wire in [&b""[..], b"\xff", b"\xff\x01", b"\xff\x01\x02#28"] {
            assert!(ErrPacket::decode(wire).is_err());
        }
    }
}
