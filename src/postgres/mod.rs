//! Sessions and backends of the PostgreSQL protocol.
//! Out: wire formats (`protocol::postgres`), plans (`sharding`), what to send at COMMIT (`transaction`).

use std::sync::Arc;

use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::pool::WorkerId;
use crate::sessions::Entry;

/// Serves one client until it leaves. `entry` is `None` when no more sessions are taken: the client is told so.
pub async fn serve(_mesh: Arc<Mesh>, _entry: Option<Entry>, _stream: ClientStream, _worker: WorkerId) {}
