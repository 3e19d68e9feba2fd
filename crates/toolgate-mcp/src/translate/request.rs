//! Who asks: said once in `initialize` before 2026-07-28, with each request in its `_meta` since.
//!
//! Source: MCP 2026-07-28, Requests, `_meta`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::log_level::{self, LogLevel};
use crate::edit::{self, Fields};
use crate::jsonrpc::quote;
use crate::views::{
    META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION, ViewError, object_field,
    required, string,
};

/// What a modern request says of its client.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// The request's revision; any text.
    pub protocol_version: Cow<'a, str>,
    /// What the client can do: an object.
    pub capabilities: &'a RawValue,
    /// The client's name and version: an object.
    pub client_info: Option<&'a RawValue>,
    /// From which level on it wants the server's log of this request; `None` when it wants none.
    pub log_level: Option<LogLevel>,
}

impl<'a> Client<'a> {
    /// Reads the parameters of any request.
    ///
    /// # Errors
    /// [`ViewError`] when the version or the capabilities are not there, a field has another type, or the log level is
    /// none. They are answered with -32602.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        let fields = Fields::read(required("params", params)?.get())?;
        let meta = Fields::read(required("_meta", object_field("_meta", fields.get("_meta"))?)?.get())?;
        let present = |key| meta.get(key).filter(|raw| raw.get() != "null");
        let capabilities = object_field(META_CLIENT_CAPABILITIES, present(META_CLIENT_CAPABILITIES))?;
        Ok(Self {
            protocol_version: string(META_PROTOCOL_VERSION, present(META_PROTOCOL_VERSION))?.1,
            capabilities: required(META_CLIENT_CAPABILITIES, capabilities)?,
            client_info: object_field(META_CLIENT_INFO, present(META_CLIENT_INFO))?,
            log_level: log_level::read(META_LOG_LEVEL, present(META_LOG_LEVEL))?,
        })
    }
}

/// A request's `params` as they say in their `_meta` who asks; what the `_meta` says besides stays.
///
/// `capabilities` and `client_info` are JSON objects. Without `client_info`, the client is called what the `_meta` calls
/// it, if that says anything. Without `log_level` the server will send no log.
///
/// # Errors
/// [`ViewError`] when `params` or its `_meta` is no object, or has a key twice.
pub fn with_client(
    params: Option<&str>,
    protocol_version: &str,
    capabilities: &str,
    client_info: Option<&str>,
    log_level: Option<&str>,
) -> Result<String, ViewError> {
    let params = params.unwrap_or("{}");
    let fields = Fields::read(params)?;
    let (version, log_level) = (quote(protocol_version), log_level.map(quote));
    let stated = [
        (META_PROTOCOL_VERSION, Some(version.as_str())),
        (META_CLIENT_CAPABILITIES, Some(capabilities)),
        (META_CLIENT_INFO, client_info),
        (META_LOG_LEVEL, log_level.as_deref()),
    ];
    let mut meta = fields.get("_meta").map(RawValue::get).filter(|meta| *meta != "null").unwrap_or("{}").to_owned();
    if log_level.is_none() {
        meta = edit::remove_field(&meta, META_LOG_LEVEL)?;
    }
    let stated: Vec<(&str, &str)> = stated.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let meta = edit::set_fields(&meta, &stated)?;
    Ok(edit::write(params, &fields, std::iter::once(("_meta", meta.as_ref()))).into_owned())
}

/// A request's `params` for a legacy server, to whom what `_meta` says of the client means nothing.
///
/// A `_meta` that is left without fields goes as well.
///
/// # Errors
/// [`ViewError`] when `params` or its `_meta` is no object, or has a key twice.
pub fn without_client(params: &str) -> Result<Cow<'_, str>, ViewError> {
    let Some(meta) = edit::get_at(params, &["_meta"])?.filter(|meta| meta.get().starts_with('{')) else {
        return Ok(Cow::Borrowed(params));
    };
    let mut kept = Cow::Borrowed(meta.get());
    for key in [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL] {
        if let Cow::Owned(changed) = edit::remove_at(&kept, &[key])? {
            kept = Cow::Owned(changed);
        }
    }
    if matches!(kept, Cow::Borrowed(_)) {
        return Ok(Cow::Borrowed(params));
    }
    Ok(Cow::Owned(if Fields::read(&kept)?.is_empty() {
        edit::remove_field(params, "_meta")?
    } else {
        edit::set_field(params, "_meta", &kept)?
    }))
}
