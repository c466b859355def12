//! MySQL and MariaDB client/server protocol, both sides: packets, login, commands, replies, values.
//! Out: sockets, timers, SQL's meaning. Every decoder takes a byte slice and never panics on any input.

pub mod authentication;
pub mod bulk;
pub mod capability;
pub mod column;
pub mod command;
pub mod compression;
pub mod execute;
pub mod greeting;
pub mod info;
pub mod login;
pub mod packet;
pub mod reply;
pub mod response;
pub mod row;
pub mod rsa_key;
pub mod session_state;
pub mod value;
pub mod wire;

pub use wire::WireError;
