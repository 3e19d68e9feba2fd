//! Reading the bodies of answers, never more than a cap.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::error::{Delivery, Error, Problem, root_cause};

/// How much of a refusal's body is read: enough for a JSON-RPC error with some data.
const REFUSAL_BYTES: usize = 64 * 1024;

/// How long a refusal's body may take; the status alone is news enough.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// How long, and how far, a body that nobody wants is read on so that its connection can be used again.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 64 * 1024;

/// The whole body. One that comes in a single frame, as small ones do, is not copied.
pub(crate) async fn collect(server: &str, mut body: Incoming, cap_bytes: usize) -> Result<Bytes, Error> {
    let too_large = || Error::new(server, Delivery::Answered, Problem::TooLarge { cap_bytes });
    if body.size_hint().lower() > cap_bytes as u64 {
        return Err(too_large());
    }
    let Some(first) = next_data(server, &mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > cap_bytes {
        return Err(too_large());
    }
    let Some(second) = (if body.is_end_stream() { None } else { next_data(server, &mut body).await? }) else {
        return Ok(first);
    };
    let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut whole = BytesMut::with_capacity((first.len() + second.len() + rest).min(cap_bytes));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(data) = next {
        if whole.len() + data.len() > cap_bytes {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
        next = next_data(server, &mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of the body; `None` at its end.
pub(crate) async fn next_data(server: &str, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Error::new(server, Delivery::Unknown, Problem::Broken { reason: root_cause(&error) }))?;
        // Trailers hold nothing that MCP has a use for.
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The beginning of a refusal's body; what could be read of it when it breaks off or is slow.
pub(crate) async fn refusal(server: &str, mut body: Incoming) -> Bytes {
    let mut text = BytesMut::new();
    let read = async {
        while text.len() < REFUSAL_BYTES
            && let Ok(Some(data)) = next_data(server, &mut body).await
        {
            let room = REFUSAL_BYTES - text.len();
            text.extend_from_slice(&data[..data.len().min(room)]);
        }
    };
    // Late or broken, what is there of the text is still the best explanation we have.
    let _ = tokio::time::timeout(REFUSAL_TIME, read).await;
    text.freeze()
}

/// Reads a body to its end, within bounds: dropping it before costs the connection, and so every later call a new one.
pub(crate) async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    // Neither outcome changes anything: the connection is reused or it is not.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}
