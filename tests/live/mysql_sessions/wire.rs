//! A MySQL client that is in control of every packet, plain or by TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use protocol::mysql::authentication::{LoginStep, ServerLogin};
use protocol::mysql::capability::{self as c, Capabilities};
use protocol::mysql::greeting::Greeting;
use protocol::mysql::login::Login;
use protocol::mysql::packet::{Header, Whole, put_packet};
use protocol::mysql::reply::ErrPacket;
use protocol::mysql::response::{Answer, Scanner, Step};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const PATIENCE: Duration = Duration::from_secs(30);
/// What this client can do.
pub const CAPABILITIES: Capabilities = c::LONG_PASSWORD
    | c::PROTOCOL_41
    | c::TRANSACTIONS
    | c::SECURE_CONNECTION
    | c::MULTI_RESULTS
    | c::PS_MULTI_RESULTS
    | c::PLUGIN_AUTH
    | c::DEPRECATE_EOF
    | c::LOCAL_FILES;

/// A method that dbmesh does not know: it switches to one that both know.
pub const UNKNOWN: &str = "dialog";

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub struct Wire {
    stream: Box<dyn Duplex>,
    input: BytesMut,
    pub greeting: Greeting,
    /// Sequence number of the next packet, either way.
    pub sequence: u8,
    /// That of the last packet that came.
    came: u8,
    capabilities: Capabilities,
    /// What was asked and sent in the course of the login.
    pub steps: Vec<Vec<u8>>,
}

