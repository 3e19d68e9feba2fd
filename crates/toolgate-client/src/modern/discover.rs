//! `server/discover`: the question that tells a modern server from a legacy one, and what a modern one says of itself.
//!
//! A legacy server may answer it in any way: with any error, with an empty result, not at all. Only an answer that a
//! modern server alone can give proves one.
//!
//! Source: MCP 2026-07-28, Versioning, Dual-Era; Discovery.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::code;

use super::REVISION;
use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::error::Problem;
use crate::handshake::{ServerFacts, Transport};

/// The method.
pub(crate) const METHOD: &str = toolgate_mcp::method::SERVER_DISCOVER;

/// The most versions that are read of a server's list.
const MOST_VERSIONS: usize = 64;

/// What an answer to `server/discover` says of the server's era.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A modern server that speaks our revision, and what it is.
    Modern(Box<ServerFacts>),
    /// A modern server that refuses the revision we asked with, although it lists it: ask once more.
    Again(RpcError),
    /// A modern server, but not for us.
    Refused(RpcError),
    /// Whatever it is, nothing proves it modern.
    Unproven(Problem),
}

/// Judges an answer to `server/discover`.
pub(crate) fn verdict(answer: &Answer, transport: Transport) -> Verdict {
    match answer.outcome() {
        AnswerOutcome::Result(result) => match facts(result, transport) {
            Ok(facts) => Verdict::Modern(Box::new(facts)),
            Err(problem) => Verdict::Unproven(problem),
        },
        AnswerOutcome::Error(error) => of_error(RpcError::read(error)),
    }
}

/// Judges an error that answers `server/discover`.
pub(crate) fn of_error(error: RpcError) -> Verdict {
    if !error.is_of_modern_era() {
        return Verdict::Unproven(refused(error));
    }
    let unsupported = error.code == i64::from(code::UNSUPPORTED_PROTOCOL_VERSION);
    if unsupported && supported(&error).iter().any(|version| version == REVISION.name()) {
        Verdict::Again(error)
    } else {
        Verdict::Refused(error)
    }
}

impl RpcError {
    /// Whether only a server of revision 2026-07-28 or later sends this.
    pub(crate) fn is_of_modern_era(&self) -> bool {
        [code::HEADER_MISMATCH, code::MISSING_CLIENT_CAPABILITY, code::UNSUPPORTED_PROTOCOL_VERSION]
            .map(i64::from)
            .contains(&self.code)
    }
}

/// `error` as the end of an attempt to discover.
pub(crate) fn refused(error: RpcError) -> Problem {
    Problem::Refused { method: METHOD.into(), error }
}

/// The versions that an error -32022 lists.
fn supported(error: &RpcError) -> Vec<String> {
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        supported: Vec<String>,
    }
    let data = error.data.as_deref().map(|data| serde_json::from_str::<Data>(data.get()));
    data.and_then(Result::ok).map(|data| data.supported).unwrap_or_default()
}

/// Reads the result of `server/discover`. A server that does not list our revision is none that we can use.
fn facts(result: &str, transport: Transport) -> Result<ServerFacts, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        supported_versions: Vec<Cow<'a, str>>,
        #[serde(borrow)]
        capabilities: Option<&'a RawValue>,
        #[serde(borrow)]
        server_info: Option<&'a RawValue>,
        #[serde(borrow)]
        instructions: Option<Cow<'a, str>>,
        #[serde(borrow, rename = "_meta")]
        meta: Option<&'a RawValue>,
    }
    let wire: Wire<'_> = serde_json::from_str(result).map_err(|error| Problem::BadDiscovery(error.to_string()))?;
    if !wire.supported_versions.iter().any(|version| version == REVISION.name()) {
        let versions = wire.supported_versions.join(", ");
        return Err(Problem::UnknownRevision(crate::error::excerpt(versions.as_bytes())));
    }
    let object = |raw: Option<&RawValue>| raw.filter(|raw| raw.get().starts_with('{')).map(ToOwned::to_owned);
    let stamped = wire.meta.and_then(|meta| server_info(meta.get()));
    Ok(ServerFacts {
        revision: REVISION,
        supported_versions: wire.supported_versions.iter().take(MOST_VERSIONS).map(|name| name.to_string()).collect(),
        capabilities: object(wire.capabilities).unwrap_or_else(crate::handshake::empty_object),
        // Servers written before the revision was final have it as a field.
        server_info: object(stamped.or(wire.server_info)),
        instructions: wire.instructions.map(Cow::into_owned),
        has_session_id: false,
        transport,
    })
}

fn server_info(meta: &str) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, rename = "io.modelcontextprotocol/serverInfo")]
        stamped: Option<&'a RawValue>,
    }
    serde_json::from_str::<Wire<'_>>(meta).ok()?.stamped
}
