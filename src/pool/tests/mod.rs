//! Pools under a simulated connector.
