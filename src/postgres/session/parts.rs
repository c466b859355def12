//! A statement on several shards: what each is sent, and what it has answered.
//! Out: merging the answers; waiting for them.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::postgres::frontend::Bind;
use protocol::postgres::{Audience, ErrorFields, Observer, Sent, Target, backend, oid, write};
use sharding::plan::ParameterMap;
use sharding::splice::{Positions, Spliced};

use super::relay::AHEAD;
use super::route::Asked;
use crate::postgres::backend::Backend;
use crate::postgres::kept::{Kept, Reading};
use crate::postgres::statements::{Statements, name_of};

/// A statement that is run on several shards.
pub struct Run<'a> {
    /// Its text and values.
    pub asked: Asked<'a>,
    /// The client's `Bind`; `None` for a simple query.
    pub bind: Option<&'a Bind<'a>>,
    /// Types of the parameters.
    pub types: &'a [u32],
}

/// What one shard has answered.
#[derive(Default)]
pub struct Answer {
    /// Rows that were not taken yet.
    pub rows: VecDeque<Arc<[u8]>>,
    /// Body of its `RowDescription`.
    pub description: Option<Vec<u8>>,
    /// Its command tag.
    pub tag: Vec<u8>,
    /// Body of its error.
    pub error: Option<Vec<u8>>,
    /// What was sent ahead of the statement has failed, so that the statement was not run.
    pub ahead_failed: bool,
    /// The server has prepared the text.
    pub prepared: bool,
}

impl Observer for Answer {
    fn on_message(&mut self, _: Option<(Sent, Audience)>, tag: u8, body: &[u8]) {
        match tag {
            b'D' => self.rows.push_back(body.into()),
            b'T' => self.description = Some(body.to_vec()),
            b'C' => self.tag = backend::command_tag(body).unwrap_or_default().to_vec(),
            b'E' if self.error.is_none() => self.error = Some(body.to_vec()),
            _ => {}
        }
    }

    fn on_answered(&mut self, sent: Sent, audience: Audience, failed: bool) {
        self.ahead_failed |= failed && audience == AHEAD;
        self.prepared |= !failed && sent == Sent::Parse && audience != AHEAD;
    }
}

/// What a shard is sent.
pub struct Part {
    /// The text.
    pub sql: Vec<u8>,
    /// Where its bytes come from, if that is known.
    pub positions: Option<Positions>,
    /// Parameters that are other values on the shards.
    pub parameters: ParameterMap,
    /// Which of the client's parameters there are, in order; `None`: all.
    pub kept: Option<Vec<usize>>,
    /// Columns behind the visible ones.
    pub hidden: usize,
}

/// Our portal where the unnamed one is the client's.
const NAME: &[u8] = b"dmpart";

