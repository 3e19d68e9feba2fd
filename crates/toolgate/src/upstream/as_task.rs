//! Calling a tool that only runs as a task of 2025-11-25, for clients to which it is a tool like any other: the task is
//! begun, and its result waited for. What the server asks or says meanwhile is heard as for any call; progress comes under
//! the token of the request that began the task.
//!
//! Source: MCP 2025-11-25, Tasks.

use std::sync::Arc;
use std::time::Duration;

use toolgate_client::{Answer, AnswerOutcome};
use toolgate_mcp::jsonrpc::quote;
use toolgate_mcp::method;
use toolgate_mcp::translate::tasks;

use super::deadline::Deadline;
use super::ears::Lasting;
use super::error::UpstreamError;
use super::lane::Lane;
use super::pool::Pool;
use super::reply::Form;
use super::{Ask, Upstream};

/// How long the server may take to be told that nobody waits for a task.
const CANCELLING: Duration = Duration::from_secs(10);

/// A task that somebody waits for; it is cancelled at the server when this is dropped before its end.
struct Awaited {
    pool: Arc<Pool>,
    lane: Lane,
    params: String,
    is_over: bool,
}

impl Upstream {
    /// Calls the tool as a task, and gives the task's result as the call's.
    pub(super) async fn ask_as_task<F: Form>(&self, lane: &Lane, ask: Ask<'_>) -> Result<F, UpstreamError> {
        let deadline = Deadline::after(ask.timeout);
        // What is no object is for the server to refuse.
        let params = tasks::as_task(ask.params.unwrap_or("{}")).ok();
        let params = params.as_deref().or(ask.params);
        let lasting = Lasting::default();
        let ask = Ask { lasting: Some(&lasting), ..ask };
        let begun: Answer = self.ask_once(lane, Ask { params, ..ask }).await?;
        let id = match begun.outcome() {
            AnswerOutcome::Result(result) => tasks::begun(result),
            AnswerOutcome::Error(_) => None,
        };
        // Refused, or done at once.
        let Some(id) = id else {
            lasting.is_over();
            return Ok(F::from(begun));
        };
        let params = format!("{{\"taskId\":{}}}", quote(&id));
        let mut awaited = Awaited { pool: Arc::clone(&self.pool), lane: lane.clone(), params, is_over: false };
        let wait = Ask { method: method::TASKS_RESULT, timeout: deadline.remaining(), ..ask };
        let answer: F = self.ask_once(lane, Ask { params: Some(&awaited.params), ..wait }).await?;
        awaited.is_over = true;
        lasting.is_over();
        Ok(without_origin(answer))
    }
}

/// The answer without the id of the task that it came of, which nobody but the gateway knows.
fn without_origin<F: Form>(answer: F) -> F {
    let plain = answer.whole().and_then(|answer| {
        let AnswerOutcome::Result(result) = answer.outcome() else { return None };
        answer.with_result(&tasks::without_origin(result).ok()?)
    });
    plain.map_or(answer, F::from)
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let Some(lease) = self.pool.ready(&self.lane.key) else { return };
        let (params, server) = (std::mem::take(&mut self.params), self.pool.settings.name.clone());
        self.pool.shared.tasks.spawn(async move {
            let session = &lease.connection().session;
            let call = toolgate_client::Call::with_timeout(CANCELLING);
            if let Err(error) = session.request_with(method::TASKS_CANCEL, Some(&params), &call).await {
                tracing::debug!(server.name = server, %error, "a task could not be cancelled");
            }
        });
    }
}
