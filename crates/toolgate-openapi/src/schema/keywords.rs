//! Keywords whose values are no schemas.

use std::borrow::Cow;
use std::collections::HashSet;

use super::write::{Extra, Text};
use super::{Direction, Schemas, Version, types};
use crate::node::{Map, Node};

/// Longer examples are left out: a description has room for the exact form, a list of tools has not.
const EXAMPLE_BYTES: usize = 1_024;
const EXAMPLES: usize = 5;

/// What is put behind the description of a file's content.
const FILE: &str = "The file's content: base64, or a data: URI such as data:text/plain;name=a.txt;base64,aGk=";

impl Schemas<'_> {
    pub(super) fn write_types(&self, map: &Map, nullable: bool, extra: &Extra<'_>, text: &mut Text) {
        let mut types = types::types_of(map, self.version);
        if extra.object {
            types = vec!["object"];
        }
        if nullable && !types.is_empty() && !types.contains(&"null") {
            types.push("null");
        }
        match types.as_slice() {
            [] => {}
            [one] => text.text("type", one),
            several => {
                let names: Vec<String> = several.iter().map(|name| format!("\"{name}\"")).collect();
                text.key("type").push_str(&format!("[{}]", names.join(",")));
            }
        }
    }

    /// Title, description, examples and the like.
    pub(super) fn write_annotations(&self, map: &Map, direction: Direction, extra: &Extra<'_>, text: &mut Text) {
        if let Some(title) = map.get("title").and_then(Node::text).filter(|title| !title.is_empty()) {
            text.text("title", self.cut(title));
        }
        let own = map.get("description").and_then(Node::text).filter(|text| !text.trim().is_empty());
        let description = both(extra.description.filter(|text| !text.trim().is_empty()), own);
        let is_file = direction == Direction::Input && types::is_file(map);
        match (description, is_file) {
            (Some(description), false) => text.text("description", self.cut(&description)),
            (Some(description), true) => text.text("description", &format!("{}\n{FILE}", self.cut(&description))),
            (None, true) => text.text("description", FILE),
            (None, false) => {}
        }
        if is_file && map.get("contentEncoding").is_none() {
            text.text("contentEncoding", "base64");
        }
        if extra.deprecated || map.get("deprecated") == Some(&Node::Bool(true)) {
            text.key("deprecated").push_str("true");
        }
        write_examples(map, extra, text);
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let end = text.floor_char_boundary(self.limits.description_bytes);
        text[..end].trim_end()
    }

    pub(super) fn write_keyword(
        &self,
        map: &Map,
        key: &str,
        value: &Node,
        nullable: bool,
        direction: Direction,
        text: &mut Text,
    ) {
        match key {
            "enum" => write_enum(value, nullable, text),
            "const" => value.write_json(text.key(key)),
            "default" => value.write_json(text.key(key)),
            "format" | "contentEncoding" | "contentMediaType" => {
                if let Some(word) = value.text() {
                    text.text(key, word);
                }
            }
            // Clients compile the patterns of what comes, in a dialect of their own, and refuse all tools over one.
            "pattern" if direction == Direction::Input => {
                if let Some(pattern) = value.text().filter(|text| text.len() <= self.limits.pattern_bytes) {
                    text.text(key, pattern);
                }
            }
            "maximum" | "minimum" => {
                let exclusive = if key == "maximum" { "exclusiveMaximum" } else { "exclusiveMinimum" };
                let key = if map.get(exclusive) == Some(&Node::Bool(true)) { exclusive } else { key };
                write_number(key, value, text);
            }
            "exclusiveMaximum" | "exclusiveMinimum" => write_number(key, value, text),
            "multipleOf" => {
                if matches!(value, Node::Number(number) if number.parse::<f64>().is_ok_and(|number| number > 0.0)) {
                    write_number(key, value, text);
                }
            }
            "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" | "maxContains"
            | "minContains" => {
                if matches!(value, Node::Number(number) if number.parse::<u64>().is_ok()) {
                    write_number(key, value, text);
                }
            }
            "uniqueItems" | "readOnly" | "writeOnly" if value == &Node::Bool(true) => {
                text.key(key).push_str("true");
            }
            "dependentRequired" if self.version >= Version::V31 => value.write_json(text.key(key)),
            // `$schema`, `$id`, `xml`, extensions and everything that is written elsewhere.
            _ => {}
        }
    }
}

/// What a parameter says, and then what its schema says, unless one says it all.
fn both<'t>(outer: Option<&'t str>, own: Option<&'t str>) -> Option<Cow<'t, str>> {
    match (outer, own) {
        (Some(outer), Some(own)) if own.contains(outer.trim()) => Some(Cow::Borrowed(own)),
        (Some(outer), Some(own)) if !outer.contains(own.trim()) => {
            Some(Cow::Owned(format!("{}\n\n{own}", outer.trim_end())))
        }
        (one, other) => one.or(other).map(Cow::Borrowed),
    }
}

fn write_number(key: &str, value: &Node, text: &mut Text) {
    if let Node::Number(number) = value {
        text.key(key).push_str(number);
    }
}

fn write_enum(value: &Node, nullable: bool, text: &mut Text) {
    let mut seen = HashSet::new();
    let mut values: Vec<String> = Vec::new();
    let null = Node::Null;
    let more = Some(&null).filter(|_| nullable);
    for node in value.list().unwrap_or_default().iter().chain(more) {
        let written = node.to_json();
        if seen.insert(written.clone()) {
            values.push(written);
        }
    }
    // An empty one allows nothing, which nobody means.
    if values.iter().any(|value| value != "null") {
        text.key("enum").push_str(&format!("[{}]", values.join(",")));
    }
}

fn write_examples(map: &Map, extra: &Extra<'_>, text: &mut Text) {
    let list = map.get("examples").and_then(Node::list).unwrap_or_default();
    let own = map.get("example").into_iter().chain(list);
    let mut written: Vec<String> = Vec::new();
    for example in extra.examples.iter().copied().chain(own) {
        let json = example.to_json();
        if json.len() <= EXAMPLE_BYTES && written.len() < EXAMPLES && !written.contains(&json) {
            written.push(json);
        }
    }
    if !written.is_empty() {
        text.key("examples").push_str(&format!("[{}]", written.join(",")));
    }
}
