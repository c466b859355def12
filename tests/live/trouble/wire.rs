//! Clients of raw bytes in both protocols: they log in properly and then send whatever a test wants.
//! Every read has a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use protocol::mysql::capability;
use protocol::mysql::greeting::Greeting;
use protocol::mysql::login::Login;
use protocol::mysql::packet::put_packet;
use protocol::mysql::reply::ErrPacket;
use protocol::postgres::write;

/// Longest wait for an answer, or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// User that needs no password.
pub const RAW_USER: &str = "raw";

/// A TCP connection.
pub struct Raw {
    stream: TcpStream,
}

/// What both protocols say in an error: errno (0 by the PostgreSQL protocol), SQLSTATE, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// MySQL errno.
    pub code: u16,
    /// SQLSTATE.
    pub state: String,
    /// The message.
    pub text: String,
}

impl Raw {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("dbmesh accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("an option can be set");
        Self { stream }
    }

    /// Sends bytes; false when the other side has closed already.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_end(error.kind()) => false,
            Err(error) => panic!("bytes cannot be sent: {error}"),
        }
    }

    /// Says that nothing more will come.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads exactly so many bytes; `None` when the connection ended before.
    pub fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if is_end(error.kind()) => None,
            Err(error) => panic!("no answer within {PATIENCE:?}: {error}"),
        }
    }

    /// Reads until the connection ends, which it must do in time.
    pub fn rest(&mut self) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return all,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if is_end(error.kind()) => return all,
                Err(error) => panic!("the connection is not closed within {PATIENCE:?}: {error}"),
            }
        }
    }

    /// Whether bytes came, or the end, within this time.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout can be set");
        let silent = match self.stream.peek(&mut [0]) {
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Ok(_) => false,
        };
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        silent
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A client of the MySQL protocol.
pub struct MySqlRaw {
    /// Its connection.
    pub raw: Raw,
}

impl MySqlRaw {
    /// Connects and reads the greeting.
    pub fn greeted(address: SocketAddr) -> Self {
        let mut raw = Raw::connect(address);
        let (_, payload) = read_packet(&mut raw).expect("a greeting");
        Greeting::decode(&payload).expect("a greeting");
        Self { raw }
    }

    /// The packet with which the user without a password logs in.
    pub fn login(database: &str) -> Vec<u8> {
        Self::login_of(RAW_USER, "mysql_native_password", database)
    }

    /// A login without a proof, by that method.
    pub fn login_of(user: &str, method: &str, database: &str) -> Vec<u8> {
        let login = Login {
            capabilities: capability::PROTOCOL_41
                | capability::SECURE_CONNECTION
                | capability::PLUGIN_AUTH
                | capability::CONNECT_WITH_DB
                | capability::TRANSACTIONS
                | capability::MULTI_STATEMENTS
                | capability::MULTI_RESULTS
                | capability::PS_MULTI_RESULTS
                | capability::LONG_PASSWORD,
            packet_max: 1 << 30,
            collation: 45,
            user: user.into(),
            database: Some(database.into()),
            plugin: method.into(),
            ..Login::default()
        };
        let mut payload = Vec::new();
        login.encode(&mut payload);
        payload
    }

    /// Connects and logs in.
    pub fn logged_in(address: SocketAddr, database: &str) -> Self {
        let mut client = Self::greeted(address);
        client.packet(1, &Self::login(database));
        let (_, answer) = client.answer().expect("an answer to the login");
        assert_eq!(answer[0], 0, "{:?}", mysql_error(&answer));
        client
    }

    /// Sends a packet with a right header.
    pub fn packet(&mut self, sequence: u8, payload: &[u8]) -> bool {
        self.raw.send(&framed(sequence, payload))
    }

    /// The next packet; `None` at the end.
    pub fn answer(&mut self) -> Option<(u8, Vec<u8>)> {
        read_packet(&mut self.raw)
    }

