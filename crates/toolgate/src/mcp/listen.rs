//! `GET`: the stream on which a client hears what no request of its own brings about, or a response that it lost and
//! takes up again.
//!
//! MCP 2025-11-25, Transports, Listening for Messages from the Server, and Resumability and Redelivery.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use toolgate_mcp::headers;

use super::endpoint::{FoundSession, session_of};
use super::event_id::{Position, StreamId};
use super::head::Accepts;
use super::live::{Heard, Listener};
use super::outlet::Reader;
use super::refusal::Refusal;
use super::scope::{PathNames, Selection};
use super::session::ClientSession;
use super::{stream, taken_up};
use crate::faces::admission::Admitted;
use crate::gateway::Gateway;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static(headers::LAST_EVENT_ID);

/// After which time a client whose stream broke off is to come back, in milliseconds.
const RETRY_MS: u32 = 1000;

/// `GET`: opens a stream of the session.
pub async fn get(
    State(gateway): State<Gateway>,
    mut admitted: Admitted,
    names: PathNames,
    headers: HeaderMap,
) -> Response {
    match open(&gateway, &mut admitted, names, &headers) {
        Ok(reader) => stream::response(Body::from_stream(reader)),
        Err(refusal) => refusal.into_response(),
    }
}

fn open(gateway: &Gateway, admitted: &mut Admitted, names: PathNames, headers: &HeaderMap) -> Result<Reader, Refusal> {
    let selection = Selection::enter(gateway, admitted, names, headers)?;
    let Admitted { caller, snapshot } = &*admitted;
    let scope = selection.scope_of_request(gateway, snapshot, &caller.grant)?;
    let session = match session_of(gateway, caller, headers) {
        FoundSession::Absent => return Err(Refusal::SessionRequired),
        FoundSession::Unknown => return Err(Refusal::UnknownSession),
        FoundSession::Open(session) => session,
    };
    if !Accepts::of(headers).streams {
        return Err(Refusal::NotAStream);
    }
    let after = position(gateway, admitted, &session, headers)?;
    let place = gateway.streams.place(snapshot.settings.clients.streams).ok_or(Refusal::TooManyStreams)?;
    let held = (gateway.metrics.stream_opened(), place);
    let live = gateway.lives.of(&session, caller);
    if let Some(Position { stream: StreamId::Response(number), number: read, behind }) = &after {
        let outlet = match live.response(*number) {
            Some(outlet) => outlet,
            None => {
                let behind = behind.as_ref().ok_or(Refusal::EventId)?;
                let former = taken_up::Former { gateway, snapshot, caller, live: &live, scope: &scope };
                former.take_up(*number, *read, behind)?
            }
        };
        return Ok(outlet.reader_after(*read).holding(held));
    }
    let sealer = session.revision.has_event_ids().then(|| gateway.sessions.sealer());
    let tells_places = session.revision.has_priming_events();
    let after = after.as_ref();
    let heard = live.listen(Listener { caller, selection, scope: &scope, sealer, tells_places, after });
    let Heard { reader, from, is_another } = heard;
    if is_another {
        // That of a former process. What it would have told of lists nobody knows.
        live.tell_all_lists(snapshot.settings.general.disabled);
        if let Some(behind) = after.and_then(|after| after.behind.as_ref()) {
            taken_up::Former { gateway, snapshot, caller, live: &live, scope: &scope }.listen_again(behind);
        }
    }
    // Only now, or streams would begin anew that can be gone on with.
    live.hear(caller, &scope);
    live.subscribe_again(gateway, snapshot, caller, &scope);
    let reader = match sealer.filter(|_| tells_places) {
        Some(sealer) => reader.after(priming(&from.seal(sealer, &caller.id, session.key))),
        None => reader,
    };
    Ok(reader.holding(held))
}

/// The place that the client names as the last that it has read.
fn position(
    gateway: &Gateway,
    admitted: &Admitted,
    session: &ClientSession,
    headers: &HeaderMap,
) -> Result<Option<Position>, Refusal> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = id.to_str().map_err(|_| Refusal::EventId)?;
    let position = Position::open(gateway.sessions.sealer(), &admitted.caller.id, session.key, id);
    position.map(Some).ok_or(Refusal::EventId)
}

/// An event without data, by whose id a client that loses the stream can come back before there was any other.
pub(super) fn priming(id: &str) -> Bytes {
    Bytes::from(format!("id: {id}\nretry: {RETRY_MS}\ndata: \n\n"))
}
