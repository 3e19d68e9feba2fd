//! The task that owns a child process, from its start until it, and all that came of it, is gone.

use std::os::fd::{AsRawFd as _, RawFd};
use std::process::ExitStatus;
use std::sync::Arc;

use bytes::Bytes;
use rustix::process::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use super::Queue;
use super::family::Family;
use super::pipes::{self, Reader};
use super::stderr::Tail;
use super::subscriptions::Subscriptions;
use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::pending::Pending;

/// How long a child may take to end by itself once its input is closed, and then once it was asked by a signal.
const AFTER_EOF: Duration = Duration::from_secs(2);
const AFTER_TERM: Duration = Duration::from_secs(3);

/// How long the last output of a dead child is waited for. It ends at once, unless a daemon holds the pipes open.
const LAST_OUTPUT: Duration = Duration::from_millis(250);

/// How long a child that has closed its output may take to die of it; most are dying already.
const AFTER_SILENCE: Duration = Duration::from_millis(500);

/// When the child's descendants are looked at: soon, since most daemons are started at once, and then now and then.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const NEXT_LOOKS: Duration = Duration::from_secs(15);

/// All that a supervisor needs.
pub(super) struct Orders {
    pub(super) command: Command,
    pub(super) started: oneshot::Sender<std::io::Result<()>>,
    pub(super) queue: Queue,
    pub(super) receiver: mpsc::Receiver<Bytes>,
    pub(super) pending: Arc<Pending>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) stderr: Arc<Tail>,
    pub(super) context: Arc<Context>,
    pub(super) stop: CancellationToken,
}

/// Starts the child and stays until it is gone.
///
/// The start belongs here, on a task: the child is killed when the thread that spawned it ends, and a caller's thread
/// may end while the session is still in use.
#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor keeps both handles and waits for both tasks or aborts them"
)]
pub(super) async fn run(mut orders: Orders) {
    let (child, stdin, stdout, stderr) = match start(&mut orders.command) {
        Ok(parts) => parts,
        Err(error) => {
            // Whoever asked may have given up meanwhile.
            let _ = orders.started.send(Err(error));
            return;
        }
    };
    let family = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).map(|leader| {
        let pipes = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
        Family::new(leader, pipes.into_iter().filter_map(pipe_name).collect())
    });
    // A closed channel means that the session is dropped already, and `stop` says so too.
    let _ = orders.started.send(Ok(()));
    let Orders { queue, receiver, pending, subscriptions, stderr: tail, context, stop, .. } = orders;

    // The writer must hear of the child's end too, not only of the session's.
    let writing = CancellationToken::new();
    context.spawn(pipes::write(stdin, receiver, queue.clone(), writing.clone()));
    let reader = Reader::new(Arc::clone(&context), Arc::clone(&pending), subscriptions, queue);
    let reading = tokio::spawn(reader.run(stdout));
    let words = tokio::spawn({
        let (tail, context) = (Arc::clone(&tail), Arc::clone(&context));
        async move { tail.read(&context.server, stderr).await }
    });
    Supervisor { child, family, reading, words, writing, pending, tail, context, stop }.run().await;
}

fn start(command: &mut Command) -> std::io::Result<(Child, ChildStdin, ChildStdout, ChildStderr)> {
    let mut child = command.spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(std::io::Error::other("its pipes are missing"));
    };
    Ok((child, stdin, stdout, stderr))
}

fn pipe_name(fd: RawFd) -> Option<String> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.into_os_string().into_string().ok()
}

struct Supervisor {
    child: Child,
    /// `None` when the child was gone before it could be looked at.
    family: Option<Family>,
    reading: JoinHandle<Problem>,
    words: JoinHandle<()>,
    writing: CancellationToken,
    pending: Arc<Pending>,
    tail: Arc<Tail>,
    context: Arc<Context>,
    stop: CancellationToken,
}

enum End {
    /// The session was closed or dropped.
    Asked,
    /// The child ended by itself.
    Exited(std::io::Result<ExitStatus>),
    /// The child closed its output, or broke the rules on it.
    Silent(Problem),
}

impl Supervisor {
    async fn run(mut self) {
        match self.watch().await {
            End::Asked => {
                self.fail(Problem::Closed);
                self.end_politely().await;
            }
            End::Exited(status) => self.tell_exit(status).await,
            End::Silent(problem) => self.silent(problem).await,
        }
        self.writing.cancel();
        self.bury().await;
        self.reading.abort();
        self.words.abort();
    }

    /// Waits for the first sign of the end.
    async fn watch(&mut self) -> End {
        let mut wait = FIRST_LOOK;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Asked,
                status = self.child.wait() => return End::Exited(status),
                problem = &mut self.reading => return End::Silent(problem.unwrap_or(Problem::Closed)),
                () = tokio::time::sleep(wait) => {}
            }
            self.look().await;
            wait = NEXT_LOOKS;
        }
    }

    /// A closed output is mostly the first sign of the child's death; if it is not, the child is of no use any more.
    async fn silent(&mut self, problem: Problem) {
        if matches!(problem, Problem::StreamLost { .. })
            && let Ok(status) = timeout(AFTER_SILENCE, self.child.wait()).await
        {
            return self.tell_exit(status).await;
        }
        self.fail(problem);
        self.end_politely().await;
    }

    async fn tell_exit(&mut self, status: std::io::Result<ExitStatus>) {
        let status = match status {
            Ok(status) => format!("the process has ended ({status})"),
            Err(error) => format!("the process is lost ({error})"),
        };
        // Whoever is left of the family may hold the pipes open, and has nothing to say any more.
        if let Some(family) = &self.family {
            family.kill_known();
        }
        // What the child wrote last may be an answer, or the reason why it died.
        let (reading, words) = (&mut self.reading, &mut self.words);
        let last = async {
            if !reading.is_finished() {
                let _ = reading.await;
            }
            if !words.is_finished() {
                let _ = words.await;
            }
        };
        // Late output is lost output; there is nothing to be done about it.
        let _ = timeout(LAST_OUTPUT, last).await;
        let stderr = self.tail.lines();
        self.fail(Problem::ChildGone { status, stderr });
    }

    fn fail(&self, problem: Problem) {
        self.pending.fail(&Error::new(&self.context.server, Delivery::Unknown, problem));
        self.context.ended.cancel();
    }

    /// End of input, then SIGTERM, then SIGKILL; the signals go to the whole group and to descendants that left it.
    async fn end_politely(&mut self) {
        self.look().await;
        self.writing.cancel();
        if timeout(AFTER_EOF, self.child.wait()).await.is_ok() {
            return;
        }
        if let Some(family) = &self.family {
            family.terminate();
        }
        if timeout(AFTER_TERM, self.child.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(server = %self.context.server, "did not end when asked to, and is killed");
    }

    /// Notes who descends from the child while the chain of parents is whole.
    async fn look(&mut self) {
        if let Some(mut family) = self.family.take() {
            // When the runtime is shutting down this fails, and the family was killed by being dropped.
            self.family = tokio::task::spawn_blocking(move || {
                family.look();
                family
            })
            .await
            .ok();
        }
    }

    /// Kills what is left, and leaves no zombie.
    async fn bury(&mut self) {
        if let Some(mut family) = self.family.take() {
            let killed = tokio::task::spawn_blocking(move || {
                family.kill();
                family
            });
            if let Ok(family) = killed.await {
                family.reap().await;
            }
        }
        // The child itself is dead or was just killed; this collects it.
        if let Err(error) = self.child.kill().await {
            tracing::debug!(server = %self.context.server, %error, "the process could not be collected");
        }
    }
}
