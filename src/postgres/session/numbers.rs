//! The number of a session: `pg_backend_pid()` tells it, `pg_cancel_backend` and `pg_terminate_backend` take it. A number of
//! ours never is the number of a server's process, so that neither can be taken for the other.
//! Out: the signal itself (`interrupt`). Invariant: a number that a session has learnt hits no other session's backend.

use std::ops::Range;
use std::time::Duration;

use protocol::postgres::frontend::Bind;
use protocol::postgres::{Audience, oid, write};
use sharding::lexer::{self, Dialect, Flags, StatementKind, TokenKind, Tokens};
use sharding::plan::literal;
use sharding::splice::{Edits, Spliced};
use sharding::value::Value;
use transaction::Access;

use super::Session;
use super::effects::Effects;
use super::fault::{Fault, Stop};
use super::simple::{Done, Forwarded};
use crate::config::Protocol;
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::postgres::execution::parameters;
use crate::postgres::statements::Lexed;

/// Words of relations and functions that tell the numbers of a server's processes: beside these `pg_backend_pid()` is that of
/// the backend.
const TELL_PROCESSES: [&str; 5] = ["pg_stat_", "pg_locks", "pg_blocking_pids", "pg_safe_snapshot_", "pg_replication_"];

/// How often it is looked whether a session has ended.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// A statement that does nothing but signal a session.
pub struct Signal {
    /// Whom, and how.
    pub aim: Aim,
    /// What a server is sent instead: it gives the answer.
    pub spliced: Spliced,
}

/// A session that shall be signalled.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    session: u32,
    reason: Reason,
    /// How long its end is waited for.
    wait: Option<Duration>,
}

/// Who is named in the call.
enum Named {
    Number(i64),
    /// The parameter of this number, from 0.
    Parameter(usize),
    Myself,
}

/// A call as the only thing that a SELECT has in its list.
struct Call {
    function: &'static str,
    named: Named,
    range: Range<usize>,
    argument: Range<usize>,
    /// What the caller waits at most, in milliseconds.
    timeout: Option<u64>,
}

impl Session {
    /// What stands for a statement that asks for the session's number; `None`: as it came.
    pub(super) fn with_number(&self, text: &[u8], kind: StatementKind) -> Result<Option<Spliced>, Fault> {
        use StatementKind as Kind;
        // Elsewhere the call is kept for later: the default of a column.
        if !matches!(
            kind,
            Kind::Select | Kind::With | Kind::Values | Kind::Insert | Kind::Update | Kind::Delete | Kind::Declare
        ) {
            return Ok(None);
        }
        let Ok(tokens) = lexer::tokens(text, Dialect::Postgres(self.modes)) else { return Ok(None) };
        let edits = number_edits(&tokens, self.entry.id);
        if edits.is_empty() {
            return Ok(None);
        }
        edits.apply(text).map(Some).map_err(|error| MeshError::Internal(error.to_string()).into())
    }

