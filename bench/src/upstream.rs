//! A fast MCP server over Streamable HTTP: every answer is made beforehand, only the id is put in.
//!
//! It costs as little CPU as HTTP allows, so that a run measures what stands in front of it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use toolgate_mcp::jsonrpc::{self, Message, code};

use crate::upstream::control::{Control, News};
use crate::upstream::replies::{Replies, Spliced};

pub(crate) mod control;
mod replies;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// `upstream`: what the server answers, and on which ports.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The first port; further instances take the ones after it. 0: each takes one that the system chooses.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many servers to run in this process.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    instances: u16,
    /// Gives no session id.
    #[arg(long)]
    stateless: bool,
    /// Frames answers as server-sent events, as most MCP servers do.
    #[arg(long)]
    sse: bool,
    /// Tools in the list: `answer`, and others of the usual size.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    tools: u16,
    /// Lists the tools once for each of these, named `PREFIX-TOOL`: what a gateway over that many servers answers.
    #[arg(long, value_delimiter = ',')]
    prefixes: Vec<String>,
    /// Bytes of text in the answer of every tool.
    #[arg(long, default_value_t = 256)]
    answer_bytes: usize,
}

/// Printed as one line when the servers listen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) ports: Vec<u16>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When a port cannot be had.
pub(crate) async fn serve(options: Options) -> anyhow::Result<ExitCode> {
    crate::launch::raise_open_files();
    let server = Arc::new(Server { replies: Replies::new(&options), control: Control::default(), options });
    let mut ports = Vec::new();
    let mut tasks = JoinSet::new();
    for instance in 0..server.options.instances {
        let port = if server.options.port == 0 { 0 } else { server.options.port + instance };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        ports.push(listener.local_addr().context("a listener has no address")?.port());
        tasks.spawn(accept(listener, Arc::clone(&server)));
    }
    crate::print_json(&Listening { ports })?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        ended = tasks.join_next() => ended.context("no server runs")?.context("a server broke down")??,
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for SIGINT")?,
    }
    Ok(ExitCode::SUCCESS)
}

struct Server {
    options: Options,
    replies: Replies,
    control: Control,
}

async fn accept(listener: TcpListener, server: Arc<Server>) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot accept connections")?;
                connections.spawn(connection(stream, Arc::clone(&server)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    // A client that is gone already needs no answers.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    // Whatever ended the connection, its client sees it; the server goes on.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Either<Spliced, News>> {
        if *request.method() == Method::GET && request.headers().contains_key(SESSION_ID) {
            let mut response = Response::new(Either::Right(self.control.stream()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            return response;
        }
        self.answer_whole(request).await.map(Either::Left)
    }

    async fn answer_whole(&self, request: Request<Incoming>) -> Response<Spliced> {
        match *request.method() {
            Method::POST => {}
            Method::DELETE => return status(StatusCode::OK),
            Method::GET if request.uri().path().starts_with("/rest/") => {
                let mut response = Response::new(self.replies.text());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                return response;
            }
            _ => {
                let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
                return response;
            }
        }
        if self.control.forgot(request.headers()) {
            return status(StatusCode::NOT_FOUND);
        }
        if let Some(counts) = self.control.steer(request.uri().path()) {
            return Response::new(self.replies.plain(&counts));
        }
        match request.into_body().collect().await {
            Ok(body) => self.answer_message(&body.to_bytes()),
            Err(_broken_off) => status(StatusCode::BAD_REQUEST),
        }
    }

    fn answer_message(&self, body: &[u8]) -> Response<Spliced> {
        let request = match jsonrpc::parse(body) {
            Ok(Message::Request(request)) => request,
            Ok(Message::Notification(_) | Message::Response(_)) => return status(StatusCode::ACCEPTED),
            Err(error) => return self.error(None, error.code(), error.to_string()),
        };
        let mut response = match self.replies.find(&request.method) {
            Some(reply) => self.json(reply.with_id(request.id.as_json())),
            None => {
                let message = format!("method `{}` is not served", request.method);
                return self.error(Some(&request.id), code::METHOD_NOT_FOUND, message);
            }
        };
        if request.method == "initialize" && !self.options.stateless {
            response.headers_mut().insert(SESSION_ID, self.control.open());
        }
        response
    }

    fn error(&self, id: Option<&jsonrpc::Id>, code: i32, message: String) -> Response<Spliced> {
        let error = jsonrpc::error(id, &jsonrpc::ErrorObject::new(code, message));
        self.json(self.replies.whole(&error))
    }

    fn json(&self, body: Spliced) -> Response<Spliced> {
        let kind = if self.options.sse { "text/event-stream" } else { "application/json" };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

fn status(status: StatusCode) -> Response<Spliced> {
    let mut response = Response::new(Spliced::empty());
    *response.status_mut() = status;
    response
}
