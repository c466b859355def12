//! Admin SQL by the MySQL protocol: opensrv-mysql, fed with one checked packet at a time.
//!
//! opensrv-mysql 0.7.0 must never see a raw socket: two packets in one read make it use freed memory, a wrong sequence number
//! makes it panic, and it answers OK to every command that it does not know. `one_packet` keeps all of that away from it;
//! `out` turns its refusal of a login into the one that clients expect; `shim` answers.

mod gate;
mod one_packet;
mod out;
mod shim;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use opensrv_mysql::{AsyncMysqlIntermediary, IntermediaryOptions};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use super::source::AdminSource;
use gate::Gate;
use one_packet::OnePacket;
use out::Out;
use shim::Shim;

/// Bytes gathered before they are written: opensrv-mysql writes once per row.
const WRITE_BUFFER: usize = 64 << 10;

/// Serves one operator until it leaves. `id` is the connection id that it is told.
///
/// # Errors
/// The connection broke, the client broke the protocol, was denied, or was silent for too long.
pub async fn serve<S>(stream: S, peer: SocketAddr, id: u32, source: Arc<dyn AdminSource>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let timeouts = source.config().timeouts.clone();
    let gate = Arc::new(Gate::default());
    let (read, write) = tokio::io::split(stream);
    let reader = OnePacket::new(BufReader::new(read), Arc::clone(&gate), timeouts.handshake, timeouts.session_idle);
    let writer = BufWriter::with_capacity(WRITE_BUFFER, Out::new(write, Arc::clone(&gate)));
    let shim = Shim::new(source, gate, peer, id)?;
    let options = IntermediaryOptions { process_use_statement_on_query: true, ..IntermediaryOptions::default() };
    AsyncMysqlIntermediary::run_with_options(shim, reader, writer, &options).await
}