    /// Whom a statement signals, if that is all it does and it is a session of ours; with its parameters, if it has any.
    pub(super) fn signal(
        &self,
        text: &[u8],
        lexed: &Lexed,
        bound: Option<(&Bind<'_>, &[u32])>,
    ) -> Result<Option<Signal>, Fault> {
        if lexed.kind != StatementKind::Select || !lexed.flags.has(Flags::SESSION_NUMBER.with(Flags::UNKNOWN_FUNCTION))
        {
            return Ok(None);
        }
        let dialect = Dialect::Postgres(self.modes);
        let Ok(tokens) = lexer::tokens(text, dialect) else { return Ok(None) };
        let Some(Call { function, named, range, argument, timeout }) = call_alone(&tokens, dialect) else {
            return Ok(None);
        };
        let number = match named {
            Named::Number(number) => Some(number),
            Named::Myself => Some(i64::from(self.entry.id)),
            Named::Parameter(index) => bound.and_then(|(bind, types)| parameter(bind, types, index)),
        };
        let reason = if function == "pg_terminate_backend" { Reason::Session } else { Reason::Query };
        let Some(aim) = number.map(|number| self.aim(number, reason)).transpose()?.flatten() else { return Ok(None) };
        let aim = Aim { wait: timeout.filter(|timeout| *timeout > 0).map(Duration::from_millis), ..aim };
        let mut edits = Edits::new();
        let answer = match named {
            // The parameter stays: the client binds it.
            Named::Parameter(_) => {
                let argument = String::from_utf8_lossy(text.get(argument).unwrap_or_default()).into_owned();
                format!("(SELECT ({argument})::pg_catalog.int4 IS NOT NULL AS {function})")
            }
            _ => format!("(SELECT true AS {function})"),
        };
        edits.replace(range, answer);
        let spliced = edits.apply(text).map_err(|error| MeshError::Internal(error.to_string()))?;
        Ok(Some(Signal { aim, spliced }))
    }

    /// Signals, and gives the client the server's answer.
    pub(super) async fn send_signal(&mut self, signal: Signal) -> Result<Done, Fault> {
        self.strike(signal.aim).await?;
        let mut frame = Vec::with_capacity(signal.spliced.text.len() + 6);
        write::query(&mut frame, &signal.spliced.text);
        let what = Forwarded::query(Effects::default(), None, false, Audience::Client);
        self.forward(&frame, self.home_shard(), Access::Read, what).await
    }

    /// The session of this number, if it may be signalled; `None` if it is none of ours.
    fn aim(&self, number: i64, reason: Reason) -> Result<Option<Aim>, Fault> {
        let Ok(number) = u32::try_from(number) else { return Ok(None) };
        let found = self.mesh.sessions.get(number).filter(|session| session.protocol == Protocol::Postgres);
        let Some(session) = found else {
            if self.front.pools.connector().peers().has(number) {
                let text = format!(
                    "process {number} is a connection that sessions of dbmesh share; name a session by what pg_backend_pid() gives there"
                );
                return Err(MeshError::Unsupported(text).into());
            }
            return Ok(None);
        };
        if session.identity().user != self.entry.identity().user {
            let what = if reason == Reason::Session { "terminate process" } else { "cancel query" };
            return Err(MeshError::NotPermitted(format!("permission denied to {what}")).into());
        }
        Ok(Some(Aim { session: number, reason, wait: None }))
    }

    /// Signals a session. A signal to this one takes effect at once.
    pub(super) async fn strike(&self, aim: Aim) -> Result<(), Fault> {
        if aim.session != self.entry.id {
            if let Some(session) = self.mesh.sessions.get(aim.session) {
                session.interrupt.raise(aim.reason);
            }
            return match aim.wait {
                Some(wait) => self.until_gone(aim.session, wait).await,
                None => Ok(()),
            };
        }
        match aim.reason {
            Reason::Session => Err(Stop::Fatal(MeshError::SessionKilled).into()),
            _ => Err(MeshError::QueryCancelled("canceling statement due to user request".to_owned()).into()),
        }
    }
}

impl Session {
    /// Waits until a session has ended. A server would give false and a warning where it has not.
    async fn until_gone(&self, session: u32, wait: Duration) -> Result<(), Fault> {
        let gone = async {
            while self.mesh.sessions.get(session).is_some() {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        };
        match self.entry.interrupt.guard_statement(tokio::time::timeout(wait, gone)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                let text = format!("session {session} did not terminate within {} milliseconds", wait.as_millis());
                Err(MeshError::Limit(text).into())
            }
            Err(halt) => Err(self.halted(halt)),
        }
    }
}

/// The number in a bound parameter; `None` for NULL and what is no number.
fn parameter(bind: &Bind<'_>, types: &[u32], index: usize) -> Option<i64> {
    if index >= bind.values.len() {
        return None;
    }
    let mut types = types.to_vec();
    types.resize(types.len().max(index + 1), 0);
    if types[index] == 0 {
        types[index] = oid::INT4;
    }
    match parameters::decode(bind, &types, true).into_iter().nth(index)? {
        Value::Int(number) => i64::try_from(number).ok(),
        _ => None,
    }
}

/// Whether the token is this word, quoted or not.
fn is_name(tokens: &Tokens, at: usize, name: &str) -> bool {
    let Some(token) = tokens.list().get(at) else { return false };
    match token.kind {
        TokenKind::Word => tokens.is_word(at, name),
        TokenKind::QuotedIdentifier => lexer::identifier_value(tokens.text(token)) == name.as_bytes(),
        _ => false,
    }
}

fn kind(tokens: &Tokens, at: usize) -> Option<TokenKind> {
    tokens.list().get(at).map(|token| token.kind)
}

fn bytes(tokens: &Tokens, first: usize, last: usize) -> Option<Range<usize>> {
    Some(tokens.list().get(first)?.span.range().start..tokens.list().get(last)?.span.range().end)
}

/// Where the call of `pg_backend_pid()` ends whose name begins at `at`, with or without its schema.
fn own_number(tokens: &Tokens, at: usize) -> Option<usize> {
    let name =
        if is_name(tokens, at, "pg_catalog") && kind(tokens, at + 1) == Some(TokenKind::Dot) { at + 2 } else { at };
    let called = is_name(tokens, name, "pg_backend_pid")
        && kind(tokens, name + 1) == Some(TokenKind::LeftParenthesis)
        && kind(tokens, name + 2) == Some(TokenKind::RightParenthesis);
    called.then_some(name + 2)
}

fn number_edits(tokens: &Tokens, number: u32) -> Edits {
    let mut edits = Edits::new();
    let tells = |token: &lexer::Token| {
        let text = tokens.text(token);
        let text = text.strip_prefix(b"\"").unwrap_or(text);
        TELL_PROCESSES
            .iter()
            .any(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes())))
    };
    if tokens.list().iter().any(tells) {
        return edits;
    }
    let mut at = 0;
    while at < tokens.list().len() {
        let Some(last) = own_number(tokens, at) else {
            at += 1;
            continue;
        };
        // In a list of tables it would need another name; behind a dot it is another function.
        let table = at > 0 && (tokens.is_word(at - 1, "from") || tokens.is_word(at - 1, "join"));
        let other = at > 0 && kind(tokens, at - 1) == Some(TokenKind::Dot);
        if let Some(range) = bytes(tokens, at, last).filter(|_| !table && !other) {
            edits.replace(range, format!("(SELECT {number} AS pg_backend_pid)"));
        }
        at = last + 1;
    }
    edits
}

