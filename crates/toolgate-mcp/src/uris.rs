//! The URIs of resources wherever they stand in a message.
//!
//! Where two servers have a resource of the same URI, the gateway lists one of them under another. The client must then
//! see that other URI everywhere, since to it a URI is the resource. What stands inside of texts cannot be found.
//!
//! Source: the schemas of MCP 2024-11-05 to 2026-07-28; the MCP Apps extension for `ui.resourceUri`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::edit::{Edit, Fields};
use crate::jsonrpc::{quote, string};
use crate::method;
use crate::views::ViewError;

/// Whether a result may hold a URI; most do not. With an escape one may be hidden.
#[must_use]
pub fn may_hold_any(result: &str) -> bool {
    ["uri\"", "Uri\"", "\\u"].iter().any(|sign| result.contains(sign))
}

/// From a URI as one side knows it to the one as the other does; `None` where both are the same.
pub type Map<'m> = dyn Fn(&str) -> Option<String> + 'm;

/// The `result` of a request of this `method` with the URIs that `map` gives.
///
/// For `tools/call`, `prompts/get`, `resources/read` and `tasks/get`: those of contents, of embedded resources, of links
/// and of user interfaces. Results of other methods, and what is not of the expected shape, stay as they are.
///
/// # Errors
/// [`ViewError`] when the result is no object, or an object on the way has a key twice.
pub fn in_result<'a>(method: &str, result: &'a str, map: &Map<'_>) -> Result<Cow<'a, str>, ViewError> {
    if !may_hold_any(result) {
        return Ok(Cow::Borrowed(result));
    }
    let mut splice = Splice { edit: Edit::new(result), map };
    let fields = Fields::read(result)?;
    match method {
        method::TOOLS_CALL => splice.each(fields.get("content"), Splice::content)?,
        method::PROMPTS_GET => splice.each(fields.get("messages"), |splice, message| {
            match Fields::read(message.get())?.get("content") {
                Some(many) if many.get().starts_with('[') => splice.each(Some(many), Splice::content),
                one => splice.object(one, Splice::content),
            }
        })?,
        method::RESOURCES_READ => splice.each(fields.get("contents"), Splice::resource)?,
        // A task that is done holds the answer of the tool that it ran.
        method::TASKS_GET => splice.object(fields.get("result"), |splice, answer| {
            let fields = Fields::read(answer.get())?;
            splice.each(fields.get("content"), Splice::content)?;
            splice.user_interface(fields.get("_meta"))
        })?,
        _ => return Ok(Cow::Borrowed(result)),
    }
    splice.user_interface(fields.get("_meta"))?;
    Ok(splice.edit.finish())
}

/// An item of a list with the URI of its user interface (`_meta.ui.resourceUri`) as `map` gives it.
///
/// The URI of the item itself is not looked at: naming the items is the list's affair.
///
/// # Errors
/// [`ViewError`] when the item is no object, or an object on the way has a key twice.
pub fn in_item<'a>(item: &'a str, map: &Map<'_>) -> Result<Cow<'a, str>, ViewError> {
    let mut splice = Splice { edit: Edit::new(item), map };
    splice.user_interface(Fields::read(item)?.get("_meta"))?;
    Ok(splice.edit.finish())
}

/// A raw `error` about a resource with the URI in its `data` as `map` gives it.
///
/// # Errors
/// [`ViewError`] when the error or its `data` has a key twice, or the error is no object.
pub fn in_error<'a>(error: &'a str, map: &Map<'_>) -> Result<Cow<'a, str>, ViewError> {
    let mut splice = Splice { edit: Edit::new(error), map };
    splice.object(Fields::read(error)?.get("data"), |splice, data| {
        splice.uri(Fields::read(data.get())?.get("uri"));
        Ok(())
    })?;
    Ok(splice.edit.finish())
}

/// A text, and what is replaced in it so far.
struct Splice<'a, 'm> {
    edit: Edit<'a>,
    map: &'m Map<'m>,
}

impl<'a> Splice<'a, '_> {
    fn uri(&mut self, raw: Option<&'a RawValue>) {
        let Some(raw) = raw else { return };
        if let Some(other) = string(raw).and_then(|uri| (self.map)(&uri)) {
            self.edit.replace(raw.get(), quote(&other));
        }
    }

    /// A content block of a tool's answer or of a prompt.
    fn content(&mut self, block: &'a RawValue) -> Result<(), ViewError> {
        let fields = Fields::read(block.get())?;
        match fields.get("type").and_then(string).as_deref() {
            Some("resource_link") => self.uri(fields.get("uri")),
            Some("resource") => self.object(fields.get("resource"), Self::resource)?,
            _ => {}
        }
        self.user_interface(fields.get("_meta"))
    }

    /// The contents of a resource.
    fn resource(&mut self, resource: &'a RawValue) -> Result<(), ViewError> {
        let fields = Fields::read(resource.get())?;
        self.uri(fields.get("uri"));
        self.user_interface(fields.get("_meta"))
    }

    /// A `_meta` that names a user interface, in the form of MCP Apps or in the older, flat one.
    fn user_interface(&mut self, meta: Option<&'a RawValue>) -> Result<(), ViewError> {
        self.object(meta, |splice, meta| {
            let fields = Fields::read(meta.get())?;
            splice.uri(fields.get("ui/resourceUri"));
            splice.object(fields.get("ui"), |splice, ui| {
                splice.uri(Fields::read(ui.get())?.get("resourceUri"));
                Ok(())
            })
        })
    }

    /// Does `then` with `raw`, if it is an object.
    fn object(
        &mut self,
        raw: Option<&'a RawValue>,
        then: impl FnOnce(&mut Self, &'a RawValue) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        match raw {
            Some(raw) if raw.get().starts_with('{') => then(self, raw),
            _ => Ok(()),
        }
    }

    /// Does `then` with every object of `raw`, if it is an array.
    fn each(
        &mut self,
        raw: Option<&'a RawValue>,
        then: impl Fn(&mut Self, &'a RawValue) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let Some(raw) = raw.filter(|raw| raw.get().starts_with('[')) else { return Ok(()) };
        let items: Vec<&'a RawValue> = serde_json::from_str(raw.get())?;
        items.into_iter().try_for_each(|item| self.object(Some(item), &then))
    }
}