impl Wire {
    /// Connects and reads the greeting.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let nothing = Greeting {
            server_version: Vec::new(),
            connection_id: 0,
            scramble: [0; 20],
            capabilities: 0,
            collation: 0,
            status: 0,
            plugin: Vec::new(),
        };
        let (input, steps) = (BytesMut::new(), Vec::new());
        let mut wire = Self {
            stream: Box::new(stream),
            input,
            greeting: nothing,
            sequence: 0,
            came: 0,
            capabilities: CAPABILITIES,
            steps,
        };
        let greeting = wire.packet().await.expect("a greeting");
        wire.greeting = Greeting::decode(&greeting).expect("a greeting");
        wire
    }

    /// Says at the login that it can do this too.
    pub fn offer(&mut self, capabilities: Capabilities) {
        self.capabilities |= capabilities;
    }

    /// Says at the login what MariaDB's clients say.
    pub fn into_mariadb(mut self) -> Self {
        self.capabilities = self.capabilities & !c::LONG_PASSWORD | c::MARIADB_OFFERED;
        self
    }

    /// Asks for TLS and does the handshake.
    pub async fn into_tls(mut self, root: CertificateDer<'static>) -> Self {
        assert_ne!(self.greeting.capabilities & c::SSL, 0, "TLS is offered");
        self.capabilities |= c::SSL;
        let mut request = Vec::new();
        request.extend_from_slice(&self.capabilities.to_le_bytes()[..4]);
        request.extend_from_slice(&(1_u32 << 24).to_le_bytes());
        request.push(45);
        request.extend_from_slice(&[0; 23]);
        self.send(&request).await;
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, self.stream).await.expect("a TLS handshake");
        Self { stream: Box::new(stream), ..self }
    }

    /// Logs `app` in, offering a proof by this method; the error is code and text.
    pub async fn log_in(&mut self, method: &str, password: &str, database: &str) -> Result<(), (u16, String)> {
        self.log_in_as("app", method, password, database).await
    }

    /// As [`Self::log_in`], for any user.
    pub async fn log_in_as(
        &mut self,
        user: &str,
        method: &str,
        password: &str,
        database: &str,
    ) -> Result<(), (u16, String)> {
        let secure = self.capabilities & c::SSL != 0;
        let mut exchange = ServerLogin::new(password.as_bytes(), method.as_bytes(), self.greeting.scramble, secure);
        let (mut plugin, mut proof) = exchange.first_proof();
        if method == UNKNOWN {
            (plugin, proof) = (UNKNOWN.as_bytes().to_vec(), b"whatever it is".to_vec());
        }
        let login = Login {
            capabilities: self.capabilities | c::CONNECT_WITH_DB,
            packet_max: 1 << 24,
            collation: 45,
            user: user.as_bytes().to_vec(),
            proof,
            database: Some(database.as_bytes().to_vec()),
            plugin,
            attributes: Vec::new(),
        };
        let mut payload = Vec::new();
        login.encode(&mut payload);
        self.send(&payload).await;
        loop {
            let packet = self.packet().await.expect("an answer to the login");
            self.steps.push(packet.clone());
            match exchange.on_packet(&packet).expect("a login that makes sense") {
                LoginStep::Done => return Ok(()),
                LoginStep::Wait => {}
                LoginStep::Refused => return Err(error(&packet).expect("an error")),
                LoginStep::Send(bytes) => self.send(&bytes).await,
            }
        }
    }

    /// A session of `app` on this database.
    pub async fn session(address: SocketAddr, database: &str) -> Self {
        let mut wire = Self::connect(address).await;
        wire.log_in("mysql_native_password", "app", database).await.expect("a login");
        wire
    }

    /// Sends a command.
    pub async fn command(&mut self, code: u8, body: &[u8]) {
        self.sequence = 0;
        self.send(&[&[code], body].concat()).await;
    }

    /// Sends the next packet of an exchange.
    pub async fn send(&mut self, payload: &[u8]) {
        let mut out = Vec::new();
        self.sequence = put_packet(&mut out, self.sequence, payload);
        timeout(PATIENCE, self.stream.write_all(&out)).await.expect("no patience left").expect("a write");
        timeout(PATIENCE, self.stream.flush()).await.expect("no patience left").expect("a write");
    }

    /// The next packet; `None` at the end.
    pub async fn packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(header) = Header::read(&self.input)
                && let Some(whole) = Whole::find(&self.input, header.sequence, 1 << 30).expect("packets in order")
            {
                let payload = whole.payload(&self.input).into_owned();
                self.input.advance(whole.wire_length);
                self.came = header.sequence;
                self.sequence = whole.last_sequence.wrapping_add(1);
                return Some(payload);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await.expect("an answer in time");
            if !matches!(read, Ok(count) if count > 0) {
                return None;
            }
        }
    }

    /// Says at the login that it cannot do this.
    pub fn without(&mut self, capabilities: Capabilities) {
        self.capabilities &= !capabilities;
    }

    /// Runs a command and takes its whole answer, as many results as it has.
    pub async fn whole(&mut self, code: u8, body: &[u8], answer: Answer) -> Vec<Vec<u8>> {
        self.command(code, body).await;
        let mut scanner = Scanner::new(answer, self.capabilities);
        let mut packets = Vec::new();
        loop {
            match scanner.next_packet(&mut self.input, 1 << 30).expect("an answer that makes sense") {
                Step::Packet { length, .. } => {
                    assert_eq!(self.input[3], u8::try_from(packets.len() + 1).expect("few"), "packets in order");
                    packets.push(self.input[4..length].to_vec());
                    self.input.advance(length);
                }
                Step::Done => return packets,
                Step::NeedMore | Step::Pass(_) => {
                    let read =
                        timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await.expect("an answer in time");
                    assert!(matches!(read, Ok(count) if count > 0), "the end after {packets:?}");
                }
            }
        }
    }

    /// Runs a command and takes all packets of its answer, up to an OK, ERR or the end of rows.
    pub async fn ask(&mut self, code: u8, body: &[u8]) -> Vec<Vec<u8>> {
        self.command(code, body).await;
        let mut packets = Vec::new();
        loop {
            let expected = self.sequence;
            let packet = self.packet().await.expect("an answer");
            assert_eq!(self.came, expected, "packets in order");
            let first = packet.first().copied();
            packets.push(packet);
            let end = match first {
                Some(0xff) => true,
                Some(0x00) => packets.len() == 1,
                Some(0xfe) => packets.last().is_some_and(|packet| packet.len() < 0xff_ffff),
                _ => false,
            };
            if end {
                return packets;
            }
        }
    }
}

/// Code and text of an ERR.
pub fn error(packet: &[u8]) -> Option<(u16, String)> {
    (packet.first() == Some(&0xff)).then(|| {
        let err = ErrPacket::decode(packet).expect("an ERR");
        (err.code, String::from_utf8_lossy(err.message).into_owned())
    })
}
