//! What clients and servers can do, across the eras and over several servers.
//!
//! Both eras use the same objects: in `initialize` and its answer before 2026-07-28, in each request's `_meta` and in
//! `server/discover` since. A few entries mean something in one era only, and must not be promised in the other.
//!
//! Source: `ClientCapabilities` and `ServerCapabilities` in the schemas of MCP 2025-11-25 and 2026-07-28.

use std::borrow::Cow;

use super::tasks;
use crate::edit::{self, Fields};
use crate::jsonrpc::quote;
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

/// The raw capabilities of several servers as those of one, in the order in which they are first seen.
///
/// What one server has, all have together; a flag is true if it is anywhere. Settings of extensions and experiments stay
/// where all servers that have them agree, and are else left open (`{}`).
///
/// # Errors
/// [`ViewError`] when one of them is no object, or has a key twice.
pub fn of_servers<'a>(all: impl IntoIterator<Item = &'a str>) -> Result<String, ViewError> {
    let mut merged = Vec::new();
    for capabilities in all {
        add(&mut merged, capabilities, together)?;
    }
    Ok(written(&merged))
}

/// How two values of one name become one.
type Join = fn(name: &str, one: &str, other: &str) -> Result<String, ViewError>;

/// Adds the fields of `object` to those that are there; `null` is none.
fn add(merged: &mut Vec<(String, String)>, object: &str, join: Join) -> Result<(), ViewError> {
    for (name, value) in Fields::read(object)?.iter().filter(|(_, value)| value.get() != "null") {
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = join(name, known, value.get())?,
            None => merged.push((name.to_owned(), value.get().to_owned())),
        }
    }
    Ok(())
}

fn written(fields: &[(String, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Two servers' values of one capability.
fn together(name: &str, one: &str, other: &str) -> Result<String, ViewError> {
    match (one.starts_with('{'), other.starts_with('{')) {
        (true, true) => {}
        (false, true) => return Ok(other.to_owned()),
        _ => return Ok(one.to_owned()),
    }
    let join = match name {
        "extensions" | "experimental" => common,
        _ => either,
    };
    let mut fields = Vec::new();
    add(&mut fields, one, join)?;
    add(&mut fields, other, join)?;
    Ok(written(&fields))
}

fn either(_: &str, one: &str, other: &str) -> Result<String, ViewError> {
    Ok(if other == "true" { other } else { one }.to_owned())
}

fn common(_: &str, one: &str, other: &str) -> Result<String, ViewError> {
    let value = |json| serde_json::from_str::<serde_json::Value>(json);
    Ok(if one == other || value(one)? == value(other)? { one } else { "{}" }.to_owned())
}
