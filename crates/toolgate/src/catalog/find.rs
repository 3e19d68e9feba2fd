//! From the name in a request to the server that it means, by looking it up in the lists. For URIs see [`super::owners`].

use std::sync::Arc;

use futures_util::future::join_all;
use toolgate_mcp::headers::ParamHeaders;

use super::errors::{FetchError, FindError};
use super::fetch::Want;
use super::last_good::Given;
use super::list::{Entry, Kind, ServerList};
use super::merge::{Merged, Outcome};
use super::{Catalog, Visit};
use crate::config::settings::{PrefixMode, ServerSettings};
use crate::upstream::{Lane, Upstream};

/// A server and what it calls the thing that was asked for.
pub(super) struct Found {
    pub(super) upstream: Arc<Upstream>,
    pub(super) own_name: String,
    /// It says of itself that calling it twice does no harm.
    pub(super) may_repeat: bool,
    /// Its arguments that go to the server in headers too, if there are any.
    pub(super) param_headers: Option<Arc<ParamHeaders>>,
    /// It only runs as a task of 2025-11-25.
    pub(super) as_task: bool,
}

/// A list that was asked for, and whose.
pub(super) type Asked = (Arc<Upstream>, Given);

impl Catalog {
    /// Finds the tool or prompt that `name` means.
    ///
    /// In this order: a name as it is listed; a name behind any other prefix that a server is known by; a bare name that
    /// one server alone has. When all fail, lists that are not young are fetched once more. The last good list of a
    /// server is as good as any: whether the call fails is for the server to say.
    ///
    /// Where every name is listed with a prefix, only the servers that can have listed it are asked, so that a slow one
    /// is in nobody else's way.
    pub(super) async fn find(&self, kind: Kind, visit: Visit<'_>, name: &str) -> Result<Found, FindError> {
        if let Some((upstream, own)) = self.first_claim(kind, visit, name)
            && let Ok(lane) = self.lane(visit, upstream)
            && let Some(list) = self.lists.kept(kind, upstream, &lane).await
            && let Some(entry) = list.by_name(own)
            && visit.scope.tools_of(upstream).is_none_or(|tools| kind != Kind::Tools || tools.allows(&entry.name))
        {
            return Ok(Found::entry(upstream, entry));
        }
        // In a box, because this is rare and large, and every call would carry its size.
        Box::pin(self.find_thoroughly(kind, visit, name)).await
    }

    /// As [`Self::find`], with a list of its server that is fetched again.
    pub(super) async fn find_anew(&self, kind: Kind, visit: Visit<'_>, name: &str) -> Result<Found, FindError> {
        let found = self.find(kind, visit, name).await?;
        if let Ok(lane) = self.lane(visit, &found.upstream) {
            self.lists.forget(kind, &found.upstream, &lane).await;
        }
        Box::pin(self.find_thoroughly(kind, visit, name)).await
    }

