//! The demo server over standard input and output: one message per line.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolgate_mcp::jsonrpc::{self, ErrorObject, code};

use super::protocol::{self, Play, Step};

/// A longer line is refused, and skipped without being held.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// How long calls that are running when the input ends may go on.
const GRACE: Duration = Duration::from_secs(2);

/// More calls at once than this wait for their turn.
const MAX_RUNNING: usize = 256;

/// Serves one client until the input ends.
///
/// # Errors
/// When reading or writing fails, unless the reader of our output has gone, which is an end like any other.
pub async fn serve(input: impl AsyncRead + Unpin, output: impl AsyncWrite + Unpin) -> io::Result<()> {
    serve_with(input, output, GRACE).await
}

async fn serve_with(input: impl AsyncRead + Unpin, output: impl AsyncWrite + Unpin, grace: Duration) -> io::Result<()> {
    let (tx, rx) = mpsc::channel(64);
    let read = read(BufReader::new(input), tx, grace);
    match tokio::try_join!(read, write(output, rx)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map(|_| ()),
    }
}

async fn write(mut output: impl AsyncWrite + Unpin, mut rx: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(mut message) = rx.recv().await {
        message.push(b'\n');
        output.write_all(&message).await?;
        output.flush().await?;
    }
    Ok(())
}

async fn read(mut input: impl AsyncBufRead + Unpin, tx: mpsc::Sender<Vec<u8>>, grace: Duration) -> io::Result<()> {
    let mut running = Running::default();
    while let Some(line) = next_line(&mut input, MAX_LINE_BYTES).await? {
        let step = match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => continue,
            Line::Whole(line) => protocol::take(&line),
            Line::TooLong => Step::Answer(too_long()),
        };
        match step {
            Step::Answer(answer) => {
                if tx.send(answer).await.is_err() {
                    break;
                }
            }
            Step::Play(play) => running.start(play, tx.clone()).await,
            Step::Cancel(id) => running.cancel(&id),
            Step::Nothing => {}
        }
    }
    running.finish(grace).await;
    Ok(())
}

fn too_long() -> Vec<u8> {
    jsonrpc::error(
        None,
        &ErrorObject::new(code::INVALID_REQUEST, format!("a line has more than {MAX_LINE_BYTES} bytes")),
    )
}

/// The calls that take their time. Dropping it ends them.
#[derive(Default)]
struct Running {
    tasks: JoinSet<String>,
    by_id: HashMap<String, CancellationToken>,
}

impl Running {
    async fn start(&mut self, play: Play, tx: mpsc::Sender<Vec<u8>>) {
        while let Some(done) = self.tasks.try_join_next() {
            self.forget(done);
        }
        if self.tasks.len() >= MAX_RUNNING
            && let Some(done) = self.tasks.join_next().await
        {
            self.forget(done);
        }
        let id = play.id.as_json().to_owned();
        let cancel = CancellationToken::new();
        self.by_id.insert(id.clone(), cancel.clone());
        self.tasks.spawn(async move {
            cancel.run_until_cancelled(run(play, tx)).await;
            id
        });
    }

    fn forget(&mut self, done: Result<String, tokio::task::JoinError>) {
        if let Ok(id) = done {
            self.by_id.remove(&id);
        }
    }

    /// A cancelled request gets no answer (MCP 2025-11-25, Cancellation).
    fn cancel(&mut self, id: &str) {
        if let Some(cancel) = self.by_id.remove(id) {
            cancel.cancel();
        }
    }

    async fn finish(mut self, grace: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Plays a call; ends early when nobody takes the messages any more.
async fn run(play: Play, tx: mpsc::Sender<Vec<u8>>) {
    for step in 1..=play.pace.steps {
        tokio::time::sleep(play.pace.delay).await;
        if let Some(progress) = play.progress(step)
            && tx.send(progress).await.is_err()
        {
            return;
        }
    }
    // When this fails the client has gone, and there is nobody to tell.
    let _ = tx.send(play.answer()).await;
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// The next line without its end; `None` at the end of the input. Holds at most `max` bytes and a buffer.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin), max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Some(Line::TooLong),
                (false, true) => None,
                (false, false) => Some(Line::Whole(line)),
            });
        }
        let end = memchr::memchr(b'\n', chunk);
        let taken = end.unwrap_or(chunk.len());
        too_long |= line.len() + taken > max;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(&chunk[..taken]);
        }
        input.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(if too_long { Line::TooLong } else { Line::Whole(line) }));
        }
    }
}

#[cfg(test)]
mod tests;
