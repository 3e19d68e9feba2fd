//! One MCP session, over whichever transport and in whichever era.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use crate::answer::Answer;
use crate::connect::{self, Connected};
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::ServerFacts;
use crate::http::{Arrived, Sse, Streamable, With};
use crate::listening::{self, Listening};
use crate::marks::Marks;
use crate::message;
use crate::modern::{self, ClientFacts, Repeats};
use crate::options::{Call, Events, GivenUp, Options};
use crate::stdio::Stdio;
use crate::streamed::{Asked, Reply, StreamedAnswer};
use crate::target::Target;

/// How long [`Session::close`] waits for everything to be gone: longer than a child is given to end.
const CLOSING: Duration = Duration::from_secs(10);

/// One MCP session. Cloning it is cheap, and any number of tasks may use it at once.
///
/// It ends with [`close`](Session::close), with the last clone, or by the server's doing; see
/// [`closed`](Session::closed). It is not opened again by itself: connect anew.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
}

pub(crate) struct Core {
    facts: ServerFacts,
    wire: Wire,
    context: Arc<Context>,
    pub(crate) timeout: Duration,
    next_id: AtomicU64,
    /// What requests say of us, to a modern server.
    client: Option<Arc<ClientFacts>>,
    marks: Marks,
}

/// A request as it goes on the wire.
struct Outgoing {
    id: u64,
    message: Bytes,
    /// What headers repeat of it, to a modern server.
    repeats: Option<Repeats>,
}

/// The transport that was found.
pub(crate) enum Wire {
    Streamable(Streamable),
    Sse(Sse),
    Stdio(Stdio),
}

impl Session {
    /// Connects to `target`, finds out what it speaks, and initializes a session where there are sessions.
    ///
    /// Must be called inside a tokio runtime, which must outlive the session.
    ///
    /// # Errors
    /// When the server cannot be reached or started, is no MCP server, refuses us, or speaks no known revision.
    pub async fn connect(target: Target, options: Options) -> Result<Self, Error> {
        let connected = connect::connect(&target, &options).await?;
        Ok(Self::of(connected, options.timeout, connect::FIRST_FREE_ID))
    }

    pub(crate) fn of(connected: Connected, timeout: Duration, first_id: u64) -> Self {
        Self {
            core: Arc::new(Core {
                facts: connected.facts,
                wire: connected.wire,
                context: connected.context,
                timeout,
                next_id: AtomicU64::new(first_id),
                client: connected.client,
                marks: Marks::default(),
            }),
        }
    }

    /// Asks the server; `params` is JSON text.
    ///
    /// Dropping the future, or running out of time, cancels the request at the server: by `notifications/cancelled`, and
    /// over HTTP to a modern server by closing the response.
    ///
    /// # Errors
    /// When no answer came. A JSON-RPC error of the server is an answer: see [`Answer::outcome`].
    pub async fn request(&self, method: &str, params: Option<&str>) -> Result<Answer, Error> {
        self.request_with(method, params, &Call::default()).await
    }

    /// Asks the server, with a deadline or headers of the request's own.
    ///
    /// # Errors
    /// As [`request`](Session::request).
    pub async fn request_with(&self, method: &str, params: Option<&str>, call: &Call) -> Result<Answer, Error> {
        let core = &*self.core;
        let Outgoing { id, message, repeats } = core.outgoing(method, params, call)?;
        let answer = Box::pin(async {
            match &core.wire {
                Wire::Streamable(wire) => wire.request(id, message, With::of(call, repeats.as_ref())).await,
                Wire::Sse(wire) => wire.request(id, message, &call.headers).await,
                Wire::Stdio(wire) => wire.request(core.server(), id, message).await,
            }
        });
        core.in_time(id, method, call, answer).await
    }

    /// Asks the server, and does not wait for the end of a large answer: one of more than 256 KiB in a JSON body over
    /// Streamable HTTP is given as soon as that much of it is there. All others come whole, event streams too.
    ///
    /// The call's timeout is for the beginning of the answer, and then for each wait for more of it.
    ///
    /// # Errors
    /// As [`request`](Session::request). What fails later fails the [`AnswerBody`](crate::AnswerBody).
    pub async fn request_streaming(&self, method: &str, params: Option<&str>, call: &Call) -> Result<Reply, Error> {
        let core = &*self.core;
        let Outgoing { id, message, repeats } = core.outgoing(method, params, call)?;
        // In a box, because it is large, and every future around it would carry and move its size.
        let arrived = Box::pin(async {
            match &core.wire {
                Wire::Streamable(wire) => wire.request_streaming(id, message, With::of(call, repeats.as_ref())).await,
                Wire::Sse(wire) => wire.request(id, message, &call.headers).await.map(Arrived::Whole),
                Wire::Stdio(wire) => wire.request(core.server(), id, message).await.map(Arrived::Whole),
            }
        });
        match core.in_time(id, method, call, arrived).await? {
            Arrived::Whole(answer) => Ok(Reply::Whole(answer)),
            Arrived::Large(large) => {
                let timeout = call.timeout.unwrap_or(core.timeout);
                let (headers, given_up) = (call.headers.clone(), call.given_up.clone());
                let asked = Asked { id, method: method.into(), headers, given_up, timeout };
                Ok(Reply::Streamed(Box::new(StreamedAnswer::new(*large, Arc::clone(&self.core), asked))))
            }
        }
    }

