//! What is wanted of the connections beyond single requests, put on the wire.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use toolgate_client::{AnswerOutcome, Call, Events};
use toolgate_mcp::method;

use super::{Pool, SlotState, lock};
use crate::upstream::connection::{Connection, Lease};
use crate::upstream::lane::{Key, Lane, SessionKey};
use crate::upstream::news::Changed;
use crate::upstream::standing::{self, Orphan, Standing};

/// Subscriptions that are asked for again at once.
const AT_ONCE: usize = 16;

impl Pool {
    /// Lists have changed, or may have.
    pub(in crate::upstream) fn lists_changed(&self, what: &[Changed]) {
        self.lists_revision.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        self.desk.changed(what, &self.shared.tasks, &self.shared.stopping);
    }

    /// Tells those who subscribed to it on the connection with `key` of a changed resource; `false` if nobody did.
    pub(in crate::upstream) fn tell_subscribers(&self, key: &Key, message: &Bytes) -> bool {
        let told = lock(&self.standing).told(key, message);
        for (hears, message) in &told {
            hears.notification(method::RESOURCES_UPDATED, message.clone());
        }
        !told.is_empty()
    }

    /// The connection with `key`, if it is open.
    pub(in crate::upstream) fn ready(&self, key: &Key) -> Option<Lease> {
        match &self.slots().by_key.get(key)?.state {
            SlotState::Ready(connection) if !connection.session.is_closed() => Some(Lease::new(connection)),
            _ => None,
        }
    }

    /// Asks on a new connection for what was wanted on the one before. A server that refuses is not asked again; it is
    /// no reason to do without the connection.
    pub(super) async fn restore(&self, lane: &Lane, connection: &Connection, timeout: Duration) {
        if let Some(level) = lane.client.log_level
            && let Err(error) = connection.log_at(level, timeout).await
        {
            tracing::debug!(server.name = self.settings.name, %error, "the log level could not be set");
        }
        if connection.session.is_modern() {
            return;
        }
        let resources = lock(&self.standing).resources(&lane.key);
        let session = &connection.session;
        let asks = resources.into_iter().map(|uri| async move {
            let params = standing::params(&uri);
            let call = Call::with_timeout(timeout);
            let why = match session.request_with(method::RESOURCES_SUBSCRIBE, Some(&params), &call).await {
                Ok(answer) => match answer.outcome() {
                    AnswerOutcome::Result(_) => return,
                    AnswerOutcome::Error(error) => error.to_owned(),
                },
                Err(error) => error.to_string(),
            };
            tracing::warn!(
                server.name = self.settings.name,
                uri = &*uri,
                "a subscription could not be restored: {why}"
            );
        });
        stream::iter(asks).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Tells the server, where it can be told, that nobody wants to hear of these any more.
    pub(in crate::upstream) fn drop_subscriptions(self: &Arc<Self>, orphans: Vec<Orphan>) {
        if orphans.is_empty() {
            return;
        }
        let timeout = self.call_timeout();
        let pool = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            for orphan in orphans {
                let Some(lease) = pool.ready(&orphan.lane.key) else { continue };
                if lease.connection().session.is_modern() {
                    lease.connection().wishes_changed.notify_one();
                    continue;
                }
                let params = standing::params(&orphan.uri);
                let call = Call::with_timeout(timeout);
                let session = &lease.connection().session;
                if let Err(error) = session.request_with(method::RESOURCES_UNSUBSCRIBE, Some(&params), &call).await {
                    tracing::debug!(server.name = pool.settings.name, %error, "a subscription could not be ended");
                }
            }
        });
    }

    /// Tells the server something that has no answer, on the connections that `session` has here.
    pub(in crate::upstream) async fn tell(&self, session: SessionKey, method: &str, params: Option<&str>) {
        let first = Key { session: Some(session), caller: None, capabilities: [0; 16], fingerprint: [0; 32] };
        let connections: Vec<Lease> = {
            let slots = self.slots();
            let own = slots.by_key.range(first..).take_while(|(key, _)| key.session == Some(session));
            let ready = own.filter_map(|(_, slot)| match &slot.state {
                SlotState::Ready(connection) if !connection.session.is_closed() => Some(Lease::new(connection)),
                _ => None,
            });
            ready.collect()
        };
        for lease in connections {
            if let Err(error) = lease.connection().session.notify(method, params).await {
                tracing::debug!(server.name = self.settings.name, %error, "a notification was not taken");
            }
        }
    }

    /// From now on `hears` wants what the server says by itself on the connection of `lane`.
    pub(in crate::upstream) fn listen(&self, lane: &Lane, hears: &Arc<dyn Events>) {
        lock(&self.standing).listen(lane, hears);
        if let Some(lease) = self.ready(&lane.key) {
            lease.connection().session.listen();
        }
    }

    /// Opens the connection of `lane`, if it is not there, while nobody waits for it.
    pub(in crate::upstream) fn open_aside(self: &Arc<Self>, lane: Lane) {
        if self.ready(&lane.key).is_none() {
            self.revive(lane);
        }
    }

    pub(in crate::upstream) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }
}
