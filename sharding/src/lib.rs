//! SQL, schema and rules to a plan; rows to merged rows. Out: I/O of any kind, wire formats, clocks.

pub mod lexer;
pub mod merge;
pub mod placement;
pub mod plan;
pub mod route;
pub mod schema;
pub mod splice;
pub mod value;
