//! From the name or URI in a request to the server that it means, by looking it up in the lists.

use std::sync::Arc;

use futures_util::future::join_all;
use toolgate_mcp::uri_template::Template;

use super::errors::{FetchError, FindError};
use super::list::{Kind, ServerList};
use super::merge::{Merged, Outcome};
use super::{Catalog, Visit};
use crate::upstream::{Lane, Upstream};

/// A server and what it calls the thing that was asked for.
pub(super) struct Found {
    pub(super) upstream: Arc<Upstream>,
    pub(super) own_name: String,
}

/// A list that was asked for, and whose.
type Asked = (Arc<Upstream>, Result<Arc<ServerList>, Arc<FetchError>>);

impl Catalog {
    /// Finds the tool or prompt that `name` means.
    ///
    /// In this order: a name behind a prefix that a server is known by, when that server has it; a name as it is
    /// listed; a bare name that one server alone has. When all fail, lists that are not young are fetched once more.
    pub(super) async fn find(&self, kind: Kind, visit: Visit<'_>, name: &str) -> Result<Found, FindError> {
        let behind_prefix = self.behind_prefix(visit, name);
        if let Some((upstream, bare)) = behind_prefix.first()
            && let Ok(lane) = self.lane(visit, upstream)
            && let Some(list) = self.lists.kept(kind, upstream, &lane).await
            && list.by_name(bare).is_some()
        {
            return Ok(Found { upstream: Arc::clone(upstream), own_name: (*bare).to_owned() });
        }
        // In a box, because this is rare and large, and every call would carry its size.
        Box::pin(self.find_thoroughly(kind, visit, name, behind_prefix)).await
    }

    async fn find_thoroughly(
        &self,
        kind: Kind,
        visit: Visit<'_>,
        name: &str,
        behind_prefix: Vec<(Arc<Upstream>, &str)>,
    ) -> Result<Found, FindError> {
        let mut last = None;
        for (upstream, bare) in &behind_prefix {
            match self.list_of(kind, visit, upstream).await {
                Ok(list) if list.by_name(bare).is_some() => {
                    return Ok(Found { upstream: Arc::clone(upstream), own_name: (*bare).to_owned() });
                }
                Ok(list) if list.is_withheld(bare) => last = Some(not_allowed(upstream, bare)),
                Ok(_) => {}
                Err(error) => last = Some(FindError::Server(error)),
            }
        }
        let asked = self.ask_all(kind, visit).await;
        if let Some(found) = self.among(kind, name, &asked)? {
            return Ok(found);
        }
        if let Some(found) = self.once_more(kind, visit, name, &behind_prefix, &asked).await? {
            return Ok(found);
        }
        let withheld = asked.iter().find_map(|(upstream, list)| {
            list.as_ref().ok().filter(|list| list.is_withheld(name)).map(|_| not_allowed(upstream, name))
        });
        // With one server in scope, a bare name can only mean that server: say why it cannot be asked.
        let unreachable = match &asked[..] {
            [(_, Err(error))] => Some(FindError::Server(Arc::clone(error))),
            _ => None,
        };
        Err(last
            .or(withheld)
            .or(unreachable)
            .unwrap_or_else(|| FindError::Unknown { noun: kind.noun(), name: name.to_owned() }))
    }

