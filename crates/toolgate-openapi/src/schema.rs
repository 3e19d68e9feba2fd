//! Schemas of any version as JSON Schema 2020-12.
//!
//! Each schema is written once, as text; what it refers to becomes a definition of its own, which is written once too.
//! A tool's schema is then its own text with the definitions that it reaches, so that recursion stays recursion and a
//! large description costs about what it weighs.
//!
//! Source: OpenAPI 3.1.1, Schema Object; 3.0.4 and 2.0, Schema Object; JSON Schema 2020-12.

mod assemble;
mod discriminator;
mod keywords;
mod types;
mod write;

use std::collections::HashMap;

use crate::documents::{Documents, Place, RefError};
use crate::limits::Limits;
use crate::node::Node;

pub(crate) use types::{is_file, is_object, types_of};
pub(crate) use write::Extra;

/// Which words a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Swagger 2.0.
    V2,
    /// OpenAPI 3.0.
    V30,
    /// OpenAPI 3.1, and what came after it.
    V31,
}

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// To the API: what is only read is not asked for.
    Input,
    /// From the API: what is only written does not come.
    Output,
}

/// Why a schema cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error(transparent)]
    Ref(#[from] RefError),
    #[error("a schema is nested too deeply")]
    TooDeep,
    #[error("a schema has {bytes} bytes, more than the {most} that are taken")]
    TooLarge { bytes: usize, most: usize },
}

/// Number of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DefId(usize);

/// A schema that others refer to.
struct Definition {
    name: String,
    /// `None` until it is written.
    written: Option<Result<Written, SchemaError>>,
}

/// A schema as text, and what it refers to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) text: String,
    refs: Vec<DefId>,
    /// The same with nothing but its type, for where there is no room.
    stub: String,
}

impl Written {
    /// A schema that refers to nothing.
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// All schemas of a set of documents.
pub(crate) struct Schemas<'d> {
    documents: &'d Documents,
    version: Version,
    limits: &'d Limits,
    definitions: Vec<Definition>,
    /// By the address of the schema in its document, which stays where it is.
    by_node: HashMap<(*const Node, Direction), DefId>,
    names: HashMap<String, usize>,
    /// Definitions that have a name and no text yet.
    waiting: Vec<(DefId, Place<'d>, Direction)>,
}

impl<'d> Schemas<'d> {
    pub(crate) fn new(documents: &'d Documents, version: Version) -> Self {
        Self {
            documents,
            version,
            limits: documents.limits(),
            definitions: Vec::new(),
            by_node: HashMap::new(),
            names: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    /// The schema at `place` as text. A reference at its root is followed, so that the root says what it is.
    pub(crate) fn write(
        &mut self,
        place: Place<'d>,
        direction: Direction,
        extra: &Extra<'_>,
    ) -> Result<Written, SchemaError> {
        let place = if self.is_pure_reference(place.node) { self.documents.resolve(place)? } else { place };
        let written = self.write_one(place, direction, extra)?;
        self.write_waiting();
        Ok(written)
    }

    /// The definition that `reference` leads to.
    fn define(&mut self, from: Place<'d>, reference: &str, direction: Direction) -> Result<DefId, SchemaError> {
        let (mut place, word) = self.documents.follow(from, reference)?;
        if self.is_pure_reference(place.node) {
            place = self.documents.resolve(place)?;
        }
        let key = (std::ptr::from_ref(place.node), direction);
        if let Some(known) = self.by_node.get(&key) {
            return Ok(*known);
        }
        let id = DefId(self.definitions.len());
        let name = self.free_name(&word, direction);
        self.definitions.push(Definition { name, written: None });
        self.by_node.insert(key, id);
        self.waiting.push((id, Place { home: Some(place.node), ..place }, direction));
        Ok(id)
    }

    fn write_waiting(&mut self) {
        while let Some((id, place, direction)) = self.waiting.pop() {
            let written = self.write_one(place, direction, &Extra::default());
            self.definitions[id.0].written = Some(written);
        }
    }

    /// Before 3.1, what stands beside a reference does not count.
    fn is_pure_reference(&self, node: &Node) -> bool {
        let Some(map) = node.map() else { return false };
        map.get("$ref").is_some_and(|reference| reference.text().is_some())
            && (map.len() == 1 || self.version < Version::V31)
            && !node.is_true("nullable")
    }

    /// A name that needs no escaping in a pointer, and that no other definition of this direction has.
    fn free_name(&mut self, word: &str, direction: Direction) -> String {
        let clean: String =
            word.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
        let clean = if clean.is_empty() { "Schema".to_owned() } else { clean.chars().take(80).collect() };
        // A tool's two schemas are documents of their own, so the directions do not share their names.
        let counter = self.names.entry(format!("{direction:?}/{clean}")).or_insert(0);
        *counter += 1;
        match *counter {
            1 => clean,
            number => self.free_name(&format!("{clean}_{number}"), direction),
        }
    }
}
