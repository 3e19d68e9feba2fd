//! toolgate: an MCP gateway. One endpoint and one key in front; every tool, prompt and resource behind it.
//!
//! Suggested reading order: [`config`] (what the gateway was told), [`gateway`] (its parts put together), [`mcp`] and
//! [`rest`] (the faces), [`admin`] (keys and what hangs on them), [`catalog`] (many servers as one),
//! [`accounting`] (what calls may cost, and did), [`upstream`] (one server), [`auth`] (who is asking).
//! `ARCHITECTURE.md` walks three requests through them.

pub mod accounting;
pub mod admin;
pub mod auth;
pub mod body;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod egress;
pub mod faces;
pub mod gateway;
pub mod identity;
pub mod lifecycle;
pub mod mcp;
mod places;
pub mod rest;
mod seal;
pub mod server;
pub mod stored;
pub mod telemetry;
pub mod upstream;
