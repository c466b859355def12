//! The process: listeners, sessions, backends, pools, execution, admin, config, telemetry.
