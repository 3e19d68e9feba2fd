//! A request of the server, waiting for its answer.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Request, code};

use crate::answer::AnswerOutcome;
use crate::context::Place;
use crate::error::excerpt;
use crate::message;

/// Sends a message to the server, or says in the log why not. The place is given back when an answer is sent.
type Send = Box<dyn Fn(Bytes, Option<Place>) + std::marker::Send + Sync>;

/// A request of the server: sampling, elicitation, roots, or whatever else a server may ask its client.
///
/// Dropped without an answer, it is refused with -32601, so that no server waits for nothing.
pub struct Question {
    message: Bytes,
    method: Box<str>,
    id: Id,
    id_text: Range<usize>,
    params: Option<Range<usize>>,
    send: Send,
    /// Among the questions that may wait; `None` when this one does not wait any more.
    place: Option<Place>,
}

/// What a server asks, before anybody has been found to answer it.
pub(crate) struct Asked {
    message: Bytes,
    method: Box<str>,
    id: Id,
    id_text: Range<usize>,
    params: Option<Range<usize>>,
}

impl Asked {
    /// `request` must be borrowed from `message`.
    pub(crate) fn new(message: &Bytes, request: Request<'_>) -> Self {
        let place = |part: &str| {
            let start = part.as_ptr() as usize - message.as_ptr() as usize;
            start..start + part.len()
        };
        Self {
            id_text: place(request.id_text),
            params: request.params.map(|params| place(params.get())),
            id: request.id,
            method: request.method.into(),
            message: message.clone(),
        }
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.message.len()
    }

    /// The answer that every session gives by itself.
    pub(crate) fn pong(&self) -> Option<Bytes> {
        (&*self.method == "ping").then(|| Bytes::from(jsonrpc::result(&self.id, "{}")))
    }

    pub(crate) fn with(
        self,
        place: Place,
        send: impl Fn(Bytes, Option<Place>) + std::marker::Send + Sync + 'static,
    ) -> Question {
        let Self { message, method, id, id_text, params } = self;
        Question { message, method, id, id_text, params, send: Box::new(send), place: Some(place) }
    }
}

impl Question {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The parameters as JSON text.
    #[must_use]
    pub fn params(&self) -> Option<&str> {
        self.params.clone().map(|params| self.text(params))
    }

    /// The server's id for it as JSON text, as a `notifications/cancelled` of the server names it.
    #[must_use]
    pub fn id_text(&self) -> &str {
        self.text(self.id_text.clone())
    }

    /// The whole request as it came.
    #[must_use]
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// The whole request with `id` in place of the server's; every other byte stays.
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Vec<u8> {
        jsonrpc::with_id(&self.message, self.id_text(), id)
    }

    /// Answers with `outcome`, raw.
    pub fn relay(mut self, outcome: AnswerOutcome<'_>) {
        let bytes = match outcome {
            AnswerOutcome::Result(result) => jsonrpc::result(&self.id, result),
            AnswerOutcome::Error(error) => jsonrpc::raw_error(&self.id, error),
        };
        self.deliver(bytes);
    }

    /// Answers with a result; `result` is JSON text.
    pub fn answer(self, result: &str) {
        self.relay(AnswerOutcome::Result(result));
    }

    /// Answers with an error.
    pub fn refuse(mut self, error: &ErrorObject) {
        let bytes = jsonrpc::error(Some(&self.id), error);
        self.deliver(bytes);
    }

    /// Lets go of it without an answer: the server has withdrawn it.
    pub fn withdrawn(mut self) {
        self.place = None;
    }

    /// Tells the server something about it before the answer, such as how far the work on it has come.
    pub fn notify(&self, method: &str, params: Option<&str>) {
        (self.send)(message::notification(method, params), None);
    }

    fn deliver(&mut self, bytes: Vec<u8>) {
        if let Some(place) = self.place.take() {
            (self.send)(Bytes::from(bytes), Some(place));
        }
    }

    fn text(&self, part: Range<usize>) -> &str {
        std::str::from_utf8(&self.message[part]).expect("it was parsed as JSON text")
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let text = format!("this client does not serve `{}`", excerpt(self.method.as_bytes()));
        let bytes = jsonrpc::error(Some(&self.id), &ErrorObject::new(code::METHOD_NOT_FOUND, text));
        self.deliver(bytes);
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("method", &self.method).field("id", &self.id).finish_non_exhaustive()
    }
}
