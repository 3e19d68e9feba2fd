//! A `text/event-stream` body as events.

use futures_util::FutureExt as _;
use http_body::Body as _;
use toolgate_mcp::sse::{Decoder, Event};

use super::body;
use super::origin::Body;
use crate::error::{Delivery, Error, Problem};

/// The events of one response body.
pub(crate) struct EventStream {
    body: Body,
    decoder: Decoder,
}

impl EventStream {
    pub(crate) fn new(body: Body, cap_bytes: usize) -> Self {
        Self { body, decoder: Decoder::new(cap_bytes) }
    }

    /// The next event; `None` when the stream has come to its end.
    ///
    /// An event that the end cut off is dropped, as the specification of server-sent events asks.
    pub(crate) async fn next(&mut self, server: &str) -> Result<Option<Event>, Error> {
        loop {
            let event = self.decoder.next_event().map_err(|error| {
                Error::new(server, Delivery::Unknown, Problem::TooLarge { cap_bytes: error.cap_bytes })
            })?;
            if event.is_some() {
                return Ok(event);
            }
            match body::next_data(server, &mut self.body).await? {
                Some(data) => self.decoder.push(&data),
                None => return Ok(None),
            }
        }
    }

    /// The body, if it still has to be read to its end before its connection can be used again.
    pub(crate) fn into_unfinished(mut self) -> Option<Body> {
        // The end mostly came together with the last event; then nothing needs to be waited for.
        let ended = self.body.is_end_stream()
            || matches!(body::next_data("", &mut self.body).now_or_never(), Some(Ok(None) | Err(_)));
        (!ended).then_some(self.body)
    }
}
