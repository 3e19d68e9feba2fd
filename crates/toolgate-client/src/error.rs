//! What can go wrong between us and a server, told for the person who must mend it.
//!
//! Every error says where (the URL without its secrets, or the command), what, and how to mend it where we know.
//! For programs there are three questions: [`Error::delivery`], [`Error::session_lost`], [`Error::is_timeout`].

mod text;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use toolgate_mcp::jsonrpc::code;

use crate::answer::RpcError;

pub(crate) use text::{bad_message, causes, excerpt, root_cause};
use text::{because, challenge_hint, last_lines, quoted, wrong_era};

/// Whether the server may have begun to act on a message that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Certainly not: it never left, or it was refused because the session is not known. Sending again is safe.
    NotSent,
    /// It may have. Sending again may do the deed twice.
    Unknown,
    /// The server answered, but with a refusal or with something that is not MCP.
    Answered,
}

/// Why a session could not be opened, or a message got no answer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Error {
    parts: Arc<Parts>,
    delivery: Delivery,
}

#[derive(Debug)]
struct Parts {
    /// The URL without user, password, query and fragment; or the command.
    server: Box<str>,
    problem: Problem,
}

/// What went wrong, without the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The target cannot be used as it is given.
    #[error("{0}")]
    InvalidTarget(String),
    /// The file with certificates cannot be used.
    #[error("cannot use the CA file `{}`: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No connection came about.
    #[error("cannot connect: {reason}")]
    Connect {
        /// The cause, as the system says it.
        reason: String,
    },
    /// The server's certificate was refused, or the TLS handshake failed.
    #[error(
        "TLS failed: {reason}; if the server's certificate is from a CA of your own, give that CA's certificate \
         (`ssl_verify: /path/to/ca.pem`)"
    )]
    Tls {
        /// What rustls says.
        reason: String,
    },
    /// The connection broke before the answer was there.
    #[error("the connection broke before the answer: {reason}")]
    Broken {
        /// The cause, as the system says it.
        reason: String,
    },
    /// Time is up.
    #[error("no answer to `{method}` within {after:?}")]
    TimedOut {
        /// What was asked.
        method: Box<str>,
        /// How long we waited.
        after: Duration,
    },
    /// An HTTP status that is neither success nor the end of a session.
    #[error("answered HTTP {}{}{}", .0.status, .0.said(), challenge_hint(.0.status))]
    Status(Box<Refusal>),
    /// The server does not know our session any more: 404, or 400 with a text about the session.
    #[error("the server has ended the session (HTTP {}{})", .0.status, .0.said())]
    SessionEnded(Box<Refusal>),
    /// A redirect, which we never follow: it would carry credentials to a place nobody configured.
    #[error("answered HTTP {status}, a redirect to `{location}`; redirects are not followed, so configure that URL")]
    Redirect {
        /// The status.
        status: StatusCode,
        /// The place, without its query.
        location: String,
    },
    /// The answer is of a type that MCP does not have.
    #[error(
        "answered `{content_type}` where MCP has JSON or an event stream; is this the URL of an MCP server?{}",
        quoted(excerpt)
    )]
    NotMcp {
        /// The `Content-Type`, or `no content type`.
        content_type: String,
        /// The beginning of the body, control characters escaped.
        excerpt: String,
    },
    /// The answer claims to be a message and is none.
    #[error("answered something that is not an MCP message: {reason}{}", quoted(excerpt))]
    BadMessage {
        /// Why not.
        reason: String,
        /// The beginning of the message, control characters escaped.
        excerpt: String,
    },
    /// The body came to its end without the answer to our request.
    #[error("answered HTTP {status} without an answer to the request{}", quoted(excerpt))]
    NoAnswer {
        /// The status.
        status: StatusCode,
        /// The beginning of the body, control characters escaped.
        excerpt: String,
    },
    /// A compressed body, which we never ask for.
    #[error("answered with `Content-Encoding: {0}`, which was not asked for")]
    Encoded(String),
    /// A message passes [`Limits::message_bytes`](crate::Limits::message_bytes).
    #[error("sent a message of more than {cap_bytes} bytes")]
    TooLarge {
        /// The limit.
        cap_bytes: usize,
    },
    /// An event stream ended, or could not be resumed, before the answer.
    #[error("the event stream ended before the answer{}", because(reason))]
    StreamEnded {
        /// More about it, or empty.
        reason: String,
    },
    /// The one stream that a session over HTTP+SSE or stdio has is gone.
    #[error("the server closed the session's stream{}", because(reason))]
    StreamLost {
        /// More about it, or empty.
        reason: String,
    },
    /// The server answered `initialize` with a revision that is not known, or that has no handshake.
    #[error("speaks MCP revision `{0}`, which this client does not know")]
    UnknownRevision(String),
    /// The server answered `initialize` with another revision than the only one that was asked for.
    #[error("speaks MCP revision `{spoken}`, and only `{wanted}` is to be spoken with it")]
    OtherRevision {
        /// The one asked for.
        wanted: &'static str,
        /// The server's.
        spoken: &'static str,
    },
    /// The answer to `initialize` cannot be used.
    #[error("answered `initialize` wrongly: {0}")]
    BadHandshake(String),
    /// The answer to `server/discover` cannot be used.
    #[error("answered `server/discover` wrongly: {0}")]
    BadDiscovery(String),
    /// The server speaks revisions of the other kind: ours begin with `initialize` and its do not, or the reverse.
    #[error("{}; connect again to find out what it speaks", wrong_era(*.modern, reason))]
    WrongEra {
        /// Whether we spoke 2026-07-28.
        modern: bool,
        /// What the server said.
        reason: String,
        /// The HTTP status, if there was one.
        status: Option<StatusCode>,
    },
    /// The parameters of a request are no JSON object, or one that no server would take.
    #[error("{0}")]
    InvalidParams(String),
    /// One request's stream, or a session's, brought more than is bearable that is no message.
    #[error("sent {0} events or lines in a row that are not MCP messages")]
    Junk(usize),
    /// Only a session of revision 2026-07-28 has this.
    #[error("`{0}` needs MCP revision 2026-07-28, which this server does not speak")]
    ModernOnly(&'static str),
    /// The server answered with a JSON-RPC error where there is no way on without a result.
    #[error("refused `{method}`: {error}")]
    Refused {
        /// What was asked.
        method: Box<str>,
        /// The server's error.
        error: RpcError,
    },
    /// The old HTTP+SSE transport did not come about.
    #[error("HTTP+SSE: {0}")]
    Endpoint(String),
    /// Neither HTTP transport is spoken here.
    #[error("is not an MCP server: Streamable HTTP: {}; HTTP+SSE: {}", streamable.problem(), sse.problem())]
    NoTransport {
        /// What the attempt with Streamable HTTP came to; its status is the one that counts.
        streamable: Error,
        /// What the attempt with HTTP+SSE came to.
        sse: Error,
    },
    /// The command is not there.
    #[error("command not found; searched: {searched}")]
    CommandNotFound {
        /// The `PATH` that was searched, or the file that was looked for.
        searched: String,
    },
    /// The command is there but does not start.
    #[error("cannot be started: {reason}")]
    Spawn {
        /// What the system says.
        reason: String,
    },
    /// The child process is gone.
    #[error("{status}{}", last_lines(stderr))]
    ChildGone {
        /// How it ended, such as `exited with status 1`.
        status: String,
        /// The last lines it wrote to stderr.
        stderr: Vec<String>,
    },
    /// The child does not read what it is sent, and the queue to it is full.
    #[error("does not read its input; too many messages are waiting for it")]
    Busy,
    /// The [`Authorizer`](crate::Authorizer) had nothing for the request, or the server did not take what it had.
    #[error("the request could not be authorized: {0}")]
    NotSignedIn(String),
    /// The session was closed by us.
    #[error("the session is closed")]
    Closed,
    /// A list that does not end.
    #[error("`{method}` does not end: {reason}")]
    EndlessList {
        /// The list.
        method: Box<str>,
        /// What was seen.
        reason: String,
    },
}

