//! The command line: reads arguments, builds what they name, runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    // First, while there is one thread: the process may be the keeper of private servers.
    if let Some(code) = dbmesh::demo::keeper::run_if_asked(&arguments) {
        return code;
    }
    dbmesh::cli::run(arguments)
}
