//! `initialize`: what we say of ourselves, and what the server says of itself. Its successor since 2026-07-28,
//! `server/discover`, is in `modern`.
//!
//! Source: MCP 2025-11-25, Lifecycle, Initialization.

use std::borrow::Cow;

use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::Initialized;

use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::error::Problem;
use crate::options::Options;

/// What a server said of itself when the session began.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// The revision that both sides speak.
    pub revision: Revision,
    /// What `server/discover` lists; over `initialize` the one revision. A server may speak more than it lists.
    pub supported_versions: Vec<String>,
    /// The server's capabilities, an object.
    pub capabilities: Box<RawValue>,
    /// Name, version and the like, an object.
    pub server_info: Option<Box<RawValue>>,
    /// How the server wants to be used, for the model.
    pub instructions: Option<String>,
    /// Whether the server gave the session an id; only over Streamable HTTP.
    pub has_session_id: bool,
    /// The transport that was found.
    pub transport: Transport,
}

/// The transports of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Streamable HTTP, since revision 2025-03-26.
    Streamable,
    /// HTTP+SSE, of revision 2024-11-05.
    Sse,
    /// Standard input and output of a child process.
    Stdio,
}

impl Transport {
    /// The name that configuration files have for it: `http`, `sse` or `stdio`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streamable => "http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

/// The parameters of `initialize`.
pub(crate) fn params(options: &Options) -> String {
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"clientInfo":{{"name":{},"version":{}}}}}"#,
        options.revision.unwrap_or(Revision::NEWEST_WITH_HANDSHAKE),
        options.capabilities.get(),
        quote(&options.client_name),
        quote(&options.client_version),
    )
}

/// Reads the answer to `initialize`; another revision than `only` is refused.
pub(crate) fn read(
    answer: &Answer,
    transport: Transport,
    has_session_id: bool,
    only: Option<Revision>,
) -> Result<ServerFacts, Problem> {
    let result = match answer.outcome() {
        AnswerOutcome::Result(result) => result,
        AnswerOutcome::Error(error) => {
            let error = RpcError::read(error);
            if error.is_of_modern_era() {
                return Err(Problem::WrongEra { modern: false, reason: error.to_string(), status: None });
            }
            return Err(Problem::Refused { method: "initialize".into(), error });
        }
    };
    let initialized = Initialized::read(result).map_err(|error| Problem::BadHandshake(error.to_string()))?;
    let revision = Revision::parse(&initialized.protocol_version)
        .filter(|revision| revision.has_handshake())
        .ok_or_else(|| Problem::UnknownRevision(crate::error::excerpt(initialized.protocol_version.as_bytes())))?;
    if let Some(wanted) = only.filter(|wanted| *wanted != revision) {
        return Err(Problem::OtherRevision { wanted: wanted.name(), spoken: revision.name() });
    }
    Ok(ServerFacts {
        revision,
        supported_versions: vec![revision.name().to_owned()],
        capabilities: initialized.capabilities.map_or_else(empty_object, ToOwned::to_owned),
        server_info: initialized.server_info.map(ToOwned::to_owned),
        instructions: initialized.instructions.map(Cow::into_owned),
        has_session_id,
        transport,
    })
}

/// `{}`.
pub(crate) fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}
