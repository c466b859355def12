//! The command itself: servers, tables, dbmesh in this process, rows through dbmesh, then serving until told to stop.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use super::place::Place;
use super::servers::{DEFAULT_PORTS, SERVER_USER, Server, ServerError, ServerKind, Servers, ServersOptions};
use super::shop::{self, LoadError, Login, Sizes};
use super::{configuration, servers};
use crate::config::{Config, ConfigError, Listen, Overrides};
use crate::log::LogControl;
use crate::serve::{Addresses, Running, StartError};

/// Most shards of each kind: more would only fill the machine.
pub const SHARDS_MAX: usize = 32;
/// Servers that are made and started at the same time.
const AT_ONCE: usize = 4;
/// How often it is looked whether a server died.
const LOOK: Duration = Duration::from_secs(1);

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// Folder for the data, kept at the end; a temporary one when absent.
    pub directory: Option<PathBuf>,
    /// Shards of each kind, 1 to [`SHARDS_MAX`].
    pub shards: usize,
    /// Addresses and other keys that stand above the demo's configuration.
    pub overrides: Overrides,
}

/// Why the demo does not run, in one line.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The number of shards.
    #[error("--shards takes a number from 1 to {SHARDS_MAX}")]
    Shards,
    /// The folder.
    #[error("{}: {reason}", path.display())]
    Place {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The private servers.
    #[error(transparent)]
    Servers(#[from] ServerError),
    /// The shop.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The flags.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// An address is taken.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// dbmesh itself.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Threads.
    #[error("no threads: {0}")]
    Runtime(std::io::Error),
}

/// Runs the demo until SIGINT, SIGTERM or the admin statement SHUTDOWN.
///
/// # Errors
/// [`DemoError`]; whatever was started is stopped before it returns.
pub fn run(options: DemoOptions, log: &LogControl) -> Result<(), DemoError> {
    if !(1..=SHARDS_MAX).contains(&options.shards) {
        return Err(DemoError::Shards);
    }
    let wanted = wanted(options.shards);
    // Before anything is started: a fault of the flags or a taken address is known at once.
    let draft = configuration::text(&wanted, "draft");
    let draft = Config::parse_with(&draft, "demo".as_ref(), &options.overrides).map_err(DemoError::Config)?;
    check_free(&draft.listen)?;

    let mut place = match &options.directory {
        None => Place::temporary(options.shards)?,
        Some(directory) => Place::kept(directory, options.shards)?,
    };
    let servers = Servers::open(ServersOptions {
        program: None,
        directory: place.directory.clone(),
        keep: place.keep,
        ports: DEFAULT_PORTS,
        password: place.password().to_owned(),
        durable: false,
    })?;
    let count = wanted.len();
    eprintln!("dbmesh demo: starting {count} private servers in {}", servers.directory().display());
    let started = start(&servers, &wanted)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("dbmesh")
        .enable_all()
        .build()
        .map_err(DemoError::Runtime)?;
    let served = runtime.block_on(serve(&options, log, &mut place, &servers, &started));
    runtime.shutdown_timeout(LOOK);
    servers.close();
    served
}

/// The servers the demo needs, with ports yet to come.
fn wanted(shards: usize) -> Vec<Server> {
    let of = |kind, letter: char| {
        (0..shards).map(move |number| Server { name: format!("{letter}{number}"), kind, port: 1, settings: Vec::new() })
    };
    of(ServerKind::MariaDb, 'm').chain(of(ServerKind::Postgres, 'p')).collect()
}

fn check_free(listen: &Listen) -> Result<(), DemoError> {
    let all = [listen.mysql, listen.postgres, listen.admin_mysql, listen.admin_postgres, listen.http];
    for address in all.into_iter().flatten() {
        TcpListener::bind(address).map_err(|error| DemoError::Listen { address, error })?;
    }
    Ok(())
}

fn start(servers: &Servers, wanted: &[Server]) -> Result<Vec<Server>, ServerError> {
    let mut started = Vec::new();
    for some in wanted.chunks(AT_ONCE) {
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|server| scope.spawn(|| servers.start(server.kind, &server.name, &[]))).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for result in results {
            started.push(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
    }
    Ok(started)
}

async fn serve(
    options: &DemoOptions,
    log: &LogControl,
    place: &mut Place,
    servers: &Servers,
    started: &[Server],
) -> Result<(), DemoError> {
    let login = |address, user: &str| Login { address, user: user.to_owned(), password: place.password().to_owned() };
    if !place.loaded() {
        for server in started {
            let (admin, owner) =
                (login(server.address(), SERVER_USER), login(server.address(), configuration::BACKEND_USER));
            shop::create_database(server.kind, &admin, &owner).await?;
        }
    }
    let file = servers.directory().join("dbmesh.toml");
    servers::write_private(&file, &configuration::text(started, place.password()))?;
    let config = Config::load_with(&file, &options.overrides).map_err(DemoError::Config)?;
    let running = Running::start(config, options.overrides.clone(), log.clone())?;
    let addresses = running.addresses();
    let outcome = async {
        if !place.loaded() {
            eprintln!("dbmesh demo: loading the shop through dbmesh");
            fill(&addresses).await?;
            place.set_loaded()?;
        }
        say_what_to_try(options, servers, &addresses);
        let watch = watch(servers);
        tokio::select! {
            told = running.until_told_to_stop() => Ok(told?),
            never = watch => match never {},
        }
    }
    .await;
    eprintln!("dbmesh demo: stopping");
    running.stop().await;
    outcome
}

/// Loads the shop through dbmesh itself, by both protocols at once.
async fn fill(addresses: &Addresses) -> Result<(), LoadError> {
    let sizes = Sizes::default();
    let one = |kind, address: Option<SocketAddr>| async move {
        let Some(address) = address else { return Ok(()) };
        let app = Login { address, user: "app".to_owned(), password: "app".to_owned() };
        shop::load(kind, &app, &sizes, true).await
    };
    tokio::try_join!(one(ServerKind::MariaDb, addresses.mysql), one(ServerKind::Postgres, addresses.postgres))?;
    Ok(())
}

/// Says when a server dies: the demo goes on, as dbmesh must.
async fn watch(servers: &Servers) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        while let Some(name) = servers.died() {
            tracing::warn!(server = name, log = %servers.log(&name).display(), "a private server ended");
        }
    }
}

