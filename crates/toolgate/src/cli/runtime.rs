//! The small runtime of commands that are not the gateway.

use std::future::Future;
use std::io;

use super::Failure;

/// Runs `work` on this thread.
///
/// # Errors
/// Those of `work`, and when the system gives no event queue.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A read of standard input cannot be taken back: waiting for its thread would wait for a key press.
    runtime.shutdown_background();
    result
}

/// SIGINT and SIGTERM; Ctrl-C where there are no such signals. None is missed between two calls of [`Self::next`].
pub struct StopSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    /// Begins to listen. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// When the system stops telling of signals.
    #[cfg(unix)]
    pub async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Ok(())
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// When Ctrl-C cannot be listened for.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened for.
pub async fn stop_signal() -> io::Result<()> {
    StopSignals::listen()?.next().await
}
