//! Reading the bodies of answers, never more than a cap.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::origin::Body;
use crate::error::{Delivery, Error, Problem, root_cause};

/// How much of a refusal's body is read: enough for a JSON-RPC error with some data.
const REFUSAL_BYTES: usize = 64 * 1024;

/// How long a refusal's body may take; the status alone is news enough.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// How long, and how far, a body that nobody wants is read on so that its connection can be used again.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 64 * 1024;

/// What was read of a body, and whether that is all of it.
pub(crate) struct Begun {
    pub(crate) bytes: Bytes,
    pub(crate) is_whole: bool,
}

/// The whole body. One that comes in a single frame, as small ones do, is not copied.
pub(crate) async fn collect(server: &str, mut body: Body, cap_bytes: usize) -> Result<Bytes, Error> {
    // No body passes the cap, so none is left unfinished.
    Ok(begin(server, &mut body, cap_bytes, cap_bytes).await?.bytes)
}

/// The body until more than `enough_bytes` of it are there, or all of it.
pub(crate) async fn begin(
    server: &str,
    body: &mut Body,
    enough_bytes: usize,
    cap_bytes: usize,
) -> Result<Begun, Error> {
    if body.size_hint().lower() > cap_bytes as u64 {
        return Err(too_large(server, cap_bytes));
    }
    let whole = |bytes| Ok(Begun { bytes, is_whole: true });
    let Some(first) = next_data(server, body).await? else { return whole(Bytes::new()) };
    if first.len() > cap_bytes {
        return Err(too_large(server, cap_bytes));
    }
    if body.is_end_stream() {
        return whole(first);
    }
    if first.len() > enough_bytes {
        return Ok(Begun { bytes: first, is_whole: false });
    }
    let Some(second) = next_data(server, body).await? else { return whole(first) };
    let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(enough_bytes);
    let mut so_far = BytesMut::with_capacity((first.len() + second.len() + rest).min(cap_bytes));
    so_far.extend_from_slice(&first);
    add(server, &mut so_far, &second, cap_bytes)?;
    read_on(server, body, so_far, enough_bytes, cap_bytes).await
}

/// The rest of a body of which `so_far` has been read.
pub(crate) async fn finish(server: &str, mut body: Body, so_far: Bytes, cap_bytes: usize) -> Result<Bytes, Error> {
    let so_far = so_far.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    Ok(read_on(server, &mut body, so_far, cap_bytes, cap_bytes).await?.bytes)
}

async fn read_on(
    server: &str,
    body: &mut Body,
    mut so_far: BytesMut,
    enough_bytes: usize,
    cap_bytes: usize,
) -> Result<Begun, Error> {
    while so_far.len() <= enough_bytes {
        let Some(data) = next_data(server, body).await? else {
            return Ok(Begun { bytes: so_far.freeze(), is_whole: true });
        };
        add(server, &mut so_far, &data, cap_bytes)?;
    }
    Ok(Begun { bytes: so_far.freeze(), is_whole: false })
}

fn add(server: &str, so_far: &mut BytesMut, data: &Bytes, cap_bytes: usize) -> Result<(), Error> {
    if so_far.len() + data.len() > cap_bytes {
        return Err(too_large(server, cap_bytes));
    }
    so_far.extend_from_slice(data);
    Ok(())
}

/// A message that passes the cap.
pub(crate) fn too_large(server: &str, cap_bytes: usize) -> Error {
    Error::new(server, Delivery::Answered, Problem::TooLarge { cap_bytes })
}

/// A connection that broke.
pub(crate) fn broken(server: &str, error: &hyper::Error) -> Error {
    Error::new(server, Delivery::Unknown, Problem::Broken { reason: root_cause(error) })
}

/// The next piece of the body; `None` at its end.
pub(crate) async fn next_data(server: &str, body: &mut Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(server, &error))?;
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
pub(crate) async fn refusal(server: &str, mut body: Body) -> Bytes {
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
pub(crate) async fn drain(mut body: Body) {
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
