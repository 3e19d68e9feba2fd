//! A modern server that needs the client's input answers with questions, and wants its request again with the answers.
//! For a client that is asked by requests, the questions become such, and the rounds are gone here.
//!
//! Source: MCP 2026-07-28, Multi Round-Trip Requests.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use toolgate_client::{Answer, AnswerOutcome, Question};
use toolgate_mcp::edit::{self, Fields};
use toolgate_mcp::jsonrpc::{self, Id, Message, Outcome, code};
use toolgate_mcp::method;
use toolgate_mcp::translate::questions::{self, InputRequired};
use toolgate_mcp::translate::{errors, results, url_elicitation};
use toolgate_mcp::views::{META_SERVER_INFO, ViewError};
use toolgate_mcp::word::Word;

use super::client_side::Capabilities;
use super::error::UpstreamError;
use super::hears::Hears;
use super::lane::Lane;
use super::reply::Form;
use super::{Ask, Upstream};

/// The rounds of one request at most.
const MOST_ROUNDS: usize = 8;

/// How long a person may take over the questions of one round.
const ANSWERING: Duration = Duration::from_secs(600);

/// One question and its answer.
struct Answered<'a> {
    key: Cow<'a, str>,
    result: String,
}

impl Upstream {
    /// Asks the client what `answer` wants to know and sends the request again with that, until it is answered.
    pub(super) async fn go_rounds<F: Form>(
        &self,
        lane: &Lane,
        ask: Ask<'_>,
        mut answer: F,
    ) -> Result<F, UpstreamError> {
        for _ in 0..MOST_ROUNDS {
            let Some(result) = asks_for_input(&answer) else { return Ok(answer) };
            let wanted = InputRequired::read(result).map_err(|error| self.unfulfilled(error.to_string()))?;
            let Some(wanted) = wanted else { return Ok(answer) };
            let hears = ask.hears.or(lane.client.hears.as_ref());
            let questions = wanted.questions.into_iter();
            let asked = questions.map(|question| self.put(question, &lane.client.capabilities, hears));
            let answers = tokio::time::timeout(ANSWERING, try_join_all(asked)).await;
            let answers =
                answers.map_err(|_| self.unfulfilled(format!("nobody answered it within {ANSWERING:?}")))??;
            let answers = answers.iter().map(|answered| (&*answered.key, answered.result.as_str()));
            let params = questions::retry(ask.params.unwrap_or("{}"), answers, wanted.request_state);
            let params = params.map_err(|error| self.unfulfilled(error.to_string()))?;
            answer = self.ask_once(lane, Ask { params: Some(&params), ..ask }).await?;
        }
        match asks_for_input(&answer) {
            None => Ok(answer),
            Some(_) => Err(self.unfulfilled(format!("it asked {MOST_ROUNDS} times and was not content"))),
        }
    }

    async fn put<'q>(
        &self,
        question: questions::Question<'q>,
        capabilities: &Capabilities,
        hears: Option<&Arc<dyn Hears>>,
    ) -> Result<Answered<'q>, UpstreamError> {
        let questions::Question { key, method, params } = question;
        self.check_question(&method)?;
        let Some(hears) = hears.filter(|_| capabilities.allow(&method)) else {
            return Err(self.unfulfilled(format!("the client has not declared that it serves `{method}`")));
        };
        let number = self.pool.shared.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut params = params.map(|params| Cow::Borrowed(params.get()));
        if let Some(url) = params.as_deref().filter(|params| url_elicitation::is_url(params)) {
            if !capabilities.flags().elicitation_url {
                return Err(self.unfulfilled("the client has not declared that it opens URLs".to_owned()));
            }
            let with_id = url_elicitation::to_legacy(url, &format!("toolgate-{number}"));
            params = Some(Cow::Owned(with_id.map_err(|error| self.unfulfilled(error.to_string()))?));
        }
        let (tell, told) = oneshot::channel();
        let answered = move |response: Bytes| {
            // Nobody may be waiting any more.
            let _ = tell.send(response);
        };
        let unreadable = || self.unfulfilled(format!("its `{method}` cannot be read"));
        let question = Question::posed(&Id::from(number), &method, params.as_deref(), answered);
        hears.question(question.ok_or_else(unreadable)?);
        // A question that is dropped is refused, so an answer comes in any case.
        let response = told.await.map_err(|_| unreadable())?;
        let result = match jsonrpc::parse(&response) {
            Ok(Message::Response(response)) => match response.outcome {
                Outcome::Result(result) => Some(result.get().to_owned()),
                Outcome::Error(_) => questions::refusal(&method).map(str::to_owned),
            },
            _ => None,
        };
        let refused = || self.unfulfilled(format!("the client refused `{method}`"));
        Ok(Answered { key, result: result.ok_or_else(refused)? })
    }

    /// Refuses an answer that asks for what this server may not ask this client for; for clients to which answers pass
    /// as they are.
    pub(super) fn check_questions<F: Form>(&self, lane: &Lane, answer: &F) -> Result<(), UpstreamError> {
        let Some(answer) = answer.whole().filter(|answer| may_have_questions(answer.outcome_bytes())) else {
            return Ok(());
        };
        let AnswerOutcome::Result(result) = answer.outcome() else { return Ok(()) };
        let Ok(Some(asked)) = edit::get_at(result, &["inputRequests"]) else { return Ok(()) };
        let unreadable = |error: serde_json::Error| self.unfulfilled(format!("its questions cannot be read: {error}"));
        for (_, question) in Fields::read(asked.get()).map_err(unreadable)?.iter() {
            let Asked { method, params } = Asked::read(question).map_err(unreadable)?;
            self.check_question(&method)?;
            if !lane.client.capabilities.flags().can_answer(&method, params) {
                return Err(self.unfulfilled(format!("the client has not declared that it serves `{method}`")));
            }
        }
        Ok(())
    }

    fn check_question(&self, method: &str) -> Result<(), UpstreamError> {
        match self.settings.forbids(method) {
            Some(key) => Err(self.unfulfilled(format!("`{method}` is switched off for it (`{key}: false`)"))),
            None => Ok(()),
        }
    }

    fn unfulfilled(&self, why: String) -> UpstreamError {
        UpstreamError::Unfulfilled { server: self.settings.name.clone(), why }
    }
}

