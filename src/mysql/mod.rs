//! Sessions and backends of the MySQL protocol.
//! Out: wire formats (`protocol::mysql`), plans (`sharding`), what to send at COMMIT (`transaction`).

pub mod backend;
pub mod connect;
pub mod execution;
pub mod front;
pub mod memory;
pub mod passwords;
mod session;

use std::sync::Arc;

use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::pool::WorkerId;
use crate::sessions::Entry;

pub use front::Front;

/// Serves one client until it leaves. `entry` is `None` when no more sessions are taken: the client is told so.
pub async fn serve(mesh: Arc<Mesh>, entry: Option<Entry>, stream: ClientStream, worker: WorkerId) {
    session::serve(mesh, entry, stream, worker).await;
}
