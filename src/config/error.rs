//! Faults of a configuration file, collected rather than returned one by one.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: String,
    /// Line, counted from 1; 0 where no line of the file is at fault.
    pub line: usize,
    /// What is wrong, in one line, never with a secret in it.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Where in the text something stands: bytes of the text, or nowhere (a value from the command line).
pub(super) type Place = Range<usize>;

/// The place of what is not in the file.
pub(super) const NOWHERE: Place = usize::MAX..usize::MAX;

/// The faults found so far.
pub(super) struct Faults<'t> {
    file: String,
    text: &'t str,
    errors: Vec<ConfigError>,
    /// Keys whose value was of the wrong kind and is taken out: they are not "missing" as well.
    taken_out: Vec<(&'static str, usize)>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(file: &Path, text: &'t str) -> Self {
        Self { file: file.display().to_string(), text, errors: Vec::new(), taken_out: Vec::new() }
    }

    /// Notes that the value of `key` in the table at `owner` is taken out.
    pub(super) fn take_out(&mut self, key: &'static str, owner: &Place) {
        self.taken_out.push((key, owner.start));
    }

    /// Whether the value of `key` in the table at `owner` was there and taken out.
    pub(super) fn was_taken_out(&self, key: &str, owner: &Place) -> bool {
        let mut all = self.taken_out.iter();
        all.any(|(k, start)| *k == key && *start == owner.start)
    }

    /// Adds a fault at `place`.
    pub(super) fn add(&mut self, place: &Place, message: impl Into<String>) {
        let line = match self.text.as_bytes().get(..place.start) {
            Some(before) => before.iter().filter(|b| **b == b'\n').count() + 1,
            None => 0,
        };
        let error = ConfigError { file: self.file.clone(), line, message: message.into() };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The faults in the order of lines.
    pub(super) fn into_errors(mut self) -> Vec<ConfigError> {
        self.errors.sort_by_key(|e| e.line);
        self.errors
    }
}
