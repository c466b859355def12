//! What the asking process and the keeper say to each other: one JSON object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A signal that ends a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopSignal {
    /// SIGKILL: at once, as in a crash.
    Kill,
    /// SIGTERM: MariaDB's orderly stop.
    Terminate,
    /// SIGINT: PostgreSQL's fast stop.
    Interrupt,
    /// SIGQUIT: PostgreSQL's immediate stop, which takes its children along.
    Quit,
    /// SIGSTOP: freezes the process; it keeps its connections and answers nothing.
    Pause,
    /// SIGCONT: lets a frozen process go on.
    Resume,
}

impl StopSignal {
    /// The word used on a command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate => "terminate",
            Self::Interrupt => "interrupt",
            Self::Quit => "quit",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// The signal of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Kill, Self::Terminate, Self::Interrupt, Self::Quit, Self::Pause, Self::Resume]
            .into_iter()
            .find(|signal| signal.word() == word)
    }

    /// Whether the process ends by it.
    #[must_use]
    pub fn ends(self) -> bool {
        !matches!(self, Self::Pause | Self::Resume)
    }

    pub(super) fn signal(self) -> rustix::process::Signal {
        use rustix::process::Signal;
        match self {
            Self::Kill => Signal::KILL,
            Self::Terminate => Signal::TERM,
            Self::Interrupt => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::Pause => Signal::STOP,
            Self::Resume => Signal::CONT,
        }
    }
}

/// A program to run under the keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Name by which it is stopped later; one running process per name.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// File that takes its output, appended.
    pub log: PathBuf,
    /// How it is ended when the keeper ends in good order.
    pub orderly: StopSignal,
    /// How it is ended at once: by the kernel when the keeper dies, by the keeper when nothing is to be kept.
    pub sudden: StopSignal,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub id: u64,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(super) enum Action {
    /// Starts it; answered as soon as it is forked.
    Start { process: Process },
    /// Starts it; answered when it has ended.
    Run { process: Process },
    /// Sends a signal; one that ends is answered when the process is gone.
    Signal { name: String, signal: StopSignal },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// The request it answers; 0 for a server that ended without being asked.
    pub id: u64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(super) enum Outcome {
    Started { pid: u32 },
    Ended { name: String, success: bool, status: String },
    Done,
    Failed { error: String },
}
