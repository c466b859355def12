//! Admin SQL by the PostgreSQL protocol: SCRAM login, simple and extended protocol, the same answers as by MySQL.
//!
//! `login` brings a client to its session, `extended` holds statements and portals. Out: TLS (admin addresses are for loopback
//! or a trusted network), COPY, function calls.

mod extended;
mod link;
mod login;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use protocol::postgres::frontend::{self, FrontendMessage};
use protocol::postgres::{TransactionStatus, write};
use tokio::io::{AsyncRead, AsyncWrite};

use super::rows::AdminRows;
use super::session::{AdminSession, Answer};
use super::source::AdminSource;
use crate::config::Protocol;
use crate::error_code::MeshError;
use extended::Extended;
use link::Link;

/// Serves one operator until it leaves. `id` is the process id that it is told.
///
/// # Errors
/// The connection broke, the client broke the protocol, was denied, or was silent for too long.
pub async fn serve<S>(stream: S, peer: SocketAddr, id: u32, source: Arc<dyn AdminSource>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let config = source.config();
    let mut link = Link::new(stream, config.timeouts.client_write);
    let login = login::login(&mut link, peer, &config.admin);
    let Some(startup) = tokio::time::timeout(config.timeouts.handshake, login).await?? else {
        return Ok(());
    };
    let mut session = AdminSession::new(Arc::clone(&source), id, &startup.user, Protocol::Postgres);
    if let Err(error) = session.use_named(&startup.database) {
        put_error(&mut link.out, "FATAL", &error);
        return link.flush().await;
    }
    login::greet(&mut link, id);
    put_ready(&mut link.out, &session);
    link.flush().await?;
    let idle = config.timeouts.session_idle;
    drop(config);
    run(link, session, idle).await
}

async fn run<S>(mut link: Link<S>, mut session: AdminSession, idle: Option<std::time::Duration>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut extended = Extended::default();
    // After an error in the extended protocol, everything up to the next Sync is skipped.
    let mut skipping = false;
    loop {
        if !link.has_message()? {
            link.flush().await?;
        }
        let Some(message) = link.message(idle).await? else {
            return Ok(());
        };
        let decoded = frontend::decode(&message.view()).map_err(io::Error::other);
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                put_error(&mut link.out, "FATAL", &MeshError::Protocol(error.to_string()));
                return link.flush().await;
            }
        };
        if skipping && !matches!(decoded, FrontendMessage::Sync | FrontendMessage::Terminate) {
            continue;
        }
        let out = &mut link.out;
        let done = match decoded {
            FrontendMessage::Query(sql) => {
                simple_query(out, &mut session, sql).await;
                put_ready(out, &session);
                Ok(())
            }
            FrontendMessage::Parse(parse) => extended.parse(out, &session, &parse),
            FrontendMessage::Bind(bind) => extended.bind(out, &session, &bind),
            FrontendMessage::Describe(target, name) => extended.describe(out, &session, target, name),
            FrontendMessage::Execute { portal, rows_max } => {
                extended.execute(out, &mut session, portal, rows_max).await
            }
            FrontendMessage::Close(target, name) => {
                extended.close(out, target, name);
                Ok(())
            }
            FrontendMessage::Flush => link.flush().await.map(|()| Ok(()))?,
            FrontendMessage::Sync => {
                skipping = false;
                extended.sync(session.in_transaction());
                put_ready(out, &session);
                Ok(())
            }
            FrontendMessage::Terminate => return Ok(()),
            FrontendMessage::CopyData(_) | FrontendMessage::CopyDone | FrontendMessage::CopyFail(_) => Ok(()),
            FrontendMessage::FunctionCall(_) => {
                let text = "the admin interface has no function calls".to_owned();
                put_error(out, "ERROR", &MeshError::Unsupported(text));
                put_ready(out, &session);
                Ok(())
            }
            FrontendMessage::Password(_) => {
                let text = "a password after the login".to_owned();
                put_error(out, "FATAL", &MeshError::Protocol(text));
                return link.flush().await;
            }
        };
        if let Err(error) = done {
            put_error(&mut link.out, "ERROR", &error);
            skipping = true;
        }
    }
}

async fn simple_query(out: &mut Vec<u8>, session: &mut AdminSession, sql: &[u8]) {
    let (answers, error) = session.run(&String::from_utf8_lossy(sql)).await;
    if answers.is_empty() && error.is_none() {
        write::bare(out, b'I');
    }
    for answer in &answers {
        match answer {
            Answer::Rows(rows) => {
                put_columns(out, &rows.columns, |_| 0);
                put_rows(out, rows, 0..rows.rows.len(), |_| 0);
                put_selected(out, rows.rows.len());
            }
            Answer::Done(tag) => write::command_complete(out, tag.as_bytes()),
        }
    }
    if let Some(error) = error {
        put_error(out, "ERROR", &error);
    }
}

/// `RowDescription`; `format` gives each column's format.
fn put_columns(out: &mut Vec<u8>, columns: &[super::Column], format: impl Fn(usize) -> i16) {
    let described: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let mut described = write::text_column(column.name.as_bytes());
            if column.kind == super::ColumnKind::Integer {
                (described.type_oid, described.type_size) = (protocol::postgres::oid::INT8, 8);
            }
            described.format = format(at);
            described
        })
        .collect();
    write::row_description(out, described.into_iter());
}

/// Some of the rows of a result.
fn put_rows(out: &mut Vec<u8>, rows: &AdminRows, range: std::ops::Range<usize>, format: impl Fn(usize) -> i16) {
    for row in &rows.rows[range] {
        let values: Vec<Option<Vec<u8>>> = row
            .iter()
            .enumerate()
            .map(|(at, value)| match value {
                super::Value::Integer(number) if format(at) == 1 => Some(number.to_be_bytes().to_vec()),
                other => other.to_text().map(String::into_bytes),
            })
            .collect();
        write::data_row(out, values.iter().map(Option::as_deref));
    }
}

fn put_selected(out: &mut Vec<u8>, count: usize) {
    write::command_complete(out, format!("SELECT {count}").as_bytes());
}

fn put_ready(out: &mut Vec<u8>, session: &AdminSession) {
    let status = if session.in_transaction() { TransactionStatus::Active } else { TransactionStatus::Idle };
    write::ready_for_query(out, status);
}

fn put_error(out: &mut Vec<u8>, severity: &str, error: &MeshError) {
    let message = error.to_string();
    let sqlstate = error.code().postgres_state;
    write::error_response(out, &write::ErrorText { severity, sqlstate, message: &message, detail: "", hint: "" });
}
