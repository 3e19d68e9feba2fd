//! `discriminator`: which of several schemas a value is of.
//!
//! JSON Schema has no such word, so each alternative that the mapping names is given the values that choose it. What the
//! mapping does not name is left as it is: the name of the schema would be the value, and many descriptions mean another.
//!
//! Source: OpenAPI 3.1.1, Discriminator Object.

use super::write::{Extra, Text};
use super::{DefId, Direction, SchemaError, Schemas};
use crate::documents::Place;
use crate::node::{Node, write_string};

impl<'d> Schemas<'d> {
    /// `oneOf` or `anyOf`; `place` is the schema that has it, `list` its alternatives.
    pub(super) fn write_alternatives(
        &mut self,
        key: &str,
        place: Place<'d>,
        list: Place<'d>,
        direction: Direction,
        text: &mut Text,
    ) -> Result<(), SchemaError> {
        let alternatives = list.node.list().unwrap_or_default();
        if alternatives.is_empty() {
            return Ok(());
        }
        let mapping = self.mapping(place, direction);
        let property = place.node.get("discriminator").and_then(|found| found.text_of("propertyName"));
        text.key(key).push('[');
        for (index, node) in alternatives.iter().enumerate() {
            if index > 0 {
                text.out.push(',');
            }
            let place = Place { node, ..list };
            let reference =
                node.text_of("$ref").map(|reference| self.define(place, reference, direction)).transpose()?;
            match (reference, property) {
                (Some(id), Some(property)) if mapping.iter().any(|(_, chosen)| *chosen == id) => {
                    let values = mapping.iter().filter(|(_, chosen)| *chosen == id).map(|(value, _)| *value);
                    text.out.push('{');
                    self.write_chosen(id, property, values, text);
                    text.out.push('}');
                }
                _ => self.write_nested(place, direction, &Extra::default(), text)?,
            }
        }
        text.out.push(']');
        Ok(())
    }

    fn write_chosen(&self, id: DefId, property: &str, values: impl Iterator<Item = &'d str>, text: &mut Text) {
        let mut one = super::write::Text::members();
        self.write_reference(id, &mut one);
        let mut list = String::from("[");
        for value in values {
            if list.len() > 1 {
                list.push(',');
            }
            write_string(value, &mut list);
        }
        list.push(']');
        let out = one.key("properties");
        out.push('{');
        write_string(property, out);
        out.push_str(&format!(":{{\"enum\":{list}}}}}"));
        let out = one.key("required");
        out.push('[');
        write_string(property, out);
        out.push(']');
        text.out.push_str(&one.out);
        text.refs.append(&mut one.refs);
    }

    /// Values and the definitions that they choose.
    fn mapping(&mut self, place: Place<'d>, direction: Direction) -> Vec<(&'d str, DefId)> {
        let mapping = place.node.get("discriminator").and_then(|found| found.get("mapping")).and_then(Node::map);
        let Some(mapping) = mapping else { return Vec::new() };
        let mut found = Vec::new();
        for (value, target) in mapping.iter() {
            let Some(target) = target.text() else { continue };
            // A plain word is the name of a component.
            let is_word = !target.contains(['#', '/', '.']);
            let reference = if is_word { format!("#/components/schemas/{target}") } else { target.to_owned() };
            if let Ok(id) = self.define(place, &reference, direction) {
                found.push((value, id));
            }
        }
        found
    }

    /// The word itself, for those who know it; it also leads to the schemas that a base schema does not name.
    pub(super) fn write_discriminator(
        &mut self,
        place: Place<'d>,
        value: &Node,
        direction: Direction,
        text: &mut Text,
    ) {
        // 2.0 has only the name.
        let Some(property) = value.text_of("propertyName").or_else(|| value.text()) else { return };
        let mapping = self.mapping(place, direction);
        let out = text.key("discriminator");
        out.push_str("{\"propertyName\":");
        write_string(property, out);
        if !mapping.is_empty() {
            out.push_str(",\"mapping\":{");
            for (index, (word, id)) in mapping.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(word, out);
                out.push(':');
                write_string(&format!("#/$defs/{}", self.definitions[id.0].name), out);
            }
            out.push('}');
        }
        out.push('}');
        text.refs.extend(mapping.into_iter().map(|(_, id)| id));
    }
}