/// What a server said with an HTTP status that is no success.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The `WWW-Authenticate` header; on 401 and 403 it tells how to log in.
    pub www_authenticate: Option<HeaderValue>,
    /// The `Retry-After` header.
    pub retry_after: Option<HeaderValue>,
    /// The JSON-RPC error in the body, if there was one.
    pub rpc: Option<RpcError>,
    /// The beginning of the body, control characters escaped.
    pub excerpt: String,
}

impl Refusal {
    fn said(&self) -> String {
        match &self.rpc {
            Some(rpc) => format!(": {rpc}"),
            None if self.excerpt.is_empty() => String::new(),
            None => format!(": {}", self.excerpt),
        }
    }
}

impl Error {
    pub(crate) fn new(server: &str, delivery: Delivery, problem: Problem) -> Self {
        Self { parts: Arc::new(Parts { server: server.into(), problem }), delivery }
    }

    /// The same failure, as it looks to a message that met it at another point.
    pub(crate) fn with_delivery(&self, delivery: Delivery) -> Self {
        Self { parts: Arc::clone(&self.parts), delivery }
    }

    /// What went wrong, without the place.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.parts.problem
    }

    /// Where it went wrong: the URL without user, password, query and fragment; or the command.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.parts.server
    }

    /// Whether the server may have begun to act on the message.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Whether the session is gone, so that only a new [`Session::connect`](crate::Session::connect) helps.
    #[must_use]
    pub fn session_lost(&self) -> bool {
        matches!(
            self.problem(),
            Problem::SessionEnded(_)
                | Problem::StreamLost { .. }
                | Problem::ChildGone { .. }
                | Problem::Closed
                | Problem::WrongEra { .. }
        )
    }

    /// Whether the server turned out to speak revisions of the other kind than we do with it: those with `initialize`
    /// in place of those without, or the reverse. A new session with [`Era::Detect`](crate::Era::Detect) mends that.
    #[must_use]
    pub fn is_wrong_era(&self) -> bool {
        match self.problem() {
            Problem::WrongEra { .. } => true,
            // A modern server knows no `initialize`, or misses the metadata in it.
            Problem::Refused { method, error } => {
                &**method == "initialize"
                    && (error.code == i64::from(code::METHOD_NOT_FOUND)
                        || error.message.contains("io.modelcontextprotocol/"))
            }
            _ => false,
        }
    }

    /// Whether the server was too slow.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.problem(), Problem::TimedOut { .. })
    }

    /// Whether no connection came about at all.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(
            self.problem(),
            Problem::Connect { .. } | Problem::Tls { .. } | Problem::CommandNotFound { .. } | Problem::Spawn { .. }
        )
    }

    /// Why the [`Authorizer`](crate::Authorizer) could not do its work, if that is what went wrong.
    #[must_use]
    pub fn not_signed_in(&self) -> Option<&str> {
        match self.problem() {
            Problem::NotSignedIn(why) => Some(why),
            Problem::NoTransport { streamable, .. } => streamable.not_signed_in(),
            _ => None,
        }
    }

    /// The HTTP status that the server answered, if that is what went wrong.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.problem() {
            Problem::Redirect { status, .. } | Problem::NoAnswer { status, .. } => Some(*status),
            Problem::WrongEra { status, .. } => *status,
            _ => self.refusal().map(|refusal| refusal.status),
        }
    }

    /// How to log in, from a 401 or 403.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<&HeaderValue> {
        self.refusal()?.www_authenticate.as_ref()
    }

    /// When to come again, from a 429 or 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<&HeaderValue> {
        self.refusal()?.retry_after.as_ref()
    }

    /// What the server said with a status that is no success. When neither HTTP transport was found, what it said to
    /// Streamable HTTP.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self.problem() {
            Problem::Status(refusal) | Problem::SessionEnded(refusal) => Some(refusal),
            Problem::NoTransport { streamable, .. } => streamable.refusal(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.server(), self.problem())
    }
}

impl std::error::Error for Error {}
