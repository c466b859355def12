//! Builders of the messages that we send, to clients and to servers. Each appends one whole message to a buffer.
//! Names and texts of ours never hold a zero byte; one that does is cut there, so that a message cannot be forged.

use super::backend::{Column, TransactionStatus};
use super::frontend::Target;

/// Appends a message: `fill` writes the body.
pub fn message(out: &mut impl Sink, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::with_capacity(32);
    fill(&mut body);
    put_raw(out, tag, &[&body]);
}

/// Appends a message whose body is made of `parts`.
pub fn put_raw(out: &mut impl Sink, tag: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    // Bodies of ours are bounded by the messages they are made from, all below 1 GiB.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    out.put(&[tag, a, b, c, d]);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        out.put(part);
    }
}

/// What builders append to.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// `text` up to its first zero byte.
fn clean(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

// ---- to a server ----

/// `StartupMessage` of protocol 3.0.
pub fn startup(out: &mut impl Sink, parameters: &[(&str, &str)]) {
    let mut body = (3_u32 << 16).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(clean(name.as_bytes()));
        body.push(0);
        body.extend_from_slice(clean(value.as_bytes()));
        body.push(0);
    }
    body.push(0);
    out.put(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    out.put(&body);
}

/// `CancelRequest` with a key of any length.
pub fn cancel_request(out: &mut impl Sink, process_id: u32, key: &[u8]) {
    out.put(&u32::try_from(key.len() + 12).unwrap_or(u32::MAX).to_be_bytes());
    out.put(&80_877_102_u32.to_be_bytes());
    out.put(&process_id.to_be_bytes());
    out.put(key);
}

/// `SSLRequest`.
pub fn ssl_request(out: &mut impl Sink) {
    out.put(&8_u32.to_be_bytes());
    out.put(&80_877_103_u32.to_be_bytes());
}

/// `Query`.
pub fn query(out: &mut impl Sink, sql: &[u8]) {
    put_raw(out, b'Q', &[clean(sql), &[0]]);
}

/// `Parse`.
pub fn parse(out: &mut impl Sink, name: &[u8], sql: &[u8], types: impl ExactSizeIterator<Item = u32>) {
    let mut tail = u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for oid in types.take(usize::from(u16::MAX)) {
        tail.extend_from_slice(&oid.to_be_bytes());
    }
    put_raw(out, b'P', &[clean(name), &[0], clean(sql), &[0], &tail]);
}

/// `Bind` that repeats everything behind the names of another one ([`super::frontend::Bind::tail`]).
pub fn bind_as(out: &mut impl Sink, portal: &[u8], statement: &[u8], tail: &[u8]) {
    put_raw(out, b'B', &[clean(portal), &[0], clean(statement), &[0], tail]);
}

/// `Bind`. `formats` are those of the parameters, `result_formats` those of the result columns.
pub fn bind<'v>(
    out: &mut impl Sink,
    portal: &[u8],
    statement: &[u8],
    formats: &[i16],
    values: impl ExactSizeIterator<Item = Option<&'v [u8]>>,
    result_formats: &[i16],
) {
    let mut tail = Vec::with_capacity(64);
    put_shorts(&mut tail, formats);
    tail.extend_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
    for value in values.take(usize::from(u16::MAX)) {
        put_value(&mut tail, value);
    }
    put_shorts(&mut tail, result_formats);
    bind_as(out, portal, statement, &tail);
}

fn put_shorts(out: &mut Vec<u8>, shorts: &[i16]) {
    out.extend_from_slice(&u16::try_from(shorts.len()).unwrap_or(u16::MAX).to_be_bytes());
    for short in shorts.iter().take(usize::from(u16::MAX)) {
        out.extend_from_slice(&short.to_be_bytes());
    }
}

