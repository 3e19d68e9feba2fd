//! A server's tools as lists for programs and models, and a model's calls carried out.
//!
//! The names and shapes are those of LiteLLM's Python bridge (`load_mcp_tools`, `call_openai_tool`).

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;
use toolgate_mcp::headers::ParamHeaders;
use toolgate_mcp::jsonrpc::{code, quote};
use toolgate_mcp::tool_shapes;
use toolgate_mcp::views::{Item, Page};

use crate::answer::{Answer, AnswerOutcome, RpcError};
use crate::error::{Delivery, Error, Problem, excerpt};
use crate::options::Call;
use crate::session::Session;

/// The most pages that a list may have.
const MAX_PAGES: usize = 1000;

/// The shape in which tools are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the server lists them: `name`, `description`, `inputSchema` and what else there is.
    Mcp,
    /// As entries of `tools` in OpenAI Chat Completions.
    OpenAi,
}

/// Why a model's call of a tool has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// What the model made is no call, or its arguments are not a JSON object.
    #[error(transparent)]
    NotACall(#[from] tool_shapes::CallError),
    /// The server did not answer, or refused.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// All tools of a server, over all pages, in the server's order.
///
/// A tool that cannot be read, such as one without a name, is left out with a warning in the log; over HTTP to a modern
/// server also one whose `x-mcp-header`s break the rules.
///
/// # Errors
/// When a page does not come or cannot be read, when a cursor repeats, and beyond 1000 pages.
pub async fn load_mcp_tools(session: &Session, format: Format) -> Result<Vec<Value>, Error> {
    const METHOD: &str = "tools/list";
    let mut tools = Vec::new();
    let mut marked = HashMap::new();
    let mut cursors = HashSet::new();
    let mut params: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let result = result_of(session, METHOD, params.as_deref()).await?;
        let bad = |reason: String| {
            session.error(Delivery::Answered, Problem::BadMessage { reason, excerpt: excerpt(result.as_bytes()) })
        };
        let page = Page::read(&result, "tools").map_err(|error| bad(format!("`{METHOD}`: {error}")))?;
        for skipped in &page.skipped {
            tracing::warn!(server = session.name(), index = skipped.index, "a tool is left out: {}", skipped.why);
        }
        let callable = page.items.iter().filter(|item| can_be_called(session, item, &mut marked));
        tools.extend(callable.filter_map(|item| shaped(session, item, format)));
        let Some(cursor) = page.next_cursor else {
            session.marks().into_iter().for_each(|marks| marks.keep(std::mem::take(&mut marked)));
            return Ok(tools);
        };
        params = Some(format!(r#"{{"cursor":{}}}"#, quote(&cursor)));
        if !cursors.insert(cursor.into_owned()) {
            return Err(endless(session, METHOD, "a cursor came a second time".to_owned()));
        }
    }
    Err(endless(session, METHOD, format!("more than {MAX_PAGES} pages")))
}

/// Calls a tool; `arguments` is the JSON text of an object.
///
/// Over HTTP, a modern server may want some of the arguments in headers too, which the tool's schema tells: for that the
/// tools are listed once per session, and again when the server misses a header.
///
/// # Errors
/// When no answer came, or no list. A JSON-RPC error of the server is an answer.
pub async fn call_tool(session: &Session, name: &str, arguments: &str, call: &Call) -> Result<Answer, Error> {
    let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, quote(name));
    let Some((marks, raw)) = session.marks().zip(serde_json::from_str::<&RawValue>(arguments).ok()) else {
        return session.request_with("tools/call", Some(&params), call).await;
    };
    if !marks.are_known() {
        load_mcp_tools(session, Format::Mcp).await?;
    }
    let mut call = call.clone();
    marks.add_headers(name, raw, &mut call.headers);
    let answer = session.request_with("tools/call", Some(&params), &call).await?;
    if !misses_a_header(&answer) {
        return Ok(answer);
    }
    load_mcp_tools(session, Format::Mcp).await?;
    marks.add_headers(name, raw, &mut call.headers);
    session.request_with("tools/call", Some(&params), &call).await
}

fn misses_a_header(answer: &Answer) -> bool {
    match answer.outcome() {
        AnswerOutcome::Error(error) => RpcError::read(error).code == i64::from(code::HEADER_MISMATCH),
        AnswerOutcome::Result(_) => false,
    }
}

/// Carries out `tool_call`, an entry of `tool_calls` in a chat message, and returns the result of `tools/call`.
///
/// A tool that failed is a result too: its `isError` is true.
///
/// # Errors
/// [`CallError::NotACall`] when the model's arguments are not the JSON of an object (LiteLLM calls the tool without
/// any then, which does something that nobody asked for); [`CallError::Failed`] when the server does not answer.
pub async fn call_openai_tool(session: &Session, tool_call: &Value) -> Result<Value, CallError> {
    let call = tool_shapes::Call::read_openai_chat(&tool_call.to_string())?;
    let answer = call_tool(session, &call.name, &call.arguments, &Call::default()).await?;
    let result = answer.into_result().map_err(|error| refused(session, "tools/call", error))?;
    serde_json::from_str(&result).map_err(|error| {
        let problem = Problem::BadMessage { reason: error.to_string(), excerpt: excerpt(result.as_bytes()) };
        CallError::Failed(session.error(Delivery::Answered, problem))
    })
}

async fn result_of(session: &Session, method: &str, params: Option<&str>) -> Result<String, Error> {
    session.request(method, params).await?.into_result().map_err(|error| refused(session, method, error))
}

fn refused(session: &Session, method: &str, error: RpcError) -> Error {
    session.error(Delivery::Answered, Problem::Refused { method: method.into(), error })
}

/// Whether the headers that a call of this tool needs can be known; notes which they are.
fn can_be_called(session: &Session, item: &Item<'_>, marked: &mut HashMap<String, ParamHeaders>) -> bool {
    let (Some(_), Some(schema), Some(name)) = (session.marks(), item.input_schema, item.name.as_deref()) else {
        return true;
    };
    match ParamHeaders::read(schema) {
        Ok(headers) if headers.is_empty() => true,
        Ok(headers) => {
            marked.insert(name.to_owned(), headers);
            true
        }
        Err(why) => {
            tracing::warn!(server = session.name(), tool = name, "a tool is left out: {why}");
            false
        }
    }
}

fn shaped(session: &Session, item: &Item<'_>, format: Format) -> Option<Value> {
    let text = match format {
        Format::Mcp => Ok(item.raw.to_owned()),
        Format::OpenAi => tool_shapes::openai_chat(item).map_err(|error| error.to_string()),
    };
    let value = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    value.inspect_err(|why| tracing::warn!(server = session.name(), "a tool is left out: {why}")).ok()
}

fn endless(session: &Session, method: &str, reason: String) -> Error {
    session.error(Delivery::Answered, Problem::EndlessList { method: method.into(), reason })
}
