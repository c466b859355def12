//! Passes a server's answer to the client as it comes: packet headers are looked at, rows are not.
//! What an OK says about the session is learnt on the way. Out: choosing backends, our own answers.

use std::io;
use std::sync::Arc;

use super::client::Client;
use super::held::Held;
use super::place::Place;
use super::state::{Learnt, State};
use super::trouble::{Outcome, Trouble};
use super::wait::{Woke, wait};
use super::{Session, kill};
use crate::error_code::MeshError;
use crate::interrupt::{Halt, Reason};
use crate::mysql::backend::MySqlBackend;
use protocol::mysql::capability::{self, status};
use protocol::mysql::column::with_schema;
use protocol::mysql::packet::{HEADER, Header, put_packet, put_packet_with};
use protocol::mysql::reply::{ErrPacket, OkPacket, status_position};
use protocol::mysql::response::{Answer, Event, PreparedHead, Scanner, Step};

/// What an answer was.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The ERR that ended it.
    pub failed: Option<Box<Failure>>,
    /// Status flags of its last OK or EOF.
    pub status: Option<u16>,
    /// Sequence number after its last packet.
    pub next_sequence: u8,
    /// What its OKs said about the session's state.
    pub learnt: Learnt,
    /// Warnings of its last OK or EOF.
    pub warnings: u16,
    /// The last generated id, if one was reported.
    pub last_insert_id: u64,
    /// Rows that its last OK counts.
    pub affected_rows: u64,
    /// Its last result was rows.
    pub with_rows: bool,
    /// How many.
    pub rows: u64,
    /// Head of the answer to a PREPARE, as the server sent it.
    pub prepared: Option<PreparedHead>,
    /// A change of state waits for the next OK: this answer ended with an EOF.
    pub state_pending: bool,
}

impl Report {
    /// Whether rows wait to be fetched.
    pub(super) fn has_cursor(&self) -> bool {
        self.status.is_some_and(|flags| flags & status::CURSOR_EXISTS != 0)
    }
}

/// An ERR.
#[derive(Debug)]
pub(super) struct Failure {
    pub code: u16,
    pub sqlstate: [u8; 5],
    pub message: Box<[u8]>,
}

/// How an answer is passed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing {
    /// What is answered.
    pub answer: Answer,
    /// Where it stands in the exchange.
    pub place: Place,
    /// The statement id that the client is told in place of the server's.
    pub statement: Option<u32>,
    /// Whether the session is as its OKs say. Those of SET STATEMENT speak of variables that are back to what they were.
    pub learns: bool,
}

impl Passing {
    /// Of this kind, at this place.
    pub(super) fn of(answer: Answer, place: Place) -> Self {
        Self { answer, place, statement: None, learns: true }
    }
}

impl Session {
    /// Passes the answer that the backend at `index` is about to give. When this fails with anything but a server's own
    /// error, the backend is gone from `held`.
    /// The server numbers its packets from `first`.
    pub(super) async fn relay(&mut self, index: usize, passing: Passing, first: u8) -> Outcome<Report> {
        self.limit_answer();
        let capabilities = self.held.get(index).map_or(0, |held| held.lease.capabilities);
        let mut scanner = Scanner::new(passing.answer, capabilities);
        if passing.place.sequence != first {
            scanner = scanner.renumbered(passing.place.sequence);
        }
        let renaming = self.held.get(index).and_then(|held| self.renaming(held.shard));
        if renaming.is_some() {
            scanner = scanner.with_definitions();
        }
        let before = scanner.next_sequence();
        let relayed = self.relay_until(index, passing, &mut scanner, renaming).await;
        if let Err(fault) = &relayed {
            let after = scanner.next_sequence();
            let known = scanner.is_between_packets() && !(matches!(fault, Fault::Malformed(_)) && after != before);
            self.next = known.then_some(if after == before { passing.place.sequence } else { after });
        }
        match relayed {
            Ok(report) => {
                if let Some(held) = self.held.get_mut(index) {
                    held.status = report.status;
                }
                Ok(report)
            }
            Err(Fault::Backend(error) | Fault::Malformed(error)) => {
                let trouble = self.lose(index, &error);
                Err(match trouble {
                    // Behind a part of a packet there is no place for an error.
                    Trouble::Told(error) if self.next.is_none() => Trouble::Broken(error),
                    other => other,
                })
            }
            Err(Fault::Client(error)) => {
                self.kill_and_close(index);
                Err(Trouble::Client(error))
            }
            Err(Fault::Killed) => {
                self.kill_and_close(index);
                Err(Trouble::Interrupted(Reason::Session))
            }
            Err(Fault::OutOfOrder) => {
                self.kill_and_close(index);
                Err(Trouble::Broken(MeshError::OutOfOrder))
            }
        }
    }

