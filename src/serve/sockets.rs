//! The listening sockets, and which kind of session each of them opens.
//! Out: what a session does.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Addresses, FRONTS};
use crate::admin::{self, AdminSource};
use crate::config::{Listen, Protocol};
use crate::http::Pages;
use crate::interrupt::Reason;
use crate::listen::client_stream::ClientStream;
use crate::listen::listener;
use crate::listen::workers::{Seat, Workers};
use crate::mesh::Mesh;
use crate::pool::WorkerId;
use crate::sessions::Entry;

/// Bound, not yet served.
pub(super) struct Sockets {
    mysql: Option<TcpListener>,
    postgres: Option<TcpListener>,
    admin_mysql: Option<TcpListener>,
    admin_postgres: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl Sockets {
    pub(super) fn bind(listen: &Listen) -> io::Result<Self> {
        let bind = |address: Option<SocketAddr>| address.map(listener::bind).transpose();
        Ok(Self {
            mysql: bind(listen.mysql)?,
            postgres: bind(listen.postgres)?,
            admin_mysql: bind(listen.admin_mysql)?,
            admin_postgres: bind(listen.admin_postgres)?,
            http: bind(listen.http)?,
        })
    }

    pub(super) fn addresses(&self) -> Addresses {
        let address = |socket: &Option<TcpListener>| socket.as_ref().and_then(|socket| socket.local_addr().ok());
        Addresses {
            mysql: address(&self.mysql),
            postgres: address(&self.postgres),
            admin_mysql: address(&self.admin_mysql),
            admin_postgres: address(&self.admin_postgres),
            http: address(&self.http),
        }
    }

    pub(super) fn serve(self, mesh: &Arc<Mesh>, workers: &Arc<Workers>, stop: &watch::Receiver<bool>) {
        for (number, protocol) in FRONTS.into_iter().enumerate() {
            let socket = match protocol {
                Protocol::MySql => &self.mysql,
                Protocol::Postgres => &self.postgres,
            };
            let Some(socket) = socket.as_ref().and_then(|socket| socket.try_clone().ok()) else { continue };
            // A worker accepts, not the main thread: most sessions then need no second thread to begin.
            let (mesh, others, stop) = (Arc::clone(mesh), Arc::downgrade(workers), stop.clone());
            workers.spawn_on(WorkerId(u16::try_from(number).unwrap_or(0)), move |own| {
                accept(socket, stop, move |stream, peer| open_session(&mesh, &others, own, protocol, stream, peer))
            });
        }
        if let Some(socket) = self.admin_mysql {
            let mut open = AdminSessions::new(mesh);
            run(socket, stop, move |stream, peer| open.serve(Protocol::MySql, stream, peer));
        }
        if let Some(socket) = self.admin_postgres {
            let mut open = AdminSessions::new(mesh);
            run(socket, stop, move |stream, peer| open.serve(Protocol::Postgres, stream, peer));
        }
        if let Some(socket) = self.http {
            let pages = Arc::new(Pages::new(Arc::clone(mesh) as Arc<dyn AdminSource>, Arc::clone(&mesh.metrics)));
            run(socket, stop, move |stream, _| {
                let pages = Arc::clone(&pages);
                in_background("http", async move { pages.serve(stream).await });
            });
        }
    }
}

/// The operators' sessions of one address. They run beside the accept loops, not on the workers: an operator gets an answer
/// also while the workers are busy.
struct AdminSessions {
    mesh: Arc<Mesh>,
    open: Arc<AtomicUsize>,
    last_id: u32,
}

impl AdminSessions {
    fn new(mesh: &Arc<Mesh>) -> Self {
        Self { mesh: Arc::clone(mesh), open: Arc::default(), last_id: 0 }
    }

    fn serve(&mut self, protocol: Protocol, stream: TcpStream, peer: SocketAddr) {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let (id, limit) = (self.last_id, self.mesh.config.load().limits.admin_sessions_max);
        let counted = Counted(Arc::clone(&self.open));
        if self.open.fetch_add(1, Ordering::Relaxed) >= limit {
            // Dropping the stream closes it: an operator's client says "lost connection", and the log says why.
            tracing::warn!(%peer, limit, "an admin session above limits.admin_sessions_max was refused");
            return drop(counted);
        }
        let source = Arc::clone(&self.mesh) as Arc<dyn AdminSource>;
        in_background("admin", async move {
            let _counted = counted;
            match protocol {
                Protocol::MySql => admin::mysql::serve(stream, peer, id, source).await,
                Protocol::Postgres => admin::postgres::serve(stream, peer, id, source).await,
            }
        });
    }
}

/// Counts a session until it ends, however it ends.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection on the accepting runtime.
fn in_background(what: &'static str, served: impl Future<Output = io::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(what, %error, "a connection ended");
        }
    });
}

fn run(
    socket: TcpListener,
    stop: &watch::Receiver<bool>,
    on_client: impl FnMut(TcpStream, SocketAddr) + Send + 'static,
) {
    tokio::spawn(accept(socket, stop.clone(), on_client));
}

async fn accept(socket: TcpListener, stop: watch::Receiver<bool>, on_client: impl FnMut(TcpStream, SocketAddr)) {
    if let Err(error) = listener::accept(socket, stop, on_client).await {
        tracing::error!(%error, "a listener ended");
    }
}

/// Puts a client's session on a worker: on `own`, which has accepted it, unless another has fewer sessions. The protocols
/// refuse a client above the limit in their own words.
fn open_session(
    mesh: &Arc<Mesh>,
    workers: &Weak<Workers>,
    own: WorkerId,
    protocol: Protocol,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Without workers the process is about to end.
    let Some(workers) = workers.upgrade() else { return };
    let limit = mesh.config.load().limits.sessions_max;
    let entry = mesh.sessions.open(protocol, peer, limit);
    // Whoever stops the process tells the sessions that it sees: this one may have come too late for that.
    if let Some(entry) = entry.as_ref().filter(|_| *mesh.stop.borrow()) {
        entry.interrupt.raise(Reason::Drain);
    }
    let (mesh, seat) = (Arc::clone(mesh), workers.seat(own));
    if seat.worker() == own {
        tokio::spawn(served(mesh, entry, protocol, stream, seat));
        return;
    }
    match stream.into_std() {
        Ok(stream) => workers.spawn_on(seat.worker(), move |_| async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => served(mesh, entry, protocol, stream, seat).await,
                Err(error) => tracing::warn!(%error, "a client's socket could not be registered"),
            }
        }),
        Err(error) => tracing::warn!(%error, "a client's socket could not be given to another worker"),
    }
}

/// A session. Boxed by itself, so that it takes the room of its own protocol's.
fn served(
    mesh: Arc<Mesh>,
    entry: Option<Entry>,
    protocol: Protocol,
    stream: TcpStream,
    seat: Seat,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let stream = ClientStream::Tcp(stream);
    match protocol {
        Protocol::MySql => Box::pin(async move { crate::mysql::serve(mesh, entry, stream, seat.worker()).await }),
        Protocol::Postgres => Box::pin(async move { crate::postgres::serve(mesh, entry, stream, seat.worker()).await }),
    }
}