    /// Whether the session goes on: COM_PING is answered.
    pub fn lives(&mut self) -> bool {
        self.packet(0, &[0x0e]) && self.answer().is_some_and(|(_, answer)| answer[0] == 0)
    }
}

/// A packet with its header.
pub fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_packet(&mut bytes, sequence, payload);
    bytes
}

fn read_packet(raw: &mut Raw) -> Option<(u8, Vec<u8>)> {
    let header = raw.read(4)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    Some((header[3], raw.read(length)?))
}

/// The error in an ERR payload.
pub fn mysql_error(payload: &[u8]) -> Option<Told> {
    (payload.first() == Some(&0xff)).then(|| {
        let err = ErrPacket::decode(payload).expect("a readable ERR");
        Told {
            code: err.code,
            state: String::from_utf8_lossy(&err.sqlstate).into_owned(),
            text: String::from_utf8_lossy(err.message).into_owned(),
        }
    })
}

/// The error in the last packet of what came before the end.
pub fn last_mysql_error(mut bytes: &[u8]) -> Option<Told> {
    let mut last = None;
    while let [a, b, c, _, rest @ ..] = bytes {
        let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        assert!(rest.len() >= length, "the last packet is cut off");
        let (payload, behind) = rest.split_at(length);
        last = mysql_error(payload);
        bytes = behind;
    }
    assert!(bytes.is_empty(), "the last header is cut off");
    last
}

/// A client of the PostgreSQL protocol.
pub struct PostgresRaw {
    /// Its connection.
    pub raw: Raw,
}

impl PostgresRaw {
    /// The startup packet of a user.
    pub fn startup(user: &str, database: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write::startup(&mut bytes, &[("user", user), ("database", database)]);
        bytes
    }

    /// Connects, logs in and reads up to ReadyForQuery.
    pub fn logged_in(address: SocketAddr, database: &str) -> Self {
        let mut client = Self { raw: Raw::connect(address) };
        client.raw.send(&Self::startup(RAW_USER, database));
        let answers = client.until_ready().expect("a login");
        assert!(answers.iter().all(|(tag, _)| *tag != b'E'), "{answers:?}");
        client
    }

    /// The next message; `None` at the end.
    pub fn answer(&mut self) -> Option<(u8, Vec<u8>)> {
        let header = self.raw.read(5)?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        Some((header[0], self.raw.read(length - 4)?))
    }

    /// All messages up to ReadyForQuery; `None` when the connection ended before.
    pub fn until_ready(&mut self) -> Option<Vec<(u8, Vec<u8>)>> {
        let mut all = Vec::new();
        loop {
            let (tag, body) = self.answer()?;
            if tag == b'Z' {
                return Some(all);
            }
            all.push((tag, body));
        }
    }

    /// Whether the session goes on: a Sync is answered.
    pub fn lives(&mut self) -> bool {
        self.raw.send(&message(b'S', b"")) && self.until_ready().is_some()
    }
}

/// A message with its header.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).expect("a short message").to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The error in the body of an ErrorResponse.
pub fn postgres_error(body: &[u8]) -> Told {
    let mut told = Told { code: 0, state: String::new(), text: String::new() };
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let text = String::from_utf8_lossy(&field[1..]).into_owned();
        match field[0] {
            b'C' => told.state = text,
            b'M' => told.text = text,
            _ => {}
        }
    }
    told
}

/// The last error among messages that came before the end.
pub fn last_postgres_error(mut bytes: &[u8]) -> Option<Told> {
    let mut last = None;
    while let [tag, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
        assert!(rest.len() >= length, "the last message is cut off");
        let (body, behind) = rest.split_at(length);
        if *tag == b'E' {
            last = Some(postgres_error(body));
        }
        bytes = behind;
    }
    assert!(bytes.is_empty(), "the last header is cut off");
    last
}

/// Random bytes that are the same in every run.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).expect("below 256")).collect()
    }
}
