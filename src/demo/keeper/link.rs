//! The asking process's side of the keeper: starts it, sends requests, hands out the answers.
//! Dropping the last link ends the keeper and all it holds. Calls block: they belong on a thread that may wait.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{Action, Outcome, Process, Reply, Request, StopSignal};
use crate::demo::unprivileged::Unprivileged;

/// How long the keeper may take to fork.
const START_MAX: Duration = Duration::from_secs(20);
/// How long an ended or signalled process may take to be gone.
const SIGNAL_MAX: Duration = Duration::from_secs(60);
/// How long the keeper may take to stop everything.
const CLOSE_MAX: Duration = Duration::from_secs(40);

/// Why a request to the keeper failed.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The keeper could not be started.
    #[error("the keeper of the private servers does not start: {0}")]
    Start(std::io::Error),
    /// The keeper is gone, and with it every server.
    #[error("the keeper of the private servers is gone")]
    Gone,
    /// No answer in time.
    #[error("no answer within {} s: {what}", .after.as_secs())]
    TooLong {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The keeper says why not.
    #[error("{0}")]
    Refused(String),
    /// A program that runs to its end failed.
    #[error("{name} failed ({status}): {reason}")]
    Program {
        /// The name it ran under.
        name: String,
        /// Its exit status.
        status: String,
        /// The last line of its output.
        reason: String,
    },
}

/// How a keeper is started.
#[derive(Debug, Clone)]
pub struct KeeperOptions {
    /// The dbmesh program; `None` is the running one.
    pub program: Option<PathBuf>,
    /// The directory that is removed at the end, unless kept.
    pub directory: PathBuf,
    /// Stop the servers in good order and leave the directory.
    pub keep: bool,
}

type Waiters = Arc<Mutex<HashMap<u64, mpsc::Sender<Outcome>>>>;

/// A running keeper.
#[derive(Debug)]
pub struct Keeper {
    requests: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
    waiters: Waiters,
    ended: Mutex<mpsc::Receiver<String>>,
    next: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Starts a keeper as `user`.
    ///
    /// # Errors
    /// [`KeeperError::Start`] when the program cannot be run.
    pub fn start(options: &KeeperOptions, user: &Unprivileged) -> Result<Self, KeeperError> {
        let program = options.program.as_deref().unwrap_or(Path::new(super::hold::OURSELVES));
        // Run through its open file: the user of the servers may not be allowed to look into its folder.
        let file = File::open(program).map_err(KeeperError::Start)?;
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        command
            .args([super::KEEPER_COMMAND, "hold", if options.keep { "keep" } else { "remove" }])
            .arg(&options.directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some((uid, gid)) = user.change_to() {
            command.uid(uid).gid(gid);
        }
        let mut child = command.spawn().map_err(KeeperError::Start)?;
        drop(file);
        let piped = || KeeperError::Start(std::io::Error::other("no pipe"));
        let requests = child.stdin.take().ok_or_else(piped)?;
        let replies = child.stdout.take().ok_or_else(piped)?;
        let waiters = Waiters::default();
        let (sender, ended) = mpsc::channel();
        let readers_waiters = Arc::clone(&waiters);
        std::thread::Builder::new()
            .name("keeper-replies".to_owned())
            .spawn(move || read_replies(replies, &readers_waiters, &sender))
            .map_err(KeeperError::Start)?;
        Ok(Self {
            requests: Mutex::new(Some(requests)),
            child: Mutex::new(child),
            waiters,
            ended: Mutex::new(ended),
            next: AtomicU64::new(1),
        })
    }

    /// The keeper's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        locked(&self.child).id()
    }

    /// Starts a server and returns its process number.
    ///
    /// # Errors
    /// [`KeeperError`]; a program that exists but fails is noticed only by its absence.
    pub fn spawn(&self, process: Process) -> Result<u32, KeeperError> {
        let what = format!("starting {}", process.name);
        match self.ask(Action::Start { process }, &what, START_MAX)? {
            Outcome::Started { pid } => Ok(pid),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// [`KeeperError::Program`] with the last line of its output when it fails.
    pub fn run(&self, process: Process, most: Duration) -> Result<(), KeeperError> {
        let what = format!("running {}", process.name);
        let log = process.log.clone();
        match self.ask(Action::Run { process }, &what, most)? {
            Outcome::Ended { success: true, .. } => Ok(()),
            Outcome::Ended { name, status, .. } => Err(KeeperError::Program { name, status, reason: last_line(&log) }),
            other => Err(unexpected(&other)),
        }
    }

    /// Signals a server; when the signal ends it, returns when it is gone.
    ///
    /// # Errors
    /// [`KeeperError::Refused`] when no such server runs.
    pub fn signal(&self, name: &str, signal: StopSignal) -> Result<(), KeeperError> {
        let what = format!("the end of {name}");
        match self.ask(Action::Signal { name: name.to_owned(), signal }, &what, SIGNAL_MAX)? {
            Outcome::Ended { .. } | Outcome::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The name of a server that ended without being asked to, if there is one.
    #[must_use]
    pub fn died(&self) -> Option<String> {
        locked(&self.ended).try_recv().ok()
    }

    /// Ends the keeper, which stops what it holds, and waits for it.
    pub fn close(&self) {
        if locked(&self.requests).take().is_none() {
            return;
        }
        let deadline = Instant::now() + CLOSE_MAX;
        let mut child = locked(&self.child);
        while Instant::now() < deadline {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // Its death ends the servers too.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn ask(&self, action: Action, what: &str, most: Duration) -> Result<Outcome, KeeperError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel();
        locked(&self.waiters).insert(id, sender);
        let answer = self.send(&Request { id, action }).and_then(|()| {
            receiver.recv_timeout(most).map_err(|error| match error {
                RecvTimeoutError::Timeout => KeeperError::TooLong { what: what.to_owned(), after: most },
                RecvTimeoutError::Disconnected => KeeperError::Gone,
            })
        });
        locked(&self.waiters).remove(&id);
        match answer? {
            Outcome::Failed { error } => Err(KeeperError::Refused(error)),
            outcome => Ok(outcome),
        }
    }

    fn send(&self, request: &Request) -> Result<(), KeeperError> {
        let mut line = serde_json::to_string(request).map_err(|error| KeeperError::Refused(error.to_string()))?;
        line.push('\n');
        let mut requests = locked(&self.requests);
        let pipe = requests.as_mut().ok_or(KeeperError::Gone)?;
        pipe.write_all(line.as_bytes()).and_then(|()| pipe.flush()).map_err(|_| KeeperError::Gone)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

fn read_replies(replies: ChildStdout, waiters: &Waiters, died: &mpsc::Sender<String>) {
    for line in BufReader::new(replies).lines() {
        let Ok(line) = line else { break };
        let Ok(reply) = serde_json::from_str::<Reply>(&line) else { continue };
        if let Some(waiter) = locked(waiters).remove(&reply.id) {
            let _ = waiter.send(reply.outcome);
        } else if let Outcome::Ended { name, .. } = reply.outcome {
            let _ = died.send(name);
        }
    }
    // Whoever still waits learns that there will be no answer.
    locked(waiters).clear();
}

fn unexpected(outcome: &Outcome) -> KeeperError {
    KeeperError::Refused(format!("an unexpected answer: {outcome:?}"))
}

/// The last line of a log that says something.
#[must_use]
fn last_line(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| format!("see {}", log.display()), str::to_owned)
}
