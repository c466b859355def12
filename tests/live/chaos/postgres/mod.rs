//! Chaos by the PostgreSQL protocol.

mod honest;
mod rude;
mod wire;

pub use honest::session as honest;
pub use rude::client as rude;
