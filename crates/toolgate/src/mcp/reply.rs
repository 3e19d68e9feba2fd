//! One JSON-RPC message on its way to the client, in pieces that are never copied together.
//!
//! A page of five hundred tools is kept serialized; an answer to `tools/list` is that page between a few bytes of
//! envelope. The pieces go to the socket as they are. A large answer of an upstream goes there as it comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use toolgate_mcp::jsonrpc::{self, Id};

use crate::faces::jsonrpc as face;
use crate::upstream::{Reader, Streamed, StreamedBody};

/// A message in pieces, or one that is still coming.
#[derive(Debug)]
pub struct Message(Form);

#[derive(Debug)]
enum Form {
    Pieces(VecDeque<Bytes>),
    /// A large answer of an upstream, and the id for what is said in its place when it breaks off too early.
    Streamed(Box<StreamedBody>, Id),
}

/// A message that is there.
#[derive(Debug)]
pub struct Whole(VecDeque<Bytes>);

/// How a message is put into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `application/json`
    Json,
    /// `text/event-stream`, one event
    Sse,
}

pub(super) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Form::Pieces(VecDeque::from([Bytes::from(bytes)])))
    }
}

impl FromIterator<Bytes> for Message {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(Form::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()))
    }
}

impl Message {
    /// A large answer as it comes, with `id`.
    pub fn streamed(id: &Id, streamed: Streamed) -> Self {
        Self(Form::Streamed(Box::new(streamed.with_id(id)), id.clone()))
    }

    /// The message when all of it is there. One that breaks off becomes an error.
    pub async fn whole(self) -> Whole {
        let (body, id) = match self.0 {
            Form::Pieces(pieces) => return Whole(pieces),
            Form::Streamed(body, id) => (body, id),
        };
        // The body ends by itself at the cap on upstream messages.
        match body.collect().await {
            Ok(all) => Whole(VecDeque::from([all.to_bytes()])),
            Err(error) => {
                Whole(VecDeque::from([jsonrpc::error(Some(&id), &face::upstream_error(&error, Reader::Caller)).into()]))
            }
        }
    }

    /// The message as a JSON response; one that is still coming goes on as it comes.
    pub fn into_json(self, status: StatusCode) -> Response {
        let body = match self.0 {
            Form::Pieces(pieces) => Whole(pieces).into_body(),
            Form::Streamed(body, _) => Body::new(*body),
        };
        response(status, JSON, body)
    }
}

impl Whole {
    /// Several messages as a JSON-RPC batch.
    pub fn batch(messages: Vec<Self>) -> Message {
        let mut pieces = VecDeque::from([Bytes::from_static(b"[")]);
        for (at, message) in messages.into_iter().enumerate() {
            if at > 0 {
                pieces.push_back(Bytes::from_static(b","));
            }
            pieces.extend(message.0);
        }
        pieces.push_back(Bytes::from_static(b"]"));
        Message(Form::Pieces(pieces))
    }

    /// The message in one piece.
    pub fn into_bytes(mut self) -> Bytes {
        match self.0.len() {
            0 | 1 => self.0.pop_front().unwrap_or_default(),
            _ => self.0.iter().flat_map(|piece| piece.iter().copied()).collect(),
        }
    }

    /// The message as one event of a stream, its line breaks put into the event's form.
    pub fn into_event(self) -> Bytes {
        Bytes::from(toolgate_mcp::sse::encode(Some("message"), None, &self.into_bytes()))
    }

    /// The message as a response that is a stream of this one event.
    pub fn into_sse(self) -> Response {
        let mut response = response(StatusCode::OK, EVENT_STREAM, Body::from(self.into_event()));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        response
    }

    fn into_body(mut self) -> Body {
        match self.0.len() {
            0 | 1 => Body::from(self.0.pop_front().unwrap_or_default()),
            _ => Body::new(Pieces(self.0)),
        }
    }
}

fn response(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}
