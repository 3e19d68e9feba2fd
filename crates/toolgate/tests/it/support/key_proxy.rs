//! A proxy that adds the gateway's key to requests and changes nothing else, for clients that cannot send one.
//!
//! Host and Origin pass as the client sends them, since the gateway has to judge them.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::uri::{Scheme, Uri};
use http::{HeaderValue, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::gateway::MASTER_KEY;

/// A running proxy; it ends with this value.
#[derive(Debug)]
pub(crate) struct KeyProxy {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Behind {
    authority: String,
    client: Client<HttpConnector, Body>,
    /// Calls of this tool get their response's first piece, and then its end.
    cuts: Option<&'static str>,
}

impl KeyProxy {
    /// Starts one in front of `base`, which is `http://` and an address.
    pub(crate) async fn start(base: &str) -> Self {
        Self::start_cutting(base, None).await
    }

    /// The same, but the response to calls of the tool `cuts` ends after its first event.
    pub(crate) async fn start_cutting(base: &str, cuts: Option<&'static str>) -> Self {
        let authority = base.strip_prefix("http://").expect("the gateway speaks plain HTTP here").to_owned();
        let behind = Behind { authority, client: Client::builder(TokioExecutor::new()).build_http(), cuts };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(pass).with_state(behind);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    /// The address of `path` here.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for KeyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(behind): State<Behind>, mut request: Request) -> Response {
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(behind.authority.parse().unwrap());
    *request.uri_mut() = Uri::from_parts(uri).unwrap();
    let key = HeaderValue::try_from(format!("Bearer {MASTER_KEY}")).unwrap();
    request.headers_mut().insert("x-litellm-api-key", key);
    let is_cut = match behind.cuts {
        Some(tool) => {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            request = Request::from_parts(parts, Body::from(body));
            message["params"]["name"] == tool
        }
        None => false,
    };
    match behind.client.request(request).await {
        Ok(response) if is_cut => {
            response.map(|body| Body::from_stream(Body::new(body).into_data_stream().take(1))).into_response()
        }
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
