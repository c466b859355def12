//! Binds an address and accepts clients, until told to stop.
//! Out: what is done with an accepted socket; limits on sessions.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Clients that wait in the kernel's queue while we are busy.
const BACKLOG: i32 = 4096;
/// After this idle time the kernel asks whether a peer still lives.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Wait after an accept that failed for lack of resources (file descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a listening socket.
///
/// # Errors
/// The port is in use, the address is not ours, or lacks permission; the message names the address.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(named)?;
    // Without it a restart has to wait for connections of its predecessor to leave TIME_WAIT.
    socket.set_reuse_address(true).map_err(named)?;
    socket.set_nonblocking(true).map_err(named)?;
    socket.bind(&address.into()).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)?;
    Ok(socket.into())
}

/// Accepts clients and gives each to `on_client`, until `stop` says true or its sender is gone.
/// Sockets come without delay (Nagle off), with keep-alive, as std sockets: a worker registers them with its own runtime.
///
/// # Errors
/// The listener cannot be registered with the runtime. Failed accepts are logged and do not end the loop.
pub async fn accept(
    listener: StdListener,
    mut stop: watch::Receiver<bool>,
    mut on_client: impl FnMut(StdStream, SocketAddr),
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = stop.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                continue;
            }
        };
        match accepted.and_then(|(stream, peer)| Ok((ready(stream)?, peer))) {
            Ok((stream, peer)) => on_client(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    Ok(())
}

fn ready(stream: tokio::net::TcpStream) -> io::Result<StdStream> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    socket2::SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(stream)
}
