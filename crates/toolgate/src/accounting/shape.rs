//! What arguments look like, without what they say: their names, and the type and size of each.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// More arguments than this are only counted.
const MOST_NAMES: usize = 64;

/// Longer names are cut; names too may be anybody's text.
const LONGEST_NAME: usize = 64;

/// The shape of `arguments`: `{"city": "string, 8 bytes", "days": "number, 1 bytes"}`. Sizes are of the JSON text.
pub(super) fn shape(arguments: &str) -> Value {
    match serde_json::from_str::<Shape>(arguments) {
        Ok(Shape(shape)) => Value::Object(shape),
        Err(_) => Value::String(value(arguments)),
    }
}

fn value(text: &str) -> String {
    let kind = match text.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => "unreadable",
    };
    format!("{kind}, {} bytes", text.len())
}

struct Shape(Map<String, Value>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut shape = Map::new();
        let mut more = 0usize;
        while shape.len() < MOST_NAMES {
            let Some((name, text)) = map.next_entry::<Cow<'de, str>, &RawValue>()? else { return Ok(Shape(shape)) };
            let name: String = name.chars().take(LONGEST_NAME).filter(|c| *c != '\0').collect();
            shape.insert(name, value(text.get()).into());
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            more += 1;
        }
        if more > 0 {
            shape.insert("...".to_owned(), format!("{more} more").into());
        }
        Ok(Shape(shape))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shape;

    #[test]
    fn names_types_and_sizes_and_nothing_that_was_said() {
        let arguments = r#"{"city": "Canary", "days": 12, "far": true, "not": null, "all": [1, 2], "of": {"a": "x"}}"#;
        let expected = json!({
            "city": "string, 8 bytes", "days": "number, 2 bytes", "far": "boolean, 4 bytes", "not": "null, 4 bytes",
            "all": "array, 6 bytes", "of": "object, 10 bytes",
        });
        assert_eq!(shape(arguments), expected);
        assert!(!shape(arguments).to_string().contains("Canary"));
        assert_eq!(shape("[1]"), json!("array, 3 bytes"));
        assert_eq!(shape("{}"), json!({}));
        assert_eq!(shape("{oops"), json!("object, 5 bytes"));
    }

    #[test]
    fn many_and_long_names_are_cut() {
        let many: serde_json::Map<_, _> = (0..70).map(|number| (format!("n{number}"), json!(1))).collect();
        assert_eq!(shape(&json!(many).to_string())["..."], "6 more");
        let long = json!({ "n".repeat(1_000): 1, "with\u{0}nul": 2 }).to_string();
        let shape = shape(&long);
        let names: Vec<_> = shape.as_object().unwrap().keys().collect();
        assert_eq!(names, [&"n".repeat(64), "withnul"]);
    }
}
