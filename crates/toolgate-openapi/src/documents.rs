//! A description and the documents that it refers to.
//!
//! Nothing is read here: [`Documents::wanted`] says which further documents are needed, by name, and the caller adds
//! them. A name is a path relative to the place where the first document's own name is relative to, or a URL.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::limits::Limits;
use crate::node::Node;
use crate::parse::{self, ParseError};

/// Documents by name.
#[derive(Debug)]
pub struct Documents {
    main: String,
    by_name: BTreeMap<String, Result<Node, String>>,
    limits: Limits,
}

/// A value in one of the documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'d> {
    /// The name of the document.
    pub(crate) document: &'d str,
    pub(crate) node: &'d Node,
    /// The schema whose own `$defs` are meant by `#/$defs/..` where the document has none.
    pub(crate) home: Option<&'d Node>,
}

/// Why a reference leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// There is nothing at that place.
    #[error("`$ref: {0}` leads to nothing")]
    Dangling(String),
    /// The document is not there.
    #[error("`$ref: {reference}`: {why}")]
    NoDocument {
        /// As it is written.
        reference: String,
        /// Why the document is not there.
        why: String,
    },
    /// References lead to references without end.
    #[error("`$ref: {0}` leads to itself, or through too many others")]
    Endless(String),
}

impl Documents {
    /// The description itself, `name`d by its path or URL.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(name: &str, bytes: &[u8], limits: Limits) -> Result<Self, ParseError> {
        let node = parse::document(bytes, &limits)?;
        Ok(Self { main: name.to_owned(), by_name: BTreeMap::from([(name.to_owned(), Ok(node))]), limits })
    }

    /// Names of documents that are referred to and not there yet. To be asked again when they have been added.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        let mut wanted = BTreeSet::new();
        for (name, document) in &self.by_name {
            if let Ok(node) = document {
                references(node, &mut |reference| {
                    let (document, _) = split(reference);
                    if !document.is_empty() {
                        wanted.insert(join(name, document));
                    }
                });
            }
        }
        wanted.retain(|name| !self.by_name.contains_key(name));
        wanted.into_iter().collect()
    }

    /// Adds a document, or why it cannot be had. Beyond [`Limits::documents`] none is taken.
    pub fn add(&mut self, name: &str, bytes: Result<&[u8], String>) {
        let read = match bytes {
            _ if self.by_name.len() >= self.limits.documents => {
                Err(format!("more than {} documents refer to each other", self.limits.documents))
            }
            Ok(bytes) => parse::document(bytes, &self.limits).map_err(|error| format!("{name}: {error}")),
            Err(why) => Err(why),
        };
        self.by_name.insert(name.to_owned(), read);
    }

    /// The name of the description.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.main
    }

    /// Whether other documents than the description were added.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.by_name.len() > 1
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The root of the description.
    pub(crate) fn root(&self) -> Place<'_> {
        let node = match self.by_name.get(&self.main) {
            Some(Ok(node)) => node,
            // The constructor has put it there.
            _ => &Node::Null,
        };
        Place { document: &self.main, node, home: None }
    }

    /// What `place` refers to, through as many references as there are; `place` itself where it is no reference.
    pub(crate) fn resolve<'d>(&'d self, place: Place<'d>) -> Result<Place<'d>, RefError> {
        let mut at = place;
        for _ in 0..self.limits.ref_chain {
            let Some(reference) = at.node.text_of("$ref") else { return Ok(at) };
            at = self.follow(at, reference)?.0;
        }
        Err(RefError::Endless(place.node.text_of("$ref").unwrap_or_default().to_owned()))
    }

    /// One step: what `reference`, written at `from`, leads to, and the last word of its pointer.
    pub(crate) fn follow<'d, 'r>(
        &'d self,
        from: Place<'d>,
        reference: &'r str,
    ) -> Result<(Place<'d>, Cow<'r, str>), RefError> {
        let (document, fragment) = split(reference);
        let (name, root) = self.document(from.document, document, reference)?;
        let fragment = percent_decoded(fragment);
        let dangling = || RefError::Dangling(reference.to_owned());
        if fragment.is_empty() {
            let word = document.rsplit('/').next().unwrap_or_default();
            let word = word.split('.').next().unwrap_or_default();
            return Ok((Place { document: name, node: root, home: None }, Cow::Borrowed(word)));
        }
        let home = from.home.filter(|_| document.is_empty());
        let found = if fragment.starts_with('/') {
            pointed(root, &fragment).or_else(|| pointed(home?, &fragment))
        } else {
            anchored(root, &fragment)
        };
        let node = found.ok_or_else(dangling)?;
        let word = match fragment {
            Cow::Borrowed(text) => unescaped(text.rsplit('/').next().unwrap_or_default()),
            Cow::Owned(text) => Cow::Owned(unescaped(text.rsplit('/').next().unwrap_or_default()).into_owned()),
        };
        Ok((Place { document: name, node, home }, word))
    }

    fn document<'d>(&'d self, from: &'d str, document: &str, reference: &str) -> Result<(&'d str, &'d Node), RefError> {
        let missing = |why: &str| RefError::NoDocument { reference: reference.to_owned(), why: why.to_owned() };
        let entry = match document {
            "" => self.by_name.get_key_value(from),
            other => self.by_name.get_key_value(&join(from, other)),
        };
        match entry {
            Some((name, Ok(node))) => Ok((name, node)),
            Some((_, Err(why))) => Err(missing(why)),
            None => Err(missing("the document was not given")),
        }
    }
}

