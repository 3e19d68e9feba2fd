//! Clients that may not connect to every address.

use std::net::{IpAddr, TcpListener};

use bytes::Bytes;
use http::{HeaderMap, Request};
use toolgate_client::{Delivery, HttpClient, HttpKind, Options, Session, TlsOptions};

use crate::support::http_with;

fn not_here(address: IpAddr) -> bool {
    !address.is_loopback()
}

/// A port of this machine on which nobody is let in.
fn quiet() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

#[tokio::test]
async fn addresses_out_of_reach_are_not_connected_to_whatever_leads_there() {
    let (listener, port) = quiet();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let client = HttpClient::within(&TlsOptions::default(), |address| match address {
                IpAddr::V6(address) => !address.is_loopback() && address.to_ipv4_mapped().is_none(),
                address => not_here(address),
            });
            let client = client.expect("a client");
            let request = Request::get(&url).body(Bytes::new()).expect("a request");
            let error = client.exchange("api", request, 100).await.expect_err("out of reach");
            assert!(error.to_string().contains("may not be reached"), "{url}: {error}");
            assert!(error.is_connect() && error.delivery() == Delivery::NotSent, "{url}: {error}");

            let target = http_with(&url, HttpKind::Streamable, client, HeaderMap::new());
            let error = Session::connect(target, Options::default()).await.expect_err("out of reach");
            assert!(error.to_string().contains("may not be reached"), "{url}: {error}");
        }
    }
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn what_is_within_reach_is_connected_to() {
    let (listener, port) = quiet();
    let client = HttpClient::within(&TlsOptions::default(), |address| address.is_loopback()).expect("a client");
    let request = Request::get(format!("http://127.0.0.1:{port}/")).body(Bytes::new()).expect("a request");
    let mut asked = Box::pin(client.exchange("api", request, 100));
    let came = async {
        loop {
            if listener.accept().is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = &mut asked => panic!("nobody answers: {answer:?}"),
        () = came => {}
    }
}
