//! A client that costs next to nothing, so that what is measured is the server's side: blocking sockets, log in, ask,
//! count rows, forget. Out: values of rows.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use protocol::mysql::authentication::{LoginStep, ServerLogin};
use protocol::mysql::greeting::Greeting;
use protocol::mysql::login::Login;
use protocol::mysql::{capability, packet};
use protocol::postgres::backend::AuthenticationRequest;
use protocol::postgres::{password, write};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Where to log in and as whom.
#[derive(Clone)]
pub struct Target {
    /// `mysql` or `postgres`.
    pub protocol: &'static str,
    /// On 127.0.0.1.
    pub port: u16,
    /// Its password is `bench`.
    pub user: &'static str,
    /// The database.
    pub database: &'static str,
    /// With TLS, if there is a configuration for it.
    pub tls: Option<Arc<ClientConfig>>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A session.
pub struct Client {
    stream: Stream,
    mysql: bool,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

const PASSWORD: &[u8] = b"bench";

impl Client {
    /// Logs in; `room` is the size of the read buffer.
    ///
    /// # Errors
    /// The network's, or what the server says.
    pub fn open(target: &Target, room: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], target.port)))?;
        stream.set_nodelay(true)?;
        let mysql = target.protocol == "mysql";
        let mut client = Self { stream: Stream::Plain(stream), mysql, buffer: vec![0; room], start: 0, end: 0 };
        if mysql {
            client.log_in_mysql(target)?
        } else {
            client.log_in_postgres(target)?
        }
        Ok(client)
    }

    /// Runs a statement and counts its rows.
    ///
    /// # Errors
    /// The network's, or what the server says.
    pub fn ask(&mut self, sql: &str) -> io::Result<u64> {
        self.say(sql)?;
        self.rows()
    }

    /// Sends a statement.
    ///
    /// # Errors
    /// The network's.
    pub fn say(&mut self, sql: &str) -> io::Result<()> {
        let mut out = Vec::with_capacity(sql.len() + 8);
        if self.mysql {
            packet::put_packet_with(&mut out, 0, |out| {
                out.push(3);
                out.extend_from_slice(sql.as_bytes());
            });
        } else {
            write::query(&mut out, sql.as_bytes());
        }
        self.send(&out)
    }

    /// Reads the answer and counts its rows.
    ///
    /// # Errors
    /// The network's, or what the server says.
    pub fn rows(&mut self) -> io::Result<u64> {
        if self.mysql {
            return self.mysql_rows();
        }
        let mut rows = 0;
        loop {
            match self.message()? {
                [b'D', ..] => rows += 1,
                [b'Z', ..] => return Ok(rows),
                [b'E', text @ ..] => return Err(refused(text)),
                _ => {}
            }
        }
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// The network's.
    pub fn close(mut self) -> io::Result<()> {
        if self.mysql { self.send(&[1, 0, 0, 0, 1]) } else { self.send(&[b'X', 0, 0, 0, 4]) }
    }

    fn log_in_postgres(&mut self, target: &Target) -> io::Result<()> {
        let mut out = Vec::new();
        if let Some(tls) = &target.tls {
            write::ssl_request(&mut out);
            self.send(&out)?;
            self.fill()?;
            if self.buffer.get(self.start..self.end) != Some(b"S") {
                return Err(io::Error::other("no TLS"));
            }
            self.start = self.end;
            self.encrypt(tls)?;
            out.clear();
        }
        write::startup(&mut out, &[("user", target.user), ("database", target.database)]);
        self.send(&out)?;
        let mut login = password::Login::new(target.user, PASSWORD);
        loop {
            let answer = match self.message()? {
                [b'R', _, _, _, _, body @ ..] => {
                    let mut out = Vec::new();
                    let request = AuthenticationRequest::decode(body).map_err(io::Error::other)?;
                    login.on(request, &mut out).map_err(io::Error::other)?;
                    out
                }
                [b'E', text @ ..] => return Err(refused(text)),
                [b'Z', ..] => return Ok(()),
                _ => Vec::new(),
            };
            if !answer.is_empty() {
                self.send(&answer)?;
            }
        }
    }

    fn log_in_mysql(&mut self, target: &Target) -> io::Result<()> {
        let greeting = self.message()?;
        let greeting = Greeting::decode(greeting.get(4..).unwrap_or_default()).map_err(io::Error::other)?;
        let secure = target.tls.is_some();
        let mut steps = ServerLogin::new(PASSWORD, &greeting.plugin, greeting.scramble, secure);
        let (plugin, proof) = steps.first_proof();
        let login = Login {
            capabilities: capability::PROTOCOL_41
                | capability::SECURE_CONNECTION
                | capability::TRANSACTIONS
                | capability::CONNECT_WITH_DB
                | capability::PLUGIN_AUTH
                | if secure { capability::SSL } else { 0 },
            packet_max: 1 << 24,
            collation: 45,
            user: target.user.into(),
            proof,
            database: Some(target.database.into()),
            plugin,
            attributes: Vec::new(),
        };
        let mut out = Vec::new();
        let mut sequence = 1;
        if let Some(tls) = &target.tls {
            sequence = packet::put_packet_with(&mut out, sequence, |out| login.encode_tls_request(out));
            self.send(&out)?;
            self.encrypt(tls)?;
            out.clear();
        }
        packet::put_packet_with(&mut out, sequence, |out| login.encode(out));
        loop {
            self.send(&out)?;
            out.clear();
            while out.is_empty() {
                let message = self.message()?;
                let (header, payload) = message.split_at(4.min(message.len()));
                match steps.on_packet(payload).map_err(io::Error::other)? {
                    LoginStep::Done => return Ok(()),
                    LoginStep::Refused => return Err(refused(payload)),
                    LoginStep::Wait => {}
                    LoginStep::Send(answer) => {
                        let sequence = header.get(3).map_or(0, |sequence| sequence.wrapping_add(1));
                        packet::put_packet(&mut out, sequence, &answer);
                    }
                }
            }
        }
    }

    /// Reads an answer of one result: an OK, or definitions, an end, rows, an end.
    fn mysql_rows(&mut self) -> io::Result<u64> {
        let definitions = match self.message()? {
            [_, _, _, _, 0, ..] => return Ok(0),
            [_, _, _, _, 0xff, text @ ..] => return Err(refused(text)),
            [_, _, _, _, count, ..] => *count,
            _ => return Err(io::Error::other("an empty packet")),
        };
        for _ in 0..=definitions {
            self.message()?;
        }
        let mut rows = 0;
        loop {
            match self.message()? {
                [length, 0, 0, _, 0xfe, ..] if *length < 9 => return Ok(rows),
                [_, _, _, _, 0xff, text @ ..] => return Err(refused(text)),
                _ => rows += 1,
            }
        }
    }

    /// The next message, its header included.
    fn message(&mut self) -> io::Result<&[u8]> {
        loop {
            let length = match (self.mysql, self.buffer.get(self.start..self.end).unwrap_or_default()) {
                (true, [a, b, c, _, ..]) => Some(4 + u32::from_le_bytes([*a, *b, *c, 0]) as usize),
                (false, [_, a, b, c, d, ..]) => Some(1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize),
                _ => None,
            };
            if let Some(length) = length.filter(|length| self.end - self.start >= *length) {
                let begun = self.start;
                self.start += length;
                return Ok(self.buffer.get(begun..self.start).unwrap_or_default());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(room),
            Stream::Tls(stream) => stream.read(room),
        }?;
        self.end += read;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn encrypt(&mut self, tls: &Arc<ClientConfig>) -> io::Result<()> {
        let Stream::Plain(stream) = &self.stream else { return Ok(()) };
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        self.stream = Stream::Tls(Box::new(StreamOwned::new(connection, stream.try_clone()?)));
        Ok(())
    }
}

fn refused(text: &[u8]) -> io::Error {
    io::Error::other(String::from_utf8_lossy(text).replace('\0', " "))
}