/// A reference as document and fragment.
fn split(reference: &str) -> (&str, &str) {
    reference.split_once('#').unwrap_or((reference, ""))
}

/// Where a document named `relative` in the document `base` is.
fn join(base: &str, relative: &str) -> String {
    if relative.contains("://") {
        return relative.to_owned();
    }
    if base.contains("://")
        && let Ok(url) = Url::parse(base).and_then(|url| url.join(relative))
    {
        return url.to_string();
    }
    let relative = percent_decoded(relative);
    let mut parts: Vec<&str> = match relative.starts_with('/') {
        true => vec![""],
        false => {
            base.split('/').collect::<Vec<_>>().split_last().map(|(_, folder)| folder.to_vec()).unwrap_or_default()
        }
    };
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// Calls `found` with every reference in `node`, but those in values that are only shown.
fn references<'n>(node: &'n Node, found: &mut impl FnMut(&'n str)) {
    match node {
        Node::List(items) => items.iter().for_each(|item| references(item, found)),
        Node::Map(map) => {
            for (key, value) in map.iter() {
                match (key, value) {
                    ("$ref", Node::Text(text)) => found(text),
                    ("example" | "default" | "enum" | "const", _) => {}
                    // A schema may have a property of this name; examples of media types have values.
                    ("examples" | "value", Node::List(_) | Node::Text(_)) => {}
                    _ if key.starts_with("x-") => {}
                    _ => references(value, found),
                }
            }
        }
        _ => {}
    }
}

fn pointed<'n>(root: &'n Node, pointer: &str) -> Option<&'n Node> {
    pointer.split('/').skip(1).try_fold(root, |node, part| match node {
        Node::Map(map) => map.get(&unescaped(part)),
        Node::List(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn anchored<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match node {
        Node::List(items) => items.iter().find_map(|item| anchored(item, name)),
        Node::Map(map) => {
            let is_it = |key: &str| map.get(key).and_then(Node::text).is_some_and(|text| text == name);
            let old = || map.get("$id").and_then(Node::text).and_then(|id| id.strip_prefix('#')) == Some(name);
            if is_it("$anchor") || is_it("$dynamicAnchor") || old() {
                return Some(node);
            }
            map.iter().find_map(|(_, value)| anchored(value, name))
        }
        _ => None,
    }
}

fn unescaped(part: &str) -> Cow<'_, str> {
    if part.contains('~') { Cow::Owned(part.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(part) }
}

/// `text` with `%XX` read; as it is where that is no text.
pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    String::from_utf8(percent_decoded_bytes(text)).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// `%XX` as bytes, which need not be text.
pub(crate) fn percent_decoded_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Documents, RefError, join};
    use crate::limits::Limits;
    use crate::node::Node;

    #[test]
    fn names_are_relative_to_the_document_that_says_them() {
        let cases = [
            ("api.yaml", "pet.yaml", "pet.yaml"),
            ("specs/api.yaml", "./schemas/pet.yaml", "specs/schemas/pet.yaml"),
            ("specs/v1/api.yaml", "../pet.yaml", "specs/pet.yaml"),
            ("api.yaml", "../pet.yaml", "../pet.yaml"),
            ("specs/api.yaml", "/etc/passwd", "/etc/passwd"),
            ("https://x.test/a/api.json", "b/pet.json", "https://x.test/a/b/pet.json"),
            ("api.yaml", "https://x.test/pet.json", "https://x.test/pet.json"),
            ("api.yaml", "my%20pet.yaml", "my pet.yaml"),
        ];
        for (base, relative, expected) in cases {
            assert_eq!(join(base, relative), expected, "{base} {relative}");
        }
    }

    fn documents(text: &str) -> Documents {
        Documents::new("api.json", text.as_bytes(), Limits::default()).unwrap()
    }

    #[test]
    fn it_says_what_it_needs_until_it_has_it() {
        let mut all = documents(
            r#"{"a":{"$ref":"b.json#/x"},"e":{"example":{"$ref":"no.json"}},"c":{"$ref":"c.json"},"s":{"$ref":"api.json#/a"}}"#,
        );
        assert_eq!(all.wanted(), ["b.json", "c.json"]);
        all.add("b.json", Ok(br##"{"x":{"$ref":"d/d.json"}}"##));
        all.add("c.json", Err("it is not there".to_owned()));
        assert_eq!(all.wanted(), ["d/d.json"]);
        all.add("d/d.json", Ok(b"{\"ok\":true}"));
        assert_eq!(all.wanted(), Vec::<String>::new());

        let at = |key: &str| super::Place { node: all.root().node.get(key).unwrap(), ..all.root() };
        let found = all.resolve(at("a")).unwrap();
        assert_eq!((found.document, found.node.get("ok")), ("d/d.json", Some(&Node::Bool(true))));
        let why = RefError::NoDocument { reference: "c.json".to_owned(), why: "it is not there".to_owned() };
        assert_eq!(all.resolve(at("c")).unwrap_err(), why);
    }

    #[test]
    fn pointers_are_followed_with_all_their_escapes() {
        let all = documents(
            r##"{"paths":{"/a/{b}":{"list":[{"v":"found"}]}},"x~y":{"v":"tilde"},
                "n":{"$anchor":"here","v":"anchor"},"loop":{"$ref":"#/pool"},"pool":{"$ref":"#/loop"}}"##,
        );
        let value = |reference: &str| {
            all.follow(all.root(), reference).map(|(place, word)| (place.node.text_of("v"), word.into_owned()))
        };
        assert_eq!(value("#/paths/~1a~1%7Bb%7D/list/0"), Ok((Some("found"), "0".to_owned())));
        assert_eq!(value("#/x~0y"), Ok((Some("tilde"), "x~y".to_owned())));
        assert_eq!(value("#here"), Ok((Some("anchor"), "here".to_owned())));
        assert_eq!(value("#/nothing"), Err(RefError::Dangling("#/nothing".to_owned())));
        let place = super::Place { node: all.root().node.get("loop").unwrap(), ..all.root() };
        assert_eq!(all.resolve(place).unwrap_err(), RefError::Endless("#/pool".to_owned()));
    }
}
