//! The face to MCP clients: Streamable HTTP at `/mcp` and the older HTTP+SSE at `/sse`.
//!
//! [`endpoint`] takes a request apart and frames its answer, [`dispatch`] knows what each method means, [`session`]
//! keeps what a client told in `initialize` inside the session id itself, [`live`] what there is of a session while it is
//! in use, [`outlet`] what goes to a client as a stream. The revisions with a handshake (2024-11-05 to 2025-11-25) are
//! served here, 2026-07-28 in `modern`.

pub mod dispatch;
mod ended;
pub mod endpoint;
mod event_id;
mod head;
mod in_place;
mod initialize;
pub mod legacy_sse;
pub mod listen;
mod lists;
pub mod live;
pub(crate) mod modern;
pub mod outlet;
mod refusal;
mod reply;
mod respond;
pub(crate) mod scope;
pub mod session;
mod speaking;
mod stream;
mod taken_up;
mod why_empty;
