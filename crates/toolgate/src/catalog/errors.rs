//! Why a list, a name or a call came to nothing, in the catalog's terms. `faces` turns these into answers.

use std::sync::Arc;
use std::time::Duration;

use toolgate_mcp::headers::Mismatch;
use toolgate_mcp::jsonrpc::code;
use toolgate_mcp::translate::errors;
use toolgate_mcp::views::ViewError;

use super::merge::Outcome;
use super::operations::Called;
use crate::accounting::Refused;
use crate::upstream::{Reader, UpstreamError};

/// Why one server's list is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server cannot be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// It answered with an error.
    #[error("server `{server}` refused to list {what}: {error}")]
    Refused {
        /// The server's prefix.
        server: String,
        /// The kind, in the plural.
        what: &'static str,
        /// The JSON-RPC error, raw.
        error: String,
    },
    /// It answered with something that is no list.
    #[error("server `{server}` listed {what} in a way that cannot be read: {why}")]
    Unreadable {
        /// The server's prefix.
        server: String,
        /// The kind, in the plural.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl FetchError {
    /// LiteLLM's word for it in `_meta["litellm.ai/server_outcomes"]`.
    #[must_use]
    pub fn outcome_label(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.outcome_label(),
            Self::Refused { .. } | Self::Unreadable { .. } => "upstream_error",
        }
    }

    /// Whether the server is in trouble, and has not said anything about who asks. A JSON-RPC error other than an
    /// internal one may be its way to say that it does not know the credential any more.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_outage(),
            Self::Refused { error, .. } => errors::code_of(error) == Some(code::INTERNAL_ERROR),
            Self::Unreadable { .. } => true,
        }
    }

    /// What `reader` may be told of it; see [`UpstreamError::told_to`].
    #[must_use]
    pub fn told_to(&self, reader: Reader) -> String {
        match (self, reader) {
            (Self::Upstream(error), reader) => error.told_to(reader),
            (_, Reader::Administrator) => self.to_string(),
            (Self::Refused { server, what, .. }, Reader::Caller) => {
                format!("server `{server}` refused to list {what}")
            }
            (Self::Unreadable { server, what, .. }, Reader::Caller) => {
                format!("server `{server}` listed {what} in a way that cannot be read")
            }
        }
    }

    /// Whether the request holds a header value that can be sent to no server.
    #[must_use]
    pub fn is_malformed_header(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_malformed_header())
    }

    /// The HTTP status that the server answered, if that is what went wrong.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Upstream(error) => error.http_status().map(|status| status.as_u16()),
            Self::Refused { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Why nothing could be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of ours, or the list has changed since.
    #[error("invalid cursor: {0}")]
    Cursor(&'static str),
    /// There are servers in scope, and none of them answered.
    #[error("Every MCP server in scope failed to list {what}")]
    NoneAnswered {
        /// The kind, in the plural.
        what: &'static str,
        /// What each server said.
        outcomes: Vec<Outcome>,
    },
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nobody in scope has it.
    #[error("Unknown {noun}: {name}")]
    Unknown {
        /// Tool, prompt, resource.
        noun: &'static str,
        /// As the caller wrote it.
        name: String,
    },
    /// Several have it under this bare name.
    #[error("{noun} `{name}` is on several servers; use one of: {}", .choices.join(", "))]
    Ambiguous {
        /// Tool, prompt.
        noun: &'static str,
        /// As the caller wrote it.
        name: String,
        /// The listed names.
        choices: Vec<String>,
    },
    /// The server has it, and its configuration withholds it. LiteLLM's words.
    #[error("Tool {tool} is not allowed for server {server}. Contact proxy admin to allow this tool.")]
    NotAllowed {
        /// Bare.
        tool: String,
        /// The server's prefix.
        server: String,
    },
    /// The server that would have it cannot be asked.
    #[error(transparent)]
    Server(Arc<FetchError>),
}

/// Why a call brought no answer of the upstream.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The parameters are not what the method takes.
    #[error("{0}")]
    BadParams(#[from] ViewError),
    /// The arguments are not an object, or have a key twice.
    #[error("`arguments` must be an object without duplicate keys: {0}")]
    Arguments(String),
    /// `allowed_params` forbids some of the arguments. LiteLLM's words, lists as Python prints them.
    #[error(
        "Parameters {} are not allowed for tool {tool}. Allowed parameters: {}. Contact proxy admin to allow these parameters.",
        python_list(.refused), python_list(.allowed)
    )]
    Params {
        /// Bare.
        tool: String,
        /// What was sent and may not be.
        refused: Vec<String>,
        /// What may be sent.
        allowed: Vec<String>,
    },
    /// The request's headers do not say what its arguments say.
    #[error(transparent)]
    Headers(#[from] Mismatch),
    /// The name leads nowhere.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A limit or budget of who calls is used up.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The upstream failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The upstream failed with what was found to be called.
    #[error(transparent)]
    Called(Box<FailedCall>),
}

/// A call of something that is known, which brought no answer.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FailedCall {
    /// What was called.
    pub called: Called,
    /// Why there is no answer.
    pub error: UpstreamError,
}

impl CallError {
    /// What `reader` may be told of it; see [`UpstreamError::told_to`].
    #[must_use]
    pub fn told_to(&self, reader: Reader) -> String {
        match self {
            Self::Upstream(error) => error.told_to(reader),
            Self::Called(failed) => failed.error.told_to(reader),
            Self::Find(FindError::Server(fetch)) => fetch.told_to(reader),
            Self::BadParams(_)
            | Self::Arguments(_)
            | Self::Params { .. }
            | Self::Headers(_)
            | Self::Find(_)
            | Self::Refused(_) => self.to_string(),
        }
    }

    /// What was called, where that is known.
    #[must_use]
    pub fn called(&self) -> Option<&Called> {
        match self {
            Self::Called(failed) => Some(&failed.called),
            Self::BadParams(_)
            | Self::Arguments(_)
            | Self::Params { .. }
            | Self::Headers(_)
            | Self::Find(_)
            | Self::Refused(_)
            | Self::Upstream(_) => None,
        }
    }

    /// When to come again, where a limit is used up and time helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let upstream = match self {
            Self::Refused(refused) => return refused.retry_after(),
            Self::Upstream(error) => error,
            Self::Called(failed) => &failed.error,
            Self::Find(FindError::Server(fetch)) => match &**fetch {
                FetchError::Upstream(error) => error,
                FetchError::Refused { .. } | FetchError::Unreadable { .. } => return None,
            },
            Self::BadParams(_) | Self::Arguments(_) | Self::Params { .. } | Self::Headers(_) | Self::Find(_) => {
                return None;
            }
        };
        upstream.retry_after()
    }

    /// Whether a limit or budget is used up.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Refused(_)) || self.retry_after().is_some()
    }
}

fn python_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}
