//! A client of the PostgreSQL protocol, message by message, so that it can misbehave; what it reads, it takes apart
//! itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::postgres::write;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::chaos::{PATIENCE, RAW_USER};

/// A row: each value as text.
pub type Row = Vec<Option<String>>;

/// What came between two ReadyForQuery, put in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows of each part, in order; a part ends with its tag.
    pub parts: Vec<Vec<Row>>,
    /// Tags of the parts; `suspended` where a portal has more.
    pub tags: Vec<String>,
    /// SQLSTATE and text of the error, if there is one.
    pub failed: Option<(String, String)>,
    /// The transaction status of ReadyForQuery.
    pub status: char,
    /// Data of COPY.
    pub copied: Vec<u8>,
}

/// Why a session cannot go on.
#[derive(Debug)]
pub enum Ended {
    /// The connection broke, or nothing came in time.
    Broken(io::Error),
    /// An error that was not expected.
    Told { state: String, text: String, sql: String },
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A logged-in connection.
pub struct Link {
    stream: TcpStream,
    /// What a cancel request names.
    pub process_id: u32,
    /// The secret of a cancel request.
    pub key: Vec<u8>,
}

impl Link {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, process_id: 0, key: Vec::new() })
    }

    /// Connects and logs in.
    pub async fn open(address: SocketAddr, database: &str, name: &str) -> Result<Self, Ended> {
        let mut link = Self::connect(address).await?;
        let mut bytes = Vec::new();
        write::startup(&mut bytes, &[("user", RAW_USER), ("database", database), ("application_name", name)]);
        link.send(&bytes).await?;
        let answer = link.answer().await?;
        answer.ok("login").map(|_| link)
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

    async fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        timeout(PATIENCE, async {
            let mut header = [0; 5];
            self.stream.read_exact(&mut header).await?;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body).await?;
            Ok((header[0], body))
        })
        .await?
    }

    /// Everything up to ReadyForQuery, or up to an error that ends the session.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let (mut answer, mut rows) = (Answer::default(), Vec::new());
        loop {
            let (tag, body) = match self.message().await {
                Ok(message) => message,
                Err(_) if answer.failed.is_some() => return Ok(answer),
                Err(error) => return Err(error),
            };
            match tag {
                b'D' => rows.push(row(&body)),
                b'C' => {
                    answer.tags.push(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned());
                    answer.parts.push(std::mem::take(&mut rows));
                }
                b's' | b'I' => {
                    answer.tags.push(if tag == b's' { "suspended" } else { "empty" }.to_owned());
                    answer.parts.push(std::mem::take(&mut rows));
                }
                b'E' => answer.failed = Some(error(&body)),
                b'K' => {
                    self.process_id = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
                    self.key = body[4..].to_vec();
                }
                b'd' => answer.copied.extend_from_slice(&body),
                b'Z' => {
                    answer.status = char::from(body[0]);
                    return Ok(answer);
                }
                _ => {}
            }
        }
    }

    /// Sends a simple query and reads its answer.
    pub async fn ask(&mut self, sql: &str) -> io::Result<Answer> {
        self.send(&query(sql)).await?;
        self.answer().await
    }

    /// Sends a simple query that must not fail.
    pub async fn run(&mut self, sql: &str) -> Result<Answer, Ended> {
        self.ask(sql).await?.ok(sql)
    }

    /// Sends a simple query that must give rows, and only once.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Ended> {
        self.run(sql).await?.only(sql)
    }
}

impl Answer {
    /// Not an error.
    pub fn ok(self, sql: &str) -> Result<Self, Ended> {
        match self.failed {
            Some((state, text)) => Err(Ended::Told { state, text, sql: sql.to_owned() }),
            None => Ok(self),
        }
    }

    /// The rows of the only part.
    pub fn only(mut self, sql: &str) -> Result<Vec<Row>, Ended> {
        match (self.parts.pop(), self.parts.is_empty()) {
            (Some(rows), true) => Ok(rows),
            _ => Err(io::Error::other(format!("not one answer for {sql}: {:?}", self.tags)).into()),
        }
    }
}

/// A simple query.
pub fn query(sql: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write::query(&mut bytes, sql.as_bytes());
    bytes
}

/// Bind and Execute of a statement through the unnamed portal, with values as text, rows as text.
pub fn execute(bytes: &mut Vec<u8>, statement: &str, values: &[u64]) {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    write::bind(bytes, b"", statement.as_bytes(), &[], texts.iter().map(|text| Some(text.as_bytes())), &[]);
    write::execute(bytes, b"", 0);
}

/// Sends a cancel request for a session, and waits until the connection is closed if asked to.
pub async fn cancel(address: SocketAddr, process_id: u32, key: &[u8], wait: bool) -> io::Result<()> {
    let mut link = Link::connect(address).await?;
    let mut bytes = Vec::new();
    write::cancel_request(&mut bytes, process_id, key);
    link.send(&bytes).await?;
    if wait {
        link.skip(1, PATIENCE).await;
    }
    Ok(())
}

fn row(body: &[u8]) -> Row {
    let (mut at, mut row) = (2, Row::new());
    for _ in 0..u16::from_be_bytes([body[0], body[1]]) {
        let length = i32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        at += 4;
        row.push(usize::try_from(length).ok().map(|length| {
            at += length;
            String::from_utf8_lossy(&body[at - length..at]).into_owned()
        }));
    }
    row
}

fn error(body: &[u8]) -> (String, String) {
    let (mut state, mut text) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let value = String::from_utf8_lossy(&field[1..]).into_owned();
        match field[0] {
            b'C' => state = value,
            b'M' => text = value,
            _ => {}
        }
    }
    (state, text)
}
