//! Private throw-away MariaDB and PostgreSQL servers on loopback ports, held by a keeper.
//! In: making data directories, starting, crashing and restarting servers. Out: what is stored in them.
//! Calls block until the server answers or a deadline passes.

mod mariadb;
mod ports;
mod postgres;
mod programs;
mod ready;

pub use ports::{DEFAULT_PORTS, free_port};

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::keeper::{Keeper, KeeperError, KeeperOptions, Process, StopSignal};
use super::unprivileged::Unprivileged;

/// The all-powerful user of every private server.
pub const SERVER_USER: &str = "dbmesh";
/// How long making one data directory may take.
const CREATE_MAX: Duration = Duration::from_secs(120);
/// How long a server may take from its start to its first answer, recovery included.
const READY_MAX: Duration = Duration::from_secs(60);
/// How often a new server is tried on another port.
const PORT_TRIES: u32 = 5;

/// Why a private server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// From the keeper.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// A program is not installed.
    #[error("{program} is not installed; tests/install.sh installs it")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// A file or directory.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended, or does not answer.
    #[error("{name} does not start: {reason}")]
    Start {
        /// The server's name.
        name: String,
        /// The last line of its log, or what it did not do.
        reason: String,
    },
    /// No free port.
    #[error("no free port in {}-{}", .0.start(), .0.end())]
    Ports(RangeInclusive<u16>),
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// MariaDB, by the MySQL protocol.
    MariaDb,
    /// PostgreSQL.
    Postgres,
}

/// How a set of servers is run.
#[derive(Debug, Clone)]
pub struct ServersOptions {
    /// The dbmesh program that becomes the keeper; `None` is the running one.
    pub program: Option<PathBuf>,
    /// Where their data lies; made when it is absent.
    pub directory: PathBuf,
    /// Stop in good order at the end and leave the directory.
    pub keep: bool,
    /// The ports to choose from.
    pub ports: RangeInclusive<u16>,
    /// Password of [`SERVER_USER`]; letters and digits only.
    pub password: String,
    /// Survive a crash of the machine, not only of the server.
    pub durable: bool,
}

/// A set of private servers.
#[derive(Debug)]
pub struct Servers {
    options: ServersOptions,
    keeper: Keeper,
}

