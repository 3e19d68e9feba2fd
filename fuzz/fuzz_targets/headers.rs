#![no_main]
//! What goes into a header comes out of it, and the headers of a call fit that call.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8], &str, &str)| {
    bodies::header_value(input.0, input.1);
    bodies::param_headers(input.2, input.3);
});