/// The answer as a client knows it that speaks revisions with `initialize`: without what only modern results say, and
/// with codes that it knows. Headers that do not fit a call are left to `Catalog::call_tool`, which may send it again.
pub(super) fn for_legacy<F: Form>(method: &str, answer: F) -> F {
    let changed = answer.whole().and_then(|answer| match answer.outcome() {
        AnswerOutcome::Result(result) => changed(answer, result, without_modern_words(result).ok()?),
        AnswerOutcome::Error(error) => {
            let is_callers = method == method::TOOLS_CALL && errors::code_of(error) == Some(code::HEADER_MISMATCH);
            if is_callers { None } else { changed(answer, error, errors::to_legacy(error).ok()?) }
        }
    });
    changed.map_or(answer, F::from)
}

/// The answer to a call as such a client is told it when there is nothing more to be done about its headers.
pub fn error_for_legacy<F: Form>(answer: F) -> F {
    let changed = answer.whole().and_then(|answer| match answer.outcome() {
        AnswerOutcome::Result(_) => None,
        AnswerOutcome::Error(error) => changed(answer, error, errors::to_legacy(error).ok()?),
    });
    changed.map_or(answer, F::from)
}

/// `answer` with `new` for its outcome, if that is another.
fn changed(answer: &Answer, old: &str, new: Cow<'_, str>) -> Option<Answer> {
    if new == old { None } else { answer.with_outcome(&new) }
}

fn without_modern_words(result: &str) -> Result<Cow<'_, str>, ViewError> {
    let mut plain = results::to_legacy(result)?;
    for path in [&["ttlMs"][..], &["cacheScope"], &["_meta", META_SERVER_INFO]] {
        if let Cow::Owned(changed) = edit::remove_at(&plain, path)? {
            plain = Cow::Owned(changed);
        }
    }
    let emptied =
        edit::get_at(&plain, &["_meta"])?.is_some_and(|meta| Fields::read(meta.get()).is_ok_and(|all| all.is_empty()));
    if emptied && let Cow::Owned(changed) = edit::remove_at(&plain, &["_meta"])? {
        plain = Cow::Owned(changed);
    }
    Ok(plain)
}

/// Whether a message may ask the client anything. Keys can be written with escapes.
fn may_have_questions(message: &[u8]) -> bool {
    const REQUESTS: Word = Word::new("inputRequests");
    const ESCAPE: Word = Word::new("\\u");
    REQUESTS.is_in(message) || ESCAPE.is_in(message)
}

/// A question in `inputRequests`.
struct Asked<'a> {
    method: Cow<'a, str>,
    params: &'a str,
}

impl<'a> Asked<'a> {
    fn read(question: &'a RawValue) -> Result<Self, serde_json::Error> {
        let method = edit::get_at(question.get(), &["method"])?.and_then(jsonrpc::string).unwrap_or_default();
        let params = edit::get_at(question.get(), &["params"])?.map_or("{}", RawValue::get);
        Ok(Self { method, params })
    }
}

/// A `notifications/tasks` without what it asks that a client with these `capabilities` cannot answer, and whether
/// anything was left out. What cannot be read is left out as a whole.
pub(super) fn answerable(message: &Bytes, capabilities: &Capabilities) -> (Option<Bytes>, bool) {
    if !may_have_questions(message) {
        return (Some(message.clone()), false);
    }
    match without_unanswerable(message, capabilities) {
        Some(Cow::Borrowed(_)) => (Some(message.clone()), false),
        Some(Cow::Owned(kept)) => (Some(Bytes::from(kept)), true),
        None => (None, true),
    }
}

fn without_unanswerable<'m>(message: &'m [u8], capabilities: &Capabilities) -> Option<Cow<'m, str>> {
    let text = std::str::from_utf8(message).ok()?;
    let Some(asked) = edit::get_at(text, &["params", "inputRequests"]).ok()? else { return Some(Cow::Borrowed(text)) };
    let asked = Fields::read(asked.get()).ok()?;
    let mut kept = Vec::new();
    for (key, question) in asked.iter() {
        let Asked { method, params } = Asked::read(question).ok()?;
        if capabilities.flags().can_answer(&method, params) {
            kept.push(format!("{}:{}", jsonrpc::quote(key), question.get()));
        }
    }
    if kept.len() == asked.iter().count() {
        return Some(Cow::Borrowed(text));
    }
    edit::set_at(text, &["params", "inputRequests"], &format!("{{{}}}", kept.join(","))).ok().map(Cow::Owned)
}

/// Whether a request of this method may be answered with questions.
pub(super) fn may_be_asked_back(method: &str) -> bool {
    matches!(method, method::TOOLS_CALL | method::PROMPTS_GET | method::RESOURCES_READ)
}

/// The result in `answer`, if it is one that asks for input.
fn asks_for_input<F: Form>(answer: &F) -> Option<&str> {
    let answer: &Answer = answer.whole()?;
    memchr::memmem::find(answer.outcome_bytes(), b"input_required")?;
    match answer.outcome() {
        AnswerOutcome::Result(result) if InputRequired::read(result).is_ok_and(|wanted| wanted.is_none()) => None,
        AnswerOutcome::Result(result) => Some(result),
        AnswerOutcome::Error(_) => None,
    }
}
