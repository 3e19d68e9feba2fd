//! Why a request to an upstream got no answer.
//!
//! The texts are one line that a person can act on, the cause included, because they end in front of whoever asked and
//! in the status of the server.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use toolgate_access::role::Role;
use toolgate_client::{Delivery, Problem};

use super::credential::CredentialError;
use crate::auth::Caller;

/// Why a request to an upstream got no answer. Cheap to clone: callers that wait for one connection share it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// The server's kind or `auth_type` is known, and comes with a later version.
    #[error("server `{server}` cannot be used yet: {what} is not active in this version")]
    NotActiveYet {
        /// The server.
        server: String,
        /// The setting, such as ``auth_type `oauth2` ``.
        what: String,
    },
    /// The caller's request does not hold what the server needs.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No connection came about. The request was not sent.
    #[error("server `{server}` cannot be reached: {cause}{}", retry(*retry_in))]
    Unavailable {
        /// The server.
        server: String,
        /// What happened when it was last tried.
        cause: toolgate_client::Error,
        /// When it is tried again; `None` if with the next request.
        retry_in: Option<Duration>,
    },
    /// Time is up.
    #[error("server `{server}` did not {} within {after:?}", wait.verb())]
    TimedOut {
        /// The server.
        server: String,
        /// What was waited for.
        wait: Wait,
        /// How long.
        after: Duration,
    },
    /// The server wants other credentials than it was given.
    #[error("server `{server}` refused the credentials (HTTP {}); send yours as `x-mcp-{server}-authorization`", status.as_u16())]
    AuthRequired {
        /// The server.
        server: String,
        /// 401 or 403.
        status: StatusCode,
        /// How to log in, in the server's words.
        www_authenticate: Option<HeaderValue>,
    },
    /// The gateway has nothing to use the server with in its own name, or the server did not take it. The request was not
    /// acted on.
    #[error("server `{server}` cannot be used: the gateway could not sign in for it: {why}")]
    NotSignedIn {
        /// The server.
        server: String,
        /// What the authorization server or the server said, or what else happened.
        why: String,
    },
    /// A limit is reached and nothing became free in time. The request was not sent.
    #[error("server `{server}` is busy: {limit}; try again later")]
    Busy {
        /// The server.
        server: String,
        /// Which limit.
        limit: String,
    },
    /// As many requests were sent to the server in this minute as its `rpm` allows. The request was not sent.
    #[error("server `{server}` takes {limit} requests a minute (`rpm`); try again in {} s", retry_after.as_secs())]
    RateLimited {
        /// The server.
        server: String,
        /// How many there may be.
        limit: u64,
        /// When there may be more.
        retry_after: Duration,
    },
    /// The client's session was closed, the server was taken out of the configuration, or the gateway is stopping. The
    /// request was not sent.
    #[error(
        "server `{server}` is no longer connected: the session was closed, the gateway is stopping, or its configuration has changed"
    )]
    Closed {
        /// The server.
        server: String,
    },
    /// A modern server wanted something of the client that it did not get.
    #[error("server `{server}` needs the client's input: {why}")]
    Unfulfilled {
        /// The server.
        server: String,
        /// Why it did not get it.
        why: String,
    },
    /// A REST API's description cannot be used, or what was asked is nothing that a REST API has.
    #[error("server `{server}` cannot be used: {why}")]
    Description {
        /// The server.
        server: String,
        /// Why not.
        why: String,
    },
    /// The connection was there, and the request failed on it.
    #[error("server `{server}` failed: {cause}")]
    Failed {
        /// The server.
        server: String,
        /// What happened.
        cause: toolgate_client::Error,
    },
}

/// What a request was waiting for when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// One of `max_concurrent_requests` places.
    Turn,
    /// The connection and the handshake.
    Connection,
    /// The answer.
    Answer,
}

impl Wait {
    fn verb(self) -> &'static str {
        match self {
            Self::Turn => "become free",
            Self::Connection => "complete the connection",
            Self::Answer => "answer",
        }
    }
}

/// Who reads an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody who runs the gateway.
    Administrator,
    /// Somebody who only uses it.
    Caller,
}

