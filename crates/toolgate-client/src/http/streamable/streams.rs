//! Event streams: read until the answer comes, and taken up again where they broke off, in the legacy era.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use super::super::body;
use super::super::events::EventStream;
use super::super::listen::NO_REQUEST;
use super::super::request::{LAST_EVENT_ID, Media, SESSION_ID};
use super::super::resumption::{QUIET, RESUME_TRIES, Resumption};
use super::{Streamable, With};
use crate::answer::Answer;
use crate::error::{Delivery, Error, Problem, bad_message};
use crate::message::Incoming;
use crate::options::StreamPlace;

impl Streamable {
    /// Reads the stream, and those that continue it, until the answer to `id` comes.
    pub(super) async fn follow(&self, id: u64, stream: EventStream, with: With<'_>) -> Result<Answer, Error> {
        self.follow_from(id, stream, Resumption::default(), with).await
    }

    /// The answer to `id` on the continuation of its stream, which somebody else has read up to `resumption`.
    pub(crate) async fn take_up(&self, id: u64, mut resumption: Resumption, with: With<'_>) -> Result<Answer, Error> {
        resumption.is_continued = true;
        let stream = match self.open_stream(resumption.last_event_id.clone(), with).await {
            Err(error) if may_pass(&error) => self.resume(&mut resumption, error.problem().to_string(), with).await?,
            opened => opened?,
        };
        self.follow_from(id, stream, resumption, with).await
    }

    /// [`Streamable::follow`], where the beginning of the stream is known.
    async fn follow_from(
        &self,
        id: u64,
        mut stream: EventStream,
        mut resumption: Resumption,
        with: With<'_>,
    ) -> Result<Answer, Error> {
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
    pub(in crate::http) async fn read(
        &self,
        id: u64,
        stream: &mut EventStream,
        resumption: &mut Resumption,
        with: With<'_>,
    ) -> Result<Option<Answer>, Error> {
        loop {
            let next = stream.next(&self.place.server);
            let event = match resumption.is_continued {
                true => match tokio::time::timeout(QUIET, next).await {
                    Ok(event) => event?,
                    Err(_) => {
                        // Not the server's failure, which a try would count as.
                        resumption.tries = 0;
                        None
                    }
                },
                false => next.await?,
            };
            let Some(event) = event else { return Ok(None) };
            resumption.saw(&event);
            if event.id.is_some() && !self.modern {
                self.passed(id, resumption, !event.data.is_empty(), with);
            }
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
    }

    /// Tells whoever hears on the stream of request `id` how far it has come.
    fn passed(&self, id: u64, resumption: &Resumption, has_message: bool, with: With<'_>) {
        let place = StreamPlace {
            session_id: self.headers.get(SESSION_ID).and_then(|id| id.to_str().ok()),
            revision: self.revision,
            request: (id != NO_REQUEST).then_some(id),
            last_event_id: resumption.last_event_id.as_ref().and_then(|id| id.to_str().ok()),
            has_message,
        };
        with.events.unwrap_or(&self.context.events).passed(place);
    }

    /// The continuation of a stream that ended before its time.
    async fn resume(&self, resumption: &mut Resumption, mut why: String, with: With<'_>) -> Result<EventStream, Error> {
        let ended = |reason| self.place.error(Delivery::Unknown, Problem::StreamEnded { reason });
        resumption.is_continued = true;
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
    pub(in crate::http) async fn open_stream(
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
pub(in crate::http) fn may_pass(error: &Error) -> bool {
    match error.problem() {
        Problem::Connect { .. } | Problem::Broken { .. } => true,
        // 409: to the server, whoever read the stream before still reads it.
        _ => error.status().is_some_and(|status| {
            status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT)
        }),
    }
}
