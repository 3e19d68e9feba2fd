//! The moment by which one request must be over, whatever it is waiting for.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{UpstreamError, Wait};

/// Stands for a limit that no clock can hold.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(limit).unwrap_or(now + LONGEST), limit }
    }

    /// The time that is left.
    pub(super) fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// When the waiting began.
    pub(super) fn began(&self) -> Instant {
        self.at.checked_sub(self.limit).unwrap_or(self.at)
    }

    /// The time there was at the start.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits for `work`, but not beyond the deadline.
    pub(super) async fn wait<T>(
        &self,
        server: &str,
        wait: Wait,
        work: impl Future<Output = T>,
    ) -> Result<T, UpstreamError> {
        tokio::time::timeout_at(self.at, work).await.map_err(|_| self.passed(server, wait))
    }

    pub(super) fn passed(&self, server: &str, wait: Wait) -> UpstreamError {
        UpstreamError::TimedOut { server: server.to_owned(), wait, after: self.limit }
    }
}
