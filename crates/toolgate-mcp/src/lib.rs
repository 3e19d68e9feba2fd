//! The Model Context Protocol as data.
//!
//! Bytes or values in, bytes or values out: nothing here touches a socket, a file, a clock or a task.
//! A message is parsed one envelope deep; what the gateway does not need to see stays the bytes that it came as
//! ([`serde_json::value::RawValue`]), so unknown fields, big numbers and new content types survive.
//!
//! Suggested reading order: [`jsonrpc`], [`edit`], [`views`], [`version`], [`session`], [`method`], [`headers`], [`sse`],
//! [`stream`], [`uri_template`], [`uris`], [`tool_shapes`], [`translate`].

pub mod depth;
pub mod edit;
mod fields;
pub mod headers;
pub mod jsonrpc;
pub mod method;
pub mod session;
pub mod sse;
pub mod stream;
pub mod tool_shapes;
pub mod translate;
pub mod uri_template;
pub mod uris;
pub mod version;
pub mod views;
pub mod word;
