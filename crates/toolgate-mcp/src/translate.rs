//! What one era says, in the words of the other.
//!
//! *Legacy* are the revisions with a handshake, up to 2025-11-25; *modern* are those without, from 2026-07-28 on. One
//! module for each matter that the two say differently; who sends what when, is the caller's affair. Texts are changed
//! by splicing: what a translation does not name stays byte for byte.
//!
//! | Matter | Module |
//! |---|---|
//! | a server asks its client: requests of its own, or results of type `input_required` | [`questions`] |
//! | a server sends the user to a URL: `elicitationId`, error -32042 | [`url_elicitation`] |
//! | `resultType`, `ttlMs`, `cacheScope`, `serverInfo` | [`results`] |
//! | error codes | [`errors`] |
//! | how much a server logs: `logging/setLevel`, or each request's `_meta` | [`log_level`] |
//! | tokens and ids in notifications, which the gateway renames | [`tokens`] |
//! | what a client listens to: subscriptions, or one `subscriptions/listen` | [`subscriptions`] |
//! | what clients and servers can do | [`capabilities`] |
//! | what a server is: the answer to `initialize`, or to `server/discover` | [`discover`] |
//! | who asks: said once in `initialize`, or with each request in its `_meta` | [`request`] |
//! | tools that only run as tasks | [`tasks`] |
//!
//! Source: the schemas of MCP 2025-11-25 and 2026-07-28.

pub mod capabilities;
pub mod discover;
pub mod errors;
pub mod log_level;
pub mod questions;
pub mod request;
pub mod results;
pub mod subscriptions;
pub mod tasks;
pub mod tokens;
pub mod url_elicitation;
