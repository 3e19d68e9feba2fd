//! Opening a session: the transport, then the era, then the handshake if the era has one.

mod http;
mod stdio;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::context::Context;
use crate::error::{Delivery, Error, Problem};
use crate::handshake::{self, ServerFacts};
use crate::message;
use crate::modern::{self, ClientFacts, Described, METHOD};
use crate::options::{Era, Options};
use crate::session::Wire;
use crate::target::Target;

/// The id of `initialize`.
const INITIALIZE_ID: u64 = 1;

/// The ids of `server/discover`, which is asked twice when the first answer asks for that.
const DISCOVER_IDS: [u64; 2] = [2, 3];

/// The first id for requests of a session's user.
pub(crate) const FIRST_FREE_ID: u64 = 4;

/// How long a server may be silent to `server/discover` before it is taken for one that does not know it.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct Connected {
    pub(crate) facts: ServerFacts,
    pub(crate) wire: Wire,
    pub(crate) context: Arc<Context>,
    /// What requests say of us, to a modern server.
    pub(crate) client: Option<Arc<ClientFacts>>,
}

/// Why a server was not found to be a modern one.
enum Doubt {
    /// It is one, but refuses us.
    Proven(Error),
    /// It may be a legacy one.
    Unproven(Error),
    /// No other attempt could do better: nobody is there, or we have no right to ask.
    Final(Error),
}

impl Doubt {
    fn into_error(self) -> Error {
        match self {
            Self::Proven(error) | Self::Unproven(error) | Self::Final(error) => error,
        }
    }
}

pub(crate) async fn connect(target: &Target, options: &Options) -> Result<Connected, Error> {
    match target {
        // Boxed, because the parts of the dance are large and only one of them is danced at a time.
        Target::Http(target) => Box::pin(http::connect(target, options)).await,
        Target::Stdio(target) => Box::pin(stdio::connect(target, options)).await,
    }
}

fn initialize(options: &Options) -> Bytes {
    message::request(INITIALIZE_ID, "initialize", Some(&handshake::params(options)))
}

fn initialized() -> Bytes {
    message::notification("notifications/initialized", None)
}

/// `server/discover`, but for its id.
fn discover(client: &ClientFacts) -> Result<Described, Problem> {
    modern::describe(METHOD, None, client).map_err(Problem::InvalidParams)
}

/// How long the answer to `server/discover` is waited for; without an end where no other way is open.
fn patience(options: &Options) -> Duration {
    match options.era {
        Era::Modern => options.connect_timeout,
        Era::Detect | Era::Legacy => SILENCE.min(options.connect_timeout / 2),
    }
}

/// That opening the session took too long.
fn late(server: &str, options: &Options) -> Error {
    let method = if options.era == Era::Modern { METHOD } else { "initialize" };
    timed_out(server, method, options.connect_timeout)
}

fn timed_out(server: &str, method: &str, after: Duration) -> Error {
    Error::new(server, Delivery::Unknown, Problem::TimedOut { method: method.into(), after })
}
