//! stdio: a child process that reads messages from its standard input and writes them to its standard output.
//!
//! Three tasks serve a child: one writes, one reads, one drains stderr; a fourth, the supervisor, owns the process and
//! sees it ended, whatever happens. None of them ever waits for another's peer, so a child that does not read, or
//! floods stderr, or says nothing, holds up nobody.
//!
//! Source: MCP 2025-11-25, Transports, stdio; Lifecycle, Shutdown.

mod command;
mod family;
mod lines;
mod parent;
mod pipes;
mod stderr;
mod subscriptions;
mod supervisor;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

use crate::answer::Answer;
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::listening::Hearer;
use crate::message;
use crate::pending::Pending;
use crate::target::StdioTarget;
use stderr::Tail;
use subscriptions::{Run, Subscriptions};

pub use family::become_subreaper;

/// Messages that may wait for a child to read them.
const QUEUE: usize = 256;

/// One child, and the session that it is.
pub(crate) struct Stdio {
    queue: Queue,
    pending: Arc<Pending>,
    subscriptions: Arc<Subscriptions>,
    stderr: Arc<Tail>,
    /// Has the supervisor end the child when the session is dropped.
    _running: DropGuard,
}

/// The way to the child's input: bounded in messages and in bytes, never waited for.
#[derive(Clone)]
pub(crate) struct Queue {
    messages: mpsc::Sender<Bytes>,
    /// Bytes in the queue and in the writer's hand.
    bytes: Arc<AtomicUsize>,
    cap_bytes: usize,
}

impl Queue {
    /// Takes `message`, unless the child has not read too much already.
    fn push(&self, message: Bytes) -> Result<(), Problem> {
        let size = message.len();
        let waiting = self.bytes.fetch_add(size, Ordering::Relaxed);
        // One message always fits, however large: its size was the caller's choice.
        let refused = if waiting > 0 && waiting + size > self.cap_bytes {
            Some(Problem::Busy)
        } else {
            match self.messages.try_send(message) {
                Ok(()) => None,
                Err(mpsc::error::TrySendError::Full(_)) => Some(Problem::Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    Some(Problem::StreamLost { reason: "it has closed its input".to_owned() })
                }
            }
        };
        match refused {
            None => Ok(()),
            Some(problem) => {
                self.bytes.fetch_sub(size, Ordering::Relaxed);
                Err(problem)
            }
        }
    }
}

impl Stdio {
    /// Starts the child.
    pub(crate) async fn open(target: &StdioTarget, context: &Arc<Context>) -> Result<Self, Error> {
        let command =
            command::prepare(target).map_err(|problem| Error::new(&context.server, Delivery::NotSent, problem))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let bytes = Arc::new(AtomicUsize::new(0));
        let queue =
            Queue { messages: sender, bytes: Arc::clone(&bytes), cap_bytes: context.limits.message_bytes.max(1) };
        let pending = Arc::new(Pending::default());
        let subscriptions = Arc::new(Subscriptions::default());
        let stderr = Arc::new(Tail::new(context.limits.stderr_lines));
        let stop = context.ended.child_token();
        let (started, start) = oneshot::channel();
        context.spawn(supervisor::run(supervisor::Orders {
            command,
            started,
            queue: queue.clone(),
            receiver,
            pending: Arc::clone(&pending),
            subscriptions: Arc::clone(&subscriptions),
            stderr: Arc::clone(&stderr),
            context: Arc::clone(context),
            stop: stop.clone(),
        }));
        let running = stop.drop_guard();
        let outcome = start.await.unwrap_or_else(|_| Err(std::io::Error::other("the runtime is shutting down")));
        outcome.map_err(|error| {
            Error::new(&context.server, Delivery::NotSent, Problem::Spawn { reason: error.to_string() })
        })?;
        Ok(Self { queue, pending, subscriptions, stderr, _running: running })
    }

    pub(crate) async fn request(&self, server: &str, id: u64, message: Bytes) -> Result<Answer, Error> {
        let mut waiter = self.pending.expect(id)?;
        self.push(server, message)?;
        waiter.answer().await
    }

    /// Sends a `subscriptions/listen`; `hearer` hears what comes until its end.
    pub(crate) fn subscribe(
        &self,
        server: &str,
        id: u64,
        message: Bytes,
        hearer: Arc<Hearer>,
    ) -> impl Future<Output = Result<(), Error>> + use<> {
        let run = Run {
            server: server.into(),
            queue: self.queue.clone(),
            pending: Arc::clone(&self.pending),
            subscriptions: Arc::clone(&self.subscriptions),
            id,
        };
        run.serve(message, hearer)
    }

    pub(crate) fn send(&self, server: &str, message: Bytes) -> Result<(), Error> {
        if let Some(lost) = self.pending.lost() {
            return Err(lost.with_delivery(Delivery::NotSent));
        }
        self.push(server, message)
    }

    /// Tells the server that nobody waits for the answer to `id` any more.
    pub(crate) fn abandon(&self, server: &str, id: u64, why: Option<&str>) {
        if let Err(error) = self.send(server, message::cancelled(id, why)) {
            tracing::debug!(%error, "a cancellation was not sent");
        }
    }

    /// Why the session is lost, if it is.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.pending.lost()
    }

    pub(crate) fn stderr_tail(&self) -> Vec<String> {
        self.stderr.lines()
    }

    fn push(&self, server: &str, message: Bytes) -> Result<(), Error> {
        self.queue.push(lines::framed(message)).map_err(|problem| Error::new(server, Delivery::NotSent, problem))
    }
}
