#![no_main]
//! A result that is translated while it passes comes to what is made of it as a whole.

#[expect(dead_code, reason = "each target calls some of the bodies")]
#[path = "../../crates/toolgate-mcp/tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: (Vec<usize>, bool, &str)| {
    let steps: Vec<usize> = input.0.iter().map(|step| step % 64 + 1).collect();
    bodies::translated(input.2, if input.1 { "resources/read" } else { "tools/call" }, &steps);
});
