//! Tests of the lexer: where tokens end, what statements are, what fingerprints tell apart, how trees lead back.
#![allow(clippy::unwrap_used)]

mod classes;
mod fingerprints;
mod parsing;
mod random;
mod token_ends;

use super::*;

pub(crate) fn key() -> FingerprintKey {
    FingerprintKey::from_bytes(*b"an unlikely key!")
}

pub(crate) fn scanned(sql: &[u8], dialect: Dialect) -> Scan {
    let mut scan = Scan::new();
    scan.scan(sql, dialect, &key()).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(sql)));
    scan
}

pub(crate) fn fingerprint(sql: &str, dialect: Dialect) -> Fingerprint {
    let scan = scanned(sql.as_bytes(), dialect);
    assert_eq!(scan.statements().len(), 1, "{sql}");
    scan.statements()[0].fingerprint
}

/// The texts of the tokens, joined by `|`.
pub(crate) fn split(sql: &[u8], dialect: Dialect) -> Result<String, LexError> {
    let tokens = tokens(sql, dialect)?;
    let texts: Vec<String> =
        tokens.list().iter().map(|token| String::from_utf8_lossy(tokens.text(token)).into_owned()).collect();
    Ok(texts.join("|"))
}

pub(crate) fn ansi() -> Dialect {
    Dialect::MySql(MySqlModes { ansi_quotes: true, ..MySqlModes::DEFAULT })
}

pub(crate) fn no_backslash() -> Dialect {
    Dialect::MySql(MySqlModes { no_backslash_escapes: true, ..MySqlModes::DEFAULT })
}

pub(crate) fn server(server: MySqlServer) -> Dialect {
    Dialect::MySql(MySqlModes { server, ..MySqlModes::DEFAULT })
}

pub(crate) fn backslash_strings() -> Dialect {
    Dialect::Postgres(PostgresModes { standard_conforming_strings: false })
}
