//! Sessions that somebody else has opened, such as a process that is no more, and their streams.
//!
//! Source: MCP 2025-11-25, Transports, Session Management, and Resumability and Redelivery.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use crate::answer::Answer;
use crate::connect::Connected;
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::ServerFacts;
use crate::http::{Place, Resumption, Streamable, With, valid_session_id};
use crate::options::{Call, Options};
use crate::session::{Session, Wire};
use crate::target::HttpTarget;

/// A session with a Streamable HTTP server that somebody else has opened.
#[derive(Clone)]
pub struct Adopted {
    /// The id that the server gave it, if it did.
    pub session_id: Option<String>,
    /// What the server says of itself, and the revision that is spoken in the session.
    pub facts: ServerFacts,
}

impl Session {
    /// Goes on with a session that somebody else has opened at `target`, over Streamable HTTP in the legacy era. Nothing
    /// is asked of the server: whether it knows the session, the first request tells.
    ///
    /// Must be called inside a tokio runtime, which must outlive the session.
    ///
    /// # Errors
    /// When the target, or the session's id, cannot be used.
    pub fn adopt(target: &HttpTarget, options: &Options, session: Adopted) -> Result<Self, Error> {
        let connected = connected(target, options, session)?;
        Ok(Self::of(connected, options.timeout, first_id()))
    }

    /// The answer to a request that somebody else has sent in this session, which must be one over Streamable HTTP: the
    /// request's stream is taken up from the event after `last_event_id`, where the server says what was said since.
    /// `request` and `method` are the request's. Dropping the future cancels the request, as with those of our own.
    ///
    /// # Errors
    /// When the server does not have the stream any more, or does not answer. The request was taken in any case.
    pub async fn take_up(&self, request: u64, method: &str, last_event_id: &str, call: &Call) -> Result<Answer, Error> {
        let core = self.core();
        core.check_open()?;
        let ended = |reason: &str| self.error(Delivery::Unknown, Problem::StreamEnded { reason: reason.to_owned() });
        let Wire::Streamable(wire) = core.wire() else {
            return Err(ended("only those over Streamable HTTP can be taken up"));
        };
        let id = HeaderValue::try_from(last_event_id).map_err(|_| ended("the id of its last event cannot be sent"))?;
        let followed = Box::pin(wire.take_up(request, Resumption::after(id), With::of(call, None)));
        let answer = core.in_time(request, method, call, followed).await;
        answer.map_err(|error| error.with_delivery(Delivery::Unknown))
    }

    /// [`Session::listen`], but from the event after `last_event_id` on, up to which somebody else has read the stream.
    pub fn listen_after(&self, last_event_id: &str) {
        if let (Wire::Streamable(wire), Ok(after)) = (self.core().wire(), HeaderValue::try_from(last_event_id)) {
            wire.listen_after(after);
        }
    }

    /// The id that the server gave the session, if it did. Whoever knows it, and the credentials, can use the session.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self.core().wire() {
            Wire::Streamable(wire) => wire.session_id(),
            Wire::Sse(_) | Wire::Stdio(_) => None,
        }
    }

    /// Ends our part of the session, and tells the server nothing: somebody else goes on with it.
    pub fn leave(&self) {
        self.core().context().ended.cancel();
    }
}

/// The session as if we had opened it. Nothing is asked of the server.
fn connected(target: &HttpTarget, options: &Options, adopted: Adopted) -> Result<Connected, Error> {
    let place = Arc::new(Place::new(target)?);
    let context = Context::new(&place.server, options);
    let header = |id: String, what: &str| {
        let value = HeaderValue::try_from(id).ok().filter(valid_session_id);
        value.ok_or_else(|| place.error(Delivery::NotSent, Problem::InvalidTarget(format!("{what} cannot be sent"))))
    };
    let session_id = adopted.session_id.map(|id| header(id, "the session's id")).transpose()?;
    let mut wire = Streamable::new(Arc::clone(&place), Arc::clone(&context));
    wire.adopt(session_id, adopted.facts.revision);
    if options.listen {
        wire.listen();
    }
    Ok(Connected { facts: adopted.facts, wire: Wire::Streamable(wire), context, client: None })
}

/// The first id for requests in a session where others have used ids already: they count from 1, or from such a number
/// at an earlier time. It is below 2^53, which every server can read.
fn first_id() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX >> 12)
}
