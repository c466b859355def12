//! Wire formats of MySQL and PostgreSQL, both sides: bytes in, messages out.
//! Out: sockets, clocks, the async runtime, SQL's meaning, any knowledge of shards.

pub mod mysql;
pub mod postgres;
