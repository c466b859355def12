//! The PostgreSQL wire format (protocol 3.0 and 3.2), both sides: framing in place, views of messages, builders,
//! server-side authentication, and the tracker that knows which answer belongs to which message.
//! Out: sockets, clocks, SQL, any knowledge of shards. Nothing here panics on input or allocates from a length field
//! without a bound.

pub mod backend;
mod calendar;
pub mod frontend;
pub mod numeric;
pub mod oid;
pub mod options;
pub mod password;
pub mod pipeline;
pub mod row;
pub mod scram;
pub mod startup;
pub mod value;
pub mod wire;
pub mod write;

pub use backend::{CopyFormat, ErrorFields, RowDescription, TransactionStatus};
pub use frontend::{FrontendMessage, Target};
pub use pipeline::{Audience, Observer, Pipeline, Segment, Sent};
pub use startup::{Startup, StartupMessage};
pub use value::Value;
pub use wire::{Header, Message, WireError};
