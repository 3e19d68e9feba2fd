//! The client's side of a conversation with servers, made for each POST.

use std::sync::Arc;

use super::live::{Hearing, Live};
use super::outlet::Outlet;
use super::session::ClientSession;
use crate::auth::Caller;
use crate::gateway::Gateway;
use crate::upstream::{Capabilities, ClientSide, Hears};

/// The client's side of a conversation with servers.
pub(super) struct Speaking {
    /// The client, as servers see it.
    pub(super) client: ClientSide,
    /// Who hears what they say.
    pub(super) hears: Option<Arc<dyn Hears>>,
    /// What is kept of the session.
    pub(super) live: Option<Arc<Live>>,
}

impl Speaking {
    /// In `session`, whose servers may have something to say if any of this is for one of them; `outlet` is where events
    /// can go in response.
    pub(super) fn of(
        gateway: &Gateway,
        session: Option<(&ClientSession, &Caller)>,
        for_a_server: bool,
        outlet: Option<&Arc<Outlet>>,
    ) -> Self {
        let live = session.filter(|_| for_a_server).map(|(session, caller)| gateway.lives.of(session, caller));
        let session = session.map(|(session, _)| session);
        let without_live = |session: Option<&ClientSession>| ClientSide {
            capabilities: session.map_or_else(Capabilities::none, ClientSession::capabilities),
            ..ClientSide::none()
        };
        let client = live.as_ref().map_or_else(|| without_live(session), Live::client);
        let hears = (live.is_some() || outlet.is_some())
            .then(|| Arc::new(Hearing { live: live.clone(), outlet: outlet.cloned() }) as Arc<dyn Hears>);
        Self { client, hears, live }
    }
}
