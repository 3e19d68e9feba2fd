//! What clients want of servers beyond single requests, over all servers in scope.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::value::RawValue;
use toolgate_client::{Answer, Events};
use toolgate_mcp::views::Located;

use super::errors::CallError;
use super::find::Found;
use super::list::Kind;
use super::owners::Owners;
use super::{Catalog, Visit};
use crate::upstream::{Lane, TaskWatch, UpstreamError};

impl Catalog {
    /// Has the visit's client told when a resource changes, under the URI that it knows.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`]. `None` when the server had nothing to say: it was asked already.
    pub async fn subscribe(&self, visit: Visit<'_>, params: Option<&RawValue>) -> Result<Option<Answer>, CallError> {
        let wanted = self.located(visit, params).await?;
        let Resource { owner, lane, listed } = &wanted;
        let timeout = self.call_timeout(&owner.upstream);
        Ok(owner.upstream.subscribe(lane, &owner.own_name, listed, timeout).await?)
    }

    /// Undoes [`Catalog::subscribe`].
    ///
    /// # Errors
    /// As [`Catalog::subscribe`].
    pub async fn unsubscribe(&self, visit: Visit<'_>, params: Option<&RawValue>) -> Result<Option<Answer>, CallError> {
        let wanted = self.located(visit, params).await?;
        let Resource { owner, lane, .. } = &wanted;
        let timeout = self.call_timeout(&owner.upstream);
        Ok(owner.upstream.unsubscribe(lane, &owner.own_name, timeout).await?)
    }

    /// Has `hears` told how tasks stand that `server`, a configured name, runs for the visit's caller and calls `ids`;
    /// gives those of which it will tell. `None` when there are none, or the server is not in scope.
    ///
    /// # Errors
    /// As [`Catalog::call_tool`].
    pub async fn watch_tasks(
        &self,
        visit: Visit<'_>,
        server: &str,
        ids: Vec<String>,
        hears: Arc<dyn Events>,
        timeout: Duration,
    ) -> Result<Option<(Vec<String>, TaskWatch)>, CallError> {
        let in_scope = visit.servers().iter().find(|upstream| upstream.settings.name == server);
        let Some(upstream) = in_scope else { return Ok(None) };
        let lane = upstream.lane(visit.caller, visit.client).map_err(UpstreamError::from)?;
        let hears = self.renaming(visit, upstream, hears).await;
        Ok(upstream.watch_tasks(lane, ids, hears, timeout).await?)
    }

    /// Has the servers that are connected log as the visit's client wants; the others learn it when they are.
    ///
    /// A server that does not take it is only noted in the log: the client asked the gateway, which has taken it.
    pub async fn set_level(&self, visit: Visit<'_>) {
        let told = visit.servers().iter().map(async |upstream| {
            let lane = upstream.lane(visit.caller, visit.client).map_err(UpstreamError::from)?;
            upstream.set_level(&lane, self.call_timeout(upstream)).await
        });
        for (upstream, told) in visit.servers().iter().zip(join_all(told).await) {
            if let Err(error) = told {
                tracing::debug!(server.name = upstream.settings.name, %error, "the log level could not be set");
            }
        }
    }

    /// The visit's client has opened a stream on which it hears what servers say by themselves.
    pub fn hear_standalone(&self, visit: Visit<'_>) {
        for upstream in visit.servers() {
            if let Err(error) = upstream.hear_standalone(visit.caller, visit.client) {
                tracing::debug!(server.name = upstream.settings.name, %error, "nothing is heard from a server");
            }
        }
    }

    /// The visit's client wants to hear nothing any more: undoes [`Catalog::hear_standalone`] and all subscriptions.
    pub fn leave(&self, visit: Visit<'_>) {
        for upstream in visit.servers() {
            upstream.leave(visit.client);
        }
    }

    async fn located(&self, visit: Visit<'_>, params: Option<&RawValue>) -> Result<Resource, CallError> {
        let wanted = Located::read(params)?;
        let owner = match self.owners(visit, &wanted.uri).await? {
            Owners::Known(owner) => Some(owner),
            Owners::Likely(owners) => owners.into_iter().next(),
        };
        let owner = owner.ok_or_else(|| super::operations::unknown(Kind::Resources, &wanted.uri))?;
        let lane = owner.upstream.lane(visit.caller, visit.client).map_err(UpstreamError::from)?;
        Ok(Resource { owner, lane, listed: wanted.uri.into_owned() })
    }
}

struct Resource {
    owner: Found,
    lane: Lane,
    /// The URI that the client knows.
    listed: String,
}
