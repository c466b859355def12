//! The keeper's own side: holds the servers, reads requests, and stops everything when the pipe reaches its end.
//! Invariant: only the main thread forks, since a parent-death signal comes when the forking thread ends.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::wire::{Action, Outcome, Process, Reply, Request, StopSignal};

/// This very program, also when its file was replaced or lies where the servers' user may not look.
pub(super) const OURSELVES: &str = "/proc/self/exe";
/// How often ended children are looked for while someone waits for one.
const LOOK_BUSY: Duration = Duration::from_millis(10);
/// How often they are looked for otherwise.
const LOOK_IDLE: Duration = Duration::from_millis(250);
/// How long an orderly stop may take before the sudden one.
const ORDERLY_STOP_MAX: Duration = Duration::from_secs(20);
/// How long a sudden stop may take before SIGKILL, and SIGKILL before giving up.
const SUDDEN_STOP_MAX: Duration = Duration::from_secs(5);

/// `__keeper exec SIGNAL PARENT PROGRAM ARGUMENTS...`: asks for the parent-death signal, then becomes the program.
pub(super) fn become_server(arguments: &[OsString]) -> ExitCode {
    let parsed = match arguments {
        [signal, parent, program, rest @ ..] => {
            let signal = signal.to_str().and_then(StopSignal::from_word);
            let parent = parent.to_str().and_then(|text| text.parse::<i32>().ok());
            signal.zip(parent).map(|(signal, parent)| (signal, parent, program, rest))
        }
        _ => None,
    };
    let Some((signal, parent, program, rest)) = parsed else {
        eprintln!("dbmesh: the exec stage takes a signal, a parent and a program");
        return ExitCode::from(2);
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(signal.signal())) {
        eprintln!("dbmesh: no parent-death signal: {error}");
        return ExitCode::from(126);
    }
    // A parent that died before the line above sends no signal any more.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return ExitCode::from(125);
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("dbmesh: {}: {error}", Path::new(program).display());
    ExitCode::from(127)
}

/// `__keeper hold keep|remove DIRECTORY`: serves requests on standard input until it ends.
pub(super) fn hold(arguments: &[OsString]) -> ExitCode {
    let (keep, directory) = match arguments {
        [word, directory] if word == "keep" => (true, PathBuf::from(directory)),
        [word, directory] if word == "remove" => (false, PathBuf::from(directory)),
        _ => {
            eprintln!("dbmesh: the keeper takes keep or remove, and a directory");
            return ExitCode::from(2);
        }
    };
    // Away from the terminal: Ctrl-C is for the process that asked. It fails only if we lead a group already.
    let _ = rustix::process::setsid();

    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });

    let mut children = Children::default();
    loop {
        let look = if children.anyone_waits() { LOOK_BUSY } else { LOOK_IDLE };
        match requests.recv_timeout(look) {
            Ok(line) => match serde_json::from_str::<Request>(&line) {
                Ok(request) => children.act(request),
                Err(error) => say(&Reply { id: 0, outcome: Outcome::Failed { error: error.to_string() } }),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        children.reap();
    }
    children.end_all(keep);
    if !keep {
        // What cannot be removed is left to whoever owns it; there is nobody left to tell.
        let _ = std::fs::remove_dir_all(&directory);
    }
    ExitCode::SUCCESS
}

fn say(reply: &Reply) {
    // The asking process may be gone; the end of its requests then ends us.
    if let Ok(mut line) = serde_json::to_string(reply) {
        line.push('\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(line.as_bytes());
        let _ = out.flush();
    }
}

struct Held {
    child: Child,
    process: Process,
    /// Requests that are answered when it has ended.
    waiters: Vec<u64>,
}

#[derive(Default)]
struct Children {
    held: HashMap<String, Held>,
}

impl Children {
    fn anyone_waits(&self) -> bool {
        self.held.values().any(|held| !held.waiters.is_empty())
    }

    fn act(&mut self, request: Request) {
        let id = request.id;
        let outcome = match request.action {
            Action::Start { process } => match self.spawn(process, Vec::new()) {
                Ok(pid) => Outcome::Started { pid },
                Err(error) => Outcome::Failed { error },
            },
            Action::Run { process } => match self.spawn(process, vec![id]) {
                Ok(_) => return,
                Err(error) => Outcome::Failed { error },
            },
            Action::Signal { name, signal } => match self.held.get_mut(&name) {
                None => Outcome::Failed { error: format!("`{name}` does not run") },
                Some(held) => match send(&held.child, signal) {
                    Err(error) => Outcome::Failed { error },
                    Ok(()) if signal.ends() => {
                        held.waiters.push(id);
                        return;
                    }
                    Ok(()) => Outcome::Done,
                },
            },
        };
        say(&Reply { id, outcome });
    }

    fn spawn(&mut self, process: Process, waiters: Vec<u64>) -> Result<u32, String> {
        self.reap();
        if self.held.contains_key(&process.name) {
            return Err(format!("`{}` runs already", process.name));
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&process.log)
            .map_err(|error| format!("{}: {error}", process.log.display()))?;
        let errors = log.try_clone().map_err(|error| format!("{}: {error}", process.log.display()))?;
        let child = Command::new(OURSELVES)
            .args([super::KEEPER_COMMAND, "exec", process.sudden.word()])
            .arg(std::process::id().to_string())
            .arg(&process.program)
            .args(&process.arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", process.program.display()))?;
        let pid = child.id();
        self.held.insert(process.name.clone(), Held { child, process, waiters });
        Ok(pid)
    }

    /// Tells about the children that have ended, and forgets them.
    fn reap(&mut self) {
        self.held.retain(|name, held| {
            let Ok(Some(status)) = held.child.try_wait() else { return true };
            let ids = if held.waiters.is_empty() { vec![0] } else { std::mem::take(&mut held.waiters) };
            for id in ids {
                say(&Reply { id, outcome: ended(name, status) });
            }
            false
        });
    }

    fn end_all(&mut self, orderly: bool) {
        if orderly {
            self.signal_all(|process| process.orderly);
            self.wait_all(ORDERLY_STOP_MAX);
        }
        self.signal_all(|process| process.sudden);
        self.wait_all(SUDDEN_STOP_MAX);
        self.signal_all(|_| StopSignal::Kill);
        self.wait_all(SUDDEN_STOP_MAX);
    }

    fn signal_all(&self, choose: impl Fn(&Process) -> StopSignal) {
        for held in self.held.values() {
            let _ = send(&held.child, choose(&held.process));
            // A frozen process would not see any other signal than SIGKILL.
            let _ = send(&held.child, StopSignal::Resume);
        }
    }

    fn wait_all(&mut self, most: Duration) {
        let deadline = Instant::now() + most;
        loop {
            self.held.retain(|_, held| !matches!(held.child.try_wait(), Ok(Some(_)) | Err(_)));
            if self.held.is_empty() || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(LOOK_BUSY);
        }
    }
}

/// Signals a child that was not waited for yet, so that its number cannot belong to another process.
fn send(child: &Child, signal: StopSignal) -> Result<(), String> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| "a process number out of range".to_owned())?;
    rustix::process::kill_process(pid, signal.signal()).map_err(|error| error.to_string())
}

fn ended(name: &str, status: ExitStatus) -> Outcome {
    Outcome::Ended { name: name.to_owned(), success: status.success(), status: status.to_string() }
}
