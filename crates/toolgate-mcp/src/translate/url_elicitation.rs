//! A server that sends the user to a URL.
//!
//! Only revision 2025-11-25 gives such a question an `elicitationId`, says with `notifications/elicitation/complete`
//! that it is done, and lets a server refuse a request until then with error -32042. Since 2026-07-28 the client asks
//! again, and the server sees whether it is done.
//!
//! Source: MCP 2025-11-25 and 2026-07-28, Elicitation, URL Mode.

use serde_json::value::RawValue;

use super::errors::{URL_ELICITATION_REQUIRED, code_of};
use super::questions::{input_required, to_modern};
use crate::edit::{self, Fields};
use crate::jsonrpc::{quote, string};
use crate::method;
use crate::views::ViewError;

const ID: &str = "elicitationId";

/// Whether the parameters of an `elicitation/create` ask for a URL to be opened, and not for a form.
#[must_use]
pub fn is_url(params: &str) -> bool {
    Fields::read(params).is_ok_and(|fields| fields.get("mode").and_then(string).as_deref() == Some("url"))
}

/// A modern question's `params` for a client of 2025-11-25: with `id` as its `elicitationId`, unless it has one.
///
/// A question for a form stays as it is.
///
/// # Errors
/// [`ViewError`] when `params` is no object, or has a key twice.
pub fn to_legacy(params: &str, id: &str) -> Result<String, ViewError> {
    if !is_url(params) {
        return Ok(params.to_owned());
    }
    Ok(edit::add_missing(params, &[(ID, &quote(id))])?.into_owned())
}

/// What a legacy server's raw `error` -32042 asks, as a result for a modern client with `state` (plain text) to keep.
///
/// `None` when the error has another code, or names no URL. The client's answers mean nothing to the server: it wants to
/// see the first request again.
///
/// # Errors
/// [`ViewError`] when the error is no object, or its URLs are not those of elicitations.
pub fn from_url_required(error: &str, state: Option<&str>) -> Result<Option<String>, ViewError> {
    if code_of(error) != Some(URL_ELICITATION_REQUIRED) {
        return Ok(None);
    }
    let Some(list) = edit::get_at(error, &["data", "elicitations"])? else { return Ok(None) };
    let wrong = ViewError::WrongType { field: "data.elicitations", expected: "an array of elicitations" };
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| wrong)?;
    let mut questions = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let params = edit::set_field(&to_modern(item.get())?, "mode", r#""url""#)?;
        questions.push((format!("url-{}", at + 1), params));
    }
    if questions.is_empty() {
        return Ok(None);
    }
    let asked = questions.iter().map(|(key, params)| (key.as_str(), method::ELICITATION_CREATE, Some(params.as_str())));
    Ok(Some(input_required(asked, state)))
}
