//! Binds an address and accepts clients, until told to stop.
//! Out: what is done with an accepted socket; limits on sessions.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
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
    // Those that are accepted inherit both, which saves three system calls each.
    socket.set_tcp_nodelay(true).map_err(named)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE)).map_err(named)?;
    socket.bind(&address.into()).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)?;
    Ok(socket.into())
}

/// Accepts clients and gives each to `on_client`, until `stop` says true or its sender is gone.
/// Sockets come without delay (Nagle off), with keep-alive, registered with the runtime that this runs on.
///
/// # Errors
/// The listener cannot be registered with the runtime. Failed accepts are logged and do not end the loop.
pub async fn accept(
    listener: StdListener,
    mut stop: watch::Receiver<bool>,
    mut on_client: impl FnMut(TcpStream, SocketAddr),
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
        match accepted {
            Ok((stream, peer)) => on_client(stream, peer),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn clients_come_without_delay_and_with_keepalive() {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let (seen, mut clients) = tokio::sync::mpsc::unbounded_channel();
        let accepting = tokio::spawn(accept(listener, stopped, move |stream, peer| drop(seen.send((stream, peer)))));
        let client = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let (stream, peer) = clients.recv().await.expect("a client");
        assert_eq!(peer, client.local_addr().expect("an address"));
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().expect("an option") && socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_keepalive_time().expect("an option"), KEEPALIVE);
        stop.send(true).expect("it listens for that");
        accepting.await.expect("no panic").expect("a good end");
    }
}
