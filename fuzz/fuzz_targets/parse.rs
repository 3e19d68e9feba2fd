#![no_main]
//! Any bytes are a message or an error; an answer changes nothing but its id; depth is what `serde_json` makes of it.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        bodies::depth(text);
    }
});
