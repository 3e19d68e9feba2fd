//! The two HTTP transports, and the connections they share.

use std::time::Duration;

mod body;
mod client;
mod era;
mod events;
mod exchange;
mod listen;
mod origin;
mod request;
mod resumption;
mod sse;
mod streamable;
mod streaming;
mod tcp;
mod tls;

pub use client::HttpClient;
pub use exchange::Exchanged;
pub use tcp::Reach;
pub use tls::TlsOptions;

pub(crate) use body::drain;
pub(crate) use origin::Body;
pub(crate) use request::{Place, valid_session_id};
pub(crate) use resumption::Resumption;
pub(crate) use sse::Sse;
pub(crate) use streamable::{Arrived, Streamable, With};
pub(crate) use streaming::Large;

/// How long a message may take that nobody waits for: a cancellation, a reply, the end of a session.
const ASIDE: Duration = Duration::from_secs(5);
