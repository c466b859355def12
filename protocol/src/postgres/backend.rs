//! Views of the messages that a server sends, decoded in place: those that a proxy has to look into.
//! Source: PostgreSQL documentation, "Message Formats". `DataRow` is in `row`.

use super::frontend::{Oids, Shorts};
use super::wire::{Reader, WireError};

/// Longest secret key that a server may give (protocol 3.2).
pub const KEY_BYTES_MAX: usize = 256;

/// Where a session stands, as `ReadyForQuery` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionStatus {
    /// `I`: not in a transaction.
    #[default]
    Idle,
    /// `T`: in a transaction.
    Active,
    /// `E`: in a transaction that failed.
    Failed,
}

impl TransactionStatus {
    /// The byte on the wire.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Active => b'T',
            Self::Failed => b'E',
        }
    }

    /// Body of `ReadyForQuery`.
    ///
    /// # Errors
    /// [`WireError`] for anything but one of the three bytes.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        match body {
            b"I" => Ok(Self::Idle),
            b"T" => Ok(Self::Active),
            b"E" => Ok(Self::Failed),
            _ => Err(WireError::Invalid("transaction status")),
        }
    }
}

/// Text of a body that is one zero-terminated string: the tag of `CommandComplete`.
///
/// # Errors
/// [`WireError`].
pub fn command_tag(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new(body);
    let tag = reader.cstr()?;
    reader.finish()?;
    Ok(tag)
}

/// Rows that a command tag counts, such as 3 of `UPDATE 3` or `INSERT 0 3`.
#[must_use]
pub fn rows_of_tag(tag: &[u8]) -> Option<u64> {
    let digits = tag.rsplit(|&byte| byte == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `ParameterStatus`: name and value.
///
/// # Errors
/// [`WireError`].
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut reader = Reader::new(body);
    let pair = (reader.cstr()?, reader.cstr()?);
    reader.finish()?;
    Ok(pair)
}

/// `BackendKeyData`: process id and secret key.
///
/// # Errors
/// [`WireError`] also for a key shorter than 4 or longer than 256 bytes.
pub fn key_data(body: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let mut reader = Reader::new(body);
    let process_id = reader.u32()?;
    let key = reader.rest();
    if (4..=KEY_BYTES_MAX).contains(&key.len()) {
        Ok((process_id, key))
    } else {
        Err(WireError::Invalid("cancel key length"))
    }
}

/// Fields of `ErrorResponse` and `NoticeResponse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorFields<'a>(&'a [u8]);

impl<'a> ErrorFields<'a> {
    /// Checks the whole body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        while reader.u8()? != 0 {
            reader.cstr()?;
        }
        reader.finish()?;
        Ok(Self(body))
    }

    /// Type and text of each field.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || match reader.u8() {
            Ok(0) | Err(_) => None,
            Ok(field) => reader.cstr().ok().map(|text| (field, text)),
        })
    }

    /// Text of one field, for instance `b'C'` for the SQLSTATE.
    #[must_use]
    pub fn get(&self, field: u8) -> Option<&'a [u8]> {
        self.iter().find_map(|(name, text)| (name == field).then_some(text))
    }

    /// SQLSTATE, `XX000` if the server sent none.
    #[must_use]
    pub fn sqlstate(&self) -> [u8; 5] {
        self.get(b'C').and_then(|code| code.try_into().ok()).unwrap_or(*b"XX000")
    }

    /// The message, as far as it is UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.get(b'M').unwrap_or_default()).into_owned()
    }

    /// Whether the server closes the connection after this: severity FATAL or PANIC.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.get(b'V').or_else(|| self.get(b'S')), Some(b"FATAL" | b"PANIC"))
    }
}

/// A column of `RowDescription`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Label.
    pub name: &'a [u8],
    /// Table it comes from, or 0.
    pub table: u32,
    /// Attribute number in that table, or 0.
    pub attribute: i16,
    /// Type.
    pub type_oid: u32,
    /// Size of the type, negative if it varies.
    pub type_size: i16,
    /// Type modifier, -1 if none.
    pub type_modifier: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// `RowDescription`, validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    count: usize,
    fields: &'a [u8],
}

impl<'a> RowDescription<'a> {
    /// Checks the whole body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        let fields = reader.rest();
        for _ in 0..count {
            column(&mut reader)?;
        }
        reader.finish()?;
        Ok(Self { count, fields })
    }

    /// How many columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut reader = Reader::new(self.fields);
        (0..self.count).map_while(move |_| column(&mut reader).ok())
    }
}

fn column<'a>(reader: &mut Reader<'a>) -> Result<Column<'a>, WireError> {
    Ok(Column {
        name: reader.cstr()?,
        table: reader.u32()?,
        attribute: reader.i16()?,
        type_oid: reader.u32()?,
        type_size: reader.i16()?,
        type_modifier: reader.i32()?,
        format: reader.i16()?,
    })
}

/// `ParameterDescription`: a type per parameter.
///
/// # Errors
/// [`WireError`].
pub fn parameter_description(body: &[u8]) -> Result<Oids<'_>, WireError> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?);
    let oids = Oids::new(reader.bytes(count * 4)?);
    reader.finish()?;
    Ok(oids)
}

