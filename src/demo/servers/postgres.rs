//! How a private PostgreSQL server is made and started.

use std::path::PathBuf;

use super::programs::find_postgres;
use super::{SERVER_USER, Server, ServerError, Servers};

/// Program and arguments that make a data directory.
pub(super) fn creation(servers: &Servers, name: &str) -> Result<(PathBuf, Vec<String>), ServerError> {
    let password = servers.directory().join("postgres-password");
    super::write_private(&password, servers.password())?;
    let arguments = vec![
        format!("--pgdata={}", servers.data(name).display()),
        format!("--username={SERVER_USER}"),
        format!("--pwfile={}", password.display()),
        "--auth=scram-sha-256".to_owned(),
        "--encoding=UTF8".to_owned(),
        "--locale=C.UTF-8".to_owned(),
        "--no-sync".to_owned(),
    ];
    Ok((find_postgres("initdb")?, arguments))
}

/// Program and arguments that start a server.
pub(super) fn launch(servers: &Servers, server: &Server) -> Result<(PathBuf, Vec<String>), ServerError> {
    let mut arguments = vec![format!("-D{}", servers.data(&server.name).display())];
    let mut set = |setting: String| arguments.extend(["-c".to_owned(), setting]);
    set("listen_addresses=127.0.0.1".to_owned());
    set(format!("port={}", server.port));
    // Relative to the data directory: a long path does not fit into a socket address.
    set("unix_socket_directories=.".to_owned());
    set("max_connections=300".to_owned());
    set("max_prepared_transactions=200".to_owned());
    set("shared_buffers=64MB".to_owned());
    set("jit=off".to_owned());
    set("timezone=UTC".to_owned());
    set("log_timezone=UTC".to_owned());
    if !servers.options.durable {
        // Written to the system, not to the disk: enough for a crash of the server.
        set("fsync=off".to_owned());
        set("full_page_writes=off".to_owned());
    }
    for setting in &server.settings {
        set(setting.clone());
    }
    Ok((find_postgres("postgres")?, arguments))
}