    async fn relay_until(
        &mut self,
        index: usize,
        passing: Passing,
        scanner: &mut Scanner,
        renaming: Option<[Arc<[u8]>; 2]>,
    ) -> Result<Report, Fault> {
        let Self { client, held, state, entry, mesh, overdue, .. } = self;
        let missing = || Fault::Backend(io::ErrorKind::NotFound.into());
        let held: &mut Held = held.get_mut(index).ok_or_else(missing)?;
        let key = *held.lease.key();
        let backend: &mut MySqlBackend = &mut held.lease;
        let mut report = Report::default();
        let mut killed = false;
        loop {
            if pass_buffer(client, backend, state, scanner, &mut report, passing, renaming.as_ref()).await? {
                let numbers = [scanner.next_sequence(), scanner.next_server_sequence()];
                scanner.infile_sent(Box::pin(pass_file(client, backend, numbers)).await?);
            }
            if scanner.is_done() {
                report.next_sequence = scanner.next_sequence();
                report.rows = scanner.rows();
                if killed {
                    // The KILL may have come too late: asking for the status takes what it left behind.
                    report.status = None;
                }
                return Ok(report);
            }
            match wait(client, backend, &entry.interrupt, overdue).await {
                Woke::Backend(Ok(_)) => {}
                Woke::Backend(Err(error)) => return Err(Fault::Backend(error)),
                Woke::Client(Ok(count)) if count > 0 => {}
                Woke::Client(Ok(_)) => return Err(Fault::Client(io::ErrorKind::UnexpectedEof.into())),
                Woke::Client(Err(error)) => return Err(Fault::Client(error)),
                Woke::Halt(Halt::Query) | Woke::Late => {
                    entry.interrupt.clear_query();
                    overdue.lift();
                    killed = true;
                    let limit = mesh.config.load().timeouts.cancel;
                    let pools = std::sync::Arc::clone(&mesh.mysql.pools);
                    let killing = Box::pin(kill::kill(&pools, key, backend.start_kill(), true, limit));
                    match killing.await {
                        Ok(landed) => backend.kill_landed(&landed),
                        Err(error) => tracing::warn!(%error, "a statement could not be killed"),
                    }
                }
                Woke::Halt(Halt::Session) => return Err(Fault::Killed),
            }
        }
    }
}

enum Fault {
    /// The backend broke.
    Backend(io::Error),
    /// It sent what no server sends.
    Malformed(io::Error),
    Client(io::Error),
    /// The session shall end.
    Killed,
    /// Something else than the file that the server asked for: a client that could not read it and sent its next command.
    OutOfOrder,
}

