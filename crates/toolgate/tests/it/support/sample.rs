//! A value that fits a JSON Schema, as far as one can be made up.

use std::ops::RangeInclusive;

use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// A value for `schema`: an example where there is one. Where there are alternatives, those at `pick`.
pub(crate) fn sample(schema: &Value, pick: usize) -> Value {
    Sampler { root: schema, pick }.of(schema, 0)
}

/// Objects have no properties beyond this depth that they may be without.
const DEEPEST: usize = 5;
/// Schemas that lead to nothing but themselves are left here.
const BOTTOM: usize = 24;

struct Sampler<'s> {
    root: &'s Value,
    pick: usize,
}

impl Sampler<'_> {
    fn of(&self, schema: &Value, depth: usize) -> Value {
        if depth > BOTTOM {
            return Value::Null;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
            return match self.of(target, depth + 1) {
                // What stands beside the reference counts as well.
                Value::Object(made) => joined(Value::Object(made), self.object(schema, depth)),
                made => made,
            };
        }
        for key in ["const", "default"] {
            if let Some(value) = schema.get(key).filter(|value| !value.is_null()) {
                return value.clone();
            }
        }
        for key in ["enum", "examples"] {
            let fitting = |all: &Vec<Value>| all.iter().find(|one| !one.is_null() && is_of(schema, one)).cloned();
            if let Some(value) = schema[key].as_array().and_then(fitting) {
                return value;
            }
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(alternatives) = schema[key].as_array().filter(|all| !all.is_empty()) {
                let chosen = &alternatives[self.pick % alternatives.len()];
                if !says_what(chosen) {
                    return self.of_kind(schema, depth);
                }
                return joined(self.of(chosen, depth + 1), self.object(schema, depth));
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().filter(|one| says_what(one)).map(|one| self.of(one, depth + 1));
            return parts.chain([self.object(schema, depth)]).reduce(joined).unwrap_or_default();
        }
        self.of_kind(schema, depth)
    }

    /// A value of the type that the schema itself names.
    fn of_kind(&self, schema: &Value, depth: usize) -> Value {
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" | "number" => number(schema),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => json!(text(schema)),
        }
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(1);
        if depth > DEEPEST && least < 2 {
            return json!([]);
        }
        let item = |index: u64| match self.of(&schema["items"], depth + 1) {
            Value::Number(_) if index > 0 => json!(index),
            item => item,
        };
        (0..least.max(1)).map(item).collect()
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required: Vec<&str> = required.collect();
        let properties = schema["properties"].as_object();
        let mut made = Map::new();
        for (name, own) in properties.into_iter().flatten() {
            if required.contains(&name.as_str()) || depth < DEEPEST {
                made.insert(name.clone(), self.of(own, depth + 1));
            }
        }
        Value::Object(made)
    }
}

/// Whether a schema says what its values are, and not only something of them.
fn says_what(schema: &Value) -> bool {
    ["type", "properties", "$ref", "oneOf", "anyOf", "allOf", "enum", "const"]
        .iter()
        .any(|key| schema.get(key).is_some())
}

fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        // Alternatives of an object, each with what it requires.
        _ if schema.get("oneOf").or(schema.get("anyOf")).is_some() => "object",
        _ => "string",
    }
}

/// Whether an example is of the type, which many are not.
fn is_of(schema: &Value, value: &Value) -> bool {
    match kind(schema) {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_string() || schema.get("type").is_none(),
    }
}

fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            one.extend(other);
            Value::Object(one)
        }
        (Value::Object(_) | Value::Null, other) if !other.is_object() => other,
        (one, _) => one,
    }
}

fn number(schema: &Value) -> Value {
    let bound = |key: &str| schema[key].as_f64();
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + 1.0));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - 1.0));
    let step = bound("multipleOf").unwrap_or(1.0);
    let value = match (least, most) {
        (Some(least), _) => (least / step).ceil() * step,
        (None, Some(most)) => ((most.min(10.0)) / step).floor() * step,
        (None, None) => step,
    };
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn text(schema: &Value) -> String {
    let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap_or(0);
    let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let is_exact = matches!(schema["format"].as_str(), Some("date" | "date-time" | "time" | "uuid"));
    let pattern = schema["pattern"].as_str().filter(|_| !is_exact);
    if let Some(made) = pattern.and_then(|pattern| matching(pattern, least.max(1)..=most)) {
        return made;
    }
    let made = match schema["format"].as_str() {
        Some("date") => "2024-01-31",
        Some("date-time") => "2024-01-31T12:00:00Z",
        Some("time") => "12:00:00Z",
        Some("uuid") => "123e4567-e89b-42d3-a456-426614174000",
        Some("email" | "idn-email") => "a@example.com",
        Some("uri" | "url" | "uri-reference" | "iri") => "https://example.com/x",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("byte" | "binary") => "aGVsbG8=",
        Some("duration") => "P1D",
        Some("json-pointer") => "/a",
        _ if schema["contentEncoding"] == "base64" => "aGVsbG8=",
        _ => "sample",
    };
    let mut made = made.to_owned();
    while made.len() < least {
        made.push('x');
    }
    made.truncate(most);
    made
}

/// A text that matches a pattern, of letters that mean nothing on the way.
fn matching(pattern: &str, lengths: RangeInclusive<usize>) -> Option<String> {
    // Digits of other scripts are digits as well.
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$').replace("\\d", "[0-9]");
    let strategy = string_regex(&pattern).ok()?;
    let mut runner = TestRunner::deterministic();
    let is_plain = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/#{}".contains(c));
    let made = (0..5_000).filter_map(|_| Some(strategy.new_tree(&mut runner).ok()?.current()));
    made.filter(is_plain).find(|text| lengths.contains(&text.len()) && !text.contains(".."))
}
