//! The tokens and ids that a request and its notifications share, and which the gateway renames on their way.
//!
//! All of them take and give JSON text: a token is a string or a number, and stays what it was.
//!
//! Source: MCP 2026-07-28, Progress, Cancellation.

use std::borrow::Cow;

use crate::edit;
use crate::views::ViewError;

/// The progress token that a request's `params` ask for, as JSON text.
///
/// # Errors
/// [`ViewError`] when `params` or its `_meta` is no object or has a key twice, or the token is neither string nor number.
pub fn progress_token(params: &str) -> Result<Option<&str>, ViewError> {
    let Some(meta) = edit::get_at(params, &["_meta"])?.filter(|meta| meta.get() != "null") else { return Ok(None) };
    crate::views::progress_token(meta)
}

/// A request's `params` with another progress token; the same text when they have none.
///
/// # Errors
/// As [`progress_token`].
pub fn with_progress_token<'a>(params: &'a str, token: &str) -> Result<Cow<'a, str>, ViewError> {
    let Some(old) = progress_token(params)? else { return Ok(Cow::Borrowed(params)) };
    Ok(replaced(params, old, token))
}

/// The token in a whole `notifications/progress`, as JSON text.
///
/// # Errors
/// [`ViewError`] when an object on the way has a key twice, or the token is neither string nor number.
pub fn progress_token_of(message: &str) -> Result<Option<&str>, ViewError> {
    match edit::get_at(message, &["params"])? {
        Some(params) => crate::views::progress_token(params),
        None => Ok(None),
    }
}

/// A whole `notifications/progress` with another token; the same text when it has none.
///
/// # Errors
/// As [`progress_token_of`].
pub fn progress_with_token<'a>(message: &'a str, token: &str) -> Result<Cow<'a, str>, ViewError> {
    let Some(old) = progress_token_of(message)? else { return Ok(Cow::Borrowed(message)) };
    Ok(replaced(message, old, token))
}

fn replaced<'a>(text: &'a str, part: &str, by: &str) -> Cow<'a, str> {
    let mut edit = edit::Edit::new(text);
    edit.replace(part, by.to_owned());
    edit.finish()
}
