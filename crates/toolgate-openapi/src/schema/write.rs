//! One schema as text.

use std::collections::HashSet;

use super::{DefId, Direction, SchemaError, Schemas, Version, Written, types};
use crate::documents::Place;
use crate::node::{Map, Node, write_string};

/// What is said of a schema from outside: by the parameter that it belongs to, or the tool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extra<'e> {
    /// Goes before the schema's own.
    pub(crate) description: Option<&'e str>,
    pub(crate) deprecated: bool,
    /// More examples.
    pub(crate) examples: &'e [&'e Node],
    /// The value is an object, whether the schema says so or not.
    pub(crate) object: bool,
}

/// The text of an object while it is written.
pub(super) struct Text {
    pub(super) out: String,
    pub(super) refs: Vec<DefId>,
    empty: bool,
}

impl Text {
    fn new() -> Self {
        Self { out: "{".to_owned(), refs: Vec::new(), empty: true }
    }

    /// Members that go into somebody else's braces.
    pub(super) fn members() -> Self {
        Self { out: String::new(), refs: Vec::new(), empty: true }
    }

    /// Begins a keyword; its value is to be written next.
    pub(super) fn key(&mut self, key: &str) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        write_string(key, &mut self.out);
        self.out.push(':');
        &mut self.out
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        write_string(value, self.key(key));
    }
}

impl<'d> Schemas<'d> {
    pub(super) fn write_one(
        &mut self,
        place: Place<'d>,
        direction: Direction,
        extra: &Extra<'_>,
    ) -> Result<Written, SchemaError> {
        let mut text = Text::new();
        self.write_into(place, direction, extra, &mut text)?;
        text.out.push('}');
        let most = self.limits.definition_bytes;
        if text.out.len() > most {
            return Err(SchemaError::TooLarge { bytes: text.out.len(), most });
        }
        Ok(Written { stub: self.stub(place, extra), text: text.out, refs: text.refs })
    }

    /// As much as fits anywhere.
    fn stub(&self, place: Place<'d>, extra: &Extra<'_>) -> String {
        let types = place.node.map().map(|map| types::types_of(map, self.version)).unwrap_or_default();
        let mut text = Text::new();
        if let ([one], false) = (types.as_slice(), place.node.is_true("nullable") || extra.object) {
            text.text("type", one)
        }
        text.text("description", "Not described further here, since the schema is large.");
        text.out.push('}');
        text.out
    }