/// `SELECT f(x)`, perhaps with a label.
fn call_alone(tokens: &Tokens, dialect: Dialect) -> Option<Call> {
    if !tokens.is_word(0, "select") {
        return None;
    }
    let first = 1;
    let qualified = is_name(tokens, first, "pg_catalog") && kind(tokens, first + 1) == Some(TokenKind::Dot);
    let name = if qualified { first + 2 } else { first };
    let function =
        ["pg_terminate_backend", "pg_cancel_backend"].into_iter().find(|word| is_name(tokens, name, word))?;
    if kind(tokens, name + 1)? != TokenKind::LeftParenthesis {
        return None;
    }
    let argument = name + 2;
    let token = tokens.list().get(argument)?;
    let (named, mut last) = match token.kind {
        TokenKind::Placeholder => (Named::Parameter(usize::try_from(token.number).ok()?), argument),
        TokenKind::Literal(class) => {
            let number = match literal(tokens.text(token), class, dialect) {
                Value::Int(number) => i64::try_from(number).ok()?,
                Value::Text(text) => std::str::from_utf8(&text).ok()?.trim().parse().ok()?,
                _ => return None,
            };
            (Named::Number(number), argument)
        }
        _ => (Named::Myself, own_number(tokens, argument)?),
    };
    if tokens.text(tokens.list().get(last + 1)?) == b"::" {
        let types = ["int", "int4", "integer"];
        types.iter().find(|word| tokens.is_word(last + 2, word))?;
        last += 2;
    }
    let (mut close, mut timeout) = (last + 1, None);
    if kind(tokens, close)? == TokenKind::Comma && function == "pg_terminate_backend" {
        let token = tokens.list().get(close + 1)?;
        let TokenKind::Literal(class) = token.kind else { return None };
        let Value::Int(most) = literal(tokens.text(token), class, dialect) else { return None };
        timeout = Some(u64::try_from(most).ok()?);
        close += 2;
    }
    if kind(tokens, close)? != TokenKind::RightParenthesis {
        return None;
    }
    let mut end = close + 1;
    if tokens.is_word(end, "as") {
        end += 1;
    }
    if matches!(kind(tokens, end), Some(TokenKind::Word | TokenKind::QuotedIdentifier)) {
        end += 1;
    }
    if kind(tokens, end) == Some(TokenKind::Semicolon) {
        end += 1;
    }
    let whole = end == tokens.list().len();
    let (range, argument) = (bytes(tokens, first, close)?, bytes(tokens, argument, last)?);
    whole.then_some(Call { function, named, range, argument, timeout })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Tokens {
        lexer::tokens(sql.as_bytes(), Dialect::POSTGRES).expect("readable")
    }

    #[test]
    fn the_number_stands_for_its_function() {
        let edited = |sql: &str| {
            let spliced = number_edits(&read(sql), 7).apply(sql.as_bytes()).expect("fits");
            String::from_utf8(spliced.text).expect("text")
        };
        assert_eq!(edited("SELECT pg_backend_pid(), 1"), "SELECT (SELECT 7 AS pg_backend_pid), 1");
        assert_eq!(edited("select pg_catalog.PG_BACKEND_PID ( )"), "select (SELECT 7 AS pg_backend_pid)");
        for same in [
            "SELECT 1 FROM pg_stat_activity WHERE pid = pg_backend_pid()",
            "SELECT * FROM pg_backend_pid()",
            "SELECT mine.pg_backend_pid(), 'pg_backend_pid()', pg_backend_pid",
        ] {
            assert_eq!(edited(same), same);
        }
    }

    #[test]
    fn calls_that_are_all_a_statement_does() {
        let named = |sql: &str| {
            call_alone(&read(sql), Dialect::POSTGRES).map(|call| match call.named {
                Named::Number(number) => format!("{} {number}", call.function),
                Named::Parameter(index) => format!("{} ${index}", call.function),
                Named::Myself => format!("{} me", call.function),
            })
        };
        assert_eq!(named("SELECT pg_terminate_backend(12)").as_deref(), Some("pg_terminate_backend 12"));
        assert_eq!(
            named("select pg_catalog.pg_cancel_backend('12'::int) AS done;").as_deref(),
            Some("pg_cancel_backend 12")
        );
        assert_eq!(named("SELECT pg_cancel_backend($1)").as_deref(), Some("pg_cancel_backend $0"));
        assert_eq!(
            named("SELECT pg_terminate_backend(pg_backend_pid()) ok").as_deref(),
            Some("pg_terminate_backend me")
        );
        for other in [
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
            "SELECT pg_terminate_backend(12), 1",
            "SELECT pg_terminate_backend(12, -1)",
            "SELECT pg_cancel_backend(12, 500)",
            "SELECT pg_terminate_backend(12) WHERE false",
            "SELECT mine.pg_terminate_backend(12)",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
