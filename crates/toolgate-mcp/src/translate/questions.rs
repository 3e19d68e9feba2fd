//! A server's questions to its client: legacy servers send requests, modern ones answer `input_required`.
//!
//! A modern client answers by sending its request again, with `inputResponses` under the questions' keys and with the
//! server's `requestState` as it came.
//!
//! Source: MCP 2026-07-28, Multi Round-Trip Requests (SEP-2322).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::edit::{self, Fields};
use crate::jsonrpc::{quote, string};
use crate::method;
use crate::views::{ViewError, object, object_field, optional_string};

/// A result with more questions than this is refused: all of them are put to the client at once.
pub const MAX_QUESTIONS: usize = 100;

const RESPONSES: &str = "inputResponses";
const STATE: &str = "requestState";

/// Whether a request of this method may be answered with `input_required`.
#[must_use]
pub fn may_ask(method: &str) -> bool {
    matches!(method, method::TOOLS_CALL | method::PROMPTS_GET | method::RESOURCES_READ)
}

/// Whether a server may ask this of a client.
#[must_use]
pub fn may_be_asked(method: &str) -> bool {
    matches!(method, method::ELICITATION_CREATE | method::SAMPLING_CREATE_MESSAGE | method::ROOTS_LIST)
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What the answer is called; unique in its result.
    pub key: Cow<'a, str>,
    /// One that [`may_be_asked`].
    pub method: Cow<'a, str>,
    /// The raw parameters, an object.
    pub params: Option<&'a RawValue>,
}

/// A result that is no answer yet.
#[derive(Debug, Clone)]
pub struct InputRequired<'a> {
    /// In the server's order; may be empty when there is a state.
    pub questions: Vec<Question<'a>>,
    /// The JSON text of the server's state, a string with its quotes.
    pub request_state: Option<&'a str>,
}

impl<'a> InputRequired<'a> {
    /// Reads `result`; `None` when its `resultType` is not `input_required`.
    ///
    /// # Errors
    /// [`ViewError`] when a field has another type, there is neither question nor state, there are more than
    /// [`MAX_QUESTIONS`], or a question's method is none that servers may ask.
    pub fn read(result: &'a str) -> Result<Option<Self>, ViewError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            #[serde(borrow)]
            result_type: Option<&'a RawValue>,
            #[serde(borrow)]
            input_requests: Option<&'a RawValue>,
            #[serde(borrow)]
            request_state: Option<&'a RawValue>,
        }
        let wire: Wire<'a> = object(result)?;
        if wire.result_type.and_then(string).as_deref() != Some("input_required") {
            return Ok(None);
        }
        let request_state = optional_string(STATE, wire.request_state)?.map(|(text, _)| text);
        let requests = object_field("inputRequests", wire.input_requests)?;
        let questions = requests.map(read_questions).transpose()?.unwrap_or_default();
        if questions.is_empty() && request_state.is_none() {
            return Err(ViewError::Missing("inputRequests"));
        }
        Ok(Some(Self { questions, request_state }))
    }
}

fn read_questions(requests: &RawValue) -> Result<Vec<Question<'_>>, ViewError> {
    let requests = Fields::read(requests.get())?.into_vec();
    if requests.len() > MAX_QUESTIONS {
        return Err(ViewError::WrongType { field: "inputRequests", expected: "an object of at most 100 questions" });
    }
    let mut questions = Vec::with_capacity(requests.len());
    for (key, request) in requests {
        let fields = Fields::read(request.get())?;
        let wrong = ViewError::WrongType {
            field: "inputRequests[].method",
            expected: "`elicitation/create`, `sampling/createMessage` or `roots/list`",
        };
        let method = fields.get("method").and_then(string).filter(|method| may_be_asked(method)).ok_or(wrong)?;
        let params = object_field("params", fields.get("params").filter(|raw| raw.get() != "null"))?;
        questions.push(Question { key, method, params });
    }
    Ok(questions)
}

