//! One page of `tools/list`, `prompts/list`, `resources/list` or `resources/templates/list`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ViewError, object, object_field, optional_string, present};
use crate::edit::Fields;
use crate::jsonrpc;

/// One page of any list.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The items in the server's order.
    pub items: Vec<Item<'a>>,
    /// The items that cannot be read. One bad tool must not hide the others, and must not vanish without a word.
    pub skipped: Vec<Skipped>,
    /// Where the next page begins; the empty string is a cursor too.
    pub next_cursor: Option<Cow<'a, str>>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

/// An item that is left out of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the server's list, from 0.
    pub index: usize,
    /// Why.
    pub why: ViewError,
}

/// A tool, prompt, resource or resource template in a list.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The whole item, an object; all other texts are slices of it.
    pub raw: &'a str,
    /// The JSON text of `name`.
    pub name_text: Option<&'a str>,
    /// The name, unescaped.
    pub name: Option<Cow<'a, str>>,
    /// The JSON text of `uri`, or of `uriTemplate` in a list of templates.
    pub uri_text: Option<&'a str>,
    /// The URI or URI template, unescaped.
    pub uri: Option<Cow<'a, str>>,
    /// The JSON text of `description`.
    pub description_text: Option<&'a str>,
    /// A tool's schema, an object.
    pub input_schema: Option<&'a RawValue>,
    /// The raw annotations, an object; see [`Hints::read`].
    pub annotations: Option<&'a RawValue>,
    /// The raw `_meta`: an object.
    pub meta: Option<&'a RawValue>,
}

impl<'a> Page<'a> {
    /// Reads the result of a list request; `key` is `tools`, `prompts`, `resources` or `resourceTemplates`.
    ///
    /// # Errors
    /// [`ViewError`] when `result` is no object, has a key twice, or the list is not there or no array.
    pub fn read(result: &'a str, key: &'static str) -> Result<Self, ViewError> {
        if !result.trim_ascii_start().starts_with('{') {
            return Err(ViewError::NotAnObject);
        }
        let fields = Fields::read(result).map_err(|error| ViewError::Json(jsonrpc::plain(&error)))?;
        let present = |key| fields.get(key).filter(|raw| raw.get() != "null");
        let list = present(key).ok_or(ViewError::Missing(key))?;
        let raw_items: Vec<&'a RawValue> =
            serde_json::from_str(list.get()).map_err(|_| ViewError::WrongType { field: key, expected: "an array" })?;
        let mut page = Self {
            items: Vec::with_capacity(raw_items.len()),
            skipped: Vec::new(),
            next_cursor: optional_string("nextCursor", present("nextCursor"))?.map(|(_, cursor)| cursor),
            meta: object_field("_meta", present("_meta"))?,
        };
        for (index, raw) in raw_items.into_iter().enumerate() {
            match Item::read(raw.get(), key) {
                Ok(item) => page.items.push(item),
                Err(why) => page.skipped.push(Skipped { index, why }),
            }
        }
        Ok(page)
    }
}

impl<'a> Item<'a> {
    /// Reads one item of the list called `key`.
    ///
    /// # Errors
    /// [`ViewError`] when the item is no object, or a field that is read has another type or stands there twice.
    pub fn read(raw: &'a str, key: &str) -> Result<Self, ViewError> {
        let [name, uri, uri_template, description, input_schema, annotations, meta] =
            present(raw, ["name", "uri", "uriTemplate", "description", "inputSchema", "annotations", "_meta"])?;
        let (name_text, name) = optional_string("name", name)?.unzip();
        let (uri_text, uri) = match key {
            "resourceTemplates" => optional_string("uriTemplate", uri_template)?.unzip(),
            _ => optional_string("uri", uri)?.unzip(),
        };
        Ok(Self {
            raw,
            name_text,
            name,
            uri_text,
            uri,
            description_text: optional_string("description", description)?.map(|(text, _)| text),
            input_schema: object_field("inputSchema", input_schema)?,
            annotations: object_field("annotations", annotations)?,
            meta: object_field("_meta", meta)?,
        })
    }
}

/// What a tool says about its effects. A tool may lie: good for retries and display, never for permission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hints {
    /// Changes nothing.
    #[serde(rename = "readOnlyHint")]
    pub read_only: bool,
    /// A second call with the same arguments changes nothing more.
    #[serde(rename = "idempotentHint")]
    pub idempotent: bool,
}

impl Hints {
    /// Reads a tool's `annotations`; what cannot be read counts as not said.
    #[must_use]
    pub fn read(annotations: &RawValue) -> Self {
        object(annotations.get()).unwrap_or_default()
    }
}
