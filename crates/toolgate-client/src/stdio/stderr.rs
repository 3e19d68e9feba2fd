//! The last words of a child: stderr is read without end, and only its last lines are kept.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Duration, Instant};

use crate::error::excerpt;

/// How much of one line is kept.
const LINE_BYTES: usize = 1024;

/// Lines per second that go to the log; a child may write a million.
const LOGGED_PER_SECOND: u32 = 100;

/// The last lines of a child's stderr.
pub(super) struct Tail {
    /// Held for single operations only.
    lines: Mutex<VecDeque<String>>,
    keep: usize,
}

impl Tail {
    pub(super) fn new(keep: usize) -> Self {
        Self { lines: Mutex::new(VecDeque::new()), keep }
    }

    /// The lines that are kept, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn push(&self, line: String) {
        let mut lines = self.lock();
        if lines.len() >= self.keep {
            lines.pop_front();
        }
        if self.keep > 0 {
            lines.push_back(line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        // No code that can panic runs under the lock, so a poisoned one still holds whole lines.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads `stderr` to its end.
    pub(super) async fn read(&self, server: &str, mut stderr: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; 8 * 1024];
        let mut line = Vec::new();
        let mut log = Log { server, second: Instant::now(), lines: 0 };
        // An error reading a pipe is its end; there is nobody to tell and nothing to lose.
        while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
            let mut rest = &chunk[..count];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                keep(&mut line, &rest[..end]);
                self.end_line(&mut line, &mut log);
                rest = &rest[end + 1..];
            }
            keep(&mut line, rest);
        }
        self.end_line(&mut line, &mut log);
    }

    fn end_line(&self, line: &mut Vec<u8>, log: &mut Log<'_>) {
        if !line.trim_ascii().is_empty() {
            let text = shown(line);
            log.line(&text);
            self.push(text);
        }
        line.clear();
    }
}

fn keep(line: &mut Vec<u8>, more: &[u8]) {
    let room = LINE_BYTES.saturating_sub(line.len());
    line.extend_from_slice(&more[..more.len().min(room)]);
}

/// The line as text, control characters escaped: it ends up on terminals and in pages.
fn shown(line: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(line.trim_ascii_end()).chars() {
        match character {
            '\t' => text.push(' '),
            other if other.is_control() => text.extend(other.escape_default()),
            other => text.push(other),
        }
    }
    text
}

struct Log<'a> {
    server: &'a str,
    second: Instant,
    lines: u32,
}

impl Log<'_> {
    fn line(&mut self, text: &str) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.lines) = (Instant::now(), 0);
        }
        self.lines += 1;
        if self.lines <= LOGGED_PER_SECOND {
            tracing::debug!(server = self.server, "stderr: {}", excerpt(text.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, Tail};

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_cut() {
        let tail = Tail::new(2);
        let text = format!("one\n\ntwo\x1b[0m\r\n{}", "x".repeat(100_000));
        tail.read("test", text.as_bytes()).await;
        assert_eq!(tail.lines(), ["two\\u{1b}[0m".to_owned(), "x".repeat(LINE_BYTES)]);
    }
}
