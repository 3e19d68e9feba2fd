//! How an operation ended: the message for the client, and what the metrics say of it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use toolgate_client::Answer;
use toolgate_mcp::edit::Fields;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id};

use super::dispatch::Exchange;
use super::reply::Message;
use crate::auth::Caller;
use crate::catalog::{CallError, Called};
use crate::faces::jsonrpc as face;
use crate::telemetry::calls::{self, CallLine};
use crate::telemetry::{LiteLlmRequest, OperationSpan, RequestCount, ServerOperation, Status};
use crate::upstream::{Reader, Reply, Streamed};

/// How an operation ended, for the metrics.
pub(super) struct Ended {
    pub(super) message: Message,
    pub(super) called: Option<Called>,
    pub(super) error: Option<ErrorType>,
    /// When to come again, where a limit is used up.
    pub(super) limited: Option<Limited>,
}

/// A limit or budget is used up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited {
    /// For `Retry-After`, where time helps.
    pub(super) retry_after: Option<Duration>,
}

impl Limited {
    pub(super) fn of(error: &CallError) -> Option<Self> {
        error.is_limit().then(|| Self { retry_after: error.retry_after() })
    }
}

/// What kind of error an answer is.
pub(super) enum ErrorType {
    /// A JSON-RPC error.
    Code(i32),
    /// A tool's result with `isError`.
    Tool,
}

impl ErrorType {
    /// As metrics and traces name it.
    pub(super) fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Owned(code.to_string()),
            Self::Tool => Cow::Borrowed("tool_error"),
        }
    }
}

impl Exchange {
    /// Counts an operation that began then, and logs it for those who want that.
    pub(super) fn count(&self, method: &str, ended: &Ended, began: Instant, span: &OperationSpan) {
        self.count_traced(method, ended, began, span.ids());
    }

    /// As [`Exchange::count`], where the span is elsewhere by now.
    pub(super) fn count_traced(&self, method: &str, ended: &Ended, began: Instant, trace: Option<(String, String)>) {
        let error_type = ended.error.as_ref().map(ErrorType::label);
        let called = ended.called.as_ref();
        let metrics = &self.gateway.metrics;
        let took = began.elapsed();
        if let Some(called) = called {
            metrics.overhead(took.saturating_sub(called.upstream_took));
        }
        metrics.server_operation(
            ServerOperation {
                method,
                tool: called.map(|called| called.listed.as_str()),
                error_type: error_type.as_deref(),
                version: self.revision.name(),
                transport: "tcp",
            },
            took,
        );
        let counted = RequestCount {
            server: called.map(|called| called.server.as_str()),
            tool: called.map(|called| called.name.as_str()),
            status: match ended.error {
                None => Status::Ok,
                Some(ErrorType::Tool) => Status::ToolError,
                Some(ErrorType::Code(_)) => Status::Error,
            },
            code: if let Some(ErrorType::Code(code)) = ended.error { code } else { 0 },
        };
        metrics.request(counted);
        metrics.litellm_request(LiteLlmRequest {
            method,
            route: "/mcp",
            caller: self.caller.payers.labels(),
            counted,
            took,
            upstream_took: called.map(|called| called.upstream_took),
        });
        calls::log(CallLine {
            method,
            counted,
            principal: &self.caller.principal,
            took,
            upstream_took: called.map(|called| called.upstream_took),
            trace: trace.as_ref(),
        });
    }
}

impl Ended {
    pub(super) fn ok(message: Message) -> Self {
        Self { message, called: None, error: None, limited: None }
    }

    pub(super) fn error(id: &Id, error: &ErrorObject) -> Self {
        let message = jsonrpc::error(Some(id), error).into();
        Self { message, called: None, error: Some(ErrorType::Code(error.code)), limited: None }
    }

    pub(super) fn of_tool(caller: &Caller, id: &Id, answer: Result<(Reply, Called), CallError>) -> Self {
        let (reply, called) = match answer {
            Ok(answered) => answered,
            Err(error) => {
                return Self { called: error.called().cloned(), ..Self::of_failed(caller, id, &error) };
            }
        };
        let mut ended = match reply {
            Reply::Whole(answer) => {
                let mut ended = Self::of_answer(&answer, message(id, &answer));
                if called.is_tool_error {
                    ended.error = Some(ErrorType::Tool);
                }
                ended
            }
            Reply::Streamed(streamed) => Self::of_streamed(id, *streamed),
        };
        ended.called = Some(called);
        ended
    }

    pub(super) fn of_call(caller: &Caller, id: &Id, answer: Result<Reply, CallError>) -> Self {
        match answer {
            Ok(Reply::Whole(answer)) => Self::of_answer(&answer, message(id, &answer)),
            Ok(Reply::Streamed(streamed)) => Self::of_streamed(id, *streamed),
            Err(error) => Self::of_failed(caller, id, &error),
        }
    }

    fn of_failed(caller: &Caller, id: &Id, error: &CallError) -> Self {
        let told = face::call_error(error, Reader::of(caller));
        Self { limited: Limited::of(error), ..Self::error(id, &told) }
    }

    /// What came of telling a server something; it may have known already.
    pub(super) fn of_told(caller: &Caller, id: &Id, told: Result<Option<Answer>, CallError>) -> Self {
        match told {
            Ok(None) => Self::ok(jsonrpc::result(id, "{}").into()),
            Ok(Some(answer)) => Self::of_answer(&answer, message(id, &answer)),
            Err(error) => Self::of_failed(caller, id, &error),
        }
    }

    /// An answer that nobody reads on its way is counted by its kind: a code or `isError` in it is not seen.
    fn of_streamed(id: &Id, streamed: Streamed) -> Self {
        let error = if streamed.is_result() { None } else { Some(ErrorType::Code(0)) };
        Self { message: Message::streamed(id, streamed), called: None, error, limited: None }
    }

    fn of_answer(answer: &Answer, message: Message) -> Self {
        let error = match answer.is_result() {
            true => None,
            false => Some(ErrorType::Code(error_code(answer.outcome_bytes()))),
        };
        Self { message, called: None, error, limited: None }
    }
}

/// Answers from this size on are not copied for the sake of their id; below it, one small copy is cheaper than three
/// pieces.
const LARGE_BYTES: usize = 8 * 1024;

fn message(id: &Id, answer: &Answer) -> Message {
    if answer.message().len() < LARGE_BYTES {
        return answer.with_id(id).into();
    }
    answer.pieces(id).into_iter().collect()
}

/// The code of a raw error object; 0 when it has none that fits.
fn error_code(error: &[u8]) -> i32 {
    let error = std::str::from_utf8(error).unwrap_or_default();
    Fields::read(error).ok().and_then(|fields| fields.get("code")?.get().parse().ok()).unwrap_or_default()
}
