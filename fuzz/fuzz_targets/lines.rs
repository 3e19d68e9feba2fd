#![no_main]
//! The lines of a child's output are the same however it is cut, and messages come back from theirs.

#[path = "../../crates/toolgate-client/src/stdio/lines/bodies.rs"]
mod bodies;
#[path = "../../crates/toolgate-client/src/stdio/lines.rs"]
mod lines;

use lines::{Lines, TooLong, framed, trimmed};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    output: Vec<u8>,
    texts: Vec<String>,
    steps: Vec<usize>,
    cap_bytes: u16,
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let steps: Vec<usize> = input.steps.iter().map(|step| step % 64 + 1).collect();
    bodies::cut_anywhere(&input.output, &steps, usize::from(input.cap_bytes));
    bodies::round_trip(&input.texts, &steps);
});
