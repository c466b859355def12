//! How a private MariaDB server is made and started.

use std::path::PathBuf;

use super::programs::find;
use super::{SERVER_USER, Server, ServerError, Servers};

/// Program and arguments that make a data directory.
pub(super) fn creation(servers: &Servers, name: &str) -> Result<(PathBuf, Vec<String>), ServerError> {
    let arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", servers.data(name).display()),
        // A server that starts removes temporary tables of others from a folder that they share.
        format!("--tmpdir={}", servers.data(name).display()),
        "--auth-root-authentication-method=normal".to_owned(),
        "--skip-test-db".to_owned(),
        "--skip-name-resolve".to_owned(),
        // Small, since every server writes one.
        "--innodb-log-file-size=48M".to_owned(),
        "--innodb-use-native-aio=0".to_owned(),
    ];
    Ok((find("mariadb-install-db")?, arguments))
}

/// Program and arguments that start a server.
pub(super) fn launch(servers: &Servers, server: &Server) -> Result<(PathBuf, Vec<String>), ServerError> {
    let data = servers.data(&server.name);
    // Executed by the server before it listens. Root without a password is open to every user of the machine.
    let first = servers.directory().join(format!("{}-first.sql", server.name));
    let statements = format!(
        "CREATE USER IF NOT EXISTS '{SERVER_USER}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{SERVER_USER}'@'%' WITH GRANT OPTION;\n\
         DELETE FROM mysql.global_priv WHERE User IN ('root', '');\n\
         FLUSH PRIVILEGES;\n",
        password = servers.password()
    );
    super::write_private(&first, &statements)?;
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        // Relative to the data directory: a long path does not fit into a socket address.
        "--socket=mysql.sock".to_owned(),
        "--pid-file=mysql.pid".to_owned(),
        format!("--tmpdir={}", data.display()),
        format!("--init-file={}", first.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={}", server.port),
        "--skip-name-resolve".to_owned(),
        "--skip-log-bin".to_owned(),
        "--performance-schema=OFF".to_owned(),
        "--character-set-server=utf8mb4".to_owned(),
        "--collation-server=utf8mb4_general_ci".to_owned(),
        "--max-connections=500".to_owned(),
        "--innodb-buffer-pool-size=64M".to_owned(),
        "--innodb-log-file-size=48M".to_owned(),
        "--innodb-use-native-aio=0".to_owned(),
        format!("--innodb-flush-log-at-trx-commit={}", if servers.options.durable { 1 } else { 2 }),
    ];
    arguments.extend_from_slice(&server.settings);
    Ok((find("mariadbd")?, arguments))
}
