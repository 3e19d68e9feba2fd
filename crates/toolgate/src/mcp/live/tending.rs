//! What happens to sessions in use while nobody asks: changes of lists are told, and what is over is let go.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Duration;
use toolgate_access::grant::Grant;
use toolgate_mcp::jsonrpc;

use super::{Forgotten, Live, Lives, Standalone};
use crate::catalog::Scope;
use crate::config::Settings;
use crate::config::settings::DisabledCapabilities;
use crate::gateway::{Gateway, Snapshot};
use crate::upstream::{Changed, Upstream, Upstreams};

/// Tells clients of what servers have changed, and lets go of what is over, until the gateway stops; then ends the
/// streams that no request of a client's keeps open.
pub async fn tend(gateway: Gateway) {
    let mut news = gateway.snapshot().upstreams.news();
    let mut sweep = tokio::time::interval(gateway.snapshot().settings.clients.tend_every);
    loop {
        tokio::select! {
            () = gateway.stopping.cancelled() => break,
            _ = sweep.tick() => gateway.lives.sweep(&gateway),
            heard = news.recv() => match heard {
                Ok(news) => gateway.lives.changed(&gateway.snapshot().settings, Some(&news.server), &[news.what]),
                // Some were missed, so any list may have changed.
                Err(RecvError::Lagged(_)) => gateway.lives.changed(&gateway.snapshot().settings, None, &Changed::ALL),
                Err(RecvError::Closed) => break,
            },
        }
    }
    gateway.stopping.cancelled().await;
    for live in gateway.lives.all() {
        live.close_standalone();
    }
}

impl Lives {
    /// Tells those whose streams the server is in scope of; without a server all.
    fn changed(&self, settings: &Settings, server: Option<&str>, what: &[Changed]) {
        let messages = messages(what, settings.general.disabled);
        for live in self.all() {
            live.tell_changed(&messages, |servers| server.is_none_or(|name| servers.iter().any(|one| **one == *name)));
        }
    }

    /// Another configuration is in place: whoever sees other servers than before, or under other names, is told.
    pub fn reloaded(&self, gateway: &Gateway, old: &Snapshot, new: &Arc<Snapshot>) {
        let messages = messages(&Changed::ALL, new.settings.general.disabled);
        let all_are_renamed = is_renamed(&old.settings, &new.settings);
        let is_gone = |upstream: &&Arc<Upstream>| !new.upstreams.all().iter().any(|kept| Arc::ptr_eq(kept, *upstream));
        let gone: Vec<&Arc<Upstream>> = old.upstreams.all().iter().filter(is_gone).collect();
        for live in self.all() {
            live.lost(live.subscribed(gone.iter().copied()));
            live.reloaded(gateway, old, new, all_are_renamed, &messages);
        }
    }

    /// Callers may reach other servers and tools than before, or their keys may be no longer in force: the streams of
    /// those end.
    pub async fn regrant(&self, gateway: &Gateway) {
        let snapshot = gateway.snapshot();
        let messages = messages(&Changed::ALL, snapshot.settings.general.disabled);
        for live in self.all() {
            let Some(standalone) = live.lock().standalone.clone() else { continue };
            match gateway.granted_anew(&standalone.caller).await {
                Some(grant) => live.regranted(gateway, &standalone, grant, &snapshot, &messages),
                None => self.end(&live.session.key),
            }
        }
    }

    fn sweep(&self, gateway: &Gateway) {
        let snapshot = gateway.snapshot();
        for live in self.all() {
            if !gateway.sessions.is_open(&live.session, std::time::SystemTime::now()) {
                self.end(&live.session.key);
                continue;
            }
            live.give_up_overdue(snapshot.settings.clients.question_timeout);
            live.let_go_of_lost(snapshot.settings.clients.replay_for, &self.kept);
            if live.is_idle(snapshot.settings.limits.session_idle) {
                self.forget_if_idle(&live, snapshot.settings.limits.session_idle, &snapshot.upstreams);
            }
        }
    }

    /// Forgets a session that nobody uses, and ends its subscriptions at servers: its client is most likely gone. Its token
    /// stays good, and brings it back with its log level and its subscriptions.
    fn forget_if_idle(&self, live: &Arc<Live>, idle: Duration, upstreams: &Upstreams) {
        {
            let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
            // Somebody may have found it just now.
            if !live.is_idle(idle) {
                return;
            }
            by_key.remove(&live.session.key.0);
            let mut resources = live.subscribed(upstreams.all().iter());
            let log_level = {
                let mut state = live.lock();
                resources.append(&mut state.lost);
                state.log_level
            };
            if log_level.is_some() || !resources.is_empty() {
                self.forgotten.insert(live.session.key.0, Forgotten { log_level, resources: resources.into() });
            }
        }
        let client = live.client();
        for upstream in upstreams.all() {
            upstream.leave(&client);
        }
    }
}

