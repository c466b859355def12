//! Runs a client program to its end: output collected, a deadline, a failure that shows all it said.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A client program and its arguments.
pub struct Tool {
    command: Command,
    shown: String,
    input: String,
    most: Duration,
}

/// What it said.
pub struct Said {
    /// It exited with 0.
    pub success: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub errors: String,
}

/// Something that `tests/install.sh` puts beside the build.
pub fn installed(path: &str) -> PathBuf {
    let build = super::program().ancestors().nth(2).expect("the build folder");
    let installed = build.join(path);
    assert!(installed.exists(), "{} is not there: `make test` makes it", installed.display());
    installed
}

/// The Python of the private environment that `tests/install.sh` makes.
pub fn python() -> PathBuf {
    installed("python/bin/python")
}

impl Tool {
    /// A program of PATH; one minute to run.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        Self {
            command: Command::new(&program),
            shown: program.display().to_string(),
            input: String::new(),
            most: Duration::from_secs(60),
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(argument.as_ref());
            self.command.arg(argument.as_ref());
        }
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in this folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads from its standard input.
    pub fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    /// Longest time it may run.
    pub fn within(mut self, most: Duration) -> Self {
        self.most = most;
        self
    }

    /// Runs it; panics only when it cannot be run or does not end in time.
    #[track_caller]
    pub fn run(self) -> Said {
        self.run_in_time().unwrap_or_else(|late| panic!("{late}"))
    }

    /// Runs it; an error, with all it said, when it does not end in time.
    #[track_caller]
    pub fn run_in_time(mut self) -> Result<Said, String> {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.shown));
        let mut pipe = child.stdin.take().expect("a pipe");
        let input = self.input;
        thread::spawn(move || {
            // A program that ends before it has read all is judged by its exit.
            let _ = pipe.write_all(input.as_bytes());
        });
        let collect = |pipe: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = pipe {
                    pipe.read_to_end(&mut bytes).expect("output of a tool can be read");
                }
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let out = collect(child.stdout.take().map(|pipe| Box::new(pipe) as _));
        let errors = collect(child.stderr.take().map(|pipe| Box::new(pipe) as _));
        let deadline = Instant::now() + self.most;
        let status = loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => {
                    child.kill().expect("a child can be killed");
                    child.wait().expect("a child can be waited for");
                    break None;
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let (out, errors) = (out.join().expect("collected"), errors.join().expect("collected"));
        let Some(status) = status else {
            return Err(format!("{} did not end within {:?}\n{out}\n{errors}", self.shown, self.most));
        };
        Ok(Said { success: status.success(), out, errors })
    }

    /// Runs it, and returns its standard output; panics when it fails.
    #[track_caller]
    pub fn ok(self) -> String {
        let shown = self.shown.clone();
        let said = self.run();
        assert!(said.success, "{shown} failed\n{}\n{}", said.out, said.errors);
        said.out
    }
}
