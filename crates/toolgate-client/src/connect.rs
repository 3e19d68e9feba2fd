//! Opening a session: the transport, then the handshake on it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::{self, ServerFacts, Transport};
use crate::http::{Place, Sse, Streamable};
use crate::message;
use crate::options::Options;
use crate::session::Wire;
use crate::stdio::Stdio;
use crate::target::{HttpKind, HttpTarget, StdioTarget, Target};

/// The id of `initialize`.
const INITIALIZE_ID: u64 = 1;

/// The first id for requests of a session's user.
pub(crate) const FIRST_FREE_ID: u64 = INITIALIZE_ID + 1;

pub(crate) struct Connected {
    pub(crate) facts: ServerFacts,
    pub(crate) wire: Wire,
    pub(crate) context: Arc<Context>,
}

pub(crate) async fn connect(target: &Target, options: &Options) -> Result<Connected, Error> {
    match target {
        // Boxed, because the parts of the dance are large and only one of them is danced at a time.
        Target::Http(target) => Box::pin(http(target, options)).await,
        Target::Stdio(target) => Box::pin(stdio(target, options)).await,
    }
}

async fn http(target: &HttpTarget, options: &Options) -> Result<Connected, Error> {
    let place = Arc::new(Place::new(target)?);
    let context = Context::new(&place.server, options);
    let late = context.clone();
    let attempt = async {
        match target.kind {
            HttpKind::Streamable => streamable(&place, &context, options).await,
            HttpKind::Sse => sse(&place, &context, options).await,
            HttpKind::Detect => detect(&place, &context, options).await,
        }
    };
    let outcome = timeout(options.connect_timeout, attempt).await;
    let outcome = outcome.unwrap_or_else(|_| Err(timed_out(&late, options)));
    // Nothing of a session that did not come about may go on.
    outcome.inspect_err(|_| late.ended.cancel())
}

/// Streamable HTTP first; what does not speak it may speak HTTP+SSE (MCP 2025-11-25, Transports, Backwards
/// Compatibility).
async fn detect(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let first = match streamable(place, context, options).await {
        Err(error) if may_be_sse(&error) => error,
        outcome => return outcome,
    };
    match sse(place, context, options).await {
        Ok(connected) => Ok(connected),
        Err(second) => Err(place.error(Delivery::Answered, Problem::NoTransport { streamable: first, sse: second })),
    }
}

/// Whether a failed `initialize` leaves open that the server has the old transport.
fn may_be_sse(error: &Error) -> bool {
    match error.problem() {
        Problem::Status(refusal) => {
            refusal.status.is_client_error()
                && !matches!(
                    refusal.status,
                    StatusCode::UNAUTHORIZED
                        | StatusCode::FORBIDDEN
                        | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                        | StatusCode::TOO_MANY_REQUESTS
                )
        }
        Problem::NotMcp { .. } | Problem::NoAnswer { .. } | Problem::BadMessage { .. } => true,
        _ => false,
    }
}

async fn streamable(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let mut wire = Streamable::new(Arc::clone(place), Arc::clone(context));
    let answer = wire.initialize(INITIALIZE_ID, initialize(options)).await?;
    let facts = handshake::read(&answer, Transport::Streamable, wire.has_session())
        .map_err(|problem| place.error(Delivery::Answered, problem))?;
    wire.agree(facts.revision);
    match wire.send(initialized(), &HeaderMap::new()).await {
        // Servers exist that refuse what they need not hear. If the session is of no use, the first request tells.
        Err(error) if may_be_ignored(&error) => tracing::warn!(%error, "`notifications/initialized` was refused"),
        sent => sent?,
    }
    if options.listen {
        wire.listen();
    }
    Ok(Connected { facts, wire: Wire::Streamable(wire), context: Arc::clone(context) })
}

fn may_be_ignored(error: &Error) -> bool {
    matches!(error.problem(), Problem::Status(_))
        && !matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
}

async fn sse(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let mut wire = Sse::open(Arc::clone(place), Arc::clone(context)).await?;
    let none = HeaderMap::new();
    let answer = wire.request(INITIALIZE_ID, initialize(options), &none).await?;
    let facts =
        handshake::read(&answer, Transport::Sse, false).map_err(|problem| place.error(Delivery::Answered, problem))?;
    wire.agree(facts.revision);
    wire.send(initialized(), &none).await?;
    Ok(Connected { facts, wire: Wire::Sse(wire), context: Arc::clone(context) })
}

async fn stdio(target: &StdioTarget, options: &Options) -> Result<Connected, Error> {
    let context = Context::new(&target.command, options);
    let attempt = async {
        let wire = Stdio::open(target, &context).await?;
        let answer = wire.request(&context.server, INITIALIZE_ID, initialize(options)).await?;
        let facts = handshake::read(&answer, Transport::Stdio, false)
            .map_err(|problem| Error::new(&context.server, Delivery::Answered, problem))?;
        wire.send(&context.server, initialized())?;
        Ok(Connected { facts, wire: Wire::Stdio(wire), context: Arc::clone(&context) })
    };
    let outcome = timeout(options.connect_timeout, attempt).await;
    let outcome = outcome.unwrap_or_else(|_| Err(timed_out(&context, options)));
    outcome.inspect_err(|_| context.ended.cancel())
}

fn initialize(options: &Options) -> Bytes {
    message::request(INITIALIZE_ID, "initialize", Some(&handshake::params(options)))
}

fn initialized() -> Bytes {
    message::notification("notifications/initialized", None)
}

fn timed_out(context: &Context, options: &Options) -> Error {
    let problem = Problem::TimedOut { method: "initialize".into(), after: options.connect_timeout };
    Error::new(&context.server, Delivery::Unknown, problem)
}
