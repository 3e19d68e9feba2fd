//! What all parts of one session share: who hears of events, the caps, the tasks, and whether it still lives.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Problem, excerpt};
use crate::options::{Events, Limits, Options};
use crate::question::Asked;

/// Requests of the server that may wait for their answers at once; one that asks for more gets no answer to the rest.
/// Together they may be as large as one message may be.
const QUESTIONS: usize = 64;

/// Answers to `ping` that may be on their way at once. They do not wait behind questions, which may wait for people.
const PONGS: usize = 16;

/// What is no message, and answers to nothing, that one stream may bring in a row while somebody waits for an answer.
const JUNK: usize = 10_000;

/// Counts what a stream brings that is of no use, so that a server cannot keep us busy with it for ever.
#[derive(Debug, Default)]
pub(crate) struct Junk {
    in_a_row: usize,
}

impl Junk {
    /// Something of use came, or nobody waits: the count begins anew.
    pub(crate) fn clear(&mut self) {
        self.in_a_row = 0;
    }

    /// One more; what is wrong when it was one too many.
    pub(crate) fn more(&mut self) -> Result<(), Problem> {
        self.in_a_row += 1;
        if self.in_a_row > JUNK { Err(Problem::Junk(JUNK)) } else { Ok(()) }
    }
}

/// The right to have a request of the server answered; to be held until that is done.
#[expect(dead_code, reason = "the permits are there to be dropped")]
pub(crate) enum Place {
    Pong(OwnedSemaphorePermit),
    Question(OwnedSemaphorePermit, OwnedSemaphorePermit),
}

pub(crate) struct Context {
    /// For log lines and errors.
    pub(crate) server: Box<str>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) limits: Limits,
    /// Every task of the session is spawned here.
    tasks: TaskTracker,
    /// Dropping a future may have to spawn, and may happen outside the runtime.
    runtime: Handle,
    /// Cancelled when the session is closed or lost.
    pub(crate) ended: CancellationToken,
    questions: Arc<Semaphore>,
    question_bytes: Arc<Semaphore>,
    pongs: Arc<Semaphore>,
    strays: AtomicU64,
    undelivered: AtomicU64,
}

impl Context {
    /// Must be called inside a runtime.
    pub(crate) fn new(server: &str, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            server: server.into(),
            events: Arc::clone(&options.events),
            limits: options.limits,
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            ended: CancellationToken::new(),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            question_bytes: Arc::new(Semaphore::new(options.limits.message_bytes.min(Semaphore::MAX_PERMITS))),
            pongs: Arc::new(Semaphore::new(PONGS)),
            strays: AtomicU64::new(0),
            undelivered: AtomicU64::new(0),
        })
    }

    /// Runs `task` as one of the session's. It must end by itself, or soon after `ended`.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Waits until all tasks of the session have ended.
    pub(crate) async fn tasks_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Answers a request of the server, or has it answered: by `events` if the request that it came with has some.
    /// `send` sends the answer, with what must be dropped when that is done, and what is said to the server before it.
    pub(crate) fn asked(
        &self,
        asked: Asked,
        events: Option<&Arc<dyn Events>>,
        send: impl Fn(Bytes, Option<Place>) + Send + Sync + 'static,
    ) {
        let pong = asked.pong();
        let place = match &pong {
            Some(_) => Arc::clone(&self.pongs).try_acquire_owned().ok().map(Place::Pong),
            None => self.question_place(asked.size_bytes()),
        };
        match (pong, place) {
            (Some(pong), place @ Some(_)) => send(pong, place),
            (None, Some(place)) => {
                let send = Arc::new(send);
                let tell = {
                    let send = Arc::clone(&send);
                    Box::new(move |bytes| send(bytes, None))
                };
                let question = asked.with(move |bytes| send(bytes, Some(place)), Some(tell));
                events.unwrap_or(&self.events).question(question);
            }
            (_, None) => self.stray(&format!(
                "a request `{}` of the server, which asks too much at once",
                excerpt(asked.method().as_bytes())
            )),
        }
    }

    fn question_place(&self, size_bytes: usize) -> Option<Place> {
        let place = Arc::clone(&self.questions).try_acquire_owned().ok()?;
        let room = Arc::clone(&self.question_bytes).try_acquire_many_owned(u32::try_from(size_bytes).ok()?).ok()?;
        Some(Place::Question(place, room))
    }

    pub(crate) fn notified(&self, method: &str, message: Bytes, events: Option<&Arc<dyn Events>>) {
        events.unwrap_or(&self.events).notification(method, message);
    }

    /// Counts an answer that a server asked for and then did not take.
    pub(crate) fn undelivered(&self, why: &dyn fmt::Display) {
        let count = self.undelivered.fetch_add(1, Ordering::Relaxed) + 1;
        if self.ended.is_cancelled() {
            return tracing::debug!(server = %self.server, count, "an answer was not delivered after the end: {why}");
        }
        tracing::warn!(server = %self.server, count, "an answer to the server's own request was not delivered: {why}");
    }

    /// Counts something that came and that nobody waits for.
    pub(crate) fn stray(&self, what: &str) {
        let count = self.strays.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(server = %self.server, count, "dropped {what}");
    }
}
