//! What is told of sessions in use to whoever runs the gateway.

use std::time::{Duration, SystemTime};

use toolgate_mcp::version::Revision;

use super::Lives;
use crate::auth::{Caller, CallerId};
use crate::gateway::Gateway;
use crate::identity::vaults::owner;
use crate::upstream::SessionKey;

/// Whose a session is.
pub(super) struct Owner {
    caller: CallerId,
    user_id: Option<String>,
}

impl Owner {
    pub(super) fn of(caller: &Caller) -> Self {
        Self { caller: caller.id.clone(), user_id: owner(&caller.principal).map(str::to_owned) }
    }
}

/// One session in use.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// Names it among the gateway's sessions; not what its client sends, which is a secret.
    pub key: SessionKey,
    /// The key that it was opened with, without being one.
    pub caller: CallerId,
    /// The user behind it.
    pub user_id: Option<String>,
    /// What was negotiated.
    pub revision: Revision,
    /// Since when.
    pub opened: SystemTime,
    /// How long nothing was asked in it.
    pub idle: Duration,
    /// Requests that run.
    pub running: usize,
    /// Its client listens.
    pub listens: bool,
}

impl Lives {
    /// The sessions in use in this process, in no order.
    #[must_use]
    pub fn told(&self) -> Vec<SessionFacts> {
        let of = |live: &std::sync::Arc<super::Live>| {
            let state = live.lock();
            SessionFacts {
                key: live.session.key,
                caller: live.owner.caller.clone(),
                user_id: live.owner.user_id.clone(),
                revision: live.session.revision,
                opened: live.session.opened(),
                idle: state.used.elapsed(),
                running: state.running.len(),
                listens: state.standalone.is_some(),
            }
        };
        self.all().iter().map(of).collect()
    }
}

/// Ends a session that is in use: its client is told 404 from now on. Whether there was one.
pub async fn end(gateway: &Gateway, key: SessionKey) -> bool {
    let Some(live) = gateway.lives.find(&key) else { return false };
    gateway.end_session(&live.session);
    gateway.snapshot().upstreams.close_session(&key).await;
    true
}