/// The result that asks `questions` (key, method, raw parameters) and has the client keep `state`, plain text.
#[must_use]
pub fn input_required<'q>(
    questions: impl IntoIterator<Item = (&'q str, &'q str, Option<&'q str>)>,
    state: Option<&str>,
) -> String {
    let mut requests = String::new();
    for (key, method, params) in questions {
        requests.push(if requests.is_empty() { '{' } else { ',' });
        // Clients with a strict schema miss `params`, which only `roots/list` may lack.
        let params = params.unwrap_or("{}");
        requests.push_str(&format!(r#"{}:{{"method":{},"params":{params}}}"#, quote(key), quote(method)));
    }
    let mut result = r#"{"resultType":"input_required""#.to_owned();
    if !requests.is_empty() {
        result.push_str(&format!(r#","inputRequests":{requests}}}"#));
    }
    if let Some(state) = state {
        result.push_str(&format!(r#","requestState":{}"#, quote(state)));
    }
    result.push('}');
    result
}

/// The raw `params` of a legacy server's question for a modern client: without what belongs to the request that it was.
///
/// That is the `elicitationId` of revision 2025-11-25, its `task`, and a progress token.
///
/// # Errors
/// [`ViewError`] when `params` or its `_meta` has a key twice, or `params` is no object.
pub fn to_modern(params: &str) -> Result<Cow<'_, str>, ViewError> {
    let mut kept = Cow::Borrowed(params);
    for path in [&["elicitationId"][..], &["task"], &["_meta", "progressToken"]] {
        if let Cow::Owned(changed) = edit::remove_at(&kept, path)? {
            kept = Cow::Owned(changed);
        }
    }
    Ok(kept)
}

/// The raw answer that stands for a client's refusal, since answers in `inputResponses` cannot be errors.
///
/// `None` where no answer means that: the request must then fail.
#[must_use]
pub fn refusal(method: &str) -> Option<&'static str> {
    (method == method::ELICITATION_CREATE).then_some(r#"{"action":"cancel"}"#)
}

/// What a client's repeated request answers.
#[derive(Debug, Clone, Default)]
pub struct Answers<'a> {
    /// Each question's key and the raw result that answers it.
    pub responses: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The state that came back; whoever reads it must not trust it.
    pub request_state: Option<Cow<'a, str>>,
}

impl<'a> Answers<'a> {
    /// Reads a request's parameters; a first request has neither answers nor state.
    ///
    /// # Errors
    /// [`ViewError`] when the parameters or the answers are no object, an answer stands there twice, or the state is no
    /// string.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, ViewError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            #[serde(borrow)]
            input_responses: Option<&'a RawValue>,
            #[serde(borrow)]
            request_state: Option<&'a RawValue>,
        }
        let Some(params) = params else { return Ok(Self::default()) };
        let wire: Wire<'a> = object(params.get())?;
        let responses = object_field(RESPONSES, wire.input_responses)?;
        Ok(Self {
            responses: responses
                .map(|raw| Fields::read(raw.get()))
                .transpose()?
                .map(Fields::into_vec)
                .unwrap_or_default(),
            request_state: optional_string(STATE, wire.request_state)?.map(|(_, state)| state),
        })
    }

    /// Whether this is a first request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.responses.is_empty() && self.request_state.is_none()
    }

    /// The answer to the question called `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.responses.iter().find(|(name, _)| name == key).map(|(_, answer)| *answer)
    }
}

/// `params` as they are sent again with `responses` (key, raw result) and `request_state` (JSON text, exactly as it
/// came). Answers and state of an earlier round are replaced.
///
/// # Errors
/// [`ViewError`] when `params` is no object, or has a key twice.
pub fn retry<'r>(
    params: &str,
    responses: impl IntoIterator<Item = (&'r str, &'r str)>,
    request_state: Option<&str>,
) -> Result<String, ViewError> {
    let mut answers = String::new();
    for (key, response) in responses {
        answers.push(if answers.is_empty() { '{' } else { ',' });
        answers.push_str(&format!("{}:{response}", quote(key)));
    }
    let params = match answers.as_str() {
        "" => edit::remove_field(params, RESPONSES)?,
        _ => edit::set_field(params, RESPONSES, &format!("{answers}}}"))?,
    };
    Ok(match request_state {
        Some(state) => edit::set_field(&params, STATE, state)?,
        None => edit::remove_field(&params, STATE)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{InputRequired, MAX_QUESTIONS, input_required};

    #[test]
    fn a_client_is_not_asked_too_much_at_once() {
        for (count, expected) in [(MAX_QUESTIONS, true), (MAX_QUESTIONS + 1, false)] {
            let keys: Vec<String> = (0..count).map(|key| key.to_string()).collect();
            let result = input_required(keys.iter().map(|key| (key.as_str(), "roots/list", None)), None);
            assert_eq!(InputRequired::read(&result).is_ok(), expected, "{count} questions");
        }
    }
}
