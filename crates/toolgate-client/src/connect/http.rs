//! The HTTP transports: Streamable HTTP of either era, then HTTP+SSE.
//!
//! Sources: MCP 2026-07-28, Versioning, Dual-Era Clients; MCP 2025-11-25, Transports, Backwards Compatibility.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use super::{Connected, DISCOVER_IDS, Doubt, INITIALIZE_ID};
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::{self, Transport};
use crate::http::{Place, Sse, Streamable, With};
use crate::modern::{self, ClientFacts, METHOD, Verdict};
use crate::options::{Era, Options};
use crate::session::Wire;
use crate::target::{HttpKind, HttpTarget};

pub(super) async fn connect(target: &HttpTarget, options: &Options) -> Result<Connected, Error> {
    let place = Arc::new(Place::new(target)?);
    let context = Context::new(&place.server, options);
    // Nothing of a session that did not come about may go on.
    let unless_connected = context.ended.clone().drop_guard();
    let attempt = async {
        match target.kind {
            HttpKind::Streamable => streamable(&place, &context, options).await,
            HttpKind::Sse => sse(&place, &context, options).await,
            HttpKind::Detect => detect(&place, &context, options).await,
        }
    };
    let outcome = timeout(options.connect_timeout, attempt).await;
    let connected = outcome.unwrap_or_else(|_| Err(super::late(&place.server, options)))?;
    unless_connected.disarm();
    Ok(connected)
}

/// Streamable HTTP first; what does not speak it may speak HTTP+SSE.
async fn detect(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let first = match streamable(place, context, options).await {
        Err(error) if options.era != Era::Modern && may_be_sse(&error) => error,
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
        Problem::Status(refusal) => refusal.status.is_client_error() && !is_final(refusal.status),
        Problem::NotMcp { .. } | Problem::NoAnswer { .. } | Problem::BadMessage { .. } => true,
        _ => false,
    }
}

/// Statuses that are about us or the moment, and not about what the server speaks.
fn is_final(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    ) || status.is_redirection()
}

/// Streamable HTTP in the era that the server speaks.
async fn streamable(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    if options.era == Era::Legacy {
        return legacy(place, context, options).await;
    }
    let doubt = match discover(place, context, options).await {
        Ok(connected) => return Ok(connected),
        Err(doubt) if options.era == Era::Modern => return Err(no_modern(place, doubt)),
        Err(Doubt::Final(error)) => return Err(error),
        Err(doubt) => doubt,
    };
    match legacy(place, context, options).await {
        Ok(connected) => Ok(connected),
        // So it is a modern one, and what failed before was the moment's.
        Err(error) if error.is_wrong_era() => match discover(place, context, options).await {
            Ok(connected) => Ok(connected),
            Err(Doubt::Unproven(_)) => Err(error),
            Err(doubt) => Err(doubt.into_error()),
        },
        Err(error) => match doubt {
            Doubt::Proven(refused) => Err(refused),
            _ => Err(error),
        },
    }
}

/// What a session that may only be a modern one fails with.
fn no_modern(place: &Place, doubt: Doubt) -> Error {
    let error = match doubt {
        Doubt::Unproven(error) => error,
        other => return other.into_error(),
    };
    match error.problem() {
        Problem::TimedOut { .. } | Problem::Broken { .. } => error,
        problem => {
            let wrong = Problem::WrongEra { modern: true, reason: problem.to_string(), status: error.status() };
            place.error(Delivery::NotSent, wrong)
        }
    }
}

/// Asks the server what it is.
async fn discover(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Doubt> {
    let client = Arc::new(ClientFacts::of(options));
    let described =
        super::discover(&client).map_err(|problem| Doubt::Final(place.error(Delivery::NotSent, problem)))?;
    let wire = Streamable::modern(Arc::clone(place), Arc::clone(context));
    let patience = super::patience(options);
    let mut refused = None;
    for id in DISCOVER_IDS {
        let outcome = timeout(patience, wire.discover(id, &described)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(super::timed_out(&place.server, METHOD, patience)));
        match judged(outcome)? {
            Verdict::Modern(facts) => {
                let (wire, context) = (Wire::Streamable(wire), Arc::clone(context));
                return Ok(Connected { facts: *facts, wire, context, client: Some(client) });
            }
            Verdict::Again(error) => refused = Some(error),
            Verdict::Refused(error) => {
                return Err(Doubt::Proven(place.error(Delivery::Answered, modern::refused(error))));
            }
            Verdict::Unproven(problem) => {
                return Err(Doubt::Unproven(place.error(Delivery::Answered, problem)));
            }
        }
    }
    let again = refused.map_or(Problem::Closed, modern::refused);
    Err(Doubt::Proven(place.error(Delivery::Answered, again)))
}

/// What came of asking, whichever envelope it came in.
fn judged(outcome: Result<crate::answer::Answer, Error>) -> Result<Verdict, Doubt> {
    let error = match outcome {
        Ok(answer) => return Ok(modern::verdict(&answer, Transport::Streamable)),
        Err(error) => error,
    };
    // An error without our id, as a server sends that did not get so far as to read it.
    if let Some(rpc) = error.refusal().and_then(|refusal| refusal.rpc.clone()).filter(|rpc| rpc.is_of_modern_era()) {
        return Ok(modern::of_error(rpc));
    }
    let hopeless = error.is_connect()
        || error.not_signed_in().is_some()
        || error.status().is_some_and(is_final)
        || matches!(error.problem(), Problem::Closed | Problem::InvalidTarget(_));
    Err(if hopeless { Doubt::Final(error) } else { Doubt::Unproven(error) })
}

/// `initialize` over Streamable HTTP.
async fn legacy(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let mut wire = Streamable::new(Arc::clone(place), Arc::clone(context));
    let answer = wire.initialize(INITIALIZE_ID, super::initialize(options)).await?;
    let facts = handshake::read(&answer, Transport::Streamable, wire.has_session(), options.revision)
        .map_err(|problem| place.error(Delivery::Answered, problem))?;
    wire.agree(facts.revision);
    match wire.send(super::initialized(), With::headers(&HeaderMap::new())).await {
        // Servers exist that refuse what they need not hear. If the session is of no use, the first request tells.
        Err(error) if may_be_ignored(&error) => tracing::warn!(%error, "`notifications/initialized` was refused"),
        sent => sent?,
    }
    if options.listen {
        wire.listen();
    }
    Ok(Connected { facts, wire: Wire::Streamable(wire), context: Arc::clone(context), client: None })
}

fn may_be_ignored(error: &Error) -> bool {
    matches!(error.problem(), Problem::Status(_))
        && !matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
}

async fn sse(place: &Arc<Place>, context: &Arc<Context>, options: &Options) -> Result<Connected, Error> {
    let mut wire = Sse::open(Arc::clone(place), Arc::clone(context)).await?;
    let none = HeaderMap::new();
    let answer = wire.request(INITIALIZE_ID, super::initialize(options), &none).await?;
    let facts = handshake::read(&answer, Transport::Sse, false, options.revision)
        .map_err(|problem| place.error(Delivery::Answered, problem))?;
    wire.agree(facts.revision);
    wire.send(super::initialized(), &none).await?;
    Ok(Connected { facts, wire: Wire::Sse(wire), context: Arc::clone(context), client: None })
}
