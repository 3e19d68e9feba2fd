//! The tasks on a child's input and output.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toolgate_mcp::jsonrpc::ParseError;

use super::Queue;
use super::lines::{self, Lines, TooLong};
use super::subscriptions::Subscriptions;
use crate::context::{Context, Junk};
use crate::error::{Problem, excerpt};
use crate::message::{self, Incoming};
use crate::pending::Pending;

/// How long the writer goes on after the session was closed, for messages that were queued before.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// How often a child that writes other things than messages is complained about.
const NOISE_LOG_EVERY: Duration = Duration::from_secs(10);

/// Writes what is queued until the child stops reading or `stop` comes; then closes the child's input.
pub(super) async fn write(
    mut stdin: ChildStdin,
    mut messages: mpsc::Receiver<Bytes>,
    queue: Queue,
    stop: CancellationToken,
) {
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WRITES).await;
    };
    tokio::pin!(deadline);
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            () = stop.cancelled() => return,
        };
        let Some(message) = message else { return };
        let written = tokio::select! {
            written = stdin.write_all(&message) => written,
            () = &mut deadline => return,
        };
        queue.bytes.fetch_sub(message.len(), Ordering::Relaxed);
        // The reader and the supervisor tell why the child is gone; a broken pipe says less.
        if written.is_err() {
            return;
        }
    }
}

/// Hears what a child writes to its output.
pub(super) struct Reader {
    pub(super) context: Arc<Context>,
    pub(super) pending: Arc<Pending>,
    subscriptions: Arc<Subscriptions>,
    pub(super) queue: Queue,
    noise: Noise,
    junk: Junk,
    /// Whether the line that is being read held a message that was of use.
    of_use: bool,
}

struct Noise {
    lines: u64,
    logged: Option<Instant>,
}

impl Reader {
    pub(super) fn new(
        context: Arc<Context>,
        pending: Arc<Pending>,
        subscriptions: Arc<Subscriptions>,
        queue: Queue,
    ) -> Self {
        let noise = Noise { lines: 0, logged: None };
        Self { context, pending, subscriptions, queue, noise, junk: Junk::default(), of_use: false }
    }

    /// Reads to the end, or to the first line that passes the cap; tells which.
    pub(super) async fn run(mut self, mut stdout: ChildStdout) -> Problem {
        let cap_bytes = self.context.limits.message_bytes;
        let mut lines = Lines::new(cap_bytes);
        loop {
            lines.buffer.reserve(8 * 1024);
            // An error reading a pipe is its end.
            if !matches!(stdout.read_buf(&mut lines.buffer).await, Ok(1..)) {
                self.line(lines.rest());
                return Problem::StreamLost { reason: "it has closed its output".to_owned() };
            }
            loop {
                match lines.next() {
                    Ok(Some(line)) => {
                        self.line(line);
                        if let Err(problem) = self.bearable() {
                            return problem;
                        }
                    }
                    Ok(None) => break,
                    Err(TooLong) => return Problem::TooLarge { cap_bytes },
                }
            }
        }
    }

    /// A child that writes its log where messages belong is borne with, but not for ever when somebody waits.
    fn bearable(&mut self) -> Result<(), Problem> {
        if std::mem::take(&mut self.of_use) || !self.pending.is_waited_for() {
            self.junk.clear();
            return Ok(());
        }
        self.junk.more()
    }

    fn line(&mut self, line: Bytes) {
        let Some(line) = lines::trimmed(line) else { return };
        match line.first() {
            Some(b'{') => self.object(line),
            Some(b'[') => match message::split(line.clone()) {
                Ok(parts) => parts.into_iter().for_each(|part| self.object(part)),
                Err(_) => self.noise.heard(&self.context.server, &line),
            },
            _ => self.noise.heard(&self.context.server, &line),
        }
    }

    fn object(&mut self, line: Bytes) {
        match Incoming::read(&line) {
            Ok(incoming) => self.take(incoming),
            Err(ParseError::NotJson(_)) => self.several(&line),
            Err(_) => self.noise.heard(&self.context.server, &line),
        }
    }

    /// A child that forgot the line end between two messages has still sent two.
    fn several(&mut self, line: &Bytes) {
        let values: Vec<&RawValue> =
            serde_json::Deserializer::from_slice(line).into_iter().map_while(Result::ok).collect();
        if values.is_empty() {
            self.noise.heard(&self.context.server, line);
        }
        for value in values {
            let part = line.slice_ref(value.get().as_bytes());
            match Incoming::read(&part) {
                Ok(incoming) => self.take(incoming),
                Err(_) => self.noise.heard(&self.context.server, &part),
            }
        }
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Answer(id, answer) => {
                if !self.pending.answer(id, answer) {
                    return self.context.stray("an answer that nobody waits for");
                }
            }
            Incoming::Stray { .. } => return self.context.stray("an answer to another request"),
            Incoming::Notification { method, message } => {
                if !self.subscriptions.heard(&method, &message) {
                    self.context.notified(&method, message, None);
                }
            }
            Incoming::Request(asked) => {
                let (queue, context) = (self.queue.clone(), Arc::clone(&self.context));
                self.context.asked(asked, None, move |reply, _place| {
                    if let Err(problem) = queue.push(lines::framed(reply)) {
                        context.undelivered(&problem);
                    }
                });
            }
        }
        self.of_use = true;
    }
}

impl Noise {
    fn heard(&mut self, server: &str, line: &[u8]) {
        self.lines += 1;
        if self.logged.is_none_or(|logged| logged.elapsed() >= NOISE_LOG_EVERY) {
            self.logged = Some(Instant::now());
            let (lines, begins) = (self.lines, excerpt(line));
            tracing::warn!(
                server,
                lines,
                "writes lines to its standard output that are not MCP messages; they are skipped: {begins}"
            );
        }
    }
}