    /// The first of [`Self::claims`], where no list but that server's can say otherwise.
    fn first_claim<'f>(&self, kind: Kind, visit: Visit<'f>, name: &'f str) -> Option<(&'f Arc<Upstream>, &'f str)> {
        let naming = &self.settings.naming;
        if naming.prefix != PrefixMode::Always {
            return None;
        }
        visit.servers().iter().find_map(|upstream| {
            let server = &upstream.settings;
            let own = shown_as(kind, server, name).next().or_else(|| naming.listed_bare_name(server, name));
            Some((upstream, own?))
        })
    }

    async fn find_thoroughly(&self, kind: Kind, visit: Visit<'_>, name: &str) -> Result<Found, FindError> {
        if self.settings.naming.prefix != PrefixMode::Always {
            let asked = self.ask_all(Want::Name, kind, visit).await;
            if let Some((upstream, entry)) = self.merged_of(kind, &asked).by_name(name) {
                return Ok(Found::entry(upstream, entry));
            }
        }
        let claims = self.claims(kind, visit, name);
        let (mut denied, mut failed) = (None, None);
        for claim in &claims {
            let given = self.list_of(Want::Name, kind, visit, &claim.upstream).await;
            if let Some(list) = given.list() {
                if let Some(entry) = list.by_name(&claim.own_name) {
                    return Ok(Found::entry(&claim.upstream, entry));
                }
                if list.is_withheld(&claim.own_name) {
                    denied.get_or_insert_with(|| not_allowed(&claim.upstream, &claim.own_name));
                }
            }
            if let Some(error) = given.error() {
                failed.get_or_insert_with(|| FindError::Server(Arc::clone(error)));
            }
        }
        match denied {
            Some(denied) => Err(denied),
            None => self.find_bare(kind, visit, name, &claims, failed).await,
        }
    }

    /// Finds `name` among the bare names of all servers, or among what has been added since the lists were fetched.
    async fn find_bare(
        &self,
        kind: Kind,
        visit: Visit<'_>,
        name: &str,
        claims: &[Found],
        failed: Option<FindError>,
    ) -> Result<Found, FindError> {
        let asked = self.ask_all(Want::Name, kind, visit).await;
        if let Some(found) = self.among(kind, name, &asked)? {
            return Ok(found);
        }
        if let Some(found) = self.once_more(kind, visit, name, claims, &asked).await? {
            return Ok(found);
        }
        let withheld = || {
            answered(&asked).find_map(|(upstream, list)| list.is_withheld(name).then(|| not_allowed(upstream, name)))
        };
        // With one server in scope, a bare name can only mean that server: say why it cannot be asked.
        let unreachable = || match &asked[..] {
            [(_, given)] => given.error().map(|error| FindError::Server(Arc::clone(error))),
            _ => None,
        };
        Err(failed
            .or_else(withheld)
            .or_else(unreachable)
            .unwrap_or_else(|| FindError::Unknown { noun: kind.noun(), name: name.to_owned() }))
    }

    /// The servers that `name` can be a name of, with what it would be called there.
    ///
    /// First those that list it so, by display name or prefix, in the configuration's order, as they are merged; then
    /// those that are known by another prefix of it, the longest first.
    pub(super) fn claims(&self, kind: Kind, visit: Visit<'_>, name: &str) -> Vec<Found> {
        let naming = &self.settings.naming;
        let mut claims: Vec<(usize, Found)> = Vec::new();
        for upstream in visit.servers() {
            let server = &upstream.settings;
            claims.extend(shown_as(kind, server, name).map(|own| (0, Found::new(upstream, own))));
            let listed = naming.listed_bare_name(server, name);
            for bare in naming.bare_names(server, name) {
                let rank = if listed == Some(bare) { 0 } else { bare.len() };
                claims.push((rank, Found::new(upstream, bare)));
            }
        }
        claims.sort_by_key(|(rank, _)| *rank);
        claims.into_iter().map(|(_, claim)| claim).collect()
    }

    fn among(&self, kind: Kind, name: &str, asked: &[Asked]) -> Result<Option<Found>, FindError> {
        let merged = self.merged_of(kind, asked);
        if let Some((upstream, entry)) = merged.by_name(name) {
            return Ok(Some(Found::entry(upstream, entry)));
        }
        match &merged.listed_for(name)[..] {
            [] => Ok(None),
            [(_, upstream)] => Ok(Some(Found::new(upstream, name))),
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
        claims: &[Found],
        asked: &[Asked],
    ) -> Result<Option<Found>, FindError> {
        let worth_asking = |upstream: &Arc<Upstream>| {
            claims.is_empty() || claims.iter().any(|claim| Arc::ptr_eq(&claim.upstream, upstream))
        };
        // Those that failed just now have nothing newer to say.
        let worth_asking = asked.iter().filter(|(upstream, _)| worth_asking(upstream));
        let again = worth_asking.filter_map(|(upstream, given)| match given {
            Given::Fresh(seen) => Some((upstream, seen)),
            Given::LastGood(..) | Given::Nothing(_) => None,
        });
        let again = again.map(async |(upstream, seen)| {
            let fresh = match self.lane(visit, upstream) {
                Ok(lane) => {
                    let given = self.lists.refreshed(kind, upstream, &lane, seen).await;
                    self.granted.shown(kind, visit.scope.tools_of(upstream), given)
                }
                Err(error) => Given::Nothing(error),
            };
            (Arc::clone(upstream), fresh)
        });
        let fresh: Vec<Asked> = join_all(again).await;
        for claim in claims {
            let list = fresh.iter().find(|(other, _)| Arc::ptr_eq(other, &claim.upstream));
            if let Some(list) = list.and_then(|(_, given)| given.list())
                && let Some(entry) = list.by_name(&claim.own_name)
            {
                return Ok(Some(Found::entry(&claim.upstream, entry)));
            }
        }
        self.among(kind, name, &fresh)
    }

    pub(super) fn merged_of(&self, kind: Kind, asked: &[Asked]) -> Arc<Merged> {
        let sources = answered(asked).map(|(upstream, list)| (Arc::clone(upstream), Arc::clone(list))).collect();
        self.merged.get(kind, &self.settings.naming, sources)
    }

    /// Asks every server in scope for its list, all at once.
    pub(super) async fn ask_all(&self, want: Want, kind: Kind, visit: Visit<'_>) -> Vec<Asked> {
        let asks = visit
            .servers()
            .iter()
            .map(async |upstream| (Arc::clone(upstream), self.list_of(want, kind, visit, upstream).await));
        join_all(asks).await
    }

    async fn list_of(&self, want: Want, kind: Kind, visit: Visit<'_>, upstream: &Arc<Upstream>) -> Given {
        match self.lane(visit, upstream) {
            Ok(lane) => {
                let given = self.lists.get(want, kind, upstream, &lane).await;
                self.granted.shown(kind, visit.scope.tools_of(upstream), given)
            }
            Err(error) => Given::Nothing(error),
        }
    }

    /// The lane for lists: the caller's credential without the client's session, so that clients share what they can.
    pub(super) fn lane(&self, visit: Visit<'_>, upstream: &Arc<Upstream>) -> Result<Lane, Arc<FetchError>> {
        upstream.lane(visit.caller, &visit.client.alike()).map_err(|error| Arc::new(FetchError::Upstream(error.into())))
    }
}

