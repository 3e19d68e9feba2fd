//! A server's answer in this revision's words, before it is known to which of the client's requests it goes.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use toolgate_client::{Answer, AnswerOutcome};
use toolgate_mcp::edit;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, code};
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::translate::{errors, questions, results, tasks, url_elicitation};
use toolgate_mcp::views::ViewError;

use super::refusal::status_of;
use crate::catalog::{CallError, Called};
use crate::faces::jsonrpc as face;
use crate::mcp::ended::{Ended, ErrorType, Limited};
use crate::mcp::reply::Message;
use crate::upstream::{Reader, Streamed};

/// How a request ended.
pub(super) struct Done {
    outcome: Outcome,
    pub(super) called: Option<Called>,
    pub(super) error: Option<ErrorType>,
    /// A limit is used up.
    pub(super) limited: Option<Limited>,
}

enum Outcome {
    /// The `result`, JSON text.
    Result(String),
    /// The `error`, JSON text.
    Error(String),
    /// A result that is still coming, in this revision's words already.
    Streamed(Box<Streamed>),
}

/// What a translation must know of the request.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    /// What was asked for, if a resource was.
    pub(super) uri: Option<&'r str>,
    pub(super) can: ClientCapabilities,
    /// The gateway's name and version as a JSON object.
    pub(super) server_info: &'r str,
}

impl Done {
    /// What a server answered.
    pub(super) fn answered(request: Request<'_>, answer: &Answer) -> Self {
        match answer.outcome() {
            AnswerOutcome::Result(result) => Self::result(request, result),
            AnswerOutcome::Error(error) => Self::error(request, error),
        }
    }

    /// A large result that is passed on while it comes; what it says of itself is not seen.
    pub(super) fn streamed(streamed: Streamed) -> Self {
        Self { outcome: Outcome::Streamed(Box::new(streamed)), called: None, error: None, limited: None }
    }

    /// A server's `result`.
    pub(super) fn result(request: Request<'_>, result: &str) -> Self {
        match results::to_modern(request.method, result, Some(request.server_info)) {
            Ok(result) => {
                Self { outcome: Outcome::Result(result.into_owned()), called: None, error: None, limited: None }
            }
            Err(error) => Self::unreadable(&error),
        }
    }

    /// The same, with the id of the task that it tells of, if it does, as the client knows it.
    pub(super) fn about_task(mut self, listed: impl FnOnce(&str) -> Option<String>) -> Self {
        if let Outcome::Result(result) = &self.outcome
            && let Ok(Some(own)) = tasks::id(result)
            && let Some(listed) = listed(&own)
            && let Ok(renamed) = tasks::with_id(result, &listed)
        {
            self.outcome = Outcome::Result(renamed.into_owned());
        }
        self
    }

    /// A server's `error`.
    fn error(request: Request<'_>, error: &str) -> Self {
        if let Some(asking) = asks_for_url(request, error) {
            return Self::result(request, &asking);
        }
        match errors::to_modern(error).and_then(|translated| with_uri(request, error, translated)) {
            Ok(error) => {
                let code = errors::code_of(&error).unwrap_or_default();
                let error = error.into_owned();
                Self { outcome: Outcome::Error(error), called: None, error: Some(ErrorType::Code(code)), limited: None }
            }
            Err(error) => Self::unreadable(&error),
        }
    }

    /// In place of an answer that is no object.
    fn unreadable(error: &ViewError) -> Self {
        let text = format!("the server's answer cannot be read: {error}");
        Self::refused(&ErrorObject::new(code::UPSTREAM_UNAVAILABLE, text))
    }

    /// An error of ours.
    pub(super) fn refused(error: &ErrorObject) -> Self {
        let text = serde_json::to_string(error).expect("an error object always serializes");
        Self { outcome: Outcome::Error(text), called: None, error: Some(ErrorType::Code(error.code)), limited: None }
    }

    /// A call that brought no answer of a server.
    pub(super) fn failed(error: &CallError, reader: Reader) -> Self {
        let refused = Self::refused(&face::call_error(error, reader));
        Self { limited: Limited::of(error), called: error.called().cloned(), ..refused }
    }

    /// The answer to the request called `id`.
    pub(super) fn ended(self, id: &Id) -> Ended {
        let of = |name: &str, text: String| {
            let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"{name}":"#);
            [Bytes::from(head), Bytes::from(text), Bytes::from_static(b"}")].into_iter().collect()
        };
        let message: Message = match self.outcome {
            Outcome::Result(text) => of("result", text),
            Outcome::Error(text) => of("error", text),
            Outcome::Streamed(streamed) => Message::streamed(id, *streamed),
        };
        Ended { message, called: self.called, error: self.error, limited: self.limited }
    }
}

/// The HTTP status of a response that is this answer and nothing else.
pub(super) fn status(ended: &Ended) -> StatusCode {
    match ended.error {
        _ if ended.limited.is_some() => StatusCode::TOO_MANY_REQUESTS,
        Some(ErrorType::Code(code)) => status_of(code),
        Some(ErrorType::Tool) | None => StatusCode::OK,
    }
}

/// A legacy server refuses until the user has opened a URL: the client is asked to have that done, and to ask again.
fn asks_for_url(request: Request<'_>, error: &str) -> Option<String> {
    if !request.can.elicitation_url || !questions::may_ask(request.method) {
        return None;
    }
    url_elicitation::from_url_required(error, None).ok()?
}

/// `translated` with the URI that was asked for, if the server's `error` says that there is no such resource.
fn with_uri<'e>(request: Request<'_>, error: &str, translated: Cow<'e, str>) -> Result<Cow<'e, str>, ViewError> {
    match request.uri {
        Some(uri) if errors::code_of(error) == Some(code::RESOURCE_NOT_FOUND) => {
            let data = format!(r#"{{"uri":{}}}"#, jsonrpc::quote(uri));
            Ok(Cow::Owned(edit::add_missing(&translated, &[("data", &data)])?.into_owned()))
        }
        _ => Ok(translated),
    }
}
