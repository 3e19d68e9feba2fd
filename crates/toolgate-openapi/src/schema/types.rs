//! What type of value a schema describes.

use super::Version;
use crate::documents::{Documents, Place};
use crate::node::{Map, Node};

/// The types that a schema names, in JSON Schema's words; empty when it names none, or none that is known.
pub(crate) fn types_of(map: &Map, version: Version) -> Vec<&'static str> {
    let mut types = match map.get("type") {
        Some(Node::Text(text)) => known(text).into_iter().collect(),
        Some(Node::List(items)) => {
            let mut types = Vec::new();
            for one in items.iter().filter_map(Node::text).filter_map(known) {
                if !types.contains(&one) {
                    types.push(one);
                }
            }
            types
        }
        _ => Vec::new(),
    };
    // People leave it out where it goes without saying. From 3.1 on it does not.
    let is_composed = ["allOf", "anyOf", "oneOf", "not", "$ref"].iter().any(|key| map.get(key).is_some());
    if types.is_empty() && version < Version::V31 && !is_composed {
        if map.get("properties").is_some_and(|all| all.map().is_some()) || map.get("additionalProperties").is_some() {
            types.push("object");
        } else if map.get("items").is_some() {
            types.push("array");
        }
    }
    types
}

/// JSON Schema's word, also for what people write in its stead.
fn known(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "object" => "object",
        "array" => "array",
        "string" | "file" | "date" | "datetime" | "date-time" | "uuid" | "binary" => "string",
        "integer" | "int" | "long" | "int32" | "int64" => "integer",
        "number" | "float" | "double" | "decimal" => "number",
        "boolean" | "bool" => "boolean",
        "null" => "null",
        _ => return None,
    })
}

/// Whether only objects can be right.
pub(crate) fn is_object<'d>(documents: &'d Documents, place: Place<'d>, version: Version, depth: usize) -> bool {
    let Ok(place) = documents.resolve(place) else { return false };
    let Some(map) = place.node.map().filter(|_| depth > 0) else { return false };
    if place.node.is_true("nullable") || place.node.is_true("x-nullable") {
        return false;
    }
    let types = types_of(map, version);
    if !types.is_empty() {
        return types == ["object"];
    }
    let member = |node| is_object(documents, Place { node, ..place }, version, depth - 1);
    let list = |key: &str| map.get(key).and_then(Node::list).unwrap_or_default();
    let all_are = |key: &str| !list(key).is_empty() && list(key).iter().all(member);
    list("allOf").iter().any(member) || all_are("oneOf") || all_are("anyOf") || map.get("properties").is_some()
}

/// Whether the value is the content of a file, given as base64 or a `data:` URI.
pub(crate) fn is_file(schema: &Map) -> bool {
    let text = |key: &str| schema.get(key).and_then(Node::text);
    text("type").is_some_and(|kind| kind == "file" || kind == "binary")
        || text("format") == Some("binary")
        || text("contentMediaType") == Some("application/octet-stream") && text("contentEncoding").is_none()
}
