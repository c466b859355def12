//! PostgreSQL frontend/backend protocol.
