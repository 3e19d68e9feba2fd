//! A request of the server, waiting for its answer.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, Message, Request, code};

use crate::answer::AnswerOutcome;
use crate::error::excerpt;
use crate::message;

/// Sends the answer's bytes to the server, or says in the log why not.
type Deliver = Box<dyn FnOnce(Bytes) + Send + Sync>;

/// Sends what is said to the server before that.
type Tell = Box<dyn Fn(Bytes) + Send + Sync>;

/// A request of the server: sampling, elicitation, roots, or whatever else a server may ask its client.
///
/// Dropped without an answer, it is refused with -32601, so that no server waits for nothing.
pub struct Question {
    message: Bytes,
    method: Box<str>,
    id: Id,
    id_text: Range<usize>,
    params: Option<Range<usize>>,
    deliver: Option<Deliver>,
    /// `None` where nothing can be said before the answer.
    tell: Option<Tell>,
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

    pub(crate) fn with(self, deliver: impl FnOnce(Bytes) + Send + Sync + 'static, tell: Option<Tell>) -> Question {
        let Self { message, method, id, id_text, params } = self;
        Question { message, method, id, id_text, params, deliver: Some(Box::new(deliver)), tell }
    }
}

impl Question {
    /// A question that came by another way than as a request, such as in a modern server's `input_required`: as if the
    /// server had sent it with this `id`. `answered` is given the whole response, an error when nobody answers.
    ///
    /// `None` when `params` are no JSON text.
    pub fn posed(
        id: &Id,
        method: &str,
        params: Option<&str>,
        answered: impl FnOnce(Bytes) + Send + Sync + 'static,
    ) -> Option<Self> {
        let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
        let method = jsonrpc::quote(method);
        let message = Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method}{params}}}"));
        match jsonrpc::parse(&message).ok()? {
            Message::Request(request) => Some(Asked::new(&message, request).with(answered, None)),
            Message::Notification(_) | Message::Response(_) => None,
        }
    }

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
        self.deliver = None;
    }

    /// Tells the server something about it before the answer, such as how far the work on it has come.
    pub fn notify(&self, method: &str, params: Option<&str>) {
        if let Some(tell) = &self.tell {
            tell(message::notification(method, params));
        }
    }

    fn deliver(&mut self, bytes: Vec<u8>) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Bytes::from(bytes));
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
