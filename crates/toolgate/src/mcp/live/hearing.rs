//! Who hears what servers say while they work on one request of a client.

use std::sync::Arc;

use bytes::Bytes;
use toolgate_client::{Events, Question};
use toolgate_mcp::jsonrpc::{self, Message};
use toolgate_mcp::{method, views};

use super::super::event_id::behind;
use super::super::outlet::Outlet;
use super::Live;
use crate::config::settings::ServerId;
use crate::upstream::{Hears, LogLevel, ServerPlace};

/// Hears for one request.
pub(in super::super) struct Hearing {
    /// The session; without one nobody can be asked anything.
    pub(in super::super) live: Option<Arc<Live>>,
    /// The response, if the client takes streams there.
    pub(in super::super) outlet: Option<Arc<Outlet>>,
}

impl Events for Hearing {
    fn notification(&self, method: &str, message: Bytes) {
        if let Some(live) = &self.live {
            match method {
                method::CANCELLED => return live.cancelled_by_server(&message, self.outlet.as_ref()),
                method::LOG_MESSAGE if !live.wants_logged(&message) => return,
                _ => {}
            }
        }
        match (&self.outlet, &self.live) {
            (Some(outlet), _) => drop(outlet.notify(message)),
            // The client takes streams elsewhere, if at all.
            (None, Some(live)) => live.tell(message),
            (None, None) => {}
        }
    }

    fn question(&self, question: Question) {
        // Without a session the question is dropped, which refuses it: its answer could not find its way back.
        if let Some(live) = &self.live {
            live.ask(question, self.outlet.as_ref());
        }
    }
}

impl Hears for Hearing {
    fn passed_at(&self, server: &ServerId, place: Option<ServerPlace>, has_message: bool) {
        let (Some(live), Some(outlet)) = (&self.live, &self.outlet) else { return };
        let place = place.and_then(|place| behind::call(&live.resumable(outlet)?, server, &place));
        outlet.passed(place, has_message);
    }
}

/// The level of a message of a server's log.
pub(super) fn level_of(message: &Bytes) -> Option<LogLevel> {
    let Ok(Message::Notification(notification)) = jsonrpc::parse(message) else { return None };
    LogLevel::parse(&views::log_level(notification.params)?)
}
