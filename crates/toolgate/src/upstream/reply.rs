//! The forms in which an answer is wanted: whole, or as it comes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::ready;
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use toolgate_client::{Answer, AnswerBody, Call, Session, StreamedAnswer};
use toolgate_mcp::jsonrpc::Id;

use super::connection::Lease;
use super::error::UpstreamError;
use super::pool::Pool;
use super::status::Stage;
use super::{Ask, Upstream, rpc_error_code};

/// An answer that may still be coming.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(Answer),
    /// A large one, of which the beginning is there.
    Streamed(Box<Streamed>),
}

/// A large answer that is still coming. While it lives, its request counts as running.
pub struct Streamed {
    answer: StreamedAnswer,
    request: Request,
}

/// The bytes of a [`Streamed`] for the caller. They end without an error only when the answer was whole.
pub struct StreamedBody {
    answer: AnswerBody,
    /// `None` when it has ended.
    request: Option<Request>,
}

/// What a request holds while it runs: its turn, its connection, and its place among those that a stop waits for.
pub(super) struct Held {
    pub(super) _lease: Lease,
    pub(super) _running: TaskTrackerToken,
    pub(super) _turn: Option<OwnedSemaphorePermit>,
}

struct Request {
    _held: Held,
    pool: Arc<Pool>,
    method: Box<str>,
    began: Instant,
    limit: Duration,
    counted: bool,
}

/// [`Answer`] or [`Reply`].
pub trait Form: Sized + Send + From<Answer> {
    /// What the client gives.
    #[doc(hidden)]
    type Sent: Send;

    /// Sends the request.
    #[doc(hidden)]
    fn send(
        session: &Session,
        ask: Ask<'_>,
        call: &Call,
    ) -> impl Future<Output = Result<Self::Sent, toolgate_client::Error>> + Send;

    /// The answer, if all of it is there.
    #[doc(hidden)]
    fn whole(&self) -> Option<&Answer>;

    /// Lets go of what the request holds, or keeps it for as long as the answer comes; counts the request when it ends.
    #[doc(hidden)]
    fn finish(sent: Self::Sent, held: HeldByRequest<'_>) -> Self;

    /// Whether the request ended with a result.
    fn is_result(&self) -> bool;
}

/// What [`Form::finish`] is given beside the answer.
pub struct HeldByRequest<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) ask: Ask<'a>,
    pub(super) began: Instant,
    pub(super) held: Held,
}

impl Form for Answer {
    type Sent = Self;

    async fn send(session: &Session, ask: Ask<'_>, call: &Call) -> Result<Self, toolgate_client::Error> {
        session.request_with(ask.method, ask.params, call).await
    }

    fn whole(&self) -> Option<&Answer> {
        Some(self)
    }

    fn finish(sent: Self, request: HeldByRequest<'_>) -> Self {
        request.upstream.count(request.ask.method, rpc_error_code(&sent).as_deref(), request.began);
        sent
    }

    fn is_result(&self) -> bool {
        Self::is_result(self)
    }
}

impl Form for Reply {
    type Sent = toolgate_client::Reply;

    async fn send(session: &Session, ask: Ask<'_>, call: &Call) -> Result<Self::Sent, toolgate_client::Error> {
        session.request_streaming(ask.method, ask.params, call).await
    }

    fn whole(&self) -> Option<&Answer> {
        match self {
            Self::Whole(answer) => Some(answer),
            Self::Streamed(_) => None,
        }
    }

    fn finish(sent: Self::Sent, request: HeldByRequest<'_>) -> Self {
        match sent {
            toolgate_client::Reply::Whole(answer) => Self::Whole(Answer::finish(answer, request)),
            toolgate_client::Reply::Streamed(answer) => {
                let HeldByRequest { upstream, ask, began, held } = request;
                let (pool, method) = (Arc::clone(&upstream.pool), ask.method.into());
                let request = Request { _held: held, pool, method, began, limit: ask.timeout, counted: false };
                Self::Streamed(Box::new(Streamed { answer: *answer, request }))
            }
        }
    }

    fn is_result(&self) -> bool {
        match self {
            Self::Whole(answer) => answer.is_result(),
            Self::Streamed(streamed) => streamed.is_result(),
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Whole(answer)
    }
}

impl Streamed {
    /// Whether the request ended with a result.
    #[must_use]
    pub fn is_result(&self) -> bool {
        self.answer.is_result()
    }

    /// The message with `id` in place of ours; every other byte stays.
    #[must_use]
    pub fn with_id(self, id: &Id) -> StreamedBody {
        StreamedBody { answer: self.answer.with_id(id), request: Some(self.request) }
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = self.get_mut();
        let Some(request) = &mut this.request else { return Poll::Ready(None) };
        let ended = match ready!(Pin::new(&mut this.answer).poll_frame(context)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(Err(cause)) => Some(Err(request.broke(cause))),
            None => {
                request.count(None);
                None
            }
        };
        this.request = None;
        Poll::Ready(ended)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.counted {
            self.count(Some("cancelled"));
        }
    }
}

impl Request {
    fn broke(&mut self, cause: toolgate_client::Error) -> UpstreamError {
        let why = UpstreamError::asking(&self.pool.settings.name, cause, self.limit);
        self.pool.note_failure(&why, Stage::Request);
        self.count(Some(why.outcome_label()));
        tracing::warn!(server.name = self.pool.settings.name, "an answer was passed on only in part: {why}");
        why
    }

    fn count(&mut self, error_type: Option<&str>) {
        self.counted = true;
        let (server, metrics) = (&self.pool.settings.name, &self.pool.shared.metrics);
        metrics.client_operation(server, &self.method, error_type, self.began.elapsed());
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}

impl fmt::Debug for StreamedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer.fmt(f)
    }
}
