//! What a client may want of a server beyond requests: how much it logs, word of changed resources, and whatever the
//! server says by itself.

use std::sync::Arc;
use std::time::Duration;

use toolgate_client::{Answer, Events};
use toolgate_mcp::method;

use super::client_side::ClientSide;
use super::credential::CredentialError;
use super::deadline::Deadline;
use super::error::UpstreamError;
use super::lane::Lane;
use super::pool::Pool;
use super::standing;
use super::{Ask, Upstream};
use crate::auth::Caller;

impl Upstream {
    /// Has the server log as [`ClientSide::log_level`] says, if there is a connection already. On one that is opened
    /// later it is set with the first request.
    ///
    /// # Errors
    /// When no answer came. `None` when there was nothing to say.
    pub async fn set_level(&self, lane: &Lane, timeout: Duration) -> Result<Option<Answer>, UpstreamError> {
        let (Some(level), Some(lease)) = (lane.client.log_level, self.pool.ready(&lane.key)) else { return Ok(None) };
        let told = lease.connection().log_at(level, timeout).await;
        told.map_err(|cause| UpstreamError::asking(&self.settings.name, cause, timeout))
    }

    /// Has [`ClientSide::hears`] told when the resource `uri` changes, until it says otherwise, also after the connection
    /// was lost and opened again. The client knows the resource as `listed`.
    ///
    /// # Errors
    /// When no answer came. `None` when the server had been asked already, for another client; an answer that is an error
    /// undoes the subscription.
    pub async fn subscribe(
        &self,
        lane: &Lane,
        uri: &str,
        listed: &str,
        timeout: Duration,
    ) -> Result<Option<Answer>, UpstreamError> {
        self.check_speaks_mcp()?;
        let Some(hears) = &lane.client.events() else { return Ok(None) };
        let ask_server = self.pool.standing().subscribe(lane, uri, listed, hears);
        if !ask_server {
            return Ok(None);
        }
        let deadline = Deadline::after(timeout);
        let lease = self.pool.lease(lane, deadline).await.inspect_err(|_| {
            self.pool.standing().unsubscribe(&lane.key, uri, hears);
        })?;
        if lease.connection().session.is_modern() {
            lease.connection().wishes_changed.notify_one();
            self.pool.standing().taken(&lane.key, uri);
            return Ok(None);
        }
        let params = standing::params(uri);
        let answer = self.ask::<Answer>(lane, Ask::new(method::RESOURCES_SUBSCRIBE, Some(&params), timeout)).await;
        let mut standing = self.pool.standing();
        if answer.as_ref().is_ok_and(Answer::is_result) {
            standing.taken(&lane.key, uri);
        } else {
            standing.unsubscribe(&lane.key, uri, hears);
        }
        answer.map(Some)
    }

    /// Undoes [`Upstream::subscribe`]. The server is told when nobody else wants to know.
    ///
    /// # Errors
    /// When no answer came; the client hears no more all the same. `None` when there was nothing to tell the server.
    pub async fn unsubscribe(
        &self,
        lane: &Lane,
        uri: &str,
        timeout: Duration,
    ) -> Result<Option<Answer>, UpstreamError> {
        let Some(hears) = &lane.client.events() else { return Ok(None) };
        let was_last = self.pool.standing().unsubscribe(&lane.key, uri, hears);
        let Some(lease) = self.pool.ready(&lane.key).filter(|_| was_last) else { return Ok(None) };
        if lease.connection().session.is_modern() {
            lease.connection().wishes_changed.notify_one();
            return Ok(None);
        }
        let params = standing::params(uri);
        let answer = self.ask::<Answer>(lane, Ask::new(method::RESOURCES_UNSUBSCRIBE, Some(&params), timeout)).await;
        answer.map(Some)
    }

    /// From now on [`ClientSide::hears`] wants to hear what the server says by itself: the client has opened a stream for
    /// that. No connection is opened for it, but one that is, or comes to be, listens and is kept; and that on which lists
    /// are fetched is opened, so that the server can say when they change.
    ///
    /// # Errors
    /// As [`Upstream::lane`].
    pub fn hear_standalone(&self, caller: &Caller, client: &ClientSide) -> Result<(), CredentialError> {
        let Some(hears) = &client.events() else { return Ok(()) };
        let own = self.lane(caller, client)?;
        let lists = self.lane(caller, &client.alike())?;
        if own.key.session.is_some() {
            self.pool.listen(&own, hears);
        }
        self.pool.listen(&lists, hears);
        if self.check_speaks_mcp().is_ok() {
            self.pool.open_aside(lists);
        }
        Ok(())
    }

    /// While what is given back lives, [`ClientSide::hears`] hears what the server says by itself on the client's own
    /// connection. `None` when it has none of its own.
    #[must_use]
    pub fn overhear(&self, lane: &Lane) -> Option<Overhearing> {
        let hears = lane.client.events().filter(|_| lane.key.session.is_some())?;
        self.pool.listen(lane, &hears);
        Some(Overhearing { pool: Arc::clone(&self.pool), hears })
    }

    /// The resources of [`Upstream::subscribe`] of which `client` is to be told, as it knows them.
    #[must_use]
    pub fn subscribed(&self, client: &ClientSide) -> Vec<Box<str>> {
        client.events().map_or_else(Vec::new, |hears| self.pool.standing().listed(&hears))
    }

    /// Undoes [`Upstream::hear_standalone`] and [`Upstream::subscribe`], for whoever is heard through `client`.
    pub fn leave(&self, client: &ClientSide) {
        let Some(hears) = &client.events() else { return };
        let orphans = self.pool.standing().leave(hears);
        self.pool.drop_subscriptions(orphans);
    }
}

/// See [`Upstream::overhear`].
pub struct Overhearing {
    pool: Arc<Pool>,
    hears: Arc<dyn Events>,
}

impl Drop for Overhearing {
    fn drop(&mut self) {
        let orphans = self.pool.standing().leave(&self.hears);
        self.pool.drop_subscriptions(orphans);
    }
}
