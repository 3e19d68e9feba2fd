//! The stream on which a Streamable HTTP server speaks by itself: changed lists, updated resources, its own requests.
//!
//! A server need not have one. Where it has, the stream is opened anew whenever it ends, for as long as the session
//! lasts; and when it is refused then, a session that was ended at the server is noticed before the next request.
//!
//! Source: MCP 2025-11-25, Transports, Listening for Messages from the Server.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::resumption::Resumption;
use super::streamable::{Streamable, With, may_pass};
use crate::context::Context;
use crate::error::Problem;

/// No request has this id, so no event on this stream is taken for an answer.
pub(super) const NO_REQUEST: u64 = 0;

/// The longest wait between two tries to open the stream.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Listens until the session ends, or the server turns out to have no such stream; from the event after `after` on, up
/// to which somebody else has listened.
pub(super) async fn run(wire: Streamable, context: Arc<Context>, after: Option<HeaderValue>) {
    tokio::select! {
        () = context.ended.cancelled() => {}
        () = listen(&wire, &context, after) => {}
    }
}

async fn listen(wire: &Streamable, context: &Context, after: Option<HeaderValue>) {
    // Of a session that somebody else has opened it is known that it has such a stream.
    let mut opened = after.is_some();
    let mut resumption = after.map_or_else(Resumption::default, Resumption::after);
    let none = HeaderMap::new();
    let none = With::headers(&none);
    loop {
        let stream = wire.open_stream(resumption.last_event_id.clone(), none).await;
        wire.note_listening();
        match stream {
            Ok(mut stream) => {
                opened = true;
                // However it ends, the next try tells whether the server is still there.
                match wire.read(NO_REQUEST, &mut stream, &mut resumption, none).await {
                    Err(error) if matches!(error.problem(), Problem::Junk(_)) => {
                        tracing::warn!(%error, "the listening stream is given up");
                        return;
                    }
                    Err(error) => tracing::debug!(%error, "the listening stream broke"),
                    Ok(_) => {}
                }
            }
            // To the first try, 404 may also be how a server says that it has no such stream.
            Err(error) if error.session_lost() && opened => {
                tracing::debug!(%error, "the session is over");
                context.ended.cancel();
                return;
            }
            Err(error) if may_pass(&error) => tracing::debug!(%error, "the listening stream could not be opened"),
            Err(_) => return,
        }
        // Every event sets the tries back, so this grows only while nothing comes.
        let wait = resumption.retry * 2u32.pow(resumption.tries.min(6));
        resumption.tries += 1;
        tokio::time::sleep(wait.min(LONGEST_WAIT.max(resumption.retry))).await;
    }
}
