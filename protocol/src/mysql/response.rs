//! The shape of a server's answer: where it ends and what its small packets are, known from packet headers.
//! Rows and column definitions are stepped over even while they are incomplete: no row is ever held.
//! Out: decoding rows, deciding what to do with a status.

use super::capability::{self, Capabilities, status};
use super::packet::{HEADER, Header, PAYLOAD_MAX};
use super::reply::{EofPacket, OkPacket};
use super::wire::{Reader, WireError};

/// Which command is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// COM_QUERY.
    Query,
    /// COM_STMT_EXECUTE.
    Execute,
    /// COM_STMT_PREPARE.
    StatementPrepare,
    /// COM_STMT_FETCH.
    Fetch,
    /// COM_FIELD_LIST.
    FieldList,
    /// COM_STATISTICS: a single packet of text.
    Statistics,
    /// Commands answered by OK, EOF or ERR.
    Simple,
}

/// What a packet that must be looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// OK that answers a statement, or (first byte 0xfe) ends rows.
    Ok,
    /// EOF that ends rows or answers a command.
    Eof,
    /// EOF between column definitions and rows, or inside an answer to a PREPARE.
    Separator,
    /// ERR: the answer ends here.
    Err,
    /// Number of columns of a result set.
    Columns(u64),
    /// First packet of the answer to COM_STMT_PREPARE.
    Prepared(PreparedHead),
    /// The server asks for a file (LOCAL INFILE): it goes on when the client has sent it.
    Infile,
    /// Text of COM_STATISTICS.
    Text,
    /// A column definition; reported by [`Scanner::next_packet`], and [`Scanner::with_definitions`].
    Definition,
    /// A row; reported by [`Scanner::next_packet`] only.
    Row,
}

/// What a prepared statement is, as the first packet of the answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreparedHead {
    /// The server's statement id.
    pub statement: u32,
    /// Columns of its result.
    pub columns: u16,
    /// Parameters.
    pub parameters: u16,
    /// Warnings.
    pub warnings: u16,
}

impl PreparedHead {
    /// Reads a payload.
    ///
    /// # Errors
    /// A field beyond the end.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.u8()?;
        let statement = reader.u32()?;
        let columns = reader.u16()?;
        let parameters = reader.u16()?;
        let warnings = if reader.is_empty() {
            0
        } else {
            reader.u8()?;
            reader.u16()?
        };
        Ok(Self { statement, columns, parameters, warnings })
    }

    /// Appends a payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(0);
        out.extend_from_slice(&self.statement.to_le_bytes());
        out.extend_from_slice(&self.columns.to_le_bytes());
        out.extend_from_slice(&self.parameters.to_le_bytes());
        out.push(0);
        out.extend_from_slice(&self.warnings.to_le_bytes());
    }
}

/// Result of a look at the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    NeedMore,
    /// So many bytes from the start of the buffer go on as they are.
    Pass(usize),
    /// A whole packet of so many bytes (header included) stands at the start of the buffer.
    Packet {
        /// Its length with the header.
        length: usize,
        /// What it is.
        event: Event,
    },
    /// The answer is complete; nothing of the buffer belongs to it.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    First,
    Definitions { left: u64 },
    Separator,
    Rows,
    PreparedParameters { left: u16, columns: u16 },
    PreparedSeparator { columns: u16 },
    PreparedColumns { left: u16 },
    PreparedEnd,
    FieldList,
    Infile,
    Done,
}

/// Follows one answer through the bytes of a backend.
#[derive(Debug, Clone)]
pub struct Scanner {
    answer: Answer,
    deprecate_eof: bool,
    capabilities: Capabilities,
    phase: Phase,
    skip: usize,
    continues: bool,
    renumber: Option<u8>,
    next_sequence: u8,
    status: Option<u16>,
    failed: bool,
    rows: u64,
    definitions: bool,
}

