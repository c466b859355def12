//! What running a statement does, as far as sessions, pools and transactions ask. Every one means "may".

/// What running a statement does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Changes rows.
    pub writes: bool,
    /// Locks rows (FOR UPDATE, FOR SHARE ...) or tables.
    pub locks: bool,
    /// Changes the schema, or anything but rows: the schema is to be loaded again.
    pub changes_schema: bool,
    /// May do anything: it could not be parsed, or calls a routine.
    pub unknown: bool,
}
