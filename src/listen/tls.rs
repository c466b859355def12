//! Reads a certificate and its key into what accepts TLS sessions.
//! Out: when a protocol upgrades to TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read, or holds no PEM certificate.
    #[error("certificate {path}: {cause}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The key file cannot be read, or holds no PEM private key.
    #[error("private key {path}: {cause}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate {path} and its key: {cause}")]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        cause: rustls::Error,
    },
}

/// TLS 1.2 and 1.3 with this certificate chain; clients need no certificate.
///
/// # Errors
/// See [`TlsError`]; each names the file.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let bad_certificate = |cause: String| TlsError::Certificate { path: certificate.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad_certificate("no certificate in it".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::Key { path: key.to_owned(), cause: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|cause| TlsError::Pair { path: certificate.to_owned(), cause })?;
    // PostgreSQL clients that begin with TLS at once insist on it; MySQL clients name no protocol.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
