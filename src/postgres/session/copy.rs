//! COPY from the client: its data passes to the backend that waits for it.
//! Out: COPY to the client, which passes like any answer.

use protocol::postgres::pipeline::CopyState;

use super::Session;
use super::fault::Stop;
use super::relay::Goal;

impl Session {
    /// `CopyData`, `CopyDone`, `CopyFail`. Outside a COPY they are ignored, as a server does after an error in one.
    pub(super) async fn on_copy(&mut self, frame: &[u8]) -> Result<(), Stop> {
        let Some(shard) = self.batch.copy else { return Ok(()) };
        let Some(index) = self.held.iter().position(|held| held.shard == shard) else {
            self.batch.copy = None;
            return Ok(());
        };
        let backend = &mut *self.held[index].lease;
        let simple = !self.batch.begun;
        if backend.pipeline.copy() == CopyState::In {
            backend.output.extend_from_slice(frame);
            if frame.first() == Some(&b'd') {
                let sent = self.relieve(index).await;
                return self.copy_step(sent, simple);
            }
            backend.pipeline.copy_ended();
        }
        // The stream is over, or the server has broken it off.
        self.batch.copy = None;
        if !simple {
            // `Sync` follows in the extended protocol.
            return Ok(());
        }
        match self.relay(index, Goal::Settled, false).await {
            Ok(()) => {
                // Several statements in one Query: the next one may be a COPY too.
                if self.held[index].lease.pipeline.copy() == CopyState::In {
                    self.batch.copy = Some(shard);
                    return Ok(());
                }
                let done = self.after(index);
                self.copy_step(done, simple)
            }
            failed => self.copy_step(failed, simple),
        }
    }

    fn copy_step(&mut self, step: Result<(), super::fault::Fault>, simple: bool) -> Result<(), Stop> {
        let Err(fault) = step else { return Ok(()) };
        self.batch.copy = None;
        self.tell_fault(fault)?;
        self.fail_transaction();
        if simple {
            self.ready();
        } else {
            self.batch.failed = true;
        }
        Ok(())
    }
}
