//! Text to a tree: JSON, else YAML.
//!
//! YAML is read as OpenAPI wants it (1.2's booleans, keys of any scalar as text). Size, depth, number of values and
//! growth through aliases are capped.

mod yaml;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::limits::Limits;
use crate::node::{Map, Node};

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is larger than what is read.
    #[error("it has {bytes} bytes, more than the {most} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        most: usize,
    },
    /// It holds more values than are read.
    #[error("it holds more than {most} values")]
    TooManyValues {
        /// The cap.
        most: usize,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is a web page.
    #[error("it is an HTML page, not JSON or YAML; is the address of the document itself meant?")]
    Html,
    /// It is not what its first character promises.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// It is no JSON and no YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// An object names a key twice, where that is not taken.
    #[error("the key `{0}` is there twice")]
    RepeatedKey(String),
}

/// Reads a document: JSON when it begins so, else YAML.
///
/// # Errors
/// When it is neither, or larger than `limits` allow.
pub fn document(bytes: &[u8], limits: &Limits) -> Result<Node, ParseError> {
    if bytes.len() > limits.document_bytes {
        return Err(ParseError::TooLarge { bytes: bytes.len(), most: limits.document_bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ParseError::NotText)?;
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    match text.bytes().next() {
        None => Err(ParseError::Empty),
        Some(b'<') => Err(ParseError::Html),
        Some(b'{' | b'[') => match json(text, limits) {
            // A flow mapping of YAML looks like this, too.
            Err(ParseError::Json(why)) => yaml::read(text, limits).map_err(|_| ParseError::Json(why)),
            other => other,
        },
        Some(_) => yaml::read(text, limits),
    }
}

/// Reads JSON. What is nested too deeply becomes [`Node::TooDeep`]; of repeated keys the last counts.
///
/// # Errors
/// When it is no JSON, or holds too many values.
pub fn json(text: &str, limits: &Limits) -> Result<Node, ParseError> {
    read_json(text, limits, false)
}

/// Reads the arguments of a call: repeated keys are an error.
///
/// # Errors
/// As [`json`].
pub fn arguments(text: &str, limits: &Limits) -> Result<Node, ParseError> {
    read_json(text, limits, true)
}

fn read_json(text: &str, limits: &Limits, strict: bool) -> Result<Node, ParseError> {
    // The grammar is checked first, in one pass that does not recurse; the walk below then cannot go astray.
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| ParseError::Json(error.to_string()))?;
    let mut walk = Walk { text: raw.get(), at: 0, left: limits.nodes, words: HashSet::new(), strict };
    walk.value(limits.depth).map_err(|error| match error {
        ParseError::TooManyValues { .. } => ParseError::TooManyValues { most: limits.nodes },
        other => other,
    })
}

/// Words up to this length are kept once.
const SHORT: usize = 48;

/// The one string for a word.
pub(crate) fn word(words: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if text.len() > SHORT {
        return text.into();
    }
    if let Some(known) = words.get(text) {
        return Arc::clone(known);
    }
    let new: Arc<str> = text.into();
    words.insert(Arc::clone(&new));
    new
}

/// A walk over text that is known to be JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    /// Values that may still be read.
    left: usize,
    words: HashSet<Arc<str>>,
    strict: bool,
}

impl Walk<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, ParseError> {
        self.left = self.left.checked_sub(1).ok_or(ParseError::TooManyValues { most: 0 })?;
        self.skip_blanks();
        match self.peek() {
            Some(b'{' | b'[') if depth == 0 => {
                self.skip_nested();
                Ok(Node::TooDeep)
            }
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.array(depth - 1),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            _ => Ok(self.literal()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, ParseError> {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'"') => {
                    let key = self.string()?;
                    self.skip_blanks();
                    self.at += 1; // the colon
                    let value = self.value(depth)?;
                    entries.push((key, value));
                }
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.at += 1;
        if !self.strict {
            return Ok(Node::Map(Map::new(entries)));
        }
        let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|two| two[0] == two[1]) {
            return Err(ParseError::RepeatedKey(twice[0].to_owned()));
        }
        Ok(Node::Map(Map::new(entries)))
    }

    fn array(&mut self, depth: usize) -> Result<Node, ParseError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b']') | None => break,
                Some(b',') => self.at += 1,
                Some(_) => items.push(self.value(depth)?),
            }
        }
        self.at += 1;
        Ok(Node::List(items.into()))
    }

    fn string(&mut self) -> Result<Arc<str>, ParseError> {
        let start = self.at;
        let escaped = self.skip_string();
        let written = &self.text[start..self.at];
        if !escaped {
            return Ok(word(&mut self.words, &written[1..written.len() - 1]));
        }
        let text: String = serde_json::from_str(written).map_err(|error| ParseError::Json(error.to_string()))?;
        Ok(word(&mut self.words, &text))
    }

    fn literal(&mut self) -> Node {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (word, _) = rest.split_at(end);
        self.at += end;
        match word {
            "null" => Node::Null,
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            number => Node::Number(self::word(&mut self.words, number)),
        }
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes behind a string; says whether anything in it is escaped.
    fn skip_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                _ => {}
            }
        }
        escaped
    }

    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests;
