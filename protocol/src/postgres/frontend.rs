//! Views of the messages that a client sends, decoded in place.
//! Source: PostgreSQL documentation, "Message Formats". Out: the packets without a type byte (`startup`).

use super::wire::{Message, Reader, WireError};

/// What `Describe` and `Close` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement (`S`).
    Statement,
    /// A portal (`P`).
    Portal,
}

impl Target {
    /// The byte on the wire.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }
}

/// Big-endian 16-bit values, such as format codes, read where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shorts<'a>(&'a [u8]);

impl<'a> Shorts<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = i16> + 'a {
        self.0.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The format of column or parameter `index`: none given means text, one given means that one for all.
    /// 0 is text, 1 is binary.
    #[must_use]
    pub fn format_of(&self, index: usize) -> i16 {
        match self.len() {
            0 => 0,
            1 => self.iter().next().unwrap_or(0),
            _ => self.iter().nth(index).unwrap_or(0),
        }
    }
}

/// Big-endian object ids, read where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oids<'a>(&'a [u8]);

impl<'a> Oids<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        self.0.chunks_exact(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    }
}

/// Values with their lengths in front, validated, read where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Values<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// Checks that `count` values lie at the front of `reader`, and takes them.
    ///
    /// # Errors
    /// [`WireError`] if they do not.
    pub fn take(reader: &mut Reader<'a>, count: usize) -> Result<Self, WireError> {
        let start = reader.rest();
        for _ in 0..count {
            reader.value()?;
        }
        let used = start.len() - reader.rest().len();
        Ok(Self { count, bytes: &start[..used] })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of all values, lengths included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The values in order; `None` is NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| reader.value().ok())
    }
}

/// `Parse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Name of the statement, empty for the unnamed one.
    pub name: &'a [u8],
    /// One SQL statement.
    pub sql: &'a [u8],
    /// Types that the client prescribes; 0 and missing ones are for the server to find.
    pub types: Oids<'a>,
}

/// `Bind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Name of the portal, empty for the unnamed one.
    pub portal: &'a [u8],
    /// Name of the statement.
    pub statement: &'a [u8],
    /// Formats of the parameters.
    pub formats: Shorts<'a>,
    /// The parameters.
    pub values: Values<'a>,
    /// Formats of the result columns.
    pub result_formats: Shorts<'a>,
    /// Everything behind the two names, which a re-targeted `Bind` repeats.
    pub tail: &'a [u8],
}

