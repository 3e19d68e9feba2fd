//! What is known about continuing an event stream that broke off.

use std::time::Duration;

use http::HeaderValue;
use toolgate_mcp::sse::Event;

use crate::context::Junk;

/// How often in a row a broken stream is resumed without a new event coming.
pub(crate) const RESUME_TRIES: u32 = 5;

/// How long the continuation of a request's stream may bring nothing before it is asked for anew. Servers are common
/// that say on it what was said before, and leave what comes then for the next one.
pub(crate) const QUIET: Duration = Duration::from_secs(5);

/// The wait before resuming, when the server names none, and the bounds of what it may name.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_LEAST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(300);

pub(crate) struct Resumption {
    pub(crate) last_event_id: Option<HeaderValue>,
    /// The wait before the next try.
    pub(crate) retry: Duration,
    /// Tries since the last event.
    pub(crate) tries: u32,
    /// The first event that was no message, for the error in case no answer follows.
    pub(crate) garbage: Option<String>,
    pub(crate) junk: Junk,
    /// The answer comes on a continuation.
    pub(crate) is_continued: bool,
}

impl Default for Resumption {
    fn default() -> Self {
        Self { last_event_id: None, retry: RETRY, tries: 0, garbage: None, junk: Junk::default(), is_continued: false }
    }
}

impl Resumption {
    /// That of a stream which somebody else has read up to this event.
    pub(crate) fn after(last_event_id: HeaderValue) -> Self {
        Self { last_event_id: Some(last_event_id), ..Self::default() }
    }

    /// Notes the position that `event` marks.
    pub(crate) fn saw(&mut self, event: &Event) {
        self.tries = 0;
        if let Some(id) = &event.id {
            // The empty id takes the last one back.
            self.last_event_id = if id.is_empty() { None } else { HeaderValue::from_bytes(id.as_bytes()).ok() };
        }
        if let Some(retry_ms) = event.retry_ms {
            self.retry = Duration::from_millis(retry_ms).clamp(RETRY_LEAST, RETRY_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Resumption};
    use toolgate_mcp::sse::Event;

    #[test]
    fn a_server_cannot_ask_for_hammering_or_for_eternity() {
        let mut resumption = Resumption::default();
        for (retry_ms, wait_ms) in [(0, 100), (500, 500), (u64::MAX, 300_000)] {
            resumption.saw(&Event { event: None, id: None, retry_ms: Some(retry_ms), data: "".into() });
            assert_eq!(resumption.retry, Duration::from_millis(wait_ms));
        }
    }

    #[test]
    fn an_id_that_no_header_can_hold_is_as_good_as_none() {
        let mut resumption = Resumption::default();
        for (id, kept) in [("e-1", true), ("a\u{1}b", false), ("e-2", true), ("", false)] {
            resumption.saw(&Event { event: None, id: Some(id.to_owned()), retry_ms: None, data: "".into() });
            assert_eq!(resumption.last_event_id.is_some(), kept, "{id}");
        }
    }
}
