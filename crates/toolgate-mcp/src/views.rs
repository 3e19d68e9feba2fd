//! Partial, borrowed views of raw parameters and results.
//!
//! A view reads the few fields that routing needs; the raw text travels on, so nothing unknown is lost. Every `*_text`
//! is the JSON text of a value, quotes included, and a slice of the input, so that [`crate::edit::Edit::replace`] works
//! on it. A field that a view reads must not stand there twice: the gateway would check one value and the upstream
//! obey the other. JSON `null` counts as absent.
//!
//! Source: the schemas of MCP 2024-11-05 to 2026-07-28.

mod list;
mod meta;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;
use crate::jsonrpc::{self, Id};

pub use list::{Hints, Item, Page, Skipped};
pub use meta::{
    META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION, META_SERVER_INFO,
    META_SUBSCRIPTION_ID, TraceContext, meta, meta_protocol_version, progress_token, trace_context,
};

/// Why raw JSON does not have the shape that a method asks for. The text is for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The whole is no object.
    #[error("expected an object")]
    NotAnObject,
    /// A field that the method needs.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field that is there with another type.
    #[error("`{field}` must be {expected}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// What it must be, with its article: `a string`.
        expected: &'static str,
    },
    /// Not JSON, or a field is there twice.
    #[error("{0}")]
    Json(String),
}

/// The parameters of `tools/call` and `prompts/get`: something called by name.
#[derive(Debug, Clone)]
pub struct Named<'a> {
    /// The JSON text of `name`.
    pub name_text: &'a str,
    /// The name, unescaped.
    pub name: Cow<'a, str>,
    /// The raw arguments: an object.
    pub arguments: Option<&'a RawValue>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

impl<'a> Named<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ViewError`] when `name` is not there, or a field has another type.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let [name, arguments, meta] = present(required("params", params)?.get(), ["name", "arguments", "_meta"])?;
        let (name_text, name) = string("name", name)?;
        Ok(Self {
            name_text,
            name,
            arguments: object_field("arguments", arguments)?,
            meta: object_field("_meta", meta)?,
        })
    }
}

/// The parameters of `resources/read`, `resources/subscribe`, `resources/unsubscribe` and
/// `notifications/resources/updated`: something found by its URI.
#[derive(Debug, Clone)]
pub struct Located<'a> {
    /// The JSON text of `uri`.
    pub uri_text: &'a str,
    /// The URI, unescaped.
    pub uri: Cow<'a, str>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

impl<'a> Located<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ViewError`] when `uri` is not there, or a field has another type.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let [uri, meta] = present(required("params", params)?.get(), ["uri", "_meta"])?;
        let (uri_text, uri) = string("uri", uri)?;
        Ok(Self { uri_text, uri, meta: object_field("_meta", meta)? })
    }
}

/// The parameters of `completion/complete`.
#[derive(Debug, Clone)]
pub struct Completion<'a> {
    /// What is being filled in.
    pub reference: Reference<'a>,
    /// The raw argument, an object with `name` and the `value` typed so far.
    pub argument: &'a RawValue,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

/// Whose argument is completed.
#[derive(Debug, Clone)]
pub enum Reference<'a> {
    /// A prompt's.
    Prompt {
        /// The JSON text of `ref.name`.
        name_text: &'a str,
        /// The prompt's name, unescaped.
        name: Cow<'a, str>,
    },
    /// A resource template's; the URI may be the template itself.
    Resource {
        /// The JSON text of `ref.uri`.
        uri_text: &'a str,
        /// The URI or URI template, unescaped.
        uri: Cow<'a, str>,
    },
}

impl<'a> Completion<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ViewError`] when `ref` or `argument` is not there or of another type, or `ref.type` is unknown.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let [reference, argument, meta] = present(required("params", params)?.get(), ["ref", "argument", "_meta"])?;
        let reference = required("ref", object_field("ref", reference)?)?;
        Ok(Self {
            reference: Reference::read(reference)?,
            argument: required("argument", object_field("argument", argument)?)?,
            meta: object_field("_meta", meta)?,
        })
    }
}

impl<'a> Reference<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, ViewError> {
        let [kind, name, uri] = present(raw.get(), ["type", "name", "uri"])?;
        match string("ref.type", kind)?.1.as_ref() {
            "ref/prompt" => {
                let (name_text, name) = string("ref.name", name)?;
                Ok(Self::Prompt { name_text, name })
            }
            "ref/resource" => {
                let (uri_text, uri) = string("ref.uri", uri)?;
                Ok(Self::Resource { uri_text, uri })
            }
            _ => Err(ViewError::WrongType { field: "ref.type", expected: "`ref/prompt` or `ref/resource`" }),
        }
    }
}

/// The parameters of `initialize`, as a client sends them.
#[derive(Debug, Clone)]
pub struct Initialize<'a> {
    /// The revision that the client would like; any text.
    pub protocol_version: Cow<'a, str>,
    /// What the client can do: an object.
    pub capabilities: Option<&'a RawValue>,
    /// The client's name and version: an object.
    pub client_info: Option<&'a RawValue>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