impl Part {
    /// Appends the messages for one shard and records what will be answered. `beside`: an unnamed portal of the client is there
    /// and stays. `keep`: the text may be kept prepared, as read like this, beside less than
    /// so many statements; what became of that.
    pub fn send(
        &self,
        run: &Run<'_>,
        backend: &mut Backend,
        sync: bool,
        beside: bool,
        keep: Option<(Reading, usize, &Statements)>,
    ) -> Kept {
        let count = run.bind.map_or(0, |bind| bind.values.len());
        let kept: Vec<usize> = self.kept.clone().unwrap_or_else(|| (0..count).collect());
        let instead =
            |index: usize| self.parameters.instead.iter().find(|(at, _)| *at == index).map(|(_, value)| *value);
        let types: Vec<u32> = (kept.iter())
            .map(|&index| instead(index).map_or_else(|| run.types.get(index).copied().unwrap_or(0), |_| oid::INT8))
            .collect();
        let given: Vec<Option<&[u8]>> = run.bind.map_or_else(Vec::new, |bind| bind.values.iter().collect());
        let counts: Vec<Option<[u8; 8]>> = kept
            .iter()
            .map(|&index| instead(index).map(|value| i64::try_from(value).unwrap_or(i64::MAX).to_be_bytes()))
            .collect();
        let values: Vec<Option<&[u8]>> = (kept.iter().zip(&counts))
            .map(|(&index, count)| count.as_ref().map_or_else(|| given.get(index).copied().flatten(), |c| Some(&c[..])))
            .collect();
        let formats: Vec<i16> = (kept.iter().zip(&counts))
            .map(|(&index, count)| if count.is_some() { 1 } else { run.bind.map_or(0, |b| b.formats.format_of(index)) })
            .collect();
        let mut results: Vec<i16> = run.bind.map_or_else(Vec::new, |bind| bind.result_formats.iter().collect());
        if results.len() > 1 {
            results.extend(std::iter::repeat_n(1, self.hidden));
        }
        let fit = backend.pipeline.is_settled() && !backend.pipeline.is_skipping() && !backend.memory.untracked;
        let kept = keep.filter(|_| fit).map_or(Kept::Not, |(reading, most, statements)| {
            backend.memory.keep(&self.sql, &types, reading, most, || statements.next_number())
        });
        let mut record = |sent| backend.pipeline.sent(sent, Audience::Mesh(0));
        let out = &mut backend.output;
        let name = match kept {
            Kept::Not => {
                backend.memory.unnamed = None;
                Vec::new()
            }
            Kept::Anew(number) | Kept::There(number) => name_of(number),
        };
        if !matches!(kept, Kept::There(_)) {
            if let Some(number) = backend.memory.surplus_text() {
                write::close(out, Target::Statement, &name_of(number));
                record(Sent::Close);
            }
            write::parse(out, &name, &self.sql, types.into_iter());
            record(Sent::Parse);
        }
        let portal: &[u8] = if beside { NAME } else { b"" };
        write::bind(out, portal, &name, &formats, values.into_iter(), &results);
        record(Sent::Bind);
        write::describe(out, Target::Portal, portal);
        record(Sent::DescribePortal);
        write::execute(out, portal, 0);
        record(Sent::Execute);
        if beside {
            write::close(out, Target::Portal, portal);
            record(Sent::Close);
        }
        if sync {
            write::sync(out);
            record(Sent::Sync);
        } else {
            write::flush(out);
        }
        kept
    }

    /// A server's error about this text, told about the client's.
    pub fn error(&self, run: &Run<'_>, body: &[u8]) -> Vec<u8> {
        let span = run.asked.lexed.span;
        let before = chars(run.asked.sql.get(..span.start as usize).unwrap_or_default());
        told(
            body,
            |number| {
                let text = span.of(run.asked.sql);
                Some(self.positions.as_ref()?.original_position(&self.sql, text, number) + before)
            },
            &[],
        )
    }
}

/// What a server was sent in place of a part of what the client sent.
#[derive(Debug)]
pub struct Edited {
    /// What was sent.
    pub sent: Spliced,
    /// What the client sent.
    pub original: Vec<u8>,
    /// Characters before that in the client's text.
    pub before: usize,
    /// Names of prepared statements, ours and the client's.
    pub names: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Edited {
    /// A server's error about what was sent, told about the client's text.
    pub fn error(&self, body: &[u8]) -> Vec<u8> {
        let Spliced { text, positions } = &self.sent;
        told(body, |number| Some(positions.original_position(text, &self.original, number) + self.before), &self.names)
    }
}

/// How many characters these bytes are.
pub fn chars(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().count()
}

/// An error with another position in the text, or none; and with the client's names of prepared statements.
fn told(body: &[u8], position: impl Fn(usize) -> Option<usize>, names: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let Ok(fields) = ErrorFields::decode(body) else { return body.to_vec() };
    let mut told = Vec::with_capacity(body.len());
    for (field, value) in fields.iter() {
        let mut value = value.to_vec();
        if field == b'P' {
            let number = std::str::from_utf8(&value).ok().and_then(|digits| digits.parse().ok());
            let Some(place) = number.and_then(&position) else { continue };
            value = place.to_string().into_bytes();
        }
        if field == b'M' {
            for (ours, theirs) in names {
                value = renamed(&value, ours, theirs);
            }
        }
        told.push(field);
        told.extend_from_slice(&value);
        told.push(0);
    }
    told.push(0);
    told
}

/// A message in which a quoted name is another one.
fn renamed(message: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", from, b"\""].concat();
    match message.windows(quoted.len()).position(|window| window == quoted) {
        Some(at) => [&message[..at], b"\"", to, b"\"", &message[at + quoted.len()..]].concat(),
        None => message.to_vec(),
    }
}
