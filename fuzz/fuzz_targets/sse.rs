#![no_main]
//! A stream decodes the same however it is cut, and what is encoded comes back.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    stream: Vec<u8>,
    payloads: Vec<Vec<u8>>,
    steps: Vec<usize>,
    cap_bytes: u16,
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    bodies::sse_decode(&input.stream, &input.steps, usize::from(input.cap_bytes));
    bodies::sse_round_trip(&input.payloads, &input.steps);
});
