//! Answers of our own to a client: errors, notices, completed commands.
//! Out: what a server answers, which passes as it is.

use bytes::BytesMut;
use protocol::postgres::{ErrorFields, write};

use crate::error_code::MeshError;

/// Bodies of messages without a body, whole.
pub const PARSE_COMPLETE: &[u8] = b"1\0\0\0\x04";
/// `BindComplete`.
pub const BIND_COMPLETE: &[u8] = b"2\0\0\0\x04";
/// `CloseComplete`.
pub const CLOSE_COMPLETE: &[u8] = b"3\0\0\0\x04";
/// `NoData`.
pub const NO_DATA: &[u8] = b"n\0\0\0\x04";
/// `EmptyQueryResponse`.
pub const EMPTY_QUERY: &[u8] = b"I\0\0\0\x04";

fn put(out: &mut BytesMut, severity: &str, error: &MeshError) {
    let message = error.to_string();
    let text =
        write::ErrorText { severity, sqlstate: error.code().postgres_state, message: &message, detail: "", hint: "" };
    write::error_response(out, &text);
}

/// An error after which the session goes on.
pub fn error(out: &mut BytesMut, error: &MeshError) {
    put(out, "ERROR", error);
}

/// An error that ends the session.
pub fn fatal(out: &mut BytesMut, error: &MeshError) {
    put(out, "FATAL", error);
}

/// A server's error, told as one that ends the session.
pub fn server_fatal(out: &mut BytesMut, body: &[u8]) {
    let Ok(fields) = ErrorFields::decode(body) else {
        return fatal(out, &MeshError::Internal("malformed error of a server".to_owned()));
    };
    let text = |field| String::from_utf8_lossy(fields.get(field).unwrap_or_default()).into_owned();
    let (sqlstate, message, detail, hint) = (text(b'C'), text(b'M'), text(b'D'), text(b'H'));
    let error =
        write::ErrorText { severity: "FATAL", sqlstate: &sqlstate, message: &message, detail: &detail, hint: &hint };
    write::error_response(out, &error);
}

/// A warning.
pub fn warning(out: &mut BytesMut, sqlstate: &str, message: &str) {
    let text = write::ErrorText { severity: "WARNING", sqlstate, message, detail: "", hint: "" };
    write::notice_response(out, &text);
}

/// Refuses client encodings in which a byte that belongs to a character can look like a quote or a backslash: where a
/// literal ends could then not be told from the bytes.
///
/// # Errors
/// [`MeshError::BadSetting`].
pub fn check_encoding(encoding: Option<&str>) -> Result<(), MeshError> {
    let Some(encoding) = encoding else { return Ok(()) };
    let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let unsafe_ones =
        ["SJIS", "MSKANJI", "SHIFTJIS", "WIN932", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFTJIS2004"];
    if unsafe_ones.iter().any(|name| plain.starts_with(name)) {
        return Err(MeshError::BadSetting(format!("dbmesh does not support client_encoding {encoding}")));
    }
    Ok(())
}
