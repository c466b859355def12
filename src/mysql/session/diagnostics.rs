//! SHOW WARNINGS on shared backends: what a statement left in the server's diagnostics is read before its backend goes
//! back to the pool, so that it is there when the client asks, and nobody else's is ever shown.
//! Out: GET DIAGNOSTICS and the counters, which need the backend itself and are refused without it.

use protocol::mysql::packet::put_packet;
use protocol::mysql::response::Answer;
use sharding::lexer::{Flags, ScannedStatement, StatementKind};

use super::client::Place;
use super::commands::query_packet;
use super::query::Done;
use super::relay::{Passing, Report};
use super::single::{Facts, Outgoing};
use super::trouble::Outcome;
use super::{MeshError, Session};

/// More than servers keep (max_error_count messages of 512 bytes, by default 64).
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What a statement asks of the diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// SHOW WARNINGS, without LIMIT.
    Warnings,
    /// SHOW ERRORS, without LIMIT.
    Errors,
    /// Anything else that reads them.
    Other,
}

fn asks(sql: &[u8], scanned: &ScannedStatement) -> Asks {
    let counts = |name: &[u8]| sql.windows(name.len()).any(|word| word.eq_ignore_ascii_case(name));
    match scanned.kind {
        StatementKind::Show => {
            let text = scanned.span.of(sql).to_ascii_lowercase();
            let mut words = text.split(|b| b.is_ascii_whitespace() || *b == b'(').filter(|word| !word.is_empty());
            let (_, second, third) = (words.next(), words.next(), words.next());
            match (second, third) {
                (Some(b"warnings"), None) => Asks::Warnings,
                (Some(b"errors"), None) => Asks::Errors,
                (Some(b"warnings" | b"errors" | b"count"), _) => Asks::Other,
                _ => Asks::Nothing,
            }
        }
        _ if scanned.flags.has(Flags::SYSTEM_VARIABLE) && (counts(b"warning_count") || counts(b"error_count")) => {
            Asks::Other
        }
        StatementKind::Other if counts(b"diagnostics") => Asks::Other,
        _ => Asks::Nothing,
    }
}

impl Session {
    /// Answers a statement about the diagnostics of the one before, if its backend is gone; `None`: run it as any other.
    pub(super) async fn diagnose(
        &mut self,
        sql: &[u8],
        scanned: &ScannedStatement,
        place: Place,
    ) -> Outcome<Option<Done>> {
        let asked = asks(sql, scanned);
        if asked == Asks::Nothing {
            self.diagnostics = None;
            return Ok(None);
        }
        if !self.held.is_empty() {
            return Ok(None);
        }
        let empty: &[u8] = match (asked, &self.diagnostics) {
            (Asks::Warnings, Some(packets)) => {
                let mut sequence = place.sequence;
                for packet in packets {
                    sequence = put_packet(&mut self.client.output, sequence, packet);
                }
                return Ok(Some(Done { sequence, failed: false }));
            }
            (Asks::Warnings, None) => b"SHOW WARNINGS LIMIT 0",
            (Asks::Errors, None) => b"SHOW ERRORS LIMIT 0",
            _ => {
                let text = "reading the diagnostics of a statement outside of transactions, but by SHOW WARNINGS";
                return Err(MeshError::Unsupported(text.to_owned()).into());
            }
        };
        let shard = self.any_shard();
        let passing = Passing { answer: Answer::Query, place, statement: None };
        let outgoing = Outgoing::Built(query_packet(empty));
        let report = self.run_single(shard, None, outgoing, passing, &Facts::NOTHING).await?;
        Ok(Some(Done::of(&report)))
    }

    /// Reads what a statement left in the diagnostics of a backend that is about to be given back.
    pub(super) async fn keep_diagnostics(&mut self, index: usize, report: &Report) -> Outcome<()> {
        if report.failed.is_none() && report.warnings == 0 {
            return Ok(());
        }
        let Some(held) = self.held.get_mut(index) else { return Ok(()) };
        let stays = !held.pins.is_empty() || self.transaction.branches().iter().any(|b| b.shard == held.shard);
        if stays {
            return Ok(());
        }
        held.lease.put_query(b"SHOW WARNINGS");
        let (mut packets, mut bytes) = (Vec::new(), 0);
        let read = self
            .own_packets(index, Answer::Query, |_, payload| {
                bytes += payload.len();
                if bytes <= KEPT_BYTES_MAX {
                    packets.push(payload.to_vec());
                }
            })
            .await;
        if let Err(error) = read {
            return Err(self.lose(index, &error));
        }
        self.diagnostics = (bytes <= KEPT_BYTES_MAX).then_some(packets);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharding::lexer::{Dialect, FingerprintKey, Scan};

    fn of(sql: &str) -> Asks {
        let mut scan = Scan::new();
        scan.scan(sql.as_bytes(), Dialect::MYSQL, &FingerprintKey::from_bytes([1; 16])).expect("valid");
        asks(sql.as_bytes(), scan.statements().first().expect("one"))
    }

    #[test]
    fn what_reads_diagnostics_is_recognised() {
        assert_eq!(of("SHOW WARNINGS"), Asks::Warnings);
        assert_eq!(of("/* x */ show  errors ;"), Asks::Errors);
        assert_eq!(of("SHOW WARNINGS LIMIT 1"), Asks::Other);
        assert_eq!(of("SHOW COUNT(*) WARNINGS"), Asks::Other);
        assert_eq!(of("SELECT @@warning_count"), Asks::Other);
        assert_eq!(of("SHOW TABLES"), Asks::Nothing);
        assert_eq!(of("SELECT 1"), Asks::Nothing);
    }
}
