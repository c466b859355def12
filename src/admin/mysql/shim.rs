//! Answers of the admin interface as opensrv-mysql writes them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use opensrv_mysql::{
    AsyncMysqlShim, Column as WireColumn, ColumnFlags, ColumnType, ErrorKind, InitWriter, OkResponse, ParamParser,
    QueryResultWriter, StatementMetaWriter,
};
use protocol::mysql::authentication::{Method, Verifier};
use tokio::io::AsyncWrite;

use super::gate::{Gate, Phase};
use super::one_packet::{NOTHING, RESET, UNKNOWN_COMMAND, UNKNOWN_STATEMENT};
use crate::admin::by_clients::MYSQL_VERSION;
use crate::admin::rows::{AdminRows, Column, ColumnKind, Value};
use crate::admin::session::{AdminSession, Answer};
use crate::admin::source::AdminSource;
use crate::config::Protocol;
use crate::error_code::MeshError;

/// Prepared statements of one session.
const STATEMENTS_MAX: usize = 1000;
const SCRAMBLE: usize = 20;

/// One connection.
pub(super) struct Shim {
    session: AdminSession,
    source: Arc<dyn AdminSource>,
    gate: Arc<Gate>,
    peer: SocketAddr,
    id: u32,
    scramble: [u8; SCRAMBLE],
    statements: HashMap<u32, String>,
    last_statement: u32,
}

impl Shim {
    pub(super) fn new(source: Arc<dyn AdminSource>, gate: Arc<Gate>, peer: SocketAddr, id: u32) -> io::Result<Self> {
        let mut scramble = [0; SCRAMBLE];
        getrandom::fill(&mut scramble).map_err(|_| io::Error::other("no random numbers"))?;
        for byte in &mut scramble {
            // Clients read it as text that ends at a zero byte; servers also leave out `$`.
            *byte = match *byte & 0x7f {
                0 | b'$' => b'a',
                other => other,
            };
        }
        let user = source.config().admin.user.clone();
        Ok(Self {
            session: AdminSession::new(Arc::clone(&source), id, &user, Protocol::MySql),
            source,
            gate,
            peer,
            id,
            scramble,
            statements: HashMap::new(),
            last_statement: 0,
        })
    }
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin> AsyncMysqlShim<W> for Shim {
    type Error = io::Error;

    fn version(&self) -> String {
        MYSQL_VERSION.to_owned()
    }

    fn connect_id(&self) -> u32 {
        self.id
    }

    fn salt(&self) -> [u8; SCRAMBLE] {
        self.scramble
    }

    async fn authenticate(&self, _plugin: &str, user: &[u8], _salt: &[u8], proof: &[u8]) -> bool {
        let config = self.source.config();
        let verifier = Verifier::of_password(config.admin.password.expose().as_bytes());
        let proven = verifier.accepts(Method::Native, &self.scramble, proof);
        if proven && user == config.admin.user.as_bytes() {
            self.gate.decide(Phase::Open);
            return true;
        }
        let used = if proof.is_empty() { "NO" } else { "YES" };
        let user = String::from_utf8_lossy(user);
        tracing::warn!(peer = %self.peer, user = %user, "admin login denied");
        let ip = self.peer.ip();
        self.gate.decide(Phase::Denied(format!("Access denied for user '{user}'@'{ip}' (using password: {used})")));
        false
    }

    async fn on_prepare<'a>(&'a mut self, sql: &'a str, out: StatementMetaWriter<'a, W>) -> io::Result<()> {
        if self.statements.len() >= STATEMENTS_MAX {
            let text = format!("at most {STATEMENTS_MAX} prepared statements in an admin session");
            return out.error(ErrorKind::ER_MAX_PREPARED_STMT_COUNT_REACHED, text.as_bytes()).await;
        }
        match self.session.describe(sql) {
            Ok(columns) => {
                self.last_statement = self.last_statement.wrapping_add(1);
                let id = self.last_statement;
                self.statements.insert(id, sql.to_owned());
                self.gate.add_statement(id);
                let columns = wire_columns(&columns.unwrap_or_default());
                // The writer borrows columns for as long as itself, which only a buffer of its own would outlive.
                reply_prepared(out, id, columns).await
            }
            Err(error) => out.error(kind(&error), error.to_string().as_bytes()).await,
        }
    }

