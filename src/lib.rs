//! The process: listeners, sessions, backends, pools, execution, admin, config, telemetry.
//! Rooms: wire formats are in `protocol`, SQL and plans in `sharding`, commit protocols in `transaction`; this crate joins them.

pub mod admin;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod demo;
pub mod error_code;
pub mod explain;
pub mod http;
pub mod interrupt;
pub mod listen;
pub mod log;
pub mod mesh;
pub mod metrics;
pub mod mysql;
pub mod plans;
pub mod pool;
pub mod postgres;
pub mod read_room;
pub mod scans;
pub mod serve;
pub mod sessions;
