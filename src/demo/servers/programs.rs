//! Where the server programs are: distributions put them outside the PATH of ordinary users.

use std::path::{Path, PathBuf};

use super::ServerError;

/// Folders searched after those of PATH.
const FURTHER: [&str; 5] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin", "/usr/local/bin"];
/// Where Debian keeps one folder per PostgreSQL version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// A program of PATH or of the usual folders.
pub(super) fn find(program: &'static str) -> Result<PathBuf, ServerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(FURTHER.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or(ServerError::Missing { program })
}

/// A program of the newest PostgreSQL installed.
pub(super) fn find_postgres(program: &'static str) -> Result<PathBuf, ServerError> {
    newest(Path::new(POSTGRES_VERSIONS), program).map_or_else(|| find(program), Ok)
}

fn newest(versions: &Path, program: &str) -> Option<PathBuf> {
    std::fs::read_dir(versions)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let file = entry.path().join("bin").join(program);
            // Client packages leave a folder without the server.
            (file.is_file() && entry.path().join("bin/postgres").is_file()).then_some((version, file))
        })
        .max()
        .map(|(_, file)| file)
}
