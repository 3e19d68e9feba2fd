#![no_main]
//! Any text is a template or none, and matching ends.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| bodies::uri_template(input.0, input.1));
