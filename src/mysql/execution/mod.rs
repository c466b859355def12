//! Rows and values between the wire and the merge: what is decoded for it, and what is written anew.
//! Out: sockets, transactions, choosing shards.

pub mod cells;
pub mod parameters;
pub mod rows;
