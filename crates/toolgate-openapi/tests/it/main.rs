//! Descriptions in, tools and requests out.

mod bad_input;
mod edge;
mod examples;
mod properties;
mod support;
