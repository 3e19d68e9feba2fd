//! https, with a CA of our own.

use std::sync::Arc;

use http::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use toolgate_client::{Delivery, Error, HttpClient, HttpKind, Options, Session, TlsOptions};

use crate::support::http_with;
use crate::support::script::{Reply, Script, mcp};

/// A server whose certificate is signed by a CA that nobody knows, and that CA's certificate.
fn serve() -> (Script, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::new()).expect("names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .and_then(|params| params.signed_by(&key, &Issuer::from_params(&ca, &ca_key)))
        .expect("a certificate");

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("they belong together");
    let config = Arc::new(config);
    let wrap = move |stream| Some(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).ok()?, stream));
    (Script::serve_over("https", wrap, |asked| mcp(asked).unwrap_or_else(Reply::accepted)), ca_pem)
}

async fn connect(url: &str, options: &TlsOptions) -> Result<Session, Error> {
    let client = HttpClient::new(options)?;
    Session::connect(http_with(url, HttpKind::Streamable, client, HeaderMap::new()), Options::default()).await
}

#[tokio::test]
async fn a_ca_of_our_own_is_believed_when_it_is_given() {
    let (server, ca_pem) = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, ca_pem).expect("written");

    let known = TlsOptions { ca_file: Some(ca_file), ..TlsOptions::default() };
    connect(&server.url, &known).await.expect("the CA is known");

    let error = connect(&server.url, &TlsOptions::default()).await.expect_err("the CA is not known");
    assert!(error.to_string().contains("TLS failed: invalid peer certificate: UnknownIssuer"), "{error}");
    assert!(error.is_connect());
    assert_eq!(error.delivery(), Delivery::NotSent);

    let careless = TlsOptions { verify: false, ca_file: None };
    connect(&server.url, &careless).await.expect("everything is believed");
}

#[test]
fn a_ca_file_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "nothing").expect("written");
    for (path, text) in [(missing, "No such file"), (empty, "holds no PEM certificate")] {
        let name = path.display().to_string();
        let options = TlsOptions { ca_file: Some(path), ..TlsOptions::default() };
        let told = HttpClient::new(&options).expect_err("refused").to_string();
        assert!(told.contains(&name) && told.contains(text), "{told}");
    }
}
