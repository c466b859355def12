//! The parameters of one execution of a prepared statement, as routing sees them and as they are sent on.
//! Out: decoding them (`protocol::mysql::execute`).

use std::sync::Arc;

use protocol::mysql::value::BinaryValue;
use sharding::value::Value;

use crate::mysql::execution::parameters::{Parameter, route_value};
use crate::mysql::memory::StatementKey;

/// The parameters of one execution, decoded.
pub(super) struct Bindings<'a> {
    pub key: &'a StatementKey,
    pub types: &'a [u8],
    pub values: Vec<BinaryValue<'a>>,
    pub utf8: bool,
}

impl Bindings<'_> {
    /// As routing sees them.
    pub(super) fn route_values(&self) -> Vec<Value> {
        let kinds = self.types.chunks_exact(2).map(|kind| kind[0]);
        self.values.iter().zip(kinds).map(|(value, kind)| route_value(value, kind, self.utf8)).collect()
    }

    /// As they are sent.
    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let kinds = self.types.chunks_exact(2).map(|kind| [kind[0], kind[1]]);
        self.values.iter().zip(kinds).map(|(value, kind)| Parameter { kind, value: *value }).collect()
    }

    /// The statement with another text.
    pub(super) fn key_of(&self, sql: &[u8]) -> StatementKey {
        StatementKey { sql: Arc::from(sql), fixed: Arc::clone(&self.key.fixed) }
    }
}
