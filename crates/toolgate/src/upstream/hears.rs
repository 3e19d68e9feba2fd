//! Who hears what servers say on behalf of a client, and how far their streams were heard.

use std::fmt;

use toolgate_client::Events;
use toolgate_mcp::version::Revision;

use crate::config::settings::ServerId;

/// Hears what servers say, and how far their streams have come.
pub trait Hears: Events {
    /// A stream of `server`, in a session that belongs to this client alone, has come to a place at which it can be
    /// taken up again, also by another process. `None`: it can not be any more. With `has_message`, what is said there is
    /// told next.
    fn passed_at(&self, server: &ServerId, place: Option<ServerPlace>, has_message: bool) {
        let _ = (server, place, has_message);
    }
}

/// A place in a stream of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerPlace {
    /// The session at the server, if the server gave it an id.
    pub session_id: Option<Box<str>>,
    /// What is spoken in it.
    pub revision: Revision,
    /// The event that was heard last.
    pub last_event_id: Box<str>,
    /// The request whose answer comes on the stream; `None` where the server speaks by itself.
    pub request: Option<RunningRequest>,
}

/// A request as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRequest {
    /// Its id.
    pub id: u64,
    /// Its progress token and, as JSON text, the client's own.
    pub token: Option<(u64, Box<str>)>,
}

impl fmt::Debug for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ids are as good as credentials.
        f.debug_struct("ServerPlace")
            .field("revision", &self.revision)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
