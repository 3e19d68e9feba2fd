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

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened for.
#[cfg(unix)]
pub async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Waits for Ctrl-C.
///
/// # Errors
/// When it cannot be listened for.
#[cfg(not(unix))]
pub async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
