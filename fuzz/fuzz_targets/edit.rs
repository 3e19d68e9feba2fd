#![no_main]
//! Setting, replacing and removing a field leaves all others as they were.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| bodies::edit(input.1, input.0));
