//! What a session is opened with, and what one request may ask for itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::value::RawValue;
use toolgate_mcp::stream::Translation;
use toolgate_mcp::version::Revision;

use crate::modern::ClientFacts;
use crate::question::Question;

/// What a session is opened with.
#[derive(Clone)]
pub struct Options {
    /// The name by which the server knows us.
    pub client_name: String,
    /// Our version, as the server is told it.
    pub client_version: String,
    /// Which kind of revisions to speak.
    pub era: Era,
    /// The only revision to speak, of those with `initialize`; a server that answers with another is refused. `None`: the
    /// newest that both sides know.
    pub revision: Option<Revision>,
    /// The client capabilities that we declare, a JSON object. A session serves `ping` alone, so anything declared here
    /// must be served by [`Events::question`]; `{}` unless that is so.
    pub capabilities: Box<RawValue>,
    /// How long a request may take, unless [`Call::timeout`] says otherwise.
    pub timeout: Duration,
    /// How long [`Session::connect`](crate::Session::connect) may take as a whole: connection or start of the child,
    /// handshake, and detection of the transport.
    pub connect_timeout: Duration,
    /// Caps on what the server may make us hold.
    pub limits: Limits,
    /// Whether to open at once the stream on which a Streamable HTTP server speaks by itself, such as of changed lists. It
    /// holds one more connection for as long as the session lasts. The other transports always have such a stream.
    pub listen: bool,
    /// Who hears what the server says on its own account, where no [`Call::events`] does.
    pub events: Arc<dyn Events>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_name: "toolgate-client".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            era: Era::Detect,
            revision: None,
            capabilities: RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"),
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(30),
            limits: Limits::default(),
            listen: false,
            events: Arc::new(Unheard),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("client_name", &self.client_name)
            .field("client_version", &self.client_version)
            .field("era", &self.era)
            .field("revision", &self.revision)
            .field("capabilities", &self.capabilities.get())
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("limits", &self.limits)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// The two kinds of revisions: those that begin with `initialize`, and those whose requests carry their own metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Era {
    /// Ask the server: first as a modern one, then with `initialize`. It costs a legacy server one more request, and one
    /// on stdio that does not answer unknown requests five seconds, so remember what was found.
    #[default]
    Detect,
    /// Revisions 2024-11-05 to 2025-11-25.
    Legacy,
    /// Revision 2026-07-28.
    Modern,
}

/// Caps on what a server may make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, server-sent event or line, in bytes.
    pub message_bytes: usize,
    /// How many of the last lines of a child's stderr are kept.
    pub stderr_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 16 * 1024 * 1024, stderr_lines: 64 }
    }
}

/// Hears what a server sends on its own account, in the order in which it came.
///
/// Called on the task that reads from the server, so it must not block: hand the message on and return.
pub trait Events: Send + Sync {
    /// A notification; `message` is the whole of it as it came.
    fn notification(&self, method: &str, message: Bytes) {
        let _ = (method, message);
    }

    /// A request of the server, to be answered at any later time. `ping` does not come here: the session answers it.
    fn question(&self, question: Question) {
        drop(question);
    }

    /// The stream on which this hears has come to a place at which somebody else could take it up again; told before
    /// what the server says there. Only Streamable HTTP servers of the legacy era, and not all of them, have such
    /// places.
    fn passed(&self, place: StreamPlace<'_>) {
        let _ = place;
    }
}

/// A place in a stream of a server, for [`Session::adopt`](crate::Session::adopt) and
/// [`Session::take_up`](crate::Session::take_up).
#[derive(Clone, Copy)]
pub struct StreamPlace<'a> {
    /// The session, if the server gave it an id. Whoever knows it, and the credentials, can use the session.
    pub session_id: Option<&'a str>,
    /// What is spoken in it.
    pub revision: Revision,
    /// The request whose answer comes on the stream; `None` where the server speaks by itself.
    pub request: Option<u64>,
    /// The event that was read last; `None` when the server has taken the ids of its events back.
    pub last_event_id: Option<&'a str>,
    /// That event has a message, which is told next.
    pub has_message: bool,
}

impl fmt::Debug for StreamPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ids are as good as credentials.
        f.debug_struct("StreamPlace")
            .field("revision", &self.revision)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// Knows why a request is given up, where whoever gives it up has said so.
pub trait GivenUp: Send + Sync {
    /// The parameters of a `notifications/cancelled` as JSON text; the id in it is put in place of any other.
    fn params(&self) -> Option<&str>;
}

/// Hears nothing.
struct Unheard;

impl Events for Unheard {}

/// What one request asks for itself.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Call {
    /// How long it may take, in place of [`Options::timeout`].
    pub timeout: Option<Duration>,
    /// Headers for this request alone; they win over those of the target. Over stdio they have no meaning.
    pub headers: HeaderMap,
    /// Who hears what the server says on the request's own stream, which only Streamable HTTP has, until the answer
    /// comes. What comes otherwise goes to [`Options::events`].
    pub events: Option<Arc<dyn Events>>,
    /// Asked for the words in which the server is told, when the request is given up.
    pub given_up: Option<Arc<dyn GivenUp>>,
    /// What the request says of the client, in place of what [`Options`] say; for a modern server only.
    pub meta: Option<Arc<ClientFacts>>,
    /// What becomes of the result of a [`Reply::Streamed`](crate::Reply::Streamed); a whole answer stays as it is.
    pub translation: Option<Translation>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold credentials.
        f.debug_struct("Call").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Call {
    /// A call that may take `timeout`.
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..Self::default() }
    }
}
