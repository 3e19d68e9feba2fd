//! HTTP+SSE, the transport of revision 2024-11-05: one GET stream for all that comes, POSTs for all that goes.
//!
//! Source: MCP 2024-11-05, Transports, HTTP with SSE.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Uri};
use tokio_util::sync::DropGuard;

use super::body;
use super::events::EventStream;
use super::request::{self, Media, PROTOCOL_VERSION, Place};
use crate::answer::Answer;
use crate::context::{Context, Junk};
use crate::error::{Delivery, Error, Problem, excerpt};
use crate::message::{self, Incoming};
use crate::pending::Pending;
use toolgate_mcp::version::Revision;

/// Events that may come before the one that names the endpoint.
const EVENTS_BEFORE_ENDPOINT: usize = 100;

/// One server, and the stream that makes the session.
pub(crate) struct Sse {
    poster: Poster,
    pending: Arc<Pending>,
    context: Arc<Context>,
    /// Ends the task that reads the stream.
    _reading: DropGuard,
}

/// What it takes to send a message.
#[derive(Clone)]
struct Poster {
    place: Arc<Place>,
    endpoint: Uri,
    headers: HeaderMap,
}

impl Sse {
    /// Opens the stream and waits for the `endpoint` event.
    pub(crate) async fn open(place: Arc<Place>, context: Arc<Context>) -> Result<Self, Error> {
        let mut stream = open_stream(&place, &context).await?;
        let endpoint = endpoint(&place, &mut stream).await?;
        let mut headers = place.headers.clone();
        request::for_messages(&mut headers);
        let poster = Poster { place, endpoint, headers };
        let pending = Arc::new(Pending::default());
        let reading = context.ended.child_token();
        let reader = Reader { poster: poster.clone(), pending: Arc::clone(&pending), context: Arc::clone(&context) };
        let stop = reading.clone();
        context.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = reader.run(stream) => {}
            }
        });
        Ok(Self { poster, pending, context, _reading: reading.drop_guard() })
    }

    /// Speaks `revision` from now on.
    pub(crate) fn agree(&mut self, revision: Revision) {
        if revision.has_version_header() {
            self.poster.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.name()));
        }
    }

    pub(crate) async fn request(&self, id: u64, message: Bytes, extra: &HeaderMap) -> Result<Answer, Error> {
        let mut waiter = self.pending.expect(id)?;
        let (poster, extra) = (self.poster.clone(), extra.clone());
        let mut send = Box::pin(async move { poster.send(message, &extra).await });
        tokio::select! {
            answer = waiter.answer() => {
                // The answer came before the POST that asked was itself answered. Dropping that would cost its
                // connection, so it is seen through aside.
                self.context.spawn(async move { drop(tokio::time::timeout(super::ASIDE, send).await) });
                return answer;
            }
            sent = &mut send => sent?,
        }
        waiter.answer().await
    }

    pub(crate) async fn send(&self, message: Bytes, extra: &HeaderMap) -> Result<(), Error> {
        match self.pending.lost() {
            Some(lost) => Err(lost.with_delivery(Delivery::NotSent)),
            None => self.poster.send(message, extra).await,
        }
    }

    /// Tells the server, on a task of the session, that nobody waits for the answer to `id` any more.
    pub(crate) fn abandon(&self, id: u64, extra: &HeaderMap, why: Option<&str>) {
        if self.pending.lost().is_none() {
            let (poster, extra, cancelled) = (self.poster.clone(), extra.clone(), message::cancelled(id, why));
            self.context.spawn(async move {
                if let Err(why) = poster.send_aside(cancelled, &extra).await {
                    tracing::debug!(server = %poster.place.server, "a cancellation was not sent: {why}");
                }
            });
        }
    }

    /// Why the session is lost, if it is.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.pending.lost()
    }

    /// Fails all that waits; the stream is closed with the context's end.
    pub(crate) fn close(&self) {
        self.pending.fail(&self.poster.place.error(Delivery::NotSent, Problem::Closed));
    }
}

impl Poster {
    async fn send(&self, message: Bytes, extra: &HeaderMap) -> Result<(), Error> {
        let mut headers = self.headers.clone();
        request::overlay(&mut headers, extra);
        let response = self.place.post(&self.endpoint, headers, message).await?;
        if response.status().is_success() {
            body::drain(response.into_body()).await;
        } else {
            // The session is part of the endpoint's address, so an unknown address is an unknown session.
            self.place.refused(response, true, None).await?;
        }
        Ok(())
    }

