//! From a socket to a session: bind, accept, hand to a worker, TLS, silent clients.
//! Out: protocol bytes; what a session does.

pub mod client_stream;
pub mod compressed;
pub mod listener;
pub mod tls;
pub mod workers;
