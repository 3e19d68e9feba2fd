//! Sessions that somebody else has opened, such as a process that is no more, and their streams.
//!
//! Source: MCP 2025-11-25, Transports, Session Management, and Resumability and Redelivery.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use crate::answer::Answer;
use crate::connect::Connected;
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::ServerFacts;
use crate::http::{EventStream, Place, Resumption, Streamable, With, valid_session_id};
use crate::options::{Call, Options};
use crate::session::{Core, Session, Wire};
use crate::target::HttpTarget;

/// A session with a Streamable HTTP server that somebody else has opened.
#[derive(Clone)]
pub struct Adopted {
    /// The id that the server gave it, if it did.
    pub session_id: Option<String>,
    /// What the server says of itself, and the revision that is spoken in the session.
    pub facts: ServerFacts,
    /// The last event that was read on the stream on which the server speaks by itself.
    pub listen_after: Option<String>,
}

/// The stream of a request that somebody else has sent; see [`Session::take_up`].
pub struct TakenUp {
    core: Arc<Core>,
    stream: EventStream,
    resumption: Resumption,
    request: u64,
    method: Box<str>,
    call: Call,
    timeout: Duration,
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

    /// Takes up the stream of a request that somebody else has sent in this session, which must be one over Streamable
    /// HTTP: from the event after `last_event_id`, where the server says what was said since. `request` and `method` are
    /// the request's. [`Call::timeout`] is for the stream's opening, and again for the answer.
    ///
    /// # Errors
    /// When the server does not have the stream any more, or does not answer.
    pub async fn take_up(
        &self,
        request: u64,
        method: &str,
        last_event_id: &str,
        call: &Call,
    ) -> Result<TakenUp, Error> {
        self.core().check_open()?;
        let timeout = call.timeout.unwrap_or(self.core().timeout);
        TakenUp::open(Arc::clone(self.core()), request, method, last_event_id, call, timeout).await
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
    let after = adopted.listen_after.and_then(|id| HeaderValue::try_from(id).ok());
    let mut wire = Streamable::new(Arc::clone(&place), Arc::clone(&context));
    wire.adopt(session_id, adopted.facts.revision, after);
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

impl TakenUp {
    /// Opens the stream of `request`, after its event `last_event_id`.
    async fn open(
        core: Arc<Core>,
        request: u64,
        method: &str,
        last_event_id: &str,
        call: &Call,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let error = |problem| Error::new(core.server(), Delivery::Unknown, problem);
        let Wire::Streamable(wire) = core.wire() else {
            return Err(error(Problem::StreamEnded { reason: "only Streamable HTTP takes streams up".to_owned() }));
        };
        let wire = wire.clone();
        let id = HeaderValue::try_from(last_event_id)
            .map_err(|_| error(Problem::StreamEnded { reason: "the event's id cannot be sent".to_owned() }))?;
        let mut resumption = Resumption::after(id);
        let opened = Box::pin(wire.take_up(&mut resumption, With::of(call, None)));
        let stream = core.noted(match tokio::time::timeout(timeout, opened).await {
            // The request was taken before the session ended.
            Ok(opened) => opened.map_err(|error| error.with_delivery(Delivery::Unknown)),
            Err(_) => Err(core.timed_out(method, timeout)),
        })?;
        Ok(Self { core, stream, resumption, request, method: method.into(), call: call.clone(), timeout })
    }

    /// The answer, when it comes. Dropping this future cancels the request, as with those of our own.
    ///
    /// # Errors
    /// As [`Session::request`].
    pub async fn answer(self) -> Result<Answer, Error> {
        let Self { core, stream, resumption, request, method, call, timeout } = self;
        let Wire::Streamable(wire) = core.wire() else {
            return Err(Error::new(core.server(), Delivery::Unknown, Problem::Closed));
        };
        let call = Call { timeout: Some(timeout), ..call };
        let followed = Box::pin(wire.follow_from(request, stream, resumption, With::of(&call, None)));
        core.in_time(request, &method, &call, followed).await
    }
}
