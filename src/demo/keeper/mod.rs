//! The keeper: a small process that holds private servers as its children, so that none outlives the one who asked.
//!
//! `dbmesh` starts itself again as the hidden command `__keeper` and talks to it through a pipe, one JSON line a
//! message. Three deaths are covered. The asking process dies, by whatever signal: the pipe reaches its end and the
//! keeper stops every server. The keeper dies: the kernel sends each server its parent-death signal. That signal
//! belongs to the thread that forked and is cleared by a change of user, so the keeper forks from its only
//! long-lived thread, is already the user its servers run as, and each server asks for the signal after the fork,
//! in a short stage (`__keeper exec`) just before it becomes the server. A stopped terminal or Ctrl-C reaches only
//! the asking process: the keeper is a session of its own.
//! Out: anything that knows what a MariaDB or PostgreSQL server is.

mod hold;
mod link;
mod wire;

pub use link::{Keeper, KeeperError, KeeperOptions};
pub use wire::{Process, StopSignal};

use std::ffi::OsString;
use std::process::ExitCode;

/// First argument that makes `dbmesh` the keeper instead of what its other arguments say.
pub const KEEPER_COMMAND: &str = "__keeper";

/// Runs the hidden command when the arguments (without the program's name) name it; `None` when they do not.
///
/// `main` calls this before it reads any other argument and before it starts any thread.
#[must_use]
pub fn run_if_asked(arguments: &[OsString]) -> Option<ExitCode> {
    let (first, rest) = arguments.split_first()?;
    if first != KEEPER_COMMAND {
        return None;
    }
    Some(match rest.split_first() {
        Some((stage, rest)) if stage == "exec" => hold::become_server(rest),
        Some((stage, rest)) if stage == "hold" => hold::hold(rest),
        _ => {
            eprintln!("dbmesh: {KEEPER_COMMAND} is started by dbmesh itself");
            ExitCode::from(2)
        }
    })
}
