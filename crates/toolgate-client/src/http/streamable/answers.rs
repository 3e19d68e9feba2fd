//! From the response to a POST to the answer: a JSON body, an event stream, or a refusal.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::super::body;
use super::super::events::EventStream;
use super::super::origin::Body;
use super::super::request::{self, Media};
use super::{Streamable, With};
use crate::answer::Answer;
use crate::error::{Delivery, Error, Problem, Refusal, bad_message, excerpt};
use crate::message::{self, Incoming};

impl Streamable {
    /// The answer to `id`, out of the response to the POST that carried it. Whatever has to be sent meanwhile carries
    /// the request's own headers too, for its credentials may be among them.
    pub(super) async fn answer(&self, id: u64, response: Response<Body>, with: With<'_>) -> Result<Answer, Error> {
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
    pub(super) fn answer_in(&self, id: u64, status: StatusCode, bytes: Bytes, with: With<'_>) -> Result<Answer, Error> {
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
    pub(super) fn take(&self, id: u64, incoming: Incoming, with: With<'_>) -> Option<Answer> {
        match incoming {
            Incoming::Answer(number, answer) if number == id => return Some(answer),
            Incoming::Answer(..) | Incoming::Stray { .. } => self.context.stray("an answer to another request"),
            Incoming::Notification { method, message } => self.context.notified(&method, message, with.events),
            Incoming::Request(_) if self.modern => self.context.stray("a request of the server, where there are none"),
            Incoming::Request(asked) => {
                let (wire, headers) = (self.clone(), self.headers_with(With::headers(with.headers)));
                let deliver = move |reply, place| wire.reply(reply, headers.clone(), place);
                self.context.asked(asked, with.events, deliver);
            }
        }
        None
    }
}
