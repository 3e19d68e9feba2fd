//! Descriptions in, tools and requests out.
#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

mod bad_input;
mod edge;
mod examples;
mod properties;
mod support;
