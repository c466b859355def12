//! `dbmesh demo`: private servers, a shop loaded into them, and dbmesh serving it, by one command.
//! The servers are also what the project's own tests run against. Out: anything a real deployment needs.

pub mod keeper;
pub mod servers;
pub mod shop;
pub mod unprivileged;