    /// Tells the server something that has no answer; `params` is JSON text.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn notify(&self, method: &str, params: Option<&str>) -> Result<(), Error> {
        let core = &*self.core;
        core.check_open()?;
        let message = message::notification(method, params);
        let repeats = core.client.as_ref().and_then(|_| Repeats::of(method));
        let none = HeaderMap::new();
        let sent = async {
            match &core.wire {
                Wire::Streamable(wire) => {
                    wire.send(message, With { repeats: repeats.as_ref(), ..With::headers(&none) }).await
                }
                Wire::Sse(wire) => wire.send(message, &none).await,
                Wire::Stdio(wire) => wire.send(core.server(), message),
            }
        };
        let outcome = tokio::time::timeout(core.timeout, sent).await;
        core.noted(outcome.unwrap_or_else(|_| Err(core.timed_out(method, core.timeout))))
    }

    /// Has a modern server tell of changes: `subscriptions/listen`. `params` are its parameters as JSON text, such as
    /// `{"notifications":{"toolsListChanged":true}}`; `events` hears what comes, until the server ends it, the stream
    /// breaks, or what is returned is dropped. Returns when the server has acknowledged it.
    ///
    /// # Errors
    /// When it is refused, or not acknowledged within [`Options::timeout`]; [`Problem::ModernOnly`] when the server
    /// speaks a revision with `initialize`.
    pub async fn subscribe(&self, params: &str, events: Arc<dyn Events>) -> Result<Listening, Error> {
        self.subscribe_with(params, events, &Call::default()).await
    }

    /// The same with a timeout for the acknowledgement, or saying other things of the client: [`Call::timeout`] and
    /// [`Call::meta`] are what counts of `call`.
    ///
    /// # Errors
    /// As [`subscribe`](Session::subscribe).
    pub async fn subscribe_with(&self, params: &str, events: Arc<dyn Events>, call: &Call) -> Result<Listening, Error> {
        let core = &*self.core;
        if !self.is_modern() {
            return Err(self.error(Delivery::NotSent, Problem::ModernOnly(listening::METHOD)));
        }
        let Outgoing { id, message, repeats } = core.outgoing(listening::METHOD, Some(params), call)?;
        let started = async {
            match &core.wire {
                Wire::Streamable(wire) => {
                    let wire = wire.clone();
                    listening::start(&core.context, events, |hearer| wire.subscribe(id, message, repeats, hearer)).await
                }
                Wire::Stdio(wire) => {
                    let work = |hearer| wire.subscribe(core.server(), id, message, hearer);
                    listening::start(&core.context, events, work).await
                }
                Wire::Sse(_) => Err(self.error(Delivery::NotSent, Problem::ModernOnly(listening::METHOD))),
            }
        };
        let after = call.timeout.unwrap_or(core.timeout);
        let outcome = tokio::time::timeout(after, started).await;
        core.noted(outcome.unwrap_or_else(|_| Err(core.timed_out(listening::METHOD, after))))
    }

    /// Opens the stream on which a Streamable HTTP server of a revision with `initialize` speaks by itself, if
    /// [`Options::listen`] has not done that; it stays for as long as the session. The other transports always have
    /// such a stream, and revision 2026-07-28 has [`subscribe`](Session::subscribe) in its place.
    pub fn listen(&self) {
        if let Wire::Streamable(wire) = &self.core.wire {
            wire.listen();
        }
    }

    /// Waits until the stream that [`listen`](Session::listen) opens is open, a second at most, if it is being opened:
    /// what a server says by itself before that is lost.
    pub async fn listening(&self) {
        if let Wire::Streamable(wire) = &self.core.wire {
            wire.listening().await;
        }
    }

    /// What the server said of itself when the session began.
    #[must_use]
    pub fn server(&self) -> &ServerFacts {
        &self.core.facts
    }

    /// Whether the server speaks revision 2026-07-28 with us: every request carries its metadata, and there is nothing
    /// that the server would remember between them.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.core.client.is_some()
    }

    /// Whether the session was closed, or is known to be lost.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.context.ended.is_cancelled()
    }

    /// Waits until the session is closed, or known to be lost.
    ///
    /// A Streamable HTTP session is known to be lost only when a request meets that.
    pub async fn closed(&self) {
        self.core.context.ended.cancelled().await;
    }

    /// Ends the session: a DELETE over Streamable HTTP; over stdio the end of the child's input, after 2 s SIGTERM,
    /// and after 3 s more SIGKILL, to the child and all that descends from it. Returns when that is done.
    ///
    /// Requests that are still waiting fail over stdio and HTTP+SSE, and go on over Streamable HTTP.
    pub async fn close(&self) {
        let context = &self.core.context;
        self.core.end();
        if tokio::time::timeout(CLOSING, context.tasks_ended()).await.is_err() {
            tracing::warn!(server = %context.server, "closing the session takes long; it is left to itself");
        }
    }

    /// The server as errors name it: the URL without its secrets, or the command.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.server()
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn error(&self, delivery: Delivery, problem: Problem) -> Error {
        Error::new(self.core.server(), delivery, problem)
    }

    /// What is known of the arguments that go into headers; `None` where there are no such headers.
    pub(crate) fn marks(&self) -> Option<&Marks> {
        (self.is_modern() && matches!(self.core.wire, Wire::Streamable(_))).then_some(&self.core.marks)
    }

    /// The last lines that a child wrote to stderr, oldest first; empty for HTTP.
    #[must_use]
    pub fn stderr_tail(&self) -> Vec<String> {
        match &self.core.wire {
            Wire::Stdio(wire) => wire.stderr_tail(),
            Wire::Streamable(_) | Wire::Sse(_) => Vec::new(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.core.server())
            .field("revision", &self.core.facts.revision)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn server(&self) -> &str {
        &self.context.server
    }

    /// A request with the next id, and with its metadata for a modern server.
    fn outgoing(&self, method: &str, params: Option<&str>, call: &Call) -> Result<Outgoing, Error> {
        self.check_open()?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let Some(client) = &self.client else {
            return Ok(Outgoing { id, message: message::request(id, method, params), repeats: None });
        };
        let described = modern::describe(method, params, call.meta.as_ref().unwrap_or(client));
        let described =
            described.map_err(|why| Error::new(self.server(), Delivery::NotSent, Problem::InvalidParams(why)))?;
        let message = message::request(id, method, Some(&described.params));
        Ok(Outgoing { id, message, repeats: Some(described.repeats) })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Waits for what request `id` comes to, as long as `call` allows; tells the server when nobody waits any more.
    pub(crate) async fn in_time<T>(
        &self,
        id: u64,
        method: &str,
        call: &Call,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = call.timeout.unwrap_or(self.timeout);
        let mut abandon =
            Abandon { core: self, id, headers: &call.headers, why: call.given_up.as_deref(), armed: true };
        let outcome = tokio::time::timeout(after, work).await;
        abandon.armed = outcome.is_err();
        self.noted(outcome.unwrap_or_else(|_| Err(self.timed_out(method, after))))
    }

    /// Tells the server that nobody waits for the answer to `id` any more.
    pub(crate) fn abandon(&self, id: u64, headers: &HeaderMap, why: Option<&dyn GivenUp>) {
        let why = why.and_then(GivenUp::params);
        match &self.wire {
            Wire::Streamable(wire) => wire.abandon(id, headers, why),
            Wire::Sse(wire) => wire.abandon(id, headers, why),
            Wire::Stdio(wire) => wire.abandon(self.server(), id, why),
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if !self.context.ended.is_cancelled() {
            return Ok(());
        }
        let lost = match &self.wire {
            Wire::Streamable(_) => None,
            Wire::Sse(wire) => wire.lost(),
            Wire::Stdio(wire) => wire.lost(),
        };
        Err(match lost {
            Some(lost) => lost.with_delivery(Delivery::NotSent),
            None => Error::new(self.server(), Delivery::NotSent, Problem::Closed),
        })
    }

    /// Marks the session as ended when `outcome` says so.
    pub(crate) fn noted<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.as_ref().is_err_and(Error::session_lost) {
            self.context.ended.cancel();
        }
        outcome
    }

    pub(crate) fn timed_out(&self, method: &str, after: Duration) -> Error {
        Error::new(self.server(), Delivery::Unknown, Problem::TimedOut { method: method.into(), after })
    }

    /// Begins to end the session. A server that has forgotten it, or was told already, needs no farewell.
    fn end(&self) {
        if self.context.ended.is_cancelled() {
            return;
        }
        self.context.ended.cancel();
        match &self.wire {
            Wire::Streamable(wire) => wire.farewell(),
            Wire::Sse(wire) => wire.close(),
            // The supervisor hears of it through `ended`.
            Wire::Stdio(_) => {}
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells the server that nobody waits any more, when a request is dropped or runs out of time.
struct Abandon<'a> {
    core: &'a Core,
    id: u64,
    headers: &'a HeaderMap,
    why: Option<&'a dyn GivenUp>,
    armed: bool,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.core.abandon(self.id, self.headers, self.why);
        }
    }
}
