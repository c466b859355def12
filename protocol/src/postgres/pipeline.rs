//! Which answers a server still owes, and for whom each of its bytes is.
//! In: what was sent, in order; then the server's bytes, read by header only. Out: sockets, and what the answers mean.
//! Invariant: rows and COPY data are never held whole, so an answer of any size passes in constant memory; what we
//! injected between a client's messages is answered to us and never reaches the client.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::backend::TransactionStatus;
use super::wire::{HEADER_BYTES, HELD_BYTES_MAX, Header, MESSAGE_BYTES_MAX, WireError, header};

/// A message that was sent to a server and that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// `Parse`, answered by `ParseComplete`.
    Parse,
    /// `Bind`, answered by `BindComplete`.
    Bind,
    /// `Describe` of a statement, answered by its parameters, then its columns.
    DescribeStatement,
    /// `Describe` of a portal, answered by its columns.
    DescribePortal,
    /// `Execute`, answered by rows and an end.
    Execute,
    /// `Close`, answered by `CloseComplete`.
    Close,
    /// `Sync`, answered by `ReadyForQuery`.
    Sync,
    /// `Query`, answered by anything up to `ReadyForQuery`.
    Query,
    /// `FunctionCall`, answered by a value and `ReadyForQuery`.
    FunctionCall,
}

/// For whom an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The client sent the message: its answer is forwarded.
    Client,
    /// As `Client`, but errors are told as the observer wants them: the message is not quite what the client sent.
    ClientEdited,
    /// As `ClientEdited`, and `ReadyForQuery` is cut out: the message is a part of what the client sent.
    ClientPart,
    /// The client sent the message, but only an error or notice among its answers is forwarded.
    ClientErrors,
    /// We injected the message: its answer is cut out. The number says which injection it was.
    Mesh(u32),
}

impl Audience {
    /// Whether what the server sends for it goes to the client as it comes.
    fn is_client(self) -> bool {
        matches!(self, Self::Client | Self::ClientEdited | Self::ClientPart)
    }
}

/// COPY in progress on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyState {
    /// None.
    #[default]
    None,
    /// The server waits for data.
    In,
    /// The server sends data.
    Out,
}

/// Gets to know the messages that are more than payload, whole, in the order in which they come.
pub trait Observer {
    /// A message; for a client's own also those that pass by parts are left out: `DataRow`, `CopyData`, `RowDescription`.
    /// `sent` is what it answers; `None` for `NotificationResponse`, `ParameterStatus` and notices out of turn.
    fn on_message(&mut self, sent: Option<(Sent, Audience)>, tag: u8, body: &[u8]);

    /// The body of an error that is for the client, as it shall be told; `None`: as it is.
    fn edited(&mut self, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Whether an error that would be for the client is kept from it: it is about the connection, not about the statement.
    fn withholds(&mut self, _body: &[u8]) -> bool {
        false
    }

    /// The number that the client knows as that of the process which sent a notification.
    fn notifier(&self, process_id: u32) -> u32 {
        process_id
    }

    /// The answer of `sent` is complete; `failed` if it ended in an error. Not called for what an error skips.
    fn on_answered(&mut self, sent: Sent, audience: Audience, failed: bool);
}

/// What to do with the bytes at the front of a read buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Nothing can be said before more bytes are read.
    More,
    /// So many bytes are for the client. Whole messages, or a part of a row.
    Forward(usize),
    /// So many bytes are not for the client.
    Cut(usize),
    /// Bytes of ours go to the client before anything else that the server sent.
    Insert(Cow<'static, [u8]>),
}

#[derive(Debug)]
enum Step {
    Answer(Sent, Audience),
    Insert(Cow<'static, [u8]>),
}

/// The answers that one server owes.
#[derive(Debug, Default)]
pub struct Pipeline {
    steps: VecDeque<Step>,
    /// Bytes that are left of a row or COPY message of which the front has passed, and whether the client gets them.
    passing: Option<(usize, bool)>,
    /// An error came in the extended protocol, and the `Sync` that ends it has not been sent.
    skipping: bool,
    copy: CopyState,
    status: TransactionStatus,
    /// The current `Query` or `Sync` span has failed.
    failed: bool,
    /// Steps recorded and steps passed since the beginning, to tell what an error left undone.
    pushed: u64,
    error_at: Option<u64>,
}

impl Pipeline {
    /// A server that has just said `ReadyForQuery` with `status`.
    #[must_use]
    pub fn new(status: TransactionStatus) -> Self {
        Self { status, ..Self::default() }
    }

    /// Records a message that is about to be sent. While the server skips to a `Sync`, only that counts.
    pub fn sent(&mut self, sent: Sent, audience: Audience) {
        if self.skipping && sent != Sent::Sync {
            return;
        }
        self.skipping = false;
        self.pushed += 1;
        self.steps.push_back(Step::Answer(sent, audience));
    }

