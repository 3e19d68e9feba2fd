#![no_main]
//! Any bytes are a message or an error, as `serde_json` alone has it; an answer changes nothing but its id; depth is
//! what `serde_json` makes of it.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;
#[path = "../../crates/toolgate-mcp/tests/properties/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::parse(bytes);
    oracle::agrees(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        bodies::depth(text);
    }
});
