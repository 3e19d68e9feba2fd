//! What a request of revision 2026-07-28 says of itself: `_meta` in its parameters, and headers that repeat its method
//! and the name of what it is about.
//!
//! Source: MCP 2026-07-28, Basic, `_meta`; Streamable HTTP, Standard Request Headers (SEP-2575, SEP-2243).

mod discover;

use http::HeaderValue;
use serde_json::value::RawValue;
use toolgate_mcp::translate::request;
use toolgate_mcp::version::Revision;
use toolgate_mcp::{headers, jsonrpc};

pub(crate) use discover::{METHOD, Verdict, of_error, refused, verdict};

use crate::options::Options;

/// The revision that modern sessions speak.
pub(crate) const REVISION: Revision = Revision::V2026_07_28;

/// What a client says of itself with every request of revision 2026-07-28, in `_meta`.
#[derive(Debug, Clone)]
pub struct ClientFacts {
    /// What the client can do, a JSON object.
    pub capabilities: Box<RawValue>,
    /// The client's name and version, a JSON object.
    pub client_info: Option<Box<RawValue>>,
    /// How much the server may log to the request's stream, such as `info`; nothing if absent.
    pub log_level: Option<String>,
}

impl ClientFacts {
    /// What `options` say of us.
    pub(crate) fn of(options: &Options) -> Self {
        let (name, version) = (jsonrpc::quote(&options.client_name), jsonrpc::quote(&options.client_version));
        let info = RawValue::from_string(format!(r#"{{"name":{name},"version":{version}}}"#));
        Self { capabilities: options.capabilities.clone(), client_info: info.ok(), log_level: None }
    }
}

/// A request's parameters with its metadata, and the headers that repeat parts of it.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) params: String,
    pub(crate) repeats: Repeats,
}

/// The values of `Mcp-Method` and `Mcp-Name`.
#[derive(Debug, Clone)]
pub(crate) struct Repeats {
    pub(crate) method: HeaderValue,
    pub(crate) name: Option<HeaderValue>,
}

impl Repeats {
    /// What headers repeat of a message without a name.
    pub(crate) fn of(method: &str) -> Option<Self> {
        Some(Self { method: header(method)?, name: None })
    }
}

/// Puts the metadata into `params`, JSON text, of which every other byte stays, and what else is in its `_meta`.
///
/// The error says what is wrong with `params`, or that the method cannot be put into a header.
pub(crate) fn describe(method: &str, params: Option<&str>, client: &ClientFacts) -> Result<Described, String> {
    let (capabilities, log_level) = (client.capabilities.get(), client.log_level.as_deref());
    let client_info = client.client_info.as_deref().map(RawValue::get);
    let params = request::with_client(params, REVISION.name(), capabilities, client_info, log_level)
        .map_err(|error| format!("the parameters of `{method}` cannot be used: {error}"))?;
    let repeats = Repeats::of(method).ok_or_else(|| "the method has no value for a header".to_owned())?;
    // Parameters that lack a name, or have a strange one, are the server's to refuse.
    let raw: Option<&RawValue> = serde_json::from_str(&params).ok();
    let name = headers::mcp_name(method, raw).ok().flatten().as_deref().and_then(header);
    Ok(Described { repeats: Repeats { name, ..repeats }, params })
}

fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&headers::encode(text)).ok()
}

#[cfg(test)]
mod tests;
