//! How the API knows its callers.

use std::collections::BTreeMap;

use super::{Draft, Reader};
use crate::api::{KeyPlace, Scheme};
use crate::documents::Place;
use crate::node::{Map, Node};
use crate::schema::Version;

impl<'d> Reader<'d> {
    /// The description's security schemes.
    pub(super) fn schemes(&self) -> BTreeMap<String, Scheme> {
        let root = self.root.node;
        let all = match self.version {
            Version::V2 => root.get("securityDefinitions"),
            Version::V30 | Version::V31 => root.get("components").and_then(|all| all.get("securitySchemes")),
        };
        let mut schemes = BTreeMap::new();
        for (name, node) in all.and_then(Node::map).into_iter().flat_map(Map::iter) {
            if let Ok(place) = self.documents.resolve(Place { node, ..self.root }) {
                schemes.insert(name.to_owned(), scheme(place.node));
            }
        }
        schemes
    }

    /// What an operation wants: its own, else the document's.
    pub(super) fn security(&self, draft: &Draft<'d>) -> Vec<Vec<String>> {
        let list = draft.node.node.get("security").or_else(|| self.root.node.get("security")).and_then(Node::list);
        let names = |one: &Node| one.map().into_iter().flat_map(Map::iter).map(|(name, _)| name.to_owned()).collect();
        list.unwrap_or_default().iter().map(names).collect()
    }
}

fn scheme(node: &Node) -> Scheme {
    let kind = node.text_of("type").unwrap_or_default();
    let word = || node.text_of("scheme").unwrap_or_default().to_ascii_lowercase();
    match kind {
        "apiKey" => {
            let place = match node.text_of("in") {
                Some("query") => KeyPlace::Query,
                Some("cookie") => KeyPlace::Cookie,
                _ => KeyPlace::Header,
            };
            match node.text_of("name") {
                Some(name) => Scheme::ApiKey { place, name: name.to_owned() },
                None => Scheme::Other("apiKey without a name".to_owned()),
            }
        }
        "basic" => Scheme::Basic,
        "http" if word() == "basic" => Scheme::Basic,
        "http" if word() == "bearer" => Scheme::Bearer,
        "oauth2" | "openIdConnect" => Scheme::OAuth,
        "http" => Scheme::Other(format!("http {}", word())),
        other => Scheme::Other(other.to_owned()),
    }
}
