//! From the URI in a request to the servers that may have it.
//!
//! Resources keep their URIs. Where two servers list the same one, the later is listed with a prefix in its scheme
//! ([`super::merge`]), and read back under that.

use std::sync::Arc;

use futures_util::future::join;
use toolgate_mcp::uri_template::Template;

use super::errors::FindError;
use super::fetch::Want;
use super::find::{Asked, Found, answered};
use super::list::Kind;
use super::naming::own_uri;
use super::{Catalog, Visit};

/// Who may have a resource.
pub(super) enum Owners {
    /// This server lists it.
    Known(Found),
    /// Nobody lists it. These may have it all the same, the likeliest first.
    Likely(Vec<Found>),
}

impl Catalog {
    /// The servers that may have the resource `uri`, each with the URI that it knows it by.
    pub(super) async fn owners(&self, visit: Visit<'_>, uri: &str) -> Result<Owners, FindError> {
        let (resources, templates) =
            join(self.ask_all(Want::Name, Kind::Resources, visit), self.ask_all(Want::Name, Kind::Templates, visit))
                .await;
        if let Some((upstream, entry)) = self.merged_of(Kind::Resources, &resources).by_uri(uri) {
            return Ok(Owners::Known(Found::new(upstream, entry.uri.as_deref().unwrap_or(uri))));
        }
        let behind_prefix =
            visit.servers().iter().find_map(|upstream| Some((upstream, own_uri(&upstream.settings, uri)?)));
        if let Some((upstream, own)) = behind_prefix {
            return Ok(Owners::Known(Found::new(upstream, &own)));
        }
        let likely = likely_owners(uri, &resources, &templates);
        match resources.iter().find_map(|(_, given)| given.error()) {
            Some(error) if likely.is_empty() => Err(FindError::Server(Arc::clone(error))),
            _ => Ok(Owners::Likely(likely)),
        }
    }

    /// The server whose template is written exactly `template`, for a completion.
    pub(super) async fn owner_of_template(&self, visit: Visit<'_>, template: &str) -> Result<Found, FindError> {
        let templates = self.ask_all(Want::Name, Kind::Templates, visit).await;
        if let Some((upstream, entry)) = self.merged_of(Kind::Templates, &templates).by_uri(template) {
            return Ok(Found::new(upstream, entry.uri.as_deref().unwrap_or(template)));
        }
        let owner = match self.owners(visit, template).await? {
            Owners::Known(owner) => Some(owner),
            Owners::Likely(owners) => owners.into_iter().next(),
        };
        owner.ok_or_else(|| FindError::Unknown { noun: Kind::Templates.noun(), name: template.to_owned() })
    }
}

/// Those with a template that `uri` is of, the one first that says most about it; then those that offer resources at all, since servers may have resources
/// that they do not list.
fn likely_owners(uri: &str, resources: &[Asked], templates: &[Asked]) -> Vec<Found> {
    let fixed = |template: &str| {
        Template::parse(template).filter(|template| template.matches(uri)).map(|it| it.literal_bytes())
    };
    let mut with_template: Vec<_> = answered(templates)
        .filter_map(|(upstream, list)| {
            let templates = list.entries().iter().filter_map(|entry| entry.uri.as_deref());
            Some((templates.filter_map(fixed).max()?, upstream))
        })
        .collect();
    with_template.sort_by_key(|(fixed, _)| std::cmp::Reverse(*fixed));
    let with_template = with_template.into_iter().map(|(_, upstream)| upstream);
    let mut owners: Vec<Found> = Vec::new();
    for upstream in with_template.chain(answered(resources).map(|(upstream, _)| upstream)) {
        if !owners.iter().any(|owner| Arc::ptr_eq(&owner.upstream, upstream)) {
            owners.push(Found::new(upstream, uri));
        }
    }
    owners
}