/// A value with its length in front; `None` is NULL.
pub fn put_value(out: &mut impl Sink, value: Option<&[u8]>) {
    match value {
        None => out.put(&(-1_i32).to_be_bytes()),
        Some(bytes) => {
            out.put(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.put(bytes);
        }
    }
}

/// `Describe`.
pub fn describe(out: &mut impl Sink, target: Target, name: &[u8]) {
    put_raw(out, b'D', &[&[target.byte()], clean(name), &[0]]);
}

/// `Execute`; `rows_max` 0 means all rows.
pub fn execute(out: &mut impl Sink, portal: &[u8], rows_max: i32) {
    let [a, b, c, d] = rows_max.to_be_bytes();
    put_raw(out, b'E', &[clean(portal), &[0, a, b, c, d]]);
}

/// `Close`.
pub fn close(out: &mut impl Sink, target: Target, name: &[u8]) {
    put_raw(out, b'C', &[&[target.byte()], clean(name), &[0]]);
}

/// `Flush`.
pub fn flush(out: &mut impl Sink) {
    put_raw(out, b'H', &[]);
}

/// `Sync`.
pub fn sync(out: &mut impl Sink) {
    put_raw(out, b'S', &[]);
}

/// `Terminate`.
pub fn terminate(out: &mut impl Sink) {
    put_raw(out, b'X', &[]);
}

/// `PasswordMessage`.
pub fn password(out: &mut impl Sink, text: &[u8]) {
    put_raw(out, b'p', &[clean(text), &[0]]);
}

/// `SASLInitialResponse`.
pub fn sasl_initial_response(out: &mut impl Sink, mechanism: &str, data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    put_raw(out, b'p', &[mechanism.as_bytes(), &[0], &length, data]);
}

/// `SASLResponse`.
pub fn sasl_response(out: &mut impl Sink, data: &[u8]) {
    put_raw(out, b'p', &[data]);
}

/// `CopyFail`.
pub fn copy_fail(out: &mut impl Sink, reason: &str) {
    put_raw(out, b'f', &[clean(reason.as_bytes()), &[0]]);
}

// ---- to a client ----

/// `AuthenticationOk`.
pub fn authentication_ok(out: &mut impl Sink) {
    put_raw(out, b'R', &[&0_u32.to_be_bytes()]);
}

/// `AuthenticationCleartextPassword`.
pub fn authentication_cleartext(out: &mut impl Sink) {
    put_raw(out, b'R', &[&3_u32.to_be_bytes()]);
}

/// `AuthenticationMD5Password`.
pub fn authentication_md5(out: &mut impl Sink, salt: [u8; 4]) {
    put_raw(out, b'R', &[&5_u32.to_be_bytes(), &salt]);
}

/// `AuthenticationSASL`.
pub fn authentication_sasl(out: &mut impl Sink, mechanisms: &[&str]) {
    message(out, b'R', |body| {
        body.extend_from_slice(&10_u32.to_be_bytes());
        for mechanism in mechanisms {
            body.extend_from_slice(mechanism.as_bytes());
            body.push(0);
        }
        body.push(0);
    });
}

/// `AuthenticationSASLContinue`.
pub fn authentication_sasl_continue(out: &mut impl Sink, data: &[u8]) {
    put_raw(out, b'R', &[&11_u32.to_be_bytes(), data]);
}

/// `AuthenticationSASLFinal`.
pub fn authentication_sasl_final(out: &mut impl Sink, data: &[u8]) {
    put_raw(out, b'R', &[&12_u32.to_be_bytes(), data]);
}

/// `NegotiateProtocolVersion`.
pub fn negotiate_protocol_version(out: &mut impl Sink, minor: u32, unknown: &[String]) {
    message(out, b'v', |body| {
        body.extend_from_slice(&minor.to_be_bytes());
        body.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(u32::MAX).to_be_bytes());
        for name in unknown {
            body.extend_from_slice(clean(name.as_bytes()));
            body.push(0);
        }
    });
}

/// `ParameterStatus`.
pub fn parameter_status(out: &mut impl Sink, name: &[u8], value: &[u8]) {
    put_raw(out, b'S', &[clean(name), &[0], clean(value), &[0]]);
}

/// `BackendKeyData`.
pub fn key_data(out: &mut impl Sink, process_id: u32, key: &[u8]) {
    put_raw(out, b'K', &[&process_id.to_be_bytes(), key]);
}

/// `NotificationResponse`.
pub fn notification(out: &mut impl Sink, process_id: u32, channel: &[u8], payload: &[u8]) {
    put_raw(out, b'A', &[&process_id.to_be_bytes(), clean(channel), &[0], clean(payload), &[0]]);
}

/// `ReadyForQuery`.
pub fn ready_for_query(out: &mut impl Sink, status: TransactionStatus) {
    put_raw(out, b'Z', &[&[status.byte()]]);
}

/// `CommandComplete`.
pub fn command_complete(out: &mut impl Sink, tag: &[u8]) {
    put_raw(out, b'C', &[clean(tag), &[0]]);
}

/// A message without a body: `ParseComplete` (`1`), `BindComplete` (`2`), `CloseComplete` (`3`), `NoData` (`n`),
/// `EmptyQueryResponse` (`I`), `PortalSuspended` (`s`), `CopyDone` (`c`).
pub fn bare(out: &mut impl Sink, tag: u8) {
    put_raw(out, tag, &[]);
}

/// `ParameterDescription`.
pub fn parameter_description(out: &mut impl Sink, types: &[u32]) {
    message(out, b't', |body| {
        body.extend_from_slice(&u16::try_from(types.len()).unwrap_or(u16::MAX).to_be_bytes());
        for oid in types.iter().take(usize::from(u16::MAX)) {
            body.extend_from_slice(&oid.to_be_bytes());
        }
    });
}

