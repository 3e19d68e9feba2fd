//! A whole description, read.

use std::collections::{BTreeMap, HashMap};

use url::Url;

use crate::operation::{Operation, litellm_form};

/// A REST API as tools.
#[derive(Debug)]
pub struct Api {
    /// `info.title`
    pub title: Option<String>,
    /// `info.version`
    pub version: Option<String>,
    /// `info.description`
    pub description: Option<String>,
    /// Where requests go, from the options or else the description. Nothing can be called without.
    pub base: Result<Url, String>,
    /// Whether the base is where the options say, or where the description came from. Where it is not, the description
    /// named it, and whoever connects there has to judge whether it may.
    pub base_is_given: bool,
    /// In the description's order.
    pub operations: Vec<Operation>,
    /// What became no tool.
    pub left_out: Vec<LeftOut>,
    /// The security schemes by name.
    pub schemes: BTreeMap<String, Scheme>,
    pub(crate) by_name: HashMap<String, usize>,
}

/// An operation that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// In capitals.
    pub method: String,
    /// The path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How an API knows its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `apiKey`
    ApiKey {
        /// Where.
        place: KeyPlace,
        /// The header, query parameter or cookie.
        name: String,
    },
    /// `http` with `basic`
    Basic,
    /// `http` with `bearer`
    Bearer,
    /// `oauth2` or `openIdConnect`: a bearer token
    OAuth,
    /// Something else, in the description's words.
    Other(String),
}

/// Where an API key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// A header.
    Header,
    /// The query.
    Query,
    /// A cookie.
    Cookie,
}

/// What is different in a newer description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of tools that are new.
    pub added: Vec<String>,
    /// Names of tools that are gone.
    pub removed: Vec<String>,
    /// Names of tools that are no longer the same.
    pub changed: Vec<String>,
}

impl Api {
    /// The operation that `name` means: a tool's own name, or LiteLLM's for it, or the `operationId` as it is written.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Operation> {
        let known = self.by_name.get(name).or_else(|| self.by_name.get(&litellm_form(name)));
        known.map(|index| &self.operations[*index])
    }

    /// What is different in `newer`.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Changes {
        let old: HashMap<&str, &str> = self.operations.iter().map(|one| (one.name.as_str(), one.tool())).collect();
        let new: HashMap<&str, &str> = newer.operations.iter().map(|one| (one.name.as_str(), one.tool())).collect();
        let names = |of: &Self, keep: &dyn Fn(&str) -> bool| -> Vec<String> {
            of.operations.iter().filter(|one| keep(&one.name)).map(|one| one.name.clone()).collect()
        };
        Changes {
            added: names(newer, &|name| !old.contains_key(name)),
            removed: names(self, &|name| !new.contains_key(name)),
            changed: names(newer, &|name| old.get(name).is_some_and(|tool| new.get(name) != Some(tool))),
        }
    }

    /// Has the names lead to the operations. A tool's own name goes before a spelling of another.
    pub(crate) fn index(&mut self) {
        for (index, operation) in self.operations.iter().enumerate().rev() {
            self.by_name.insert(operation.spelling.clone(), index);
            if let Some(id) = &operation.operation_id {
                self.by_name.insert(id.clone(), index);
            }
        }
        for (index, operation) in self.operations.iter().enumerate() {
            self.by_name.insert(operation.name.clone(), index);
        }
    }
}

impl Changes {
    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}
