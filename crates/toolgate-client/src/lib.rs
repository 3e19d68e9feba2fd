//! A Model Context Protocol client: Streamable HTTP, HTTP+SSE and stdio, nothing lost on the way.
//!
//! A [`Session`] is one initialized connection to one server. Requests and answers are JSON text: an [`Answer`] owns
//! the bytes that came and changes nothing in them, so fields that no Rust type knows survive.
//!
//! ```no_run
//! use toolgate_client::{HttpClient, HttpKind, HttpTarget, Options, Session, Target, TlsOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::Http(HttpTarget {
//!     url: "http://127.0.0.1:4000/mcp".parse()?,
//!     headers: http::HeaderMap::new(),
//!     kind: HttpKind::Detect,
//!     client: HttpClient::new(&TlsOptions::default())?,
//! });
//! let session = Session::connect(target, Options::default()).await?;
//! let answer = session.request("tools/call", Some(r#"{"name":"add","arguments":{"a":1,"b":2}}"#)).await?;
//! println!("{}", answer.into_result()?);
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A session does not heal by itself: [`Error::session_lost`] says that a new one is needed, and [`Error::delivery`]
//! whether the failed request may be sent again on it.
//!
//! Revisions 2024-11-05 to 2025-11-25 are spoken, those that begin with `initialize`. stdio needs a Unix; on Linux a
//! child, and what descends from it, cannot outlive the session unseen.
//!
//! Suggested reading order: `session`, `connect`, `http/streamable`, `stdio`.

mod answer;
mod connect;
mod context;
mod error;
mod handshake;
mod http;
mod message;
mod options;
mod pending;
mod session;
mod stdio;
mod target;

pub use answer::{Answer, AnswerOutcome, RpcError};
pub use error::{Delivery, Error, Problem, Refusal};
pub use handshake::{ServerFacts, Transport};
pub use http::{HttpClient, TlsOptions};
pub use options::{Call, Events, Limits, Options};
pub use session::Session;
pub use stdio::become_subreaper;
pub use target::{HttpKind, HttpTarget, StdioTarget, Target};
