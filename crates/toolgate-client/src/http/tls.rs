//! Whom we believe to be the server: the system's roots, and a CA file of the user's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::{Delivery, Error, Problem};

/// How the server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// `false` accepts every certificate: whoever stands between can then read and change everything.
    pub verify: bool,
    /// A PEM file with certificates of further CAs, believed as well as the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { verify: true, ca_file: None }
    }
}

pub(crate) fn config(options: &TlsOptions) -> Result<ClientConfig, Error> {
    // The provider is named here and not installed for the process: that choice belongs to the program around us.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3");
    if !options.verify {
        let verifier = Arc::new(AcceptsAll { provider });
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    Ok(builder.with_root_certificates(roots(options.ca_file.as_deref())?).with_no_client_auth())
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // A broken certificate among the system's must not keep us from the servers that the others vouch for.
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates found on this system: https servers cannot be verified");
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let refused =
        |reason: String| Error::new("TLS", Delivery::NotSent, Problem::CaFile { path: path.to_owned(), reason });
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?;
    let mut found = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        found += 1;
    }
    if found == 0 { Err(refused("it holds no PEM certificate".to_owned())) } else { Ok(()) }
}

/// Takes any certificate, but still makes the server prove that it holds the certificate's key.
#[derive(Debug)]
struct AcceptsAll {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptsAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
