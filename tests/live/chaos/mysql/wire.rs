//! A client of the MySQL protocol, byte by byte, so that it can misbehave; what it reads, it takes apart itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::mysql::capability as flag;
use protocol::mysql::greeting::Greeting;
use protocol::mysql::login::Login;
use protocol::mysql::packet::put_packet;
use protocol::mysql::wire::Reader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::chaos::{PATIENCE, RAW_USER};

/// Command bytes.
pub const QUIT: u8 = 1;
pub const QUERY: u8 = 3;
pub const STMT_PREPARE: u8 = 0x16;
pub const STMT_EXECUTE: u8 = 0x17;
pub const STMT_SEND_LONG_DATA: u8 = 0x18;
pub const STMT_CLOSE: u8 = 0x19;
pub const RESET_CONNECTION: u8 = 0x1f;

/// Status flag: another answer follows.
const MORE_RESULTS: u16 = 8;

/// A row: each value as text.
pub type Row = Vec<Option<String>>;

/// One complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// OK.
    Done { affected: u64, insert_id: u64 },
    /// A result set.
    Rows(Vec<Row>),
    /// ERR.
    Failed { code: u16, text: String },
}

/// Why a session cannot go on.
#[derive(Debug)]
pub enum Ended {
    /// The connection broke, or nothing came in time.
    Broken(io::Error),
    /// An error that was not expected.
    Told { code: u16, text: String, sql: String },
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A logged-in connection.
pub struct Link {
    stream: TcpStream,
    /// The id that it was greeted with.
    pub id: u32,
    deprecate_eof: bool,
    more: bool,
}

/// A command in its packet.
pub fn command(code: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_packet(&mut bytes, 0, &[&[code], body].concat());
    bytes
}

/// A query in its packet.
pub fn query(sql: &str) -> Vec<u8> {
    command(QUERY, sql.as_bytes())
}

/// COM_STMT_EXECUTE with numbers as parameters.
pub fn execute(statement: u32, values: &[u64]) -> Vec<u8> {
    let mut body = statement.to_le_bytes().to_vec();
    body.extend_from_slice(&[0, 1, 0, 0, 0]);
    if !values.is_empty() {
        body.extend(std::iter::repeat_n(0, values.len().div_ceil(8)));
        body.push(1);
        values.iter().for_each(|_| body.extend_from_slice(&[8, 0]));
        values.iter().for_each(|value| body.extend_from_slice(&value.to_le_bytes()));
    }
    command(STMT_EXECUTE, &body)
}

impl Link {
    /// Connects and logs in.
    pub async fn open(address: SocketAddr, database: &str, deprecate_eof: bool) -> Result<Self, Ended> {
        let mut link = Self::greeted(address).await?;
        link.deprecate_eof = deprecate_eof;
        let mut bytes = Vec::new();
        put_packet(&mut bytes, 1, &login(database, deprecate_eof));
        link.send(&bytes).await?;
        match link.answer().await? {
            Answer::Failed { code, text } => Err(Ended::Told { code, text, sql: "login".to_owned() }),
            _ => Ok(link),
        }
    }

    /// Connects and reads the greeting.
    pub async fn greeted(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, id: 0, deprecate_eof: false, more: false };
        let payload = link.packet().await?;
        link.id = Greeting::decode(&payload).map_err(io::Error::other)?.connection_id;
        Ok(link)
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    /// Reads some bytes and throws them away; false at the end.
    pub async fn skip(&mut self, most: usize, within: Duration) -> bool {
        let mut bytes = vec![0; most.max(1)];
        matches!(timeout(within, self.stream.read(&mut bytes)).await, Ok(Ok(count)) if count > 0)
    }

    /// Closes at once, with a reset: as a machine that crashes.
    pub fn crash(self) {
        let _ = self.stream.set_zero_linger();
    }

    async fn packet(&mut self) -> io::Result<Vec<u8>> {
        timeout(PATIENCE, async {
            let mut header = [0; 4];
            self.stream.read_exact(&mut header).await?;
            let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
            self.stream.read_exact(&mut payload).await?;
            Ok(payload)
        })
        .await?
    }

    /// Whether the last answer said that another follows.
    pub fn more(&self) -> bool {
        self.more
    }

    /// Reads one answer to a query.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        self.read_answer(false).await
    }

    /// Reads the answer to COM_STMT_EXECUTE.
    pub async fn binary_answer(&mut self) -> io::Result<Answer> {
        self.read_answer(true).await
    }

    /// Sends a query and reads its answer.
    pub async fn ask(&mut self, sql: &str) -> io::Result<Answer> {
        self.send(&query(sql)).await?;
        self.answer().await
    }

    /// Sends a query that must not fail.
    pub async fn run(&mut self, sql: &str) -> Result<Answer, Ended> {
        match self.ask(sql).await? {
            Answer::Failed { code, text } => Err(Ended::Told { code, text, sql: sql.to_owned() }),
            other => Ok(other),
        }
    }