    /// Sends `message`, for which nobody waits long; tells why not.
    async fn send_aside(&self, message: Bytes, extra: &HeaderMap) -> Result<(), String> {
        match tokio::time::timeout(super::ASIDE, self.send(message, extra)).await {
            Ok(sent) => sent.map_err(|error| error.problem().to_string()),
            Err(_) => Err(format!("it was not taken within {:?}", super::ASIDE)),
        }
    }
}

/// Reads the session's stream to its end.
struct Reader {
    poster: Poster,
    pending: Arc<Pending>,
    context: Arc<Context>,
}

impl Reader {
    async fn run(self, mut stream: EventStream) {
        let place = &self.poster.place;
        let mut junk = Junk::default();
        let reason = loop {
            let event = match stream.next(&place.server).await {
                Ok(Some(event)) => event,
                Ok(None) => break String::new(),
                Err(error) => break error.problem().to_string(),
            };
            if self.heard(&event) || !self.pending.is_waited_for() {
                junk.clear();
            } else if let Err(problem) = junk.more() {
                break format!("it {problem}");
            }
        };
        self.pending.fail(&place.error(Delivery::Unknown, Problem::StreamLost { reason }));
        self.context.ended.cancel();
    }

    /// Whether `event` was of any use.
    fn heard(&self, event: &toolgate_mcp::sse::Event) -> bool {
        if event.data.is_empty() || event.event.as_deref().is_some_and(|kind| kind != "message") {
            return true;
        }
        match Incoming::read(&event.data) {
            Ok(Incoming::Answer(id, answer)) => {
                if !self.pending.answer(id, answer) {
                    self.context.stray("an answer that nobody waits for");
                    return false;
                }
            }
            Ok(Incoming::Stray { .. }) => {
                self.context.stray("an answer to another request");
                return false;
            }
            Ok(Incoming::Notification { method, message }) => self.context.notified(&method, message, None),
            Ok(Incoming::Request(asked)) => {
                let (poster, context) = (self.poster.clone(), Arc::clone(&self.context));
                self.context.asked(asked, None, move |reply, place| {
                    let (poster, teller) = (poster.clone(), Arc::clone(&context));
                    context.spawn(async move {
                        if let Err(why) = poster.send_aside(reply, &HeaderMap::new()).await {
                            teller.undelivered(&why);
                        }
                        drop(place);
                    });
                });
            }
            Err(_) => {
                self.context.stray("an event that is not an MCP message");
                return false;
            }
        }
        true
    }
}

async fn open_stream(place: &Place, context: &Context) -> Result<EventStream, Error> {
    let mut headers = place.headers.clone();
    request::for_messages(&mut headers);
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = place.send(Method::GET, &place.uri, headers, Bytes::new()).await?;
    if !response.status().is_success() {
        let refused = place.refused(response, false, None).await;
        return Err(refused.err().unwrap_or_else(|| {
            place.error(Delivery::Answered, Problem::Endpoint("the stream was refused".to_owned()))
        }));
    }
    place.check_encoding(response.headers())?;
    match Media::of(response.headers()) {
        Media::Events => Ok(EventStream::new(response.into_body(), context.limits.message_bytes)),
        media => {
            let text = body::refusal(&place.server, response.into_body()).await;
            let content_type = if let Media::Other(other) = media { other } else { "application/json".to_owned() };
            Err(place.error(Delivery::Answered, Problem::NotMcp { content_type, excerpt: excerpt(&text) }))
        }
    }
}

/// The address for messages, which the first event names.
async fn endpoint(place: &Place, stream: &mut EventStream) -> Result<Uri, Error> {
    let wrong = |why: &str| place.error(Delivery::Answered, Problem::Endpoint(why.to_owned()));
    for _ in 0..EVENTS_BEFORE_ENDPOINT {
        let Some(event) = stream.next(&place.server).await? else {
            return Err(wrong("the stream ended before its `endpoint` event"));
        };
        if event.event.as_deref() == Some("endpoint") {
            return resolve(place, &event.data).map_err(|why| wrong(&why));
        }
    }
    Err(wrong("other events came in place of the `endpoint` event"))
}

/// Resolves what an `endpoint` event names. Another origin is refused: our credentials go with every message.
fn resolve(place: &Place, data: &[u8]) -> Result<Uri, String> {
    let text = std::str::from_utf8(data).map_err(|_| "its `endpoint` event is not UTF-8".to_owned())?;
    let url = place.url.join(text.trim()).map_err(|error| format!("its `endpoint` event is not a URL: {error}"))?;
    if url.origin() != place.url.origin() {
        return Err(format!("its `endpoint` event leads to another origin, `{}`", crate::target::public_url(&url)));
    }
    request::uri(&url).ok_or_else(|| "its `endpoint` event is not a URL that HTTP can send".to_owned())
}