/// `RowDescription`.
pub fn row_description<'c>(out: &mut impl Sink, columns: impl ExactSizeIterator<Item = Column<'c>>) {
    message(out, b'T', |body| {
        body.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
        for column in columns {
            body.extend_from_slice(clean(column.name));
            body.push(0);
            body.extend_from_slice(&column.table.to_be_bytes());
            body.extend_from_slice(&column.attribute.to_be_bytes());
            body.extend_from_slice(&column.type_oid.to_be_bytes());
            body.extend_from_slice(&column.type_size.to_be_bytes());
            body.extend_from_slice(&column.type_modifier.to_be_bytes());
            body.extend_from_slice(&column.format.to_be_bytes());
        }
    });
}

/// A text column of our own making, for answers that no server gave.
#[must_use]
pub fn text_column(name: &[u8]) -> Column<'_> {
    Column { name, table: 0, attribute: 0, type_oid: super::oid::TEXT, type_size: -1, type_modifier: -1, format: 0 }
}

/// `DataRow`.
pub fn data_row<'v>(out: &mut impl Sink, values: impl ExactSizeIterator<Item = Option<&'v [u8]>>) {
    message(out, b'D', |body| {
        body.extend_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
        for value in values {
            put_value(body, value);
        }
    });
}

/// An error or notice of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorText<'a> {
    /// `ERROR`, `FATAL`, `WARNING`, `NOTICE`...
    pub severity: &'a str,
    /// Five characters.
    pub sqlstate: &'a str,
    /// One line.
    pub message: &'a str,
    /// More, or empty.
    pub detail: &'a str,
    /// What to do, or empty.
    pub hint: &'a str,
}

fn error_like(out: &mut impl Sink, tag: u8, error: &ErrorText<'_>) {
    message(out, tag, |body| {
        let fields = [
            (b'S', error.severity),
            (b'V', error.severity),
            (b'C', error.sqlstate),
            (b'M', error.message),
            (b'D', error.detail),
            (b'H', error.hint),
        ];
        for (field, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            body.push(field);
            body.extend_from_slice(clean(text.as_bytes()));
            body.push(0);
        }
        body.push(0);
    });
}

/// `ErrorResponse`.
pub fn error_response(out: &mut impl Sink, error: &ErrorText<'_>) {
    error_like(out, b'E', error);
}

/// `NoticeResponse`.
pub fn notice_response(out: &mut impl Sink, notice: &ErrorText<'_>) {
    error_like(out, b'N', notice);
}

#[cfg(test)]
mod tests {
    use super::super::{frontend, startup, wire};
    use super::*;

    #[test]
    fn literal_bytes() {
        let mut out = Vec::new();
        query(&mut out, b"a");
        ready_for_query(&mut out, TransactionStatus::Failed);
        sync(&mut out);
        command_complete(&mut out, b"BEGIN");
        parameter_status(&mut out, b"a", b"b");
        key_data(&mut out, 1, &[2, 3, 4, 5]);
        assert_eq!(
            out,
            b"Q\0\0\0\x06a\0Z\0\0\0\x05ES\0\0\0\x04C\0\0\0\x0aBEGIN\0S\0\0\0\x08a\0b\0K\0\0\0\x0c\0\0\0\x01\x02\x03\x04\x05"
        );
    }

    #[test]
    fn what_we_write_we_can_read() {
        let mut out = Vec::new();
        parse(&mut out, b"s", b"select $1", [23].into_iter());
        bind(&mut out, b"p", b"s", &[1], [Some(&b"\0\0\0\x07"[..]), None].into_iter().take(1), &[0, 1]);
        describe(&mut out, Target::Portal, b"p");
        execute(&mut out, b"p", 3);
        close(&mut out, Target::Statement, b"s");
        flush(&mut out);
        copy_fail(&mut out, "why");
        let mut rest = &out[..];
        let mut tags = Vec::new();
        while let Ok(Some(message)) = wire::message(rest, 1000) {
            frontend::decode(&message).expect("readable");
            tags.push(message.tag);
            rest = &rest[message.total..];
        }
        assert_eq!((tags.as_slice(), rest.len()), (&b"PBDECHf"[..], 0));

        out.clear();
        startup(&mut out, &[("user", "u"), ("database", "d\0forged")]);
        let Ok(Some((startup::Startup::Start(read), _))) = startup::decode(&out) else {
            panic!("not a startup message");
        };
        assert_eq!((read.user.as_str(), read.database.as_str()), ("u", "d"));
        out.clear();
        cancel_request(&mut out, 5, &[1; 32]);
        assert!(matches!(startup::decode(&out), Ok(Some((startup::Startup::Cancel { process_id: 5, .. }, 44)))));
    }

    #[test]
    fn errors_leave_out_empty_fields() {
        let mut out = Vec::new();
        let error = ErrorText { severity: "ERROR", sqlstate: "0A000", message: "no", detail: "", hint: "" };
        error_response(&mut out, &error);
        assert_eq!(out, b"E\0\0\0\x1eSERROR\0VERROR\0C0A000\0Mno\0\0");
    }
}
