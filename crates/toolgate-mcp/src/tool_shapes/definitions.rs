//! Moves a schema's old-style definitions to `$defs`, the only place where Anthropic looks for them.
//!
//! `definitions` is JSON Schema's place before 2019-09, `components.schemas` is OpenAPI's.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::edit::Fields;

/// Where definitions may be, and how references to them begin.
const DEFINITIONS: &str = "#/definitions/";
const COMPONENTS: &str = "#/components/schemas/";
const DEFS: &str = "#/$defs/";

/// The schema with all definitions in `$defs`; the same text when it has no old-style ones.
///
/// # Errors
/// When there are some and the schema holds a number that no type can.
pub(super) fn moved<'a>(raw: &'a str, fields: &Fields<'_>) -> Result<Cow<'a, str>, serde_json::Error> {
    if fields.get("definitions").is_none() && fields.get("components").is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    let mut schema: Map<String, Value> = serde_json::from_str(raw)?;
    let definitions = object(schema.remove("definitions"));
    let components = object(schema.remove("components").and_then(|mut all| all.get_mut("schemas").map(Value::take)));
    let mut defs = object(schema.remove("$defs"));
    let mut renamed = HashMap::new();
    for (prefix, old) in [(DEFINITIONS, definitions), (COMPONENTS, components)] {
        for (name, definition) in old {
            let free = free_name(&defs, &name);
            renamed.insert(format!("{prefix}{}", pointer(&name)), format!("{DEFS}{}", pointer(&free)));
            defs.insert(free, definition);
        }
    }
    schema.insert("$defs".to_owned(), Value::Object(defs));
    let mut schema = Value::Object(schema);
    redirect(&mut schema, &renamed);
    Ok(Cow::Owned(schema.to_string()))
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// `name`, or `name` with a tail when two places define the same name.
fn free_name(taken: &Map<String, Value>, name: &str) -> String {
    let mut free = name.to_owned();
    while taken.contains_key(&free) {
        free.push('_');
    }
    free
}

/// `name` as a part of a JSON pointer (RFC 6901 section 3).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Lets every `$ref` to an old place point to the new one. Not deeper than the parser, which has a limit.
fn redirect(node: &mut Value, renamed: &HashMap<String, String>) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, renamed)),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(new) = redirected(reference, renamed) {
                            *reference = new;
                        }
                    }
                    _ => redirect(value, renamed),
                }
            }
        }
        _ => {}
    }
}

fn redirected(reference: &str, renamed: &HashMap<String, String>) -> Option<String> {
    let prefix = [DEFINITIONS, COMPONENTS].into_iter().find(|prefix| reference.starts_with(prefix))?;
    let end = reference[prefix.len()..].find('/').map_or(reference.len(), |slash| prefix.len() + slash);
    let (old, rest) = reference.split_at(end);
    renamed.get(old).map(|new| format!("{new}{rest}"))
}