impl Scanner {
    /// For an answer to this kind of command on a backend with these capabilities.
    #[must_use]
    pub fn new(answer: Answer, capabilities: Capabilities) -> Self {
        let phase = match answer {
            Answer::Fetch => Phase::Rows,
            Answer::FieldList => Phase::FieldList,
            _ => Phase::First,
        };
        Self {
            answer,
            deprecate_eof: capabilities & capability::DEPRECATE_EOF != 0,
            capabilities,
            phase,
            skip: 0,
            continues: false,
            renumber: None,
            next_sequence: 1,
            status: None,
            failed: false,
            rows: 0,
            definitions: false,
        }
    }

    /// Reports column definitions from [`Scanner::next`] too.
    #[must_use]
    pub fn with_definitions(mut self) -> Self {
        self.definitions = true;
        self
    }

    /// Rewrites sequence numbers in place, counting from `first`: for an answer that goes on where another ended.
    #[must_use]
    pub fn renumbered(mut self, first: u8) -> Self {
        self.renumber = Some(first);
        self
    }

    /// Sequence number of the packet after the last one seen, as the client counts.
    #[must_use]
    pub fn next_sequence(&self) -> u8 {
        self.renumber.unwrap_or(self.next_sequence)
    }

    /// Sequence number of the packet after the last one seen, as the server counts.
    #[must_use]
    pub fn next_server_sequence(&self) -> u8 {
        self.next_sequence
    }

    /// Goes on after a file was sent; the client's next packet has this sequence number.
    pub fn infile_sent(&mut self, next: u8) {
        if self.phase == Phase::Infile {
            self.phase = Phase::First;
            self.renumber = self.renumber.map(|_| next);
        }
    }

    /// Status flags of the last OK or EOF seen; `None` before the first and after an ERR.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Which command is answered.
    #[must_use]
    pub fn answers(&self) -> Answer {
        self.answer
    }

    /// Whether the answer ended with an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the bytes looked at so far end with a packet.
    #[must_use]
    pub fn is_between_packets(&self) -> bool {
        self.skip == 0 && !self.continues
    }