impl Found {
    pub(super) fn new(upstream: &Arc<Upstream>, own_name: &str) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            own_name: own_name.to_owned(),
            may_repeat: false,
            param_headers: None,
            as_task: false,
        }
    }

    fn entry(upstream: &Arc<Upstream>, entry: &Entry) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            own_name: entry.name.to_string(),
            may_repeat: entry.may_repeat,
            param_headers: entry.param_headers.clone(),
            as_task: entry.as_task,
        }
    }
}

/// What became of the servers that failed.
pub(super) fn failures(asked: &[Asked]) -> Vec<Outcome> {
    let failed = asked.iter().filter(|(_, given)| given.error().is_some());
    failed.map(|(upstream, given)| Outcome::of(upstream, given)).collect()
}

pub(super) fn answered(asked: &[Asked]) -> impl Iterator<Item = (&Arc<Upstream>, &Arc<ServerList>)> {
    asked.iter().filter_map(|(upstream, given)| given.list().map(|list| (upstream, list)))
}

/// The tools that `server`'s configuration gives this display name.
fn shown_as<'s>(kind: Kind, server: &'s ServerSettings, name: &str) -> impl Iterator<Item = &'s str> {
    let display_names = server.tools.display_names.iter();
    display_names.filter(move |(_, shown)| kind == Kind::Tools && *shown == name).map(|(own, _)| own.as_str())
}

fn not_allowed(upstream: &Upstream, bare: &str) -> FindError {
    FindError::NotAllowed { tool: bare.to_owned(), server: upstream.settings.prefix.clone() }
}