/// The notifications that tell of changes.
pub(super) fn messages(what: &[Changed], disabled: DisabledCapabilities) -> Vec<Bytes> {
    let is_on = |what: &&Changed| match what {
        Changed::Tools => true,
        Changed::Prompts => !disabled.prompts,
        Changed::Resources => !disabled.resources,
    };
    what.iter().filter(is_on).map(|what| Bytes::from(jsonrpc::notification(what.method(), None))).collect()
}

/// Whether names are made in another way, or capabilities are switched, so that every list is another.
fn is_renamed(old: &Settings, new: &Settings) -> bool {
    old.naming.separator != new.naming.separator
        || old.naming.prefix != new.naming.prefix
        || old.general.disabled != new.general.disabled
}

/// Whether the two reach other servers, or servers that are configured otherwise.
fn is_other(old: &Scope, new: &Scope) -> bool {
    let same = |(old, new): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(old, new);
    old.servers().len() != new.servers().len() || !old.servers().iter().zip(new.servers()).all(same)
}

/// The servers that the stream is about with this configuration.
fn scope_of(standalone: &Standalone, snapshot: &Snapshot) -> Scope {
    let grant = &standalone.caller.grant;
    standalone.selection.scope(snapshot, grant).unwrap_or_else(|_| Scope::nothing(grant))
}

impl Live {
    pub(super) fn tell_changed(&self, messages: &[Bytes], concerns: impl FnOnce(&[Arc<str>]) -> bool) {
        let state = self.lock();
        let Some(standalone) = state.standalone.as_ref().filter(|standalone| concerns(&standalone.servers)) else {
            return;
        };
        for message in messages {
            standalone.outlet.notify_once(message.clone());
        }
    }

    fn regranted(
        self: &Arc<Self>,
        gateway: &Gateway,
        standalone: &Standalone,
        grant: Arc<Grant>,
        now: &Arc<Snapshot>,
        messages: &[Bytes],
    ) {
        if grant.fingerprint() == standalone.caller.grant.fingerprint() {
            return;
        }
        let mut regranted = standalone.clone();
        regranted.caller.grant = grant;
        let scope = scope_of(&regranted, now);
        // Whatever is not in the scope any more is not heard any more.
        self.lost(self.subscribed(now.upstreams.all().iter()));
        let client = self.client();
        for upstream in now.upstreams.all() {
            upstream.leave(&client);
        }
        self.hear(&regranted.caller, &scope);
        self.subscribe_again(gateway, now, &regranted.caller, &scope);
        let mut state = self.lock();
        let current = state.standalone.as_mut().filter(|current| Arc::ptr_eq(&current.outlet, &standalone.outlet));
        let Some(current) = current else { return };
        current.servers = super::standalone::names(&scope);
        current.caller = regranted.caller;
        for message in messages {
            current.outlet.notify_once(message.clone());
        }
    }

    fn reloaded(
        self: &Arc<Self>,
        gateway: &Gateway,
        old: &Snapshot,
        new: &Arc<Snapshot>,
        renamed: bool,
        messages: &[Bytes],
    ) {
        let Some(standalone) = self.lock().standalone.clone() else { return };
        let (before, now) = (scope_of(&standalone, old), scope_of(&standalone, new));
        let is_other = is_other(&before, &now);
        if is_other {
            self.hear(&standalone.caller, &now);
            self.subscribe_again(gateway, new, &standalone.caller, &now);
        }
        let mut state = self.lock();
        let current = state.standalone.as_mut().filter(|current| Arc::ptr_eq(&current.outlet, &standalone.outlet));
        let Some(current) = current else { return };
        current.servers = super::standalone::names(&now);
        if is_other || renamed {
            for message in messages {
                current.outlet.notify_once(message.clone());
            }
        }
    }

    /// Gives up streams that their client has lost and not taken up again within `limit`.
    fn let_go_of_lost(&self, limit: Duration, budget: &super::kept::Budget) {
        let mut state = self.lock();
        let lost = |standalone: &mut super::Standalone| {
            standalone.outlet.left_since().is_some_and(|left| left.elapsed() >= limit)
        };
        if let Some(standalone) = state.standalone.take_if(lost) {
            standalone.outlet.desert();
        }
        state.kept.sweep(limit, budget);
    }

    fn is_idle(&self, limit: Duration) -> bool {
        let state = self.lock();
        state.running.is_empty()
            && state.asked.is_empty()
            && state.standalone.is_none()
            && state.kept.is_empty()
            && state.used.elapsed() >= limit
    }

    /// Ends the standalone stream, after the answers that are still to come on it.
    fn close_standalone(&self) {
        if let Some(standalone) = &self.lock().standalone {
            standalone.outlet.close();
        }
    }
}
