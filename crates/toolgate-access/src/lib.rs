//! Who may do what, as pure functions.
//!
//! Values in, values out: nothing here reads a clock, a file, a database or a random number. The store loads a
//! [`principal::Principal`], the gateway keeps a [`world::World`] of what there is.
//! The rules are LiteLLM's (its permission hierarchy for MCP servers and tools); where those are silent or let
//! through what cannot be read, the answer here is no, and the doc comment at the rule says so.
//!
//! Suggested reading order: [`id`], [`permission`], [`role`], [`world`], [`principal`], [`rules`], `decide`, [`grant`],
//! [`explain`], [`key`], [`standing`], [`issue`], [`routes`], [`limits`].

mod decide;
pub mod explain;
pub mod grant;
pub mod id;
pub mod issue;
pub mod key;
pub mod limits;
pub mod permission;
pub mod principal;
pub mod role;
pub mod routes;
pub mod rules;
pub mod standing;
#[cfg(test)]
mod testing;
pub mod tools;
pub mod world;
