//! Admin SQL: what operators ask and order, by the MySQL and by the PostgreSQL protocol with the same answers.
//!
//! `tokens` and `grammar` read a statement, `session` answers it from an [`AdminSource`], `mysql` and `postgres` are the two
//! front ends. Out: how the process does what is asked; the source knows.

mod by_clients;
mod grammar;
pub mod mysql;
pub mod postgres;
mod rows;
mod session;
mod source;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;

#[cfg(test)]
pub(crate) use tests::fixed;

pub use rows::{AdminRows, Column, ColumnKind, Value};
pub use session::{AdminSession, Answer};
pub use source::{AdminSource, BackendRow, PlanRow, PoolRow, SessionRow, ShardPlace, ShardRow, TableRow};

/// Name of the admin interface's only database.
pub const DATABASE: &str = "admin";
/// Longest message of an admin client; statements to explain are the longest.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