/// Passes the packets of a file from the client to the backend, up to the empty one that ends it. The first has these numbers:
/// the client's, and the backend's, which differ behind another statement of one text. The client's number after the last.
async fn pass_file(client: &mut Client, backend: &mut MySqlBackend, numbers: [u8; 2]) -> Result<u8, Fault> {
    let [mut sequence, mut renumbered] = numbers;
    loop {
        let mut at = 0;
        let mut ended = false;
        while let Some(header) = client.input.get(at..).and_then(Header::read) {
            if header.sequence != sequence {
                return Err(Fault::OutOfOrder);
            }
            let end = at + HEADER + header.length;
            if end > client.input.len() {
                break;
            }
            if let Some(number) = client.input.get_mut(at + 3) {
                *number = renumbered;
            }
            at = end;
            sequence = sequence.wrapping_add(1);
            renumbered = renumbered.wrapping_add(1);
            if header.length == 0 {
                ended = true;
                break;
            }
        }
        let ready = client.input.get(..at).unwrap_or_default();
        backend.flush_with(ready).await.map_err(Fault::Backend)?;
        client.consume(at);
        if ended {
            return Ok(sequence);
        }
        match client.read_more().await {
            Ok(0) => return Err(Fault::Client(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(Fault::Client(error)),
        }
    }
}

/// Passes what is in the backend's buffer; true: the server asked for a file, and the client knows.
async fn pass_buffer(
    client: &mut Client,
    backend: &mut MySqlBackend,
    state: &mut State,
    scanner: &mut Scanner,
    report: &mut Report,
    passing: Passing,
    renaming: Option<&[Arc<[u8]>; 2]>,
) -> Result<bool, Fault> {
    let malformed = |error| Fault::Malformed(io::Error::other(error));
    let mut at = 0;
    let mut file_wanted = false;
    loop {
        let unseen = backend.input.get_mut(at..).unwrap_or_default();
        match scanner.next(unseen).map_err(malformed)? {
            Step::NeedMore | Step::Done => break,
            Step::Pass(count) => at += count,
            Step::Packet { length, event } => {
                let end = at + length;
                let capabilities = backend.capabilities;
                let Some(packet) = backend.input.get_mut(at..end) else { break };
                let last = scanner.is_done();
                if matches!(event, Event::Ok | Event::Eof) && !last {
                    client.result_ended();
                }
                let (size, first) = (packet.len(), packet.get(HEADER).copied().unwrap_or(0));
                let sequence = packet.get(3).copied().unwrap_or(0);
                if event == Event::Definition
                    && let Some([physical, logical]) = renaming
                    && let Some(renamed) = with_schema(packet.get(HEADER..).unwrap_or_default(), physical, logical)
                {
                    let before = backend.input.get(..at).unwrap_or_default();
                    client.output.extend_from_slice(before);
                    put_packet(&mut client.output, sequence, &renamed);
                    backend.consume(end);
                    at = 0;
                    continue;
                }
                if let Some(ok) = look(packet, event, capabilities, report, passing, last).map_err(malformed)? {
                    if passing.learns {
                        state.learn_status(ok.status);
                    }
                    if passing.learns && !ok.state.is_empty() {
                        note(state, report, &ok, &mut backend.memory);
                    }
                    if needs_new_layout(&ok, size, capabilities, client.capabilities) {
                        let changes = state.visible_changes(&ok);
                        let mut shown = OkPacket { state: &changes, ..ok };
                        if passing.place.more && last {
                            shown.status |= status::MORE_RESULTS;
                        }
                        let wanted = client.capabilities;
                        let mut bytes = Vec::new();
                        put_packet_with(&mut bytes, sequence, |out| shown.encode(out, first, wanted));
                        let before = backend.input.get(..at).unwrap_or_default();
                        client.output.extend_from_slice(before);
                        client.output.extend_from_slice(&bytes);
                        backend.consume(end);
                        at = 0;
                        continue;
                    }
                }
                at = end;
                if event == Event::Infile {
                    file_wanted = true;
                    break;
                }
            }
        }
    }
    if at > 0 || !client.output.is_empty() {
        let ready = backend.input.get(..at).unwrap_or_default();
        client.flush_with(ready).await.map_err(Fault::Client)?;
        backend.consume(at);
    }
    Ok(file_wanted)
}

/// Takes what a packet says, and changes in it what the client must see otherwise. An OK is handed back.
fn look<'a>(
    packet: &'a mut [u8],
    event: Event,
    capabilities: capability::Capabilities,
    report: &mut Report,
    passing: Passing,
    last: bool,
) -> Result<Option<OkPacket<'a>>, protocol::mysql::WireError> {
    let payload = packet.get_mut(HEADER..).unwrap_or_default();
    match event {
        Event::Err => {
            let err = ErrPacket::decode(payload)?;
            let failure = Failure { code: err.code, sqlstate: err.sqlstate, message: err.message.into() };
            report.failed = Some(Box::new(failure));
            report.status = None;
        }
        Event::Ok => {
            if passing.place.more && last {
                set_flag(payload, false, status::MORE_RESULTS, true);
            }
            let first = payload.first().copied().unwrap_or_default();
            let ok = OkPacket::decode(payload, capabilities)?;
            report.status = Some(ok.status);
            report.state_pending = false;
            report.warnings = ok.warnings;
            if first == 0 {
                (report.with_rows, report.affected_rows) = (false, ok.affected_rows);
            }
            if ok.last_insert_id != 0 {
                report.last_insert_id = ok.last_insert_id;
            }
            return Ok(Some(ok));
        }
        Event::Eof | Event::Separator if passing.answer != Answer::StatementPrepare => {
            let eof = protocol::mysql::reply::EofPacket::decode(payload)?;
            let flags = eof.status;
            report.status = Some(flags);
            report.warnings = eof.warnings;
            report.state_pending = flags & status::SESSION_STATE_CHANGED != 0;
            if report.state_pending {
                // The client is told of what it wants to know by an OK.
                set_flag(payload, true, status::SESSION_STATE_CHANGED, false);
            }
            if passing.place.more && (last || event == Event::Separator) {
                set_flag(payload, true, status::MORE_RESULTS, true);
            }
        }
        Event::Separator => set_flag(payload, true, status::SESSION_STATE_CHANGED, false),
        Event::Columns(_) => report.with_rows = true,
        Event::Prepared(head) => {
            report.prepared = Some(head);
            report.status = Some(0);
            if let (Some(id), Some(field)) = (passing.statement, payload.get_mut(1..5)) {
                field.copy_from_slice(&id.to_le_bytes());
            }
        }
        _ => {}
    }
    Ok(None)
}

