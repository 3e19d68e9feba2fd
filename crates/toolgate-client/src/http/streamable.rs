//! Streamable HTTP: a POST for each message, answered by JSON or by an event stream.
//!
//! In the legacy era there may be a session, a broken stream can be resumed, and the server may ask and speak by itself.
//! In the modern one requests carry all there is to know, and closing the stream is how a request is cancelled.
//!
//! Sources: MCP 2025-11-25 and 2026-07-28, Transports, Streamable HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming as Body;
use toolgate_mcp::version::Revision;

use super::era;
use super::events::EventStream;
use super::listen;
use super::request::{self, LAST_EVENT_ID, Media, PROTOCOL_VERSION, Place, SESSION_ID};
use super::resumption::{RESUME_TRIES, Resumption};
use super::streaming::{self, Begun, Large};
use super::{ASIDE, body};
use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::context::Context;
use crate::error::{Delivery, Error, Problem, Refusal, bad_message, excerpt};
use crate::listening::{self, Hearer};
use crate::message::{self, Incoming};
use crate::modern::{self, Described, Repeats};
use crate::options::{Call, Events};

/// An answer, or the beginning of a large one.
pub(crate) enum Arrived {
    Whole(Answer),
    Large(Box<Large>),
}

/// What a request brings along: headers of its own, and who hears what the server says on its stream.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) events: Option<&'a Arc<dyn Events>>,
    /// What headers repeat of the body; in the modern era.
    pub(crate) repeats: Option<&'a Repeats>,
}

impl<'a> With<'a> {
    pub(crate) fn of(call: &'a Call, repeats: Option<&'a Repeats>) -> Self {
        Self { headers: &call.headers, events: call.events.as_ref(), repeats }
    }

    pub(crate) fn headers(headers: &'a HeaderMap) -> Self {
        Self { headers, events: None, repeats: None }
    }
}

/// One server, and our session there.
#[derive(Clone)]
pub(crate) struct Streamable {
    place: Arc<Place>,
    /// All headers of a POST, ready to be cloned.
    headers: HeaderMap,
    context: Arc<Context>,
    modern: bool,
    listens: Arc<AtomicBool>,
}

impl Streamable {
    pub(crate) fn new(place: Arc<Place>, context: Arc<Context>) -> Self {
        let mut headers = place.headers.clone();
        request::for_messages(&mut headers);
        Self { place, headers, context, modern: false, listens: Arc::default() }
    }

    /// As [`Streamable::new`], for revision 2026-07-28.
    pub(crate) fn modern(place: Arc<Place>, context: Arc<Context>) -> Self {
        let mut wire = Self::new(place, context);
        wire.modern = true;
        wire.agree(modern::REVISION);
        wire
    }

    /// Asks `server/discover`; whatever comes back is for the caller to judge.
    pub(crate) async fn discover(&self, id: u64, described: &Described) -> Result<Answer, Error> {
        let none = HeaderMap::new();
        let with = With { repeats: Some(&described.repeats), ..With::headers(&none) };
        let message = message::request(id, modern::METHOD, Some(&described.params));
        let response = self.post(message, with).await?;
        self.answer(id, response, with).await
    }

    /// Sends `initialize`, and keeps the session id that comes with the answer.
    pub(crate) async fn initialize(&mut self, id: u64, message: Bytes) -> Result<Answer, Error> {
        let response = self.place.post(&self.place.uri, self.headers.clone(), message).await?;
        let session = response.headers().get(SESSION_ID).cloned();
        let answer = self.answer(id, response, With::headers(&HeaderMap::new())).await;
        let answer = era::checked(&self.place, self.modern, answer)?;
        if let Some(session) = session {
            if !request::valid_session_id(&session) {
                let why = "its `Mcp-Session-Id` holds something else than visible ASCII".to_owned();
                return Err(self.place.error(Delivery::Answered, Problem::BadHandshake(why)));
            }
            self.headers.insert(SESSION_ID, session);
        }
        Ok(answer)
    }

