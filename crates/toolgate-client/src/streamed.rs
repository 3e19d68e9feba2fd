//! An answer that is passed on while it comes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::Sleep;
use toolgate_mcp::jsonrpc::Id;
use toolgate_mcp::stream::Piece;

use crate::answer::Answer;
use crate::error::Error;
use crate::http::Large;
use crate::options::GivenUp;
use crate::session::Core;

/// The answer to one request, as [`Session::request_streaming`](crate::Session::request_streaming) gives it.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(Answer),
    /// More than 256 KiB in a JSON body over Streamable HTTP, of which the beginning is there.
    Streamed(Box<StreamedAnswer>),
}

/// A large answer that is still coming; [`with_id`](StreamedAnswer::with_id) makes a body of it.
///
/// Dropping it, or its body, before the end closes the connection, and sends a legacy server a
/// `notifications/cancelled`.
pub struct StreamedAnswer {
    large: Large,
    core: Arc<Core>,
    request: Asked,
}

/// The request that is being answered.
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) method: Box<str>,
    pub(crate) headers: HeaderMap,
    pub(crate) given_up: Option<Arc<dyn GivenUp>>,
    pub(crate) timeout: Duration,
}

/// The bytes of a [`StreamedAnswer`].
///
/// It ends without an error only when the answer was whole, well-formed and to our request. It fails when the server
/// breaks off, sends something else, passes [`Limits::message_bytes`](crate::Limits::message_bytes), or sends nothing
/// for as long as the request might take.
pub struct AnswerBody {
    answer: StreamedAnswer,
    id: Bytes,
    /// Runs while we wait for the server, and only then: a slow reader is not the server's fault.
    silence: Option<Pin<Box<Sleep>>>,
}

impl StreamedAnswer {
    pub(crate) fn new(large: Large, core: Arc<Core>, request: Asked) -> Self {
        Self { large, core, request }
    }

    /// Whether the request ended with a result.
    #[must_use]
    pub fn is_result(&self) -> bool {
        self.large.is_result()
    }

    /// The whole message with `id` in place of ours; every other byte stays.
    #[must_use]
    pub fn with_id(self, id: &Id) -> AnswerBody {
        AnswerBody { answer: self, id: Bytes::copy_from_slice(id.as_json().as_bytes()), silence: None }
    }
}

impl Drop for StreamedAnswer {
    fn drop(&mut self) {
        if !self.large.is_over() {
            self.core.abandon(self.request.id, &self.request.headers, self.request.given_up.as_deref());
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let StreamedAnswer { large, core, request } = &mut this.answer;
        if let Poll::Ready(next) = large.poll_next(core.server(), context) {
            this.silence = None;
            return Poll::Ready(next.map(|piece| match piece? {
                Piece::Text(bytes) => Ok(Frame::data(bytes)),
                Piece::Id => Ok(Frame::data(this.id.clone())),
            }));
        }
        let silence = this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(request.timeout)));
        if silence.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        large.fail();
        core.abandon(request.id, &request.headers, request.given_up.as_deref());
        Poll::Ready(Some(Err(core.timed_out(&request.method, request.timeout))))
    }

    fn is_end_stream(&self) -> bool {
        false
    }
}

impl fmt::Debug for StreamedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedAnswer").field("is_result", &self.is_result()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("is_result", &self.answer.is_result()).finish_non_exhaustive()
    }
}