impl<'a> Initialize<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ViewError`] when `protocolVersion` is not there, or a field has another type.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let [protocol_version, capabilities, client_info, meta] =
            present(required("params", params)?.get(), ["protocolVersion", "capabilities", "clientInfo", "_meta"])?;
        Ok(Self {
            protocol_version: string("protocolVersion", protocol_version)?.1,
            capabilities: object_field("capabilities", capabilities)?,
            client_info: object_field("clientInfo", client_info)?,
            meta: object_field("_meta", meta)?,
        })
    }
}

/// The result of `initialize`, as a server answers it.
#[derive(Debug, Clone)]
pub struct Initialized<'a> {
    /// The revision that the server chose; any text.
    pub protocol_version: Cow<'a, str>,
    /// What the server can do: an object.
    pub capabilities: Option<&'a RawValue>,
    /// The server's name and version: an object.
    pub server_info: Option<&'a RawValue>,
    /// How to use the server, for the model.
    pub instructions: Option<Cow<'a, str>>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

impl<'a> Initialized<'a> {
    /// Reads the result, JSON text.
    ///
    /// # Errors
    /// [`ViewError`] when `protocolVersion` is not there, or a field has another type.
    pub fn read(result: &'a str) -> Result<Self, ViewError> {
        let [protocol_version, capabilities, server_info, instructions, meta] =
            present(result, ["protocolVersion", "capabilities", "serverInfo", "instructions", "_meta"])?;
        Ok(Self {
            protocol_version: string("protocolVersion", protocol_version)?.1,
            capabilities: object_field("capabilities", capabilities)?,
            server_info: object_field("serverInfo", server_info)?,
            instructions: optional_string("instructions", instructions)?.map(|(_, text)| text),
            meta: object_field("_meta", meta)?,
        })
    }
}

/// The parameters of `notifications/cancelled`.
#[derive(Debug, Clone)]
pub struct Cancelled<'a> {
    /// The JSON text of `requestId`.
    pub request_id_text: &'a str,
    /// The request that nobody waits for any more.
    pub request_id: Id,
}

impl<'a> Cancelled<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`ViewError`] when `requestId` is not there, or is no id.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let [request_id] = present(required("params", params)?.get(), ["requestId"])?;
        let raw = required("requestId", request_id)?;
        let wrong = ViewError::WrongType { field: "requestId", expected: "a string or a number" };
        Ok(Self { request_id_text: raw.get(), request_id: Id::read(raw).ok_or(wrong)? })
    }
}

/// The cursor in the parameters of a list request. The empty string is a cursor too.
///
/// # Errors
/// [`ViewError`] when it is there twice, or is no string.
pub fn cursor(params: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, ViewError> {
    let Some(params) = params else { return Ok(None) };
    let [cursor] = present(params.get(), ["cursor"])?;
    Ok(optional_string("cursor", cursor)?.map(|(_, cursor)| cursor))
}

/// The `level` in the parameters of `logging/setLevel` or `notifications/message`; `None` when there is no such string.
#[must_use]
pub fn log_level(params: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        level: Option<&'a RawValue>,
    }
    let wire: Wire<'_> = object(params?.get()).ok()?;
    jsonrpc::string(wire.level?)
}

/// Whether the result of a `tools/call` says that the tool failed.
#[must_use]
pub fn is_error(result: &str) -> bool {
    present(result, ["isError"]).is_ok_and(|[is_error]| is_error.is_some_and(|raw| raw.get() == "true"))
}

/// The values of `names` in the object `json`, in that order; `null` counts as absent.
pub(crate) fn present<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], ViewError> {
    if !json.trim_ascii_start().starts_with('{') {
        return Err(ViewError::NotAnObject);
    }
    let values = fields::pick(json, names).map_err(|error| ViewError::Json(jsonrpc::plain(&error)))?;
    Ok(values.map(|value| value.filter(|raw| raw.get() != "null")))
}

/// Reads an object. Without the check, a derived struct would read an array of values in field order as well.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ViewError> {
    if !json.trim_ascii_start().starts_with('{') {
        return Err(ViewError::NotAnObject);
    }
    serde_json::from_str(json).map_err(|error| ViewError::Json(jsonrpc::plain(&error)))
}

/// What [`crate::edit`] says of JSON that is not what it must be, as a view says it.
impl From<serde_json::Error> for ViewError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(jsonrpc::plain(&error))
    }
}

pub(crate) fn required<'a>(field: &'static str, raw: Option<&'a RawValue>) -> Result<&'a RawValue, ViewError> {
    raw.ok_or(ViewError::Missing(field))
}

pub(crate) fn object_field<'a>(
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<&'a RawValue>, ViewError> {
    match raw {
        Some(raw) if !raw.get().starts_with('{') => Err(ViewError::WrongType { field, expected: "an object" }),
        raw => Ok(raw),
    }
}

pub(crate) fn string<'a>(field: &'static str, raw: Option<&'a RawValue>) -> Result<(&'a str, Cow<'a, str>), ViewError> {
    optional_string(field, raw)?.ok_or(ViewError::Missing(field))
}

/// The JSON text of a string and the string; a lone surrogate is no string, as nothing of ours could compare it.
pub(crate) fn optional_string<'a>(
    field: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<(&'a str, Cow<'a, str>)>, ViewError> {
    let Some(raw) = raw else { return Ok(None) };
    let text = jsonrpc::string(raw).ok_or(ViewError::WrongType { field, expected: "a string" })?;
    Ok(Some((raw.get(), text)))
}

#[cfg(test)]
mod tests;
