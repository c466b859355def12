//! `dbmesh demo`: private servers, a shop loaded into them, and dbmesh serving it, by one command.
//! The servers are also what the project's own tests run against. Out: anything a real deployment needs.

mod configuration;
pub mod keeper;
mod place;
mod run;
pub mod servers;
pub mod shop;
pub mod unprivileged;

pub use run::{DemoError, DemoOptions, SHARDS_MAX, run};
