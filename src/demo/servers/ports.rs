//! Free ports for private servers, below the range from which the system takes clients' own ports.
//! A server restarted on a port above that line may find it taken by somebody's outgoing connection.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use super::ServerError;

/// Where private servers listen unless told otherwise.
pub const DEFAULT_PORTS: RangeInclusive<u16> = 24_000..=31_999;

/// A port of the range on which nobody listens on loopback. Chosen at random, so that two who choose at once
/// seldom meet.
///
/// # Errors
/// [`ServerError::Ports`] when all are taken.
pub fn free_port(range: &RangeInclusive<u16>) -> Result<u16, ServerError> {
    let count = u32::from(range.end().saturating_sub(*range.start())) + 1;
    let start = getrandom::u32().unwrap_or_else(|_| std::process::id()) % count;
    (0..count)
        .filter_map(|step| u16::try_from(u32::from(*range.start()) + (start + step) % count).ok())
        .find(|port| is_free(*port))
        .ok_or_else(|| ServerError::Ports(range.clone()))
}

/// Whether a server could listen there.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn a_taken_port_is_not_offered() {
        let port = free_port(&DEFAULT_PORTS).expect("a port");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it was free");
        assert!(matches!(free_port(&(port..=port)), Err(ServerError::Ports(_))));
        drop(taken);
        assert_eq!(free_port(&(port..=port)).expect("free again"), port);
    }
}
