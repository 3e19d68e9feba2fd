//! What modern results say besides their content.
//!
//! Since 2026-07-28 every result has a `resultType`, those that may be kept say for how long and for whom, and `_meta`
//! names the server.
//!
//! Source: MCP 2026-07-28, Results, Caching.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::edit::{self, Fields};
use crate::jsonrpc::string;
use crate::method;
use crate::views::{META_SERVER_INFO, ViewError};

const RESULT_TYPE: &str = "resultType";
const TTL_MS: &str = "ttlMs";
const CACHE_SCOPE: &str = "cacheScope";
const PRIVATE: &str = r#""private""#;

/// What kind of result it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType {
    /// The answer; also when nothing is said.
    Complete,
    /// Questions; see [`super::questions`].
    InputRequired,
    /// A task that will have the answer; the tasks extension.
    Task,
    /// One that no revision or extension known here has.
    Unknown(String),
}

/// Reads the kind of a result.
///
/// # Errors
/// [`ViewError`] when `result` is no object, or `resultType` is no string.
pub fn result_type(result: &str) -> Result<ResultType, ViewError> {
    let fields = Fields::read(result)?;
    let Some(kind) = fields.get(RESULT_TYPE).filter(|kind| kind.get() != "null") else {
        return Ok(ResultType::Complete);
    };
    let kind = string(kind).ok_or(ViewError::WrongType { field: RESULT_TYPE, expected: "a string" })?;
    Ok(match kind.as_ref() {
        "complete" => ResultType::Complete,
        "input_required" => ResultType::InputRequired,
        "task" => ResultType::Task,
        _ => ResultType::Unknown(kind.into_owned()),
    })
}

/// Whether complete results of this method say how long they may be kept.
#[must_use]
pub fn is_cacheable(method: &str) -> bool {
    method == method::SERVER_DISCOVER || method == method::RESOURCES_READ || method::list_key(method).is_some()
}

/// `result` of a request of this `method`, with everything that a modern client expects and that is not there yet.
///
/// What the server does not say becomes: complete, not to be kept, and from `server_info` (a raw `Implementation`). What
/// it says stays, but for one thing: a result may never be kept for everybody, since the gateway gives it to some only.
///
/// # Errors
/// [`ViewError`] when `result` or its `_meta` is no object, or has a key twice.
pub fn to_modern<'a>(method: &str, result: &'a str, server_info: Option<&str>) -> Result<Cow<'a, str>, ViewError> {
    let fields = Fields::read(result)?;
    let said = |key| fields.get(key).map(RawValue::get).filter(|value| *value != "null");
    let meta = server_info
        .map(|info| edit::add_missing(said("_meta").unwrap_or("{}"), &[(META_SERVER_INFO, info)]).map(Cow::into_owned))
        .transpose()?;
    let complete = said(RESULT_TYPE).is_none_or(|kind| kind == r#""complete""#);
    let mut values = Vec::with_capacity(4);
    if said(RESULT_TYPE).is_none() {
        values.push((RESULT_TYPE, r#""complete""#));
    }
    if complete && is_cacheable(method) {
        if said(TTL_MS).is_none() {
            values.push((TTL_MS, "0"));
        }
        if said(CACHE_SCOPE) != Some(PRIVATE) {
            values.push((CACHE_SCOPE, PRIVATE));
        }
    }
    if let Some(meta) = meta.as_deref().filter(|meta| said("_meta") != Some(*meta)) {
        values.push(("_meta", meta));
    }
    Ok(match edit::write(result, &fields, values.into_iter()) {
        Cow::Borrowed(_) => Cow::Borrowed(result),
        Cow::Owned(changed) => Cow::Owned(changed),
    })
}

/// A modern server's `result` for a legacy client: without `resultType`, if it says that the result is complete.
///
/// The rest stays: whoever does not know `ttlMs` and `cacheScope` ignores them.
///
/// # Errors
/// [`ViewError`] when `result` is no object, or has a key twice.
pub fn to_legacy(result: &str) -> Result<Cow<'_, str>, ViewError> {
    match Fields::read(result)?.get(RESULT_TYPE) {
        Some(kind) if string(kind).as_deref() == Some("complete") => Ok(edit::remove_at(result, &[RESULT_TYPE])?),
        _ => Ok(Cow::Borrowed(result)),
    }
}

/// For whom a result may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheScope {
    /// For everybody.
    Public,
    /// For the one who asked. What is merged of both is private.
    Private,
}

impl CacheScope {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// How long, in milliseconds, and for whom a modern server lets its `result` be kept; 0 and private if it does not say,
/// or says something else.
#[must_use]
pub fn caching(result: &str) -> (u64, CacheScope) {
    let Ok(fields) = Fields::read(result) else { return (0, CacheScope::Private) };
    let ttl_ms = fields.get(TTL_MS).and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
    match fields.get(CACHE_SCOPE).and_then(string).as_deref() {
        Some("public") => (ttl_ms, CacheScope::Public),
        _ => (ttl_ms, CacheScope::Private),
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheScope, ResultType, caching, result_type};

    #[test]
    fn a_result_says_its_kind() {
        let cases = [
            ("{}", ResultType::Complete),
            (r#"{"resultType":null}"#, ResultType::Complete),
            (r#"{"resultType":"complete"}"#, ResultType::Complete),
            (r#"{"resultType":"input_required"}"#, ResultType::InputRequired),
            (r#"{"resultType":"task"}"#, ResultType::Task),
            (r#"{"resultType":"Complete"}"#, ResultType::Unknown("Complete".to_owned())),
        ];
        for (result, expected) in cases {
            assert_eq!(result_type(result), Ok(expected), "{result}");
        }
        assert!(result_type(r#"{"resultType":1}"#).is_err() && result_type("[]").is_err());
    }

    #[test]
    fn a_result_says_how_long_it_may_be_kept() {
        let cases = [
            (r#"{"ttlMs":5000,"cacheScope":"public"}"#, (5000, CacheScope::Public)),
            (r#"{"ttlMs":5000}"#, (5000, CacheScope::Private)),
            (r#"{"ttlMs":-1,"cacheScope":"PUBLIC"}"#, (0, CacheScope::Private)),
            ("{}", (0, CacheScope::Private)),
            ("[]", (0, CacheScope::Private)),
        ];
        for (result, expected) in cases {
            assert_eq!(caching(result), expected, "{result}");
        }
        assert_eq!(CacheScope::Public.max(CacheScope::Private).name(), "private");
    }
}
