//! YAML text to a tree that knows where each value stands.
//!
//! Scalars are understood as PyYAML does, which reads LiteLLM's files: `yes`, `no`, `on` and `off` are booleans, `y`
//! and `n` are not. Repeated keys are kept here and reported by the caller. Size, depth, number of nodes and growth
//! through aliases are capped, so that a hostile file costs milliseconds.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// The largest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 200_000;
const MAX_ALIAS_EVENTS: usize = 10_000;

/// One YAML value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    /// `os.environ/NAME` whose variable is not set. Reads as null.
    Unset(String),
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

/// A stretch of the file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// In bytes from the start of the file.
    pub(crate) start: usize,
    /// In bytes.
    pub(crate) len: usize,
}

/// Why a text is no YAML tree.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Option<Span>,
}

/// The parser recurses, in a debug build by some 30 KiB for each level.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Reads `text`. An empty text is a null.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("config".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || parse_here(text)) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(SyntaxError { message: format!("cannot start a thread: {error}"), span: None }),
        }
    })
}

fn parse_here(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than the {MAX_BYTES} that are read", text.len());
        return Err(SyntaxError { message, span: None });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS },
        with_snippet: false,
        emit_comments: false,
    };
    let mut root: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| SyntaxError {
        span: error.location().map(Span::from),
        message: plain_message(&error.to_string()),
    })?;
    restore_single_letters(&mut root, text);
    Ok(root)
}

/// The parser says the place twice; ours is printed beside the message.
fn plain_message(message: &str) -> String {
    let first = message.lines().next().unwrap_or("not valid YAML");
    let without_place = first.split_once(": line ").map_or(first, |(before, _)| before);
    let without_place = without_place.rsplit_once(" at line ").map_or(without_place, |(before, _)| before);
    without_place.trim_start_matches("error: ").to_owned()
}

/// YAML 1.1 calls `y` and `n` booleans, PyYAML does not.
fn restore_single_letters(node: &mut Node, text: &str) {
    match &mut node.value {
        Value::Bool(_) => {
            let written = text.get(node.span.start..node.span.start + node.span.len).unwrap_or_default();
            if matches!(written, "y" | "Y" | "n" | "N") {
                node.value = Value::Text(written.to_owned());
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| restore_single_letters(item, text)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| restore_single_letters(&mut entry.node, text)),
        Value::Null | Value::Unset(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

impl Node {
    /// The value under `key`, the last one where a key is repeated.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().rev().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null | Value::Unset(_))
    }

    /// The same value without places.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Unset(_) => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect())
            }
        }
    }
}

impl From<&serde_json::Value> for Node {
    /// A value that stands nowhere.
    fn from(json: &serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => Value::Number(number.clone()),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => {
                let entry = |(key, value): (&String, &serde_json::Value)| Entry {
                    key: key.clone(),
                    key_span: Span::default(),
                    node: Self::from(value),
                };
                Value::Map(map.iter().map(entry).collect())
            }
        };
        Self { value, span: Span::default() }
    }
}

impl Value {
    /// What it is, for a person: "the number 5". Text is not repeated, since it may be a secret.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Unset(name) => format!("the variable {name}, which is not set"),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(_) => "a text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

impl From<Location> for Span {
    fn from(location: Location) -> Self {
        let span = location.span();
        Self {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
            start: span.byte_offset().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0),
            len: span.byte_len().and_then(|len| usize::try_from(len).ok()).unwrap_or(0),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, span: spanned.defined.into() })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(|| Value::Text(value.to_string()), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let node = map.next_value()?;
            entries.push(Entry { key: key.value, key_span: key.defined.into(), node });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, parse};

    #[test]
    fn booleans_are_those_of_pyyaml() {
        let check = |text: &str, expected: Option<bool>| {
            let node = parse(&format!("k: {text}")).unwrap();
            let found = match node.get("k").unwrap().node.value {
                Value::Bool(value) => Some(value),
                _ => None,
            };
            assert_eq!(found, expected, "{text}");
        };
        check("yes", Some(true));
        check("No", Some(false));
        check("on", Some(true));
        check("OFF", Some(false));
        check("true", Some(true));
        check("y", None);
        check("n", None);
        check("\"yes\"", None);
    }

    #[test]
    fn places_are_those_of_the_file() {
        let node = parse("a:\n  bä: 1\n  c: [x, yy]\n").unwrap();
        let a = &node.get("a").unwrap().node;
        let b = a.get("bä").unwrap();
        assert_eq!((b.key_span.line, b.key_span.column), (2, 3));
        assert_eq!((b.node.span.line, b.node.span.column), (2, 7));
        let Value::List(items) = &a.get("c").unwrap().node.value else { panic!("a list") };
        assert_eq!((items[1].span.line, items[1].span.column, items[1].span.len), (3, 10, 2));
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let node = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").unwrap();
        let json = node.to_json();
        assert_eq!(json["use"], serde_json::json!({"x": 1, "y": 3}));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(parse(&text).is_err());
    }

    #[test]
    fn a_hundred_levels_are_refused() {
        assert!(parse(&format!("a: {}{}", "[".repeat(100), "]".repeat(100))).is_err());
    }
}
