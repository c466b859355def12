//! The listening sockets, and which kind of session each of them opens.
//! Out: what a session does.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Addresses, FRONTS};
use crate::config::{Listen, Protocol};
use crate::listen::client_stream::ClientStream;
use crate::listen::listener;
use crate::listen::workers::Workers;
use crate::mesh::Mesh;

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
        for protocol in FRONTS {
            let socket = match protocol {
                Protocol::MySql => &self.mysql,
                Protocol::Postgres => &self.postgres,
            };
            let Some(socket) = socket.as_ref().and_then(|socket| socket.try_clone().ok()) else { continue };
            let (mesh, workers) = (Arc::clone(mesh), Arc::clone(workers));
            run(socket, stop, move |stream, peer| open_session(&mesh, &workers, protocol, stream, peer));
        }
    }
}

fn run(
    socket: TcpListener,
    stop: &watch::Receiver<bool>,
    on_client: impl FnMut(TcpStream, SocketAddr) + Send + 'static,
) {
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = listener::accept(socket, stop, on_client).await {
            tracing::error!(%error, "a listener ended");
        }
    });
}

/// Puts a client's session on a worker. The protocols refuse a client above the limit in their own words.
fn open_session(mesh: &Arc<Mesh>, workers: &Workers, protocol: Protocol, stream: TcpStream, peer: SocketAddr) {
    let limit = mesh.config.load().limits.sessions_max;
    let entry = mesh.sessions.open(protocol, peer, limit);
    let mesh = Arc::clone(mesh);
    workers.spawn(move |worker| async move {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => ClientStream::Tcp(stream),
            Err(error) => return tracing::warn!(%error, "a client's socket could not be registered"),
        };
        match protocol {
            Protocol::MySql => crate::mysql::serve(mesh, entry, stream, worker).await,
            Protocol::Postgres => crate::postgres::serve(mesh, entry, stream, worker).await,
        }
    });
}
