//! A document, or the arguments of a call, as a tree.
//!
//! Numbers stay the text that they were, so that none is rounded, and words that occur again and again are kept once: a
//! description of a large API fits into a few times its own size.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as JSON writes it.
    Number(Arc<str>),
    /// A string.
    Text(Arc<str>),
    /// An array.
    List(Box<[Node]>),
    /// An object.
    Map(Map),
    /// Something that was nested too deeply to be read.
    TooDeep,
}

/// An object in its own order. Keys are unique.
#[derive(Debug, Clone, Default)]
pub struct Map {
    entries: Box<[(Arc<str>, Node)]>,
    /// Places in `entries` in the order of their keys, where there are many.
    order: Option<Box<Order>>,
}

#[derive(Debug, Clone)]
struct Order(Box<[u32]>);

/// Objects with more keys than this are searched by halves.
const FEW: usize = 16;

impl Map {
    /// An object of these entries. Of two with one key the later counts, in the place of the earlier.
    #[must_use]
    pub fn new(mut entries: Vec<(Arc<str>, Node)>) -> Self {
        if entries.len() <= FEW {
            let mut at = 1;
            while at < entries.len() {
                match entries[..at].iter().position(|(key, _)| *key == entries[at].0) {
                    Some(before) => entries[before].1 = entries.remove(at).1,
                    None => at += 1,
                }
            }
            return Self { entries: entries.into(), order: None };
        }
        let mut order = order_of(&entries);
        if order.windows(2).any(|two| entries[two[0] as usize].0 == entries[two[1] as usize].0) {
            entries = without_repeated(entries, &order);
            order = order_of(&entries);
        }
        Self { entries: entries.into(), order: Some(Box::new(Order(order.into()))) }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Some(order) = &self.order else {
            return self.entries.iter().find(|(name, _)| **name == *key).map(|(_, node)| node);
        };
        let found = order.0.binary_search_by(|place| (*self.entries[*place as usize].0).cmp(key)).ok()?;
        Some(&self.entries[order.0[found] as usize].1)
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(key, node)| (&**key, node))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for Map {
    /// The order of keys means nothing.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, node)| other.get(key) == Some(node))
    }
}

fn order_of(entries: &[(Arc<str>, Node)]) -> Vec<u32> {
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    // Stable, so that of equal keys the later comes later.
    order.sort_by(|a, b| entries[*a as usize].0.cmp(&entries[*b as usize].0));
    order
}

fn without_repeated(entries: Vec<(Arc<str>, Node)>, order: &[u32]) -> Vec<(Arc<str>, Node)> {
    // Where the value of an entry goes, and which entries go.
    let mut slots: Vec<Option<(Arc<str>, Node)>> = entries.into_iter().map(Some).collect();
    let mut first = 0;
    for at in 1..order.len() {
        let (kept, this) = (order[first] as usize, order[at] as usize);
        let same = match (&slots[kept], &slots[this]) {
            (Some((a, _)), Some((b, _))) => a == b,
            _ => false,
        };
        if !same {
            first = at;
        } else if let Some((_, later)) = slots[this].take()
            && let Some((_, value)) = &mut slots[kept]
        {
            *value = later;
        }
    }
    slots.into_iter().flatten().collect()
}

impl Node {
    /// The value of a key, where this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.get(key)
    }

    /// The object.
    #[must_use]
    pub fn map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of an array.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a key, where there is one.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// Whether a key is there and `true`.
    #[must_use]
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some(&Self::Bool(true))
    }

    /// A string, number or boolean as people write it; `None` for everything else.
    #[must_use]
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Number(text) | Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Null | Self::List(_) | Self::Map(_) | Self::TooDeep => None,
        }
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Appends the JSON text.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Null | Self::TooDeep => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => write_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                out.push('{');
                for (index, (key, node)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    node.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// What kind of value it is, in JSON Schema's words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
            Self::TooDeep => "value that is nested too deeply",
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Appends `text` as a JSON string.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::{Map, Node};

    fn map(count: usize, repeated: &[usize]) -> Map {
        let entries = (0..count).map(|n| (format!("k{n}").into(), Node::Bool(false)));
        Map::new(entries.chain(repeated.iter().map(|n| (format!("k{n}").into(), Node::Bool(true)))).collect())
    }

    #[test]
    fn of_two_equal_keys_the_later_counts_in_the_place_of_the_earlier() {
        for count in [3, 40] {
            let map = map(count, &[1, 2, 1]);
            assert_eq!(map.len(), count);
            let keys: Vec<&str> = map.iter().map(|(key, _)| key).take(3).collect();
            assert_eq!(keys, ["k0", "k1", "k2"]);
            let values: Vec<_> = (0..4).map(|n| map.get(&format!("k{n}")).cloned()).collect();
            let own = (count > 3).then_some(Node::Bool(false));
            assert_eq!(values, [Some(Node::Bool(false)), Some(Node::Bool(true)), Some(Node::Bool(true)), own]);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Node::from("a\"\\\n\r\t\u{1}é").to_json(), r#""a\"\\\n\r\t\u0001é""#);
    }
}