/// `CopyInResponse`, `CopyOutResponse`, `CopyBothResponse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFormat<'a> {
    /// 0 text, 1 binary.
    pub overall: u8,
    /// Format of each column.
    pub columns: Shorts<'a>,
}

impl<'a> CopyFormat<'a> {
    /// # Errors
    /// [`WireError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let overall = reader.u8()?;
        let columns = super::frontend::shorts(&mut reader)?;
        reader.finish()?;
        Ok(Self { overall, columns })
    }
}

/// `NotificationResponse`: process id, channel, payload.
///
/// # Errors
/// [`WireError`].
pub fn notification(body: &[u8]) -> Result<(u32, &[u8], &[u8]), WireError> {
    let mut reader = Reader::new(body);
    let fields = (reader.u32()?, reader.cstr()?, reader.cstr()?);
    reader.finish()?;
    Ok(fields)
}

/// `NegotiateProtocolVersion`: newest minor version, and how many options were not recognised.
///
/// # Errors
/// [`WireError`].
pub fn negotiate_protocol_version(body: &[u8]) -> Result<(u32, usize), WireError> {
    let mut reader = Reader::new(body);
    let minor = reader.u32()?;
    let count = reader.u32()?;
    let mut seen = 0;
    for _ in 0..count {
        reader.cstr()?;
        seen += 1;
    }
    reader.finish()?;
    Ok((minor, seen))
}

/// What a server asks for in an `Authentication` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationRequest<'a> {
    /// Done.
    Ok,
    /// The password as it is.
    Cleartext,
    /// MD5 with this salt.
    Md5([u8; 4]),
    /// SASL with one of these mechanisms, zero-terminated each, then an empty one.
    Sasl(&'a [u8]),
    /// The server's SASL challenge.
    SaslContinue(&'a [u8]),
    /// The server's SASL proof.
    SaslFinal(&'a [u8]),
    /// A method that we do not speak.
    Other(u32),
}

impl<'a> AuthenticationRequest<'a> {
    /// # Errors
    /// [`WireError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(match reader.u32()? {
            0 => Self::Ok,
            3 => Self::Cleartext,
            5 => Self::Md5(reader.bytes(4)?.try_into().map_err(|_| WireError::Truncated)?),
            10 => Self::Sasl(reader.rest()),
            11 => Self::SaslContinue(reader.rest()),
            12 => Self::SaslFinal(reader.rest()),
            other => Self::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_tags_and_parameters() {
        assert_eq!(TransactionStatus::decode(b"T"), Ok(TransactionStatus::Active));
        assert!(TransactionStatus::decode(b"X").is_err());
        assert_eq!(command_tag(b"INSERT 0 3\0"), Ok(&b"INSERT 0 3"[..]));
        assert_eq!(rows_of_tag(b"INSERT 0 3"), Some(3));
        assert_eq!(rows_of_tag(b"BEGIN"), None);
        assert_eq!(parameter_status(b"a\0b\0"), Ok((&b"a"[..], &b"b"[..])));
        assert_eq!(key_data(&[0, 0, 0, 1, 9, 9, 9, 9]), Ok((1, &[9, 9, 9, 9][..])));
        assert!(key_data(&[0, 0, 0, 1, 9]).is_err());
        assert_eq!(notification(b"\0\0\0\x01c\0p\0"), Ok((1, &b"c"[..], &b"p"[..])));
        assert_eq!(negotiate_protocol_version(b"\0\0\0\0\0\0\0\x01_pq_.x\0"), Ok((0, 1)));
        assert!(negotiate_protocol_version(b"\0\0\0\0\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn error_fields() {
        let body = b"SFATAL\0VFATAL\0C57P01\0Mgone\0\0";
        let fields = ErrorFields::decode(body).expect("valid");
        assert_eq!(fields.sqlstate(), *b"57P01");
        assert_eq!(fields.text(), "gone");
        assert!(fields.is_fatal());
        assert_eq!(fields.iter().count(), 4);
        for end in 0..body.len() {
            assert!(ErrorFields::decode(&body[..end]).is_err());
        }
    }

    #[test]
    fn row_description() {
        let body = b"\0\x01id\0\0\0\0\x05\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01";
        let description = RowDescription::decode(body).expect("valid");
        let column = description.iter().next().expect("one column");
        assert_eq!((description.len(), column.name, column.type_oid, column.format), (1, &b"id"[..], 23, 1));
        assert!(RowDescription::decode(&body[..body.len() - 1]).is_err());
        assert!(RowDescription::decode(b"\xff\xff").is_err());
        assert_eq!(
            parameter_description(b"\0\x01\0\0\0\x14").map(|oids| oids.iter().collect::<Vec<_>>()),
            Ok(vec![20])
        );
        let format = CopyFormat::decode(b"\x01\0\x01\0\x01").expect("valid");
        assert_eq!((format.overall, format.columns.len()), (1, 1));
        assert_eq!(AuthenticationRequest::decode(b"\0\0\0\x05salt"), Ok(AuthenticationRequest::Md5(*b"salt")));
    }
}
