//! Which processes of the servers are backends of ours, by their numbers, and which session of ours each last spoke for.
//! Out: what sessions do with that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;

/// A server and the number of a process there.
type Process = (SocketAddr, u32);

/// All backends that are open now.
#[derive(Debug, Default)]
pub struct Peers(DashMap<Process, Arc<AtomicU32>>);

impl Peers {
    /// A backend has been opened; it counts until what this gives is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>, server: SocketAddr, process_id: u32) -> Peer {
        let process = (server, process_id);
        let session = Arc::default();
        self.0.insert(process, Arc::clone(&session));
        Peer { peers: Arc::clone(self), process, session }
    }

    /// Whether a process of this number is a backend of ours, on any server.
    #[must_use]
    pub fn has(&self, process_id: u32) -> bool {
        self.0.iter().any(|peer| peer.key().1 == process_id)
    }

    /// The session for which a process last wrote or notified; `None`: it is none of ours.
    #[must_use]
    pub fn session(&self, server: SocketAddr, process_id: u32) -> Option<u32> {
        let session = self.0.get(&(server, process_id))?.load(Ordering::Relaxed);
        (session != 0).then_some(session)
    }
}

/// One open backend.
#[derive(Debug)]
pub struct Peer {
    peers: Arc<Peers>,
    process: Process,
    session: Arc<AtomicU32>,
}

impl Peer {
    /// What other sessions hear from it from now on comes from this one.
    pub fn speaks_for(&self, session: u32) {
        self.session.store(session, Ordering::Relaxed);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A server may have given its number to another one already.
        self.peers.0.remove_if(&self.process, |_, session| Arc::ptr_eq(session, &self.session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_as_long_as_its_backend_is_open() {
        let peers = Arc::new(Peers::default());
        let server = SocketAddr::from(([127, 0, 0, 1], 5432));
        let peer = peers.enter(server, 40);
        assert!(peers.has(40) && !peers.has(41));
        assert_eq!(peers.session(server, 40), None);
        peer.speaks_for(9);
        assert_eq!(peers.session(server, 40), Some(9));
        let again = peers.enter(server, 40);
        drop(peer);
        assert!(peers.has(40));
        drop(again);
        assert!(!peers.has(40));
    }
}