/// Sets or clears a status flag in the payload of an OK or EOF.
fn set_flag(payload: &mut [u8], eof: bool, flag: u16, on: bool) {
    let Some(at) = status_position(payload, eof) else { return };
    for (byte, mask) in payload.iter_mut().skip(at).zip(flag.to_le_bytes()) {
        *byte = if on { *byte | mask } else { *byte & !mask };
    }
}

fn note(state: &mut State, report: &mut Report, ok: &OkPacket<'_>, memory: &mut crate::mysql::memory::Memory) {
    let learnt = state.learn(ok);
    memory.settings = std::sync::Arc::clone(&state.settings);
    for change in protocol::mysql::session_state::Changes::new(ok.state).flatten() {
        if let protocol::mysql::session_state::Change::Schema(name) = change {
            memory.schema = (!name.is_empty()).then(|| std::sync::Arc::from(name));
        }
    }
    let all = &mut report.learnt;
    all.hidden_change |= learnt.hidden_change;
    all.one_shot |= learnt.one_shot;
    all.collation_unknown |= learnt.collation_unknown;
    all.schema |= learnt.schema;
}

/// Whether an OK has to be written anew: it reports state, or the client reads what follows the fixed part otherwise.
fn needs_new_layout(
    ok: &OkPacket<'_>,
    length: usize,
    backend: capability::Capabilities,
    client: capability::Capabilities,
) -> bool {
    let differs = (backend ^ client) & capability::SESSION_TRACK != 0;
    !ok.state.is_empty()
        || ok.status & status::SESSION_STATE_CHANGED != 0
        || (differs && length > HEADER + 7 && has_tail(ok, length))
}

fn has_tail(ok: &OkPacket<'_>, length: usize) -> bool {
    let width = |n: u64| match n {
        0..=0xfa => 1,
        0xfb..=0xffff => 3,
        0x1_0000..=0xff_ffff => 4,
        _ => 9,
    };
    length > HEADER + 1 + width(ok.affected_rows) + width(ok.last_insert_id) + 4
}
