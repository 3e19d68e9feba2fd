//! A Model Context Protocol client: Streamable HTTP, HTTP+SSE and stdio, nothing lost on the way.
//!
//! A [`Session`] is one connection to one server, whose transport and revision it has found out. Requests and answers are JSON text: an [`Answer`] owns
//! the bytes that came and changes nothing in them, so fields that no Rust type knows survive.
//!
//! ```no_run
//! use toolgate_client::{Exchanged, HttpClient, HttpKind, HttpTarget, Options, Session, Target, TlsOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut headers = http::HeaderMap::new();
//! headers.insert("authorization", "Bearer sk-...".parse()?);
//! let target = Target::Http(HttpTarget {
//!     url: "http://127.0.0.1:4000/mcp".parse()?,
//!     headers,
//!     authorizer: None,
//!     kind: HttpKind::Detect,
//!     client: HttpClient::new(&TlsOptions::default())?,
//! });
//! let session = Session::connect(target, Options::default()).await?;
//! let answer = session.request("tools/call", Some(r#"{"name":"demo-add","arguments":{"a":1,"b":2}}"#)).await?;
//! println!("{}", answer.into_result()?);
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! For programs that put a model between the tools and the user, [`load_mcp_tools`] lists all tools in the shape that the
//! model's API wants, and [`call_openai_tool`] carries out what the model answers:
//!
//! ```no_run
//! use toolgate_client::{Format, Options, Session, StdioTarget, Target, call_openai_tool, load_mcp_tools};
//!
//! # async fn run(tool_call: serde_json::Value) -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::Stdio(StdioTarget {
//!     command: "toolgate".to_owned(),
//!     args: vec!["demo-server".to_owned()],
//!     env: vec![("PATH".to_owned(), std::env::var("PATH")?)],
//!     cwd: None,
//! });
//! let session = Session::connect(target, Options::default()).await?;
//! let tools = load_mcp_tools(&session, Format::OpenAi).await?; // goes to the model as `tools`
//! let result = call_openai_tool(&session, &tool_call).await?; // one of the model's `tool_calls`
//! # drop((tools, result));
//! # Ok(())
//! # }
//! ```
//!
//! A session does not heal by itself: [`Error::session_lost`] says that a new one is needed, and [`Error::delivery`]
//! whether the failed request may be sent again on it.
//!
//! Revisions 2024-11-05 to 2026-07-28 are spoken. A server is asked what it is first, as the newest one has it, and gets
//! `initialize` unless it proves to speak that one; [`Era`] spares the question. What a server asks and says by itself
//! reaches [`Events`]; a modern one tells of changes where it was asked to by [`Session::subscribe`]. The results of
//! either kind of server are handed on as they are: a modern one may want more input (`resultType`), which is for the
//! caller to give.
//!
//! The crate needs a Unix; on Linux a child, and what descends from it, cannot outlive the session unseen.
//!
//! Suggested reading order: `session`, `connect`, `modern`, `http/streamable`, `stdio`.

mod adopted;
mod answer;
mod authorizer;
mod connect;
mod context;
mod error;
mod handshake;
mod http;
mod listening;
mod marks;
mod message;
mod modern;
mod options;
mod pending;
mod question;
mod session;
mod stdio;
mod streamed;
mod target;
mod tokens;
mod tools;

pub use adopted::Adopted;
pub use answer::{Answer, AnswerOutcome, RpcError};
pub use authorizer::{Authorizer, Signer};
pub use error::{Delivery, Error, Problem, Refusal};
pub use handshake::{ServerFacts, Transport};
pub use http::{Exchanged, HttpClient, Reach, TlsOptions};
pub use listening::Listening;
pub use modern::ClientFacts;
pub use options::{Call, Era, Events, GivenUp, Limits, Options, StreamPlace};
pub use question::Question;
pub use session::Session;
pub use stdio::become_subreaper;
pub use streamed::{AnswerBody, Reply, StreamedAnswer};
pub use target::{HttpKind, HttpTarget, StdioTarget, Target};
pub use tokens::Tokens;
pub use tools::{CallError, Format, call_openai_tool, call_tool, load_mcp_tools};
