//! Logs to stderr: set up once from the configuration, level changed by a reload; the line of a slow statement.
//! Out: what is logged elsewhere. Invariant: no literal of a client's statement is printed unless `log.literals` says so.

use std::io;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{Log, LogFormat, LogLevel, Protocol};

/// Most bytes of a statement in a log line.
const TEXT_MAX: usize = 4096;

/// Changes the level while the process runs.
#[derive(Debug, Clone)]
pub struct LogControl {
    level: reload::Handle<LevelFilter, Registry>,
}

impl LogControl {
    /// Starts logging to stderr; the process does this once.
    ///
    /// # Errors
    /// Logging was started already.
    pub fn start(log: &Log) -> Result<Self, String> {
        let (filter, level) = reload::Layer::new(filter(log.level));
        let registry = tracing_subscriber::registry().with(filter);
        match log.format {
            LogFormat::Text => {
                let colours = io::IsTerminal::is_terminal(&io::stderr());
                registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colours).with_target(false)).try_init()
            }
            LogFormat::Json => registry.with(fmt::layer().json().with_writer(io::stderr).with_target(false)).try_init(),
        }
        .map_err(|error| error.to_string())?;
        Ok(Self { level })
    }

    /// Puts another level in force.
    pub fn set_level(&self, level: LogLevel) {
        // It fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = self.level.reload(filter(level));
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// What is known of a statement that ended.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'s> {
    /// Protocol.
    pub protocol: Protocol,
    /// The session's id.
    pub session: u32,
    /// Front user.
    pub user: &'s str,
    /// Logical database.
    pub database: &'s str,
    /// How it ran: `single`, `scatter`...
    pub tier: &'static str,
    /// On how many shards.
    pub shards: usize,
    /// From its arrival to the last byte of its answer.
    pub took: Duration,
    /// Of that, waiting for backends.
    pub waited: Duration,
    /// Its text as the client sent it.
    pub sql: &'s [u8],
}

/// Logs a statement if it was slow. `normalised` gives its text without literals, and is called only then.
pub fn slow(log: &Log, statement: &Statement<'_>, normalised: impl FnOnce() -> String) {
    if log.slow.is_none_or(|slow| statement.took < slow) {
        return;
    }
    let text = match log.literals {
        true => String::from_utf8_lossy(&statement.sql[..statement.sql.len().min(TEXT_MAX)]).into_owned(),
        false => normalised(),
    };
    tracing::warn!(
        protocol = statement.protocol.as_str(),
        session = statement.session,
        user = statement.user,
        database = statement.database,
        tier = statement.tier,
        shards = statement.shards,
        took_ms = millis(statement.took),
        waited_ms = millis(statement.waited),
        sql = one_line(&text),
        "slow statement"
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The text on one line and of bounded length.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect();
    if line.len() < text.len() && text.chars().nth(TEXT_MAX).is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: &Log, took_ms: u64) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::registry().with(fmt::layer().with_ansi(false).with_writer(move || writer.clone()));
        let statement = Statement {
            protocol: Protocol::MySql,
            session: 7,
            user: "app",
            database: "shop",
            tier: "single",
            shards: 1,
            took: Duration::from_millis(took_ms),
            waited: Duration::ZERO,
            sql: b"select *\nfrom t where card = '4111'",
        };
        tracing::subscriber::with_default(subscriber, || {
            slow(log, &statement, || "select * from t where card = ?".to_owned());
        });
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log(literals: bool) -> Log {
        Log { level: LogLevel::Info, format: LogFormat::Text, slow: Some(Duration::from_millis(100)), literals }
    }

    #[test]
    fn a_slow_statement_is_logged_without_its_literals() {
        let line = logged(&log(false), 100);
        assert!(line.contains("slow statement") && line.contains("card = ?") && line.contains("took_ms=100"), "{line}");
        assert!(!line.contains("4111"), "{line}");
    }

    #[test]
    fn literals_are_shown_when_configured_and_stay_on_one_line() {
        let line = logged(&log(true), 100);
        assert!(line.contains("select * from t where card = '4111'"), "{line}");
        assert_eq!(line.trim_end().lines().count(), 1);
    }

    #[test]
    fn a_fast_statement_or_no_limit_logs_nothing() {
        assert_eq!(logged(&log(false), 99), "");
        assert_eq!(logged(&Log { slow: None, ..log(true) }, 99_999), "");
    }

    #[test]
    fn long_text_is_cut() {
        let line = one_line(&"\u{e9}".repeat(TEXT_MAX + 1));
        assert!(line.ends_with("...") && line.chars().count() == TEXT_MAX + 3);
        assert_eq!(one_line("a\tb"), "a b");
    }
}
