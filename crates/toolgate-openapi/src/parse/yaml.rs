//! YAML to a tree.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{ParseError, word};
use crate::limits::Limits;
use crate::node::{Map, Node};

/// The parser recurses, in a debug build by some 30 KiB for each level.
const STACK_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn read(text: &str, limits: &Limits) -> Result<Node, ParseError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("openapi-yaml".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || read_here(text, limits)) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(ParseError::Yaml(format!("cannot start a thread: {error}"))),
        }
    })
}

fn read_here(text: &str, limits: &Limits) -> Result<Node, ParseError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            max_nodes: limits.nodes,
            max_events: limits.nodes.saturating_mul(3),
            max_total_scalar_bytes: limits.document_bytes.saturating_mul(2),
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: limits.alias_values },
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
    };
    let words = RefCell::default();
    let root = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Value { words: &words }.deserialize(deserializer)
    })
    .map_err(|error| ParseError::Yaml(plain(&error.to_string())))?;
    match root {
        Node::Map(_) | Node::List(_) => Ok(root),
        // Any text is YAML.
        _ => Err(ParseError::Yaml("it is a text, not a mapping".to_owned())),
    }
}

fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").chars().take(300).collect()
}

#[derive(Clone, Copy)]
struct Value<'w> {
    words: &'w RefCell<HashSet<Arc<str>>>,
}

impl Value<'_> {
    fn word(self, text: &str) -> Arc<str> {
        word(&mut self.words.borrow_mut(), text)
    }

    fn number(self, text: &str) -> Node {
        Node::Number(self.word(text))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(self.number(&value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(self.number(&value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(self.number(&value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(self.number(&value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // JSON has no infinities.
        Ok(serde_json::Number::from_f64(value)
            .map_or_else(|| Node::Text(self.word(&value.to_string())), |number| self.number(&number.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(self.word(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key_seed(Key(self))? {
            entries.push((key, access.next_value_seed(self)?));
        }
        Ok(Node::Map(Map::new(entries)))
    }
}

/// A key: any scalar, as the text that it is written as. `200:` is a status, not a number.
struct Key<'w>(Value<'w>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Arc<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Arc<str>, E> {
        Ok(self.0.word(value))
    }
}
