//! What a request of revision 2026-07-28 says of itself: `_meta` in its parameters, and headers that repeat its method
//! and the name of what it is about.
//!
//! Source: MCP 2026-07-28, Basic, `_meta`; Streamable HTTP, Standard Request Headers (SEP-2575, SEP-2243).

mod discover;

use std::borrow::Cow;

use http::HeaderValue;
use serde_json::value::RawValue;
use toolgate_mcp::edit::{Edit, Fields};
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::META_PROTOCOL_VERSION;
use toolgate_mcp::{headers, jsonrpc, method};

pub(crate) use discover::{METHOD, Verdict, of_error, refused, verdict};

use crate::options::Options;

/// The revision that modern sessions speak.
pub(crate) const REVISION: Revision = Revision::V2026_07_28;

const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

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

    /// The keys and the JSON text of their values.
    fn entries(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let version = Cow::Owned(jsonrpc::quote(REVISION.name()));
        let info = self.client_info.as_deref().map(|info| (META_CLIENT_INFO, Cow::Borrowed(info.get())));
        let level = self.log_level.as_deref().map(|level| (META_LOG_LEVEL, Cow::Owned(jsonrpc::quote(level))));
        [(META_PROTOCOL_VERSION, version), (META_CAPABILITIES, Cow::Borrowed(self.capabilities.get()))]
            .into_iter()
            .chain(info)
            .chain(level)
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
    let params = params.unwrap_or("{}");
    let fields =
        Fields::read(params).map_err(|error| format!("the parameters of `{method}` cannot be used: {error}"))?;
    let name = name_field(method).and_then(|field| jsonrpc::string(fields.get(field)?));
    let repeats = Repeats::of(method).ok_or_else(|| "the method has no value for a header".to_owned())?;
    let repeats = Repeats { name: name.as_deref().and_then(header), ..repeats };
    let mut edit = Edit::new(params);
    match fields.get("_meta").map(RawValue::get) {
        Some(meta) if meta.starts_with('{') => {
            let present =
                Fields::read(meta).map_err(|error| format!("the `_meta` of `{method}` cannot be used: {error}"))?;
            let mut missing = String::new();
            for (key, value) in client.entries() {
                match present.get(key) {
                    Some(old) => _ = edit.replace(old.get(), value.into_owned()),
                    None => add(&mut missing, key, &value),
                }
            }
            insert(&mut edit, meta, present.is_empty(), missing);
        }
        other => {
            let mut meta = String::new();
            client.entries().for_each(|(key, value)| add(&mut meta, key, &value));
            match other {
                // `null`, or something that no server could read.
                Some(unusable) => _ = edit.replace(unusable, format!("{{{meta}}}")),
                None => insert(&mut edit, params, fields.is_empty(), format!(r#""_meta":{{{meta}}}"#)),
            }
        }
    }
    Ok(Described { params: edit.finish().into_owned(), repeats })
}

/// Appends `"key":value` to the inside of an object.
fn add(inside: &mut String, key: &str, value: &str) {
    if !inside.is_empty() {
        inside.push(',');
    }
    inside.push_str(&jsonrpc::quote(key));
    inside.push(':');
    inside.push_str(value);
}

/// Puts `entries` behind the opening brace of `object`, a slice of what is edited.
fn insert<'a>(edit: &mut Edit<'a>, object: &'a str, is_empty: bool, mut entries: String) {
    if entries.is_empty() {
        return;
    }
    if !is_empty {
        entries.push(',');
    }
    let at = object.find('{').map_or(0, |open| open + 1);
    edit.replace(&object[at..at], entries);
}

/// Which of the parameters `Mcp-Name` repeats.
fn name_field(method: &str) -> Option<&'static str> {
    match method {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::RESOURCES_READ => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&headers::encode(text)).ok()
}

#[cfg(test)]
mod tests;
