//! What clients and servers can do, across the eras.
//!
//! Both eras use the same objects: in `initialize` and its answer before 2026-07-28, in each request's `_meta` and in
//! `server/discover` since. A few entries mean something in one era only, and must not be promised in the other.
//!
//! Source: `ClientCapabilities` and `ServerCapabilities` in the schemas of MCP 2025-11-25 and 2026-07-28.

use std::borrow::Cow;

use super::tasks;
use crate::edit::{self, Fields};
use crate::views::ViewError;

/// A client's raw `capabilities` as they are declared to a server of the other era, in either direction.
///
/// Tasks of either kind are left out, since they have no bridge, and so is `roots.listChanged`: modern clients cannot
/// tell of it.
///
/// # Errors
/// [`ViewError`] when `capabilities` or an object in it has a key twice, or is no object.
pub fn of_client(capabilities: &str) -> Result<Cow<'_, str>, ViewError> {
    without(capabilities, &[&["tasks"], &["extensions", tasks::EXTENSION], &["roots", "listChanged"]])
}

/// A server's raw `capabilities` as they are declared to a client of the other era, in either direction.
///
/// Tasks of either kind are left out.
///
/// # Errors
/// [`ViewError`] when `capabilities` or an object in it has a key twice, or is no object.
pub fn of_server(capabilities: &str) -> Result<Cow<'_, str>, ViewError> {
    without(capabilities, &[&["tasks"], &["extensions", tasks::EXTENSION]])
}

fn without<'a>(capabilities: &'a str, paths: &[&[&str]]) -> Result<Cow<'a, str>, ViewError> {
    let mut kept = Cow::Borrowed(capabilities);
    for path in paths {
        if let Cow::Owned(changed) = edit::remove_at(&kept, path)? {
            kept = Cow::Owned(changed);
        }
    }
    // A stray array would be declared as it is.
    Fields::read(&kept)?;
    Ok(kept)
}
