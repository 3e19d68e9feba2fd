//! https, with a CA of our own.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use toolgate_client::{Delivery, Error, HttpClient, HttpKind, Options, Session, TlsOptions};

use crate::support::http_with;
use crate::support::script::{Reply, Script, mcp};

/// A certificate signed by a CA that nobody knows, as a server's configuration; and that CA's certificate.
fn unknown_ca() -> (ServerConfig, String) {
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
    (config, ca_pem)
}

fn serve() -> (Script, String) {
    let (config, ca_pem) = unknown_ca();
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

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it() {
    let (mut config, _) = unknown_ca();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/mcp", listener.local_addr().expect("an address"));
    let versions = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&versions);
    tokio::spawn(async move {
        let stream = listener.accept().await.expect("a connection").0;
        let stream = acceptor.accept(stream).await.expect("TLS");
        let serve = service_fn(move |request: Request<Incoming>| {
            seen.lock().expect("not poisoned").push(request.version());
            answer(request)
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), serve).await.expect("it serves");
    });
    let session = connect(&url, &TlsOptions { verify: false, ca_file: None }).await.expect("connects");
    let calls = (0..20).map(|_| session.request("ping", None));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.expect("an answer").into_result().expect("a result"), "{\"protocolVersion\":\"2025-11-25\"}");
    }
    // The question what it is, a handshake with its notification, then all calls, on the one connection.
    assert_eq!(*versions.lock().expect("not poisoned"), [Version::HTTP_2; 23]);
}

/// The same result for every request: it does for `initialize` too.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let message: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"protocolVersion":"2025-11-25"}}}}"#, message["id"]);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    Ok(response)
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