/// A message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontendMessage<'a> {
    /// Simple query: one or more statements.
    Query(&'a [u8]),
    /// Makes a prepared statement.
    Parse(Parse<'a>),
    /// Makes a portal.
    Bind(Bind<'a>),
    /// Asks what a statement or portal takes and gives.
    Describe(Target, &'a [u8]),
    /// Runs a portal for at most so many rows (0: all).
    Execute {
        /// Name of the portal.
        portal: &'a [u8],
        /// Most rows, 0 for all.
        rows_max: i32,
    },
    /// Drops a statement or portal.
    Close(Target, &'a [u8]),
    /// Asks for the answers so far.
    Flush,
    /// Ends a series of extended-protocol messages.
    Sync,
    /// Ends the session.
    Terminate,
    /// A piece of a COPY stream.
    CopyData(&'a [u8]),
    /// The COPY stream is complete.
    CopyDone,
    /// The COPY stream is broken off, with the client's reason.
    CopyFail(&'a [u8]),
    /// Old fast-path call of a function.
    FunctionCall(&'a [u8]),
    /// Password, SASL or GSS answer; which one depends on what was asked.
    Password(&'a [u8]),
}

/// Reads a client's message.
///
/// # Errors
/// [`WireError::UnknownTag`], or what is wrong with its fields.
pub fn decode<'a>(message: &Message<'a>) -> Result<FrontendMessage<'a>, WireError> {
    let mut reader = Reader::new(message.body);
    let decoded = match message.tag {
        b'Q' => FrontendMessage::Query(reader.cstr()?),
        b'P' => {
            let name = reader.cstr()?;
            let sql = reader.cstr()?;
            let count = usize::from(reader.u16()?);
            FrontendMessage::Parse(Parse { name, sql, types: Oids(reader.bytes(count * 4)?) })
        }
        b'B' => return bind(reader).map(FrontendMessage::Bind),
        b'D' => FrontendMessage::Describe(target(&mut reader)?, reader.cstr()?),
        b'E' => FrontendMessage::Execute { portal: reader.cstr()?, rows_max: reader.i32()? },
        b'C' => FrontendMessage::Close(target(&mut reader)?, reader.cstr()?),
        b'H' => FrontendMessage::Flush,
        b'S' => FrontendMessage::Sync,
        b'X' => FrontendMessage::Terminate,
        b'd' => return Ok(FrontendMessage::CopyData(message.body)),
        b'c' => FrontendMessage::CopyDone,
        b'f' => FrontendMessage::CopyFail(reader.cstr()?),
        b'F' => return Ok(FrontendMessage::FunctionCall(message.body)),
        b'p' => return Ok(FrontendMessage::Password(message.body)),
        tag => return Err(WireError::UnknownTag(tag)),
    };
    reader.finish()?;
    Ok(decoded)
}

fn target(reader: &mut Reader<'_>) -> Result<Target, WireError> {
    match reader.u8()? {
        b'S' => Ok(Target::Statement),
        b'P' => Ok(Target::Portal),
        _ => Err(WireError::Invalid("subtype of Describe or Close")),
    }
}

pub(super) fn shorts<'a>(reader: &mut Reader<'a>) -> Result<Shorts<'a>, WireError> {
    let count = usize::from(reader.u16()?);
    Ok(Shorts(reader.bytes(count * 2)?))
}

fn bind(mut reader: Reader<'_>) -> Result<Bind<'_>, WireError> {
    let portal = reader.cstr()?;
    let statement = reader.cstr()?;
    let tail = reader.rest();
    let formats = shorts(&mut reader)?;
    let count = usize::from(reader.u16()?);
    if formats.len() > 1 && formats.len() != count {
        return Err(WireError::Invalid("number of parameter formats"));
    }
    let values = Values::take(&mut reader, count)?;
    let result_formats = shorts(&mut reader)?;
    if formats.iter().chain(result_formats.iter()).any(|code| !(0..=1).contains(&code)) {
        return Err(WireError::Invalid("format code"));
    }
    reader.finish()?;
    Ok(Bind { portal, statement, formats, values, result_formats, tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, body: &[u8]) -> Result<FrontendMessage<'_>, WireError> {
        decode(&Message { tag, body, total: body.len() + 5 })
    }

    #[test]
    fn plain_messages() {
        assert_eq!(read(b'Q', b"select 1\0"), Ok(FrontendMessage::Query(b"select 1")));
        assert_eq!(read(b'Q', b"select 1"), Err(WireError::Truncated));
        assert_eq!(read(b'Q', b"select 1\0x"), Err(WireError::Trailing));
        assert_eq!(read(b'D', b"Sa\0"), Ok(FrontendMessage::Describe(Target::Statement, b"a")));
        assert_eq!(read(b'C', b"P\0"), Ok(FrontendMessage::Close(Target::Portal, b"")));
        assert!(read(b'C', b"X\0").is_err());
        assert_eq!(read(b'E', b"p\0\0\0\0\x05"), Ok(FrontendMessage::Execute { portal: b"p", rows_max: 5 }));
        assert_eq!(read(b'S', b""), Ok(FrontendMessage::Sync));
        assert_eq!(read(b'H', b""), Ok(FrontendMessage::Flush));
        assert_eq!(read(b'd', b"1\t2\n"), Ok(FrontendMessage::CopyData(b"1\t2\n")));
        assert_eq!(read(b'f', b"why\0"), Ok(FrontendMessage::CopyFail(b"why")));
        assert_eq!(read(0xee, b""), Err(WireError::UnknownTag(0xee)));
    }

    #[test]
    fn parse_with_types() {
        let Ok(FrontendMessage::Parse(parse)) = read(b'P', b"s\0select $1\0\0\x01\0\0\0\x17") else {
            panic!("not a Parse");
        };
        assert_eq!((parse.name, parse.sql), (&b"s"[..], &b"select $1"[..]));
        assert_eq!(parse.types.iter().collect::<Vec<_>>(), [23]);
        assert_eq!(read(b'P', b"s\0x\0\xff\xff\0\0"), Err(WireError::Truncated));
    }

    #[test]
    fn bind_with_formats_and_null() {
        let body = b"p\0s\0\0\x02\0\x01\0\0\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\x01\0\x01";
        let Ok(FrontendMessage::Bind(bind)) = read(b'B', body) else {
            panic!("not a Bind");
        };
        assert_eq!((bind.portal, bind.statement), (&b"p"[..], &b"s"[..]));
        assert_eq!((bind.formats.format_of(0), bind.formats.format_of(1)), (1, 0));
        assert_eq!(bind.result_formats.format_of(9), 1);
        assert_eq!(bind.values.iter().collect::<Vec<_>>(), [Some(&[0, 0, 0, 7][..]), None]);
        assert_eq!(bind.tail, &body[4..]);
        for end in 0..body.len() {
            assert!(read(b'B', &body[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn bind_with_wrong_counts() {
        assert!(read(b'B', b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\0\0\0").is_err(), "two formats, one value");
        assert!(read(b'B', b"\0\0\0\x01\0\x07\0\0\0\0").is_err(), "format 7");
        assert!(read(b'B', b"\0\0\0\0\xff\xff\0\0").is_err(), "65535 values in no bytes");
    }
}