    async fn on_execute<'a>(
        &'a mut self,
        id: u32,
        _parameters: ParamParser<'a>,
        out: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        match self.statements.get(&id).cloned() {
            Some(sql) => answer(&mut self.session, &sql, out).await,
            None => out.error(ErrorKind::ER_UNKNOWN_STMT_HANDLER, b"Unknown prepared statement handler").await,
        }
    }

    async fn on_close<'a>(&'a mut self, id: u32)
    where
        W: 'async_trait,
    {
        self.statements.remove(&id);
        self.gate.remove_statement(id);
    }

    async fn on_query<'a>(&'a mut self, sql: &'a str, out: QueryResultWriter<'a, W>) -> io::Result<()> {
        match sql {
            UNKNOWN_COMMAND => out.error(ErrorKind::ER_UNKNOWN_COM_ERROR, b"Unknown command").await,
            UNKNOWN_STATEMENT => {
                out.error(ErrorKind::ER_UNKNOWN_STMT_HANDLER, b"Unknown prepared statement handler").await
            }
            NOTHING => out.completed(OkResponse::default()).await,
            RESET => {
                for id in self.statements.drain().map(|(id, _)| id) {
                    self.gate.remove_statement(id);
                }
                self.session.reset();
                out.completed(OkResponse::default()).await
            }
            _ => answer(&mut self.session, sql, out).await,
        }
    }

    async fn on_init<'a>(&'a mut self, database: &'a str, out: InitWriter<'a, W>) -> io::Result<()> {
        match self.session.use_named(database) {
            Ok(()) => out.ok().await,
            Err(error) => out.error(kind(&error), error.to_string().as_bytes()).await,
        }
    }
}

async fn reply_prepared<W: AsyncWrite + Unpin>(
    out: StatementMetaWriter<'_, W>,
    id: u32,
    columns: Vec<WireColumn>,
) -> io::Result<()> {
    out.reply(id, &[], &columns).await
}

async fn answer<W: AsyncWrite + Unpin>(
    session: &mut AdminSession,
    sql: &str,
    out: QueryResultWriter<'_, W>,
) -> io::Result<()> {
    let (mut answers, error) = session.run(sql).await;
    match (error, answers.pop()) {
        (Some(error), _) => out.error(kind(&error), error.to_string().as_bytes()).await,
        (None, Some(Answer::Rows(rows))) => write_rows(&rows, out).await,
        (None, Some(Answer::Done(_))) => out.completed(OkResponse::default()).await,
        (None, None) => out.error(ErrorKind::ER_EMPTY_QUERY, b"Query was empty").await,
    }
}

async fn write_rows<W: AsyncWrite + Unpin>(rows: &AdminRows, out: QueryResultWriter<'_, W>) -> io::Result<()> {
    let columns = wire_columns(&rows.columns);
    let mut out = out.start(&columns).await?;
    for row in &rows.rows {
        for value in row {
            match value {
                Value::Null => out.write_col(None::<&str>)?,
                Value::Text(text) => out.write_col(text.as_str())?,
                Value::Integer(number) => out.write_col(*number)?,
            }
        }
        out.end_row().await?;
    }
    out.finish().await
}

fn wire_columns(columns: &[Column]) -> Vec<WireColumn> {
    let wire = |column: &Column| WireColumn {
        table: String::new(),
        column: column.name.clone(),
        coltype: match column.kind {
            ColumnKind::Text => ColumnType::MYSQL_TYPE_VAR_STRING,
            ColumnKind::Integer => ColumnType::MYSQL_TYPE_LONGLONG,
        },
        colflags: ColumnFlags::empty(),
    };
    columns.iter().map(wire).collect()
}

/// opensrv-mysql's name of an error's number; its own conversion panics on numbers that it does not know.
fn kind(error: &MeshError) -> ErrorKind {
    match error.code().errno {
        1044 => ErrorKind::ER_DBACCESS_DENIED_ERROR,
        1049 => ErrorKind::ER_BAD_DB_ERROR,
        1053 => ErrorKind::ER_SERVER_SHUTDOWN,
        1064 => ErrorKind::ER_PARSE_ERROR,
        1094 => ErrorKind::ER_NO_SUCH_THREAD,
        1226 => ErrorKind::ER_USER_LIMIT_REACHED,
        1231 => ErrorKind::ER_WRONG_VALUE_FOR_VAR,
        1235 => ErrorKind::ER_NOT_SUPPORTED_YET,
        1317 => ErrorKind::ER_QUERY_INTERRUPTED,
        1429 => ErrorKind::ER_CONNECT_TO_FOREIGN_DATA_SOURCE,
        1430 => ErrorKind::ER_QUERY_ON_FOREIGN_DATA_SOURCE,
        _ => ErrorKind::ER_UNKNOWN_ERROR,
    }
}
