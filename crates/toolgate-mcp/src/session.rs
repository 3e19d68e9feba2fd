//! What a client's POST is, and what the gateway remembers of a client between POSTs.
//!
//! One endpoint serves every revision: those with a handshake (`initialize`, then perhaps a session id) and those
//! where each request stands alone. Which one a POST belongs to is decided here, from its headers and its body alone,
//! so that the same rules hold wherever it comes in. HTTP status codes are the caller's matter.
//!
//! Source: MCP 2026-07-28 `basic/versioning` (dual-era servers), MCP 2025-11-25 Transports, Session Management.

mod capabilities;

use crate::jsonrpc::code;
use crate::method;
use crate::version::Revision;

pub use capabilities::ClientCapabilities;

/// The revision that `initialize` agrees on: the client's, if it is offered and has a handshake, else the newest such
/// (MCP 2025-11-25, Lifecycle, Version Negotiation).
#[must_use]
pub fn negotiate(requested: &str, offered: &[Revision]) -> Revision {
    let with_handshake = || offered.iter().copied().filter(|revision| revision.has_handshake());
    Revision::parse(requested)
        .filter(|revision| with_handshake().any(|offer| offer == *revision))
        .or_else(|| with_handshake().max())
        .unwrap_or(Revision::NEWEST_WITH_HANDSHAKE)
}

/// What a POST shows of itself before its method is looked into.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// What the `Mcp-Session-Id` header leads to.
    pub session: SessionHeader,
    /// The `MCP-Protocol-Version` header.
    pub version_header: Option<&'a str>,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]` of the body; see [`crate::views::meta_protocol_version`].
    pub meta_version: Option<&'a str>,
    /// The body.
    pub content: Content<'a>,
}

/// What the `Mcp-Session-Id` header leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionHeader {
    /// There is none.
    Absent,
    /// To no session of this caller, or to one that is over.
    Unknown,
    /// To a session of this revision.
    Open(Revision),
}

/// What the body of a POST is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A request with this method.
    Request(&'a str),
    /// A notification with this method.
    Notification(&'a str),
    /// The client's answer to a request of ours.
    Response,
    /// Several messages.
    Batch {
        /// Whether one of them is `initialize`, or holds a `_meta` version.
        holds_single_only: bool,
    },
}

/// What to do with a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Begin a session.
    Initialize,
    /// Serve it in its session, of this revision.
    InSession(Revision),
    /// Serve it by itself, as this revision: curl and simple scripts never initialize.
    Sessionless(Revision),
    /// A request that stands alone by its revision.
    Modern(Revision),
    /// Refuse it.
    Refused(Refusal),
}

/// Why a POST is refused. The text is for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Header and body name different revisions.
    #[error("the header `MCP-Protocol-Version` must be `{body}`, as the body's `_meta` says")]
    HeaderMismatch {
        /// What the body says.
        body: String,
    },
    /// The body's `_meta` names a revision that has no `_meta` version, or none that we know.
    #[error("protocol version `{requested}` cannot be used without `initialize`, or is unknown")]
    UnsupportedVersion {
        /// What it says.
        requested: String,
    },
    /// The header names a revision whose requests carry their version in `_meta`, and the body has none.
    #[error("`params._meta` needs `io.modelcontextprotocol/protocolVersion` for the version in the header")]
    MissingMeta,
    /// The header names no revision that we know.
    #[error("the header `MCP-Protocol-Version` names an unknown version `{header}`")]
    UnknownVersionHeader {
        /// What it says.
        header: String,
    },
    /// The session is over, or never was this caller's. The client must initialize again.
    #[error("unknown session")]
    UnknownSession,
    /// An answer, or a request whose effect comes later, without a session.
    #[error("this needs a session: send `initialize` first, then its `Mcp-Session-Id` with every request")]
    SessionRequired,
    /// A batch where the revision has none.
    #[error("protocol version {0} has no batches")]
    Batch(Revision),
    /// A batch with a message that must come alone.
    #[error("a batch must not hold `initialize`, nor requests that carry their protocol version")]
    NotInBatch,
}

impl Refusal {
    /// The JSON-RPC code that says so.
    ///
    /// -32020 and -32022 go only to clients that have shown a `_meta` version: to others they would mean nothing.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::HeaderMismatch { .. } => code::HEADER_MISMATCH,
            Self::UnsupportedVersion { .. } => code::UNSUPPORTED_PROTOCOL_VERSION,
            Self::MissingMeta => code::INVALID_PARAMS,
            Self::UnknownVersionHeader { .. }
            | Self::UnknownSession
            | Self::SessionRequired
            | Self::Batch(_)
            | Self::NotInBatch => code::INVALID_REQUEST,
        }
    }
}

/// Decides what a POST is.
#[must_use]
pub fn decide(post: &Post<'_>) -> Decision {
    if matches!(post.content, Content::Batch { holds_single_only: true }) {
        return Decision::Refused(Refusal::NotInBatch);
    }
    if let Some(version) = post.meta_version {
        return modern(version, post.version_header).unwrap_or_else(Decision::Refused);
    }
    // A client that begins anew may still send the id of the session it has lost, and any version header.
    if post.content == Content::Request(method::INITIALIZE) {
        return Decision::Initialize;
    }
    legacy(post).unwrap_or_else(Decision::Refused)
}

/// Session ids mean nothing here: MCP 2026-07-28 has servers ignore them.
fn modern(version: &str, header: Option<&str>) -> Result<Decision, Refusal> {
    if header != Some(version) {
        return Err(Refusal::HeaderMismatch { body: version.to_owned() });
    }
    match Revision::parse(version) {
        Some(revision) if !revision.has_handshake() => Ok(Decision::Modern(revision)),
        _ => Err(Refusal::UnsupportedVersion { requested: version.to_owned() }),
    }
}

fn legacy(post: &Post<'_>) -> Result<Decision, Refusal> {
    let header = legacy_header(post.version_header)?;
    let decision = match post.session {
        SessionHeader::Unknown => return Err(Refusal::UnknownSession),
        // What was agreed counts: some clients go on sending the version that they first asked for.
        SessionHeader::Open(revision) => Decision::InSession(revision),
        SessionHeader::Absent => Decision::Sessionless(header.unwrap_or(Revision::ASSUMED_WITHOUT_HEADER)),
    };
    match (&decision, post.content) {
        (Decision::Sessionless(_), Content::Response) => Err(Refusal::SessionRequired),
        (Decision::Sessionless(_), Content::Request(method)) if method::needs_session(method) => {
            Err(Refusal::SessionRequired)
        }
        (Decision::Sessionless(revision) | Decision::InSession(revision), Content::Batch { .. })
            if !revision.has_batches() =>
        {
            Err(Refusal::Batch(*revision))
        }
        _ => Ok(decision),
    }
}

fn legacy_header(header: Option<&str>) -> Result<Option<Revision>, Refusal> {
    let Some(header) = header else { return Ok(None) };
    match Revision::parse(header) {
        Some(revision) if revision.has_handshake() => Ok(Some(revision)),
        Some(_) => Err(Refusal::MissingMeta),
        None => Err(Refusal::UnknownVersionHeader { header: header.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
