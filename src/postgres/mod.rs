//! Sessions and backends of the PostgreSQL protocol.
//! Out: wire formats (`protocol::postgres`), plans (`sharding`), what to send at COMMIT (`transaction`).

pub mod backend;
mod execution;
pub mod front;
pub mod kept;
pub mod peers;
pub mod scopes;
mod session;
mod settings;
pub mod statements;

use std::sync::Arc;

use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::pool::WorkerId;
use crate::sessions::Entry;

pub use front::Front;

/// Serves one client until it leaves. `entry` is `None` when no more sessions are taken: the client is told so.
pub async fn serve(mesh: Arc<Mesh>, entry: Option<Entry>, stream: ClientStream, worker: WorkerId) {
    let front = Arc::clone(&mesh.postgres);
    session::run(mesh, front, entry, stream, worker).await;
}
