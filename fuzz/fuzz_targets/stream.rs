#![no_main]
//! A response that passes the scanner in pieces is the response that is parsed whole.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: (Vec<usize>, &[u8])| {
    let steps: Vec<usize> = input.0.iter().map(|step| step % 64 + 1).collect();
    bodies::stream(input.1, &steps);
});