fn say_what_to_try(options: &DemoOptions, servers: &Servers, addresses: &Addresses) {
    use std::fmt::Write as _;
    let shards = options.shards;
    let mut out = format!("\ndbmesh serves the database shop on {shards} MariaDB and {shards} PostgreSQL shards.\n\n");
    let mut line = |name: &str, address: Option<SocketAddr>, login: &str| {
        if let Some(address) = address {
            let _ = writeln!(out, "  {name:<30}{address:<22}{login}");
        }
    };
    line("MySQL protocol", addresses.mysql, "user app, password app");
    line("PostgreSQL protocol", addresses.postgres, "user app, password app");
    line("admin by MySQL protocol", addresses.admin_mysql, "user admin, password admin");
    line("admin by PostgreSQL protocol", addresses.admin_postgres, "user admin, password admin");
    line("HTTP: /metrics, /healthz", addresses.http, "");
    let _ = writeln!(out, "\n  configuration: {}\n\nTry:", servers.directory().join("dbmesh.toml").display());
    if let Some(address) = addresses.mysql {
        let _ = writeln!(
            out,
            "  mariadb -h {} -P {} -u app -papp shop -e 'SELECT shipped_on, COUNT(*), SUM(total) FROM orders \
             GROUP BY shipped_on ORDER BY shipped_on DESC LIMIT 5'",
            address.ip(),
            address.port()
        );
    }
    if let Some(address) = addresses.postgres {
        let _ = writeln!(
            out,
            "  psql postgresql://app:app@{address}/shop -c 'SELECT o.id, o.placed_at, i.quantity, p.name FROM orders o \
             JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id \
             JOIN products p ON p.id = i.product_id WHERE o.customer_id = 42'"
        );
    }
    if let Some(address) = addresses.admin_mysql {
        let _ = writeln!(
            out,
            "  mariadb -h {} -P {} -u admin -padmin admin -t -e 'SHOW SHARDS; SHOW POOLS'",
            address.ip(),
            address.port()
        );
    }
    out.push_str("\nCtrl-C stops everything.\n");
    let mut stdout = std::io::stdout().lock();
    // Nobody may be reading; the demo serves all the same.
    let _ = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
}