impl Reader {
    /// Who reads what this caller is answered.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let is_admin = caller.principal.role().is_some_and(Role::sees_everything);
        if is_admin { Self::Administrator } else { Self::Caller }
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Who asked.
    Caller,
    /// The server behind the gateway.
    Upstream,
    /// The gateway or its configuration.
    Gateway,
}

impl UpstreamError {
    /// Whose fault this is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Credential(CredentialError::Configured { .. } | CredentialError::VaultClosed { .. })
            | Self::NotActiveYet { .. }
            | Self::NotSignedIn { .. }
            | Self::Description { .. } => Blame::Gateway,
            Self::Busy { .. } | Self::RateLimited { .. } | Self::Closed { .. } => Blame::Gateway,
            Self::Credential(_) | Self::AuthRequired { .. } | Self::Unfulfilled { .. } => Blame::Caller,
            Self::Unavailable { .. } | Self::TimedOut { .. } | Self::Failed { .. } => Blame::Upstream,
        }
    }

    /// Whether the server may have acted on the request, so that sending it again may do the deed twice.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::NotActiveYet { .. }
            | Self::Credential(_)
            | Self::Unavailable { .. }
            | Self::AuthRequired { .. }
            | Self::NotSignedIn { .. }
            | Self::Busy { .. }
            | Self::RateLimited { .. }
            | Self::Description { .. }
            | Self::Closed { .. } => false,
            // What it did before it asked, it has done.
            Self::Unfulfilled { .. } => true,
            Self::TimedOut { wait, .. } => *wait == Wait::Answer,
            Self::Failed { cause, .. } => match cause.delivery() {
                Delivery::NotSent => false,
                Delivery::Unknown => true,
                // A 4xx says that the request was turned away; anything else may have come after the deed.
                Delivery::Answered => !cause.status().is_some_and(|status| status.is_client_error()),
            },
        }
    }

    /// Whether the server could not answer for now, whoever asks.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::NotSignedIn { .. }
            | Self::Busy { .. }
            | Self::RateLimited { .. }
            | Self::Description { .. }
            | Self::Failed { .. } => true,
            Self::NotActiveYet { .. }
            | Self::Credential(_)
            | Self::AuthRequired { .. }
            | Self::Closed { .. }
            | Self::Unfulfilled { .. } => false,
        }
    }

    /// LiteLLM's word for it in `_meta["litellm.ai/server_outcomes"]`.
    #[must_use]
    pub fn outcome_label(&self) -> &'static str {
        match self {
            Self::NotActiveYet { .. } | Self::Closed { .. } => "internal",
            Self::Credential(CredentialError::Configured { .. } | CredentialError::VaultClosed { .. }) => "internal",
            Self::Credential(_) => "auth_required",
            Self::AuthRequired { status, .. } if *status == StatusCode::FORBIDDEN => "forbidden",
            Self::AuthRequired { .. } => "auth_required",
            Self::TimedOut { .. } => "timeout",
            Self::Busy { .. } | Self::RateLimited { .. } => "rate_limited",
            Self::Unfulfilled { .. } | Self::Description { .. } | Self::NotSignedIn { .. } => "upstream_error",
            Self::Unavailable { cause, .. } | Self::Failed { cause, .. } => label(cause),
        }
    }

    /// Whether the request holds a header value that can be sent to no server.
    #[must_use]
    pub fn is_malformed_header(&self) -> bool {
        matches!(self, Self::Credential(CredentialError::Unclean { .. } | CredentialError::TooLong { .. }))
    }

    /// What `reader` may be told of it: the one place that decides whether a server's own words reach a caller. They may
    /// hold anything, a child's last words too, so only administrators see them. The log has them all.
    #[must_use]
    pub fn told_to(&self, reader: Reader) -> String {
        match (reader, self) {
            (Reader::Caller, Self::Unavailable { server, retry_in, .. }) => {
                format!("server `{server}` cannot be reached{}", retry(*retry_in))
            }
            (Reader::Caller, Self::Failed { server, .. }) => format!("server `{server}` failed"),
            (Reader::Caller, Self::Description { server, .. } | Self::NotSignedIn { server, .. }) => {
                format!("server `{server}` cannot be used")
            }
            (Reader::Administrator, _) | (Reader::Caller, _) => self.to_string(),
        }
    }

    /// When to come again, where the server's `rpm` is used up.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::NotActiveYet { .. }
            | Self::Credential(_)
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::AuthRequired { .. }
            | Self::NotSignedIn { .. }
            | Self::Busy { .. }
            | Self::Closed { .. }
            | Self::Description { .. }
            | Self::Unfulfilled { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// The server's name.
    #[must_use]
    pub fn server(&self) -> &str {
        match self {
            Self::NotActiveYet { server, .. }
            | Self::Unavailable { server, .. }
            | Self::TimedOut { server, .. }
            | Self::AuthRequired { server, .. }
            | Self::NotSignedIn { server, .. }
            | Self::Busy { server, .. }
            | Self::RateLimited { server, .. }
            | Self::Closed { server }
            | Self::Description { server, .. }
            | Self::Unfulfilled { server, .. }
            | Self::Failed { server, .. } => server,
            Self::Credential(error) => error.server(),
        }
    }

    /// The HTTP status that the server answered, if that is what went wrong.
    #[must_use]
    pub fn http_status(&self) -> Option<StatusCode> {
        match self {
            Self::AuthRequired { status, .. } => Some(*status),
            Self::Unavailable { cause, .. } | Self::Failed { cause, .. } => cause.status(),
            Self::NotActiveYet { .. }
            | Self::Credential(_)
            | Self::TimedOut { .. }
            | Self::NotSignedIn { .. }
            | Self::Busy { .. }
            | Self::RateLimited { .. }
            | Self::Unfulfilled { .. }
            | Self::Description { .. }
            | Self::Closed { .. } => None,
        }
    }

    /// A failure of the client while connecting.
    pub(super) fn connecting(server: &str, cause: toolgate_client::Error, limit: Duration) -> Self {
        let server = server.to_owned();
        if cause.is_timeout() {
            return Self::TimedOut { server, wait: Wait::Connection, after: limit };
        }
        Self::refusal(&server, &cause).unwrap_or(Self::Unavailable { server, cause, retry_in: None })
    }

    /// A failure of the client on a connection that was there.
    pub(super) fn asking(server: &str, cause: toolgate_client::Error, limit: Duration) -> Self {
        let server = server.to_owned();
        if cause.is_timeout() {
            return Self::TimedOut { server, wait: Wait::Answer, after: limit };
        }
        if let Some(refusal) = Self::refusal(&server, &cause) {
            return refusal;
        }
        if matches!(cause.problem(), Problem::Busy) {
            let limit = "it does not read its input, and too many messages are waiting for it".to_owned();
            return Self::Busy { server, limit };
        }
        if cause.is_connect() && cause.delivery() == Delivery::NotSent {
            return Self::Unavailable { server, cause, retry_in: None };
        }
        Self::Failed { server, cause }
    }

    fn refusal(server: &str, cause: &toolgate_client::Error) -> Option<Self> {
        if let Some(why) = cause.not_signed_in() {
            return Some(Self::NotSignedIn { server: server.to_owned(), why: why.to_owned() });
        }
        let status = cause.status()?;
        (status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN).then(|| Self::AuthRequired {
            server: server.to_owned(),
            status,
            www_authenticate: cause.www_authenticate().cloned(),
        })
    }
}

/// An answer that is wrong is another matter than none.
fn label(cause: &toolgate_client::Error) -> &'static str {
    if cause.is_timeout() {
        return "timeout";
    }
    match cause.status() {
        Some(StatusCode::TOO_MANY_REQUESTS) => return "rate_limited",
        Some(_) => return "upstream_error",
        None => {}
    }
    match cause.problem() {
        Problem::InvalidTarget(_) | Problem::CaFile { .. } => "internal",
        Problem::Connect { .. }
        | Problem::Tls { .. }
        | Problem::Broken { .. }
        | Problem::StreamEnded { .. }
        | Problem::StreamLost { .. }
        | Problem::CommandNotFound { .. }
        | Problem::Spawn { .. }
        | Problem::ChildGone { .. }
        | Problem::Busy
        | Problem::Closed => "unreachable",
        // The server is there, and what it said, or was asked, is wrong.
        _ => "upstream_error",
    }
}

fn retry(retry_in: Option<Duration>) -> String {
    retry_in.map_or_else(String::new, |wait| format!("; it is tried again in {:.1} s", wait.as_secs_f64()))
}