    /// Sends a query that must give rows.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Ended> {
        match self.run(sql).await? {
            Answer::Rows(rows) => Ok(rows),
            other => Err(io::Error::other(format!("no rows but {other:?} for {sql}")).into()),
        }
    }

    /// Prepares a statement; its id.
    pub async fn prepare_statement(&mut self, sql: &str) -> Result<u32, Ended> {
        self.send(&command(STMT_PREPARE, sql.as_bytes())).await?;
        let payload = self.packet().await?;
        if payload.first() == Some(&0xff) {
            let Answer::Failed { code, text } = failed(&payload) else { unreachable!("an ERR") };
            return Err(Ended::Told { code, text, sql: sql.to_owned() });
        }
        let number = |at: usize| u16::from_le_bytes([payload[at], payload[at + 1]]);
        let (columns, parameters) = (number(5), number(7));
        for count in [parameters, columns] {
            let closing = u16::from(count > 0 && !self.deprecate_eof);
            for _ in 0..count + closing {
                self.packet().await?;
            }
        }
        Ok(u32::from_le_bytes([payload[1], payload[2], payload[3], payload[4]]))
    }

    async fn read_answer(&mut self, binary: bool) -> io::Result<Answer> {
        let malformed = io::Error::other;
        let payload = self.packet().await?;
        self.more = false;
        match payload.first() {
            Some(0xff) => return Ok(failed(&payload)),
            Some(0) => {
                let mut reader = Reader::new(&payload[1..]);
                let affected = reader.lenenc().map_err(malformed)?;
                let insert_id = reader.lenenc().map_err(malformed)?;
                self.more = reader.u16().map_err(malformed)? & MORE_RESULTS != 0;
                return Ok(Answer::Done { affected, insert_id });
            }
            _ => {}
        }
        let count = Reader::new(&payload).lenenc().map_err(malformed)?;
        let mut types = Vec::new();
        for _ in 0..count {
            let column = self.packet().await?;
            types.push(column_type(&column).map_err(malformed)?);
        }
        if !self.deprecate_eof {
            self.packet().await?;
        }
        let mut rows = Vec::new();
        loop {
            let payload = self.packet().await?;
            match payload.first() {
                Some(0xff) => return Ok(failed(&payload)),
                Some(0xfe) if payload.len() < 1000 && (self.deprecate_eof || payload.len() < 9) => {
                    let mut reader = Reader::new(&payload[1..]);
                    // EOF: warnings first; OK: two numbers first.
                    if self.deprecate_eof {
                        reader.lenenc().map_err(malformed)?;
                        reader.lenenc().map_err(malformed)?;
                    } else {
                        reader.u16().map_err(malformed)?;
                    }
                    self.more = reader.u16().map_err(malformed)? & MORE_RESULTS != 0;
                    return Ok(Answer::Rows(rows));
                }
                _ => rows.push(row(&payload, &types, binary).map_err(malformed)?),
            }
        }
    }
}

/// The payload of a login.
pub fn login(database: &str, deprecate_eof: bool) -> Vec<u8> {
    let mut capabilities = flag::PROTOCOL_41
        | flag::SECURE_CONNECTION
        | flag::PLUGIN_AUTH
        | flag::CONNECT_WITH_DB
        | flag::TRANSACTIONS
        | flag::MULTI_STATEMENTS
        | flag::MULTI_RESULTS
        | flag::PS_MULTI_RESULTS
        | flag::LONG_PASSWORD;
    if deprecate_eof {
        capabilities |= flag::DEPRECATE_EOF;
    }
    let login = Login {
        capabilities,
        packet_max: 1 << 30,
        collation: 45,
        user: RAW_USER.into(),
        database: Some(database.into()),
        plugin: b"mysql_native_password".to_vec(),
        ..Login::default()
    };
    let mut payload = Vec::new();
    login.encode(&mut payload);
    payload
}

fn failed(payload: &[u8]) -> Answer {
    let code = u16::from_le_bytes([payload[1], payload[2]]);
    let text = String::from_utf8_lossy(payload.get(9..).unwrap_or_default()).into_owned();
    Answer::Failed { code, text }
}

fn column_type(payload: &[u8]) -> Result<u8, protocol::mysql::WireError> {
    let mut reader = Reader::new(payload);
    for _ in 0..6 {
        reader.lenenc_bytes()?;
    }
    // Length of the rest, character set, width.
    reader.lenenc()?;
    reader.u16()?;
    reader.u32()?;
    reader.u8()
}

fn row(payload: &[u8], types: &[u8], binary: bool) -> Result<Row, protocol::mysql::WireError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !binary {
        let (mut reader, mut row) = (Reader::new(payload), Row::new());
        for _ in types {
            let null = reader.rest().first() == Some(&0xfb);
            row.push(if null { reader.u8().map(|_| None)? } else { Some(text(reader.lenenc_bytes()?)) });
        }
        return Ok(row);
    }
    let nulls = (types.len() + 9) / 8;
    let mut reader = Reader::new(payload.get(1 + nulls..).unwrap_or_default());
    let mut row = Row::new();
    for (at, kind) in types.iter().enumerate() {
        let bit = payload.get(1 + (at + 2) / 8).copied().unwrap_or(0) >> ((at + 2) % 8) & 1;
        row.push(match (bit, kind) {
            (1, _) => None,
            (_, 8) => Some(i64::from_le_bytes(reader.u64()?.to_le_bytes()).to_string()),
            (_, 3) => Some(i32::from_le_bytes(reader.u32()?.to_le_bytes()).to_string()),
            _ => Some(text(reader.lenenc_bytes()?)),
        });
    }
    Ok(row)
}
