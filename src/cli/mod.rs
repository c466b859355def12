//! The command line: arguments to a command, its failure to one line on stderr and a non-zero exit code.
//! Out: what the commands do; each has its file and calls the room that knows.

mod check;
mod plan;
mod setup;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError, Log, LogFormat, LogLevel, Overrides, Protocol};
use crate::demo::{self, DemoOptions};
use crate::log::LogControl;
use crate::serve::Running;

/// A database mesh sidecar: MySQL and PostgreSQL applications talk to shards through it.
#[derive(Debug, Parser)]
#[command(name = "dbmesh", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves applications and operators.
    Serve {
        #[command(flatten)]
        file: FileArgument,
        #[command(flatten)]
        overrides: OverrideArguments,
    },
    /// Reads the configuration, connects to every shard, and says what is missing and where shards differ.
    Check {
        #[command(flatten)]
        file: FileArgument,
    },
    /// Creates the record tables of transactions on every shard; does nothing where they exist.
    Setup {
        #[command(flatten)]
        file: FileArgument,
    },
    /// Starts private MariaDB and PostgreSQL shards, loads the shop, and serves it until stopped.
    Demo {
        /// Folder for the servers' data, kept at the end; a temporary one otherwise.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Shards of each kind.
        #[arg(long, value_name = "N", default_value_t = 2)]
        shards: usize,
        #[command(flatten)]
        overrides: OverrideArguments,
    },
    /// Prints how a statement would run, without running it.
    Plan(plan::PlanArguments),
}

#[derive(Debug, Args)]
struct FileArgument {
    /// Configuration file.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: PathBuf,
}

/// What stands above the configuration file.
#[derive(Debug, Args)]
struct OverrideArguments {
    /// Address for applications by the MySQL protocol, or off.
    #[arg(long, value_name = "IP:PORT")]
    mysql: Option<String>,
    /// Address for applications by the PostgreSQL protocol, or off.
    #[arg(long, value_name = "IP:PORT")]
    postgres: Option<String>,
    /// Address of admin SQL by the MySQL protocol, or off.
    #[arg(long, value_name = "IP:PORT")]
    admin_mysql: Option<String>,
    /// Address of admin SQL by the PostgreSQL protocol, or off.
    #[arg(long, value_name = "IP:PORT")]
    admin_postgres: Option<String>,
    /// Address of /metrics, /healthz and /readyz, or off.
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// Threads that serve sessions; 0 means one per core.
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Least severe level of log lines.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl OverrideArguments {
    fn overrides(self) -> Overrides {
        let mut overrides = Overrides::default();
        for (name, value) in [
            ("listen.mysql", self.mysql),
            ("listen.postgres", self.postgres),
            ("listen.admin_mysql", self.admin_mysql),
            ("listen.admin_postgres", self.admin_postgres),
            ("listen.http", self.http),
            ("workers", self.workers),
            ("log.level", self.log_level),
        ] {
            if let Some(value) = value {
                overrides.set(name, value);
            }
        }
        overrides
    }
}

/// A protocol as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProtocolArgument {
    Mysql,
    Postgres,
}

impl From<ProtocolArgument> for Protocol {
    fn from(argument: ProtocolArgument) -> Self {
        match argument {
            ProtocolArgument::Mysql => Self::MySql,
            ProtocolArgument::Postgres => Self::Postgres,
        }
    }
}

/// Why a command failed: lines for stderr. All of one file's faults are there, one a line.
#[derive(Debug)]
struct Failure(Vec<String>);

impl Failure {
    fn line(text: impl ToString) -> Self {
        // One line, whatever a server or the system put into its message.
        Self(vec![text.to_string().lines().collect::<Vec<_>>().join(" ")])
    }
}

impl From<Vec<ConfigError>> for Failure {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors.iter().map(ToString::to_string).collect())
    }
}

/// Runs the command that the arguments (without the program's name) ask for.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let named = std::iter::once(OsString::from("dbmesh")).chain(arguments);
    let arguments = match Arguments::try_parse_from(named) {
        Ok(arguments) => arguments,
        Err(answer) => {
            // --help and --version come this way too, and are no failure.
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let done = match arguments.command {
        Command::Serve { file, overrides } => serve(&file, overrides.overrides()),
        Command::Check { file } => check::run(&file.config),
        Command::Setup { file } => setup::run(&file.config),
        Command::Demo { dir, shards, overrides } => run_demo(dir, shards, overrides.overrides()),
        Command::Plan(arguments) => plan::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(lines)) => {
            for line in lines {
                eprintln!("dbmesh: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn serve(file: &FileArgument, overrides: Overrides) -> Result<(), Failure> {
    let config = Config::load_with(&file.config, &overrides)?;
    let log = LogControl::start(&config.log).map_err(Failure::line)?;
    runtime(true)?.block_on(async {
        let running = Running::start(config, overrides, log).map_err(Failure::line)?;
        let addresses = running.addresses();
        tracing::info!(
            mysql = shown(addresses.mysql),
            postgres = shown(addresses.postgres),
            admin_mysql = shown(addresses.admin_mysql),
            admin_postgres = shown(addresses.admin_postgres),
            http = shown(addresses.http),
            "serving"
        );
        let told = running.until_told_to_stop().await;
        tracing::info!("stopping");
        running.stop().await;
        told.map_err(Failure::line)
    })
}

fn shown(address: Option<std::net::SocketAddr>) -> String {
    address.map_or_else(|| "off".to_owned(), |address| address.to_string())
}

fn run_demo(directory: Option<PathBuf>, shards: usize, overrides: Overrides) -> Result<(), Failure> {
    // What the demo says is its own; log lines are for what goes wrong, unless asked for.
    let log = Log { level: LogLevel::Warn, format: LogFormat::Text, slow: None, literals: false };
    let log = LogControl::start(&log).map_err(Failure::line)?;
    demo::run(DemoOptions { directory, shards, overrides }, &log).map_err(Failure::line)
}

/// A runtime for what belongs to no worker: with a thread of its own for serving, on this thread otherwise.
fn runtime(serving: bool) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match serving {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    builder
        .worker_threads(1)
        .thread_name("dbmesh")
        .enable_all()
        .build()
        .map_err(|error| Failure::line(format!("no threads: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent_and_documented() {
        Arguments::command().debug_assert();
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|a| !["help", "version"].contains(&a.get_id().as_str())) {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn flags_stand_above_the_file() {
        let arguments =
            ["dbmesh", "serve", "-c", "a.toml", "--mysql", "127.0.0.1:1", "--http", "off", "--workers", "3"];
        let Command::Serve { file, overrides } = Arguments::parse_from(arguments).command else {
            panic!("another command");
        };
        assert_eq!(file.config, PathBuf::from("a.toml"));
        let config = Config::parse_with("", &file.config, &overrides.overrides()).expect("valid");
        assert_eq!(config.listen.mysql, "127.0.0.1:1".parse().ok());
        assert_eq!((config.listen.http, config.workers), (None, 3));
        assert_eq!(config.listen.postgres, "127.0.0.1:6432".parse().ok());
    }

    #[test]
    fn a_failure_is_one_line_whatever_its_cause_says() {
        assert_eq!(Failure::line("a\nb\r\nc").0, ["a b c"]);
    }
}
