//! Streamable HTTP: a POST for each message, answered by JSON or by an event stream.
//!
//! In the legacy era there may be a session, a broken stream can be resumed, and the server may ask and speak by itself.
//! In the modern one requests carry all there is to know, and closing the stream is how a request is cancelled.
//!
//! Sources: MCP 2025-11-25 and 2026-07-28, Transports, Streamable HTTP.

mod answers;
mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, Response};
use tokio_util::sync::CancellationToken;
use toolgate_mcp::stream::Translation;
use toolgate_mcp::version::Revision;

use super::era;
use super::listen;
use super::origin::Body;
use super::request::{self, Media, PROTOCOL_VERSION, Place, SESSION_ID};
use super::streaming::{self, Begun, Large};
use super::{ASIDE, body};
use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::listening::{self, Hearer};
use crate::message;
use crate::modern::{self, Described, Repeats};
use crate::options::{Call, Events};

pub(super) use streams::may_pass;

/// How long the head of the listening stream is waited for.
const LISTENING_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// What is made of a large answer.
    pub(crate) translation: Option<&'a Translation>,
}

impl<'a> With<'a> {
    pub(crate) fn of(call: &'a Call, repeats: Option<&'a Repeats>) -> Self {
        let translation = call.translation.as_ref();
        Self { headers: &call.headers, events: call.events.as_ref(), repeats, translation }
    }

    pub(crate) fn headers(headers: &'a HeaderMap) -> Self {
        Self { headers, events: None, repeats: None, translation: None }
    }
}

/// One server, and our session there.
#[derive(Clone)]
pub(crate) struct Streamable {
    place: Arc<Place>,
    /// All headers of a POST, ready to be cloned.
    headers: HeaderMap,
    context: Arc<Context>,
    revision: Revision,
    modern: bool,
    listens: Arc<AtomicBool>,
    /// Cancelled when the first try to open the listening stream is over.
    listening: CancellationToken,
}

impl Streamable {
    pub(crate) fn new(place: Arc<Place>, context: Arc<Context>) -> Self {
        let mut headers = place.headers.clone();
        request::for_messages(&mut headers);
        Self {
            place,
            headers,
            context,
            revision: Revision::ASSUMED_WITHOUT_HEADER,
            modern: false,
            listens: Arc::default(),
            listening: CancellationToken::new(),
        }
    }

    /// Goes on with a session that somebody else has opened.
    pub(crate) fn adopt(&mut self, session_id: Option<HeaderValue>, revision: Revision) {
        self.agree(revision);
        if let Some(session_id) = session_id {
            self.headers.insert(SESSION_ID, session_id);
        }
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.headers.get(SESSION_ID)?.to_str().ok()
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
        self.revision = revision;
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
        let (body, cap_bytes) = (response.into_body(), self.context.limits.message_bytes);
        match streaming::begin(&self.place.server, body, id, cap_bytes, with.translation).await? {
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
        let with = With { events: Some(&events), repeats: repeats.as_ref(), ..With::headers(&none) };
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

    /// Waits until the listening stream is open, or it is clear that there is none, if it is being opened.
    pub(crate) async fn listening(&self) {
        if !self.listens.load(Ordering::Relaxed) || self.listening.is_cancelled() {
            return;
        }
        tokio::select! {
            () = self.listening.cancelled() => {}
            () = self.context.ended.cancelled() => {}
            // Some servers send not even a head before there is an event.
            () = tokio::time::sleep(LISTENING_TIMEOUT) => self.listening.cancel(),
        }
    }

    /// The first try to open the listening stream is over.
    pub(super) fn note_listening(&self) {
        self.listening.cancel();
    }

    /// Hears what the server says by itself, on a task of the session; does nothing when that is so already.
    pub(crate) fn listen(&self) {
        if self.modern || self.listens.swap(true, Ordering::Relaxed) {
            return;
        }
        self.context.spawn(listen::run(self.clone(), Arc::clone(&self.context), None));
    }

    /// [`Streamable::listen`], after an event that somebody else has read.
    pub(crate) fn listen_after(&self, last_event_id: HeaderValue) {
        if self.modern || self.listens.swap(true, Ordering::Relaxed) {
            return;
        }
        self.context.spawn(listen::run(self.clone(), Arc::clone(&self.context), Some(last_event_id)));
    }

    /// Tells the server, on a task of the session, that nobody waits for the answer to `id` any more.
    pub(crate) fn abandon(&self, id: u64, extra: &HeaderMap, why: Option<&str>) {
        // To a modern server, the response was closed with the future that read it, and that says so.
        if self.modern || self.context.ended.is_cancelled() {
            return;
        }
        let (wire, headers) = (self.clone(), self.headers_with(With::headers(extra)));
        let cancelled = message::cancelled(id, why);
        self.context.spawn(async move {
            if let Err(why) = wire.send_aside(cancelled, headers).await {
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
}
