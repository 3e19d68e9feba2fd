//! Large JSON answers: passed on piece by piece, checked as they pass and translated if asked for, never held whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use toolgate_mcp::jsonrpc::Id;
use toolgate_mcp::stream::{Piece, Scanner, StreamError, Translation};

use super::body;
use super::origin::Body;
use crate::error::{Delivery, Error, Problem};

/// Answers up to this size are read whole, since that is cheaper. It is also about what is held of larger ones.
const WHOLE_BYTES: usize = 256 * 1024;

/// What the beginning of a body came to.
pub(crate) enum Begun {
    /// The whole body.
    Whole(Bytes),
    /// The beginning of an answer to our request.
    Large(Box<Large>),
}

/// An answer that is still coming.
pub(crate) struct Large {
    body: Body,
    scanner: Scanner,
    /// What has been read and not been given on.
    pieces: VecDeque<Piece>,
    is_result: bool,
    taken_bytes: usize,
    cap_bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// Reads until the body is whole, or is known to be a large answer to the request `id`, of which `translation` is made.
/// Whatever else is large, such as a batch or what cannot be translated as it passes, is read whole and stays as it is.
pub(crate) async fn begin(
    server: &str,
    mut body: Body,
    id: u64,
    cap_bytes: usize,
    translation: Option<&Translation>,
) -> Result<Begun, Error> {
    let begun = body::begin(server, &mut body, WHOLE_BYTES, cap_bytes).await?;
    if begun.is_whole {
        return Ok(Begun::Whole(begun.bytes));
    }
    let mut scanner = match translation {
        Some(translation) => Scanner::translating(&Id::from(id), translation.clone()),
        None => Scanner::new(&Id::from(id)),
    };
    let mut pieces = VecDeque::with_capacity(4);
    let fed = scanner.feed(&begun.bytes, |piece| pieces.push_back(piece));
    match scanner.is_result() {
        Some(is_result) if fed.is_ok() && !scanner.wants_whole() => {
            scanner.is_passed_on();
            let taken_bytes = begun.bytes.len();
            let state = State::Reading;
            Ok(Begun::Large(Box::new(Large { body, scanner, pieces, is_result, taken_bytes, cap_bytes, state })))
        }
        _ => {
            drop(pieces);
            body::finish(server, body, begun.bytes, cap_bytes).await.map(Begun::Whole)
        }
    }
}

impl Large {
    pub(crate) fn is_result(&self) -> bool {
        self.is_result
    }

    /// Whether the server has nothing more to say.
    pub(crate) fn is_over(&self) -> bool {
        self.state != State::Reading
    }

    /// The next piece; `None` when the answer was whole and has been given out. After an error comes nothing more.
    pub(crate) fn poll_next(&mut self, server: &str, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Error>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if self.state != State::Reading {
                return Poll::Ready(None);
            }
            let read = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                // Trailers hold nothing that MCP has a use for.
                Some(Ok(frame)) => frame.into_data().map_or(Ok(()), |data| self.take(server, &data)),
                Some(Err(error)) => Err(body::broken(server, &error)),
                None => {
                    self.state = State::Ended;
                    self.scanner.finish().map_err(|error| wrong(server, error))
                }
            };
            if let Err(error) = read {
                self.fail();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Gives nothing more out.
    pub(crate) fn fail(&mut self) {
        self.pieces.clear();
        self.state = State::Failed;
    }

    fn take(&mut self, server: &str, data: &Bytes) -> Result<(), Error> {
        self.taken_bytes += data.len();
        if self.taken_bytes > self.cap_bytes {
            return Err(body::too_large(server, self.cap_bytes));
        }
        self.scanner.feed(data, |piece| self.pieces.push_back(piece)).map_err(|error| wrong(server, error))
    }
}

fn wrong(server: &str, error: StreamError) -> Error {
    let problem = Problem::BadMessage { reason: error.to_string(), excerpt: String::new() };
    Error::new(server, Delivery::Answered, problem)
}
