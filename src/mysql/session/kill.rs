//! Killing what runs on a server, from a connection outside the pool's cap.
//! Out: deciding when.

use std::time::Duration;

use protocol::mysql::response::{Answer, Event};
use tokio::time::{Instant, timeout_at};

use super::held::error_text;
use crate::mysql::backend::{Kill, Landed};
use crate::mysql::connect::{BackendKey, MySqlPools};

/// The server does not know the connection (any more): there is nothing left to kill.
const NO_SUCH_THREAD: u16 = 1094;

/// Kills a connection on the key's server, or only its statement, and waits for the server's answer.
///
/// # Errors
/// A text for the log: it is not known whether and when the kill hits.
pub async fn kill(
    pools: &MySqlPools,
    key: BackendKey,
    kill: Kill,
    query: bool,
    limit: Duration,
) -> Result<Landed, String> {
    let deadline = Instant::now() + limit;
    // Capabilities do not matter to a KILL; the schema may be gone.
    let key = BackendKey { capabilities: 0, in_schema: false, ..key };
    let mut killer = pools.reserved(&key, deadline).await.map_err(|error| error.to_string())?;
    let what = if query { "QUERY" } else { "CONNECTION" };
    killer.put_query(format!("KILL {what} {}", kill.connection_id).as_bytes());
    let mut refused = None;
    let work = async {
        killer.flush().await?;
        killer
            .read_answer(Answer::Query, |event, payload| {
                if event == Event::Err && payload.get(1..3) != Some(&NO_SUCH_THREAD.to_le_bytes()) {
                    refused = Some(error_text(payload));
                }
            })
            .await
    };
    match timeout_at(deadline, work).await {
        Ok(Ok(_)) => refused.map_or_else(|| Ok(kill.landed()), Err),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the server did not answer in time".to_owned()),
    }
}