    /// Rows of the last result set.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the answer is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.skip == 0 && !self.continues
    }

    /// Looks at the read buffer. Rows and definitions are passed in one piece as far as they are there; a
    /// [`Step::Packet`] is for the caller to look at, or to pass like the rest.
    ///
    /// # Errors
    /// Bytes that no server sends.
    pub fn next(&mut self, buffer: &mut [u8]) -> Result<Step, WireError> {
        let mut at = 0;
        loop {
            if self.skip > 0 {
                let taken = self.skip.min(buffer.len() - at);
                at += taken;
                self.skip -= taken;
            }
            let head = if self.skip > 0 || self.is_done() { None } else { buffer.get(at..).and_then(Header::read) };
            let Some(header) = head else {
                return Ok(match at {
                    0 if self.is_done() => Step::Done,
                    0 => Step::NeedMore,
                    passed => Step::Pass(passed),
                });
            };
            if self.continues {
                self.consume_header(buffer, at, header);
                at += HEADER;
                self.skip = header.length;
                continue;
            }
            let first = buffer.get(at + HEADER).copied();
            if header.length > 0 && first.is_none() {
                return Ok(if at == 0 { Step::NeedMore } else { Step::Pass(at) });
            }
            let first = if header.length == 0 { None } else { first };
            let reported = self.definitions && self.is_at_definition(header.length, first);
            if !reported && self.stepped_over(header.length, first)? {
                self.consume_header(buffer, at, header);
                at += HEADER;
                self.skip = header.length;
                self.count_definition();
                continue;
            }
            if at > 0 {
                return Ok(Step::Pass(at));
            }
            return if reported { self.definition(buffer, header) } else { self.whole(buffer, header) };
        }
    }

    fn is_at_definition(&self, length: usize, first: Option<u8>) -> bool {
        let phase = match self.phase {
            Phase::Definitions { .. } | Phase::PreparedParameters { .. } | Phase::PreparedColumns { .. } => true,
            // What ends the list is shorter than any definition.
            Phase::FieldList => first != Some(0xfe),
            _ => false,
        };
        phase && first != Some(0xff) && (1..PAYLOAD_MAX).contains(&length)
    }

    fn definition(&mut self, buffer: &mut [u8], header: Header) -> Result<Step, WireError> {
        let length = HEADER + header.length;
        if buffer.len() < length {
            return Ok(Step::NeedMore);
        }
        self.consume_header(buffer, 0, header);
        self.count_definition();
        Ok(Step::Packet { length, event: Event::Definition })
    }

    /// Like [`Scanner::next`], but packet by packet: every row and definition is reported, and has to be whole.
    ///
    /// # Errors
    /// Bytes that no server sends; a logical packet of more than `limit` bytes.
    pub fn next_packet(&mut self, buffer: &mut [u8], limit: usize) -> Result<Step, WireError> {
        if self.is_done() {
            return Ok(Step::Done);
        }
        let Some(header) = Header::read(buffer) else {
            return Ok(Step::NeedMore);
        };
        let first = buffer.get(HEADER).copied();
        if header.length > 0 && first.is_none() {
            return Ok(Step::NeedMore);
        }
        let first = if header.length == 0 { None } else { first };
        if !self.stepped_over(header.length, first)? {
            return self.whole(buffer, header);
        }
        let Some(whole) = super::packet::Whole::find(buffer, header.sequence, limit)? else {
            return Ok(Step::NeedMore);
        };
        let event = if self.phase == Phase::Rows { Event::Row } else { Event::Definition };
        self.next_sequence = whole.last_sequence.wrapping_add(1);
        self.count_definition();
        Ok(Step::Packet { length: whole.wire_length, event })
    }

    fn consume_header(&mut self, buffer: &mut [u8], at: usize, header: Header) {
        self.continues = header.length == PAYLOAD_MAX;
        self.next_sequence = header.sequence.wrapping_add(1);
        if let Some(sequence) = self.renumber {
            if let Some(byte) = buffer.get_mut(at + 3) {
                *byte = sequence;
            }
            self.renumber = Some(sequence.wrapping_add(1));
        }
    }

    /// Whether a packet needs no look at its content in this phase.
    fn stepped_over(&self, length: usize, first: Option<u8>) -> Result<bool, WireError> {
        match self.phase {
            Phase::First | Phase::Separator | Phase::PreparedSeparator { .. } | Phase::PreparedEnd => Ok(false),
            Phase::Rows | Phase::FieldList => {
                let end = first == Some(0xfe) && if self.deprecate_eof { length < PAYLOAD_MAX } else { length < 9 };
                Ok(!end && first != Some(0xff))
            }
            Phase::Definitions { .. } | Phase::PreparedParameters { .. } | Phase::PreparedColumns { .. } => {
                if length == PAYLOAD_MAX || length == 0 {
                    return Err(WireError::Malformed("length of a column definition"));
                }
                Ok(first != Some(0xff))
            }
            Phase::Infile | Phase::Done => Err(WireError::Malformed("packet that nobody asked for")),
        }
    }

    fn count_definition(&mut self) {
        match &mut self.phase {
            Phase::Definitions { left } => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.phase = if self.deprecate_eof { Phase::Rows } else { Phase::Separator };
                }
            }
            Phase::PreparedParameters { left, columns } => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    let columns = *columns;
                    self.phase = match (self.deprecate_eof, columns) {
                        (false, columns) => Phase::PreparedSeparator { columns },
                        (true, 0) => Phase::Done,
                        (true, left) => Phase::PreparedColumns { left },
                    };
                }
            }
            Phase::PreparedColumns { left } => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.phase = if self.deprecate_eof { Phase::Done } else { Phase::PreparedEnd };
                }
            }
            Phase::Rows => self.rows += 1,
            _ => {}
        }
    }

    fn whole(&mut self, buffer: &mut [u8], header: Header) -> Result<Step, WireError> {
        if header.length == PAYLOAD_MAX {
            return Err(WireError::Malformed("oversized control packet"));
        }
        let length = HEADER + header.length;
        let Some(payload) = buffer.get(HEADER..length) else {
            return Ok(Step::NeedMore);
        };
        let event = self.on_payload(payload)?;
        self.consume_header(buffer, 0, header);
        Ok(Step::Packet { length, event })
    }

    fn on_payload(&mut self, payload: &[u8]) -> Result<Event, WireError> {
        let first = *payload.first().ok_or(WireError::Malformed("empty packet"))?;
        if first == 0xff {
            self.phase = Phase::Done;
            self.status = None;
            self.failed = true;
            return Ok(Event::Err);
        }
        match self.phase {
            Phase::First => self.on_first(first, payload),
            Phase::Separator => {
                let eof = EofPacket::decode(payload)?;
                self.status = Some(eof.status);
                // A cursor was opened: rows are fetched by commands of their own.
                let cursor = self.answer == Answer::Execute && eof.status & status::CURSOR_EXISTS != 0;
                self.phase = if cursor { Phase::Done } else { Phase::Rows };
                Ok(if cursor { Event::Eof } else { Event::Separator })
            }
            _ => self.on_end(payload),
        }
    }

    fn on_first(&mut self, first: u8, payload: &[u8]) -> Result<Event, WireError> {
        match (self.answer, first) {
            (Answer::Statistics, _) => {
                self.phase = Phase::Done;
                Ok(Event::Text)
            }
            (Answer::StatementPrepare, 0) => {
                let head = PreparedHead::decode(payload)?;
                self.start_prepared(head);
                Ok(Event::Prepared(head))
            }
            (Answer::StatementPrepare, _) => Err(WireError::Malformed("answer to a PREPARE")),
            (_, 0) => self.on_end(payload),
            (Answer::Simple, 0xfe) => self.on_end(payload),
            (Answer::Query | Answer::Execute, 0xfb) => {
                self.phase = Phase::Infile;
                Ok(Event::Infile)
            }
            (Answer::Query | Answer::Execute, _) => {
                let columns = Reader::new(payload).lenenc()?;
                if columns == 0 || columns > u64::from(u16::MAX) {
                    return Err(WireError::Malformed("number of columns"));
                }
                self.phase = Phase::Definitions { left: columns };
                self.rows = 0;
                Ok(Event::Columns(columns))
            }
            _ => Err(WireError::Malformed("unexpected first packet")),
        }
    }

    fn start_prepared(&mut self, head: PreparedHead) {
        self.phase = match (head.parameters, head.columns) {
            (0, 0) => Phase::Done,
            (0, left) => Phase::PreparedColumns { left },
            (left, columns) => Phase::PreparedParameters { left, columns },
        };
    }

    /// OK or EOF at the end of rows, of definitions, or in place of a result.
    fn on_end(&mut self, payload: &[u8]) -> Result<Event, WireError> {
        match self.phase {
            Phase::PreparedSeparator { columns } => {
                EofPacket::decode(payload)?;
                self.phase = match columns {
                    0 => Phase::Done,
                    left => Phase::PreparedColumns { left },
                };
                return Ok(Event::Separator);
            }
            Phase::PreparedEnd => {
                EofPacket::decode(payload)?;
                self.phase = Phase::Done;
                return Ok(Event::Separator);
            }
            _ => {}
        }
        let is_eof = payload.first() == Some(&0xfe) && payload.len() < 9 && !self.deprecate_eof;
        let flags = if is_eof {
            EofPacket::decode(payload)?.status
        } else {
            OkPacket::decode(payload, self.capabilities)?.status
        };
        self.status = Some(flags);
        let more = flags & status::MORE_RESULTS != 0 && matches!(self.answer, Answer::Query | Answer::Execute);
        self.phase = if more { Phase::First } else { Phase::Done };
        Ok(if is_eof { Event::Eof } else { Event::Ok })
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