    /// The servers of which `name` begins with a prefix, with what is left of it; listed prefixes first.
    fn behind_prefix<'n>(&self, visit: Visit<'_>, name: &'n str) -> Vec<(Arc<Upstream>, &'n str)> {
        let naming = &self.settings.naming;
        let mut found: Vec<(bool, usize, Arc<Upstream>, &str)> = Vec::new();
        for upstream in visit.servers() {
            for bare in naming.bare_names(&upstream.settings, name) {
                let listed = name.len() == upstream.settings.prefix.len() + naming.separator.len() + bare.len();
                found.push((!listed, bare.len(), Arc::clone(upstream), bare));
            }
        }
        // Stable: listed prefixes in the configuration's order, as they are merged; then the longest other prefix.
        found.sort_by_key(|(not_listed, left, _, _)| (*not_listed, if *not_listed { *left } else { 0 }));
        found.into_iter().map(|(_, _, upstream, bare)| (upstream, bare)).collect()
    }

    fn among(&self, kind: Kind, name: &str, asked: &[Asked]) -> Result<Option<Found>, FindError> {
        let merged = self.merged_of(kind, asked);
        if let Some((upstream, entry)) = merged.by_name(name) {
            return Ok(Some(Found { upstream: Arc::clone(upstream), own_name: entry.name.to_string() }));
        }
        match &merged.listed_for(name)[..] {
            [] => Ok(None),
            [(_, upstream)] => Ok(Some(Found { upstream: Arc::clone(upstream), own_name: name.to_owned() })),
            several => Err(FindError::Ambiguous {
                noun: kind.noun(),
                name: name.to_owned(),
                choices: several.iter().map(|(listed, _)| listed.clone()).collect(),
            }),
        }
    }

    /// The name may be newer than the lists: asks the servers that it can belong to once more.
    async fn once_more(
        &self,
        kind: Kind,
        visit: Visit<'_>,
        name: &str,
        behind_prefix: &[(Arc<Upstream>, &str)],
        asked: &[Asked],
    ) -> Result<Option<Found>, FindError> {
        let worth_asking = |upstream: &Arc<Upstream>| {
            behind_prefix.is_empty() || behind_prefix.iter().any(|(other, _)| Arc::ptr_eq(other, upstream))
        };
        let again = asked.iter().filter(|(upstream, _)| worth_asking(upstream)).map(async |(upstream, list)| {
            let fresh = match list {
                Ok(seen) => match self.lane(visit, upstream) {
                    Ok(lane) => self.lists.refreshed(kind, upstream, &lane, seen).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(Arc::clone(error)),
            };
            (Arc::clone(upstream), fresh)
        });
        let fresh: Vec<Asked> = join_all(again).await;
        for (upstream, bare) in behind_prefix {
            let list = fresh.iter().find(|(other, _)| Arc::ptr_eq(other, upstream));
            if let Some((_, Ok(list))) = list
                && list.by_name(bare).is_some()
            {
                return Ok(Some(Found { upstream: Arc::clone(upstream), own_name: (*bare).to_owned() }));
            }
        }
        self.among(kind, name, &fresh)
    }

    /// The servers that may have the resource `uri`, best first, each with the URI that it knows it by.
    pub(super) async fn owners(&self, visit: Visit<'_>, uri: &str) -> Vec<Found> {
        let (resources, templates) =
            futures_util::future::join(self.ask_all(Kind::Resources, visit), self.ask_all(Kind::Templates, visit))
                .await;
        let mut owners: Vec<Found> = Vec::new();
        let mut add = |upstream: &Arc<Upstream>, own: &str| {
            if !owners.iter().any(|found| Arc::ptr_eq(&found.upstream, upstream)) {
                owners.push(Found { upstream: Arc::clone(upstream), own_name: own.to_owned() });
            }
        };
        if let Some((upstream, entry)) = self.merged_of(Kind::Resources, &resources).by_uri(uri) {
            add(upstream, entry.uri.as_deref().unwrap_or(uri));
        }
        for (upstream, list) in answered(&resources) {
            if list.by_uri(uri).is_some() {
                add(upstream, uri);
            }
        }
        for (upstream, list) in answered(&templates) {
            let matches = |template: &str| Template::parse(template).is_some_and(|template| template.matches(uri));
            if list.entries().iter().filter_map(|entry| entry.uri.as_deref()).any(matches) {
                add(upstream, uri);
            }
        }
        for upstream in visit.servers() {
            // A resource of the form that we list for a collision, whose list is not at hand.
            if let Some(own) =
                uri.strip_prefix(upstream.settings.prefix.as_str()).and_then(|rest| rest.strip_prefix('+'))
            {
                add(upstream, own);
            }
        }
        // Servers may have resources that they do not list; the ones that offer resources at all are asked last.
        for (upstream, _) in answered(&resources) {
            add(upstream, uri);
        }
        owners
    }

    /// The server whose template is written exactly `template`, for a completion.
    pub(super) async fn owner_of_template(&self, visit: Visit<'_>, template: &str) -> Result<Found, FindError> {
        let templates = self.ask_all(Kind::Templates, visit).await;
        if let Some((upstream, entry)) = self.merged_of(Kind::Templates, &templates).by_uri(template) {
            let own = entry.uri.as_deref().unwrap_or(template).to_owned();
            return Ok(Found { upstream: Arc::clone(upstream), own_name: own });
        }
        let mut owners = self.owners(visit, template).await;
        if owners.is_empty() {
            return Err(FindError::Unknown { noun: Kind::Templates.noun(), name: template.to_owned() });
        }
        Ok(owners.swap_remove(0))
    }

    pub(super) fn merged_of(&self, kind: Kind, asked: &[Asked]) -> Arc<Merged> {
        let sources = answered(asked).map(|(upstream, list)| (Arc::clone(upstream), Arc::clone(list))).collect();
        self.merged.get(kind, &self.settings.naming, sources)
    }

    /// Asks every server in scope for its list, all at once.
    pub(super) async fn ask_all(&self, kind: Kind, visit: Visit<'_>) -> Vec<Asked> {
        let asks = visit
            .servers()
            .iter()
            .map(async |upstream| (Arc::clone(upstream), self.list_of(kind, visit, upstream).await));
        join_all(asks).await
    }

    async fn list_of(
        &self,
        kind: Kind,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
    ) -> Result<Arc<ServerList>, Arc<FetchError>> {
        let lane = self.lane(visit, upstream)?;
        self.lists.get(kind, upstream, &lane).await
    }

    /// The lane for lists: the caller's credential without the client's session, so that clients share what they can.
    fn lane(&self, visit: Visit<'_>, upstream: &Arc<Upstream>) -> Result<Lane, Arc<FetchError>> {
        upstream.lane(visit.caller, None).map_err(|error| Arc::new(FetchError::Upstream(error.into())))
    }
}

/// What the servers that failed said.
pub(super) fn failures(asked: &[Asked]) -> Vec<Outcome> {
    asked
        .iter()
        .filter_map(|(upstream, list)| list.as_ref().err().map(|error| Outcome::new(upstream, Err(error))))
        .collect()
}

fn answered(asked: &[Asked]) -> impl Iterator<Item = (&Arc<Upstream>, &Arc<ServerList>)> {
    asked.iter().filter_map(|(upstream, list)| list.as_ref().ok().map(|list| (upstream, list)))
}

fn not_allowed(upstream: &Upstream, bare: &str) -> FindError {
    FindError::NotAllowed { tool: bare.to_owned(), server: upstream.settings.prefix.clone() }
}