/// A server that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name in this set, and that of its directory.
    pub name: String,
    /// What it speaks.
    pub kind: ServerKind,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Further arguments it was started with.
    pub settings: Vec<String>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Servers {
    /// Makes the directory and starts the keeper; no server yet.
    ///
    /// # Errors
    /// [`ServerError`] when the directory cannot be made or the keeper does not start.
    pub fn open(mut options: ServersOptions) -> Result<Self, ServerError> {
        let directory = options.directory.clone();
        let failed = |error| ServerError::File { path: directory.clone(), error };
        let user = Unprivileged::find().map_err(failed)?;
        std::fs::create_dir_all(&directory).map_err(failed)?;
        options.directory = directory.canonicalize().map_err(failed)?;
        user.give(&options.directory).map_err(failed)?;
        let keeper = Keeper::start(
            &KeeperOptions {
                program: options.program.clone(),
                directory: options.directory.clone(),
                keep: options.keep,
            },
            &user,
        )?;
        Ok(Self { options, keeper })
    }

    /// The directory, as an absolute path.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }

    /// Password of [`SERVER_USER`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.options.password
    }

    /// The keeper, for further processes that must not outlive us.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The keeper's process number.
    #[must_use]
    pub fn keeper_pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// The name of a server that ended by itself, if one has since the last call.
    #[must_use]
    pub fn died(&self) -> Option<String> {
        self.keeper.died()
    }

    /// The log of a server.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.options.directory.join(format!("{name}.log"))
    }

    /// Makes a server's data directory unless it is there, starts it on a free port, and waits until it answers.
    /// `settings` are further arguments of the server program.
    ///
    /// # Errors
    /// [`ServerError`] with the reason in one line.
    pub fn start(&self, kind: ServerKind, name: &str, settings: &[String]) -> Result<Server, ServerError> {
        if !self.data(name).join(CREATED).exists() {
            self.create(kind, name)?;
        }
        let mut tried = 0;
        loop {
            let port = free_port(&self.options.ports)?;
            let server = Server { name: name.to_owned(), kind, port, settings: settings.to_vec() };
            tried += 1;
            match self.launch(&server, Duration::ZERO) {
                // The port may have been taken since we looked.
                Err(ServerError::Start { .. }) if tried < PORT_TRIES && !ports::is_free(port) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
    }

    /// Starts a server again where it was, and waits until it answers; its leftovers may keep it from starting for
    /// some seconds after a crash.
    ///
    /// # Errors
    /// [`ServerError::Start`] when it does not.
    pub fn restart(&self, server: &Server) -> Result<(), ServerError> {
        self.launch(server, READY_MAX)
    }

    /// Kills a server as a crash would; returns when its process is gone.
    ///
    /// # Errors
    /// [`ServerError::Keeper`] when it does not run.
    pub fn kill(&self, server: &Server) -> Result<(), ServerError> {
        Ok(self.keeper.signal(&server.name, StopSignal::Kill)?)
    }

    /// Stops a server in good order; returns when its process is gone.
    ///
    /// # Errors
    /// [`ServerError::Keeper`] when it does not run.
    pub fn stop(&self, server: &Server) -> Result<(), ServerError> {
        Ok(self.keeper.signal(&server.name, orderly(server.kind))?)
    }

    /// Freezes a server: its connections stay open and nothing answers. Its children, if any, go on.
    ///
    /// # Errors
    /// [`ServerError::Keeper`] when it does not run.
    pub fn pause(&self, server: &Server) -> Result<(), ServerError> {
        Ok(self.keeper.signal(&server.name, StopSignal::Pause)?)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// [`ServerError::Keeper`] when it does not run.
    pub fn resume(&self, server: &Server) -> Result<(), ServerError> {
        Ok(self.keeper.signal(&server.name, StopSignal::Resume)?)
    }

    /// Stops all servers and the keeper.
    pub fn close(&self) {
        self.keeper.close();
        if !self.options.keep {
            // Done by the keeper, unless it was killed.
            let _ = std::fs::remove_dir_all(&self.options.directory);
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.options.directory.join(name)
    }

    fn create(&self, kind: ServerKind, name: &str) -> Result<(), ServerError> {
        let data = self.data(name);
        // A try that was cut short.
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(|error| ServerError::File { path: data.clone(), error })?;
        }
        let (program, arguments) = match kind {
            ServerKind::MariaDb => mariadb::creation(self, name)?,
            ServerKind::Postgres => postgres::creation(self, name)?,
        };
        let process = Process {
            name: format!("{name}-creation"),
            program,
            arguments,
            log: self.options.directory.join(format!("{name}-creation.log")),
            orderly: StopSignal::Kill,
            sudden: StopSignal::Kill,
        };
        self.keeper.run(process, CREATE_MAX)?;
        let mark = data.join(CREATED);
        std::fs::write(&mark, b"").map_err(|error| ServerError::File { path: mark, error })
    }

    /// Starts it until it answers; a process that ends is started again until `retry` has passed.
    fn launch(&self, server: &Server, retry: Duration) -> Result<(), ServerError> {
        let begun = Instant::now();
        let log = self.log(&server.name);
        loop {
            let already = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
            let (program, arguments) = match server.kind {
                ServerKind::MariaDb => mariadb::launch(self, server)?,
                ServerKind::Postgres => postgres::launch(self, server)?,
            };
            let pid = self.keeper.spawn(Process {
                name: server.name.clone(),
                program,
                arguments,
                log: log.clone(),
                orderly: orderly(server.kind),
                sudden: match server.kind {
                    ServerKind::MariaDb => StopSignal::Kill,
                    ServerKind::Postgres => StopSignal::Quit,
                },
            })?;
            let Err(reason) = ready::wait(server, pid, Instant::now() + READY_MAX) else { return Ok(()) };
            if matches!(reason, ready::NotReady::Ended) && begun.elapsed() < retry {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            if matches!(reason, ready::NotReady::Silent) {
                let _ = self.keeper.signal(&server.name, StopSignal::Kill);
            }
            return Err(ServerError::Start {
                name: server.name.clone(),
                reason: ready::explain(&log, already, &reason),
            });
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.close();
    }
}

/// Name of the file that says a data directory is complete.
const CREATED: &str = "created-by-dbmesh";

fn orderly(kind: ServerKind) -> StopSignal {
    match kind {
        ServerKind::MariaDb => StopSignal::Terminate,
        ServerKind::Postgres => StopSignal::Interrupt,
    }
}

/// Writes a file that only the servers' user may read: it holds a password.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), ServerError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error| ServerError::File { path: path.to_path_buf(), error };
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Unprivileged::find().and_then(|user| user.give(path)).map_err(failed)
}