    /// Speaks `revision` from now on.
    pub(crate) fn agree(&mut self, revision: Revision) {
        if revision.has_version_header() {
            self.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.name()));
        }
    }

    pub(crate) fn has_session(&self) -> bool {
        self.headers.contains_key(SESSION_ID)
    }

    pub(crate) async fn request(&self, id: u64, message: Bytes, with: With<'_>) -> Result<Answer, Error> {
        let response = self.post(message, with).await?;
        era::checked(&self.place, self.modern, self.answer(id, response, with).await)
    }

    /// As [`Streamable::request`], but a large JSON answer is given as soon as it is known to be one.
    pub(crate) async fn request_streaming(&self, id: u64, message: Bytes, with: With<'_>) -> Result<Arrived, Error> {
        let response = self.post(message, with).await?;
        if !response.status().is_success() || !matches!(Media::of(response.headers()), Media::Json) {
            let answer = self.answer(id, response, with).await;
            return era::checked(&self.place, self.modern, answer).map(Arrived::Whole);
        }
        self.place.check_encoding(response.headers())?;
        let status = response.status();
        match streaming::begin(&self.place.server, response.into_body(), id, self.context.limits.message_bytes).await? {
            Begun::Whole(bytes) => {
                let answer = self.answer_in(id, status, bytes, with);
                era::checked(&self.place, self.modern, answer).map(Arrived::Whole)
            }
            Begun::Large(large) => Ok(Arrived::Large(large)),
        }
    }

    /// Sends a `subscriptions/listen`; `hearer` hears what comes until its end.
    pub(crate) async fn subscribe(
        self,
        id: u64,
        message: Bytes,
        repeats: Option<Repeats>,
        hearer: Arc<Hearer>,
    ) -> Result<(), Error> {
        let (none, events): (_, Arc<dyn Events>) = (HeaderMap::new(), hearer);
        let with = With { headers: &none, events: Some(&events), repeats: repeats.as_ref() };
        let answer = self.request(id, message, with).await?;
        match answer.outcome() {
            AnswerOutcome::Result(_) => Ok(()),
            AnswerOutcome::Error(error) => {
                let problem = Problem::Refused { method: listening::METHOD.into(), error: RpcError::read(error) };
                Err(self.place.error(Delivery::Answered, problem))
            }
        }
    }

    /// Sends a message that has no answer: a notification.
    pub(crate) async fn send(&self, message: Bytes, with: With<'_>) -> Result<(), Error> {
        let response = self.post(message, with).await?;
        if !response.status().is_success() {
            self.place.refused(response, self.has_session(), None).await?;
        } else {
            self.drain(response.into_body());
        }
        Ok(())
    }

    /// Hears what the server says by itself, on a task of the session; does nothing when that is so already.
    pub(crate) fn listen(&self) {
        if self.modern || self.listens.swap(true, Ordering::Relaxed) {
            return;
        }
        self.context.spawn(listen::run(self.clone(), Arc::clone(&self.context)));
    }

    /// Tells the server, on a task of the session, that nobody waits for the answer to `id` any more.
    pub(crate) fn abandon(&self, id: u64, extra: &HeaderMap) {
        if self.modern {
            // The response was closed with the future that read it, and that says so.
            return;
        }
        let (wire, headers) = (self.clone(), self.headers_with(With::headers(extra)));
        self.context.spawn(async move {
            if let Err(why) = wire.send_aside(message::cancelled(id), headers).await {
                tracing::debug!(server = %wire.place.server, "a cancellation was not sent: {why}");
            }
        });
    }

    /// Ends the session at the server, as far as it lets itself be ended, on a task of the session.
    pub(crate) fn farewell(&self) {
        if !self.has_session() {
            return;
        }
        let (place, headers) = (Arc::clone(&self.place), self.headers.clone());
        self.context.spawn(async move {
            let delete = place.send(Method::DELETE, &place.uri, headers, Bytes::new());
            match tokio::time::timeout(ASIDE, delete).await {
                // 405 is how a server says that clients do not end its sessions.
                Ok(Ok(response)) => body::drain(response.into_body()).await,
                Ok(Err(error)) => tracing::debug!(%error, "the session could not be ended"),
                Err(_) => {
                    tracing::debug!(server = %place.server, "the server did not answer to the end of the session")
                }
            }
        });
    }

    async fn post(&self, message: Bytes, with: With<'_>) -> Result<Response<Body>, Error> {
        self.place.post(&self.place.uri, self.headers_with(with), message).await
    }

    fn headers_with(&self, with: With<'_>) -> HeaderMap {
        let mut headers = self.headers.clone();
        request::overlay(&mut headers, with.headers);
        if let Some(repeats) = with.repeats {
            headers.insert(request::METHOD, repeats.method.clone());
            repeats.name.iter().for_each(|name| _ = headers.insert(request::NAME, name.clone()));
        }
        headers
    }

    /// Answers a request of the server, on a task of the session; `held` is dropped when that is done.
    fn reply(&self, reply: Bytes, headers: HeaderMap, held: impl Send + 'static) {
        let wire = self.clone();
        self.context.spawn(async move {
            if let Err(why) = wire.send_aside(reply, headers).await {
                wire.context.undelivered(&why);
            }
            drop(held);
        });
    }

    /// Sends `message`, for which nobody waits long; tells why not.
    async fn send_aside(&self, message: Bytes, headers: HeaderMap) -> Result<(), String> {
        let send = async {
            let response = self.place.post(&self.place.uri, headers, message).await?;
            if response.status().is_success() {
                body::drain(response.into_body()).await;
                Ok(())
            } else {
                self.place.refused(response, self.has_session(), None).await.map(drop)
            }
        };
        match tokio::time::timeout(ASIDE, send).await {
            Ok(sent) => sent.map_err(|error: Error| error.problem().to_string()),
            Err(_) => Err(format!("it was not taken within {ASIDE:?}")),
        }
    }

    fn drain(&self, body: Body) {
        use http_body::Body as _;
        if !body.is_end_stream() {
            self.context.spawn(body::drain(body));
        }
    }

    /// The answer to `id`, out of the response to the POST that carried it. Whatever has to be sent meanwhile carries
    /// the request's own headers too, for its credentials may be among them.
    async fn answer(&self, id: u64, response: Response<Body>, with: With<'_>) -> Result<Answer, Error> {
        let status = response.status();
        if !status.is_success() {
            return Box::pin(self.place.refused(response, self.has_session(), Some(id))).await;
        }
        self.place.check_encoding(response.headers())?;
        let media = Media::of(response.headers());
        let body = response.into_body();
        match media {
            Media::Events => {
                // In a box, so that requests that are answered in JSON do not carry the size of a stream reader.
                let stream = EventStream::new(body, self.context.limits.message_bytes);
                Box::pin(self.follow(id, stream, with)).await
            }
            Media::Json => {
                let bytes = body::collect(&self.place.server, body, self.context.limits.message_bytes).await?;
                self.answer_in(id, status, bytes, with)
            }
            Media::Other(content_type) => {
                let text = body::refusal(&self.place.server, body).await;
                let excerpt = excerpt(&text);
                let nothing = text.is_empty() || status == StatusCode::ACCEPTED;
                let problem = if nothing {
                    Problem::NoAnswer { status, excerpt }
                } else {
                    Problem::NotMcp { content_type, excerpt }
                };
                Err(self.place.error(Delivery::Answered, problem))
            }
        }
    }

    /// The answer to `id` in a JSON body.
    fn answer_in(&self, id: u64, status: StatusCode, bytes: Bytes, with: With<'_>) -> Result<Answer, Error> {
        let wrong = |problem| self.place.error(Delivery::Answered, problem);
        let no_answer = || wrong(Problem::NoAnswer { status, excerpt: excerpt(&bytes) });
        if bytes.is_empty() {
            return Err(no_answer());
        }
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            let incoming = Incoming::read(&bytes).map_err(|error| wrong(bad_message(&error, &bytes)))?;
            if matches!(incoming, Incoming::Stray { is_error: true }) {
                return Err(wrong(self.error_without_id(status, &bytes)));
            }
            return self.take(id, incoming, with).ok_or_else(no_answer);
        }
        // Servers of revision 2025-03-26 may answer with a batch; what else is in it is heard as on a stream.
        let parts = message::split(bytes.clone()).map_err(|error| wrong(bad_message(&error, &bytes)))?;
        let mut answer = None;
        for part in parts {
            let incoming = Incoming::read(&part).map_err(|error| wrong(bad_message(&error, &part)))?;
            answer = self.take(id, incoming, with).or(answer);
        }
        answer.ok_or_else(no_answer)
    }

    /// An error whose `id` is null answers a message that the server could not read, and here that can only be ours.
    fn error_without_id(&self, status: StatusCode, bytes: &Bytes) -> Problem {
        let rpc = request::rpc_error(bytes, None).0;
        let excerpt = excerpt(bytes);
        Problem::Status(Box::new(Refusal { status, www_authenticate: None, retry_after: None, rpc, excerpt }))
    }

    /// Takes the answer to `id`; everything else is heard, answered or dropped.
    fn take(&self, id: u64, incoming: Incoming, with: With<'_>) -> Option<Answer> {
        match incoming {
            Incoming::Answer(number, answer) if number == id => return Some(answer),
            Incoming::Answer(..) | Incoming::Stray { .. } => self.context.stray("an answer to another request"),
            Incoming::Notification { method, message } => self.context.notified(&method, message, with.events),
            Incoming::Request(_) if self.modern => self.context.stray("a request of the server, where there are none"),
            Incoming::Request(asked) => {
                let (wire, headers) = (self.clone(), self.headers_with(With::headers(with.headers)));
                let deliver = move |reply, place| wire.reply(reply, headers, place);
                self.context.asked(asked, with.events, deliver);
            }
        }
        None
    }

    /// Reads the stream, and those that continue it, until the answer to `id` comes.
    async fn follow(&self, id: u64, mut stream: EventStream, with: With<'_>) -> Result<Answer, Error> {
        let mut resumption = Resumption::default();
        loop {
            let why = match self.read(id, &mut stream, &mut resumption, with).await {
                Ok(Some(answer)) => {
                    if let Some(body) = stream.into_unfinished() {
                        self.context.spawn(body::drain(body));
                    }
                    return Ok(answer);
                }
                Ok(None) => String::new(),
                Err(error) => match error.problem() {
                    Problem::Broken { reason } => reason.clone(),
                    _ => return Err(error),
                },
            };
            stream = self.resume(&mut resumption, why, with).await?;
        }
    }

    /// Reads `stream` until the answer to `id` comes; `None` when the stream ends before that.
    pub(super) async fn read(
        &self,
        id: u64,
        stream: &mut EventStream,
        resumption: &mut Resumption,
        with: With<'_>,
    ) -> Result<Option<Answer>, Error> {
        while let Some(event) = stream.next(&self.place.server).await? {
            resumption.saw(&event);
            if event.data.is_empty() || event.event.as_deref().is_some_and(|kind| kind != "message") {
                continue;
            }
            let incoming = Incoming::read(&event.data);
            match &incoming {
                Ok(Incoming::Notification { .. } | Incoming::Request(_)) => resumption.junk.clear(),
                _ => resumption.junk.more().map_err(|problem| self.place.error(Delivery::Unknown, problem))?,
            }
            match incoming {
                Ok(incoming) => {
                    if let Some(answer) = self.take(id, incoming, with) {
                        return Ok(Some(answer));
                    }
                }
                Err(error) => {
                    self.context.stray("an event that is not an MCP message");
                    resumption.garbage.get_or_insert_with(|| bad_message(&error, &event.data).to_string());
                }
            }
        }
        Ok(None)
    }

    /// The continuation of a stream that ended before its time.
    async fn resume(&self, resumption: &mut Resumption, mut why: String, with: With<'_>) -> Result<EventStream, Error> {
        let ended = |reason| self.place.error(Delivery::Unknown, Problem::StreamEnded { reason });
        if self.modern || resumption.last_event_id.is_none() {
            return Err(ended(resumption.garbage.take().unwrap_or(why)));
        }
        while resumption.tries < RESUME_TRIES {
            resumption.tries += 1;
            tokio::time::sleep(resumption.retry).await;
            let error = match self.open_stream(resumption.last_event_id.clone(), with).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if error.session_lost() {
                // Unlike other lost sessions, this one took the request before it ended.
                return Err(error.with_delivery(Delivery::Unknown));
            }
            why = format!("resuming it failed: {}", error.problem());
            if !may_pass(&error) {
                break;
            }
        }
        Err(ended(why))
    }

    /// Asks for a stream with a GET: the continuation of another, or the one on which the server speaks by itself.
    pub(super) async fn open_stream(
        &self,
        last_event_id: Option<HeaderValue>,
        with: With<'_>,
    ) -> Result<EventStream, Error> {
        let mut headers = self.headers_with(with);
        headers.remove(header::CONTENT_TYPE);
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last_event_id) = last_event_id {
            headers.insert(LAST_EVENT_ID, last_event_id);
        }
        let response = self.place.send(Method::GET, &self.place.uri, headers, Bytes::new()).await?;
        let status = response.status();
        let no_stream = |excerpt| self.place.error(Delivery::Answered, Problem::NoAnswer { status, excerpt });
        if !status.is_success() {
            let refused = self.place.refused(response, self.has_session(), None).await;
            return Err(refused.err().unwrap_or_else(|| no_stream(String::new())));
        }
        self.place.check_encoding(response.headers())?;
        match Media::of(response.headers()) {
            Media::Events => Ok(EventStream::new(response.into_body(), self.context.limits.message_bytes)),
            Media::Json => Err(no_stream("JSON in place of events".to_owned())),
            Media::Other(other) => Err(no_stream(format!("{other} in place of events"))),
        }
    }
}

/// Whether a failure to open a stream may be gone the next time.
pub(super) fn may_pass(error: &Error) -> bool {
    match error.problem() {
        Problem::Connect { .. } | Problem::Broken { .. } => true,
        _ => error.status().is_some_and(|status| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS),
    }
}
