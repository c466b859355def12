//! Configuration: TOML text to a checked [`Config`], every fault of a file reported at once with file and line.
//!
//! Two steps: `document` reads what was written against the key table, `check` says what is true.
//! Out: sockets and the clock; the only I/O is reading the file and the files and environment variables that hold secrets.

mod check;
mod document;
mod error;
mod keys;
mod model;
mod raw;
mod reload;
mod secret;
#[cfg(test)]
mod tests;
mod words;

pub use error::ConfigError;
pub use keys::{KEYS, Key, Kind, Reload, SECTIONS, Section};
pub use model::{
    Admin, Config, Credential, Database, Limits, Listen, Log, Pool, Server, ServerAddress, Shard, TablePlacement,
    TableRule, Timeouts, Tls, User, Versions,
};
pub use reload::Changes;
pub use secret::Secret;
pub use words::{AuthMethod, LogFormat, LogLevel, Protocol, ShardFunction, TableType, TransactionType};

use std::path::{Path, PathBuf};

/// Values given on the command line; they stand above the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(&'static str, String)>);

impl Overrides {
    /// Sets the key `name` (of a section that is not repeated) to `value` as if the file said so.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every fault found, in the order of lines.
    pub fn load(path: &Path) -> Result<Self, Vec<ConfigError>> {
        Self::load_with(path, &Overrides::default())
    }

    /// As [`Config::load`], with values that stand above the file.
    ///
    /// # Errors
    /// Every fault found, in the order of lines.
    pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Self, Vec<ConfigError>> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            vec![ConfigError {
                file: path.display().to_string(),
                line: 0,
                message: format!("cannot read the file: {e}"),
            }]
        })?;
        Self::parse_with(&text, path, overrides)
    }

    /// Checks the text of a file called `name`; relative paths in it start at the folder of `name`.
    ///
    /// # Errors
    /// Every fault found, in the order of lines.
    pub fn parse(text: &str, name: impl Into<PathBuf>) -> Result<Self, Vec<ConfigError>> {
        Self::parse_with(text, &name.into(), &Overrides::default())
    }

    /// As [`Config::parse`], with values that stand above the file.
    ///
    /// # Errors
    /// Every fault found, in the order of lines.
    pub fn parse_with(text: &str, file: &Path, overrides: &Overrides) -> Result<Self, Vec<ConfigError>> {
        let mut faults = error::Faults::new(file, text);
        let raw = document::read(text, &overrides.0, &mut faults);
        let config = check::check(raw, file, &mut faults);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults.into_errors()),
        }
    }
}