    /// Records bytes of ours that the client gets at this place; an earlier error drops them, like all it skips.
    pub fn insert(&mut self, bytes: impl Into<Cow<'static, [u8]>>) {
        if self.skipping {
            return;
        }
        self.pushed += 1;
        self.steps.push_back(Step::Insert(bytes.into()));
    }

    /// The place of the next step, to compare with [`Self::error_at`].
    #[must_use]
    pub fn place(&self) -> u64 {
        self.pushed
    }

    /// The place of the last step of the extended protocol that failed: it and those behind it up to `Sync` did not happen.
    #[must_use]
    pub fn error_at(&self) -> Option<u64> {
        self.error_at
    }

    /// Whether a row or COPY message has passed in part only, so that nothing else can be written to the client.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        matches!(self.passing, Some((_, true)))
    }

    /// Whether the server owes nothing: everything sent has been answered, and nothing waits to be inserted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.passing.is_none()
    }

    /// Number of answers owed.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.steps.len()
    }

    /// Whether an error has made the server skip everything up to a `Sync` that was not sent yet.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// COPY in progress.
    #[must_use]
    pub fn copy(&self) -> CopyState {
        self.copy
    }

    /// The client has ended its COPY stream (`CopyDone` or `CopyFail` was sent).
    pub fn copy_ended(&mut self) {
        if self.copy == CopyState::In {
            self.copy = CopyState::None;
        }
    }

    /// Status of the last `ReadyForQuery`.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether the server stands idle outside a transaction and owes nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_settled() && !self.skipping && self.copy == CopyState::None && self.status == TransactionStatus::Idle
    }

    /// What the server answers next.
    #[must_use]
    pub fn current(&self) -> Option<(Sent, Audience)> {
        if let Some(Step::Answer(sent, audience)) = self.steps.front() {
            return Some((*sent, *audience));
        }
        self.steps.iter().find_map(|step| match step {
            Step::Answer(sent, audience) => Some((*sent, *audience)),
            Step::Insert(_) => None,
        })
    }

    /// Says what to do with the front of `bytes`, of which nothing may have been consumed but what earlier calls said.
    ///
    /// # Errors
    /// [`WireError`] if the server sent what it may not: the connection must be closed.
    pub fn advance(&mut self, bytes: &[u8], observer: &mut impl Observer) -> Result<Segment, WireError> {
        if bytes.is_empty() && (self.passing.is_some() || !matches!(self.steps.front(), Some(Step::Insert(_)))) {
            return Ok(Segment::More);
        }
        let mut at = 0;
        let mut to_client: Option<bool> = None;
        loop {
            if let Some((left, for_client)) = self.passing {
                if to_client.is_some_and(|before| before != for_client) {
                    break;
                }
                let here = left.min(bytes.len() - at);
                if here > 0 {
                    to_client = Some(for_client);
                }
                at += here;
                self.passing = (left > here).then_some((left - here, for_client));
                if self.passing.is_some() {
                    break;
                }
                continue;
            }
            if let Some(Step::Insert(_)) = self.steps.front() {
                if at > 0 {
                    break;
                }
                if let Some(Step::Insert(ours)) = self.steps.pop_front() {
                    return Ok(Segment::Insert(ours));
                }
            }
            let Some(Header { tag, total }) = header(&bytes[at..], MESSAGE_BYTES_MAX)? else {
                break;
            };
            let owed = self.current();
            let (streamed, for_client) = match (tag, owed) {
                (b'D' | b'd', Some((Sent::Execute | Sent::Query, audience))) if audience.is_client() => (true, true),
                (b'D' | b'd', Some((Sent::Execute | Sent::Query, Audience::ClientErrors))) => (true, false),
                (b'D' | b'd', Some((Sent::Execute | Sent::Query, Audience::Mesh(_)))) => (false, false),
                (b'T', Some((_, audience))) if audience.is_client() => (true, true),
                (b'D' | b'd', _) => return Err(WireError::Unexpected(tag)),
                (b'S' | b'N', None) => (false, true),
                // Told with the number that the client knows.
                (b'A', _) => (false, false),
                // A server that ends the connection says why; a client whose session goes on would take it for its own end.
                (b'E', None) => (false, false),
                (_, Some((_, audience))) => (false, is_for_client(tag, audience)),
                (_, None) => return Err(WireError::Unexpected(tag)),
            };
            let withheld = |body| observer.withholds(body);
            let for_client =
                for_client && !(tag == b'E' && bytes.get(at + HEADER_BYTES..at + total).is_some_and(withheld));
            if to_client.is_some_and(|before| before != for_client) {
                break;
            }
            if streamed {
                if tag == b'T' {
                    self.answer(tag, owed)?.report(observer);
                }
                self.passing = Some((total, for_client));
                continue;
            }
            if total > HELD_BYTES_MAX {
                return Err(WireError::TooLarge { tag, length: total, max: HELD_BYTES_MAX });
            }
            let Some(body) = bytes.get(at + HEADER_BYTES..at + total) else {
                break;
            };
            let asynchronous = matches!(tag, b'S' | b'N' | b'A');
            observer.on_message(if asynchronous && tag == b'A' { None } else { owed }, tag, body);
            at += total;
            to_client = Some(for_client);
            if tag == b'A' {
                let (process_id, channel, payload) = super::backend::notification(body)?;
                let mut told = Vec::with_capacity(total);
                super::write::notification(&mut told, observer.notifier(process_id), channel, payload);
                self.steps.push_front(Step::Insert(told.into()));
            }
            if !asynchronous && owed.is_some() && !matches!(tag, b'D' | b'd') {
                if tag == b'Z' {
                    self.status = TransactionStatus::decode(body)?;
                }
                self.answer(tag, owed)?.report(observer);
                if let (b'E', Some((_, Audience::ClientEdited | Audience::ClientPart))) = (tag, owed) {
                    let body = observer.edited(body).map_or(Cow::Borrowed(body), Cow::Owned);
                    let mut told = Vec::with_capacity(HEADER_BYTES + body.len());
                    super::write::put_raw(&mut told, b'E', &[&body]);
                    self.steps.push_front(Step::Insert(told.into()));
                }
            }
        }
        Ok(match to_client {
            _ if at == 0 => Segment::More,
            Some(true) => Segment::Forward(at),
            _ => Segment::Cut(at),
        })
    }

    /// Moves on over a message of type `tag` that answers `owed`.
    fn answer(&mut self, tag: u8, owed: Option<(Sent, Audience)>) -> Result<Answered, WireError> {
        let Some((sent, audience)) = owed else {
            return Err(WireError::Unexpected(tag));
        };
        let ends = match (sent, tag) {
            (_, b'E') => return Ok(self.error(sent, audience)),
            (Sent::Parse, b'1') | (Sent::Bind, b'2') | (Sent::Close, b'3') => true,
            (Sent::DescribeStatement, b't') => false,
            (Sent::DescribeStatement | Sent::DescribePortal, b'T' | b'n') => true,
            (Sent::Execute, b'C') => {
                self.copy = CopyState::None;
                true
            }
            (Sent::Execute, b's' | b'I') => true,
            (Sent::Execute | Sent::Query, b'G') => {
                self.copy = CopyState::In;
                if sent == Sent::Execute {
                    self.drop_syncs();
                }
                false
            }
            (Sent::Execute | Sent::Query, b'H') => {
                self.copy = CopyState::Out;
                false
            }
            (Sent::Execute | Sent::Query, b'c') => false,
            (Sent::Query, b'C') => {
                self.copy = CopyState::None;
                false
            }
            (Sent::Query, b'T' | b'I') | (Sent::FunctionCall, b'V') => false,
            (Sent::Sync | Sent::Query | Sent::FunctionCall, b'Z') => {
                self.copy = CopyState::None;
                true
            }
            _ => return Err(WireError::Unexpected(tag)),
        };
        if !ends {
            return Ok(Answered(None));
        }
        self.pop_answer();
        let failed = tag == b'Z' && std::mem::take(&mut self.failed);
        Ok(Answered(Some((sent, audience, failed))))
    }

    fn pop_answer(&mut self) {
        if let Some(Step::Answer(..)) = self.steps.front() {
            self.steps.pop_front();
        }
    }

    /// While a server takes COPY data in the extended protocol, it ignores `Sync`: the client sends another one after it.
    fn drop_syncs(&mut self) {
        while let Some(Step::Answer(Sent::Sync, _)) = self.steps.get(1) {
            self.steps.remove(1);
        }
    }

    fn error(&mut self, sent: Sent, audience: Audience) -> Answered {
        self.copy = CopyState::None;
        match sent {
            // `ReadyForQuery` still comes.
            Sent::Query | Sent::FunctionCall | Sent::Sync => {
                self.failed = true;
                Answered(None)
            }
            _ => {
                self.error_at = Some(self.pushed - self.steps.len() as u64);
                while !matches!(self.steps.front(), None | Some(Step::Answer(Sent::Sync, _))) {
                    self.steps.pop_front();
                }
                self.skipping = self.steps.is_empty();
                Answered(Some((sent, audience, true)))
            }
        }
    }
}

struct Answered(Option<(Sent, Audience, bool)>);

impl Answered {
    fn report(self, observer: &mut impl Observer) {
        if let Some((sent, audience, failed)) = self.0 {
            observer.on_answered(sent, audience, failed);
        }
    }
}

fn is_for_client(tag: u8, audience: Audience) -> bool {
    match audience {
        Audience::Client => true,
        Audience::ClientEdited => tag != b'E',
        Audience::ClientPart => tag != b'Z' && tag != b'E',
        Audience::ClientErrors => matches!(tag, b'E' | b'N'),
        Audience::Mesh(_) => false,
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