    /// The members of the schema at `place`, without the braces.
    fn write_into(
        &mut self,
        place: Place<'d>,
        direction: Direction,
        extra: &Extra<'_>,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        let map = match place.node {
            Node::Map(map) => map,
            Node::Bool(false) => {
                text.key("not").push_str("{}");
                return Ok(());
            }
            Node::TooDeep => return Err(SchemaError::TooDeep),
            // Anything goes.
            _ => return Ok(()),
        };
        if text.out.len() > self.limits.definition_bytes {
            return Err(SchemaError::TooLarge { bytes: text.out.len(), most: self.limits.definition_bytes });
        }
        let nullable =
            self.version < Version::V31 && (place.node.is_true("nullable") || place.node.is_true("x-nullable"));
        let composed = ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| map.get(key).is_some());
        if nullable && composed {
            self.write_annotations(map, direction, extra, text);
            text.key("anyOf").push_str("[{");
            let mut inner = Text::members();
            self.write_rules(place, map, direction, extra, false, &mut inner)?;
            text.out.push_str(&inner.out);
            text.out.push_str("},{\"type\":\"null\"}]");
            text.refs.append(&mut inner.refs);
            return Ok(());
        }
        self.write_annotations(map, direction, extra, text);
        self.write_rules(place, map, direction, extra, nullable, text)
    }

    fn write_rules(
        &mut self,
        place: Place<'d>,
        map: &'d Map,
        direction: Direction,
        extra: &Extra<'_>,
        nullable: bool,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        if let Some(reference) = map.get("$ref").or_else(|| map.get("$dynamicRef")).and_then(Node::text) {
            let id = self.define(place, reference, direction)?;
            self.write_reference(id, text);
            if self.version < Version::V31 {
                return Ok(());
            }
        }
        self.write_types(map, nullable, extra, text);
        let hidden = self.hidden_properties(place, map, direction);
        for (key, value) in map.iter() {
            let inner = Place { node: value, ..place };
            if *value == Node::TooDeep {
                return Err(SchemaError::TooDeep);
            }
            match key {
                "properties" | "patternProperties" | "dependentSchemas" => {
                    self.write_schemas(key, inner, direction, &hidden, text)?;
                }
                "items" if value.list().is_some() => self.write_list("prefixItems", inner, direction, text)?,
                "items"
                | "additionalProperties"
                | "not"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contentSchema" => {
                    self.write_schema(key, inner, direction, text)?;
                }
                "allOf" | "prefixItems" => self.write_list(key, inner, direction, text)?,
                "anyOf" | "oneOf" => self.write_alternatives(key, place, inner, direction, text)?,
                "required" => write_required(value, &hidden, text),
                "discriminator" => self.write_discriminator(place, value, direction, text),
                _ => self.write_keyword(map, key, value, nullable, direction, text),
            }
        }
        Ok(())
    }

    pub(super) fn write_reference(&self, id: DefId, text: &mut Text) {
        text.refs.push(id);
        let name = &self.definitions[id.0].name;
        text.text("$ref", &format!("#/$defs/{name}"));
    }

    /// Properties that do not go this way.
    fn hidden_properties(&self, place: Place<'d>, map: &'d Map, direction: Direction) -> HashSet<&'d str> {
        let flag = match direction {
            Direction::Input => "readOnly",
            Direction::Output => "writeOnly",
        };
        let Some(properties) = map.get("properties").and_then(Node::map) else { return HashSet::new() };
        let is_hidden = |node: &'d Node| {
            node.is_true(flag)
                || node.get("$ref").is_some()
                    && self.documents.resolve(Place { node, ..place }).is_ok_and(|place| place.node.is_true(flag))
        };
        properties.iter().filter(|(_, node)| is_hidden(node)).map(|(name, _)| name).collect()
    }

    /// A schema under `key`.
    fn write_schema(
        &mut self,
        key: &str,
        place: Place<'d>,
        direction: Direction,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        if key == "additionalProperties" || key.starts_with("unevaluated") {
            match place.node {
                Node::Bool(true) => {
                    text.key(key).push_str("true");
                    return Ok(());
                }
                Node::Bool(false) => {
                    text.key(key).push_str("false");
                    return Ok(());
                }
                _ => {}
            }
        }
        text.key(key);
        self.write_nested(place, direction, &Extra::default(), text)
    }

    /// A schema in braces, as the next value.
    pub(super) fn write_nested(
        &mut self,
        place: Place<'d>,
        direction: Direction,
        extra: &Extra<'_>,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        text.out.push('{');
        let before = std::mem::replace(&mut text.empty, true);
        let outcome = self.write_into(place, direction, extra, text);
        text.empty = before;
        text.out.push('}');
        outcome
    }

    /// Schemas by name under `key`.
    fn write_schemas(
        &mut self,
        key: &str,
        place: Place<'d>,
        direction: Direction,
        hidden: &HashSet<&str>,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        let Some(map) = place.node.map() else { return Ok(()) };
        text.key(key).push('{');
        let mut first = true;
        for (name, node) in map.iter() {
            let fits = key != "patternProperties" || name.len() <= self.limits.pattern_bytes;
            if (key == "properties" && hidden.contains(name)) || !fits {
                continue;
            }
            if !first {
                text.out.push(',');
            }
            first = false;
            write_string(name, &mut text.out);
            text.out.push(':');
            self.write_nested(Place { node, ..place }, direction, &Extra::default(), text)?;
        }
        text.out.push('}');
        Ok(())
    }

    fn write_list(
        &mut self,
        key: &str,
        place: Place<'d>,
        direction: Direction,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        let items = place.node.list().unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        text.key(key).push('[');
        for (index, node) in items.iter().enumerate() {
            if index > 0 {
                text.out.push(',');
            }
            self.write_nested(Place { node, ..place }, direction, &Extra::default(), text)?;
        }
        text.out.push(']');
        Ok(())
    }
}

fn write_required(value: &Node, hidden: &HashSet<&str>, text: &mut Text) {
    let mut names: Vec<&str> = Vec::new();
    for name in value.list().unwrap_or_default().iter().filter_map(Node::text) {
        if !hidden.contains(name) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return;
    }
    let out = text.key("required");
    out.push('[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
    }
    out.push(']');
}
