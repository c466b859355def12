//! Tests on real servers with real clients: one program, so that the servers start once per run.
//! Out: what can be tested without a server; that stands beside the code.

#![allow(clippy::unwrap_used, clippy::expect_used)]

// What the bed offers is not all taken up at every time.
#[allow(dead_code)]
mod bed;
mod catalog;
mod changed_behind;
mod chaos;
mod clients;
mod command_line;
mod demo;
mod differential;
#[path = "../drivers/mod.rs"]
mod driver_matrix;
mod mysql_sessions;
mod postgres_sessions;
mod private_servers;
mod trouble;
mod unique_keys;
