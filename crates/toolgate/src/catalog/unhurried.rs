//! Lists of servers that answer 429: they are asked again after a while, as LiteLLM does, within the list's deadline.
//!
//! Calls are not: what a caller wants to be done once more is for the caller to say.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http::{HeaderValue, StatusCode};
use toolgate_client::Error;

use crate::config::settings::RateLimitRetries;
use crate::upstream::UpstreamError;

/// Who asks a server for a list, as often as it may be asked.
pub(super) struct Unhurried {
    retries: RateLimitRetries,
    deadline: Instant,
    done: u32,
}

impl Unhurried {
    pub(super) fn new(retries: RateLimitRetries, deadline: Instant) -> Self {
        Self { retries, deadline, done: 0 }
    }

    /// What is left of the list's time.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until the server may be asked again that failed with `error`, which is given back where that is never.
    pub(super) async fn wait(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        let Some(cause) = too_many(&error).filter(|_| self.done < self.retries.most) else { return Err(error) };
        let wanted = cause.retry_after().and_then(|header| wait_of(header, Utc::now()));
        let pause = pause(&self.retries, self.done, wanted, jitter());
        if pause >= self.left() {
            return Err(error);
        }
        self.done += 1;
        let (server, retry) = (error.server(), self.done);
        tracing::debug!(server.name = server, retry, ?pause, "the server answers 429; it is asked again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The answer 429 of the server itself; its `rpm` in our own configuration is another matter.
fn too_many(error: &UpstreamError) -> Option<&Error> {
    match error {
        UpstreamError::Unavailable { cause, .. } | UpstreamError::Failed { cause, .. }
            if cause.status() == Some(StatusCode::TOO_MANY_REQUESTS) =>
        {
            Some(cause)
        }
        _ => None,
    }
}

/// How long to wait: as long as the server says, else twice as long each time; never longer than the longest.
fn pause(retries: &RateLimitRetries, done: u32, wanted: Option<Duration>, jitter: f64) -> Duration {
    let doubled = || retries.first.saturating_mul(1 << done.min(16)).mul_f64(1.0 + jitter);
    wanted.unwrap_or_else(doubled).min(retries.longest)
}

/// What `Retry-After` says: seconds, or a date.
fn wait_of(header: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = header.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some(at.signed_duration_since(now).to_std().unwrap_or_default())
}

/// Between 0 and 1, so that many gateways do not come back at once.
fn jitter() -> f64 {
    let mut byte = [0u8];
    aws_lc_rs::rand::fill(&mut byte).expect("the system's random source works");
    f64::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: RateLimitRetries =
        RateLimitRetries { most: 3, first: Duration::from_millis(500), longest: Duration::from_secs(5) };

    #[test]
    fn pauses_double_with_jitter_up_to_the_longest() {
        let of = |done, jitter| pause(&RETRIES, done, None, jitter).as_millis();
        assert_eq!([of(0, 0.0), of(1, 0.0), of(2, 0.0), of(0, 1.0), of(9, 0.5)], [500, 1000, 2000, 1000, 5000]);
    }

    #[test]
    fn what_the_server_says_goes_before_up_to_the_longest() {
        let of = |seconds| pause(&RETRIES, 2, Some(Duration::from_secs(seconds)), 1.0).as_secs();
        assert_eq!([of(0), of(3), of(60)], [0, 3, 5]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-12-01T12:00:00Z").expect("a time").to_utc();
        let of = |text: &str| wait_of(&HeaderValue::from_str(text).expect("a header"), now).map(|wait| wait.as_secs());
        assert_eq!(of("7"), Some(7));
        assert_eq!(of("Tue, 01 Dec 2026 12:00:09 GMT"), Some(9));
        assert_eq!(of("Tue, 01 Dec 2026 11:00:00 GMT"), Some(0));
        assert_eq!(of("soon"), None);
    }
}
